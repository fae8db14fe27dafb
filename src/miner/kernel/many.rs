//! Hashes many messages of one length at once, one message in each lane.
//!
//! Promises: the digests are those of `sha2`, in the order of the messages, for every kernel and every count.
//! Elsewhere: the rounds (`lanes`), the choice of the kernel (`miner::many`).

use super::Kernel;
use crate::types::hash::sha256;

/// The shortest message in bytes that fills two chunks with its padding.
const SHORTEST: usize = 56;
/// The longest message in bytes that fits into two chunks with its padding.
const LONGEST: usize = 119;

impl Kernel {
    /// Hashes each message separately; the digests are in the order of the messages.
    pub(crate) fn hash_many<const N: usize>(self, messages: &[[u8; N]]) -> Vec<[u8; 32]> {
        const { assert!(N >= SHORTEST && N <= LONGEST, "two chunks") };
        match self {
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => in_lanes(messages, super::avx2::hash),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => in_lanes(messages, super::avx512::hash),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512x2 => in_lanes(messages, super::avx512x2::hash),
            // These kernels are no faster on many messages than on one, and `sha2` uses the same instructions.
            Kernel::Portable | Kernel::ShaNi | Kernel::Aarch64 => one_by_one(messages),
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::Avx2 | Kernel::Avx512 | Kernel::Avx512x2 => one_by_one(messages),
        }
    }
}

fn one_by_one<const N: usize>(messages: &[[u8; N]]) -> Vec<[u8; 32]> {
    messages.iter().map(|message| sha256(&[message])).collect()
}

/// Hashes whole groups of lanes. The rest is hashed as a group too if it fills at least a quarter of one, otherwise one
/// by one.
#[cfg(target_arch = "x86_64")]
fn in_lanes<const N: usize, const LANES: usize>(
    messages: &[[u8; N]],
    hash: fn(&[[u32; LANES]; 32]) -> [[u32; LANES]; 8],
) -> Vec<[u8; 32]> {
    let mut digests = Vec::with_capacity(messages.len());
    for group in messages.chunks(LANES) {
        if group.len() < LANES / 4 {
            digests.extend(one_by_one(group));
            continue;
        }
        let state = hash(&words_of(group));
        digests.extend((0..group.len()).map(|lane| digest_of(&state, lane)));
    }
    digests
}

/// The padded messages, regrouped so that each array holds the same word of all of them. Unused lanes hold arbitrary
/// values.
#[cfg(target_arch = "x86_64")]
fn words_of<const N: usize, const LANES: usize>(group: &[[u8; N]]) -> [[u32; LANES]; 32] {
    let mut words = [[0; LANES]; 32];
    // The padding is the same for all messages, except in the word that it shares with the end of a message.
    words[N / 4] = [0x8000_0000; LANES];
    words[31] = [u32::try_from(N * 8).expect("a short message"); LANES];
    for (lane, message) in group.iter().enumerate() {
        let (whole, rest) = message.as_chunks::<4>();
        for (word, bytes) in words.iter_mut().zip(whole) {
            word[lane] = u32::from_be_bytes(*bytes);
        }
        if !rest.is_empty() {
            let mut last = [0; 4];
            last[..rest.len()].copy_from_slice(rest);
            last[rest.len()] = 0x80;
            words[whole.len()][lane] = u32::from_be_bytes(last);
        }
    }
    words
}

#[cfg(target_arch = "x86_64")]
fn digest_of<const LANES: usize>(state: &[[u32; LANES]; 8], lane: usize) -> [u8; 32] {
    let mut digest = [0; 32];
    for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *bytes = word[lane].to_be_bytes();
    }
    digest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::rng::Rng;

    /// Checks messages of random bytes, for counts that fill groups partly and completely.
    fn check<const N: usize>(kernel: Kernel, seed: u64) {
        let mut rng = Rng::new(seed);
        let messages: Vec<[u8; N]> = (0..200)
            .map(|_| core::array::from_fn(|_| u8::try_from(rng.below(256)).unwrap()))
            .collect();
        for count in (0..=messages.len()).step_by(if cfg!(miri) { 67 } else { 1 }) {
            let digests = kernel.hash_many(&messages[..count]);
            assert_eq!(
                digests,
                one_by_one(&messages[..count]),
                "{kernel:?}, {count} messages of {N}, seed {seed}"
            );
        }
    }

    #[test]
    fn every_kernel_hashes_many_messages_as_sha2_does() {
        for kernel in Kernel::available() {
            check::<65>(kernel, 1);
            check::<96>(kernel, 2);
            // The shortest and the longest message that need two chunks.
            check::<56>(kernel, 3);
            check::<119>(kernel, 4);
        }
    }
}
