//! Rewinding: the newest blocks are taken off the chain for good, because the user asks for it.
//!
//! Promises: it is one step, whole or without a trace. The blocks are deleted, but not remembered as invalid: a node
//! that still has them can send them again, and they win by the ordinary rule. Own transactions wait again, and none is
//! signed anew. A long switch under way begins anew afterwards. Elsewhere: which blocks, and why (`engine::future`).
//! Spec: `proto-notes/consensus.md`, "Blocks from the future".

use super::state::{Chain, Tip};
use super::store::{ChainStore, StoreError};
use super::switch::{ConnectedEffects, Moved, OwnMoves, Switch, Undone};
use crate::types::Height;

impl<S: ChainStore> Chain<S> {
    /// Takes all blocks above a height off the active branch and deletes them, with the side branches on them.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails; the chain has not changed then.
    pub fn rewind(&mut self, to: Height) -> Result<Switch, StoreError> {
        // A long switch assumes the present tip, and may need blocks that are deleted here.
        self.abandon_switch();
        let own_numbers = self.own_numbers;
        let rewound = self.try_rewind(to);
        if rewound.is_err() {
            self.overlay.discard();
            self.own_numbers = own_numbers;
        }
        rewound
    }

    fn try_rewind(&mut self, to: Height) -> Result<Switch, StoreError> {
        let old_tip = self.tip().hash;
        let (mut at, mut height) = (old_tip, self.tip().header.height);
        let (mut disconnected, mut undone) = (Vec::<Moved>::new(), Undone::default());
        let mut own = OwnMoves::default();
        while height > to {
            let (stored, block) = self.disconnect(at)?;
            disconnected.push(self.moved_off(at, &stored, &block)?);
            own.leave(&self.owner, &block);
            undone.put_before(block);
            at = stored.header.previous;
            let Some(below) = height.previous() else { break };
            height = below;
        }
        let stored = self.expect_block(&at)?;
        let doomed: Vec<_> = disconnected
            .iter()
            .flat_map(|moved| self.tree.remove_branch(&moved.hash))
            .collect();
        self.forget(doomed);
        self.overlay.keep();
        self.tip = Tip {
            hash: at,
            header: stored.header,
            work: stored.work,
        };
        Ok(Switch {
            fork: height,
            old_tip,
            new_tip: at,
            disconnected,
            connected: Vec::new(),
            undone,
            done: ConnectedEffects::default(),
            own,
        })
    }
}
