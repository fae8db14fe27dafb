//! The lines of an export: reads them from a file or from standard input, and takes the block out of each.
//!
//! Promises: lines have a maximum length; a line's fields say what its bytes say, or the line is refused.
//! Elsewhere: the rules that a block is checked by (`tools::import`, `tools::verify_file`).
//! Spec: `proto-notes/events.md`, "Tasks".

use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::compare::compare;
use super::folder::{file_failed, is_standard};
use super::{Failure, STATUS_FAILED};
use crate::chain::header::HEADER_BYTES;
use crate::chain::params::BLOCK_MAX_BYTES;
use crate::chain::{Block, NetworkParams, StoredBlock};
use crate::inspect::blocks::block_view;
use crate::store::inputs;
use crate::types::text::{is_utf16, without_mark};
use crate::types::{Height, WallTime, Work};

/// The longest line in bytes. In hex, the largest block is twice as long as its canonical bytes. Besides, each
/// transaction repeats keys, names and signature, about five times its own size together.
const LINE_MAX_BYTES: usize = 16 * BLOCK_MAX_BYTES;

/// The lines of a file, read one after another.
pub(super) struct Lines {
    file: PathBuf,
    input: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(file: &Path) -> Result<Self, Failure> {
        let input: Box<dyn Read> = if is_standard(file) {
            Box::new(io::stdin())
        } else {
            inputs::open(file).map_err(|error| file_failed(file, &error))?
        };
        Ok(Self::of(file, input))
    }

    /// The lines of an open input; `file` is its name in errors.
    pub(super) fn of(file: &Path, input: Box<dyn Read>) -> Self {
        Self {
            file: file.to_path_buf(),
            input: BufReader::new(input),
            line: Vec::new(),
            number: 0,
        }
    }

    /// The next line that is not blank; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line<'_>>, Failure> {
        let mark = loop {
            self.line.clear();
            let limit = u64::try_from(LINE_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            let size = self
                .input
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut self.line)
                .map_err(|error| file_failed(&self.file, &error))?;
            if size == 0 {
                return Ok(None);
            }
            self.number += 1;
            let mark = match self.number {
                1 => self.line.len() - without_mark(&self.line).len(),
                _ => 0,
            };
            if !self.line[mark..].trim_ascii().is_empty() {
                break mark;
            }
        };
        Line::read(&self.line[mark..], self.number)
            .map(Some)
            .map_err(|failure| failure.at_line(self.number))
    }
}

/// The fields of a line that make the block; all others are compared with it.
#[derive(Deserialize)]
struct Bytes {
    header: String,
    transactions: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    raw: String,
}

/// A line and the block whose bytes it holds.
pub(super) struct Line<'a> {
    text: &'a [u8],
    /// Its number, from 1.
    pub(super) number: u64,
    pub(super) block: Block,
}

impl<'a> Line<'a> {
    fn read(text: &'a [u8], number: u64) -> Result<Self, Failure> {
        if text.len() > LINE_MAX_BYTES {
            let message = format!("the line has more than {LINE_MAX_BYTES} bytes");
            return Err(invalid("line_too_long", message));
        }
        if is_utf16(text) {
            return Err(utf16());
        }
        let block = block_of(text)?;
        Ok(Self { text, number, block })
    }

    /// Compares all fields of the line with the block. `work` is the sum up to and including the block; without it,
    /// as when the parent is unknown, nothing is compared.
    pub(super) fn compare(&self, work: Option<Work>, params: &NetworkParams) -> Result<(), Failure> {
        let Some(work) = work else { return Ok(()) };
        let header = &self.block.header;
        let stored = StoredBlock {
            header: header.clone(),
            work,
            size_bytes: 0,
        };
        let view = block_view(&self.block.hash(), &stored, &self.block, true, params.reward);
        match compare(self.text, &view) {
            Ok(None) => Ok(()),
            Ok(Some(difference)) => Err(invalid("field_differs", difference.to_string())),
            Err(error) => Err(invalid("bad_argument", format!("no BLOCK: {error}"))),
        }
    }

    /// Checks that a genesis block is the network's own: it has no transactions.
    pub(super) fn check_genesis(&self, params: &NetworkParams) -> Result<(), Failure> {
        if self.block.header.height != Height::GENESIS {
            return Ok(());
        }
        let own = params.network_id().to_string();
        let hash = self.block.hash();
        if hash.to_string() == own && self.block.transactions.is_empty() {
            return Ok(());
        }
        if hash.to_string() == own {
            return Err(invalid("bad_merkle_root", "the genesis block has no transactions"));
        }
        Err(Failure::new(
            STATUS_FAILED,
            "other_network",
            format!("the genesis block is {hash}, this network's is {own}"),
            "choose the network that was exported: --network NETWORK",
        ))
    }
}

/// The block in a line.
fn block_of(line: &[u8]) -> Result<Block, Failure> {
    let bad = |reason: String| invalid("bad_argument", reason);
    let line: Bytes = serde_json::from_slice(line).map_err(|error| bad(format!("no BLOCK: {error}")))?;
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
    Block::from_bytes(&bytes).map_err(|error| invalid(error.code(), error.to_string()))
}

fn utf16() -> Failure {
    Failure::new(
        STATUS_FAILED,
        "bad_argument",
        "the input is UTF-16 text, not UTF-8",
        "export to a file by its name (lanchain export FILE): the > of some shells writes UTF-16",
    )
}

/// The refusal of a line.
pub(super) fn invalid(code: &'static str, message: impl Into<String>) -> Failure {
    let hint = match code {
        "unknown_parent" => "put the blocks below it first: an export begins with the genesis block",
        "time_too_new" => "look at this machine's clock, then try again",
        _ => "the blocks before this line are valid; get the file anew from its source",
    };
    Failure::new(STATUS_FAILED, code, message, hint)
}

/// The clock of this machine.
pub(super) fn wall() -> WallTime {
    WallTime::from_unix(std::time::UNIX_EPOCH.elapsed().unwrap_or_default())
}
