//! Finds the folder of an earlier version. The network had another id there, so its chain cannot be continued, but its
//! key can be imported.
//!
//! Promises: the folder is only read, never changed, and not locked against a node of that version; what cannot be read
//! is left out.
//! Spec: `proto-notes/store.md`, "Folders".

use std::path::{Path, PathBuf};

use redb::{ReadOnlyDatabase, ReadableDatabase, ReadableTable};

use super::folder::CHAIN_FILE;
use super::tables::ACCOUNTS;
use super::{Trust, places, records};
use crate::chain::NetworkParams;
use crate::types::{Account, SecretKey};

/// The most accounts that are searched, because a file of an earlier version may be large.
const ACCOUNTS_MAX: usize = 100_000;
/// The most names that the text lists.
const NAMES_MAX: usize = 10;

/// A data folder of an earlier version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Older {
    /// The path of the folder.
    pub path: PathBuf,
    /// What its key owned there, in words; none if it cannot be read.
    owned: Option<String>,
    /// A name for a new folder that gets the key.
    slot: String,
    network: String,
}

impl Older {
    /// The text that a node prints at its start.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            path,
            owned,
            slot,
            network,
        } = self;
        let owned = owned.as_ref().map_or_else(String::new, |owned| format!(" ({owned})"));
        format!(
            "{} is of an earlier version, whose network {network} had other rules and another id: its chain does not go on \
             here, names and balances begin anew. To go on with its key{owned}, stop this node and type: lanchain key \
             import --network {network} --name {slot} {}; then start with --network {network} --name {slot}",
            path.display(),
            places::key_file(path).display(),
        )
    }
}

/// The earlier version's folder for a slot: the one of the same name, or else the first. None if the slot already has
/// the key of that folder.
#[must_use]
pub fn find(slot: &Path, key: &SecretKey, network: &NetworkParams) -> Option<Older> {
    let name = slot.file_name()?;
    let home = slot.parent()?.parent()?;
    let id = network.first_version_id().to_string();
    let parent = home.join(format!("{}-{}", network.label().replace(':', "-"), &id[..8]));
    let all = places::slots(&parent);
    let of_name = all.iter().find(|place| place.path.file_name() == Some(name));
    let path = of_name.or(all.first())?.path.clone();
    // Only the public key is used here; `key import` reports what is wrong with the file.
    let old_key = places::read_key(&path, Trust::Shared).ok()?;
    if old_key.public() == key.public() {
        return None;
    }
    Some(Older {
        owned: owned(&path, &old_key),
        slot: format!("{}-old", path.file_name()?.to_string_lossy()),
        network: network.label(),
        path,
    })
}

/// What the key owned in the earlier ledger, in words.
fn owned(path: &Path, key: &SecretKey) -> Option<String> {
    let file = path.join(CHAIN_FILE);
    // A pipe would be waited for, and a link leads to another place.
    if !file.symlink_metadata().is_ok_and(|found| found.is_file()) {
        return None;
    }
    let database = ReadOnlyDatabase::open(file).ok()?;
    let table = database.begin_read().ok()?.open_table(ACCOUNTS).ok()?;
    let (mut names, mut count, mut balance) = (Vec::new(), 0_usize, 0_i128);
    for entry in table.iter().ok()?.take(ACCOUNTS_MAX) {
        let (account, state) = entry.ok()?;
        let (account, state) = (
            records::account(account.value()).ok()?,
            records::state(state.value()).ok()?,
        );
        match account {
            Account::Key(own) if own == key.public() => balance += i128::from(state.balance),
            Account::Name(name) if state.owner == Some(key.public()) => {
                balance += i128::from(state.balance);
                count += 1;
                if names.len() < NAMES_MAX {
                    names.push(name.to_string());
                }
            }
            Account::Key(_) | Account::Name(_) => {}
        }
    }
    let more = match count.saturating_sub(names.len()) {
        0 => String::new(),
        more => format!(" and {more} more names"),
    };
    let names = match names.as_slice() {
        [] => "no name".to_owned(),
        names => names.join(", "),
    };
    Some(format!("it owned {names}{more}, with a balance of {balance}"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::folder::NETWORK_FILE;
    use super::super::{Folder, RedbStore};
    use super::*;
    use crate::chain::{AccountState, Batch};
    use crate::types::AccountName;

    /// Makes a folder as the first version did: anna and 12 coins belong to its key.
    fn leave_old_folder(home: &Path, network: &NetworkParams) -> SecretKey {
        let made = home.join("made");
        let folder = Folder::open(super::super::FolderChoice::Dir(made.clone()), network, Trust::Private).unwrap();
        let key = folder.secret_key().clone();
        let store = RedbStore::open(&folder.chain_path(), network).unwrap();
        let state = |balance, owner| {
            Some(AccountState {
                balance,
                next_sequence: 1,
                owner,
            })
        };
        let anna = Account::Name(AccountName::new("anna").unwrap());
        let batch = Batch {
            id: 1,
            accounts: [
                (anna, state(5, Some(key.public()))),
                (Account::Key(key.public()), state(7, None)),
            ]
            .into(),
            ..Batch::default()
        };
        store.commit(&[batch]).unwrap();
        drop((store, folder));
        let id = network.first_version_id().to_string();
        let parent = home.join("lanchain").join(format!("{}-{}", network.label(), &id[..8]));
        fs::create_dir_all(&parent).unwrap();
        fs::rename(&made, parent.join("anna")).unwrap();
        let text = format!("lanchain 1\n{}\n{id}\n", network.label());
        fs::write(parent.join("anna").join(NETWORK_FILE), text).unwrap();
        key
    }

    #[test]
    fn the_folder_of_the_earlier_version_is_told_with_what_it_owned_until_its_key_is_taken_along() {
        let home = tempfile::tempdir().unwrap();
        let network = NetworkParams::dev();
        let old_key = leave_old_folder(home.path(), &network);
        let slot = Folder::open_slot(home.path(), Some("anna"), &network, Trust::Private).unwrap();
        let told = find(slot.path(), slot.secret_key(), &network).unwrap().sentence();
        for part in [
            "it owned anna, with a balance of 12",
            "lanchain key import --network dev --name anna-old",
            "anna/key",
        ] {
            assert!(told.contains(part), "{told}");
        }
        // Nothing is printed once that key is in use, or on a network that has no earlier folder.
        assert_eq!(find(slot.path(), &old_key, &network), None);
        let other = Folder::open_slot(home.path(), None, &NetworkParams::lan(), Trust::Private).unwrap();
        assert_eq!(find(other.path(), other.secret_key(), &NetworkParams::lan()), None);
        // The printed command really imports the key.
        let new = home.path().join("new");
        places::import_key(&new, &network, &old_key, Trust::Private).unwrap();
        assert_eq!(
            places::read_key(&new, Trust::Private).unwrap().public(),
            old_key.public()
        );
    }

    #[test]
    fn a_named_folder_of_an_earlier_version_is_refused_with_the_way_to_take_its_key_along() {
        let home = tempfile::tempdir().unwrap();
        let network = NetworkParams::dev();
        leave_old_folder(home.path(), &network);
        let id = network.first_version_id().to_string();
        let path = home
            .path()
            .join("lanchain")
            .join(format!("dev-{}", &id[..8]))
            .join("anna");
        let error = Folder::open(super::super::FolderChoice::Dir(path), &network, Trust::Private).unwrap_err();
        assert_eq!(error.code(), "other_network");
        assert!(
            error.hint().contains("lanchain key import --data-dir NEW"),
            "{}",
            error.hint()
        );
    }
}
