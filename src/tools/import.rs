//! `lanchain import`: reads blocks from JSON lines and checks each by the rules of the chain.
//!
//! Promises: blocks before the first invalid one are kept, later ones are not read; lines have a maximum length; only
//! `header` and the transactions' `raw` are used, and `hash` if it is there.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::folder::{choice, file_failed, is_standard, take};
use super::{Failure, Finding, STATUS_FAILED};
use crate::chain::header::HEADER_BYTES;
use crate::chain::params::BLOCK_MAX_BYTES;
use crate::chain::{Accepted, Block, Chain, LongStep, StoreError};
use crate::cli::Args;
use crate::store::{Folder, RedbStore, inputs, places};
use crate::types::text::{is_utf16, without_mark};
use crate::types::{BlockHash, Height, WallTime};

/// The longest line in bytes. In hex, the largest block is twice as long as its canonical bytes. Besides, each
/// transaction repeats keys, names and signature, about five times its own size together.
const LINE_MAX_BYTES: usize = 16 * BLOCK_MAX_BYTES;
/// Blocks that are written in one step, because a disk sync for each block would take most of the time.
const BATCH_BLOCKS: u64 = 500;
/// The interval between two progress messages.
const TELL_EVERY: Duration = Duration::from_secs(1);

/// The result of an import, for its reply.
#[derive(Serialize)]
pub(super) struct Imported {
    pub(super) lines: u64,
    /// The number of blocks that were not in the folder before.
    pub(super) added: u64,
    /// The number of blocks that were in the folder before.
    pub(super) known: u64,
    pub(super) height: Height,
    pub(super) tip: BlockHash,
}

impl Finding for Imported {
    fn words(&self) -> String {
        let Self {
            added,
            known,
            tip,
            height,
            ..
        } = self;
        format!("{added} blocks added, {known} were there before: tip {tip} at index {height}")
    }
}

pub(super) fn run(args: &Args, file: &Path) -> Result<Option<Imported>, Failure> {
    let input: Box<dyn Read> = if is_standard(file) {
        Box::new(io::stdin())
    } else {
        inputs::open(file).map_err(|error| file_failed(file, &error))?
    };
    let path = places::find_or_first(&choice(args), &args.network)?;
    let (store, folder) = take(path, args)?;
    let mut import = Import::start(args, store, &folder)?;
    let read = import.read(file, &mut BufReader::new(input));
    // The valid blocks are kept, whatever follows them.
    import.commit()?;
    read?;
    Ok(Some(import.done()))
}

/// The fields of a line that are used; all others are derived from them.
#[derive(Deserialize)]
struct ImportLine {
    hash: Option<String>,
    header: String,
    transactions: Vec<RawTransaction>,
}

#[derive(Deserialize)]
struct RawTransaction {
    raw: String,
}

/// The state of a running import.
struct Import {
    chain: Chain<RedbStore>,
    store: RedbStore,
    lines: u64,
    added: u64,
    known: u64,
    uncommitted: u64,
    told: Instant,
}

impl Import {
    fn start(args: &Args, store: RedbStore, folder: &Folder) -> Result<Self, Failure> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)
            .map_err(|error| Failure::new(STATUS_FAILED, "internal", format!("no entropy: {error}"), "try again"))?;
        let mut chain = Chain::open(args.network.clone(), store.clone(), secret)?;
        // Own transactions that waited and are now in a block must stop waiting.
        chain.set_own_key(folder.secret_key().public());
        Ok(Self {
            chain,
            store,
            lines: 0,
            added: 0,
            known: 0,
            uncommitted: 0,
            told: Instant::now(),
        })
    }

    fn read(&mut self, file: &Path, input: &mut impl BufRead) -> Result<(), Failure> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let limit = u64::try_from(LINE_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            let size = input
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut line)
                .map_err(|error| file_failed(file, &error))?;
            if size == 0 {
                return Ok(());
            }
            self.lines += 1;
            let text = if self.lines == 1 {
                without_mark(&line)
            } else {
                &line[..]
            };
            if !text.trim_ascii().is_empty() {
                self.take(text).map_err(|failure| failure.at_line(self.lines))?;
            }
            if self.uncommitted >= BATCH_BLOCKS {
                self.commit()?;
            }
            self.tell();
        }
    }

    fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        if line.len() > LINE_MAX_BYTES {
            let message = format!("the line has more than {LINE_MAX_BYTES} bytes");
            return Err(invalid("line_too_long", message));
        }
        if is_utf16(line) {
            return Err(utf16());
        }
        let block = block_of(line)?;
        if block.header.height == Height::GENESIS {
            return self.take_genesis(&block);
        }
        let accepted = self.chain.accept(block, wall());
        match accepted {
            Ok(Accepted::AlreadyKnown) => self.known += 1,
            Ok(Accepted::Stored { .. } | Accepted::Switched(_)) => {
                self.added += 1;
                self.uncommitted += 1;
            }
            Err(error) => return Err(invalid(error.code(), error.to_string())),
        }
        self.switch()
    }

    /// Makes all steps of a long switch.
    fn switch(&mut self) -> Result<(), Failure> {
        loop {
            match self.chain.step_switch() {
                Ok(LongStep::Idle) => return Ok(()),
                Ok(LongStep::Working | LongStep::Waiting | LongStep::Done(_)) => self.commit()?,
                Err(error) => return Err(invalid(error.code(), error.to_string())),
            }
        }
    }

    fn take_genesis(&mut self, block: &Block) -> Result<(), Failure> {
        let own = self.chain.network_id().to_string();
        if block.hash().to_string() == own {
            self.known += 1;
            return Ok(());
        }
        Err(Failure::new(
            STATUS_FAILED,
            "other_network",
            format!("the genesis block is {}, this network's is {own}", block.hash()),
            "choose the network that was exported: lanchain import --network NETWORK FILE",
        ))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if let Some(batch) = self.chain.take_batch() {
            self.store.commit(std::slice::from_ref(&batch))?;
            self.chain.committed(batch.id);
        }
        self.uncommitted = 0;
        Ok(())
    }

    /// Prints the progress, at most once a second.
    fn tell(&mut self) {
        if self.told.elapsed() >= TELL_EVERY {
            self.told = Instant::now();
            let (added, height) = (self.added, self.chain.tip().header.height);
            eprintln!("{added} blocks added, index {height}");
        }
    }

    fn done(&self) -> Imported {
        Imported {
            lines: self.lines,
            added: self.added,
            known: self.known,
            height: self.chain.tip().header.height,
            tip: self.chain.tip().hash,
        }
    }
}

fn utf16() -> Failure {
    Failure::new(
        STATUS_FAILED,
        "bad_argument",
        "the input is UTF-16 text, not UTF-8",
        "export to a file by its name (lanchain export FILE): the > of some shells writes UTF-16",
    )
}

fn invalid(code: &'static str, message: impl Into<String>) -> Failure {
    let hint = match code {
        "unknown_parent" => "import the blocks below it first: an export begins with the genesis block",
        "time_too_new" => "look at this machine's clock, then import again",
        _ => "the blocks before this line are kept; get the file anew from its source",
    };
    Failure::new(STATUS_FAILED, code, message, hint)
}

/// The block in a line.
fn block_of(line: &[u8]) -> Result<Block, Failure> {
    let bad = |reason: String| invalid("bad_argument", reason);
    let line: ImportLine = serde_json::from_slice(line).map_err(|error| bad(format!("no BLOCK: {error}")))?;
    let hex = |text: &str| hex::decode(text).map_err(|error| bad(format!("no hex digits: {error}")));
    let mut bytes = hex(&line.header)?;
    if bytes.len() != HEADER_BYTES {
        return Err(bad(format!(
            "a header has {HEADER_BYTES} bytes, this one {}",
            bytes.len()
        )));
    }
    let count = u32::try_from(line.transactions.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&count.to_be_bytes());
    for transaction in &line.transactions {
        bytes.extend_from_slice(&hex(&transaction.raw)?);
    }
    let block = Block::from_bytes(&bytes).map_err(|error| invalid(error.code(), error.to_string()))?;
    match line.hash {
        Some(hash) if hash != block.hash().to_string() => {
            Err(bad(format!("`hash` is {hash}, the header's is {}", block.hash())))
        }
        Some(_) | None => Ok(block),
    }
}

fn wall() -> WallTime {
    WallTime::from_unix(std::time::UNIX_EPOCH.elapsed().unwrap_or_default())
}
