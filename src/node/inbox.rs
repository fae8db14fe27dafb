//! What waits for the engine, in lanes: a flood from the network delays neither a user nor the disk nor a block.
//!
//! Promises: facts of the disk and commands are never lost and never block their sender; of the network's facts those
//! that end a request, connect, or bring a block or a status go before questions and payments, in the order in which they
//! were read; questions and payments wait in lanes of their own, where voices take turns, and within a voice its
//! identities; no lane grows beyond its maximum.
//! Elsewhere: what the engine makes of it (`node::engine_thread`), what the network does with what is refused
//! (`net::outbox`).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::{Input, NetFact, Part, PartFact, StoreFact};
use crate::types::prefix::Prefix;
use crate::types::{PeerId, Voice, has_share};
use crate::wire::{Request, Topic};

/// Facts that may wait in one of the network's lanes: a second of a flood, a few MiB of blocks at the gossip layer's own
/// limits.
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

/// What of the facts that end a request was taken before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// All that the network has told.
    All,
    /// All that the network read before this moment.
    Before(Instant),
    /// One found no room and waits outside.
    NotAll,
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

/// Where a fact of the network waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Connections, answers, blocks, statuses.
    First,
    /// What costs this node work and helps the sender.
    Questions(PeerId),
    /// Payments, and addresses that were found.
    Payments(PeerId),
}

fn place(fact: &NetFact) -> Place {
    match fact {
        NetFact::Gossip { topic, peer, .. } if *topic == Topic::Transactions => Place::Payments(*peer),
        NetFact::Found { peer, .. } => Place::Payments(*peer),
        NetFact::Request { request, peer, .. } if !matches!(request, Request::Status(_)) => Place::Questions(*peer),
        _ => Place::First,
    }
}

#[derive(Debug, Default)]
struct Waiting {
    /// Bounded by the batches in flight.
    disk: VecDeque<StoreFact>,
    /// Commands (one at a time), the miner's finds, verdicts on bodies that the engine sent for, the stop.
    urgent: VecDeque<Input>,
    /// With the moment at which each was read. Bounded by [`NET_LANE_MAX`].
    first: VecDeque<(Instant, NetFact)>,
    /// A fact of the first lane found no room and waits outside.
    overflows: bool,
    questions: Turns,
    payments: Turns,
    /// Whose turn it is of the two.
    payments_next: bool,
    /// Whose voice a connected peer's is. As many as there are connections.
    voices: BTreeMap<PeerId, Voice>,
    networks: Vec<Prefix>,
}

impl Waiting {
    /// Learns whose voice speaks where.
    fn note(&mut self, fact: &NetFact) {
        match fact {
            NetFact::Connected { peer, address, .. } => {
                let voice = Voice::of(*peer, address, &self.networks);
                self.voices.insert(*peer, voice);
            }
            NetFact::Disconnected { peer, .. } => {
                self.voices.remove(peer);
            }
            NetFact::Networks(networks) => self.networks.clone_from(networks),
            _ => {}
        }
    }

    fn from(&self, peer: PeerId) -> (Voice, PeerId) {
        let voice = self.voices.get(&peer).copied();
        (voice.unwrap_or(Voice::Identity(peer)), peer)
    }

    fn take(&mut self, lanes: Lanes) -> Option<Input> {
        if let Some(fact) = self.disk.pop_front() {
            return Some(Input::Store(fact));
        }
        if lanes == Lanes::DiskOnly {
            return None;
        }
        if let Some(input) = self.urgent.pop_front() {
            return Some(input);
        }
        if let Some((_, fact)) = self.first.pop_front() {
            return Some(Input::Net(fact));
        }
        self.payments_next = !self.payments_next;
        let fact = if self.payments_next {
            self.payments.pop().or_else(|| self.questions.pop())
        } else {
            self.questions.pop().or_else(|| self.payments.pop())
        };
        fact.map(Input::Net)
    }

    fn heard(&self) -> Heard {
        match self.first.front() {
            Some((read, _)) => Heard::Before(*read),
            None if self.overflows => Heard::NotAll,
            None => Heard::All,
        }
    }
}

/// Facts of many senders. Voices take turns, and within one its identities.
#[derive(Debug, Default)]
struct Turns {
    voices: BTreeMap<Voice, Senders>,
    order: VecDeque<Voice>,
    count: usize,
}

/// The identities of one voice, who take turns.
#[derive(Debug, Default)]
struct Senders {
    queues: BTreeMap<PeerId, VecDeque<NetFact>>,
    order: VecDeque<PeerId>,
    count: usize,
}

impl Senders {
    /// With one more of this one: how many there are, and how many of its facts wait.
    fn with(&self, sender: PeerId) -> (usize, usize) {
        let own = self.queues.get(&sender).map_or(0, VecDeque::len);
        (self.queues.len() + usize::from(own == 0), own)
    }

    fn push(&mut self, sender: PeerId, fact: NetFact) {
        let queue = self.queues.entry(sender).or_default();
        if queue.is_empty() {
            self.order.push_back(sender);
        }
        queue.push_back(fact);
        self.count += 1;
    }

    fn pop(&mut self) -> Option<NetFact> {
        let sender = self.order.pop_front()?;
        let queue = self.queues.get_mut(&sender)?;
        let fact = queue.pop_front()?;
        self.count -= 1;
        if queue.is_empty() {
            self.queues.remove(&sender);
        } else {
            self.order.push_back(sender);
        }
        Some(fact)
    }
}

impl Turns {
    /// Adds a fact, or hands it back: no voice has more than its share of the lane, nor an identity of what its voice has.
    #[expect(clippy::result_large_err, reason = "a refused fact goes back to its sender")]
    fn push(&mut self, (voice, sender): (Voice, PeerId), fact: NetFact) -> Result<(), NetFact> {
        let known = self.voices.get(&voice);
        let voices = self.voices.len() + usize::from(known.is_none());
        let of_voice = known.map_or(0, |senders| senders.count);
        let (senders, own) = known.map_or((1, 0), |known| known.with(sender));
        let has_place = has_share(self.count, NET_LANE_MAX, voices, of_voice)
            && has_share(of_voice, NET_LANE_MAX / 2, senders, own);
        if !has_place {
            return Err(fact);
        }
        if known.is_none() {
            self.order.push_back(voice);
        }
        self.voices.entry(voice).or_default().push(sender, fact);
        self.count += 1;
        Ok(())
    }

    fn pop(&mut self) -> Option<NetFact> {
        let voice = self.order.pop_front()?;
        let senders = self.voices.get_mut(&voice)?;
        let fact = senders.pop()?;
        self.count -= 1;
        if senders.count == 0 {
            self.voices.remove(&voice);
        } else {
            self.order.push_back(voice);
        }
        Some(fact)
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

    /// Tells what was seen of the network outside its task.
    ///
    /// # Errors
    /// Hands the fact back when the lane is full.
    #[expect(clippy::result_large_err, reason = "a refused fact goes back to its sender")]
    pub fn push_net(&self, fact: NetFact) -> Result<(), NetFact> {
        self.push_read(Instant::now(), fact)
    }

    /// Tells what the network's task read at a moment. It tells in the order in which it read, and tells again what was
    /// handed back, unless it may be lost.
    ///
    /// # Errors
    /// Hands the fact back when the lane is full.
    #[expect(clippy::result_large_err, reason = "a refused fact goes back to its sender")]
    pub fn push_read(&self, read: Instant, fact: NetFact) -> Result<(), NetFact> {
        let mut lanes = self.lanes();
        lanes.note(&fact);
        match place(&fact) {
            Place::First if lanes.first.len() >= NET_LANE_MAX => {
                // Gossip that is refused is not told again.
                lanes.overflows |= !matches!(fact, NetFact::Gossip { .. });
                return Err(fact);
            }
            Place::First => {
                lanes.overflows = false;
                lanes.first.push_back((read, fact));
            }
            Place::Questions(sender) => {
                let from = lanes.from(sender);
                lanes.questions.push(from, fact)?;
            }
            Place::Payments(sender) => {
                let from = lanes.from(sender);
                lanes.payments.push(from, fact)?;
            }
        }
        drop(lanes);
        self.wake.notify_one();
        Ok(())
    }

    /// Whether nothing that ends a request waits.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        let lanes = self.lanes();
        lanes.first.is_empty() && !lanes.overflows
    }

    /// Whether nothing waits at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let lanes = self.lanes();
        let network = lanes.first.len() + lanes.questions.count + lanes.payments.count;
        network == 0 && lanes.disk.is_empty() && lanes.urgent.is_empty()
    }

    /// The next of the open lanes, or nothing after `patience`.
    #[must_use]
    pub fn take(&self, lanes: Lanes, patience: Duration) -> Taken {
        self.next(lanes, patience).0
    }

    /// The same, and what was taken before.
    #[must_use]
    pub fn next(&self, lanes: Lanes, patience: Duration) -> (Taken, Heard) {
        let deadline = Instant::now() + patience;
        let mut waiting = self.lanes();
        loop {
            let heard = waiting.heard();
            if let Some(input) = waiting.take(lanes) {
                return (Taken::Input(input), heard);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (Taken::Nothing, heard);
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
mod tests;
