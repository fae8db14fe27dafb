//! `lanchain key`: the node's key shown, taken along, brought in.
//!
//! Promises: the secret is never read from the command line and never written where others can read it; no key is ever
//! overwritten; copies in memory are wiped.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::folder::{choice, existing, file_failed, is_standard};
use super::{Failure, Finding, STATUS_FAILED, print};
use crate::cli::{Args, KeyTask};
use crate::store::places;
use crate::types::SecretKey;

/// A key file has 64 digits and a line end; a few blanks more do not matter.
const KEY_MAX_BYTES: u64 = 128;

/// What may be shown of a key.
#[derive(Serialize)]
pub(super) struct Shown {
    peer_id: String,
    public_key: String,
    /// Where the key lies now.
    file: PathBuf,
    #[serde(skip)]
    what: &'static str,
}

impl Finding for Shown {
    fn words(&self) -> String {
        let Self {
            what,
            file,
            peer_id,
            public_key,
        } = self;
        format!(
            "{what} {}\n  PeerId      {peer_id}\n  public key  {public_key}",
            file.display()
        )
    }
}

pub(super) fn run(args: &Args, action: &KeyTask) -> Result<Option<Shown>, Failure> {
    match action {
        KeyTask::Show => {
            let folder = existing(args)?;
            let key = places::read_key(&folder)?;
            Ok(Some(shown(&key, places::key_file(&folder), "key of")))
        }
        KeyTask::Export { file } => export(args, file),
        KeyTask::Import { file } => import(args, file),
    }
}

fn shown(key: &SecretKey, file: PathBuf, what: &'static str) -> Shown {
    let public = key.public();
    Shown {
        peer_id: public.peer_id().to_string(),
        public_key: public.to_string(),
        file,
        what,
    }
}

/// A running node's key may be copied too: reading it disturbs nobody.
fn export(args: &Args, file: &Path) -> Result<Option<Shown>, Failure> {
    let key = places::read_key(&existing(args)?)?;
    eprintln!(
        "warning: whoever has this key has the node's identity and everything that its names own; \
         two nodes with one key disturb each other"
    );
    let text = places::key_text(&key);
    if is_standard(file) {
        return match print(&text) {
            0 => Ok(None),
            _ => Err(Failure::new(
                STATUS_FAILED,
                "io",
                "the key was not written",
                "lanchain key export FILE",
            )),
        };
    }
    write_secret(file, text.as_bytes()).map_err(|error| file_failed(file, &error))?;
    Ok(Some(shown(&key, file.to_path_buf(), "key written to")))
}

/// A new file that this user alone can read, from its first byte on.
fn write_secret(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        std::fs::remove_file(path).unwrap_or_default();
    }
    written
}

fn import(args: &Args, file: &Path) -> Result<Option<Shown>, Failure> {
    let key = if is_standard(file) {
        let mut text = Zeroizing::new(Vec::new());
        let read = std::io::stdin().lock().take(KEY_MAX_BYTES).read_to_end(&mut text);
        read.map_err(|error| file_failed(file, &error))?;
        places::parse_key(&text).ok_or_else(no_key)?
    } else {
        places::read_key_file(file)?
    };
    let folder = places::find_or_first(&choice(args), &args.network)?;
    let placed = places::import_key(&folder, &args.network, &key)?;
    Ok(Some(shown(&key, placed, "key imported to")))
}

fn no_key() -> Failure {
    Failure::new(
        STATUS_FAILED,
        "bad_argument",
        "standard input holds no 64 hex digits",
        "lanchain key import - < FILE",
    )
}
