//! `lanchain import`: reads blocks from JSON lines and checks each by the rules of the chain.
//!
//! Promises: blocks before the first invalid one are kept, later ones are not read; what a line says beside the bytes of
//! its block is compared with them, also for blocks that the folder has.
//! Elsewhere: the lines (`tools::lines`), the comparison (`tools::compare`).

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::folder::{choice, take};
use super::lines::{Line, Lines, invalid, wall};
use super::{Failure, Finding, rules};
use crate::chain::stages::Received;
use crate::chain::{AcceptError, Accepted, Chain, Header, LongStep, StoreError};
use crate::cli::Args;
use crate::store::{Folder, RedbStore, places};
use crate::types::{BlockHash, Height, Work};

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
        format!("{added} blocks added, {known} already present: tip {tip} at height {height}")
    }
}

pub(super) fn run(args: &Args, file: &Path) -> Result<Option<Imported>, Failure> {
    let rules = rules(&args.network)?;
    let mut lines = Lines::open(file, &args.network, rules)?;
    let path = places::find_or_first(&choice(args), &args.network)?;
    let (store, folder) = take(path, args)?;
    let mut import = Import::start(args, store, &folder)?;
    let read = import.read(&mut lines);
    // The valid blocks are kept, whatever follows them.
    import.commit()?;
    import.store.write_indexes()?;
    read?;
    Ok(Some(import.done()))
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
        // The lines bring their verdicts, so nothing is left that its secret would be used for.
        let mut chain = Chain::open(args.network.clone(), store.clone(), [0; 32])?;
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

    fn read(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        while let Some(line) = lines.next()? {
            let (number, height) = (line.number, line.block.header.height);
            self.lines = number;
            self.take(line).map_err(|failure| failure.at_block(number, height))?;
            if self.uncommitted >= BATCH_BLOCKS {
                self.commit()?;
            }
            self.tell();
        }
        self.lines = lines.number;
        Ok(())
    }

    fn take(&mut self, line: Line) -> Result<(), Failure> {
        line.check_genesis(self.chain.params())?;
        let work = self.work(&line.block.header)?;
        line.compare(work, self.chain.params())?;
        let hash = line.verdict.block();
        if self.chain.block(&hash)?.is_some() {
            self.check_known(&line)?;
            self.known += 1;
            return Ok(());
        }
        match self.accept(line) {
            Ok(Accepted::AlreadyKnown) => self.known += 1,
            Ok(Accepted::Stored { .. } | Accepted::Switched(_)) => {
                self.added += 1;
                self.uncommitted += 1;
            }
            Err(error) => return Err(invalid(error.code(), error.to_string())),
        }
        self.switch()
    }

    /// Takes a new block into the chain, with the verdict that was made beside it.
    fn accept(&mut self, line: Line) -> Result<Accepted, AcceptError> {
        let received = Received::new(line.block.header);
        let Some(linked) = self.chain.link(received, wall())? else {
            return Ok(Accepted::AlreadyKnown);
        };
        let candidate = self.chain.judge(linked, line.verdict)?;
        self.chain.take(candidate)
    }

    /// The work of the chain up to and including a block; none if its parent is unknown.
    fn work(&self, header: &Header) -> Result<Option<Work>, StoreError> {
        if header.height == Height::GENESIS {
            return Ok(Some(Work::ZERO));
        }
        let parent = self.chain.block(&header.previous)?;
        Ok(parent.map(|parent| parent.work.plus(Header::weight(&parent.header, self.chain.params()))))
    }

    /// Checks that a block whose header the folder has is that block: a header alone does not make it the same.
    fn check_known(&self, line: &Line) -> Result<(), Failure> {
        if self.chain.body(&line.verdict.block())?.as_deref() == Some(&line.block.to_bytes()[..]) {
            return Ok(());
        }
        let code_and_reason = match line.verdict.good() {
            Err(error) => (error.code(), error.to_string()),
            Ok(_) => ("known_invalid", "the folder has another block of this hash".to_owned()),
        };
        Err(invalid(code_and_reason.0, code_and_reason.1))
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
            eprintln!("{added} blocks added, height {height}");
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
