//! Hashing for verification: pages of headers and layers of the merkle tree, in the lanes of the mining kernels.
//!
//! Promises: the digests are those of SHA-256, whichever kernel is chosen.
//! Elsewhere: the lanes (`kernel::many`), the callers (`chain`, `engine::parts::sync`).

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::kernel::Kernel;
use crate::types::hash::HashMany;

/// The headers of the trial and its turns; together they take about 0.2 ms for each kernel.
const TRIAL_HEADERS: usize = 512;
const TRIAL_TURNS: usize = 4;

/// The functions of the fastest kernel on this processor, for the chain.
#[must_use]
pub fn chosen() -> HashMany {
    HashMany {
        headers: |messages| kernel().hash_many(messages),
        nodes: |messages| kernel().hash_many(messages),
    }
}

/// Hashes messages of one length (56 to 119 bytes) with a given kernel, for comparisons. Kernels that are no faster on
/// many messages than on one leave the work to `sha2`.
///
/// # Panics
/// If this processor cannot run the kernel.
#[must_use]
pub fn hash_many<const N: usize>(kernel: Kernel, messages: &[[u8; N]]) -> Vec<[u8; 32]> {
    kernel.hash_many(messages)
}

/// The kernel that hashes many messages: the fastest in a short trial, which is made once.
#[must_use]
pub fn kernel() -> Kernel {
    static KERNEL: OnceLock<Kernel> = OnceLock::new();
    *KERNEL.get_or_init(|| {
        let mut best: Vec<(Duration, Kernel)> = Kernel::available().map(|kernel| (Duration::MAX, kernel)).collect();
        for _ in 0..TRIAL_TURNS {
            for (time, kernel) in &mut best {
                *time = trial(*kernel).min(*time);
            }
        }
        let fastest = best.into_iter().min_by_key(|(time, _)| *time);
        fastest.map_or(Kernel::Portable, |(_, kernel)| kernel)
    })
}

fn trial(kernel: Kernel) -> Duration {
    let headers = core::hint::black_box([[0; 96]; TRIAL_HEADERS]);
    let begun = Instant::now();
    core::hint::black_box(kernel.hash_many(&headers));
    begun.elapsed()
}
