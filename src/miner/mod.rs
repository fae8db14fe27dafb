//! Mining: finds the nonce that makes a header's hash fall below its limit.
//!
//! Promises: every kernel gives the same answers as SHA-256 by the book, the lowest nonce of a range
//! wins whatever the processor, a cancelled search ends within a millisecond, and idle threads cost
//! nothing.
//! Elsewhere: what to mine and what to do with a nonce (`engine`), the target of a block
//! (`types::target`).
//! Spec: `proto-notes/encoding.md`, "Header"; measured choices in `proto-notes/decisions/mining-kernel.md`.
//!
//! ```text
//! pool     threads, jobs, hash rate        one job at a time, each thread takes every nth range
//!  └ search   one range of nonces          batches, cancellation, the full check of a candidate
//!     └ kernel   one batch                 AVX-512, AVX2, SHA-NI, ARMv8 SHA-2 or portable
//! many     headers and merkle nodes        the same lanes, to check what others send
//! ```

pub mod bench;
pub mod fuzz;
pub mod kernel;
pub mod many;
pub mod pool;
mod priority;
mod rate;
pub mod search;
mod span;

/// Size of a header in bytes.
pub const HEADER_BYTES: usize = 96;

/// What to search: the 96-byte header with any nonce, and the target limit.
///
/// The limit is big-endian; a hash meets it when it is *below* it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Work {
    /// The header; the nonce in its last eight bytes is where a [`pool::Pool`] begins.
    pub header: [u8; HEADER_BYTES],
    /// The limit, big-endian.
    pub limit: [u8; 32],
}
