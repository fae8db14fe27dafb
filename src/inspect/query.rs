//! Questions about the chain that take longer than a turn of the engine may: they are answered from a snapshot of the
//! store, elsewhere.
//!
//! Promises: the answer is that of the engine's own chain, if the snapshot has all that this chain has.
//! Elsewhere: who takes the snapshot and where it is read (`node::errands`).

use super::{View, store_error};
use crate::chain::state::Chain;
use crate::chain::{ChainStore, NetworkParams};
use crate::contract::{CommandError, DiskView, Reply};
use crate::pool::Mempool;
use crate::types::{Height, PublicKey};

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The newest blocks, at most so many.
    Chain(u32),
    /// So many of the newest blocks in numbers, and the disk as it was seen last.
    Stats(u32, Option<DiskView>),
    /// The block at this height in the sandbox; the bytes feed the batch check of signatures.
    Tamper(Height, [u8; 32]),
}

/// A question, with what its answer needs beside the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// What is asked.
    pub subject: Subject,
    /// The network's rules.
    pub params: NetworkParams,
    /// The key of the node that is asked.
    pub me: PublicKey,
}

impl Query {
    /// Answers from a store that nothing is written to meanwhile.
    ///
    /// # Errors
    /// [`CommandError`] as the command has it.
    pub fn answer<S: ChainStore>(&self, store: S) -> Result<Reply, CommandError> {
        let chain = Chain::open_to_read(self.params.clone(), store).map_err(store_error)?;
        let view = View {
            chain: &chain,
            pool: &Mempool::new(),
            me: self.me,
            name: None,
        };
        match &self.subject {
            Subject::Chain(limit) => view.chain(*limit),
            Subject::Stats(limit, disk) => view.stats(*limit, disk.clone()),
            Subject::Tamper(height, secret) => view.tamper(*height, *secret),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::tests::kit::{advance, branch, dev, key};

    #[test]
    fn a_snapshot_answers_as_the_chain_itself() {
        let (mut chain, store) = dev();
        let blocks = branch(chain.params(), &chain.tip().header.clone(), 1, 5);
        for block in &blocks {
            advance(&mut chain, block);
            store.commit(&chain.take_batch().unwrap());
        }
        let view = View {
            chain: &chain,
            pool: &Mempool::new(),
            me: key(1).public(),
            name: None,
        };
        let height = Height::new(3);
        for (subject, expected) in [
            (Subject::Chain(4), view.chain(4)),
            (Subject::Stats(9, None), view.stats(9, None)),
            (Subject::Tamper(height, [3; 32]), view.tamper(height, [3; 32])),
            (
                Subject::Tamper(Height::new(99), [3; 32]),
                view.tamper(Height::new(99), [3; 32]),
            ),
        ] {
            let query = Query {
                subject,
                params: chain.params().clone(),
                me: key(1).public(),
            };
            assert_eq!(query.answer(chain.snapshot().unwrap()), expected, "{:?}", query.subject);
        }
    }
}
