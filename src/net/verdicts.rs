//! Gossip messages that wait for the engine's verdict.
//!
//! Promises: never more wait than the engine can hold; every message gets a verdict, at the latest when its time is up.
//! Spec: `proto-notes/gossip.md`, "Verdicts".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::gossipsub::MessageId;

use crate::types::PeerId;
use crate::wire::Topic;

/// Blocks that wait: a megabyte each, and one is enough for a good neighbour.
pub(super) const BLOCKS_MAX: usize = 8;
/// Transaction messages that wait.
pub(super) const TRANSACTIONS_MAX: usize = 2048;
/// Their bytes: 2,048 full messages would be 128 MiB.
pub(super) const TRANSACTIONS_MAX_BYTES: usize = 16 * 1024 * 1024;
/// Patience with the engine: below the heartbeats for which gossipsub keeps the message.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A message without a verdict.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// Its id.
    pub(super) id: MessageId,
    /// Who sent it.
    pub(super) source: PeerId,
    /// Of which topic.
    pub(super) topic: Topic,
    bytes: usize,
    until: Instant,
}

/// All messages without a verdict, by token; tokens grow with time.
#[derive(Debug)]
pub(super) struct Verdicts {
    next: u64,
    waiting: BTreeMap<u64, Waiting>,
    blocks: usize,
    transactions: usize,
    transaction_bytes: usize,
}

impl Verdicts {
    /// None wait; tokens begin with this one.
    pub(super) const fn new(next: u64) -> Self {
        Self {
            next,
            waiting: BTreeMap::new(),
            blocks: 0,
            transactions: 0,
            transaction_bytes: 0,
        }
    }

    /// Remembers a message and names it, or refuses because too many wait.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        topic: Topic,
        id: MessageId,
        source: PeerId,
        bytes: usize,
    ) -> Option<u64> {
        match topic {
            Topic::Blocks if self.blocks < BLOCKS_MAX => self.blocks += 1,
            Topic::Transactions
                if self.transactions < TRANSACTIONS_MAX && self.transaction_bytes + bytes <= TRANSACTIONS_MAX_BYTES =>
            {
                self.transactions += 1;
                self.transaction_bytes += bytes;
            }
            Topic::Blocks | Topic::Transactions => return None,
        }
        let token = self.next;
        self.next += 1;
        let until = now + PATIENCE;
        self.waiting.insert(
            token,
            Waiting {
                id,
                source,
                topic,
                bytes,
                until,
            },
        );
        Some(token)
    }

    /// Takes out the message of a token, if it still waits.
    pub(super) fn take(&mut self, token: u64) -> Option<Waiting> {
        let message = self.waiting.remove(&token)?;
        match message.topic {
            Topic::Blocks => self.blocks -= 1,
            Topic::Transactions => {
                self.transactions -= 1;
                self.transaction_bytes -= message.bytes;
            }
        }
        Some(message)
    }

    /// Takes out a message whose time is up.
    pub(super) fn lapsed(&mut self, now: Instant) -> Option<Waiting> {
        let (token, message) = self.waiting.first_key_value()?;
        if message.until > now {
            return None;
        }
        let token = *token;
        self.take(token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ninth_block_is_refused_until_one_has_its_verdict() {
        let (mut verdicts, now, peer) = (Verdicts::new(0), Instant::now(), PeerId::random());
        let add = |verdicts: &mut Verdicts| verdicts.insert(now, Topic::Blocks, MessageId::from("x"), peer, 1);
        let tokens: Vec<_> = (0..BLOCKS_MAX).filter_map(|_| add(&mut verdicts)).collect();
        assert_eq!(tokens.len(), BLOCKS_MAX);
        assert_eq!(add(&mut verdicts), None);
        assert!(verdicts.take(tokens[0]).is_some());
        assert!(verdicts.take(tokens[0]).is_none());
        assert!(add(&mut verdicts).is_some());
    }

    #[test]
    fn an_unanswered_message_lapses() {
        let (mut verdicts, now) = (Verdicts::new(0), Instant::now());
        let id = MessageId::from("x");
        verdicts.insert(now, Topic::Transactions, id, PeerId::random(), 5);
        assert!(verdicts.lapsed(now).is_none());
        assert!(verdicts.lapsed(now + PATIENCE).is_some());
        assert!(verdicts.lapsed(now + PATIENCE).is_none());
    }

    #[test]
    fn transactions_that_wait_are_bounded_in_bytes() {
        let (mut verdicts, now) = (Verdicts::new(0), Instant::now());
        let size = TRANSACTIONS_MAX_BYTES / 2 + 1;
        let mut add = || verdicts.insert(now, Topic::Transactions, MessageId::from("x"), PeerId::random(), size);
        assert!(add().is_some());
        assert!(add().is_none());
    }
}
