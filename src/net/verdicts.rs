//! Gossip messages that wait for the engine's verdict.
//!
//! Promises: no more messages wait than the engine can hold, and no voice has more than its share of them; every
//! message gets a verdict, at the latest when its time is over.
//! Spec: `proto-notes/gossip.md`, "Verdicts".

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use libp2p::gossipsub::MessageId;

use crate::types::{PeerId, Voice, has_share};
use crate::wire::Topic;

/// The most blocks that wait, 64 KiB each; a good neighbour needs one.
pub(super) const BLOCKS_MAX: usize = 8;
/// The most blocks that wait if the voice has none waiting: so it finds a place beside eight floods.
pub(super) const BLOCKS_FIRST_MAX: usize = 16;
/// The most transaction messages that wait.
pub(super) const TRANSACTIONS_MAX: usize = 2048;
/// The most bytes of these messages, because 2,048 full ones would be 128 MiB.
pub(super) const TRANSACTIONS_MAX_BYTES: usize = 16 * 1024 * 1024;
/// How long a message waits for the engine: less than the heartbeats for which gossipsub keeps it.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// A message that has no verdict yet.
#[derive(Clone, Debug)]
pub(super) struct WaitingMessage {
    /// The id that gossipsub gave to the message.
    pub(super) id: MessageId,
    /// The peer that sent it to this node.
    pub(super) source: PeerId,
    /// The topic on which it came.
    pub(super) topic: Topic,
    bytes: usize,
    voice: Voice,
    until: Instant,
}

/// The number of waiting messages of one voice, or of all.
#[derive(Clone, Copy, Debug, Default)]
struct WaitingCount {
    blocks: usize,
    transactions: usize,
    transaction_bytes: usize,
}

impl WaitingCount {
    const fn add(&mut self, topic: Topic, bytes: usize) {
        match topic {
            Topic::Blocks => self.blocks += 1,
            Topic::Transactions => {
                self.transactions += 1;
                self.transaction_bytes += bytes;
            }
        }
    }

    const fn remove(&mut self, topic: Topic, bytes: usize) {
        match topic {
            Topic::Blocks => self.blocks -= 1,
            Topic::Transactions => {
                self.transactions -= 1;
                self.transaction_bytes -= bytes;
            }
        }
    }

    const fn is_none(&self) -> bool {
        self.blocks == 0 && self.transactions == 0
    }
}

/// All messages without a verdict, by token; a later message has a larger token.
#[derive(Debug)]
pub(super) struct Verdicts {
    next: u64,
    waiting: BTreeMap<u64, WaitingMessage>,
    all: WaitingCount,
    /// The counts of each voice that has a message waiting.
    by_voice: BTreeMap<Voice, WaitingCount>,
}

impl Verdicts {
    /// An empty table whose tokens begin with `next`.
    pub(super) const fn new(next: u64) -> Self {
        Self {
            next,
            waiting: BTreeMap::new(),
            all: WaitingCount {
                blocks: 0,
                transactions: 0,
                transaction_bytes: 0,
            },
            by_voice: BTreeMap::new(),
        }
    }

    /// Adds a message and returns its token; none if too many wait, of all voices or of its own.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        topic: Topic,
        id: MessageId,
        (source, voice): (PeerId, Voice),
        bytes: usize,
    ) -> Option<u64> {
        if !self.has_place(topic, voice, bytes) {
            return None;
        }
        self.all.add(topic, bytes);
        self.by_voice.entry(voice).or_default().add(topic, bytes);
        let token = self.next;
        self.next += 1;
        let until = now + PATIENCE;
        self.waiting.insert(
            token,
            WaitingMessage {
                id,
                source,
                topic,
                bytes,
                voice,
                until,
            },
        );
        Some(token)
    }

    fn has_place(&self, topic: Topic, voice: Voice, bytes: usize) -> bool {
        let own = self.by_voice.get(&voice).copied().unwrap_or_default();
        let voices = self.by_voice.len() + usize::from(own.is_none());
        let all = &self.all;
        match topic {
            Topic::Blocks if own.blocks == 0 => all.blocks < BLOCKS_FIRST_MAX,
            Topic::Blocks => has_share(all.blocks, BLOCKS_MAX, voices, own.blocks),
            Topic::Transactions => {
                has_share(all.transactions, TRANSACTIONS_MAX, voices, own.transactions)
                    && all.transaction_bytes + bytes <= TRANSACTIONS_MAX_BYTES
                    && (own.transactions == 0
                        || has_share(
                            all.transaction_bytes,
                            TRANSACTIONS_MAX_BYTES,
                            voices,
                            own.transaction_bytes,
                        ))
            }
        }
    }

    /// Removes and returns the message of a token, if it still waits.
    pub(super) fn take(&mut self, token: u64) -> Option<WaitingMessage> {
        let message = self.waiting.remove(&token)?;
        self.all.remove(message.topic, message.bytes);
        if let Some(own) = self.by_voice.get_mut(&message.voice) {
            own.remove(message.topic, message.bytes);
            if own.is_none() {
                self.by_voice.remove(&message.voice);
            }
        }
        Some(message)
    }

    /// Removes and returns a message whose time is over.
    pub(super) fn lapsed(&mut self, now: Instant) -> Option<WaitingMessage> {
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

    fn sender() -> (PeerId, Voice) {
        let peer = PeerId::random();
        (peer, peer.into())
    }

    /// A number of identities behind one address.
    fn behind_one_address(count: usize) -> Vec<(PeerId, Voice)> {
        let voice = Voice::Host(std::net::IpAddr::from([10, 0, 0, 7]));
        (0..count).map(|_| (PeerId::random(), voice)).collect()
    }

    #[test]
    fn a_flood_of_one_voice_leaves_places_for_others_blocks_and_payments() {
        let (mut verdicts, now) = (Verdicts::new(0), Instant::now());
        for topic in [Topic::Blocks, Topic::Transactions] {
            let id = || MessageId::from("x");
            let flood = behind_one_address(31);
            let rounds = flood.iter().cycle().take(5_000);
            let held = rounds.filter(|from| verdicts.insert(now, topic, id(), **from, 100).is_some());
            let most = if topic == Topic::Blocks {
                BLOCKS_MAX
            } else {
                TRANSACTIONS_MAX
            };
            assert_eq!(held.count(), most / 2);
            assert!(verdicts.insert(now, topic, id(), sender(), 100).is_some());
            assert!(verdicts.insert(now, topic, id(), flood[0], 100).is_none());
        }
    }

    #[test]
    fn behind_eight_floods_a_ninth_neighbours_block_finds_a_place_all_the_same() {
        let (mut verdicts, now) = (Verdicts::new(0), Instant::now());
        let mut add = |from| {
            verdicts
                .insert(now, Topic::Blocks, MessageId::from("x"), from, 1)
                .is_some()
        };
        let floods: Vec<_> = (0..8).map(|_| sender()).collect();
        let held = (0..100).flat_map(|_| floods.clone()).filter(|from| add(*from)).count();
        assert!(held < BLOCKS_FIRST_MAX, "{held}");
        assert!(add(sender()));
        let others = (0..100).filter(|_| add(sender())).count();
        assert!(held + 1 + others <= BLOCKS_FIRST_MAX);
    }

    #[test]
    fn a_block_is_refused_when_too_many_of_its_sender_wait_until_one_has_its_verdict() {
        let (mut verdicts, now, from) = (Verdicts::new(0), Instant::now(), sender());
        let add = |verdicts: &mut Verdicts| verdicts.insert(now, Topic::Blocks, MessageId::from("x"), from, 1);
        let tokens: Vec<_> = (0..BLOCKS_MAX).filter_map(|_| add(&mut verdicts)).collect();
        assert_eq!(tokens.len(), BLOCKS_MAX / 2);
        assert_eq!(add(&mut verdicts), None);
        assert!(verdicts.take(tokens[0]).is_some());
        assert!(verdicts.take(tokens[0]).is_none());
        assert!(add(&mut verdicts).is_some());
    }

    #[test]
    fn an_unanswered_message_lapses() {
        let (mut verdicts, now) = (Verdicts::new(0), Instant::now());
        let id = MessageId::from("x");
        verdicts.insert(now, Topic::Transactions, id, sender(), 5);
        assert!(verdicts.lapsed(now).is_none());
        assert!(verdicts.lapsed(now + PATIENCE).is_some());
        assert!(verdicts.lapsed(now + PATIENCE).is_none());
    }

    #[test]
    fn transactions_that_wait_are_bounded_in_bytes() {
        let (mut verdicts, now) = (Verdicts::new(0), Instant::now());
        let size = TRANSACTIONS_MAX_BYTES / 2 + 1;
        let mut add = || verdicts.insert(now, Topic::Transactions, MessageId::from("x"), sender(), size);
        assert!(add().is_some());
        assert!(add().is_none());
    }
}
