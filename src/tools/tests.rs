//! Tools on stores in memory; whole folders and processes are tested in `tests/node/tools.rs`.

use std::path::PathBuf;

use crate::chain::memory_store::MemoryStore;
use crate::chain::{
    AccountState, AccountTag, Batch, Block, BodyRules, Chain, ChainStore, Header, HistoryKey, NetworkParams,
    Transaction,
};
use crate::testing::blocks::mine_for;
use crate::testing::samples::{hash, id};
use crate::types::hash::HashMany;
use crate::types::{Account, Amount, Height, SecretKey, WallTime, Work};

use super::lines::Lines;
use super::{Finding, about, export, import, json_reply, key, repair, verify, verify_file};
use crate::store::RedbStore;

const SECRET: [u8; 32] = [7; 32];

fn rules() -> BodyRules {
    BodyRules::new(&NetworkParams::dev(), SECRET, HashMany::default())
}

/// The lines of all tasks for programs, with every value that may be null once null and once not.
pub(crate) fn lines() -> Vec<String> {
    let (height, tip, file) = (Height::new(3), hash(1), PathBuf::from("/a"));
    let folder = |pid| about::FolderView {
        path: "/a".into(),
        running: true,
        pid,
    };
    let paths = |path: Option<&str>| about::Paths {
        data_dir: path.map(PathBuf::from),
        network: "lan".into(),
        network_id: NetworkParams::dev().network_id().to_string(),
        network_dir: path.map(PathBuf::from),
        folders: vec![folder(None), folder(Some(7))],
    };
    let repaired = |cut_from| repair::Repaired {
        blocks: 1,
        transactions: 1,
        accounts: 1,
        side_blocks: 0,
        height,
        tip,
        own: 0,
        cut_from,
        reason: cut_from.map(|_| "r".into()),
    };
    let shown = key::KeyView {
        peer_id: id(),
        public_key: SecretKey::from_seed([1; 32]).public().to_string(),
        file: file.clone(),
        what: "key of",
    };
    let verified = verify::Verified {
        blocks: 1,
        transactions: 1,
        accounts: 1,
        side_blocks: 1,
        height,
        tip,
    };
    let imported = import::Imported {
        lines: 1,
        added: 1,
        known: 0,
        height,
        tip,
    };
    let exported = export::Exported {
        blocks: 1,
        height,
        tip,
        file,
    };
    vec![
        json_reply(0, Some("export"), &Ok(exported)),
        json_reply(0, Some("import"), &Ok(imported)),
        json_reply(0, Some("verify"), &Ok(verified)),
        json_reply(0, Some("verify"), &Ok(repaired(None))),
        json_reply(0, Some("verify"), &Ok(repaired(Some(height)))),
        json_reply(0, Some("key"), &Ok(shown)),
        json_reply(0, Some("paths"), &Ok(paths(None))),
        json_reply(0, Some("paths"), &Ok(paths(Some("/a")))),
    ]
}

/// A block on a parent that pays the reward to the key.
fn mine(params: &NetworkParams, parent: &Header, key: &SecretKey, later_ms: u64, content: &[Transaction]) -> Block {
    mine_for(params, parent, later_ms, Account::Key(key.public()), content.to_vec())
}

/// Three active blocks, a payment and a claim in the second, and one block aside.
fn store() -> (MemoryStore, NetworkParams) {
    let params = NetworkParams::dev();
    let store = MemoryStore::new(&params);
    let mut chain = Chain::open(params.clone(), store.clone(), SECRET).unwrap();
    let key = SecretKey::from_seed([1; 32]);
    let name = |text: &str| crate::types::AccountName::new(text).unwrap();
    let network = params.network_id();
    let parties = (Account::Name(name("alice")), Account::Name(name("bob")), None);
    let payment = Transaction::transfer(&network, &key, parties, Amount::new(5).unwrap(), 0).unwrap();
    let content = [payment, Transaction::claim(&network, &key, name("carol"))];
    let clock = WallTime::from_ms(9_000_000_000_000);
    let first = mine(&params, &params.genesis(), &key, 1_000, &[]);
    let second = mine(&params, &first.header, &key, 1_000, &content);
    let third = mine(&params, &second.header, &key, 1_000, &[]);
    let aside = mine(&params, &params.genesis(), &key, 2_000, &[]);
    for block in [first, second, third, aside] {
        chain.accept(block, clock).unwrap();
    }
    while let Some(batch) = chain.take_batch() {
        store.commit(&batch);
        chain.committed(batch.id);
    }
    (store, params)
}

/// The findings of `verify` after a change.
fn damage(change: impl FnOnce(&MemoryStore, &mut Batch)) -> String {
    let (store, params) = store();
    let mut batch = Batch::default();
    change(&store, &mut batch);
    store.commit(&batch);
    verify::verify(&store, &params, rules()).unwrap_err().join("\n")
}

fn active(store: &MemoryStore, height: u64) -> crate::types::BlockHash {
    store.active(Height::new(height)).unwrap().unwrap()
}

#[test]
fn a_whole_chain_is_found_whole() {
    let (store, params) = store();
    let verified = verify::verify(&store, &params, rules()).unwrap();
    let value = serde_json::to_value(&verified).unwrap();
    assert_eq!((&value["blocks"], &value["side_blocks"]), (&4.into(), &1.into()));
    assert_eq!(value["transactions"], 5);
}

#[test]
fn a_changed_ledger_is_named_with_the_account() {
    let change = |store: &MemoryStore, batch: &mut Batch| {
        let (_, accounts) = store.accounts(10).unwrap();
        let (account, state) = accounts
            .into_iter()
            .find(|(account, _)| account.to_string() == "bob")
            .unwrap();
        let state = AccountState { balance: 500, ..state };
        batch.accounts.insert(account, Some(state));
    };
    let found = damage(change);
    assert!(
        found.contains("account bob") && found.contains("500") && found.contains(" 5,"),
        "{found}"
    );
}

#[test]
fn an_entry_that_no_block_made_and_one_that_is_missing_are_found() {
    let found = damage(|_, batch| {
        let name = Account::Name(crate::types::AccountName::new("mallory").unwrap());
        batch.accounts.insert(name, Some(AccountState::default()));
        let alice = Account::Name(crate::types::AccountName::new("alice").unwrap());
        batch.accounts.insert(alice, None);
    });
    assert!(found.contains("mallory stands in the ledger"), "{found}");
    assert!(found.contains("alice is missing"), "{found}");
}

#[test]
fn an_index_of_histories_that_is_not_that_of_the_blocks_is_found() {
    let first = |store: &MemoryStore| store.history_above(None, 1).unwrap().remove(0);
    let found = damage(|store, batch| {
        let (key, mut indices) = first(store);
        indices.push(9);
        batch.history.insert(key, indices);
    });
    assert!(
        found.contains("some of its entries are not what the blocks make"),
        "{found}"
    );
    let found = damage(|store, batch| {
        let (key, indices) = first(store);
        let tag = AccountTag::new([7; 8]);
        batch.history.insert(HistoryKey { tag, ..key }, indices);
    });
    assert!(found.contains("entries of active blocks"), "{found}");
}

#[test]
fn a_body_with_another_transaction_is_found() {
    let found = damage(|store, batch| {
        let hash = active(store, 2);
        let mut block = Block::from_bytes(&store.body(&hash).unwrap().unwrap()).unwrap();
        block.transactions.pop();
        let stored = store.block(&hash).unwrap().unwrap();
        batch.blocks.insert(hash, Some((stored, block.to_bytes())));
    });
    assert!(
        found.contains("at height 2") && found.contains("merkle root"),
        "{found}"
    );
}

#[test]
fn wrong_work_is_found() {
    let found = damage(|store, batch| {
        let hash = active(store, 3);
        let stored = store.block(&hash).unwrap().unwrap();
        let body = store.body(&hash).unwrap().unwrap();
        batch.blocks.insert(
            hash,
            Some((
                crate::chain::StoredBlock {
                    work: Work::ZERO,
                    ..stored
                },
                body,
            )),
        );
    });
    assert!(found.contains("its work is stored as"), "{found}");
}

#[test]
fn a_missing_block_ends_the_replay_and_is_named() {
    let found = damage(|store, batch| {
        batch.blocks.insert(active(store, 2), None);
    });
    assert!(found.contains("at height 2") && found.contains("missing"), "{found}");
}

#[test]
fn an_exported_line_has_the_blocks_own_bytes() {
    let (store, _) = store();
    let line = export::line(&store, Height::new(2), 1).unwrap();
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    let raws = value["transactions"].as_array().unwrap();
    let raw: String = raws.iter().map(|tx| tx["raw"].as_str().unwrap()).collect();
    let bytes = format!("{}{:08x}{raw}", value["header"].as_str().unwrap(), raws.len());
    assert_eq!(bytes, hex::encode(store.body(&active(&store, 2)).unwrap().unwrap()));
    assert_eq!(value["active"], true);
}

/// The export of the chain of [`store`], as lines.
fn exported() -> Vec<String> {
    let (store, params) = store();
    let line = |height| export::line(&store, Height::new(height), params.reward).unwrap();
    (0..4).map(line).collect()
}

/// What `verify FILE` says of these lines: the code and the message of a refusal, none if they are whole.
fn refusal(lines: &[String]) -> Option<(&'static str, String)> {
    let text = std::io::Cursor::new(lines.join("\n").into_bytes());
    let mut lines = Lines::of("-".as_ref(), Box::new(text), &NetworkParams::dev(), rules());
    let verified = verify_file::verify(&mut lines, &NetworkParams::dev());
    verified
        .err()
        .map(|failure| (failure.error.code, failure.error.message))
}

/// The lines with a value of one line replaced.
fn edited(line: usize, place: &str, value: serde_json::Value) -> Vec<String> {
    let mut lines = exported();
    let mut json: serde_json::Value = serde_json::from_str(&lines[line]).unwrap();
    *json.pointer_mut(place).unwrap() = value;
    lines[line] = json.to_string();
    lines
}

#[test]
fn an_exported_file_is_verified_without_a_folder() {
    let text = std::io::Cursor::new(format!("\u{feff}{}\n\n", exported().join("\n\n")).into_bytes());
    let mut lines = Lines::of("-".as_ref(), Box::new(text), &NetworkParams::dev(), rules());
    let verified = verify_file::verify(&mut lines, &NetworkParams::dev()).unwrap();
    let (store, params) = store();
    let of_the_folder = verify::verify(&store, &params, rules()).unwrap();
    let value = |verified| serde_json::to_value::<verify::Verified>(verified).unwrap();
    let (mut here, mut there) = (value(verified), value(of_the_folder));
    assert_eq!(
        (here["side_blocks"].take(), there["side_blocks"].take()),
        (0.into(), 1.into())
    );
    assert_eq!(here, there);
}

#[test]
fn a_field_of_an_exported_file_that_its_bytes_do_not_say_is_refused_with_line_and_block() {
    let refused = |line, place, value| refusal(&edited(line, place, value)).unwrap_or_default();
    let (code, message) = refused(2, "/transactions/1/amount", 6.into());
    assert_eq!(code, "field_differs");
    assert_eq!(message, "line 3, block 2: amount is 6, its bytes say 5 (transaction 1)");
    for (line, place, value) in [
        (0, "/time_ms", 1.into()),
        (0, "/work", "1".repeat(64).into()),
        (3, "/work", "0".repeat(64).into()),
        (2, "/transactions/2/from", "dave".into()),
        (2, "/transactions/0/amount", 2.into()),
        (1, "/height", "1".into()),
        (1, "/hash", serde_json::Value::Null),
    ] {
        let (code, message) = refused(line, place, value);
        assert_eq!(code, "field_differs", "{place}: {message}");
        assert!(
            message.starts_with(&format!("line {}, block {line}: ", line + 1)),
            "{message}"
        );
    }
    assert_eq!(
        refusal(&edited(2, "/active", false.into())),
        None,
        "where the block was is not in its bytes"
    );
}

#[test]
fn an_exported_file_is_checked_by_every_rule() {
    let lines = exported();
    let code = |lines: &[String]| refusal(lines).map(|(code, _)| code);
    assert_eq!(code(&lines), None);
    assert_eq!(code(&[]), Some("bad_argument"), "no block at all");
    assert_eq!(code(&lines[1..]), Some("unknown_parent"));
    let gap = [&lines[..2], &lines[3..]].concat();
    assert_eq!(code(&gap), Some("unknown_parent"));
    // Only the bytes are left, and these are edited.
    let bytes = |line: usize, change: &dyn Fn(&mut serde_json::Value)| {
        let json: serde_json::Value = serde_json::from_str(&lines[line]).unwrap();
        let raws = json["transactions"].as_array().unwrap().iter();
        let raws: Vec<_> = raws.map(|tx| serde_json::json!({ "raw": tx["raw"] })).collect();
        let mut bare = serde_json::json!({ "header": json["header"], "transactions": raws });
        change(&mut bare);
        let mut lines = lines.clone();
        lines[line] = bare.to_string();
        lines
    };
    assert_eq!(code(&bytes(2, &|_| {})), None, "the bytes alone are a block");
    let nonce = bytes(2, &|block| {
        let header = block["header"].as_str().unwrap();
        block["header"] = format!(
            "{}{}",
            &header[..188],
            if header.ends_with("0000") { "1111" } else { "0000" }
        )
        .into();
    });
    assert_eq!(code(&nonce), Some("bad_proof_of_work"));
    let fewer = bytes(2, &|block| drop(block["transactions"].as_array_mut().unwrap().pop()));
    assert_eq!(code(&fewer), Some("bad_merkle_root"));
    let filled = bytes(0, &|block| {
        block["transactions"] = serde_json::json!([{ "raw": first_raw(&lines[1]) }])
    });
    assert_eq!(code(&filled), Some("bad_merkle_root"));
}

/// The bytes of the first transaction in a line.
fn first_raw(line: &str) -> String {
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    json["transactions"][0]["raw"].as_str().unwrap().to_owned()
}

#[test]
fn a_damaged_chain_is_made_anew_up_to_the_first_rotten_block() {
    let params = NetworkParams::dev();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("chain.redb");
    let key = SecretKey::from_seed([1; 32]);
    let store = RedbStore::open(&path, &params).unwrap();
    let mut chain = Chain::open(params.clone(), store.clone(), SECRET).unwrap();
    let mut blocks: Vec<Block> = Vec::new();
    for number in 0..40_u64 {
        let parent = blocks
            .last()
            .map_or_else(|| params.genesis(), |block| block.header.clone());
        // A body of several pages: no other block lies on them.
        let claims = (0..60).map(|claim| {
            let name = crate::types::AccountName::new(&format!("n{number}-{claim}")).unwrap();
            Transaction::claim(&params.network_id(), &key, name)
        });
        let block = mine(&params, &parent, &key, 1_000, &claims.collect::<Vec<_>>());
        chain
            .accept(block.clone(), WallTime::from_ms(9_000_000_000_000))
            .unwrap();
        let batch = chain.take_batch().unwrap();
        store.commit(std::slice::from_ref(&batch)).unwrap();
        chain.committed(batch.id);
        blocks.push(block);
    }
    drop((chain, store));
    let mut bytes = std::fs::read(&path).unwrap();
    let body = &blocks[24].to_bytes()[..100];
    let at = bytes.windows(100).position(|window| window == body).unwrap();
    bytes[at + 150] ^= 4;
    std::fs::write(&path, bytes).unwrap();

    let repair_folder = folder.path().join("repair");
    std::fs::create_dir(&repair_folder).unwrap();
    let repaired = repair::rebuild(&params, key.public(), &path, &repair_folder).unwrap();
    let value = serde_json::to_value(&repaired).unwrap();
    assert_eq!(
        (&value["height"], &value["cut_from"]),
        (&24.into(), &25.into()),
        "{value}"
    );
    assert_eq!(value["transactions"], 24 * 61);
    crate::store::redb_store::replace(&path, &repair_folder.join("chain.redb")).unwrap();
    let store = RedbStore::open(&path, &params).unwrap();
    assert_eq!(
        verify::verify(&store, &params, rules())
            .unwrap()
            .words()
            .lines()
            .count(),
        2
    );
    assert_eq!(store.tip().unwrap().1, blocks[23].hash());
    // What was cut off comes back as any block does.
    let mut chain = Chain::open(params.clone(), store, SECRET).unwrap();
    for block in &blocks[24..] {
        chain
            .accept(block.clone(), WallTime::from_ms(9_000_000_000_000))
            .unwrap();
    }
    assert_eq!(chain.tip().hash, blocks[39].hash());
}
