//! Chains of full blocks, written into folders: mining and checking them by a node takes a test too long.
//!
//! Promises: the blocks keep every rule and have their proof of work; what stands in the store is what a node would have
//! written there. Elsewhere: what is done with them (`switches`).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

use lanchain::chain::history::add_body;
use lanchain::chain::ledger::{Accounts, Ledger};
use lanchain::chain::{
    AccountState, Batch, Block, Header, NetworkParams, Reward, Spot, StoreError, StoredBlock, Transaction, TxPlace,
    merkle,
};
use lanchain::miner::MiningWork as Search;
use lanchain::miner::search::{SearchOutcome, search};
use lanchain::store::RedbStore;
use lanchain::types::{Account, AccountName, Amount, PublicKey, SecretKey, WallTime, Work};

/// Blocks in one commit.
const BATCH: u64 = 16;

/// What the payments of a branch do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payments {
    /// So many names, each of which pays the next one in each block.
    Ring(u64),
    /// So many new names in each block pay so many others.
    Fresh(u64),
}

/// A branch's end.
#[derive(Clone)]
pub(crate) struct End {
    params: NetworkParams,
    header: Header,
    work: Work,
    ledger: State,
}

/// The ledger there.
#[derive(Clone, Default)]
struct State(BTreeMap<Account, AccountState>);

impl Accounts for State {
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        Ok(self.0.get(account).cloned())
    }
}

/// A block with what a store keeps of it.
struct Made {
    block: Block,
    stored: StoredBlock,
    bytes: Vec<u8>,
}

/// Who signs the payments.
fn payer() -> SecretKey {
    SecretKey::from_seed([9; 32])
}

fn pays(parties: (Account, Account, Option<PublicKey>), sequence: u64, params: &NetworkParams) -> Transaction {
    Transaction::transfer(&params.network_id(), &payer(), parties, Amount::ONE, sequence).expect("a good form")
}

fn word(text: String) -> Account {
    Account::Name(AccountName::new(&text).expect("a name"))
}

impl End {
    /// The genesis block of `dev`.
    pub(crate) fn genesis() -> Self {
        let params = NetworkParams::dev();
        Self {
            header: params.genesis(),
            params,
            work: Work::ZERO,
            ledger: State::default(),
        }
    }

    /// The height.
    pub(crate) fn height(&self) -> u64 {
        self.header.height.get()
    }

    /// The hash in hex digits.
    pub(crate) fn hash(&self) -> String {
        self.header.hash().to_string()
    }

    /// One more block, whose rewards tell branches apart.
    fn add(&mut self, miner: u8, payments: Payments) -> Made {
        let height = self.header.height.next();
        let mut transactions = vec![Transaction::Reward(Reward {
            to: Account::Key(SecretKey::from_seed([miner; 32]).public()),
            height,
        })];
        match payments {
            Payments::Ring(count) => transactions.extend((0..count).map(|number| self.in_ring(number, count))),
            Payments::Fresh(count) => transactions.extend((0..count).map(|number| self.fresh(miner, number))),
        }
        let ids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
        let time = WallTime::from_ms(self.header.time.ms() + 1_000);
        let header = self.mined(Header {
            previous: self.header.hash(),
            merkle_root: merkle::root(&ids),
            bits: self.params.required_bits(&self.header, time),
            height,
            time,
            ..self.header.clone()
        });
        let block = Block { header, transactions };
        self.apply(&block);
        self.work = self.work.plus(Header::weight(&self.header, &self.params));
        self.header = block.header.clone();
        let bytes = block.to_bytes();
        Made {
            stored: StoredBlock {
                header: self.header.clone(),
                work: self.work,
                size_bytes: u64::try_from(bytes.len()).expect("a block"),
            },
            block,
            bytes,
        }
    }

    /// What the name of this number pays the next one.
    fn in_ring(&self, number: u64, count: u64) -> Transaction {
        let to_number = (number + 1) % count;
        let (from, to) = (word(format!("n{number:06}")), word(format!("n{to_number:06}")));
        let state = |account| self.ledger.0.get(account).cloned().unwrap_or_default();
        let sequence = state(&from).next_sequence;
        // The first name has an owner by the time the last one pays it.
        let is_owned = to_number == 0 || state(&to).owner.is_some();
        let owner = is_owned.then(|| payer().public());
        pays((from, to, owner), sequence, &self.params)
    }

    /// What a new name pays another one.
    fn fresh(&self, miner: u8, number: u64) -> Transaction {
        let new = |side: char| word(format!("{side}{miner}-{}-{number}", self.height() + 1));
        pays((new('a'), new('b'), None), 0, &self.params)
    }

    fn apply(&mut self, block: &Block) {
        let mut ledger = Ledger::new(&self.params, &self.ledger);
        ledger.apply_block(block).expect("a good block");
        for (account, state) in ledger.finish() {
            match state {
                Some(state) => self.ledger.0.insert(account, state),
                None => self.ledger.0.remove(&account),
            };
        }
    }

    fn mined(&self, mut header: Header) -> Header {
        let target = header.bits.target(self.params.halflife_ms).expect("bits of the rules");
        let work = Search {
            header: header.to_bytes(),
            limit: *target.as_bytes(),
        };
        let (cancel, attempts) = (AtomicBool::new(false), AtomicU64::new(0));
        let SearchOutcome::Found(nonce) = search(&work, 0..=u64::MAX, &cancel, &attempts) else {
            unreachable!("the space is far larger than the work");
        };
        header.nonce = nonce;
        header
    }
}

/// What becomes of the blocks of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// They are the active chain.
    Active,
    /// They are stored beside it.
    Aside,
}

/// A chain file.
pub(crate) struct ChainFile {
    store: RedbStore,
    batch: Batch,
    id: u64,
}

impl ChainFile {
    /// Opens the one of a folder in which a node has been.
    pub(crate) fn open(folder: &Path) -> Self {
        let path = folder.join("chain.redb");
        Self {
            store: RedbStore::open(&path, &NetworkParams::dev()).expect("a chain"),
            batch: Batch::default(),
            id: 0,
        }
    }

    fn put(&mut self, made: &Made, kept: Kept) {
        let (hash, height) = (made.block.hash(), made.block.header.height);
        let stored = (made.stored.clone(), made.bytes.clone());
        self.batch.blocks.insert(hash, Some(stored));
        if kept == Kept::Aside {
            self.batch.side.insert(hash, Some(()));
            return;
        }
        self.batch.active.insert(height, Some(hash));
        for (index, transaction) in (0_u32..).zip(&made.block.transactions) {
            let spot = Spot::new(&hash, TxPlace { height, index });
            self.batch.places.insert((transaction.txid(), spot));
        }
        add_body(&mut self.batch.history, &hash, &made.bytes).expect("a block");
    }

    fn commit(&mut self) {
        self.id += 1;
        let mut batch = std::mem::take(&mut self.batch);
        batch.id = self.id;
        self.store.commit(&[batch]).expect("the disk has room");
    }
}

/// Lengthens a branch by so many blocks and writes them; the ledger too, where they are active.
pub(crate) fn extend(
    end: &mut End,
    (miner, payments): (u8, Payments),
    count: u64,
    files: &mut [(&mut ChainFile, Kept)],
) {
    for number in 1..=count {
        let made = end.add(miner, payments);
        for (file, kept) in files.iter_mut() {
            file.put(&made, *kept);
            if number % BATCH == 0 {
                file.commit();
            }
        }
    }
    for (file, kept) in files.iter_mut() {
        if *kept == Kept::Active {
            let states = end.ledger.0.iter();
            file.batch.accounts = states
                .map(|(account, state)| (account.clone(), Some(state.clone())))
                .collect();
        }
        file.commit();
    }
}
