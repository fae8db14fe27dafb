//! `lanchain verify --repair`: rebuilds a folder's chain from the sound blocks in it.
//!
//! Promises: every copied block is checked by the rules of the chain; ledger and indexes are computed from the blocks
//! alone. The first block that cannot be read or breaks a rule is reported, and the chain is cut off before it. The old
//! file stays until the new one is complete.
//! Elsewhere: how damage is detected (`store`), the check without a repair (`tools::verify`).

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::folder::{existing, file_failed};
use super::{Failure, Finding, STATUS_FAILED};
use crate::chain::{Accepted, Block, Chain, ChainStore, NetworkParams, Transaction};
use crate::cli::Args;
use crate::store::{Folder, FolderChoice, RedbStore, redb_store};
use crate::types::{BlockHash, Height, PublicKey, WallTime};

/// The folder for the new file, inside the data folder.
const REPAIR_FOLDER: &str = "repair";
/// Bytes of blocks that are written in one step; the chain keeps them in memory until then.
const STEP_BYTES: u64 = 8 * 1024 * 1024;
/// The interval between two progress messages.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The result of a repair, for its reply.
#[derive(Debug, Serialize)]
pub(super) struct Repaired {
    /// Blocks of the new chain, the genesis block included.
    pub(super) blocks: u64,
    pub(super) transactions: u64,
    pub(super) accounts: u64,
    /// Blocks on side branches, which are not copied.
    pub(super) side_blocks: u64,
    pub(super) height: Height,
    pub(super) tip: BlockHash,
    /// Own payments that still wait.
    pub(super) own: u64,
    /// The first height that was cut off; none if everything was sound.
    pub(super) cut_from: Option<Height>,
    /// Why the chain was cut off there.
    pub(super) reason: Option<String>,
}

impl Finding for Repaired {
    fn words(&self) -> String {
        let Self {
            blocks, height, tip, ..
        } = self;
        let kept = format!("the chain was made anew from {blocks} sound blocks: tip {tip} at height {height}");
        match (&self.cut_from, &self.reason) {
            (Some(from), Some(reason)) => format!(
                "{kept}\nblocks from height {from} on were cut off ({reason}): at the next start they come back from peers"
            ),
            _ => format!("{kept}\nno block was cut off"),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<Option<Repaired>, Failure> {
    let folder = Folder::open(FolderChoice::Dir(existing(args)?), &args.network, args.trust)?;
    let chain_path = folder.chain_path();
    let repair_folder = chain_path.with_file_name(REPAIR_FOLDER);
    clear(&repair_folder)?;
    fs::create_dir(&repair_folder).map_err(|error| file_failed(&repair_folder, &error))?;
    let own_key = folder.secret_key().public();
    let made = rebuild(&args.network, own_key, &chain_path, &repair_folder);
    let made = made.and_then(|repaired| {
        redb_store::replace(&chain_path, &repair_folder.join("chain.redb"))
            .map_err(|error| file_failed(&chain_path, &error))?;
        Ok(repaired)
    });
    // If the repair failed, the old file is unchanged.
    clear(&repair_folder)?;
    made.map(Some)
}

fn clear(repair_folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(repair_folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file_failed(repair_folder, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Builds the new file in the repair folder.
pub(super) fn rebuild(
    params: &NetworkParams,
    own_key: PublicKey,
    chain_path: &Path,
    repair_folder: &Path,
) -> Result<Repaired, Failure> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::new(STATUS_FAILED, "internal", format!("no entropy: {error}"), "try again"))?;
    let store = RedbStore::open(&repair_folder.join("chain.redb"), params)?;
    let mut chain = Chain::open(params.clone(), store.clone(), secret)?;
    chain.set_own_key(own_key);
    let mut transactions = 0;
    let old = RedbStore::open_damaged(chain_path, params);
    let (cut, own) = match &old {
        Ok(old) => (
            copy_blocks(old, &mut chain, &store, &mut transactions)?,
            copy_others(old, &mut chain),
        ),
        Err(error) => (Some((Height::new(1), error.to_string())), 0),
    };
    write(&mut chain, &store)?;
    store.write_indexes()?;
    let (height, tip) = (chain.tip().header.height, chain.tip().hash);
    let (cut_from, reason) = cut.unzip();
    Ok(Repaired {
        blocks: height.get().saturating_add(1),
        transactions,
        accounts: chain.accounts(0)?.0,
        side_blocks: 0,
        height,
        tip,
        own,
        cut_from,
        reason,
    })
}

/// The height at which the old chain is cut off, and why; none if it is sound.
type Cut = Option<(Height, String)>;

/// Copies the old chain's blocks to the new one, up to the first that is missing or breaks a rule.
fn copy_blocks(
    old: &RedbStore,
    chain: &mut Chain<RedbStore>,
    store: &RedbStore,
    transactions: &mut u64,
) -> Result<Cut, Failure> {
    let last = old.tip().map(|(height, _)| height);
    let mut told = Instant::now();
    let mut bytes = 0;
    loop {
        let height = chain.tip().header.height.next();
        if last.as_ref().is_ok_and(|last| height > *last) {
            return Ok(None);
        }
        let block = match sound_block(old, height) {
            Ok(block) => block,
            Err(reason) => return Ok(Some((height, reason))),
        };
        bytes += u64::try_from(block.to_bytes().len()).unwrap_or(u64::MAX);
        let count = u64::try_from(block.transactions.len()).unwrap_or(u64::MAX);
        match chain.accept(block, WallTime::from_ms(u64::MAX)) {
            Ok(Accepted::Switched(_)) => *transactions += count,
            Ok(Accepted::AlreadyKnown | Accepted::Stored { .. }) => {
                return Ok(Some((height, "its block is not one of this chain".into())));
            }
            Err(error) => return Ok(Some((height, error.to_string()))),
        }
        if bytes >= STEP_BYTES {
            bytes = 0;
            write(chain, store)?;
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("height {height}");
        }
    }
}

fn sound_block(old: &RedbStore, height: Height) -> Result<Block, String> {
    let hash = old.active(height).map_err(|error| error.to_string())?;
    let hash = hash.ok_or("its hash is missing")?;
    let body = old.body(&hash).map_err(|error| error.to_string())?;
    let body = body.ok_or("its body is missing")?;
    Block::from_bytes(&body).map_err(|error| error.to_string())
}

/// Copies own payments and remembered peers, as far as they can be read; returns the number of payments.
fn copy_others(old: &RedbStore, chain: &mut Chain<RedbStore>) -> u64 {
    let mut own = 0;
    for (_, bytes) in old.own().unwrap_or_default() {
        let read = Transaction::from_bytes(&bytes).ok();
        let signed = read.filter(|own| own.check_signature(&chain.network_id()).is_ok());
        if let Some(transaction) = signed {
            chain.keep_own(&transaction);
            own += 1;
        }
    }
    for (peer, addresses) in old.peers().unwrap_or_default() {
        chain.remember_peer(peer, Some(addresses));
    }
    own
}

fn write(chain: &mut Chain<RedbStore>, store: &RedbStore) -> Result<(), Failure> {
    if let Some(batch) = chain.take_batch() {
        store.commit(std::slice::from_ref(&batch))?;
        chain.committed(batch.id);
    }
    Ok(())
}
