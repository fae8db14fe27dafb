//! The AVX-512 kernel with two groups of 16 lanes at a time.
//!
//! A round of one group is a chain of dependent instructions, and a processor looks only a few rounds ahead, so on some
//! processors execution ports stay idle. A second group fills the gaps. Its price is that 48 vectors do not fit into 32
//! registers, so most message words are in memory. Which of the two is faster is measured at the start.
//!
//! Promises: those of [`super::Kernel::scan`]. Elsewhere: the attempt itself (`lanes`), one group (`avx512`).

#![allow(unsafe_code)]

use super::avx512 as one;
use super::lanes::{lane_kernel, unroll};
use super::prepared::{INITIAL, K, Prepared};
use core::arch::x86_64::__m512i;

/// Does the work of [`super::Kernel::scan`].
pub(super) fn scan(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    assert!(one::is_available(), "AVX-512 is missing");
    // SAFETY: the processor has the feature that the function is compiled for, as just asserted.
    unsafe { scan_lanes(prepared, first, last) }
}

/// Hashes 32 messages at once; see [`super::many`].
pub(super) fn hash(words: &[[u32; 32]; 32]) -> [[u32; 32]; 8] {
    assert!(one::is_available(), "AVX-512 is missing");
    // SAFETY: the processor has the feature that the function is compiled for, as just asserted.
    unsafe { hash_lanes(words) }
}

/// A vector of 32 lanes, made of two registers.
#[derive(Clone, Copy)]
struct Pair(__m512i, __m512i);

lane_kernel!("avx512f", Pair, 32);

#[target_feature(enable = "avx512f")]
#[inline]
fn load(words: &[u32; 32]) -> Pair {
    let (groups, _) = words.as_chunks::<16>();
    Pair(one::load(&groups[0]), one::load(&groups[1]))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn store(vector: Pair) -> [u32; 32] {
    let mut words = [0; 32];
    words[..16].copy_from_slice(&one::store(vector.0));
    words[16..].copy_from_slice(&one::store(vector.1));
    words
}

#[target_feature(enable = "avx512f")]
#[inline]
fn splat(word: u32) -> Pair {
    let vector = one::splat(word);
    Pair(vector, vector)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn first_lanes() -> Pair {
    let lanes = one::first_lanes();
    Pair(lanes, one::add(lanes, one::splat(16)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn not_above(words: Pair, limit: Pair) -> u32 {
    one::not_above(words.0, limit.0) | (one::not_above(words.1, limit.1) << 16)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn add(x: Pair, y: Pair) -> Pair {
    Pair(one::add(x.0, y.0), one::add(x.1, y.1))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn choice(e: Pair, f: Pair, g: Pair) -> Pair {
    Pair(one::choice(e.0, f.0, g.0), one::choice(e.1, f.1, g.1))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn majority(a: Pair, b: Pair, c: Pair) -> Pair {
    Pair(one::majority(a.0, b.0, c.0), one::majority(a.1, b.1, c.1))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn big_0(x: Pair) -> Pair {
    Pair(one::big_0(x.0), one::big_0(x.1))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn big_1(x: Pair) -> Pair {
    Pair(one::big_1(x.0), one::big_1(x.1))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn small_0(x: Pair) -> Pair {
    Pair(one::small_0(x.0), one::small_0(x.1))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn small_1(x: Pair) -> Pair {
    Pair(one::small_1(x.0), one::small_1(x.1))
}
