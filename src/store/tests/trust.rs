//! Keys in the own chain file: checked at each read until they were all checked once, and trusted from then on.

use super::*;
use crate::chain::{ChainStore, StoreError};
use crate::store::redb_store::testing::set_checked_by;
use crate::store::{Folder, FolderChoice, Reading, RedbStore, Trust};
use crate::types::PublicKey;
use crate::types::key::KeyError;
use crate::types::layout::Reader;

/// A key that is no point of the curve, as it stands in a file that somebody has changed.
fn no_key() -> PublicKey {
    let mut bytes = [2; 32];
    while PublicKey::from_bytes(bytes) != Err(KeyError::NotOnCurve) {
        bytes[0] += 1;
    }
    PublicKey::read(&mut Reader::of_own_store(&bytes)).unwrap()
}

/// A batch in which mallory's account has this owner.
fn owned_by(owner: PublicKey) -> Batch {
    let state = AccountState {
        balance: 5,
        next_sequence: 1,
        owner: Some(owner),
    };
    Batch {
        accounts: [(name("mallory"), Some(state))].into(),
        ..Batch::default()
    }
}

fn is_damaged<T>(result: Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Damaged(_)))
}

#[test]
fn a_key_that_is_no_point_is_found_unless_this_version_has_checked_all_keys() {
    let place = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let folder = Folder::open(FolderChoice::Dir(place.path().into()), &params, Trust::Private).unwrap();
    let open = || RedbStore::open(&folder.chain_path(), &params).unwrap();
    let account = |store: &RedbStore| store.account(&name("mallory"));
    let store = open();
    store.trust_keys(&mut |_| ()).unwrap();
    store.commit(&[owned_by(no_key())]).unwrap();
    assert_eq!(account(&store).unwrap().unwrap().owner, Some(no_key()), "it is trusted");
    drop(store);
    // Whoever has not been told to trust checks, as `import` and `verify` do.
    let store = open();
    assert!(is_damaged(account(&store)));
    store.trust_keys(&mut |_| ()).unwrap();
    assert!(account(&store).is_ok(), "this version has checked what it wrote");
    set_checked_by(&store, b"0.0.9");
    drop(store);
    let store = open();
    assert!(is_damaged(store.trust_keys(&mut |_| ())));
    assert!(is_damaged(account(&store)), "keys are checked at each read");
    store.commit(&[owned_by(secret(1).public())]).unwrap();
    store.trust_keys(&mut |_| ()).unwrap();
    assert!(account(&store).is_ok());
}

#[test]
fn verify_reads_a_folder_with_every_check_whatever_its_node_trusts() {
    let place = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let folder = Folder::open(FolderChoice::Dir(place.path().into()), &params, Trust::Private).unwrap();
    let store = RedbStore::open(&folder.chain_path(), &params).unwrap();
    store.trust_keys(&mut |_| ()).unwrap();
    store.commit(&[owned_by(no_key())]).unwrap();
    drop((store, folder));
    let (store, _reading) = Reading::open(place.path(), &params).unwrap();
    assert!(is_damaged(store.account(&name("mallory"))));
    assert!(is_damaged(store.accounts(usize::MAX)));
}
