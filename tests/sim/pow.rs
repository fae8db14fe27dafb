//! Proof of work in simulated time: how long a search takes is drawn, the nonce is a real one (`testing::blocks`).

use lanchain::types::rng::Rng;

/// Milliseconds until a search finds something: exponential, as attempts have no memory.
pub(crate) fn search_ms(rng: &mut Rng, work: f64, hashes_per_second: u64) -> u64 {
    let draw = u32::try_from(rng.below(1 << 32)).unwrap_or(0);
    let uniform = (f64::from(draw) + 1.0) / 4_294_967_296.0;
    let rate = f64::from(u32::try_from(hashes_per_second.max(1)).unwrap_or(u32::MAX));
    let seconds = (-uniform.ln() * work / rate).clamp(0.001, 1_000_000.0);
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_millis()).unwrap_or(u64::MAX)
}
