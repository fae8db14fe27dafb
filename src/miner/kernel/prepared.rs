//! The values that are the same for many attempts, computed once for each work and high nonce half.
//!
//! The second chunk of a header has words 0 to 5 fixed, word 6 with the nonce's high half, word 7 with its low half,
//! and then the padding of SHA-256. With a fixed high half, only word 7 varies. So
//! - rounds 0 to 6 are the same for every attempt, and round 7 adds word 7 to two constants;
//! - message words 16 to 21 are constant, 22 to 36 are a constant plus a short varying part.
//!
//! Promises: [`Prepared::meets`] is the full check through `sha2`, independent of the constants.
//! Elsewhere: the searches that use these values (the other files of this folder).

use super::super::MiningWork;
use sha2::block_api::compress256;

/// The round constants of SHA-256 (FIPS 180-4, 4.2.2).
#[rustfmt::skip]
pub(super) const K: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// The initial state of SHA-256 (FIPS 180-4, 5.3.3).
pub(super) const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The length of a header in bits, which the padding of SHA-256 contains.
const HEADER_BITS: u32 = 768;

/// A work after its first chunk: midstate, the words of the second chunk, the limit.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    midstate: [u32; 8],
    /// The second chunk with its padding; words 6 and 7 (the nonce) are zero.
    chunk: [u32; 16],
    limit: [u8; 32],
}

impl Template {
    /// Processes the first chunk, which does not contain the nonce.
    pub(crate) fn new(work: &MiningWork) -> Self {
        let (first, tail) = work.header.split_at(64);
        let mut block = [0_u8; 64];
        block.copy_from_slice(first);
        let mut midstate = INITIAL;
        compress256(&mut midstate, &[block]);
        let mut chunk = [0_u32; 16];
        for (word, bytes) in chunk.iter_mut().zip(tail.as_chunks::<4>().0).take(6) {
            *word = u32::from_be_bytes(*bytes);
        }
        chunk[8] = 0x8000_0000;
        chunk[15] = HEADER_BITS;
        Self {
            midstate,
            chunk,
            limit: work.limit,
        }
    }

    /// Computes the constants of all attempts whose nonce has this high half.
    pub(crate) fn prepare(&self, high: u32) -> Prepared {
        let mut chunk = self.chunk;
        chunk[6] = high;
        Prepared::new(self.midstate, chunk, self.limit)
    }
}

/// The constants of 2^32 attempts, which share the high half of the nonce.
#[allow(dead_code, reason = "which constants are read depends on the processor")]
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    /// The state of SHA-256 after the first chunk.
    pub(super) midstate: [u32; 8],
    /// The second chunk; word 7 is zero here.
    pub(super) chunk: [u32; 16],
    /// The working variables before rounds 4, 6 and 7.
    pub(super) before_round_4: [u32; 8],
    pub(super) before_round_6: [u32; 8],
    pub(super) before_round_7: [u32; 8],
    /// Round 7 sets the variables `a` and `e` to these values plus word 7.
    pub(super) a8: u32,
    pub(super) e8: u32,
    /// For rounds 8 to 21, from index 0: the round constant plus the message word, and `h` where it is constant.
    pub(super) round_sums: [u32; 14],
    /// Message words 16 to 36, from index 0: complete up to word 21, then only their constant part.
    pub(super) words: [u32; 21],
    /// The last round constant plus the first word of the midstate, so that the last round gives the digest's first
    /// word.
    pub(super) last_sum: u32,
    /// The first word of the limit. A digest whose first word is above it misses the limit.
    pub(super) limit_top: u32,
    limit: [u8; 32],
}

impl Prepared {
    fn new(midstate: [u32; 8], chunk: [u32; 16], limit: [u8; 32]) -> Self {
        let mut state = midstate;
        let mut before = [[0; 8]; 8];
        for (round, slot) in before.iter_mut().enumerate() {
            *slot = state;
            // The last iteration runs round 7 with word 7 = 0, which gives the constant parts of `a` and `e`.
            state = step(state, K[round].wrapping_add(chunk[round]));
        }
        let words = constant_words(&chunk);
        let before_7 = before[7];
        let constant_h = [before_7[6], before_7[5], before_7[4]];
        let mut round_sums = [0; 14];
        for (index, sum) in round_sums.iter_mut().enumerate() {
            let round = index + 8;
            let word = if round < 16 { chunk[round] } else { words[round - 16] };
            let h = constant_h.get(index).copied().unwrap_or(0);
            *sum = K[round].wrapping_add(word).wrapping_add(h);
        }
        let [t0, t1, t2, t3, ..] = limit;
        Self {
            midstate,
            chunk,
            before_round_4: before[4],
            before_round_6: before[6],
            before_round_7: before_7,
            a8: state[0],
            e8: state[4],
            round_sums,
            words,
            last_sum: K[63].wrapping_add(midstate[0]),
            limit_top: u32::from_be_bytes([t0, t1, t2, t3]),
            limit,
        }
    }

    /// The digest of the attempt with this low nonce half, computed by `sha2`.
    pub(super) fn digest_words(&self, low: u32) -> [u32; 8] {
        let mut chunk = self.chunk;
        chunk[7] = low;
        let mut block = [0; 64];
        for (bytes, word) in block.as_chunks_mut::<4>().0.iter_mut().zip(chunk) {
            *bytes = word.to_be_bytes();
        }
        let mut state = self.midstate;
        compress256(&mut state, &[block]);
        state
    }

    /// The rule itself: whether the whole digest of this attempt is below the limit.
    pub(crate) fn meets(&self, low: u32) -> bool {
        let mut digest = [0; 32];
        for (bytes, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(self.digest_words(low)) {
            *bytes = word.to_be_bytes();
        }
        digest < self.limit
    }
}

/// Does one round of plain SHA-256.
fn step([a, b, c, d, e, f, g, h]: [u32; 8], sum: u32) -> [u32; 8] {
    let big_1 = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
    let choice = (e & f) ^ (!e & g);
    let t1 = h.wrapping_add(sum).wrapping_add(big_1).wrapping_add(choice);
    let big_0 = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
    let majority = (a & b) ^ (a & c) ^ (b & c);
    let t2 = big_0.wrapping_add(majority);
    [t1.wrapping_add(t2), a, b, c, d.wrapping_add(t1), e, f, g]
}

fn small_0(x: u32) -> u32 {
    x.rotate_right(7) ^ x.rotate_right(18) ^ (x >> 3)
}

fn small_1(x: u32) -> u32 {
    x.rotate_right(17) ^ x.rotate_right(19) ^ (x >> 10)
}

/// Message words 16 to 36 without the part that depends on word 7, directly or through words 22 to 35.
fn constant_words(chunk: &[u32; 16]) -> [u32; 21] {
    // Words that vary (7, and 22 and later) count as zero here. Both small sigmas map zero to zero, so a varying word
    // that is zero drops exactly its own part.
    let mut all = [0_u32; 37];
    all[..16].copy_from_slice(chunk);
    all[7] = 0;
    let mut words = [0; 21];
    for (index, word) in words.iter_mut().enumerate() {
        let t = index + 16;
        *word = small_1(all[t - 2])
            .wrapping_add(all[t - 7])
            .wrapping_add(small_0(all[t - 15]))
            .wrapping_add(all[t - 16]);
        if t < 22 {
            all[t] = *word;
        }
    }
    words
}
