//! Vectors of the records in the chain file: key and value of each table.

use serde_json::{Value, json};

use super::*;
use crate::chain::tests::vectors::hold;
use crate::chain::{AccountTag, HistoryKey};
use crate::store::records;
use crate::types::Address;

/// A record of a table: what it means, key and value.
fn record(table: &str, meaning: Value, key: &[u8], value: &[u8]) -> Value {
    json!({"table": table, "meaning": meaning, "key": hex::encode(key), "value": hex::encode(value)})
}

fn entry(balance: i64, next_sequence: u64, owner: Option<u8>) -> AccountState {
    let owner = owner.map(|seed| secret(seed).public());
    AccountState {
        balance,
        next_sequence,
        owner,
    }
}

fn meaning(account: &Account, state: &AccountState) -> Value {
    json!({"account": account, "balance": state.balance, "next_sequence": state.next_sequence, "owner": state.owner})
}

fn ledger_records() -> Vec<Value> {
    let accounts = [
        (name("alice"), entry(-5, 3, Some(1))),
        (name("bob"), entry(7, 0, None)),
        (Account::Key(secret(2).public()), entry(1 << 40, 2, None)),
    ];
    let mut list = Vec::new();
    for (account, state) in &accounts {
        let (key, value) = (records::account_key(account), records::state_value(state));
        assert_eq!(
            (&records::account(&key).unwrap(), &records::state(&value).unwrap()),
            (account, state)
        );
        list.push(record("accounts", meaning(account, state), &key, &value));
    }
    let value = records::beside_value(Some(&accounts[0].1));
    assert_eq!(
        records::beside_bytes(&value).unwrap(),
        Some(&records::state_value(&accounts[0].1)[..])
    );
    let key = records::account_key(&accounts[0].0);
    list.push(record("beside", meaning(&accounts[0].0, &accounts[0].1), &key, &value));
    let gone = name("carol");
    let absent = json!({"account": gone, "was": "absent"});
    list.push(record(
        "beside",
        absent,
        &records::account_key(&gone),
        &records::beside_value(None),
    ));
    list
}

/// An account, and all names of a key.
fn history_records(hash: &BlockHash) -> Vec<Value> {
    let key = secret(1).public();
    let height = Height::new(258);
    let record_of = |meaning, tag| {
        let (key, indices) = (HistoryKey::new(tag, height, hash), vec![0, 2, 4_095]);
        let (bytes, value) = (records::history_key(&key).unwrap(), records::history_value(&indices));
        assert_eq!(records::history(&bytes, &value).unwrap(), (key, indices));
        for bad in [&value[..5], &[], &[value.clone(), value.clone()].concat()] {
            assert!(records::history(&bytes, bad).is_err(), "{bad:?}");
        }
        record("histories", meaning, &bytes, &value)
    };
    let of = |what: &str, whose: &dyn std::fmt::Display| json!({what: whose.to_string(), "height": height, "block": hash, "indices": [0, 2, 4_095]});
    vec![
        record_of(of("account", &"alice"), AccountTag::of(&name("alice"))),
        record_of(of("account", &Account::Key(key)), AccountTag::of(&Account::Key(key))),
        record_of(of("names_of", &key.peer_id()), AccountTag::names_of(&key)),
    ]
}

/// Header, body and height of one block.
fn block_records() -> Vec<Value> {
    let block = child(&NetworkParams::dev().genesis(), 77);
    let (hash, (block_record, body)) = (block.hash(), stored(&block));
    let key = records::block_key(block.header.height, &hash).unwrap();
    vec![
        record(
            "chain",
            json!({"work": block_record.work, "size_bytes": block_record.size_bytes}),
            &key,
            &records::block_value(&block_record),
        ),
        record(
            "pieces",
            json!({"hash": hash, "piece": 0}),
            &records::piece_key(&key, 0),
            &body,
        ),
        record(
            "heights",
            json!({"hash": hash, "height": block.header.height}),
            &records::height_key_of(&key),
            &[],
        ),
    ]
}

#[test]
fn record_vectors_hold() {
    let params = NetworkParams::dev();
    let hash = child(&params.genesis(), 77).hash();
    let place = TxPlace {
        height: Height::new(6),
        index: 2,
    };
    let peer = secret(3).public().peer_id();
    let text = ["/ip4/192.168.1.5/tcp/4001", "/ip6/fd00::7/tcp/80"];
    let addresses: Vec<Address> = text.iter().map(|text| Address::parse(text).unwrap().0).collect();
    let value = records::addresses_value(&addresses);
    assert_eq!(records::peer(&peer.to_bytes(), &value).unwrap(), (peer, addresses));
    let height = Height::new(258);
    let parties = (name("alice"), name("bob"), None);
    let payment = Transaction::transfer(&params.network_id(), &secret(1), parties, crate::types::Amount::ONE, 0);
    let payment = payment.expect("a valid payment");
    let mut list = block_records();
    list.extend([
        record(
            "active",
            json!({"height": height, "hash": hash}),
            &records::height_key(height),
            hash.as_bytes(),
        ),
        record("side", json!({"hash": hash}), hash.as_bytes(), &[]),
        record(
            "meta",
            json!({"covered": {"height": height, "hash": hash}}),
            b"covered",
            &records::mark_value(height, &hash),
        ),
        record(
            "transactions",
            json!({"txid": txid(1), "index": place.index, "block": hash}),
            &records::place_key(&txid(1), &Spot::new(&hash, place)).unwrap(),
            &[],
        ),
        record(
            "own",
            json!({"number": 5, "transaction": hex::encode(payment.to_bytes())}),
            payment.txid().as_bytes(),
            &records::own_value(5, &payment.to_bytes()),
        ),
        record(
            "peers",
            json!({"peer": peer.to_string(), "addresses": text}),
            &peer.to_bytes(),
            &value,
        ),
    ]);
    list.extend(ledger_records());
    list.extend(history_records(&hash));
    hold("records.json", &json!(list));
}
