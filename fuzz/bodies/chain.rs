//! Blocks of a tree, delivered in any order and again, with crashes between: what a chain says to each, and where it
//! stands, against a model that knows every branch's ledger from its beginning.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::Bytes;
use super::world::{CLOCK, Model, cook, entries, mine, prove, seal};
use crate::chain::memory_store::MemoryStore;
use crate::chain::{AcceptError, Accepted, Block, Chain, Header, Moved, NetworkParams, Switch, TxPlace};
use crate::types::{BlockHash, Height, MerkleRoot};

/// Blocks of one input: each may need 2^16 hashes.
const BLOCKS_MAX: usize = 12;
const STEPS_MAX: usize = 80;

/// How a block was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    Header,
    Root,
    /// A signature or the reward.
    Body,
}

/// A block of the tree.
struct Made {
    block: Block,
    hash: BlockHash,
    /// Its place in the list; none: genesis.
    parent: Option<usize>,
    work: u128,
    flaw: Flaw,
    /// The ledger after it; none if it or one below it does not apply.
    ledger: Option<Model>,
}

struct Script {
    params: NetworkParams,
    chain: Chain<MemoryStore>,
    store: MemoryStore,
    made: Vec<Made>,
    /// What the chain must have: stored blocks, those known to be invalid, the tip.
    stored: BTreeSet<usize>,
    invalid: BTreeSet<usize>,
    tip: Option<usize>,
    /// Stored blocks and tip on the disk.
    durable: (BTreeSet<usize>, Option<usize>),
}

pub(super) fn chain(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let params = [NetworkParams::lan(), NetworkParams::dev(), NetworkParams::coin()][bytes.below(3)].clone();
    let store = MemoryStore::new(&params);
    let mut script = Script {
        chain: Chain::open(params.clone(), store.clone(), [7; 32]).unwrap(),
        params,
        store,
        made: Vec::new(),
        stored: BTreeSet::new(),
        invalid: BTreeSet::new(),
        tip: None,
        durable: (BTreeSet::new(), None),
    };
    for _ in 0..STEPS_MAX {
        if bytes.is_empty() {
            break;
        }
        match bytes.u8() % 8 {
            0..=3 if script.made.len() < BLOCKS_MAX => {
                let made = script.grow(&mut bytes);
                script.made.push(made);
                if !bytes.one_in(4) {
                    script.deliver(script.made.len() - 1);
                }
            }
            4 => script.commit(),
            5 => script.crash(),
            _ if script.made.is_empty() => {}
            _ => script.deliver(bytes.below(script.made.len())),
        }
    }
    script.check();
    script.commit();
    script.crash();
}

impl Script {
    fn grow(&self, bytes: &mut Bytes<'_>) -> Made {
        let back = bytes.below(4);
        let parent = self.made.len().checked_sub(back + 1);
        let (header, work, ledger) = match parent.map(|at| &self.made[at]) {
            Some(made) => (made.block.header.clone(), made.work, made.ledger.clone()),
            None => (self.params.genesis(), 0, Some(Model::new(&self.params))),
        };
        let later = [10_000, 0, 1, 9_999, 60_000, 700_000][bytes.below(6)];
        let mut content = Vec::new();
        let mut at = ledger.clone().unwrap_or_else(|| Model::new(&self.params));
        at.ledger.next_block();
        for _ in 0..bytes.below(4) {
            if let Some(transaction) = cook(bytes, &self.params, &at)
                && (at.apply(&transaction).is_ok() || bytes.one_in(8))
            {
                content.push(transaction);
            }
        }
        let (block, flaw) = self.spoilt(bytes, mine(&self.params, &header, later, back, content));
        let weight = header.bits.work(self.params.halflife_ms).unwrap().to_be_bytes();
        Made {
            hash: block.hash(),
            work: work + u128::from_be_bytes(weight[16..].try_into().unwrap()),
            ledger: ledger.and_then(|ledger| ledger.apply_all(&block.transactions)),
            block,
            parent,
            flaw,
        }
    }

    /// One block of sixteen has a flaw that its bytes show.
    fn spoilt(&self, bytes: &mut Bytes<'_>, mut block: Block) -> (Block, Flaw) {
        let header = block.header.clone();
        let changed = |header: Header| prove(&self.params, header);
        match bytes.u8() {
            240..=243 => {
                block.header.bits.0 += 1;
                block.header = changed(block.header);
                (block, Flaw::Header)
            }
            244..=245 => {
                block.header.height = Height::new(header.height.get() + 1);
                block.header = changed(block.header);
                (block, Flaw::Header)
            }
            246..=249 => {
                block.header.merkle_root = MerkleRoot::new([1; 32]);
                block.header = changed(block.header);
                (block, Flaw::Root)
            }
            250..=255 => {
                // Without its reward, or with two.
                let mut transactions = block.transactions.clone();
                if header.height.get().is_multiple_of(2) {
                    transactions.remove(0);
                } else {
                    transactions.push(transactions[0].clone());
                }
                let parent = self
                    .made
                    .iter()
                    .map(|made| &made.block.header)
                    .find(|parent| parent.hash() == header.previous);
                let parent = parent.cloned().unwrap_or_else(|| self.params.genesis());
                let later = header.time.since(parent.time);
                (seal(&self.params, &parent, later, transactions), Flaw::Body)
            }
            _ => (block, Flaw::None),
        }
    }

    fn is_better(&self, at: usize) -> bool {
        let new = &self.made[at];
        match self.tip.map(|tip| &self.made[tip]) {
            Some(tip) => new.work > tip.work || (new.work == tip.work && new.hash < tip.hash),
            None => new.work > 0,
        }
    }

    /// The blocks from genesis to one.
    fn path(&self, to: Option<usize>) -> Vec<usize> {
        let mut path: Vec<usize> = core::iter::successors(to, |at| self.made[*at].parent).collect();
        path.reverse();
        path
    }

    /// Two blocks of a script may be the same one; the model knows blocks by the first place.
    fn first(&self, at: usize) -> usize {
        let same = |made: &Made| made.hash == self.made[at].hash;
        self.made.iter().position(same).unwrap()
    }

    fn deliver(&mut self, at: usize) {
        let at = self.first(at);
        let old = self.path(self.tip);
        let said = self.chain.accept(self.made[at].block.clone(), CLOCK);
        let parent = self.made[at].parent.map(|parent| self.first(parent));
        self.made[at].parent = parent;
        let known_invalid = |at: &usize| self.invalid.contains(at);
        let expected = if known_invalid(&at) || parent.as_ref().is_some_and(known_invalid) {
            "known_invalid"
        } else if self.stored.contains(&at) {
            "already_known"
        } else if parent.is_some_and(|parent| !self.stored.contains(&parent)) {
            "unknown_parent"
        } else {
            self.judge(at)
        };
        let word = match &said {
            Ok(Accepted::AlreadyKnown) => "already_known",
            Ok(Accepted::Stored { .. }) => "stored",
            Ok(Accepted::Switched(switch)) => {
                self.check_switch(switch, &old);
                "switched"
            }
            Err(AcceptError::Header(_)) => "header",
            Err(AcceptError::Block(_)) => "block",
            Err(AcceptError::Ledger { .. }) => "ledger",
            Err(AcceptError::UnknownParent { .. }) => "unknown_parent",
            Err(AcceptError::KnownInvalid(_)) => "known_invalid",
            Err(AcceptError::LowWork { .. } | AcceptError::Store(_)) => panic!("{said:?}"),
        };
        assert_eq!(word, expected, "{said:?}");
        self.check();
    }

    /// The model has followed: what left and what joined is what lies between the two paths.
    fn check_switch(&self, switch: &Switch, old: &[usize]) {
        let new = self.path(self.tip);
        let shared = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
        let hashes = |path: &[usize]| -> Vec<BlockHash> { path.iter().map(|at| self.made[*at].hash).collect() };
        let mut left = hashes(&old[shared..]);
        left.reverse();
        let moved = |list: &[Moved]| -> Vec<BlockHash> { list.iter().map(|moved| moved.hash).collect() };
        assert_eq!(moved(&switch.disconnected), left);
        assert_eq!(moved(&switch.connected), hashes(&new[shared..]));
        assert_eq!(switch.fork.get(), u64::try_from(shared).unwrap());
        let signed = |at: &usize| {
            self.made[*at]
                .block
                .transactions
                .iter()
                .filter(|tx| tx.signer().is_some())
        };
        assert!(switch.undone.iter().eq(old[shared..].iter().flat_map(signed)));
    }

    /// What becomes of a new block whose parent is stored; the model follows.
    fn judge(&mut self, at: usize) -> &'static str {
        match self.made[at].flaw {
            Flaw::Header => return "header",
            Flaw::Root => return "block",
            Flaw::Body => {
                self.invalid.insert(at);
                return "block";
            }
            Flaw::None => {}
        }
        if !self.is_better(at) {
            self.stored.insert(at);
            return "stored";
        }
        let path = self.path(Some(at));
        let Some(rotten) = path.iter().find(|at| self.made[**at].ledger.is_none()) else {
            self.stored.insert(at);
            self.tip = Some(at);
            return "switched";
        };
        let doomed: Vec<usize> = self
            .stored
            .iter()
            .copied()
            .filter(|at| self.path(Some(*at)).contains(rotten))
            .collect();
        for block in doomed.into_iter().chain([*rotten, at]) {
            self.stored.remove(&block);
            self.invalid.insert(block);
        }
        "ledger"
    }

    fn check(&self) {
        let path = self.path(self.tip);
        let (hash, work, ledger) = match self.tip.map(|tip| &self.made[tip]) {
            Some(made) => (made.hash, made.work, made.ledger.clone().unwrap()),
            None => (self.params.genesis().hash(), 0, Model::new(&self.params)),
        };
        let tip = self.chain.tip();
        assert_eq!(tip.hash, hash);
        assert_eq!(tip.work.to_be_bytes()[16..], work.to_be_bytes());
        let accounts = self.chain.accounts(100).unwrap().1;
        let accounts = entries(accounts.iter().map(|(account, state)| (account, state)));
        assert_eq!(accounts, ledger.ledger.entries);
        let headers: Vec<Header> = path.iter().map(|at| self.made[*at].block.header.clone()).collect();
        assert_eq!(self.chain.headers_after(&[], 100).unwrap(), headers);
        self.check_places(&path);
        let locator = self.chain.locator().unwrap();
        assert_eq!(
            (locator.first(), locator.last()),
            (Some(&hash), Some(&self.params.genesis().hash()))
        );
        let stored: BTreeSet<BlockHash> = self.stored.iter().map(|at| self.made[*at].hash).collect();
        let found = self.chain.blocks_by_prefix("", 100).unwrap().into_iter();
        assert_eq!(
            found
                .filter(|hash| *hash != self.params.genesis().hash())
                .collect::<BTreeSet<_>>(),
            stored
        );
    }

    /// Transactions of the active branch have a place, all others none.
    fn check_places(&self, path: &[usize]) {
        let mut places = BTreeMap::new();
        for block in path.iter().map(|at| &self.made[*at].block) {
            for (index, transaction) in (0..).zip(&block.transactions) {
                let height = block.header.height;
                places.insert(transaction.txid(), TxPlace { height, index });
            }
        }
        for txid in self.made.iter().flat_map(|made| made.block.txids()) {
            assert_eq!(self.chain.place(&txid).unwrap(), places.get(&txid).copied());
        }
    }

    fn commit(&mut self) {
        while let Some(batch) = self.chain.take_batch() {
            self.store.commit(&batch);
            self.chain.committed(batch.id);
        }
        self.durable = (self.stored.clone(), self.tip);
    }

    /// What the disk does not have is lost; a fresh chain on the same disk stands where this one does.
    fn crash(&mut self) {
        self.chain.reload().unwrap();
        (self.stored, self.tip) = self.durable.clone();
        self.check();
        let again = Chain::open(self.params.clone(), self.store.copy(), [7; 32]).unwrap();
        assert_eq!(again.tip(), self.chain.tip());
        assert_eq!(again.tips(50), self.chain.tips(50));
    }
}
