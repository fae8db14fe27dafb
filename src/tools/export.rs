//! `lanchain export`: the active chain as JSON lines, one BLOCK of the contract on each line, genesis first.
//!
//! Promises: it never overwrites a file, and a failed export leaves no file.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::folder::{file_failed, is_standard, read};
use super::{Failure, Finding};
use crate::chain::{Block, ChainStore, StoreError};
use crate::cli::Args;
use crate::inspect::blocks::block_view;
use crate::types::{BlockHash, Height};

/// The result of an export, for its reply.
#[derive(Serialize)]
pub(super) struct Exported {
    pub(super) blocks: u64,
    pub(super) height: Height,
    pub(super) tip: BlockHash,
    pub(super) file: PathBuf,
}

impl Finding for Exported {
    fn words(&self) -> String {
        format!(
            "{} blocks written to {}: tip {} at height {}",
            self.blocks,
            self.file.display(),
            self.tip,
            self.height
        )
    }
}

pub(super) fn run(args: &Args, file: Option<&Path>) -> Result<Option<Exported>, Failure> {
    let (store, _reading) = read(args)?;
    let Some(path) = file.filter(|path| !is_standard(path)) else {
        return match write_all(&store, args.network.reward, &mut BufWriter::new(io::stdout().lock())) {
            // The reader closed the pipe, so it has read enough.
            Err(Wrong::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            Err(wrong) => Err(wrong.failure(Path::new("standard output"))),
            Ok(_) => Ok(None),
        };
    };
    let out = OpenOptions::new().write(true).create_new(true).open(path);
    let out: File = out.map_err(|error| file_failed(path, &error))?;
    let mut out = BufWriter::new(out);
    let written = write_all(&store, args.network.reward, &mut out).and_then(|done| {
        out.get_ref().sync_all().map_err(Wrong::Output)?;
        Ok(done)
    });
    match written {
        Ok((height, tip)) => Ok(Some(Exported {
            blocks: height.get().saturating_add(1),
            height,
            tip,
            file: path.to_path_buf(),
        })),
        Err(wrong) => {
            fs::remove_file(path).unwrap_or_default();
            Err(wrong.failure(path))
        }
    }
}

/// Why an export ended early.
enum Wrong {
    Store(StoreError),
    Output(io::Error),
}

impl Wrong {
    fn failure(self, path: &Path) -> Failure {
        match self {
            Self::Store(error) => error.into(),
            Self::Output(error) => file_failed(path, &error),
        }
    }
}

fn write_all(store: &impl ChainStore, reward: u64, out: &mut impl Write) -> Result<(Height, BlockHash), Wrong> {
    let (height, tip) = store.tip().map_err(Wrong::Store)?;
    for at in 0..=height.get() {
        let line = line(store, Height::new(at), reward).map_err(Wrong::Store)?;
        writeln!(out, "{line}").map_err(Wrong::Output)?;
    }
    out.flush().map_err(Wrong::Output)?;
    Ok((height, tip))
}

/// The JSON line for the active block at a height.
pub(super) fn line(store: &impl ChainStore, height: Height, reward: u64) -> Result<String, StoreError> {
    let gone = |what: &str| StoreError::Damaged(format!("height {height} has no {what}"));
    let hash = store.active(height)?.ok_or_else(|| gone("active block"))?;
    let stored = store.block(&hash)?.ok_or_else(|| gone("header"))?;
    let body = store.body(&hash)?.ok_or_else(|| gone("body"))?;
    let block = Block::from_bytes(&body).map_err(|error| StoreError::Damaged(format!("block {hash}: {error}")))?;
    Ok(serde_json::to_string(&block_view(&hash, &stored, &block, true, reward)).expect("a block is JSON"))
}
