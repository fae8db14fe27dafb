//! `lanchain key`: shows, exports and imports the node's key.
//!
//! Promises: the secret is never read from the command line and never written where others can read it; no key is ever
//! overwritten; copies in memory are wiped.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use zeroize::Zeroizing;

use super::folder::{choice, existing, file_failed, is_standard};
use super::{Failure, Finding, STATUS_FAILED, STATUS_FOLDER, print};
use crate::cli::{Args, KeyTask};
use crate::store::{OpenError, places};
use crate::types::SecretKey;

/// The largest key file in bytes: 64 digits, a line end, and room for a few blanks.
const KEY_MAX_BYTES: u64 = 128;

/// The public part of a key, for the reply.
#[derive(Serialize)]
pub(super) struct KeyView {
    pub(super) peer_id: String,
    pub(super) public_key: String,
    /// The path of the file that holds the key now.
    pub(super) file: PathBuf,
    #[serde(skip)]
    pub(super) what: &'static str,
}

impl Finding for KeyView {
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

pub(super) fn run(args: &Args, action: &KeyTask) -> Result<Option<KeyView>, Failure> {
    match action {
        KeyTask::Show => {
            let folder = existing(args)?;
            let key = places::read_key(&folder, args.trust)?;
            Ok(Some(shown(&key, places::key_file(&folder), "key of")))
        }
        KeyTask::Export { file } => export(args, file),
        KeyTask::Import { file } => import(args, file),
    }
}

fn shown(key: &SecretKey, file: PathBuf, what: &'static str) -> KeyView {
    let public = key.public();
    KeyView {
        peer_id: public.peer_id().to_string(),
        public_key: public.to_string(),
        file,
        what,
    }
}

/// Copies the key to a file. The folder of a running node is allowed, because reading does not disturb the node.
fn export(args: &Args, file: &Path) -> Result<Option<KeyView>, Failure> {
    let key = places::read_key(&existing(args)?, args.trust)?;
    eprintln!(
        "warning: whoever has this key has the node's identity and everything that its names own; \
         two nodes with one key disturb each other"
    );
    if is_standard(file) {
        return match print(&places::key_text(&key)) {
            0 => Ok(None),
            _ => Err(Failure::new(
                STATUS_FAILED,
                "io",
                "the key was not written",
                "lanchain key export FILE",
            )),
        };
    }
    places::write_key_file(file, &key, args.trust)?;
    Ok(Some(shown(&key, file.to_path_buf(), "key written to")))
}

fn import(args: &Args, file: &Path) -> Result<Option<KeyView>, Failure> {
    let key = if is_standard(file) {
        let mut text = Zeroizing::new(Vec::new());
        let read = std::io::stdin().lock().take(KEY_MAX_BYTES).read_to_end(&mut text);
        read.map_err(|error| file_failed(file, &error))?;
        places::parse_key(&text).map_err(|reason| no_key("standard input", reason))?
    } else {
        places::read_key_file(file, args.trust).map_err(|error| not_imported(file, error))?
    };
    let folder = places::find_or_first(&choice(args), &args.network)?;
    let placed = places::import_key(&folder, &args.network, &key, args.trust)?;
    Ok(Some(shown(&key, placed, "key imported to")))
}

fn no_key(source: &str, reason: &str) -> Failure {
    Failure::new(
        STATUS_FAILED,
        "bad_argument",
        format!("{source} is no key: {reason}"),
        "take the file that `lanchain key export FILE` wrote, or the file `key` of a data folder",
    )
}

/// Converts an error with the imported file, which is not part of a data folder, so the hints for folders do not apply.
fn not_imported(file: &Path, error: OpenError) -> Failure {
    match error {
        OpenError::Io { .. } if !file.exists() => file_failed(file, &std::io::ErrorKind::NotFound.into()),
        OpenError::Damaged { reason, .. } => no_key(&file.display().to_string(), &reason),
        OpenError::NotAFile { reason, .. } => Failure::new(
            STATUS_FOLDER,
            "not_a_file",
            format!("{} is not read: {reason}", file.display()),
            "name the key file itself, or pass its content on: lanchain key import - < FILE",
        ),
        OpenError::ExposedKey { chmod_helps: false, .. } => {
            let hint = "others can read it where it lies: lanchain key import - < FILE takes it all the same";
            Failure::new(STATUS_FOLDER, error.code(), error.to_string(), hint)
        }
        other => other.into(),
    }
}
