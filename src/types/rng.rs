//! A small seeded random number generator for jitter, random choices and eviction. It must not be used for secrets.

/// SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator for this seed; the same seed gives the same numbers on every machine.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws the next 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Draws a number below `bound`, or 0 if the bound is 0. The bias is below `bound` / 2^64.
    pub const fn below(&mut self, bound: u64) -> u64 {
        match self.next_u64().checked_rem(bound) {
            Some(value) => value,
            None => 0,
        }
    }

    /// Draws a time from an exponential distribution with mean `mean_ms`; the largest is 22 times the mean. It computes
    /// -ln(u), with u in (0, 1], from the binary digits of the logarithm, in whole numbers, so that it is the same on
    /// every machine.
    pub fn exponential_ms(&mut self, mean_ms: u64) -> u64 {
        // u is `draw` / 2^32.
        let draw = self.below(1 << 32) + 1;
        let whole = u64::from(draw.ilog2());
        // The remaining factor between 1 and 2, with 31 binary digits after the point.
        let mut rest = if whole >= 31 {
            draw >> (whole - 31)
        } else {
            draw << (31 - whole)
        };
        let (mut log2, mut digit) = (whole << LOG_DIGITS, 1_u64 << LOG_DIGITS);
        while digit > 1 {
            digit >>= 1;
            rest = (rest * rest) >> 31;
            if rest >> 32 > 0 {
                rest >>= 1;
                log2 += digit;
            }
        }
        let minus_log2 = (32 << LOG_DIGITS) - log2;
        let product = u128::from(minus_log2) * u128::from(LN_2) * u128::from(mean_ms);
        u64::try_from(product >> (2 * LOG_DIGITS)).unwrap_or(u64::MAX)
    }
}

/// The number of binary digits that logarithms have after the point.
const LOG_DIGITS: u32 = 20;
/// ln 2, with [`LOG_DIGITS`] binary digits after the point.
const LN_2: u64 = 726_817;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_times_have_their_mean_and_their_shape() {
        let mut rng = Rng::new(7);
        let times: Vec<u64> = (0..100_000).map(|_| rng.exponential_ms(1_000)).collect();
        let mean = times.iter().sum::<u64>() / 100_000;
        assert!((985..=1_015).contains(&mean), "{mean}");
        for (bound, share) in [(105, 10_000), (693, 50_000), (2_303, 90_000), (4_605, 99_000)] {
            let below = times.iter().filter(|time| **time < bound).count();
            assert!(below.abs_diff(share) < 700, "{below} of 100,000 below {bound} ms");
        }
        assert!(times.iter().all(|time| *time <= 22_181));
    }

    #[test]
    fn an_exponential_time_is_the_logarithm_of_the_draw() {
        let mut rng = Rng::new(9);
        for _ in 0..10_000 {
            let draw = rng.clone().below(1 << 32) + 1;
            let exact = -(f64::from(u32::try_from(draw - 1).unwrap()) + 1.0).ln() + 32.0 * core::f64::consts::LN_2;
            let told = rng.exponential_ms(1_000_000);
            let told = f64::from(u32::try_from(told).unwrap()) / 1_000_000.0;
            assert!((told - exact).abs() < 0.000_01, "{draw}: {told} and not {exact}");
        }
    }
}
