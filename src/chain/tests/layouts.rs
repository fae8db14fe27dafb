//! Vectors of accounts, of the pool's digest and of locators; bytes that are no account.

use serde_json::{Value, json};

use super::vectors::hold;
use crate::chain::NetworkParams;
use crate::pool::{Mempool, Origin};
use crate::testing::blocks::{advance, branch, claim, dev, key, name, pay, wallet};
use crate::types::Account;
use crate::types::layout::Reader;

fn read(bytes: &[u8]) -> Option<Account> {
    let mut reader = Reader::new(bytes);
    let account = Account::read(&mut reader).ok()?;
    reader.finish().ok().map(|()| account)
}

#[test]
fn account_vectors_hold() {
    let longest = "a234567890_234567890-23456789012";
    let accounts = [name("a"), name("alice"), name(longest), wallet(1), wallet(2)];
    let list: Vec<Value> = accounts
        .iter()
        .map(|account| {
            let mut bytes = Vec::new();
            account.write(&mut bytes);
            assert_eq!(read(&bytes).as_ref(), Some(account));
            json!({"account": account, "bytes": hex::encode(&bytes)})
        })
        .collect();
    let named = |text: &[u8]| [&[1, u8::try_from(text.len()).unwrap()], text].concat();
    let keyed = |first: u8, last: u8| [&[2, first][..], &[0; 30], &[last]].concat();
    let refused = [
        ("no byte", vec![]),
        ("an unknown tag", vec![0]),
        ("an empty name", named(b"")),
        ("a name of 33 bytes", named(&[b'a'; 33])),
        ("a capital letter", named(b"Alice")),
        ("a digit first", named(b"1a")),
        ("a reserved word", named(b"me")),
        ("another reserved word", named(b"coinbase")),
        ("no ASCII", named("é".as_bytes())),
        ("a name that ends early", vec![1, 5, b'a']),
        ("a byte behind the name", [named(b"alice"), vec![0]].concat()),
        ("a key that ends early", vec![2; 32]),
        ("no point of the curve", keyed(2, 0)),
        ("the neutral point", keyed(1, 0)),
        ("a point of order two", [&[2, 0xec][..], &[0xff; 30], &[0x7f]].concat()),
        ("a point of order four", keyed(0, 0)),
        (
            "the neutral point, not canonical",
            [&[2, 0xee][..], &[0xff; 30], &[0x7f]].concat(),
        ),
        ("the neutral point with a sign", keyed(1, 0x80)),
    ];
    let refused: Vec<Value> = refused
        .into_iter()
        .map(|(what, bytes)| {
            assert_eq!(read(&bytes), None, "{what}");
            json!({"what": what, "bytes": hex::encode(bytes)})
        })
        .collect();
    hold("accounts.json", &json!({"accounts": list, "refused": refused}));
}

#[test]
fn pool_digest_vectors_hold() {
    let params = NetworkParams::dev();
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let waiting = [
        claim(&params, 1, "alice"),
        pay(&params, 1, ("alice", "bob"), None, 3, 1),
        pay(&params, 2, ("carol", "alice"), Some(key(1).public()), 4, 0),
    ];
    let mut list = vec![json!({"txids": [], "pool_count": 0, "pool_digest": "0"})];
    for transaction in waiting {
        pool.add(&chain, transaction, Origin::Own).unwrap();
        let ids: Vec<_> = pool.all().map(|waiting| waiting.txid()).collect();
        list.push(json!({"txids": ids, "pool_count": pool.len(), "pool_digest": pool.digest().to_string()}));
    }
    hold("pool_digest.json", &json!(list));
}

/// Which heights this node's locator names. Others may name other ones.
#[test]
fn locator_vectors_hold() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut list = Vec::new();
    for count in [0, 1, 7, 2, 15, 25] {
        let tip = chain.tip().header.clone();
        for block in branch(&params, &tip, 1, count) {
            advance(&mut chain, &block);
        }
        let locator = chain.locator().unwrap();
        let heights = locator
            .iter()
            .map(|hash| chain.block(hash).unwrap().unwrap().header.height);
        list.push(json!({"tip": chain.tip().header.height, "heights": heights.collect::<Vec<_>>()}));
    }
    hold("locator.json", &json!(list));
}
