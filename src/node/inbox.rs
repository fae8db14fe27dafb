//! What waits for the engine: three lanes, so that a flood from the network delays neither a user nor the disk.
//!
//! Promises: facts of the disk and commands are never lost and never block their sender; the network's lane holds at
//! most [`NET_LANE_MAX`] facts and hands back what does not fit.
//! Elsewhere: what the engine makes of it (`node::engine_thread`).

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Input, NetFact, Part, PartFact, StoreFact};

/// Facts of the network that may wait: a second of a flood, a few MiB of blocks at the gossip layer's own limits.
pub const NET_LANE_MAX: usize = 1_024;

/// What the engine thread takes next.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "one at a time, moved once")]
pub enum Taken {
    /// A fact or a command.
    Input(Input),
    /// Nothing came in time.
    Nothing,
}

/// Which lanes are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lanes {
    /// All of them.
    All,
    /// Too much waits for the disk: only its facts.
    DiskOnly,
}

/// The queue before the engine. Shared by all that tell it something.
#[derive(Debug, Default)]
pub struct Inbox {
    lanes: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Bounded by the batches in flight.
    disk: VecDeque<StoreFact>,
    /// Commands (one at a time), the miner's finds, the stop.
    urgent: VecDeque<Input>,
    /// Bounded by [`NET_LANE_MAX`].
    net: VecDeque<NetFact>,
}

impl Waiting {
    fn take(&mut self, lanes: Lanes) -> Option<Input> {
        if let Some(fact) = self.disk.pop_front() {
            return Some(Input::Store(fact));
        }
        if lanes == Lanes::DiskOnly {
            return None;
        }
        let urgent = self.urgent.pop_front();
        urgent.or_else(|| self.net.pop_front().map(Input::Net))
    }
}

impl Inbox {
    /// Tells what the disk did. Never refused.
    pub fn push_disk(&self, fact: StoreFact) {
        self.lanes().disk.push_back(fact);
        self.wake.notify_one();
    }

    /// Tells a command, a find of the miner, the stop. Never refused; their senders are few and wait for answers.
    pub fn push(&self, input: Input) {
        self.lanes().urgent.push_back(input);
        self.wake.notify_one();
    }

    /// Tells that a part of the node has failed for good. Never refused.
    pub fn failed(&self, part: Part, reason: &str) {
        self.push(Input::Part(PartFact::Ended {
            part,
            reason: reason.to_owned(),
            again_ms: None,
        }));
    }

    /// Tells what the network saw.
    ///
    /// # Errors
    /// Hands the fact back when the lane is full.
    #[expect(clippy::result_large_err, reason = "a refused fact goes back to its sender")]
    pub fn push_net(&self, fact: NetFact) -> Result<(), NetFact> {
        let mut lanes = self.lanes();
        if lanes.net.len() >= NET_LANE_MAX {
            return Err(fact);
        }
        lanes.net.push_back(fact);
        self.wake.notify_one();
        Ok(())
    }

    /// The next of the open lanes, or nothing after `patience`.
    #[must_use]
    pub fn take(&self, lanes: Lanes, patience: Duration) -> Taken {
        let deadline = Instant::now() + patience;
        let mut waiting = self.lanes();
        loop {
            if let Some(input) = waiting.take(lanes) {
                return Taken::Input(input);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Taken::Nothing;
            }
            let woken = self.wake.wait_timeout(waiting, left);
            waiting = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Every operation leaves the lanes whole, so a panic elsewhere harms nothing here.
    fn lanes(&self) -> MutexGuard<'_, Waiting> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Address;

    fn listening(port: usize) -> NetFact {
        let (address, _) = Address::parse(&format!("127.0.0.1:{}", port + 1)).unwrap();
        NetFact::Listening(address)
    }

    #[test]
    fn disk_and_commands_overtake_a_full_network_lane() {
        let inbox = Inbox::default();
        for port in 0..NET_LANE_MAX {
            inbox.push_net(listening(port)).unwrap();
        }
        assert!(inbox.push_net(listening(0)).is_err());
        inbox.push(Input::Stop);
        inbox.push_disk(StoreFact::Reopened);
        let next = |lanes| inbox.take(lanes, Duration::ZERO);
        assert!(matches!(next(Lanes::All), Taken::Input(Input::Store(_))));
        assert!(matches!(next(Lanes::DiskOnly), Taken::Nothing));
        assert!(matches!(next(Lanes::All), Taken::Input(Input::Stop)));
        assert!(matches!(next(Lanes::All), Taken::Input(Input::Net(_))));
        assert!(inbox.push_net(listening(0)).is_ok());
    }
}
