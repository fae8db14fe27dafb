//! Proof of work in simulated time: how long a search takes is drawn, the nonce is a real one.
//!
//! Promises: a header is sealed by the node's own kernels; the same header gets the same nonce in every run.

use std::sync::atomic::{AtomicBool, AtomicU64};

use lanchain::chain::{Header, NetworkParams};
use lanchain::miner::MiningWork;
use lanchain::miner::search::{SearchOutcome, search};
use lanchain::types::Target;
use lanchain::types::rng::Rng;

/// The lowest nonce that meets the target.
pub(crate) fn nonce(header: &Header, target: &Target) -> u64 {
    let work = MiningWork {
        header: header.to_bytes(),
        limit: *target.as_bytes(),
    };
    match search(&work, 0..=u64::MAX, &AtomicBool::new(false), &AtomicU64::new(0)) {
        SearchOutcome::Found(nonce) => nonce,
        SearchOutcome::Exhausted | SearchOutcome::Cancelled => panic!("no nonce in 2^64"),
    }
}

/// Gives a header a nonce that meets its own bits; bits outside the range leave it as it is.
pub(crate) fn seal(mut header: Header, params: &NetworkParams) -> Header {
    if let Some(target) = header.bits.target(params.halflife_ms) {
        header.nonce = nonce(&header, &target);
    }
    header
}

/// Milliseconds until a search finds something: exponential, as attempts have no memory.
pub(crate) fn search_ms(rng: &mut Rng, work: f64, hashes_per_second: u64) -> u64 {
    let draw = u32::try_from(rng.below(1 << 32)).unwrap_or(0);
    let uniform = (f64::from(draw) + 1.0) / 4_294_967_296.0;
    let rate = f64::from(u32::try_from(hashes_per_second.max(1)).unwrap_or(u32::MAX));
    let seconds = (-uniform.ln() * work / rate).clamp(0.001, 1_000_000.0);
    u64::try_from(std::time::Duration::from_secs_f64(seconds).as_millis()).unwrap_or(u64::MAX)
}
