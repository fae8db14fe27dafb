//! What the disk tells the engine: batches that are written, writes that fail, pages that rot, room that runs out.
//!
//! Promises: after a failure nothing is promised until the store was reopened; damage is told once, and nothing is built on
//! it; before a disk is full no more blocks are taken, and what is left is for this node's own payments.
//! Elsewhere: what a store promises (`chain::store`), what waits for the disk (`node::outbox`).
//! Spec: `proto-notes/store.md`, "Damage".

use super::io::StoreFact;
use super::machine::Engine;
use super::parts::room::{Change, Room};
use super::parts::storage::disk_low;
use crate::chain::ChainStore;

impl<S: ChainStore> Engine<S> {
    pub(super) fn on_store(&mut self, fact: StoreFact) {
        match fact {
            StoreFact::Committed { id } => {
                self.chain.committed(id);
                if self.out.committed(id) {
                    self.peers.links.changed();
                }
            }
            StoreFact::Failed { reason } => {
                self.forget_unwritten();
                self.fail_store(&reason);
            }
            StoreFact::Reopened => match self.chain.reload().and_then(|()| self.restore_own()) {
                Ok(()) => {
                    self.mode.read_only = self.storage.damage_told;
                    self.out.forget_unsaved(self.present());
                    self.mining.drop_jobs();
                    self.peers.links.changed();
                    self.check_peer_names();
                }
                Err(error) => self.fail_store(&error.to_string()),
            },
            StoreFact::Room(room) => self.on_room(room),
        }
    }

    /// Whether blocks of strangers are taken and new ones made.
    pub(super) const fn takes_blocks(&self) -> bool {
        !self.mode.read_only && !self.storage.room.is_low()
    }

    fn on_room(&mut self, room: Room) {
        let mib = |bytes: u64| bytes / (1024 * 1024);
        match self.storage.room.handle(room) {
            None => {}
            Some(Change::Low) => {
                self.out.warn(
                    "disk_low",
                    format!(
                        "the disk of the data folder has {} MiB left: no blocks are taken or made, own payments still are; \
                         make room, then this node goes on by itself",
                        mib(room.free)
                    ),
                );
                self.end_syncs();
                self.fail_mining_runs(&disk_low());
            }
            Some(Change::Enough) => {
                self.out.warn(
                    "disk_room",
                    format!(
                        "the disk has {} MiB of room again: blocks are taken and made",
                        mib(room.free)
                    ),
                );
                // What went by meanwhile is asked for at once.
                self.peers.links.changed();
            }
        }
    }

    /// Tells once that something on the disk rotted. What was asked for has no answer then, so that nothing may be built
    /// on it: the node is read-only until it is started anew.
    pub(super) fn watch_store(&mut self) {
        if self.storage.damage_told {
            return;
        }
        let Some(reason) = self.chain.damage() else { return };
        self.storage.damage_told = true;
        self.mode.read_only = true;
        self.out.warn(
            "store_damaged",
            format!(
                "the chain on the disk is damaged: {reason}; the node takes and makes no more blocks: stop it and run \
                 lanchain verify --repair"
            ),
        );
        self.end_syncs();
        self.fail_mining_runs(&super::commands::read_only());
    }

    /// Nothing may be promised any more until the store was reopened.
    pub(super) fn fail_store(&mut self, reason: &str) {
        self.watch_store();
        if !self.mode.read_only {
            self.mode.read_only = true;
            self.out.warn(
                "read_only",
                format!("the disk refused a write, the node is read-only until it answers: {reason}"),
            );
        }
        self.end_syncs();
        self.fail_mining_runs(&super::commands::read_only());
    }

    /// What was not written was refused: neither the tip nor the pool counts it from now on.
    fn forget_unwritten(&mut self) {
        let lost = self.chain.forget_unwritten();
        lost.iter().for_each(|txid| self.pool.forget(txid));
        self.out.forget_unsaved(self.present());
    }
}
