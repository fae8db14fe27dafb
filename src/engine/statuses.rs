//! Where this node stands, told to its peers, and what they say of themselves.
//!
//! Promises: a tip that nobody confirms is told once, and others are asked.
//! Elsewhere: when a status is due (`parts::links`), what a claim is worth (`parts::sync`).
//! Spec: `proto-notes/sync.md`, "Messages", "A tip that stands still".

use super::machine::{Engine, Question};
use super::parts::links::Peer;
use super::parts::out::ShownState;
use super::parts::pools::Fact;
use super::parts::tips::ClaimedTip;
use super::parts::{dial, exchange};
use crate::chain::{ChainStore, Difficulty};
use crate::contract::{Event, NameStanding};
use crate::types::{BlockHash, Height, PeerId, WallTime, Work};
use crate::wire::{self, Request};

/// A tip that stands still for so many spacings while peers claim more work is stale: by chance a gap of ten spacings
/// comes once in 22,000 blocks.
const STALE_SPACINGS: u64 = 10;
/// Peers that are asked where they stand when the tip is stale.
const STALE_ASKED: usize = 2;

impl<S: ChainStore> Engine<S> {
    /// What this node says of itself.
    pub(super) fn own_status(&self) -> wire::Status {
        let shown = self.out.shown(self.present());
        wire::Status {
            tip: *shown.tip.as_bytes(),
            height: shown.height.get(),
            work: shown.work.to_be_bytes(),
            name: self
                .node
                .config
                .name
                .as_ref()
                .map_or_else(String::new, |name| name.as_str().to_owned()),
            clock_ms: self.clock.told().ms(),
            instance: self.node.config.instance,
            pool_count: shown.pool_count,
            pool_digest: shown.pool_digest,
        }
    }

    /// Tip and pool as they are now.
    pub(super) fn present(&self) -> ShownState {
        let tip = self.chain.tip();
        ShownState {
            tip: tip.hash,
            height: tip.header.height,
            work: tip.work,
            pool_count: u32::try_from(self.pool.len()).unwrap_or(u32::MAX),
            pool_digest: self.pool.digest(),
        }
    }

    /// The tip is new: patience with it begins anew.
    pub(super) fn tip_moved(&mut self) {
        let patience = self.stale_ms();
        self.notices.stale.moved(self.clock.now(), patience);
    }

    const fn stale_ms(&self) -> u64 {
        self.chain.params().spacing_ms.saturating_mul(STALE_SPACINGS)
    }

    /// No new block for a long time although peers claim more work: others are asked, more are dialled, the user hears
    /// of it.
    pub(super) fn check_stale(&mut self) {
        let patience = self.stale_ms();
        if !self.notices.stale.poll(self.clock.now(), patience) {
            return;
        }
        let own = self.chain.tip().work;
        let work = |peer: &Peer| peer.status.as_ref().map(|status| Work::from_be_bytes(status.work));
        let ahead = |peer: &Peer| work(peer).is_some_and(|work| work > own);
        if !self.takes_blocks() || !self.peers.links.known().any(|(_, peer)| ahead(peer)) {
            return;
        }
        let mut others: Vec<PeerId> = self.peers.links.known().map(|(id, _)| *id).collect();
        for _ in 0..STALE_ASKED {
            if let Some(id) = self.peers.links.take_one(&mut others) {
                self.send_status(id);
            }
        }
        self.peers.dialer.handle(self.clock.now(), dial::Fact::Reset);
        if self.notices.stale.tell() {
            self.out.warn(
                "stale_tip",
                "peers claim more work, but none of them has shown it for a long time; `peers` shows who claims what"
                    .to_owned(),
            );
        }
    }

    pub(super) fn send_status(&mut self, id: PeerId) {
        if self.peers.links.asks(self.clock.now(), &id) {
            let status = self.own_status();
            self.ask(id, Question::Status, Request::Status(status), None);
        }
    }

    pub(super) fn pump_status(&mut self) {
        for id in self.peers.links.due(self.clock.now()) {
            self.send_status(id);
        }
    }

    /// The time between blocks that the network aims at; none if its difficulty never changes.
    pub(super) const fn aimed_spacing(&self) -> Option<u64> {
        let params = self.chain.params();
        match params.difficulty {
            Difficulty::Floor => None,
            Difficulty::Adjusting => Some(params.spacing_ms),
        }
    }

    /// Tells which peers' tips moved.
    pub(super) fn pump_tips(&mut self) {
        while let Some((peer, tip)) = self.notices.tips.poll(self.clock.now()) {
            self.out.event(Event::PeerTip {
                peer_id: peer.to_string(),
                height: tip.height,
                tip: tip.hash,
                work: tip.work,
            });
        }
    }

    /// A peer said where it stands.
    pub(super) fn take_status(&mut self, id: PeerId, status: wire::Status) {
        let own_clock = self.clock.own().ms().cast_signed();
        let clock_ms = status.clock_ms;
        let ahead_ms = clock_ms.cast_signed().saturating_sub(own_clock);
        let (count, digest) = (status.pool_count, status.pool_digest);
        let claim = (
            BlockHash::new(status.tip),
            Height::new(status.height),
            Work::from_be_bytes(status.work),
        );
        let Some(heard) = self.peers.links.heard(&id, status, ahead_ms) else {
            return;
        };
        self.sync.sources.claimed(&id, claim);
        let (hash, height, work) = claim;
        self.notices.tips.claims(id, ClaimedTip { hash, height, work });
        if self.is_chosen_clock(&id) {
            self.clock.heard_chosen(WallTime::from_ms(clock_ms));
        }
        if !heard.is_first {
            self.check_peer_name(id);
        }
        let called = self.called(&id);
        self.peers.links.call(&id, &called);
        let Some(peer) = self.peers.links.get(&id) else { return };
        let (address, direction) = (peer.address.clone(), peer.direction);
        let event = heard.is_first.then(|| Event::PeerConnected {
            peer_id: id.to_string(),
            name_proven: matches!(called, Some((_, NameStanding::Proven))),
            name_taken: matches!(called, Some((_, NameStanding::Taken))),
            name: called.map(|(name, _)| name),
            address: peer.address.with_peer(&id),
            direction: peer.direction,
            found_by: peer.found_by,
        });
        if heard.are_twins {
            let place = address.as_str();
            let message = format!(
                "two nodes use the key of {id} ({place}): stop one of them, and start it in an empty folder with --data-dir DIR"
            );
            self.out.warn("same_key", message);
            self.peers.exchange.handle(self.clock.now(), exchange::Fact::Twins(id));
        }
        self.tell_pools(Fact::Status {
            peer: id,
            count,
            digest,
        });
        let Some(event) = event else { return };
        self.out.event(event);
        self.peers.dialer.handle(self.clock.now(), dial::Fact::Exchanged(id));
        self.peers
            .exchange
            .handle(self.clock.now(), exchange::Fact::Exchanged(id));
        self.remember(id, address, direction);
        self.notices.alone.ends();
    }
}
