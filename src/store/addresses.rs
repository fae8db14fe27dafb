//! The address file, by which nodes of the same user on one machine find each other without a network.
//!
//! Promises: the work is bounded, whatever the folders contain; only folders whose lock is held count as running.
//! Spec: `proto-notes/store.md`, "Address file".

use std::fs::{self, TryLockError};
use std::io;
use std::path::Path;

use super::files::{self, Access, Durable, Owner};
use super::folder::{ADDRESS_FILE, LOCK_FILE};
use crate::types::{Address, PeerId};

/// The most folders of one network that are searched: as many as there are slots.
pub(crate) const FOLDERS_MAX: usize = 64;
/// The largest address file in bytes: a PeerId and about fifty addresses.
const ADDRESS_FILE_MAX_BYTES: usize = 4096;

/// Writes the file: the PeerId, and then one address on each line, as many as fit.
pub(crate) fn write(path: &Path, peer: &PeerId, addresses: &[String]) -> io::Result<()> {
    let mut text = format!("{peer}\n");
    for address in addresses {
        if text.len() + address.len() < ADDRESS_FILE_MAX_BYTES {
            text.push_str(address);
            text.push('\n');
        }
    }
    files::replace(path, text.as_bytes(), Durable::No)
}

/// The running nodes in the folders beside `own`, in the order of the folder names.
pub(crate) fn siblings(network_folder: &Path, own: &Path) -> Vec<(PeerId, Vec<Address>)> {
    let Ok(entries) = fs::read_dir(network_folder) else {
        return Vec::new();
    };
    let mut folders: Vec<_> = entries
        .take(FOLDERS_MAX)
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path != own)
        .collect();
    folders.sort_unstable();
    folders.iter().filter_map(|folder| sibling(folder)).collect()
}

fn sibling(folder: &Path) -> Option<(PeerId, Vec<Address>)> {
    let path = folder.join(ADDRESS_FILE);
    let limit = u64::try_from(ADDRESS_FILE_MAX_BYTES).ok()?;
    // Read first: a folder without this file is never probed, so its lock stays free for a node that starts there.
    let bytes = files::read_start(&path, limit, Owner::Anybody).ok()??;
    let lock = files::open(&folder.join(LOCK_FILE), Access::Read, Owner::Anybody).ok()?;
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => parse(&bytes),
        Ok(()) => {
            // A crash left the file. It is removed under the lock, so that the folder is probed only once.
            let _ = fs::remove_file(&path);
            None
        }
        Err(TryLockError::Error(_)) => None,
    }
}

/// Parses an address file; it skips lines that are not an address of this peer.
pub(crate) fn parse(bytes: &[u8]) -> Option<(PeerId, Vec<Address>)> {
    let mut lines = core::str::from_utf8(bytes).ok()?.lines();
    let peer: PeerId = lines.next()?.parse().ok()?;
    let addresses = lines
        .filter_map(|line| Address::parse(line).ok())
        .filter(|(_, named)| named.is_none_or(|named| named == peer))
        .map(|(address, _)| address)
        .filter(|address| !address.is_name())
        .collect();
    Some((peer, addresses))
}
