//! The values of flags, one reader for each kind: what is wrong is said before anything is touched.
//!
//! Spec: `proto-notes/events.md`, "Command line".

use std::path::Path;

use crate::chain::params::NetworkParams;
use crate::store::inputs;
use crate::types::prefix::Bind;
use crate::types::text::{is_utf16, without_mark};
use crate::types::ticket::Ticket;
use crate::types::{AccountName, Address, PeerId};

pub(super) fn name(text: &str) -> Result<AccountName, String> {
    AccountName::new(&text.to_ascii_lowercase()).map_err(|error| error.to_string())
}

pub(super) fn listen(text: &str) -> Result<Address, String> {
    Address::parse_listen(text).map_err(|error| format!("{error} to listen on; it looks like /ip4/127.0.0.1/tcp/4001"))
}

pub(super) fn ticket(text: &str) -> Result<Ticket, String> {
    text.parse::<Ticket>().map_err(|error| error.to_string())
}

pub(super) fn bind(text: &str) -> Result<Bind, String> {
    Bind::parse(text).ok_or_else(|| "it is neither an interface's name nor an address of one, such as eth0".to_owned())
}

pub(super) fn peer(text: &str) -> Result<(Address, Option<PeerId>), String> {
    let example = "it looks like 192.168.1.5, my-laptop.local:4141 or /ip4/192.168.1.5/tcp/4141";
    Address::parse_typed(text).map_err(|error| format!("{error}; {example}"))
}

pub(super) fn log(text: &str) -> Result<String, String> {
    // A bare word would be taken for a part of the program, and silence all others.
    let is_level = |word: &str| {
        matches!(
            &*word.to_ascii_lowercase(),
            "off" | "error" | "warn" | "info" | "debug" | "trace"
        )
    };
    let is_filter = |part: &str| part.contains(['=', '[']) || part.is_empty() || is_level(part.trim());
    if let Some(part) = text.split(',').find(|part| !is_filter(part)) {
        return Err(format!(
            "\"{part}\" is no level; type off, error, warn, info, debug or trace; one part of the program: --log info,net=debug"
        ));
    }
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// The most bytes of a network file; one with every key and a comment for each has less than two thousand.
const NETWORK_FILE_MAX_BYTES: u64 = 64 * 1024;

/// Parses a network: a built-in one, or a file if the text has a separator or an extension, or names an existing file.
pub(super) fn network(text: &str) -> Result<NetworkParams, String> {
    let path = Path::new(text);
    // Names of networks and their words may be typed in upper case.
    let folded = text.to_ascii_lowercase();
    let looks_like_file = path.components().count() > 1 || path.extension().is_some();
    match NetworkParams::built_in(&folded) {
        Ok(params) if !looks_like_file => Ok(params),
        Err(error) if !looks_like_file && !path.exists() => Err(error.to_string()),
        _ => network_file(path),
    }
}

fn network_file(path: &Path) -> Result<NetworkParams, String> {
    let describe = |error: &dyn core::fmt::Display| format!("{}: {error}", path.display());
    let bytes = inputs::read(path, NETWORK_FILE_MAX_BYTES).map_err(|error| describe(&error))?;
    if is_utf16(&bytes) {
        return Err(describe(&"it is UTF-16 text: save it as UTF-8"));
    }
    let text = core::str::from_utf8(without_mark(&bytes)).map_err(|error| describe(&error))?;
    NetworkParams::from_toml(text).map_err(|error| describe(&error))
}
