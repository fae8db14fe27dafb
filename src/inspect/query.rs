//! Questions about the chain that take longer than one turn of the engine may, and are therefore answered from a
//! snapshot of the store, on another thread.
//!
//! Promises: the answer is the same as that of the engine's chain, if the snapshot has everything that this chain has.
//! Elsewhere: taking the snapshot and reading it (`node::errands`).

use super::history::Waiting;
use super::{View, store_error};
use crate::chain::state::Chain;
use crate::chain::{ChainStore, NetworkParams};
use crate::contract::{CommandError, DiskView, Reply};
use crate::pool::Mempool;
use crate::types::{Account, Height, PublicKey};

/// The question itself, with its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The newest blocks, at most this many.
    Chain(u32),
    /// Statistics of this many of the newest blocks, with the disk space that was seen last.
    Stats(u32, Option<DiskView>),
    /// The newest transactions of an account, or of all that this node owns, at most this many; and those that wait.
    History(Option<Account>, u32, Vec<Waiting>),
    /// Changed copies of the block at this height; the bytes seed the check of signatures in a batch.
    Tamper(Height, [u8; 32]),
}

/// A question, with what its answer needs besides the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// The question itself, with its values.
    pub subject: Subject,
    /// The rules of the network.
    pub params: NetworkParams,
    /// The key of this node, which says which accounts are its own.
    pub me: PublicKey,
    /// The attempts that this machine makes in a second, for [`Subject::Tamper`]; 0 if that is unknown.
    pub hash_rate: u64,
}

impl Query {
    /// Answers from a store that nobody writes to meanwhile.
    ///
    /// # Errors
    /// [`CommandError`], as for the command that asks the same.
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
            Subject::Stats(limit, disk) => view.stats(*limit, *disk),
            Subject::History(account, limit, waiting) => view.history(account.as_ref(), *limit, waiting),
            Subject::Tamper(height, secret) => view.tamper(*height, *secret, self.hash_rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::blocks::{advance, branch, dev, key};

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
            (Subject::History(None, 3, Vec::new()), view.history(None, 3, &[])),
            (Subject::Tamper(height, [3; 32]), view.tamper(height, [3; 32], 0)),
            (
                Subject::Tamper(Height::new(99), [3; 32]),
                view.tamper(Height::new(99), [3; 32], 0),
            ),
        ] {
            let query = Query {
                subject,
                params: chain.params().clone(),
                me: key(1).public(),
                hash_rate: 0,
            };
            assert_eq!(query.answer(chain.snapshot().unwrap()), expected, "{:?}", query.subject);
        }
    }
}
