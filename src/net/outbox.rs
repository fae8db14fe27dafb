//! Facts on their way to the engine: a slow engine never stops the swarm task.
//!
//! Promises: facts that must arrive (connections, responses) keep their order and wait here; a fact that may be lost is
//! refused at once, so that the network can answer for the engine. No fact overtakes a waiting one. Each fact carries
//! the time when it was read, so that peers are not blamed for the engine's slowness.

use std::collections::VecDeque;
use std::time::Instant;

use super::FactSink;
use crate::engine::NetFact;

/// The number of waiting facts from which on the swarm is not polled: many times a few for each connection.
const WAITING_MAX: usize = 1024;
/// From this number of waiting facts on, reports of misbehaviour are dropped; the waiting ones name the peer already.
const MISBEHAVIOUR_MAX: usize = 256;

/// The queue of facts for the engine.
pub(super) struct FactQueue {
    sink: FactSink,
    waiting: VecDeque<(Instant, NetFact)>,
}

impl FactQueue {
    /// An empty queue in front of the engine's own.
    pub(super) fn new(sink: FactSink) -> Self {
        Self {
            sink,
            waiting: VecDeque::new(),
        }
    }

    /// Passes a fact on, now or later.
    pub(super) fn keep(&mut self, fact: NetFact) {
        if matches!(fact, NetFact::Malformed { .. }) && self.waiting.len() >= MISBEHAVIOUR_MAX {
            return;
        }
        self.waiting.push_back((Instant::now(), fact));
        self.flush();
    }

    /// Passes a fact on now, or drops it and returns false.
    pub(super) fn offer(&mut self, fact: NetFact) -> bool {
        self.flush();
        self.waiting.is_empty() && (self.sink)(Instant::now(), fact).is_ok()
    }

    /// Passes on as many waiting facts as the engine takes.
    pub(super) fn flush(&mut self) {
        while let Some((read, fact)) = self.waiting.pop_front() {
            if let Err(fact) = (self.sink)(read, fact) {
                self.waiting.push_front((read, fact));
                return;
            }
        }
    }

    /// Whether no fact waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the swarm may be polled for more facts.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING_MAX
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::types::PeerId;

    fn fact(id: u64, peer: PeerId) -> NetFact {
        NetFact::Response {
            id,
            peer,
            response: None,
        }
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "the fact is given back as it came")]
    fn what_must_arrive_waits_and_keeps_its_order() {
        let (send, receive) = mpsc::sync_channel(1);
        let mut outbox = FactQueue::new(Box::new(move |_, fact| {
            send.try_send(fact).map_err(|error| match error {
                mpsc::TrySendError::Full(fact) | mpsc::TrySendError::Disconnected(fact) => fact,
            })
        }));
        let peer = PeerId::random();
        (0..3).for_each(|id| outbox.keep(fact(id, peer)));
        assert!(!outbox.offer(fact(9, peer)));
        let mut ids = Vec::new();
        for _ in 0..4 {
            while let Ok(NetFact::Response { id, .. }) = receive.try_recv() {
                ids.push(id);
            }
            outbox.flush();
        }
        assert_eq!(ids, [0, 1, 2]);
        assert!(outbox.waiting.is_empty());
    }
}
