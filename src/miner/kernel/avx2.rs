//! The AVX2 kernel with 8 lanes; a rotation takes two shifts and an or.
//!
//! Promises: those of [`super::Kernel::scan`]. Elsewhere: the attempt itself (`lanes`).

#![allow(unsafe_code)]
#![allow(
    clippy::as_conversions,
    reason = "vector lanes are i32 by convention, without a meaning"
)]

use super::lanes::{lane_kernel, unroll};
use super::prepared::{INITIAL, K, Prepared};
use core::arch::x86_64::*;

/// Whether this processor has AVX2.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2")
}

/// Does the work of [`super::Kernel::scan`].
pub(super) fn scan(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    assert!(is_available(), "AVX2 is missing");
    // SAFETY: the processor has the feature that the function is compiled for, as just asserted.
    unsafe { scan_lanes(prepared, first, last) }
}

/// Hashes eight messages at once; see [`super::many`].
pub(super) fn hash(words: &[[u32; 8]; 32]) -> [[u32; 8]; 8] {
    assert!(is_available(), "AVX2 is missing");
    // SAFETY: the processor has the feature that the function is compiled for, as just asserted.
    unsafe { hash_lanes(words) }
}

lane_kernel!("avx2", __m256i, 8);

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: &[u32; 8]) -> __m256i {
    // SAFETY: the array has the size of the vector, and this load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(vector: __m256i) -> [u32; 8] {
    let mut words = [0; 8];
    // SAFETY: the array has the size of the vector, and this store needs no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) };
    words
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(word: u32) -> __m256i {
    _mm256_set1_epi32(word as i32)
}

#[target_feature(enable = "avx2")]
#[inline]
fn first_lanes() -> __m256i {
    _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)
}

/// A bit for each lane whose word is at most the limit. AVX2 compares only signed numbers, so we test whether the
/// unsigned minimum is the word itself.
#[target_feature(enable = "avx2")]
#[inline]
fn not_above(words: __m256i, limit: __m256i) -> u32 {
    let same = _mm256_cmpeq_epi32(_mm256_min_epu32(words, limit), words);
    _mm256_movemask_ps(_mm256_castsi256_ps(same)) as u32
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(x: __m256i, y: __m256i) -> __m256i {
    _mm256_add_epi32(x, y)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(x: __m256i, y: __m256i) -> __m256i {
    _mm256_xor_si256(x, y)
}

#[target_feature(enable = "avx2")]
#[inline]
fn choice(e: __m256i, f: __m256i, g: __m256i) -> __m256i {
    xor(g, _mm256_and_si256(e, xor(f, g)))
}

/// The majority function. `a ^ b` is the next round's `b ^ c`; the compiler keeps it, so a round costs three
/// operations.
#[target_feature(enable = "avx2")]
#[inline]
fn majority(a: __m256i, b: __m256i, c: __m256i) -> __m256i {
    xor(b, _mm256_and_si256(xor(a, b), xor(b, c)))
}

/// Rotates to the right by `RIGHT`; `LEFT` must be 32 minus `RIGHT`.
#[target_feature(enable = "avx2")]
#[inline]
fn rotate<const RIGHT: i32, const LEFT: i32>(x: __m256i) -> __m256i {
    xor(_mm256_srli_epi32::<RIGHT>(x), _mm256_slli_epi32::<LEFT>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
fn big_0(x: __m256i) -> __m256i {
    xor(xor(rotate::<2, 30>(x), rotate::<13, 19>(x)), rotate::<22, 10>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
fn big_1(x: __m256i) -> __m256i {
    xor(xor(rotate::<6, 26>(x), rotate::<11, 21>(x)), rotate::<25, 7>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
fn small_0(x: __m256i) -> __m256i {
    xor(xor(rotate::<7, 25>(x), rotate::<18, 14>(x)), _mm256_srli_epi32::<3>(x))
}

#[target_feature(enable = "avx2")]
#[inline]
fn small_1(x: __m256i) -> __m256i {
    xor(
        xor(rotate::<17, 15>(x), rotate::<19, 13>(x)),
        _mm256_srli_epi32::<10>(x),
    )
}
