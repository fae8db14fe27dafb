//! `lanchain verify FILE`: checks the lines of an export by all rules, without a folder.
//!
//! Promises: nothing is written anywhere; the first line that breaks a rule, or whose fields do not say what its bytes
//! say, is refused; memory grows with the accounts, not with the blocks.
//! Elsewhere: the lines (`tools::lines`), the comparison (`tools::compare`), the check of a folder (`tools::verify`).

use std::path::Path;
use std::time::{Duration, Instant};

use super::lines::{Line, Lines, invalid, wall};
use super::verify::{Entries, Verified};
use super::{Failure, rules};
use crate::chain::{ApplyError, Header, HeaderError, NetworkParams, StoredBlock};
use crate::cli::Args;
use crate::types::{Height, Work};

/// The interval between two progress messages.
const TELL_EVERY: Duration = Duration::from_secs(1);

pub(super) fn run(args: &Args, file: &Path) -> Result<Option<Verified>, Failure> {
    let mut lines = Lines::open(file, &args.network, rules(&args.network)?)?;
    verify(&mut lines, &args.network).map(Some)
}

/// Checks the lines as one chain, from its genesis block to the last line.
pub(super) fn verify(lines: &mut Lines, params: &NetworkParams) -> Result<Verified, Failure> {
    let mut replay = Replay {
        params,
        ledger: Entries::default(),
        transactions: 0,
        tip: None,
    };
    let mut told = Instant::now();
    while let Some(line) = lines.next()? {
        let (taken, height, number) = (replay.take(&line), line.block.header.height, line.number);
        taken.map_err(|failure| failure.at_block(number, height))?;
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            eprintln!("height {height}");
        }
    }
    let Some(tip) = replay.tip else {
        return Err(invalid("bad_argument", "the file holds no block").hinted("lanchain export FILE writes one"));
    };
    Ok(Verified {
        blocks: tip.header.height.get().saturating_add(1),
        transactions: replay.transactions,
        accounts: replay.ledger.len(),
        side_blocks: 0,
        height: tip.header.height,
        tip: tip.header.hash(),
    })
}

/// What the lines so far add up to.
struct Replay<'a> {
    params: &'a NetworkParams,
    ledger: Entries,
    transactions: u64,
    /// The block of the line before; none before the first.
    tip: Option<StoredBlock>,
}

impl Replay<'_> {
    fn take(&mut self, line: &Line) -> Result<(), Failure> {
        line.check_genesis(self.params)?;
        let header = &line.block.header;
        let work = match &self.tip {
            None if header.height == Height::GENESIS => Work::ZERO,
            None => return Err(self.unlinked(header)),
            Some(tip) if tip.header.hash() != header.previous => return Err(self.unlinked(header)),
            Some(tip) => tip.work.plus(Header::weight(&tip.header, self.params)),
        };
        line.compare(Some(work), self.params)?;
        if let Some(tip) = &self.tip {
            let parent = tip.header.clone();
            self.check(line, &parent)?;
        }
        self.tip = Some(StoredBlock {
            header: header.clone(),
            work,
            size_bytes: 0,
        });
        Ok(())
    }

    /// Checks a block behind its parent by every rule, and applies it to the ledger.
    fn check(&mut self, line: &Line, parent: &Header) -> Result<(), Failure> {
        let (block, header) = (&line.block, &line.block.header);
        let refused = |error: HeaderError| invalid(error.code(), error.to_string());
        header.check_length(self.params).map_err(refused)?;
        header.check_after(parent, self.params).map_err(refused)?;
        header.check_clock(wall()).map_err(refused)?;
        line.verdict
            .good()
            .map_err(|error| invalid(error.code(), error.to_string()))?;
        self.ledger
            .apply(self.params, block)
            .map_err(|(at, error)| match error {
                ApplyError::Ledger(error) => invalid(error.code(), format!("transaction {at}: {error}")),
                ApplyError::Store(error) => error.into(),
            })?;
        self.transactions += u64::try_from(block.transactions.len()).unwrap_or(u64::MAX);
        Ok(())
    }

    /// The refusal of a block that does not follow the line before.
    fn unlinked(&self, header: &Header) -> Failure {
        let expected = match &self.tip {
            None => "the first line is the genesis block".to_owned(),
            Some(tip) => format!("the line before is block {}, {}", tip.header.height, tip.header.hash()),
        };
        let message = format!("block {} follows {}; {expected}", header.height, header.previous);
        invalid("unknown_parent", message)
    }
}
