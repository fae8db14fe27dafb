//! The body of the fuzz target for mining: one search on any bytes, with every kernel.
//!
//! Promises: it panics exactly if a kernel and `sha2` on the whole header disagree, or if the counter of attempts is
//! wrong.

use crate::miner::kernel::Kernel;
use crate::miner::search::{SearchOutcome, search_with};
use crate::miner::{HEADER_BYTES, MiningWork};
use core::sync::atomic::{AtomicBool, AtomicU64};
use sha2::{Digest, Sha256};

/// The bytes that are used: the header (its nonce is tried first), the limit, the number of zero bytes at the start of
/// the limit, and the length of the range.
#[cfg(test)]
const INPUT_BYTES: usize = HEADER_BYTES + 32 + 2;

/// Searches as the bytes say, with every kernel, and compares the results. A shorter input is ignored; bytes after
/// [`INPUT_BYTES`] are not read.
///
/// # Panics
/// If a kernel gives another answer than the reference.
pub(super) fn kernels_agree(input: &[u8]) {
    let Some((header, rest)) = input.split_first_chunk::<HEADER_BYTES>() else {
        return;
    };
    let Some((limit, rest)) = rest.split_first_chunk::<32>() else {
        return;
    };
    let &[zeros, length, ..] = rest else { return };
    let mut work = MiningWork {
        header: *header,
        limit: *limit,
    };
    // The leading zeros give limits of all magnitudes; random bytes alone would nearly always give easy ones.
    work.limit[..usize::from(zeros % 33)].fill(0);
    let [.., a, b, c, d, e, f, g, h] = work.header;
    let first = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    let last = first.saturating_add(u64::from(length));
    let expected = (first..=last).find(|&nonce| hash(&work.header, nonce) < work.limit);
    let tried = expected.unwrap_or(last) - first + 1;
    let expected = expected.map_or(SearchOutcome::Exhausted, SearchOutcome::Found);
    for kernel in Kernel::available() {
        let attempts = AtomicU64::new(0);
        let found = search_with(kernel, &work, first..=last, &AtomicBool::new(false), &attempts);
        assert_eq!(found, expected, "{} on {work:?}", kernel.name());
        assert_eq!(attempts.into_inner(), tried, "{} on {work:?}", kernel.name());
    }
}

fn hash(header: &[u8; HEADER_BYTES], nonce: u64) -> [u8; 32] {
    let mut header = *header;
    header[HEADER_BYTES - 8..].copy_from_slice(&nonce.to_be_bytes());
    Sha256::digest(header).into()
}

#[cfg(test)]
mod tests {
    use super::{INPUT_BYTES, kernels_agree};
    use proptest::prelude::*;

    #[test]
    fn inputs_of_every_length_are_taken() {
        let bytes = [0x5a; INPUT_BYTES + 3];
        for length in 0..=bytes.len() {
            kernels_agree(&bytes[..length]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            failure_persistence: None,
            ..ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 256 })
        })]

        /// All kernels agree on any bytes.
        #[test]
        fn kernels_agree_on_any_bytes(
            head in proptest::collection::vec(any::<u8>(), INPUT_BYTES - 2),
            zeros in 0..4_u8,
            length in any::<u8>(),
        ) {
            kernels_agree(&[head, vec![zeros, length]].concat());
        }
    }
}
