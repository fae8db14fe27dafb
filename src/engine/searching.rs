//! The search for a block: what it goes by, and what becomes of a nonce that was found.
//!
//! Promises: an own block is offered to the chain like any other, and announced behind its commit.
//! Elsewhere: which block is searched for and when (`parts::mining`), commands that wait for blocks (`parts::runs`).
//! Spec: `proto-notes/consensus.md`, "Mining policy".

use super::io::NetOrder;
use super::machine::Engine;
use super::parts::mining::MiningView;
use super::parts::offer::Offer;
use super::parts::runs::Mined;
use crate::chain::ChainStore;
use crate::chain::stages::{Body, Received};
use crate::contract::{CommandError, Event, Reply, Source};
use crate::inspect::View;
use crate::inspect::blocks::block_facts;
use crate::types::{BlockHash, Txid};
use crate::wire::{CompactBlock, Topic};

impl<S: ChainStore> Engine<S> {
    /// Starts, renews or stops the search.
    pub(super) fn pump_mining(&mut self) {
        let is_counted = self.runs.is_mining();
        let wanted = self.mining.is_on() && self.mode.started || is_counted;
        // A long switch replaces the tip: what is found on it would be lost.
        if wanted && self.cannot_mine().is_none() && !self.mode.stopping && !self.chain.is_switching() {
            let (chain, links) = (&self.chain, &self.peers.links);
            let middle = || super::parts::clock::middle_of(links);
            let view = View {
                chain,
                pool: &self.pool,
                me: self.node.me,
                name: self.node.config.name.as_ref(),
            };
            let ground = MiningView {
                chain,
                pool: &self.pool,
                is_counted,
                clock: &|| self.clock.time(middle),
                to: &|| view.reward_account(),
            };
            self.mining.pump(self.clock.now(), &ground);
        } else {
            self.mining.stop();
        }
        while let Some(order) = self.mining.poll() {
            self.out.order_miner(order);
        }
    }

    pub(super) fn on_found(&mut self, id: u64, nonce: u64) {
        if self.mode.read_only {
            return;
        }
        let now = self.clock.now();
        let Some(block) = self.mining.found(id, nonce, self.chain.tip().hash) else {
            return;
        };
        let unheard = self.payments.own.unheard();
        let is_new = |txid: &Txid| unheard.is_known(now, txid) != Some(true);
        let (received, bytes) = (
            Received::new(block.header.clone()),
            CompactBlock::of(&block, is_new).encode(),
        );
        let hash = received.hash();
        // A find counts only on the present tip.
        let found = self.chain.on_tip(hash, &block);
        self.out.event(Event::Mined {
            block: block_facts(&found),
        });
        match self.offer(received, Body::from(block).into(), Source::Local) {
            Offer::Taken => {
                self.out.announce(NetOrder::Publish {
                    topic: Topic::Blocks,
                    bytes,
                });
                self.count_mined(hash);
            }
            Offer::Known => {}
            Offer::WrongBody(reason) | Offer::Invalid(reason) | Offer::Ledger(reason) => {
                self.mining.drop_jobs();
                self.out.warn("internal", format!("an own block was refused: {reason}"));
            }
            Offer::NotNow(_) => self.mining.drop_jobs(),
        }
    }

    /// An own block counts for the oldest `mine N` that runs.
    fn count_mined(&mut self, hash: BlockHash) {
        let Some(Mined { id, count, blocks }) = self.runs.mined(hash) else {
            return;
        };
        let result = self.view().first_views(blocks).map(|(blocks, rest)| Reply::Mined {
            message: "New Block Forged".to_owned(),
            count,
            blocks,
            rest,
        });
        self.out.reply(id, result);
    }

    /// The disk fails: no find can be kept.
    pub(super) fn fail_mining_runs(&mut self, error: &CommandError) {
        for id in self.runs.end_mining() {
            self.out.reply(id, Err(error.clone()));
        }
    }

    /// Why nothing can be mined, if anything stands against it.
    pub(super) fn cannot_mine(&self) -> Option<CommandError> {
        if self.mode.no_mining {
            return Some(super::failures::mining_failed());
        }
        if self.mode.read_only {
            return Some(super::commands::read_only());
        }
        self.storage.room.is_low().then(super::parts::storage::disk_low)
    }
}
