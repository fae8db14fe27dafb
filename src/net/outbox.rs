//! Facts on their way to the engine: a slow engine never stops the swarm task.
//!
//! Promises: what must arrive (connections, answers) keeps its order and waits here; what may be lost is refused at
//! once, so that the network answers for itself. Nothing overtakes what waits. Each fact carries the moment at which it was
//! read, so that the engine's own slowness is nobody's fault.

use std::collections::VecDeque;
use std::time::Instant;

use super::FactSink;
use crate::engine::NetFact;

/// Facts that wait before the swarm is no longer polled: a few for each connection, many times over.
const WAITING_MAX: usize = 1024;
/// Above this, facts about misbehaviour are dropped: the peer is named by the ones that wait already.
const MISBEHAVIOUR_MAX: usize = 256;

/// The way out for facts.
pub(super) struct Outbox {
    sink: FactSink,
    waiting: VecDeque<(Instant, NetFact)>,
}

impl Outbox {
    /// An empty outbox in front of the engine's queue.
    pub(super) fn new(sink: FactSink) -> Self {
        Self {
            sink,
            waiting: VecDeque::new(),
        }
    }

    /// Hands a fact over, now or later.
    pub(super) fn keep(&mut self, fact: NetFact) {
        if matches!(fact, NetFact::Malformed { .. }) && self.waiting.len() >= MISBEHAVIOUR_MAX {
            return;
        }
        self.waiting.push_back((Instant::now(), fact));
        self.flush();
    }

    /// Hands a fact over now, or drops it: then it is false.
    pub(super) fn offer(&mut self, fact: NetFact) -> bool {
        self.flush();
        self.waiting.is_empty() && (self.sink)(Instant::now(), fact).is_ok()
    }

    /// Tries again to hand over what waits.
    pub(super) fn flush(&mut self) {
        while let Some((read, fact)) = self.waiting.pop_front() {
            if let Err(fact) = (self.sink)(read, fact) {
                self.waiting.push_front((read, fact));
                return;
            }
        }
    }

    /// Whether the engine was given all facts.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether the swarm may produce more.
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
        let mut outbox = Outbox::new(Box::new(move |_, fact| {
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
