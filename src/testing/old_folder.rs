//! A data folder as the version before left it: its chain file has format 2 and no index of histories.
//!
//! That version made it: ten blocks on `dev`, four more on a side branch, own names alice and carol, and two own payments
//! that wait. `chain.runs` is the chain file as runs: how many zero bytes, how many others (u32 each), these.

use std::path::Path;

use crate::store::files;

/// The bytes of the chain file that an earlier version wrote.
pub fn chain() -> Vec<u8> {
    let mut runs = &include_bytes!("old_folder/chain.runs")[..];
    let number = |bytes: &mut &[u8]| {
        let (number, rest) = bytes.split_first_chunk().unwrap();
        *bytes = rest;
        usize::try_from(u32::from_be_bytes(*number)).unwrap()
    };
    let mut file = Vec::new();
    while !runs.is_empty() {
        let (zeros, others) = (number(&mut runs), number(&mut runs));
        file.resize(file.len() + zeros, 0);
        file.extend_from_slice(&runs[..others]);
        runs = &runs[others..];
    }
    file
}

/// Puts the folder's files into a folder.
pub fn leave(folder: &Path) {
    for (name, content) in [
        ("chain.redb", &chain()[..]),
        ("key", include_bytes!("old_folder/key")),
        ("network", include_bytes!("old_folder/network")),
    ] {
        let path = folder.join(name);
        files::create_new(&path).unwrap();
        std::fs::write(path, content).unwrap();
    }
}
