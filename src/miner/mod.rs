//! Mining: finds the nonce that makes a header's hash fall below its limit.
//!
//! Promises: every kernel gives the same answers as plain SHA-256; the lowest nonce of a range wins on every processor;
//! a cancelled search ends within a millisecond; idle threads use no processor time.
//! Elsewhere: which header to mine and what to do with a nonce (`engine`), the target of a block (`types::target`).
//! Spec: `proto-notes/encoding.md`, "Header"; measured choices in `proto-notes/decisions/mining-kernel.md`.
//!
//! ```text
//! pool     threads, jobs, hash rate        one job at a time, each thread takes every nth range
//!  └ search   one range of nonces          batches, cancellation, the full check of a candidate
//!     └ kernel   one batch                 AVX-512, AVX2, SHA-NI, ARMv8 SHA-2 or portable
//! many     headers and merkle nodes        the same lanes, to check what others send
//! ```

pub mod bench;
pub mod kernel;
pub mod many;
pub mod pool;
mod priority;
mod rate;
pub mod search;
mod span;

/// The size of a header in bytes.
pub const HEADER_BYTES: usize = 96;

/// The input of a search: a 96-byte header with any nonce, and the limit of its target.
///
/// The limit is big-endian; a hash meets it if it is *below* it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MiningWork {
    /// The header; a [`pool::Pool`] begins at the nonce in its last eight bytes.
    pub header: [u8; HEADER_BYTES],
    /// The limit, 32 bytes big-endian.
    pub limit: [u8; 32],
}
