//! Own blocks from the future: mined while a clock was ahead, which was put right later. No other node takes them before
//! their time, and nothing can be mined on them.
//!
//! Promises: told once each time it comes about, with the way out; `mine` is refused instead of waiting for hours;
//! `resolve`, `wait synced` and `doctor` know of it. Elsewhere: how blocks are taken off (`chain::rewind`).
//! Spec: `proto-notes/consensus.md`, "Blocks from the future".

use super::commands::read_only;
use super::machine::Engine;
use super::parts::ahead::{Ahead, REWIND_MAX};
use crate::chain::ChainStore;
use crate::chain::params::FUTURE_MAX_MS;
use crate::contract::{CommandError, Reply, Source};
use crate::inspect::{no_block, store_error};
use crate::types::time::span_words;
use crate::types::{Height, PeerId, count};

impl<S: ChainStore> Engine<S> {
    /// Whether this node itself would not take its newest block now.
    pub(super) fn is_ahead(&self) -> bool {
        self.chain.tip().header.check_clock(self.clock()).is_err()
    }

    /// The blocks at the end of the chain that this node itself would not take now.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        if !self.is_ahead() {
            return None;
        }
        let latest = self.clock().after_ms(FUTURE_MAX_MS);
        let tip = &self.chain.tip().header;
        let (mut count, mut at) = (0, tip.clone());
        while at.time > latest && count <= REWIND_MAX && at.height > Height::GENESIS {
            count += 1;
            at = self.chain.block(&at.previous).ok().flatten()?.header;
        }
        Some(Ahead {
            count,
            ahead_ms: tip.time.since(self.clock()),
            last: at.height,
        })
    }

    /// Why `mine` does not wait: until the clock is there nothing is found.
    pub(super) fn ahead_refusal(&self) -> Option<CommandError> {
        self.ahead().map(Ahead::refusal)
    }

    /// Says it when it comes about: after a start, or when the clock is set.
    pub(super) fn check_ahead(&mut self) {
        if !self.mode.started {
            return;
        }
        let is_ahead = self.is_ahead();
        if self.notices.ahead.begins(is_ahead)
            && let Some(ahead) = self.ahead()
        {
            self.out.warn("clock_behind_tip", ahead.sentence());
        }
    }

    /// A peer shows a branch that ends in the future: its user wonders why nobody takes it, and so may this one.
    pub(super) fn note_future_branch(&mut self, peer: PeerId, ahead_ms: u64) {
        if !self.notices.future_branch.tell(self.clock.now()) {
            return;
        }
        let span = span_words(ahead_ms);
        self.out.warn(
            "future_branch",
            format!(
                "{peer} has blocks that are {span} ahead of this clock: they are not taken before their time. Either they were made \
                 while a clock was ahead (`rewind` there takes them off), or this clock is behind"
            ),
        );
    }

    /// Takes own blocks from the future off the chain, for `rewind`.
    pub(super) fn rewind(&mut self) -> Result<Reply, CommandError> {
        if self.mode.read_only {
            return Err(read_only());
        }
        let Some(ahead) = self.ahead() else {
            return Err(CommandError::new(
                "nothing_to_rewind",
                "no block of this chain is from the future: there is nothing to take off",
                "status",
            ));
        };
        if ahead.count > REWIND_MAX {
            return Err(CommandError::new("too_many_blocks", ahead.sentence(), "status"));
        }
        self.chain
            .active(ahead.last)
            .map_err(store_error)?
            .ok_or_else(no_block)?;
        let switch = self.chain.rewind(ahead.last).map_err(store_error)?;
        // A long switch begins anew, from the new tip.
        self.storage.prepared = None;
        self.out.made_own();
        let removed = count(switch.disconnected.len());
        self.switched(&switch, Source::Local);
        self.notices.ahead.over();
        let tip = self.chain.tip();
        Ok(Reply::Rewound {
            removed,
            message: format!(
                "{removed} {} from the future taken off and deleted here. Their payments wait again and are not signed anew. \
                 Who still has the blocks may bring them back when their time comes: they win then if their chain has more work",
                if removed == 1 { "block" } else { "blocks" }
            ),
            height: tip.header.height,
            tip: tip.hash,
        })
    }
}
