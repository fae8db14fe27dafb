//! The truth about kernels: all of them against `sha2::Sha256` on the whole header.
//!
//! The reference below shares no code with the kernels, the midstate included.

use super::{Kernel, KernelError, Prepared, Template};
use crate::miner::MiningWork;
use crate::miner::search::{SearchOutcome, search_with};
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

/// Random bytes from a seed (splitmix64), so that a failure can be repeated.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn header(&mut self) -> [u8; 96] {
        let mut header = [0; 96];
        for bytes in header.as_chunks_mut::<8>().0 {
            *bytes = self.next().to_be_bytes();
        }
        header
    }
}

fn hash(header: &[u8; 96], nonce: u64) -> [u8; 32] {
    let mut header = *header;
    header[88..].copy_from_slice(&nonce.to_be_bytes());
    Sha256::digest(header).into()
}

fn top(hash: &[u8; 32]) -> u32 {
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

fn lowest_hit(work: &MiningWork, mut nonces: RangeInclusive<u64>) -> SearchOutcome {
    nonces
        .find(|&nonce| hash(&work.header, nonce) < work.limit)
        .map_or(SearchOutcome::Exhausted, SearchOutcome::Found)
}

fn run(kernel: Kernel, work: &MiningWork, nonces: RangeInclusive<u64>) -> (SearchOutcome, u64) {
    let attempts = AtomicU64::new(0);
    let outcome = search_with(kernel, work, nonces, &AtomicBool::new(false), &attempts);
    (outcome, attempts.into_inner())
}

fn assert_all_agree(work: &MiningWork, nonces: RangeInclusive<u64>) {
    let expected = lowest_hit(work, nonces.clone());
    for kernel in Kernel::available() {
        assert_eq!(
            run(kernel, work, nonces.clone()).0,
            expected,
            "{kernel:?} {nonces:?} {work:?}"
        );
    }
}

/// The smallest limit that this hash meets, which is one above it.
fn just_above(mut hash: [u8; 32]) -> [u8; 32] {
    for byte in hash.iter_mut().rev() {
        let (next, carry) = byte.overflowing_add(1);
        *byte = next;
        if !carry {
            break;
        }
    }
    hash
}

/// One random header, nonce and lane: the kernel must call the nonce a candidate at exactly the first
/// word of its hash, and not at the word below, at any place in the widest block.
fn check_random_header(seeded: &mut Seeded, kernels: &[Kernel]) {
    let header = seeded.header();
    let last = u32::try_from(seeded.next() >> 32).unwrap().max(32);
    let first = last - u32::try_from(seeded.next() % 33).unwrap();
    let high = u32::try_from(seeded.next() >> 32).unwrap();
    let word = |low: u32| top(&hash(&header, (u64::from(high) << 32) | u64::from(low)));
    let at = word(last);
    for limit_top in [at, at.wrapping_sub(1)] {
        let mut limit = [0; 32];
        limit[..4].copy_from_slice(&limit_top.to_be_bytes());
        let prepared: Prepared = Template::new(&MiningWork { header, limit }).prepare(high);
        let expected = (first..=last).find(|&low| word(low) <= limit_top);
        for kernel in kernels {
            let found = kernel.scan(&prepared, first, last);
            assert_eq!(
                found, expected,
                "{kernel:?} {first}..={last} under {high}, header {header:?}"
            );
        }
    }
}

fn check_random_headers(seed: u64, count: usize) {
    let kernels: Vec<_> = Kernel::available().collect();
    let mut seeded = Seeded(seed);
    for _ in 0..count {
        check_random_header(&mut seeded, &kernels);
    }
}

#[test]
fn kernels_agree_with_sha2_on_random_headers() {
    check_random_headers(1, if cfg!(miri) { 3 } else { 20_000 });
}

#[test]
#[ignore = "a million headers: some seconds with --release, a minute without"]
fn kernels_agree_with_sha2_on_a_million_random_headers() {
    check_random_headers(2, 1_000_000);
}

#[test]
fn lowest_nonce_wins_when_several_lanes_meet_the_limit() {
    let mut seeded = Seeded(3);
    for first_byte in [255, 128, 64, 32, 16, 8] {
        for _ in 0..if cfg!(miri) { 1 } else { 40 } {
            let mut limit = [0; 32];
            limit[0] = first_byte;
            let work = MiningWork {
                header: seeded.header(),
                limit,
            };
            let start = seeded.next() >> 1;
            assert_all_agree(&work, start..=start + 100);
        }
    }
}

#[test]
fn ends_of_the_nonce_space_and_of_a_high_half_are_searched_and_not_passed() {
    let half = u64::from(u32::MAX);
    let header = Seeded(4).header();
    for last in [half, u64::MAX, half << 32, (7 << 32) + 5] {
        let lengths: &[u64] = if cfg!(miri) {
            &[1, 3]
        } else {
            &[1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 65]
        };
        for length in lengths {
            let first = last - (length - 1);
            for limit in [[255; 32], [0; 32], just_above(hash(&header, last))] {
                assert_all_agree(&MiningWork { header, limit }, first..=last);
            }
        }
    }
    for first in [0, half] {
        assert_all_agree(&MiningWork { header, limit: [8; 32] }, first..=first + 40);
    }
}

#[test]
fn lane_behind_the_end_of_the_range_is_no_hit() {
    let header = Seeded(5).header();
    for last in 0..if cfg!(miri) { 2 } else { 70_u64 } {
        let work = MiningWork {
            header,
            limit: just_above(hash(&header, last + 1)),
        };
        assert_all_agree(&work, 0..=last);
    }
}

#[test]
fn limits_of_every_magnitude_are_judged_alike() {
    let header = Seeded(6).header();
    let nonces = 0..=if cfg!(miri) { 20_u64 } else { 300 };
    for bit in (0..256_usize).step_by(if cfg!(miri) { 50 } else { 1 }) {
        let mut limit = [0; 32];
        limit[31 - bit / 8] = 1 << (bit % 8);
        assert_all_agree(&MiningWork { header, limit }, nonces.clone());
    }
    for limit in [[0; 32], [255; 32]] {
        assert_all_agree(&MiningWork { header, limit }, nonces.clone());
    }
}

#[test]
fn hash_equal_to_the_limit_does_not_meet_it() {
    let header = Seeded(7).header();
    for nonce in 0..if cfg!(miri) { 2 } else { 50 } {
        let at = hash(&header, nonce);
        for kernel in Kernel::available() {
            let run = |limit| run(kernel, &MiningWork { header, limit }, nonce..=nonce).0;
            assert_eq!(run(at), SearchOutcome::Exhausted, "{kernel:?}");
            assert_eq!(run(just_above(at)), SearchOutcome::Found(nonce), "{kernel:?}");
        }
    }
}

#[test]
fn candidate_that_misses_by_its_later_words_does_not_end_the_search() {
    let header = Seeded(8).header();
    let lowest = (0..20).map(|nonce| hash(&header, nonce)).min().unwrap();
    let mut limit = lowest;
    limit[4..].fill(0);
    for kernel in Kernel::available() {
        let (outcome, attempts) = run(kernel, &MiningWork { header, limit }, 0..=19);
        assert_eq!((outcome, attempts), (SearchOutcome::Exhausted, 20), "{kernel:?}");
    }
}

#[test]
fn attempts_are_counted_up_to_the_nonce_found() {
    let header = Seeded(9).header();
    let work = MiningWork { header, limit: [1; 32] };
    for kernel in Kernel::available() {
        let (SearchOutcome::Found(nonce), attempts) = run(kernel, &work, 10..=100_000) else {
            panic!("one in 256 meets it")
        };
        assert_eq!(attempts, nonce - 9, "{kernel:?}");
    }
}

#[test]
fn raised_flag_ends_a_search_before_the_next_batch() {
    let work = MiningWork {
        header: [0; 96],
        limit: [0; 32],
    };
    for kernel in Kernel::available() {
        let (cancel, attempts) = (AtomicBool::new(true), AtomicU64::new(0));
        let outcome = search_with(kernel, &work, 0..=u64::MAX, &cancel, &attempts);
        assert_eq!(
            (outcome, attempts.into_inner()),
            (SearchOutcome::Cancelled, 0),
            "{kernel:?}"
        );
    }
}

#[test]
#[cfg_attr(miri, ignore = "a search without end is too slow there")]
fn flag_raised_during_a_search_ends_it() {
    let work = MiningWork {
        header: [0; 96],
        limit: [0; 32],
    };
    for kernel in Kernel::available() {
        let (cancel, attempts) = (AtomicBool::new(false), AtomicU64::new(0));
        std::thread::scope(|scope| {
            let search = scope.spawn(|| search_with(kernel, &work, 0..=u64::MAX, &cancel, &attempts));
            while attempts.load(Ordering::Relaxed) == 0 {
                std::thread::yield_now();
            }
            cancel.store(true, Ordering::Relaxed);
            assert_eq!(search.join().unwrap(), SearchOutcome::Cancelled, "{kernel:?}");
        });
    }
}

#[test]
fn empty_range_is_exhausted_without_an_attempt() {
    #[expect(clippy::reversed_empty_ranges, reason = "that is the case")]
    let nonces = 5..=4;
    let work = MiningWork {
        header: [0; 96],
        limit: [255; 32],
    };
    for kernel in Kernel::available() {
        assert_eq!(run(kernel, &work, nonces.clone()), (SearchOutcome::Exhausted, 0));
    }
}

#[test]
fn kernel_is_found_by_its_name_or_refused_with_the_names_that_work() {
    for kernel in Kernel::ALL {
        let expected = if kernel.is_available() {
            Ok(kernel)
        } else {
            Err(KernelError::Unavailable { name: kernel.name() })
        };
        assert_eq!(Kernel::by_name(kernel.name()), expected);
    }
    let error = Kernel::by_name("gpu").unwrap_err();
    assert_eq!(error.to_string(), "unknown mining kernel gpu");
    assert!(error.hint().starts_with("LANCHAIN_KERNEL may be one of: portable"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }) })]

    /// All kernels give the same answer for any header, limit and range.
    #[test]
    fn every_kernel_gives_the_answer_of_sha2(
        header in proptest::array::uniform32(any::<[u8; 3]>()),
        limit in any::<[u8; 32]>(),
        zeros in 0..4_usize,
        first in any::<u64>(),
        length in 0..300_u64,
    ) {
        let mut limit = limit;
        limit[..zeros].fill(0);
        let mut bytes = [0; 96];
        bytes.copy_from_slice(header.as_flattened());
        assert_all_agree(&MiningWork { header: bytes, limit }, first..=first.saturating_add(length));
    }
}
