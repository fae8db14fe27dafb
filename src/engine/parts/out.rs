//! What leaves the engine, and in which order.
//!
//! Promises: in each turn, what is immediate leaves first, then the commit, then announcements and answers, then events
//! and replies: nothing of ours is announced or told before it is handed to the disk. Until `started` was told, events
//! and replies wait. While own news are not on the disk, statuses say what is there.
//! Elsewhere: what waits for the disk (`node::outbox`), what is immediate (`Output::is_immediate`).

use std::collections::VecDeque;

use crate::chain::Batch;
use crate::contract::{CommandError, Event, Reply};
use crate::engine::io::{BodyCheck, Errand, MinerOrder, NetOrder, Output};
use crate::types::{BlockHash, Height, Work};

/// What a status says of the chain and the pool.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShownState {
    pub(crate) tip: BlockHash,
    pub(crate) height: Height,
    pub(crate) work: Work,
    pub(crate) pool_count: u32,
    pub(crate) pool_digest: u64,
}

/// The outputs of a turn, and those that wait to be polled.
#[derive(Debug, Default)]
pub(crate) struct Out {
    queue: VecDeque<Output>,
    /// Behind the commit, first.
    announcements: Vec<Output>,
    /// Events and replies: behind the announcements.
    told: Vec<Output>,
    is_open: bool,
    /// Something of ours was made in this turn, or the tip moved.
    own_made: bool,
    /// The batch that brings it to the disk.
    own_unsaved: Option<u64>,
    /// What statuses say while own news are not on the disk.
    shown: ShownState,
}

impl Out {
    /// Nothing leaves yet; statuses begin with this.
    pub(crate) fn new(shown: ShownState) -> Self {
        Self {
            shown,
            ..Self::default()
        }
    }

    /// The next output, in the order in which they must be carried out.
    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.queue.pop_front()
    }

    /// An order that waits for no disk.
    pub(crate) fn order(&mut self, order: NetOrder) {
        self.queue.push_back(Output::Net(order));
    }

    /// An order to the miner.
    pub(crate) fn order_miner(&mut self, order: MinerOrder) {
        self.queue.push_back(Output::Miner(order));
    }

    /// An order to the network that stands behind the commit.
    pub(crate) fn announce(&mut self, order: NetOrder) {
        self.announcements.push(Output::Net(order));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.told.push(Output::Event(event));
    }

    pub(crate) fn warn(&mut self, code: &'static str, message: String) {
        self.event(Event::Warning { code, message });
    }

    pub(crate) fn reply(&mut self, id: u64, result: Result<Reply, CommandError>) {
        self.told.push(Output::Reply { id, result });
    }

    /// Work for a command. It stands with the replies: behind the commit of this turn.
    pub(crate) fn errand(&mut self, id: u64, errand: Errand) {
        self.told.push(Output::Errand { id, errand });
    }

    /// Bodies leave to be checked.
    pub(crate) fn check(&mut self, check: BodyCheck) {
        self.queue.push_back(Output::Check(check));
    }

    /// The first event, whatever was known before; events and replies that waited stand behind it.
    pub(crate) fn open(&mut self, started: Event) {
        self.is_open = true;
        self.told.insert(0, Output::Event(started));
    }

    /// The turn made something that nobody may hear of before the disk has it.
    pub(crate) const fn made_own(&mut self) {
        self.own_made = true;
    }

    /// Every batch up to this one is on the disk: whether own news were among them.
    pub(crate) fn committed(&mut self, batch: u64) -> bool {
        self.own_unsaved.take_if(|own| *own <= batch).is_some()
    }

    /// What was on its way to the disk is not any more: statuses say what is there.
    pub(crate) const fn forget_unsaved(&mut self, present: ShownState) {
        self.own_unsaved = None;
        self.shown = present;
    }

    /// What a status says: what is there, or what was there before own news that a crash could still make us forget.
    pub(crate) const fn shown(&self, present: ShownState) -> ShownState {
        if self.own_made || self.own_unsaved.is_some() {
            self.shown
        } else {
            present
        }
    }

    /// Ends a turn: the batch for the disk, if the turn made one, then all that stands behind it.
    pub(crate) fn end_turn(&mut self, batch: Option<Batch>, present: ShownState) {
        if let Some(batch) = batch {
            if self.own_made {
                self.own_unsaved = Some(batch.id);
            }
            self.queue.push_back(Output::Commit(batch));
        }
        self.own_made = false;
        if self.own_unsaved.is_none() {
            self.shown = present;
        }
        self.queue.extend(self.announcements.drain(..));
        if self.is_open {
            self.queue.extend(self.told.drain(..));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at_height(height: u64) -> ShownState {
        ShownState {
            tip: BlockHash::ZERO,
            height: Height::new(height),
            work: Work::ZERO,
            pool_count: 0,
            pool_digest: 0,
        }
    }

    fn batch(id: u64) -> Batch {
        Batch { id, ..Batch::default() }
    }

    fn kinds(out: &mut Out) -> String {
        let kind = |output: Output| match output {
            Output::Net(NetOrder::Publish { .. }) => 'p',
            Output::Net(_) => 'n',
            Output::Miner(_) => 'm',
            Output::Check(_) => 'k',
            Output::Commit(_) => 'c',
            Output::Event(_) => 'e',
            Output::Errand { .. } => 'w',
            Output::Reply { .. } => 'r',
        };
        core::iter::from_fn(|| out.poll()).map(kind).collect()
    }

    #[test]
    fn orders_leave_at_once_and_what_is_told_stands_behind_the_commit_and_the_start() {
        let mut out = Out::new(at_height(0));
        out.warn("stale_tip", "first".to_owned());
        out.announce(NetOrder::Publish {
            topic: crate::wire::Topic::Blocks,
            bytes: Vec::new(),
        });
        out.order(NetOrder::Enable(true));
        out.order_miner(MinerOrder::Stop);
        out.end_turn(Some(batch(1)), at_height(1));
        assert_eq!(kinds(&mut out), "nmcp");
        out.open(Event::Stopped { exit_status: 0 });
        out.end_turn(None, at_height(1));
        assert!(matches!(out.poll(), Some(Output::Event(Event::Stopped { .. }))));
        assert_eq!(kinds(&mut out), "e");
    }

    #[test]
    fn a_status_hides_own_news_until_the_batch_that_holds_them_is_on_the_disk() {
        let mut out = Out::new(at_height(5));
        assert_eq!(out.shown(at_height(6)).height, Height::new(6), "a stranger's news");
        out.made_own();
        assert_eq!(out.shown(at_height(6)).height, Height::new(5));
        out.end_turn(Some(batch(7)), at_height(6));
        assert_eq!(out.shown(at_height(6)).height, Height::new(5));
        assert!(!out.committed(6) && out.committed(7) && !out.committed(8));
        assert_eq!(out.shown(at_height(6)).height, Height::new(6));
        out.made_own();
        out.end_turn(Some(batch(8)), at_height(9));
        out.forget_unsaved(at_height(6));
        assert_eq!(out.shown(at_height(6)).height, Height::new(6));
    }
}
