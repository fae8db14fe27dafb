//! Difficulty: bits, target and work.
//!
//! Spec: `proto-notes/consensus.md`, "Difficulty". The polynomial is that of aserti3-2d (Bitcoin Cash, 2020).

use core::fmt;

use serde::{Serialize, Serializer};

/// The difficulty of a block: the base-2 logarithm of the expected hashes, times the halflife in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Bits(pub u32);

/// The number that a block's hash must stay below, 32 bytes big-endian.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target([u8; 32]);

/// The lowest difficulty, in doublings: 16 zero bits, so that every block hash starts with `0000`.
pub const FLOOR_DOUBLINGS: u32 = 16;
/// The highest difficulty, in doublings; no target exists above it.
pub const MAX_DOUBLINGS: u32 = 239;
/// The longest halflife for which the ceiling fits 32 bits, in milliseconds.
pub const HALFLIFE_MAX_MS: u32 = u32::MAX / MAX_DOUBLINGS;

impl Bits {
    /// The lowest difficulty for a halflife in milliseconds.
    #[must_use]
    pub const fn floor(halflife_ms: u32) -> Self {
        Self(halflife_ms.saturating_mul(FLOOR_DOUBLINGS))
    }

    /// The highest difficulty for a halflife in milliseconds.
    #[must_use]
    pub const fn ceiling(halflife_ms: u32) -> Self {
        Self(halflife_ms.saturating_mul(MAX_DOUBLINGS))
    }

    /// The bits that a child block must carry: `max(floor, parent + spacing - elapsed)`, saturating.
    #[must_use]
    pub fn step(self, halflife_ms: u32, spacing_ms: u64, elapsed_ms: u64) -> Self {
        let raised = u64::from(self.0).saturating_add(spacing_ms).saturating_sub(elapsed_ms);
        let bits = u32::try_from(raised).unwrap_or(u32::MAX);
        Self(bits).max(Self::floor(halflife_ms))
    }

    /// `q` and `m` of the target `m * 2^(239 - q)`; none if the bits lie outside floor to ceiling.
    fn parts(self, halflife_ms: u32) -> Option<(u32, u32)> {
        if halflife_ms == 0 || self < Self::floor(halflife_ms) || self > Self::ceiling(halflife_ms) {
            return None;
        }
        let (q, r) = (self.0 / halflife_ms, self.0 % halflife_ms);
        let f = u128::from(halflife_ms - r) * 65_536 / u128::from(halflife_ms);
        if f == 65_536 {
            return Some((q, 131_072));
        }
        let polynomial = 195_766_423_245_049 * f + 971_821_376 * f * f + 5_127 * f * f * f + (1 << 47);
        let m = 65_536 + (polynomial >> 48);
        Some((q, u32::try_from(m).expect("the polynomial stays below 65,537")))
    }

    /// The target for these bits; none if the bits lie outside floor to ceiling.
    #[must_use]
    pub fn target(self, halflife_ms: u32) -> Option<Target> {
        let (q, m) = self.parts(halflife_ms)?;
        let mut limbs = Work::ZERO;
        limbs.add_shifted(u64::from(m), MAX_DOUBLINGS - q);
        Some(Target(limbs.to_be_bytes()))
    }

    /// The number of hashes a miner is expected to need, `floor(2^256 / limit)`; none outside floor to ceiling.
    #[must_use]
    pub fn work(self, halflife_ms: u32) -> Option<Work> {
        let (q, m) = self.parts(halflife_ms)?;
        let mut work = Work::ZERO;
        if m == 131_072 {
            // Whole doublings: m is 2^17, and 2^256 itself would not fit.
            work.add_shifted(1, q);
            return Some(work);
        }
        // 2^256 / (m * 2^(239 - q)) = 2^(17 + q) / m
        work.add_shifted(1, 17 + q);
        Some(work.divided_by(m))
    }
}

impl Target {
    /// The limit as 32 bytes, big-endian.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether a hash, read big-endian, is below the limit.
    #[must_use]
    pub fn is_met_by(&self, hash: &[u8; 32]) -> bool {
        hash < &self.0
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A number of expected hashes, summed along a branch: 256 bits unsigned, least significant limb first.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Work([u64; 4]);

impl Work {
    /// The work of the genesis block.
    pub const ZERO: Self = Self([0; 4]);

    /// Adds two amounts of work; the sum stops at 2^256 - 1.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let mut sum = [0; 4];
        let mut carry = false;
        for ((out, a), b) in sum.iter_mut().zip(self.0).zip(other.0) {
            let (part, first) = a.overflowing_add(b);
            let (part, second) = part.overflowing_add(u64::from(carry));
            *out = part;
            carry = first || second;
        }
        if carry { Self([u64::MAX; 4]) } else { Self(sum) }
    }

    /// The number as thirty-two bytes, big-endian.
    #[must_use]
    pub fn to_be_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, limb) in bytes.chunks_exact_mut(8).zip(self.0.iter().rev()) {
            chunk.copy_from_slice(&limb.to_be_bytes());
        }
        bytes
    }

    /// Reads the number from thirty-two bytes, big-endian.
    #[must_use]
    pub fn from_be_bytes(bytes: [u8; 32]) -> Self {
        let mut limbs = [0; 4];
        for (limb, chunk) in limbs.iter_mut().rev().zip(bytes.chunks_exact(8)) {
            *limb = u64::from_be_bytes(chunk.try_into().expect("chunks of eight bytes"));
        }
        Self(limbs)
    }

    /// The nearest double, used for hash rates and expected times.
    #[must_use]
    #[expect(
        clippy::as_conversions,
        reason = "u64 to f64 has no other conversion, and rounding is meant"
    )]
    pub fn to_f64(self) -> f64 {
        self.0
            .iter()
            .rev()
            .fold(0.0, |sum, limb| sum * 18_446_744_073_709_551_616.0 + *limb as f64)
    }

    /// Adds `value * 2^shift` to a number whose upper bits are still zero.
    fn add_shifted(&mut self, value: u64, shift: u32) {
        let wide = u128::from(value) << (shift % 64);
        let low = u64::try_from(wide & u128::from(u64::MAX)).expect("masked to 64 bits");
        let high = u64::try_from(wide >> 64).expect("shifted to 64 bits");
        let index = usize::try_from(shift / 64).expect("at most 3");
        let mut part = Self::ZERO;
        part.0[index] = low;
        if let Some(limb) = part.0.get_mut(index + 1) {
            *limb = high;
        }
        *self = self.plus(part);
    }

    /// Divides by a small number and drops the remainder.
    fn divided_by(self, divisor: u32) -> Self {
        let divisor = u128::from(divisor);
        let mut quotient = [0; 4];
        let mut remainder = 0_u128;
        for (out, limb) in quotient.iter_mut().zip(self.0).rev() {
            let part = (remainder << 64) | u128::from(limb);
            *out = u64::try_from(part / divisor).expect("the remainder is below the divisor");
            remainder = part % divisor;
        }
        Self(quotient)
    }
}

impl Ord for Work {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.0.iter().rev().cmp(other.0.iter().rev())
    }
}

impl PartialOrd for Work {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.to_be_bytes()))
    }
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Work({:.0})", self.to_f64())
    }
}

impl Serialize for Work {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const H: u32 = 120_000;

    #[test]
    fn checked_values_of_the_design_hold() {
        let cases = [
            (1_920_000, "0001000000000000", 65_536_u64),
            (1_930_000, "0000f1a780000000", 69_426),
            (2_040_000, "0000800000000000", 131_072),
            (3_600_001, "00000003fffe0000", 1_073_750_016),
        ];
        for (bits, limit, work) in cases {
            let target = Bits(bits).target(H).expect("in range");
            assert_eq!(&hex::encode(target.as_bytes())[..16], limit);
            let mut expected = Work::ZERO;
            expected.add_shifted(work, 0);
            assert_eq!(Bits(bits).work(H), Some(expected));
        }
    }

    #[test]
    fn no_target_exists_outside_floor_and_ceiling() {
        assert_eq!(Bits(16 * H - 1).target(H), None);
        assert_eq!(Bits(239 * H + 1).target(H), None);
        assert!(Bits(239 * H).target(H).is_some());
    }

    #[test]
    fn a_hash_that_equals_the_limit_does_not_meet_it() {
        let target = Bits(16 * H).target(H).expect("floor");
        assert!(!target.is_met_by(target.as_bytes()));
        let mut below = [0xff; 32];
        below[..2].copy_from_slice(&[0, 0]);
        assert!(target.is_met_by(&below));
    }

    #[test]
    fn targets_never_rise_with_the_bits() {
        let mut last = Bits(16 * H).target(H).expect("floor");
        for bits in 16 * H..18 * H {
            let target = Bits(bits).target(H).expect("in range");
            assert!(target <= last, "{bits}");
            last = target;
        }
    }

    #[test]
    fn a_step_is_a_subtraction_that_stops_at_the_floor() {
        let bits = Bits(2_000_000);
        assert_eq!(bits.step(H, 10_000, 4_000), Bits(2_006_000));
        assert_eq!(bits.step(H, 10_000, 60_000), Bits(1_950_000));
        assert_eq!(bits.step(H, 10_000, u64::MAX), Bits::floor(H));
    }
}
