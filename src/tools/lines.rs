//! The lines of an export: reads them from a file or from standard input, and takes the block out of each.
//!
//! Promises: lines have a maximum length; a line's fields say what its bytes say, or the line is refused. Lines are
//! checked on several threads ahead of the one that is taken, and are taken in the order of the file.
//! Elsewhere: the rules that need other blocks (`tools::import`, `tools::verify_file`).
//! Spec: `proto-notes/events.md`, "Tasks".

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::compare::{compare, compare_but_work};
use super::folder::{file_failed, is_standard};
use super::{Failure, STATUS_FAILED};
use crate::chain::header::HEADER_BYTES;
use crate::chain::params::BLOCK_MAX_BYTES;
use crate::chain::{Block, BodyRules, NetworkParams, StoredBlock, Verdict};
use crate::contract::BlockView;
use crate::inspect::blocks::block_view;
use crate::store::inputs;
use crate::threads::in_order::InOrder;
use crate::types::text::{is_utf16, without_mark};
use crate::types::{Height, WallTime, Work};

/// The longest line in bytes. In hex, the largest block is twice as long as its canonical bytes. Besides, each
/// transaction repeats keys, names and signature, about five times its own size together.
const LINE_MAX_BYTES: usize = 16 * BLOCK_MAX_BYTES;

/// Lines that are read and checked ahead of the one that is taken next, in bytes: enough for every thread.
const AHEAD_BYTES: usize = 16 * 1024 * 1024;
/// Lines that are checked together, in bytes: the signatures of a few full blocks, whose keys are added up.
const GROUP_BYTES: usize = 2 * 1024 * 1024;
/// The most lines that are checked together.
const GROUP_LINES: usize = 64;

/// The lines of a file, read one after another, and checked on several threads meanwhile.
pub(super) struct Lines {
    file: PathBuf,
    input: BufReader<Box<dyn Read>>,
    /// The number of the line that was read last, from 1.
    pub(super) number: u64,
    ahead: InOrder<Vec<RawLine>, Vec<Result<Line, Failure>>>,
    /// The bytes of each group that is being checked.
    sizes: VecDeque<usize>,
    checked: VecDeque<Result<Line, Failure>>,
    /// How the reading ended: why it failed, or that all was read.
    end: Option<Result<(), Failure>>,
}

/// A line as it was read.
struct RawLine {
    text: Vec<u8>,
    number: u64,
}

impl Lines {
    /// Opens a file; `-` is standard input.
    pub(super) fn open(file: &Path, network: &NetworkParams, rules: BodyRules) -> Result<Self, Failure> {
        let input: Box<dyn Read> = if is_standard(file) {
            Box::new(io::stdin())
        } else {
            inputs::open(file).map_err(|error| file_failed(file, &error))?
        };
        Ok(Self::of(file, input, network, rules))
    }

    /// The lines of an open input; `file` is its name in errors.
    pub(super) fn of(file: &Path, input: Box<dyn Read>, network: &NetworkParams, rules: BodyRules) -> Self {
        let reward = network.reward;
        Self {
            file: file.to_path_buf(),
            input: BufReader::new(input),
            number: 0,
            ahead: InOrder::start("check", move |lines| check(lines, &rules, reward)),
            sizes: VecDeque::new(),
            checked: VecDeque::new(),
            end: None,
        }
    }

    /// The next line that is not blank; none at the end.
    pub(super) fn next(&mut self) -> Result<Option<Line>, Failure> {
        loop {
            if let Some(line) = self.checked.pop_front() {
                return line.map(Some);
            }
            self.read_ahead();
            match self.ahead.take() {
                Some(lines) => {
                    self.sizes.pop_front();
                    self.checked.extend(lines);
                }
                None => return self.end.take().unwrap_or(Ok(())).map(|()| None),
            }
        }
    }

    /// Gives groups of lines to the threads, as far ahead as memory allows.
    fn read_ahead(&mut self) {
        while self.end.is_none() && self.sizes.iter().sum::<usize>() < AHEAD_BYTES {
            let (mut group, mut bytes) = (Vec::new(), 0);
            while self.end.is_none() && bytes < GROUP_BYTES && group.len() < GROUP_LINES {
                match self.read_line() {
                    Ok(Some(line)) => {
                        bytes += line.text.len();
                        group.push(line);
                    }
                    Ok(None) => self.end = Some(Ok(())),
                    Err(failure) => self.end = Some(Err(failure)),
                }
            }
            if !group.is_empty() {
                self.sizes.push_back(bytes);
                self.ahead.give(group);
            }
        }
    }

    fn read_line(&mut self) -> Result<Option<RawLine>, Failure> {
        loop {
            let mut text = Vec::new();
            let limit = u64::try_from(LINE_MAX_BYTES).unwrap_or(u64::MAX).saturating_add(1);
            let size = self
                .input
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut text)
                .map_err(|error| file_failed(&self.file, &error))?;
            if size == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.number == 1 {
                let mark = text.len() - without_mark(&text).len();
                text.drain(..mark);
            }
            if !text.trim_ascii().is_empty() {
                let number = self.number;
                return Ok(Some(RawLine { text, number }));
            }
        }
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

/// A line, the block whose bytes it holds, and what came of the checks that need no other block.
pub(super) struct Line {
    text: Vec<u8>,
    /// Its number, from 1.
    pub(super) number: u64,
    pub(super) block: Block,
    /// Whether the block follows the rules that need no other block.
    pub(super) verdict: Verdict,
    /// The sums of work that the line gives, if all its other fields say what its bytes say.
    works: Option<Vec<String>>,
}

/// Reads and checks lines, all signatures together.
fn check(lines: Vec<RawLine>, rules: &BodyRules, reward: u64) -> Vec<Result<Line, Failure>> {
    let mut read: Vec<_> = lines
        .into_iter()
        .map(|line| match read(&line) {
            Ok((bytes, block)) => Ok((line, bytes, block)),
            Err(failure) => Err(failure.at_line(line.number)),
        })
        .collect();
    let bodies = read.iter_mut().flatten();
    let bodies = bodies.map(|(_, bytes, block)| (block.hash(), core::mem::take(bytes)));
    let mut verdicts = rules.read_and_check(bodies.collect()).into_iter();
    let whole = |(RawLine { text, number }, _, block): (RawLine, Vec<u8>, Block)| {
        let verdict = verdicts.next().expect("a verdict on each block");
        let view = view(&block, Work::ZERO, reward);
        let works = match compare_but_work(&text, &view) {
            Ok((None, works)) => Some(works),
            Ok((Some(_), _)) | Err(_) => None,
        };
        Line {
            text,
            number,
            block,
            verdict,
            works,
        }
    };
    let mut whole = whole;
    read.into_iter().map(|line| line.map(&mut whole)).collect()
}

/// The bytes of the block in a line, and the block.
fn read(line: &RawLine) -> Result<(Vec<u8>, Block), Failure> {
    if line.text.len() > LINE_MAX_BYTES {
        let message = format!("the line has more than {LINE_MAX_BYTES} bytes");
        return Err(invalid("line_too_long", message));
    }
    if is_utf16(&line.text) {
        return Err(utf16());
    }
    let bytes = bytes_of(&line.text)?;
    let block = Block::from_bytes(&bytes).map_err(|error| invalid(error.code(), error.to_string()))?;
    Ok((bytes, block))
}

/// A block as the export writes it.
fn view(block: &Block, work: Work, reward: u64) -> BlockView {
    let stored = StoredBlock {
        header: block.header.clone(),
        work,
        size_bytes: 0,
    };
    block_view(&block.hash(), &stored, block, true, reward)
}

impl Line {
    /// Compares all fields of the line with the block. `work` is the sum up to and including the block; without it,
    /// as when the parent is unknown, nothing is compared.
    pub(super) fn compare(&self, work: Option<Work>, params: &NetworkParams) -> Result<(), Failure> {
        let Some(work) = work else { return Ok(()) };
        let text = work.to_string();
        if self
            .works
            .as_ref()
            .is_some_and(|works| works.iter().all(|given| *given == text))
        {
            return Ok(());
        }
        match compare(&self.text, &view(&self.block, work, params.reward)) {
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

/// The canonical bytes of the block in a line.
fn bytes_of(line: &[u8]) -> Result<Vec<u8>, Failure> {
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
    Ok(bytes)
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
