//! What joins sync and the engine: the ground that it sees, its orders, and the bodies that it offers to the chain.
//!
//! Elsewhere: whom to follow, what is asked and what is held (`sync`), what becomes of a block (`advance`).

use super::advance::Checkable;
use super::io::BodyCheck;
use super::machine::Engine;
use super::parts::clock::middle_of;
use super::parts::offer::Offer;
use super::parts::pace::PATIENCE_MIN_MS;
use super::parts::requests::Question;
use super::parts::standing::QUESTION_BYTES;
use super::parts::sync::{Arrived, Content, HEADERS_PAGE_BYTES, Order, SyncView};
use crate::chain::stages::Body;
use crate::chain::{self, ChainStore};
use crate::contract::Source;
use crate::types::{BlockHash, PeerId, Time};
use crate::wire::Request;

/// What sync sees of an engine, while it is changed itself.
macro_rules! ground {
    ($engine:expr) => {
        SyncView {
            now: $engine.clock.now(),
            chain: &$engine.chain,
            requests: &$engine.peers.requests,
            clock: &|| $engine.clock.time(|| middle_of(&$engine.peers.links)),
        }
    };
}

impl<S: ChainStore> Engine<S> {
    /// Chooses candidates while there is room for one, and keeps the followed ones going.
    pub(super) fn pump_sync(&mut self) {
        if !self.mode.net || !self.takes_blocks() || self.mode.stopping {
            self.end_syncs();
            return;
        }
        self.sync.begin_turn(&ground!(self));
        self.carry_out_sync();
        self.send_for_checks();
        self.take_bodies();
        self.send_for_checks();
        for source in self.sync.fetching() {
            while self.sync.ask_next(&ground!(self), source) {
                self.carry_out_sync();
            }
            self.carry_out_sync();
        }
    }

    /// Orders the checks of large bodies, as long as more may be under way.
    fn send_for_checks(&mut self) {
        while let Some((number, bodies)) = self.sync.next_group() {
            let rules = self.chain.rules().clone();
            self.out.check(BodyCheck { number, rules, bodies });
        }
    }

    /// The verdicts on a group of bodies came.
    pub(super) fn on_checked(&mut self, number: u64, verdicts: Vec<chain::Verdict>) {
        self.sync.checked(number, verdicts);
    }

    /// Offers the bodies that are there to the chain, in order, while the turn has effort left and the disk follows.
    fn take_bodies(&mut self) {
        self.sync.begin_taking(self.effort.turn());
        while self.sync.is_taking() {
            let ground = ground!(self);
            let may_take = self.effort.is_left() && !ground.disk_is_behind();
            let body = self.sync.next_body(&ground, may_take);
            self.carry_out_sync();
            let Some((source, body)) = body else {
                continue;
            };
            let peer = body.peer;
            let offer = self.offer_body(body);
            self.sync.offered(&ground!(self), (source, peer), offer);
            self.carry_out_sync();
        }
    }

    /// Offers a body to the chain, with its verdict if it was checked beside the engine.
    fn offer_body(&mut self, body: Arrived) -> Offer {
        let Arrived {
            peer,
            received,
            content,
            ..
        } = body;
        let source = Source::Peer(peer);
        match content {
            Content::Bytes(bytes) => match Body::read(bytes) {
                Ok(body) => {
                    self.effort.block(body.transactions(), body.size());
                    self.offer(received, body.into(), source)
                }
                Err(error) => Offer::WrongBody(error.to_string()),
            },
            Content::Checked(verdict) => match verdict.unreadable() {
                Some(error) => Offer::WrongBody(error.to_string()),
                None => {
                    self.effort.checked_block(verdict.txids().len());
                    self.offer(received, Checkable::Verdict(*verdict), source)
                }
            },
            Content::UnderWay(_) => unreachable!("only bodies that are ready are taken"),
        }
    }

    /// Carries out what sync orders.
    pub(super) fn carry_out_sync(&mut self) {
        while let Some(order) = self.sync.poll() {
            match order {
                Order::Ask { peer, what, request } => self.ask_for_sync(peer, what, request),
                Order::Delivered(peer) => {
                    if let Some(link) = self.peers.requests.link_mut(&peer) {
                        link.delivered();
                    }
                }
                Order::Stalled(peer) => {
                    if let Some(link) = self.peers.requests.link_mut(&peer) {
                        link.stalled();
                    }
                }
                Order::Brought { peer, at, count, bytes } => self.bodies_came(peer, at, (count, bytes)),
                Order::Blame { peer, fault, reason } => self.punish(peer, fault, &reason),
                Order::Tell(event) => self.out.event(event),
                Order::Protect(hashes) => self.chain.set_protected(hashes),
                Order::FutureBranch { peer, ahead_ms } => self.note_future_branch(peer, ahead_ms),
                Order::StoreFailed(reason) => self.fail_store(&reason),
            }
        }
    }

    fn ask_for_sync(&mut self, peer: PeerId, what: Question, request: Request) {
        if what == Question::Headers {
            let link = self.peers.requests.link(&peer);
            let patience = link.map_or(PATIENCE_MIN_MS, |link| {
                link.pace().patience_for_bytes(HEADERS_PAGE_BYTES)
            });
            let id = self.ask(peer, what, request, Some(patience));
            self.sync.asked(peer, id);
        } else {
            if let Some(link) = self.peers.requests.link_mut(&peer) {
                link.fetches(self.clock.now(), usize::try_from(QUESTION_BYTES).unwrap_or(0));
            }
            self.ask(peer, what, request, Some(0));
            self.peers.requests.be_patient(self.clock.now(), &peer);
        }
    }

    /// A peer answered a question for bodies: what its link has shown, and patience with what else is under way there.
    fn bodies_came(&mut self, peer: PeerId, at: Time, (count, bytes): (usize, usize)) {
        let read = self.peers.requests.heard();
        let Some(link) = self.peers.requests.link_mut(&peer) else {
            return;
        };
        link.delivered();
        link.fetches(self.clock.now(), bytes);
        if count > 0 {
            link.brought_bodies(at, read, (count, bytes));
            self.peers.requests.be_patient(self.clock.now(), &peer);
        }
    }

    /// Whether anything better is on its way: a branch that is fetched, or a switch that takes several steps.
    pub(super) fn is_syncing(&self) -> bool {
        self.chain.is_switching() || self.sync.is_syncing()
    }

    /// When sync has something to do.
    pub(super) fn sync_wakeup(&self) -> Option<Time> {
        self.sync.next_wakeup(&ground!(self))
    }

    /// Whether somebody claims a better branch that is worth asking for.
    pub(super) fn hears_of_better(&self) -> bool {
        let ground = ground!(self);
        self.sync
            .sources
            .claims(self.clock.now())
            .any(|claim| ground.is_worth_asking(claim))
    }

    pub(super) fn end_syncs(&mut self) {
        self.sync.end_syncs(&ground!(self));
        self.carry_out_sync();
    }

    /// A connection is gone.
    pub(super) fn sync_lost(&mut self, peer: PeerId) {
        self.sync.sync_lost(&ground!(self), peer);
        self.carry_out_sync();
    }

    pub(super) fn on_headers(&mut self, id: u64, peer: PeerId, list: &[[u8; 96]]) {
        self.sync.on_headers(&ground!(self), id, peer, list);
        self.carry_out_sync();
    }

    /// The page did not come.
    pub(super) fn no_headers(&mut self, id: u64, peer: PeerId) {
        self.sync.no_headers(&ground!(self), id, peer);
        self.carry_out_sync();
    }

    /// Bodies that were asked for at `at`.
    pub(super) fn on_blocks(&mut self, peer: PeerId, asked: (Time, &[BlockHash]), blocks: Vec<Vec<u8>>) {
        self.sync.on_blocks(&ground!(self), peer, asked, blocks);
        self.carry_out_sync();
    }

    /// A question for bodies ended without any.
    pub(super) fn no_blocks(&mut self, peer: PeerId, hashes: &[BlockHash], has_lapsed: bool) {
        self.sync.no_blocks(&ground!(self), peer, hashes, has_lapsed);
        self.carry_out_sync();
    }

    /// A question for bodies lapsed.
    pub(super) fn late_blocks(&mut self, peer: PeerId, hashes: &[BlockHash]) {
        self.sync.late_blocks(peer, hashes);
    }
}
