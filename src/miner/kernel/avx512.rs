//! The AVX-512 kernel with 16 lanes; rotations and three-operand logic take one instruction each.
//!
//! Promises: those of [`super::Kernel::scan`]. Elsewhere: the attempt itself (`lanes`), two groups of lanes at a time
//! (`avx512x2`).

#![allow(unsafe_code)]
#![allow(
    clippy::as_conversions,
    reason = "vector lanes are i32 by convention, without a meaning"
)]

use super::lanes::{lane_kernel, unroll};
use super::prepared::{INITIAL, K, Prepared};
use core::arch::x86_64::*;

/// Whether this processor has AVX-512.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// Does the work of [`super::Kernel::scan`].
pub(super) fn scan(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    assert!(is_available(), "AVX-512 is missing");
    // SAFETY: the processor has the feature that the function is compiled for, as just asserted.
    unsafe { scan_lanes(prepared, first, last) }
}

/// Hashes 16 messages at once; see [`super::many`].
pub(super) fn hash(words: &[[u32; 16]; 32]) -> [[u32; 16]; 8] {
    assert!(is_available(), "AVX-512 is missing");
    // SAFETY: the processor has the feature that the function is compiled for, as just asserted.
    unsafe { hash_lanes(words) }
}

lane_kernel!("avx512f", __m512i, 16);

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn load(words: &[u32; 16]) -> __m512i {
    // SAFETY: the array has the size of the vector, and this load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn store(vector: __m512i) -> [u32; 16] {
    let mut words = [0; 16];
    // SAFETY: the array has the size of the vector, and this store needs no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), vector) };
    words
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn splat(word: u32) -> __m512i {
    _mm512_set1_epi32(word as i32)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn first_lanes() -> __m512i {
    _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn not_above(words: __m512i, limit: __m512i) -> u32 {
    u32::from(_mm512_cmple_epu32_mask(words, limit))
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn add(x: __m512i, y: __m512i) -> __m512i {
    _mm512_add_epi32(x, y)
}

#[target_feature(enable = "avx512f")]
#[inline]
fn xor3(x: __m512i, y: __m512i, z: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0x96>(x, y, z)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn choice(e: __m512i, f: __m512i, g: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xca>(e, f, g)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn majority(a: __m512i, b: __m512i, c: __m512i) -> __m512i {
    _mm512_ternarylogic_epi32::<0xe8>(a, b, c)
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn big_0(x: __m512i) -> __m512i {
    xor3(
        _mm512_ror_epi32::<2>(x),
        _mm512_ror_epi32::<13>(x),
        _mm512_ror_epi32::<22>(x),
    )
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn big_1(x: __m512i) -> __m512i {
    xor3(
        _mm512_ror_epi32::<6>(x),
        _mm512_ror_epi32::<11>(x),
        _mm512_ror_epi32::<25>(x),
    )
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn small_0(x: __m512i) -> __m512i {
    xor3(
        _mm512_ror_epi32::<7>(x),
        _mm512_ror_epi32::<18>(x),
        _mm512_srli_epi32::<3>(x),
    )
}

#[target_feature(enable = "avx512f")]
#[inline]
pub(super) fn small_1(x: __m512i) -> __m512i {
    xor3(
        _mm512_ror_epi32::<17>(x),
        _mm512_ror_epi32::<19>(x),
        _mm512_srli_epi32::<10>(x),
    )
}
