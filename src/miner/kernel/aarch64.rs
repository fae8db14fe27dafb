//! The kernel for the SHA-2 instructions of 64-bit ARM: four rounds for each pair of instructions, four attempts at a
//! time.
//!
//! Promises: those of [`super::Kernel::scan`].
//! An attempt begins before round 4, and its message schedule at word 22; everything before is constant.

#![allow(unsafe_code)]

use super::lanes::unroll;
use super::prepared::{K, Prepared};
use core::arch::aarch64::*;

/// The attempts that run at the same time: while one waits for an instruction, the others use the unit.
const STREAMS: u32 = 4;

/// Whether this processor has the SHA-2 instructions.
pub(super) fn is_available() -> bool {
    std::arch::is_aarch64_feature_detected!("sha2")
}

/// Does the work of [`super::Kernel::scan`].
pub(super) fn scan(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    assert!(is_available(), "the SHA-2 instructions are missing");
    // SAFETY: the processor has the features that the function is compiled for, as just asserted
    // (`sha2` implies `neon`).
    unsafe { scan_streams(prepared, first, last) }
}

#[target_feature(enable = "neon,sha2")]
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

/// The vectors that are the same for all attempts of a scan.
struct Constants {
    abcd: uint32x4_t,
    efgh: uint32x4_t,
    /// Message words 4 to 6 plus round constants; word 7 comes from the attempt.
    sums_4: [u32; 3],
    /// Message words 8 to 11, 12 to 15 and 16 to 19, each plus its round constants.
    sums: [uint32x4_t; 3],
    /// Words 16 to 19, and the constant part of words 20 to 23.
    words_16: uint32x4_t,
    words_20: [u32; 4],
    /// The first steps of the schedule for words 24 to 27 and 28 to 31.
    begun: [uint32x4_t; 2],
    first_word: u32,
}

impl Constants {
    #[target_feature(enable = "neon,sha2")]
    fn new(p: &Prepared) -> Self {
        let words = |t: usize| {
            if t < 16 {
                four(&p.chunk, t)
            } else {
                four(&p.words, t - 16)
            }
        };
        let sum = |t: usize| vaddq_u32(words(t), four(&K, t));
        let sum_of = |t: usize| p.chunk[t].wrapping_add(K[t]);
        Self {
            abcd: four(&p.before_round_4, 0),
            efgh: four(&p.before_round_4, 4),
            sums_4: [sum_of(4), sum_of(5), sum_of(6)],
            sums: [sum(8), sum(12), sum(16)],
            words_16: words(16),
            words_20: [p.words[4], p.words[5], p.words[6], p.words[7]],
            begun: [
                vsha256su0q_u32(words(8), words(12)),
                vsha256su0q_u32(words(12), words(16)),
            ],
            first_word: p.midstate[0],
        }
    }

    /// The first word of the digest for each of the four attempts from `low` on.
    #[target_feature(enable = "neon,sha2")]
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
                let begun = vsha256su0q_u32(streams[k].w[0], streams[k].w[1]);
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
    abcd: uint32x4_t,
    efgh: uint32x4_t,
    w: [uint32x4_t; 4],
}

impl Stream {
    /// Starts an attempt: rounds 4 to 7, and message words 16 to 23.
    #[target_feature(enable = "neon,sha2")]
    #[inline]
    fn new(c: &Constants, low: u32) -> Self {
        let [sum_4, sum_5, sum_6] = c.sums_4;
        let small_0 = low.rotate_right(7) ^ low.rotate_right(18) ^ (low >> 3);
        let [w20, w21, w22, w23] = c.words_20;
        let words_20 = vector([w20, w21, w22.wrapping_add(small_0), w23.wrapping_add(low)]);
        let zero = vdupq_n_u32(0);
        let mut stream = Self {
            abcd: c.abcd,
            efgh: c.efgh,
            w: [zero, zero, c.words_16, words_20],
        };
        stream.rounds(vector([sum_4, sum_5, sum_6, low.wrapping_add(K[7])]));
        stream
    }

    /// Does four rounds; `sums` are message words plus round constants.
    #[target_feature(enable = "neon,sha2")]
    #[inline]
    fn rounds(&mut self, sums: uint32x4_t) {
        let before = self.abcd;
        self.abcd = vsha256hq_u32(before, self.efgh, sums);
        self.efgh = vsha256h2q_u32(self.efgh, before, sums);
    }

    /// Does four rounds with the newest message words, which begin at word `t`.
    #[target_feature(enable = "neon,sha2")]
    #[inline]
    fn rounds_of_word(&mut self, t: usize) {
        self.rounds(vaddq_u32(self.w[3], four(&K, t)));
    }

    /// Computes the next four message words; `begun` is the first step, from the oldest words.
    #[target_feature(enable = "neon,sha2")]
    #[inline]
    fn schedule(&mut self, begun: uint32x4_t) {
        let [_, w1, w2, w3] = self.w;
        self.w = [w1, w2, w3, vsha256su1q_u32(begun, w2, w3)];
    }

    /// The first word of the digest.
    #[target_feature(enable = "neon,sha2")]
    #[inline]
    fn first_word(&self, c: &Constants) -> u32 {
        vgetq_lane_u32::<0>(self.abcd).wrapping_add(c.first_word)
    }
}

#[target_feature(enable = "neon,sha2")]
#[inline]
fn vector(words: [u32; 4]) -> uint32x4_t {
    // SAFETY: the array is 16 readable bytes, and the load needs no more alignment than a word has.
    unsafe { vld1q_u32(words.as_ptr()) }
}

/// The four words from index `t` on.
#[target_feature(enable = "neon,sha2")]
#[inline]
fn four<const N: usize>(words: &[u32; N], t: usize) -> uint32x4_t {
    vector([words[t], words[t + 1], words[t + 2], words[t + 3]])
}
