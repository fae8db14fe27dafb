//! `lanchain verify`: replays the whole chain of a folder from the genesis block with every check, and compares the
//! result with what the folder stores.
//!
//! Promises: the chain is only read; everything that can be computed is computed again, and stored results are not
//! trusted; each damage is named, up to [`FINDINGS_MAX`] of them.
//! Elsewhere: the checks of opening the folder (`store`), the rules (`chain`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::folder::read;
use super::verify_ahead::{Ahead, Checked};
use super::{Failure, Finding, STATUS_FOLDER, rules};
use crate::chain::ledger::{Accounts, Ledger};
use crate::chain::{
    AccountState, ApplyError, Block, BodyRules, ChainStore, Header, HistoryKey, NetworkParams, Spot, StoreError,
    StoredBlock, Transaction, TxPlace, Verdict,
};
use crate::cli::Args;
use crate::types::hash::sha256;
use crate::types::{Account, BlockHash, Height, Work};

/// The most damages that are reported; more would not help anybody.
const FINDINGS_MAX: usize = 20;
/// Entries of the index of histories that are read at once.
const ENTRIES_AT_ONCE: usize = 4_096;
/// The interval between two progress messages.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The result of a check, for its reply.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    pub(super) blocks: u64,
    pub(super) transactions: u64,
    pub(super) accounts: u64,
    pub(super) side_blocks: u64,
    pub(super) height: Height,
    pub(super) tip: BlockHash,
}

impl Finding for Verified {
    fn words(&self) -> String {
        let Self {
            blocks,
            transactions,
            accounts,
            side_blocks,
            height,
            tip,
        } = self;
        format!(
            "the chain is whole: {blocks} blocks, {transactions} transactions, {accounts} accounts, \
             {side_blocks} blocks on side branches\ntip {tip} at height {height}"
        )
    }
}

pub(super) fn run(args: &Args) -> Result<Option<Verified>, Failure> {
    let (store, _reading) = read(args)?;
    let rules = rules(&args.network)?;
    verify(&store, &args.network, rules).map(Some).map_err(|findings| {
        let hint = "lanchain verify --repair keeps the blocks that are sound, the others come back from peers; or restore \
                    the folder from a copy";
        Failure::new(STATUS_FOLDER, "damaged", findings.join("\n"), hint)
    })
}

/// Replays the chain and compares it with the stored state.
///
/// # Errors
/// A text for each damage.
pub(super) fn verify(
    store: &impl ChainStore,
    params: &NetworkParams,
    rules: BodyRules,
) -> Result<Verified, Vec<String>> {
    let mut replay = Replay {
        store,
        params,
        rules,
        ledger: Entries::default(),
        transactions: 0,
        history: EntrySum::default(),
        findings: Vec::new(),
    };
    let verified = replay.run();
    match verified {
        Ok(verified) if replay.findings.is_empty() => Ok(verified),
        Ok(_) => Err(replay.findings),
        Err(ReplayStopped) => Err(replay.findings),
    }
}

/// The ledger that results from the replayed blocks.
#[derive(Default)]
pub(super) struct Entries(BTreeMap<Account, AccountState>);

impl Entries {
    /// Applies a block by the rules of the ledger.
    ///
    /// # Errors
    /// The position of the first transaction that breaks one, and which it is.
    pub(super) fn apply(&mut self, params: &NetworkParams, block: &Block) -> Result<(), (usize, ApplyError)> {
        let mut ledger = Ledger::new(params, &*self);
        ledger.apply_block(block)?;
        for (account, state) in ledger.finish() {
            match state {
                Some(state) => self.0.insert(account, state),
                None => self.0.remove(&account),
            };
        }
        Ok(())
    }

    /// The number of accounts.
    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.0.len()).unwrap_or(u64::MAX)
    }
}

impl Accounts for Entries {
    fn account(&self, account: &Account) -> Result<Option<AccountState>, StoreError> {
        Ok(self.0.get(account).cloned())
    }
}

/// The replay cannot continue after this damage.
struct ReplayStopped;

struct Replay<'a, S> {
    store: &'a S,
    params: &'a NetworkParams,
    rules: BodyRules,
    ledger: Entries,
    transactions: u64,
    /// What the index of histories must hold for the active blocks.
    history: EntrySum,
    findings: Vec<String>,
}

/// A sum of entries of the index of histories, in any order: two sets with one sum are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct EntrySum {
    count: u64,
    sum: u128,
}

impl EntrySum {
    fn add(&mut self, key: &HistoryKey, indices: &[u16]) {
        let indices: Vec<u8> = indices.iter().flat_map(|index| index.to_be_bytes()).collect();
        let height = key.height.get().to_be_bytes();
        let hash = sha256(&[&key.tag.bytes(), &height, &key.block, &indices]);
        let start: [u8; 16] = hash[..16].try_into().expect("sixteen bytes");
        self.count += 1;
        self.sum = self.sum.wrapping_add(u128::from_be_bytes(start));
    }
}

impl<S: ChainStore> Replay<'_, S> {
    fn run(&mut self) -> Result<Verified, ReplayStopped> {
        let (height, tip) = self.must(self.store.tip(), "active chain")?;
        let mut parent = StoredBlock {
            header: self.params.genesis(),
            work: Work::ZERO,
            size_bytes: 0,
        };
        let mut told = Instant::now();
        let mut ahead = Ahead::start(self.store, self.rules.clone(), height);
        for at in 1..=height.get() {
            let read = ahead.next().expect("a result for each height");
            parent = self.block(Height::new(at), read, &parent)?;
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                eprintln!("height {at} of {height}");
            }
        }
        if parent.header.hash() != tip {
            self.find(format!(
                "the tip is {tip}, the chain ends with {}",
                parent.header.hash()
            ));
        }
        let accounts = self.compare_ledger()?;
        self.compare_history()?;
        let side_blocks = self.side_branches()?;
        self.others()?;
        Ok(Verified {
            blocks: height.get().saturating_add(1),
            transactions: self.transactions,
            accounts,
            side_blocks,
            height,
            tip,
        })
    }

    fn find(&mut self, what: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what);
        }
    }

    fn must<T>(&mut self, read: Result<T, StoreError>, what: &str) -> Result<T, ReplayStopped> {
        read.map_err(|error| {
            self.find(format!("{what}: {error}"));
            ReplayStopped
        })
    }

    fn there<T>(&mut self, read: Result<Option<T>, StoreError>, what: &str) -> Result<T, ReplayStopped> {
        match self.must(read, what)? {
            Some(value) => Ok(value),
            None => {
                self.find(format!("{what}: missing"));
                Err(ReplayStopped)
            }
        }
    }

    /// Checks one active block completely; returns its header and work.
    fn block(
        &mut self,
        height: Height,
        read: Result<Checked, String>,
        parent: &StoredBlock,
    ) -> Result<StoredBlock, ReplayStopped> {
        let Checked {
            hash,
            stored,
            size,
            verdict,
            entries,
        } = read.map_err(|what| {
            self.find(what);
            ReplayStopped
        })?;
        let what = format!("block {hash} at height {height}");
        self.belong_together(&hash, &stored, &verdict, size, &what)?;
        let broken = |replay: &mut Self, reason: String| {
            replay.find(format!("{what}: {reason}"));
            ReplayStopped
        };
        let header = &stored.header;
        header
            .check_after(&parent.header, self.params)
            .map_err(|error| broken(self, error.to_string()))?;
        let block = verdict.good().map_err(|error| broken(self, error.to_string()))?;
        let work = parent.work.plus(Header::weight(&parent.header, self.params));
        if stored.work != work {
            self.find(format!("{what}: its work is stored as {}, it is {work}", stored.work));
        }
        self.apply(block, &what)?;
        let entries = entries.map_err(|error| broken(self, error.to_string()))?;
        entries.iter().for_each(|(key, indices)| self.history.add(key, indices));
        for (index, txid) in (0_u32..).zip(verdict.txids()) {
            self.transactions += 1;
            let spots = self.must(self.store.spots(txid), &what)?;
            if !spots.contains(&Spot::new(&hash, TxPlace { height, index })) {
                self.find(format!("{what}: transaction {txid} is not found where it stands"));
            }
        }
        Ok(StoredBlock { work, ..stored })
    }

    /// Checks that the parts of a stored block belong together.
    fn belong_together(
        &mut self,
        hash: &BlockHash,
        stored: &StoredBlock,
        verdict: &Verdict,
        size: usize,
        what: &str,
    ) -> Result<(), ReplayStopped> {
        if let Some(error) = verdict.unreadable() {
            self.find(format!("{what}: {error}"));
            return Err(ReplayStopped);
        }
        if verdict.header() != Some(&stored.header) || stored.header.hash() != *hash {
            self.find(format!("{what}: header and body are not those of one block"));
            return Err(ReplayStopped);
        }
        if u64::try_from(size) != Ok(stored.size_bytes) {
            self.find(format!(
                "{what}: its size is stored as {}, it is {size}",
                stored.size_bytes,
            ));
        }
        Ok(())
    }

    /// Applies a block by the rules of the ledger.
    fn apply(&mut self, block: &Block, what: &str) -> Result<(), ReplayStopped> {
        let applied = self.ledger.apply(self.params, block);
        applied.map_err(|(index, error)| {
            self.find(format!("{what}: transaction {index}: {error}"));
            ReplayStopped
        })
    }

    /// Compares the stored ledger with the replayed one.
    fn compare_ledger(&mut self) -> Result<u64, ReplayStopped> {
        let (total, stored) = self.must(self.store.accounts(usize::MAX), "ledger")?;
        let stored: BTreeMap<Account, AccountState> = stored.into_iter().collect();
        let entries = std::mem::take(&mut self.ledger.0);
        for (account, state) in &entries {
            match stored.get(account) {
                Some(found) if found == state => {}
                Some(found) => self.find(format!(
                    "account {account}: the folder says balance {}, sequence {}; the blocks say {}, {}{}",
                    found.balance,
                    found.next_sequence,
                    state.balance,
                    state.next_sequence,
                    if found.owner == state.owner {
                        ""
                    } else {
                        "; the owners differ"
                    },
                )),
                None => self.find(format!("account {account} is missing in the ledger")),
            }
        }
        for account in stored.keys().filter(|account| !entries.contains_key(account)) {
            self.find(format!("account {account} stands in the ledger, no block made it"));
        }
        Ok(total)
    }

    /// Compares the index of histories with the entries that the replayed blocks have.
    fn compare_history(&mut self) -> Result<(), ReplayStopped> {
        let what = "index of histories";
        if !self.must(self.store.has_history(), what)? {
            eprintln!("an earlier version wrote this folder: its index of histories is made at the next start");
            return Ok(());
        }
        let (mut found, mut above) = (EntrySum::default(), None);
        loop {
            let page = self.must(self.store.history_above(above, ENTRIES_AT_ONCE), what)?;
            for (key, indices) in &page {
                let active = self.must(self.store.active(key.height), what)?;
                if key.is_in(active.as_ref()) {
                    found.add(key, indices);
                }
            }
            match page.last() {
                Some((last, _)) => above = Some(*last),
                None => break,
            }
        }
        let expected = std::mem::take(&mut self.history);
        if found.count != expected.count {
            let (found, expected) = (found.count, expected.count);
            self.find(format!(
                "{what}: it has {found} entries of active blocks, they make {expected}"
            ));
        } else if found != expected {
            self.find(format!("{what}: some of its entries are not what the blocks make"));
        }
        Ok(())
    }

    /// Checks that side blocks are complete, and that their work is right if their parent is stored.
    fn side_branches(&mut self) -> Result<u64, ReplayStopped> {
        let side = self.must(self.store.side(), "side branches")?;
        let mut count = 0_u64;
        for hash in side {
            count += 1;
            let what = format!("side block {hash}");
            let stored = self.there(self.store.block(&hash), &what);
            let bytes = self.there(self.store.body(&hash), &what);
            let (Ok(stored), Ok(bytes)) = (stored, bytes) else {
                continue;
            };
            let size = bytes.len();
            let verdict = self.rules.read_and_check(vec![(hash, bytes)]).remove(0);
            if self.belong_together(&hash, &stored, &verdict, size, &what).is_err() {
                continue;
            }
            let parent = self.must(self.store.block(&stored.header.previous), &what)?;
            let Some(parent) = parent else {
                self.find(format!("{what}: its parent is missing"));
                continue;
            };
            let checked = stored
                .header
                .check_after(&parent.header, self.params)
                .map_err(|error| error.to_string());
            let checked = checked.and_then(|()| verdict.good().map(drop).map_err(ToString::to_string));
            if let Err(error) = checked {
                self.find(format!("{what}: {error}"));
            }
            if stored.work != parent.work.plus(Header::weight(&parent.header, self.params)) {
                self.find(format!("{what}: its work is not what its branch adds up to"));
            }
        }
        Ok(count)
    }

    /// Checks that own transactions and remembered peers are readable.
    fn others(&mut self) -> Result<(), ReplayStopped> {
        for (_, bytes) in self.must(self.store.own(), "own transactions")? {
            let network = self.params.network_id();
            let read = Transaction::from_bytes(&bytes);
            if let Err(error) = read.and_then(|own| own.check_signature(&network)) {
                self.find(format!("own transaction: {error}"));
            }
        }
        self.must(self.store.peers(), "remembered peers").map(drop)
    }
}
