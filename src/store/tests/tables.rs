//! Every table, commits, and chain files that are refused.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::chain::{Beside, ChainStore, StoreError};
use crate::store::redb_store::testing;
use crate::store::{OpenError, RedbStore};
use crate::types::Address;

fn fresh(params: &NetworkParams) -> (TempDir, PathBuf, RedbStore) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let store = RedbStore::open(&path, params).unwrap();
    (folder, path, store)
}

#[test]
fn a_new_store_holds_the_genesis_block_as_active_block_0() {
    let params = NetworkParams::dev();
    let (folder, _, store) = fresh(&params);
    let hash = genesis_hash(&params);
    assert_eq!(store.tip(), Ok((GENESIS, hash)));
    assert_eq!(store.active(GENESIS), Ok(Some(hash)));
    let block = store.block(&hash).unwrap().unwrap();
    assert_eq!((block.header, block.work), (params.genesis(), Work::ZERO));
    let body = store.body(&hash).unwrap().unwrap();
    assert_eq!(u64::try_from(body.len()).unwrap(), block.size_bytes);
    assert_eq!(Block::from_bytes(&body).unwrap().hash(), hash);
    assert_eq!(store.accounts(10), Ok((0, Vec::new())));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_was_committed_is_read_back_after_a_restart() {
    let params = NetworkParams::dev();
    let (_folder, path, store) = fresh(&params);
    let blocks = chain(&params, 2);
    let side = child(&params.genesis(), 99);
    let peer = secret(9).public().peer_id();
    let addresses: Vec<_> = ["/ip4/10.0.0.1/tcp/1", "/dns/node.local/tcp/65535"]
        .map(|text| Address::parse(text).unwrap().0)
        .into();
    let mut batch = connect(&blocks[0]);
    batch.append(connect(&blocks[1]));
    batch.blocks.insert(side.hash(), Some(stored(&side)));
    batch.side.insert(side.hash(), Some(()));
    batch.own.insert(txid(70), Some((2, vec![2, 2])));
    batch.own.insert(txid(71), Some((1, vec![1])));
    batch.peers.insert(peer, Some(addresses.clone()));
    store.commit(&[batch]).unwrap();
    drop(store);

    let store = RedbStore::open(&path, &params).unwrap();
    assert_eq!(store.tip(), Ok((Height::new(2), blocks[1].hash())));
    for block in blocks.iter().chain([&side]) {
        let (header, body) = stored(block);
        assert_eq!(store.block(&block.hash()), Ok(Some(header)));
        assert_eq!(store.body(&block.hash()), Ok(Some(body)));
    }
    assert_eq!(store.active(Height::new(1)), Ok(Some(blocks[0].hash())));
    assert_eq!(store.active(Height::new(3)), Ok(None));
    assert_eq!(store.side(), Ok(vec![side.hash()]));
    assert_eq!(store.account(&name("alice")).unwrap().unwrap().balance, 2);
    assert_eq!(store.account(&name("bob")), Ok(None));
    let height = Height::new(2);
    assert_eq!(store.place(&confirmed(2)), Ok(Some(TxPlace { height, index: 0 })));
    assert_eq!(store.own(), Ok(vec![(1, vec![1]), (2, vec![2, 2])]));
    assert_eq!(store.peers(), Ok(vec![(peer, addresses)]));
}

#[test]
fn a_deletion_leaves_nothing_in_any_table() {
    let params = NetworkParams::dev();
    let (_folder, path, store) = fresh(&params);
    let block = &chain(&params, 1)[0];
    let hash = block.hash();
    let mut made = connect(block);
    made.side.insert(hash, Some(()));
    made.own.insert(txid(70), Some((1, vec![1])));
    made.peers.insert(secret(9).public().peer_id(), Some(Vec::new()));
    let gone = Batch {
        id: 2,
        blocks: made.blocks.keys().map(|key| (*key, None)).collect(),
        active: made.active.keys().map(|key| (*key, None)).collect(),
        side: made.side.keys().map(|key| (*key, None)).collect(),
        accounts: made.accounts.keys().map(|key| (key.clone(), None)).collect(),
        own: made.own.keys().map(|key| (*key, None)).collect(),
        peers: made.peers.keys().map(|key| (*key, None)).collect(),
        ..Batch::default()
    };
    store.commit(&[made]).unwrap();
    store.commit(&[gone]).unwrap();
    drop(store);

    let store = RedbStore::open(&path, &params).unwrap();
    assert_eq!(store.tip(), Ok((GENESIS, genesis_hash(&params))));
    assert_eq!(store.block(&hash), Ok(None));
    assert_eq!(store.body(&hash), Ok(None));
    assert_eq!(store.side(), Ok(Vec::new()));
    assert_eq!(store.accounts(9), Ok((0, Vec::new())));
    assert_eq!(store.place(&confirmed(1)), Ok(None));
    assert_eq!(store.own(), Ok(Vec::new()));
    assert_eq!(store.peers(), Ok(Vec::new()));
}

#[test]
fn accounts_are_listed_names_in_order_then_keys_and_counted_in_whole() {
    let params = NetworkParams::dev();
    let (_folder, _, store) = fresh(&params);
    let mut batch = Batch::default();
    let mut accounts = vec![name("b"), name("a"), name("ab"), name("z"), name("a-b"), name("a_")];
    accounts.extend([3, 1, 2].map(|number| Account::Key(secret(number).public())));
    for account in &accounts {
        let state = AccountState {
            balance: i64::MIN,
            next_sequence: u64::MAX,
            owner: None,
        };
        batch.accounts.insert(account.clone(), Some(state));
    }
    store.commit(&[batch]).unwrap();
    accounts.sort();
    let (total, listed) = store.accounts(8).unwrap();
    assert_eq!(total, 9);
    let names: Vec<_> = listed.iter().map(|(account, _)| account.clone()).collect();
    assert_eq!(names, accounts[..8]);
    assert!(listed.iter().all(|(_, state)| state.balance == i64::MIN));
}

#[test]
fn a_body_of_any_size_is_read_back_whole_and_removed_whole() {
    use super::super::tables::PIECE_BYTES;
    let params = NetworkParams::dev();
    let (_folder, _, store) = fresh(&params);
    for (nonce, size) in (0..).zip([
        100,
        PIECE_BYTES - 1,
        PIECE_BYTES,
        PIECE_BYTES + 1,
        20 * PIECE_BYTES,
        1_000_000,
    ]) {
        let block = child(&params.genesis(), nonce);
        let (stored, mut body) = stored(&block);
        body.resize(size, 7);
        let mut batch = Batch::default();
        batch.blocks.insert(block.hash(), Some((stored, body.clone())));
        store.commit(&[batch]).unwrap();
        assert_eq!(store.body(&block.hash()), Ok(Some(body)), "{size}");
        let mut gone = Batch::default();
        gone.blocks.insert(block.hash(), None);
        store.commit(&[gone]).unwrap();
        assert_eq!(store.body(&block.hash()), Ok(None), "{size}");
    }
}

#[test]
fn what_lies_beside_the_ledger_joins_it_or_vanishes_in_one_step() {
    let params = NetworkParams::dev();
    let (_folder, _, store) = fresh(&params);
    let state = |balance| AccountState {
        balance,
        ..AccountState::default()
    };
    let batch = |entries: &[(&str, Option<i64>)]| {
        let entries = entries.iter();
        entries
            .map(|(text, balance)| (name(text), balance.map(state)))
            .collect()
    };
    let accounts = batch(&[("a", Some(1)), ("b", Some(2)), ("c", Some(3))]);
    let shadow = batch(&[("a", None), ("b", Some(20)), ("d", Some(40))]);
    let start = Batch {
        accounts,
        shadow,
        ..Batch::default()
    };
    let balances = || -> Vec<i64> {
        store
            .accounts(9)
            .unwrap()
            .1
            .iter()
            .map(|(_, state)| state.balance)
            .collect()
    };
    store.commit(std::slice::from_ref(&start)).unwrap();
    assert_eq!(balances(), [1, 2, 3]);
    assert_eq!(store.shadow(&name("a")), Ok(Some(None)));
    assert_eq!(store.shadow(&name("b")), Ok(Some(Some(state(20)))));
    assert_eq!(store.shadow(&name("c")), Ok(None));
    let end = |beside| Batch {
        beside,
        ..Batch::default()
    };
    store.commit(&[end(Beside::Drop)]).unwrap();
    assert_eq!((balances(), store.shadow(&name("b"))), (vec![1, 2, 3], Ok(None)));
    store.commit(&[start, end(Beside::Promote)]).unwrap();
    assert_eq!((balances(), store.shadow(&name("b"))), (vec![20, 3, 40], Ok(None)));
    assert_eq!(store.account(&name("a")), Ok(None));
}

#[test]
fn blocks_are_found_by_the_start_of_their_hash() {
    let params = NetworkParams::dev();
    let (_folder, _, store) = fresh(&params);
    let batches: Vec<_> = chain(&params, 40).iter().map(connect).collect();
    store.commit(&batches).unwrap();
    let hash = genesis_hash(&params);
    let text = hash.to_string();
    for size in [5, 8, 63, 64] {
        assert_eq!(store.blocks_by_prefix(&text[..size], 9), Ok(vec![hash]));
    }
    assert_eq!(store.blocks_by_prefix("", 99).unwrap().len(), 41);
    assert_eq!(store.blocks_by_prefix("", 2).unwrap().len(), 2);
    for bad in ["xyz", &"0".repeat(65), "ä", "+1"] {
        assert_eq!(store.blocks_by_prefix(bad, 9), Ok(Vec::new()), "{bad}");
    }
}

#[test]
fn a_commit_is_there_whole_or_not_at_all() {
    let params = NetworkParams::dev();
    let (_folder, _, store) = fresh(&params);
    let blocks = chain(&params, 2);
    let reader = store.clone();
    let result = testing::fail_after(&store, &[connect(&blocks[0])]);
    assert!(matches!(result, Err(StoreError::Io(_))));
    assert_eq!(reader.tip(), Ok((GENESIS, genesis_hash(&params))));
    assert_eq!(reader.accounts(9), Ok((0, Vec::new())));
    assert_eq!(reader.block(&blocks[0].hash()), Ok(None));
    store.commit(&[connect(&blocks[0]), connect(&blocks[1])]).unwrap();
    assert_eq!(reader.tip().unwrap().0, Height::new(2));
}

#[test]
fn a_store_whose_file_is_gone_says_so_and_reads_again_after_it_came_back() {
    let params = NetworkParams::dev();
    let (folder, path, store) = fresh(&params);
    let blocks = chain(&params, 2);
    store.commit(&[connect(&blocks[0])]).unwrap();
    let away = folder.path().join("away");
    fs::rename(&path, &away).unwrap();
    if cfg!(unix) {
        assert!(matches!(store.commit(&[connect(&blocks[1])]), Err(StoreError::Io(_))));
        assert_eq!(store.reopen().unwrap_err().code(), "damaged");
        assert!(matches!(store.tip(), Err(StoreError::Io(_))));
        assert!(!path.exists());
    }
    fs::rename(&away, &path).unwrap();
    let other = store.clone();
    store.reopen().unwrap();
    store.commit(&[connect(&blocks[1])]).unwrap();
    assert_eq!(other.tip().unwrap().0, Height::new(2));
}

#[test]
fn a_chain_file_in_use_is_refused() {
    let params = NetworkParams::dev();
    let (_folder, path, store) = fresh(&params);
    let error = RedbStore::open(&path, &params).unwrap_err();
    assert_eq!(
        error,
        OpenError::InUse {
            path: path.clone(),
            pid: None
        }
    );
    drop(store);
    RedbStore::open(&path, &params).unwrap();
}

#[test]
fn another_networks_chain_file_is_refused_and_not_changed() {
    let (folder, path, store) = fresh(&NetworkParams::dev());
    drop(store);
    let before = snapshot(folder.path());
    let error = RedbStore::open(&path, &NetworkParams::lan()).unwrap_err();
    assert_eq!(error.code(), "other_network");
    assert!(
        error.to_string().contains("dev") && error.to_string().contains("lan"),
        "{error}"
    );
    assert_eq!(error.hint().split(',').next(), Some("start with --network dev"));
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_newer_chain_file_is_refused_and_not_changed() {
    let params = NetworkParams::dev();
    let (folder, path, store) = fresh(&params);
    testing::set_format(&store, 5);
    drop(store);
    let before = snapshot(folder.path());
    let error = RedbStore::open(&path, &params).unwrap_err();
    assert_eq!(
        error,
        OpenError::NewerFormat {
            path,
            found: 5,
            known: 4
        }
    );
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn an_older_chain_file_is_refused_not_changed_and_told_how_to_keep_the_key() {
    let params = NetworkParams::dev();
    let (folder, path, store) = fresh(&params);
    testing::set_format(&store, 1);
    drop(store);
    let before = snapshot(folder.path());
    let error = RedbStore::open(&path, &params).unwrap_err();
    assert_eq!(error.code(), "older_format");
    assert!(error.hint().contains("lanchain key import"), "{}", error.hint());
    assert_eq!(snapshot(folder.path()), before);
}

#[test]
fn a_file_cut_off_anywhere_is_refused_and_not_changed() {
    let params = NetworkParams::dev();
    let (folder, path, store) = fresh(&params);
    for block in chain(&params, 30) {
        store.commit(&[connect(&block)]).unwrap();
    }
    drop(store);
    let whole = fs::read(&path).unwrap();
    let mut cuts: Vec<_> = (0..whole.len()).step_by(4096).collect();
    cuts.extend([1, 9, 4095, whole.len() - 1]);
    for cut in cuts {
        fs::write(&path, &whole[..cut]).unwrap();
        let before = snapshot(folder.path());
        let error = RedbStore::open(&path, &params).expect_err(&format!("cut at {cut}"));
        assert_eq!(error.code(), "damaged", "cut at {cut}: {error}");
        assert!(error.to_string().contains("chain.redb"));
        assert_eq!(snapshot(folder.path()), before, "cut at {cut}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(
        RedbStore::open(&path, &params).unwrap().tip().unwrap().0,
        Height::new(30)
    );
}
