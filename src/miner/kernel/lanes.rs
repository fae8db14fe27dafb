//! The attempt in many lanes, written once for all vector widths.
//!
//! A kernel file names its vector type and defines these functions for its processor features: `splat`, `add`, `big_0`,
//! `big_1`, `small_0`, `small_1`, `choice`, `majority`, `first_lanes` (0, 1, 2, … in the lanes), `not_above` (a bit for
//! each lane that is at most the limit), `load` and `store`.
//!
//! Promises: `scan_lanes` returns the lowest candidate in `first..=last` and none outside, although it computes whole
//! vectors at the end.
//!
//! Compared with a plain compression, an attempt saves this: rounds 0 to 6 and message words 16 to 21 are constants, 15
//! more words have a constant part, and the last round computes only the first word of the digest.
//!
//! `hash_lanes` is plain SHA-256 for messages of two chunks, with the same rounds.

#[cfg(target_arch = "x86_64")]
/// Defines `scan_lanes` and its parts for the vector operations in scope.
macro_rules! lane_kernel {
    ($features:literal, $vector:ty, $lanes:literal) => {
        /// Does the work of [`super::Kernel::scan`].
        #[target_feature(enable = $features)]
        fn scan_lanes(p: &Prepared, first: u32, last: u32) -> Option<u32> {
            let limit = splat(p.limit_top);
            let step = splat($lanes);
            // A vector in memory before registers are assigned makes the compiler align the whole stack frame. Without
            // it, vectors that find no register cross cache lines, which is up to three times slower.
            core::hint::black_box(&step);
            let mut nonces = add(splat(first), first_lanes());
            let mut base = first;
            loop {
                // The constants are read where they are used; if the compiler moved them out of the loop, they would
                // fill the stack.
                let mut hits = not_above(attempt(core::hint::black_box(p), nonces), limit);
                let behind = last - base;
                if hits != 0 {
                    if behind < $lanes - 1 {
                        // The vector extends beyond the range, so the lanes after its end are masked.
                        hits &= (2 << behind) - 1;
                    }
                    if hits != 0 {
                        return Some(base + hits.trailing_zeros());
                    }
                }
                if behind < $lanes {
                    return None;
                }
                base += $lanes;
                nonces = add(nonces, step);
            }
        }

        /// The first word of the digest for each attempt with these low nonce halves.
        #[target_feature(enable = $features)]
        #[inline]
        fn attempt(p: &Prepared, x: $vector) -> $vector {
            let [a, b, c, _, e, f, g, _] = p.before_round_7;
            let mut s = [
                add(x, splat(p.a8)),
                splat(a),
                splat(b),
                splat(c),
                add(x, splat(p.e8)),
                splat(e),
                splat(f),
                splat(g),
            ];
            unroll!(i in [0, 1, 2] {
                // `h` is constant in these rounds and is already part of the sum.
                s = round_from(s, splat(p.round_sums[i]));
            });
            unroll!(i in [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13] {
                s = round(s, splat(p.round_sums[i]));
            });
            let mut w = varying_words(p, x);
            // `w` holds words 22 to 37, each at its number modulo 16.
            unroll!(i in [6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5] {
                let t = if i < 6 { i + 32 } else { i + 16 };
                s = round(s, add(w[i], splat(K[t])));
            });
            unroll!(i in [6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
                w[i] = next_word(&w, i);
                s = round(s, add(w[i], splat(K[i + 32])));
            });
            unroll!(i in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14] {
                w[i] = next_word(&w, i);
                s = round(s, add(w[i], splat(K[i + 48])));
            });
            let [first, ..] = round(s, add(next_word(&w, 15), splat(p.last_sum)));
            first
        }

        /// The digests of as many messages as there are lanes. The padded messages come as 32 words in two chunks; each
        /// array holds the same word of all messages.
        #[target_feature(enable = $features)]
        fn hash_lanes(words: &[[u32; $lanes]; 32]) -> [[u32; $lanes]; 8] {
            let mut state = INITIAL.map(|word| splat(word));
            for chunk in words.as_chunks::<16>().0 {
                let mut w: [$vector; 16] = core::array::from_fn(|i| load(&chunk[i]));
                let mut s = state;
                unroll!(i in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
                    s = round(s, add(w[i], splat(K[i])));
                });
                for k in K[16..].as_chunks::<16>().0 {
                    unroll!(i in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15] {
                        w[i] = next_word(&w, i);
                        s = round(s, add(w[i], splat(k[i])));
                    });
                }
                state = core::array::from_fn(|i| add(state[i], s[i]));
            }
            state.map(|vector| store(vector))
        }

        /// Message words 22 to 37, each at its number modulo 16: a constant plus the part that depends on word 7.
        #[target_feature(enable = $features)]
        #[inline]
        fn varying_words(p: &Prepared, x: $vector) -> [$vector; 16] {
            let constant = |t: usize| splat(p.words[t - 16]);
            let w22 = add(small_0(x), constant(22));
            let w23 = add(x, constant(23));
            let w24 = add(small_1(w22), constant(24));
            let w25 = add(small_1(w23), constant(25));
            let w26 = add(small_1(w24), constant(26));
            let w27 = add(small_1(w25), constant(27));
            let w28 = add(small_1(w26), constant(28));
            // Words 13 and 14 are padding, so word 29 has no constant part.
            let w29 = add(small_1(w27), w22);
            let w30 = add(add(small_1(w28), w23), constant(30));
            let w31 = add(add(small_1(w29), w24), constant(31));
            let w32 = add(add(small_1(w30), w25), constant(32));
            let w33 = add(add(small_1(w31), w26), constant(33));
            let w34 = add(add(small_1(w32), w27), constant(34));
            let w35 = add(add(small_1(w33), w28), constant(35));
            let w36 = add(add(small_1(w34), w29), constant(36));
            let w37 = add(add(small_1(w35), w30), add(small_0(w22), constant(21)));
            [
                w32, w33, w34, w35, w36, w37, w22, w23, w24, w25, w26, w27, w28, w29, w30, w31,
            ]
        }

        /// The message word that replaces the one 16 words before it, at index `i` modulo 16.
        #[target_feature(enable = $features)]
        #[inline]
        fn next_word(w: &[$vector; 16], i: usize) -> $vector {
            let old = add(w[i], w[(i + 9) % 16]);
            add(add(old, small_0(w[(i + 1) % 16])), small_1(w[(i + 14) % 16]))
        }

        /// Does one round; `sum` is the round constant plus the message word.
        #[target_feature(enable = $features)]
        #[inline]
        fn round(s: [$vector; 8], sum: $vector) -> [$vector; 8] {
            round_from(s, add(s[7], sum))
        }

        /// Does one round with a sum that already includes `h`.
        #[target_feature(enable = $features)]
        #[inline]
        fn round_from([a, b, c, d, e, f, g, _]: [$vector; 8], sum: $vector) -> [$vector; 8] {
            // The sum and the choice are added first, because they are ready earlier than the sigma.
            let t1 = add(add(sum, choice(e, f, g)), big_1(e));
            let t2 = add(big_0(a), majority(a, b, c));
            [add(t1, t2), a, b, c, add(d, t1), e, f, g]
        }
    };
}

/// Repeats a block with a constant index: vectors stay in registers only if every index is known at compile time.
macro_rules! unroll {
    ($i:ident in [$($n:literal),*] $block:block) => {
        $({ let $i: usize = $n; $block })*
    };
}

#[cfg(target_arch = "x86_64")]
pub(super) use lane_kernel;
pub(super) use unroll;
