//! The writing thread of a node: what is queued goes to the disk in one step.
//!
//! Promises: as `node::writer`: in order or not at all; after a failure nothing before the engine knows and the store was
//! reopened.

use lanchain::chain::Batch;
use lanchain::engine::{Input, StoreFact};

use crate::checkers::Watch;
use crate::node::Writer;
use crate::world::{Happening, World};

/// Between two attempts to reopen a store.
pub(crate) const REOPEN_MS: u64 = 3_000;

impl World {
    pub(crate) fn write(&mut self, node: usize, batch: Batch) {
        match self.nodes[node].writer {
            Writer::Idle => {
                self.nodes[node].queue.push(batch);
                self.begin_write(node);
            }
            Writer::Busy(_) => self.nodes[node].queue.push(batch),
            // Built on what the disk does not have.
            Writer::Failed | Writer::Reopening => {}
        }
    }

    fn begin_write(&mut self, node: usize) {
        let batches = std::mem::take(&mut self.nodes[node].queue);
        if batches.is_empty() {
            self.nodes[node].writer = Writer::Idle;
            return;
        }
        self.nodes[node].writer = Writer::Busy(batches);
        let pace = self.nodes[node].plan.disk_ms;
        let delay = pace + self.dice.below(pace + 1);
        let life = self.nodes[node].life;
        self.later(delay, Happening::Written { node, life });
    }

    pub(crate) fn written(&mut self, node: usize) {
        let Writer::Busy(batches) = std::mem::replace(&mut self.nodes[node].writer, Writer::Idle) else {
            return;
        };
        let result = self.nodes[node].store.commit(&batches);
        match (result, batches.last()) {
            (Ok(()), Some(last)) => {
                let id = last.id;
                Watch::written(self, node, &batches);
                self.begin_write(node);
                self.tell(node, Input::Store(StoreFact::Committed { id }));
            }
            (Ok(()), None) => {}
            (Err(error), _) => {
                self.nodes[node].writer = Writer::Failed;
                self.nodes[node].queue.clear();
                let reason = error.to_string();
                self.tell_later(1, node, Input::Store(StoreFact::Failed { reason }));
            }
        }
    }

    pub(crate) fn reopen(&mut self, node: usize) {
        let life = self.nodes[node].life;
        match self.nodes[node].store.reopen() {
            Ok(()) => {
                self.nodes[node].writer = Writer::Idle;
                Watch::started(self, node);
                self.tell(node, Input::Store(StoreFact::Reopened));
            }
            Err(_) => self.later(REOPEN_MS, Happening::Reopen { node, life }),
        }
    }
}
