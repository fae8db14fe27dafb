//! The kernel for the SHA instructions of x86: two rounds for each instruction, four attempts at a time.
//!
//! Promises: those of [`super::Kernel::scan`].
//! An attempt begins before round 6, and its message schedule at word 22; everything before is constant.

#![allow(unsafe_code)]
#![allow(
    clippy::as_conversions,
    reason = "vector lanes are i32 by convention, without a meaning"
)]

use super::lanes::unroll;
use super::prepared::{K, Prepared};
use core::arch::x86_64::*;

/// The attempts that run at the same time: while one waits for an instruction, the others use the unit.
const STREAMS: u32 = 4;

/// Whether this processor has the SHA instructions.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1") && is_x86_feature_detected!("ssse3")
}

/// Does the work of [`super::Kernel::scan`].
pub(super) fn scan(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    assert!(is_available(), "the SHA instructions are missing");
    // SAFETY: the processor has the features that the function is compiled for, as just asserted.
    unsafe { scan_streams(prepared, first, last) }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
fn scan_streams(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    let constants = Constants::new(prepared);
    let mut low = first;
    loop {
        let words = constants.attempts(low);
        let behind = last - low;
        let [one, two, three, four] = words;
        if one.min(two).min(three).min(four) <= prepared.limit_top {
            // Streams after the end of the range do not count, even if their nonce wrapped around.
            let mut lanes = (0..=behind).zip(words);
            if let Some((lane, _)) = lanes.find(|&(_, word)| word <= prepared.limit_top) {
                return Some(low + lane);
            }
        }
        if behind < STREAMS {
            return None;
        }
        low += STREAMS;
    }
}

/// The vectors that are the same for all attempts of a scan. The instructions need the state as one vector of `a b e f`
/// and one of `c d g h`, and messages with the lowest word in the lowest lane.
struct Constants {
    abef: __m128i,
    cdgh: __m128i,
    /// Message words 8 to 11, 12 to 15 and 16 to 19, each plus its round constants.
    sums: [__m128i; 3],
    word_6: u32,
    /// Words 16 to 19, and the constant part of words 20 to 23.
    words_16: __m128i,
    words_20: [u32; 4],
    /// The first steps of the schedule for words 24 to 27 and 28 to 31.
    begun: [__m128i; 2],
    first_word: u32,
}

impl Constants {
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    fn new(p: &Prepared) -> Self {
        let [a, b, c, d, e, f, g, h] = p.before_round_6;
        let words = |t: usize| {
            if t < 16 {
                four(&p.chunk, t)
            } else {
                four(&p.words, t - 16)
            }
        };
        let sum = |t: usize| _mm_add_epi32(words(t), four(&K, t));
        Self {
            abef: vector([f, e, b, a]),
            cdgh: vector([h, g, d, c]),
            sums: [sum(8), sum(12), sum(16)],
            word_6: p.chunk[6].wrapping_add(K[6]),
            words_16: words(16),
            words_20: [p.words[4], p.words[5], p.words[6], p.words[7]],
            begun: [
                _mm_sha256msg1_epu32(words(8), words(12)),
                _mm_sha256msg1_epu32(words(12), words(16)),
            ],
            first_word: p.midstate[0],
        }
    }

    /// The first word of the digest for each of the four attempts from `low` on.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    #[inline]
    fn attempts(&self, low: u32) -> [u32; 4] {
        let stream = |lane| Stream::new(self, low.wrapping_add(lane));
        let mut streams = [stream(0), stream(1), stream(2), stream(3)];
        unroll!(i in [0, 1, 2] {
            unroll!(k in [0, 1, 2, 3] { streams[k].rounds(self.sums[i]); });
        });
        unroll!(k in [0, 1, 2, 3] { streams[k].rounds_of_word(20); });
        unroll!(t in [24, 28] {
            unroll!(k in [0, 1, 2, 3] {
                streams[k].schedule(self.begun[(t - 24) / 4]);
                streams[k].rounds_of_word(t);
            });
        });
        unroll!(t in [32, 36, 40, 44, 48, 52, 56, 60] {
            unroll!(k in [0, 1, 2, 3] {
                let begun = _mm_sha256msg1_epu32(streams[k].w[0], streams[k].w[1]);
                streams[k].schedule(begun);
                streams[k].rounds_of_word(t);
            });
        });
        [
            streams[0].first_word(self),
            streams[1].first_word(self),
            streams[2].first_word(self),
            streams[3].first_word(self),
        ]
    }
}

/// One running attempt. `w` holds the last sixteen message words, the oldest four first.
#[derive(Clone, Copy)]
struct Stream {
    abef: __m128i,
    cdgh: __m128i,
    w: [__m128i; 4],
}

impl Stream {
    /// Starts an attempt: rounds 6 and 7, and message words 16 to 23.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    #[inline]
    fn new(c: &Constants, low: u32) -> Self {
        let sum = vector([c.word_6, low.wrapping_add(K[7]), 0, 0]);
        let small_0 = low.rotate_right(7) ^ low.rotate_right(18) ^ (low >> 3);
        let [w20, w21, w22, w23] = c.words_20;
        let words_20 = vector([w20, w21, w22.wrapping_add(small_0), w23.wrapping_add(low)]);
        let zero = _mm_setzero_si128();
        Self {
            abef: _mm_sha256rnds2_epu32(c.cdgh, c.abef, sum),
            cdgh: c.abef,
            w: [zero, zero, c.words_16, words_20],
        }
    }

    /// Does four rounds; `sums` are message words plus round constants.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    #[inline]
    fn rounds(&mut self, sums: __m128i) {
        self.cdgh = _mm_sha256rnds2_epu32(self.cdgh, self.abef, sums);
        let high = _mm_shuffle_epi32::<0x0e>(sums);
        self.abef = _mm_sha256rnds2_epu32(self.abef, self.cdgh, high);
    }

    /// Does four rounds with the newest message words, which begin at word `t`.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    #[inline]
    fn rounds_of_word(&mut self, t: usize) {
        self.rounds(_mm_add_epi32(self.w[3], four(&K, t)));
    }

    /// Computes the next four message words; `begun` is the first step, from the oldest words.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    #[inline]
    fn schedule(&mut self, begun: __m128i) {
        let [_, w1, w2, w3] = self.w;
        let middle = _mm_alignr_epi8::<4>(w3, w2);
        let next = _mm_sha256msg2_epu32(_mm_add_epi32(begun, middle), w3);
        self.w = [w1, w2, w3, next];
    }

    /// The first word of the digest.
    #[target_feature(enable = "sha,sse4.1,ssse3")]
    #[inline]
    fn first_word(&self, c: &Constants) -> u32 {
        (_mm_extract_epi32::<3>(self.abef) as u32).wrapping_add(c.first_word)
    }
}

#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn vector([w0, w1, w2, w3]: [u32; 4]) -> __m128i {
    _mm_setr_epi32(w0 as i32, w1 as i32, w2 as i32, w3 as i32)
}

/// The four words from index `t` on.
#[target_feature(enable = "sha,sse4.1,ssse3")]
#[inline]
fn four<const N: usize>(words: &[u32; N], t: usize) -> __m128i {
    vector([words[t], words[t + 1], words[t + 2], words[t + 3]])
}
