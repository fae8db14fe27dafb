//! Gossiped blocks: forwarded by their header, put together from the pool, then offered to the chain.
//!
//! Promises: a header that fits the tip goes on before anything of its body was looked at; nobody is blamed for a list of
//! short ids, nor for the body that it leads to, since whoever forwards one has seen neither; what cannot be put together
//! is left to sync.
//! Elsewhere: how a header is judged (`relay`), blocks that wait for transactions (`parts::compact`).
//! Spec: `proto-notes/gossip.md`, "Compact blocks", "Verdicts".

use super::advance::Checkable;
use super::io::{NetOrder, Verdict};
use super::machine::{Engine, Question};
use super::parts::compact::Assembly;
use super::parts::effort::Effort;
use super::parts::offer::Offer;
use super::parts::relay::{self, BrokenRule, HeaderVerdict};
use super::parts::standing::{Fault, Kind};
use crate::chain::stages::{Body, Linked};
use crate::chain::state::AcceptError;
use crate::chain::{BlockError, ChainStore};
use crate::contract::Source;
use crate::types::{BlockHash, PeerId, Time};
use crate::wire::{CompactBlock, Request, Topic};

/// How long the sender of a compact block has for the transactions that are missing; sync may be as fast after that.
const PATIENCE_MS: u64 = 5_000;

/// When a gossiped block is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// As it comes: its verdict decides whether it goes on.
    Now,
    /// Once its time has come: this node forwards it as its own, behind the commit.
    Later,
}

impl<S: ChainStore> Engine<S> {
    /// A compact block came. One that was kept until its time came is not put off again.
    pub(super) fn on_gossiped_block(&mut self, peer: PeerId, bytes: &[u8], when: When) -> Verdict {
        // It may be the parent of this one.
        self.pump_compact();
        if !self.takes_blocks() || !self.may_gossip(peer, Kind::GossipBlock, 1) {
            return Verdict::Ignore;
        }
        match relay::judge(&self.chain, self.clock(), bytes) {
            HeaderVerdict::Fits(linked) => return self.read_compact(peer, linked, bytes, when),
            HeaderVerdict::Ignored => {}
            HeaderVerdict::Orphan => self.sync.sources.hinted(&peer),
            HeaderVerdict::Early(ahead_ms) => self.relay.hold(self.clock.now(), ahead_ms, peer, bytes),
            HeaderVerdict::BrokenRule(wrong) => {
                self.reject_gossip(peer, wrong);
                return Verdict::Reject;
            }
        }
        Verdict::Ignore
    }

    /// Reads what follows a header that fits, and forwards it at once if it stands on the tip.
    fn read_compact(&mut self, peer: PeerId, linked: Linked, bytes: &[u8], when: When) -> Verdict {
        let hash = linked.hash();
        let compact = match CompactBlock::decode(bytes) {
            Ok(compact) => compact,
            Err(error) => return self.unreadable(peer, &linked, error.to_string()),
        };
        let is_better = self.chain.is_better(linked.work(), &hash);
        let price = if is_better {
            0
        } else {
            Effort::price(compact.transactions())
        };
        // What is left out here sync brings, should it win.
        if self.compacts.holds(&hash) || !self.may_cost(peer, price) {
            return Verdict::Ignore;
        }
        let is_on_tip = linked.header().previous == self.chain.tip().hash && !self.chain.is_switching();
        let mut assembly = match Assembly::new(linked.clone().into_received(), &compact) {
            Ok(assembly) => assembly,
            Err(error) => return self.unreadable(peer, &linked, error.to_string()),
        };
        let voice = self.voice_of(&peer);
        if when == When::Now && is_on_tip && self.peers.standing.may_relay_early(self.clock.now(), voice) {
            // The verdict leaves with this turn, so the rest is the next one's.
            self.compacts.put_off(self.effort.turn(), (peer, assembly, compact.ids));
            return Verdict::Accept;
        }
        assembly.fill(&compact.ids, &self.pool);
        self.assembled(peer, assembly)
    }

    /// Whoever forwards a message has decoded it.
    fn unreadable(&mut self, peer: PeerId, linked: &Linked, reason: String) -> Verdict {
        let wrong = BrokenRule {
            hash: Some(linked.hash()),
            height: Some(linked.header().height),
            code: "malformed",
            reason,
        };
        self.reject_gossip(peer, wrong);
        // The message's id is its header's: other senders may have sent other bytes with it.
        Verdict::Ignore
    }

    fn reject_gossip(&mut self, peer: PeerId, wrong: BrokenRule) {
        self.punish(peer, Fault::Fatal, &wrong.reason);
        self.reject_block(wrong.hash, wrong.height, wrong.code, wrong.reason, Source::Peer(peer));
    }

    /// Whether a block that may help nobody may be checked for this peer's address.
    fn may_cost(&mut self, peer: PeerId, units: u64) -> bool {
        if self.peers.links.get(&peer).is_none() {
            return units == 0;
        }
        let voice = self.voice_of(&peer);
        self.peers.standing.may_cost(self.clock.now(), voice, units)
    }

    /// Goes on with the block whose header went on in an earlier turn.
    pub(super) fn pump_compact(&mut self) {
        let Some((peer, mut assembly, ids)) = self.compacts.take_ready(self.effort.turn()) else {
            return;
        };
        assembly.fill(&ids, &self.pool);
        self.assembled(peer, assembly);
    }

    /// When a block waits for its turn.
    pub(super) fn compact_wakeup(&self) -> Option<Time> {
        self.compacts.is_ready().then(|| self.clock.now())
    }

    /// Takes a block if nothing of it is missing, else asks its sender for the rest.
    fn assembled(&mut self, peer: PeerId, assembly: Assembly) -> Verdict {
        let missing = assembly.missing().filter_map(|position| u16::try_from(position).ok());
        let positions: Vec<u16> = missing.collect();
        let hash = assembly.hash();
        if positions.is_empty() {
            return self.finish(peer, assembly);
        }
        if self.peers.links.get(&peer).is_none() || !self.compacts.has_room(&peer) {
            return self.left_to_sync(peer);
        }
        let request = Request::GetTransactions {
            block: *hash.as_bytes(),
            positions,
        };
        self.ask(peer, Question::Transactions(hash), request, Some(PATIENCE_MS));
        self.compacts.keep(peer, assembly);
        Verdict::Ignore
    }

    /// The missing transactions of a block came.
    pub(super) fn on_transactions(&mut self, hash: &BlockHash, list: &[Vec<u8>]) {
        if let Some((peer, mut assembly)) = self.compacts.end(hash) {
            assembly.answer(list);
            self.finish(peer, assembly);
        }
    }

    /// They will not come.
    pub(super) fn no_transactions(&mut self, hash: &BlockHash) {
        if let Some((peer, _)) = self.compacts.end(hash) {
            self.left_to_sync(peer);
        }
    }

    /// The sender may have the block soon, if it has not now.
    fn left_to_sync(&mut self, peer: PeerId) -> Verdict {
        self.sync.sources.hinted(&peer);
        Verdict::Ignore
    }

    /// Offers a block to the chain, if it is whole.
    fn finish(&mut self, peer: PeerId, assembly: Assembly) -> Verdict {
        let Some((received, block)) = assembly.finish() else {
            return self.left_to_sync(peer);
        };
        if !self.takes_blocks() {
            return Verdict::Ignore;
        }
        let (hash, height) = (received.hash(), received.header().height);
        // A disk that failed meanwhile may have taken its parent away, and sync may have brought the block.
        let linked = match self.chain.link(received, self.clock()) {
            Ok(Some(linked)) => linked,
            Ok(None) => return Verdict::Ignore,
            Err(error) => {
                self.refused(hash, Some(height), &error, Source::Peer(peer));
                return self.left_to_sync(peer);
            }
        };
        let body = Body::from(block);
        let count = body.transactions();
        self.effort.block(count, body.size());
        let source = Source::Peer(peer);
        let offer = match self.check(linked, Checkable::Body(body)) {
            // The list was wrong, or two transactions have one short id.
            Err(AcceptError::Block(BlockError::BadMerkleRoot { .. })) => return self.left_to_sync(peer),
            Err(error) => self.refused(hash, Some(height), &error, source),
            Ok(candidate) => self.take_candidate(candidate, source),
        };
        match offer {
            Offer::Taken if self.chain.tip().hash == hash => Verdict::Accept,
            // Kept aside: no ledger has seen it.
            Offer::Taken | Offer::Known | Offer::NotNow(_) => Verdict::Ignore,
            Offer::WrongBody(_) | Offer::Invalid(_) | Offer::Ledger(_) => {
                let voice = self.voice_of(&peer);
                let price = Effort::price(count);
                self.peers.standing.charge_cost(self.clock.now(), voice, price);
                Verdict::Ignore
            }
        }
    }

    /// Blocks whose time has come.
    pub(super) fn retry_early(&mut self) {
        for (peer, bytes) in self.relay.due(self.clock.now()) {
            if self.on_gossiped_block(peer, &bytes, When::Later) == Verdict::Accept {
                let topic = Topic::Blocks;
                self.out.announce(NetOrder::Publish { topic, bytes });
            }
        }
    }
}
