//! Writes and checks the vectors in `proto-notes/vectors/`: the files must be what this code makes of their inputs.
//!
//! `LANCHAIN_WRITE_VECTORS=1 cargo test vectors` writes them anew after a deliberate change of the rules.

use crate::testing::keys::{key, name};
use std::path::PathBuf;

use serde_json::{Value, json};

use super::zip215::{self, Way, key_beyond_p, without_cofactor};
use crate::chain::{Block, NetworkParams, Reward, Transaction, merkle};
use crate::testing::blocks::seal;
use crate::types::{Account, Amount, Bits, Height, PublicKey, Signature, Txid};

/// Compares a file of vectors with the output of the code, or writes the file.
pub(crate) fn hold(file: &str, made: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("proto-notes/vectors")
        .join(file);
    if std::env::var_os("LANCHAIN_WRITE_VECTORS").is_some() {
        std::fs::write(&path, format!("{made:#}\n")).expect("the vectors can be written");
    }
    let text = std::fs::read_to_string(&path).expect("the vectors are there");
    let kept: Value = serde_json::from_str(&text).expect("the vectors are JSON");
    assert_eq!(&kept, made, "{file} differs from what the code makes");
}

fn transactions(params: &NetworkParams) -> Vec<(&'static str, Transaction)> {
    let network = params.network_id();
    let amount = Amount::new(5).expect("in range");
    let alice = || Account::Name(name("alice"));
    let bob = || Account::Name(name("bob"));
    let transfer = |parties, sequence| {
        Transaction::transfer(&network, &key(1), parties, amount, sequence).expect("a valid transfer")
    };
    let own = key(1).public();
    let other = key(2).public();
    vec![
        (
            "transfer from a name to a name that nobody owns",
            transfer((alice(), bob(), None), 0),
        ),
        (
            "transfer from a name to a name that key 2 owns",
            transfer((alice(), bob(), Some(other)), 1),
        ),
        (
            "transfer from a key account to a key account",
            transfer((Account::Key(own), Account::Key(other), Some(other)), 7),
        ),
        ("claim of a name", Transaction::claim(&network, &key(2), name("bob"))),
        (
            "reward to a name",
            Transaction::Reward(Reward {
                to: alice(),
                height: Height::new(1),
            }),
        ),
        (
            "reward to a key account",
            Transaction::Reward(Reward {
                to: Account::Key(own),
                height: Height::new(2),
            }),
        ),
    ]
}

#[test]
fn network_vectors_hold() {
    let networks = [NetworkParams::lan(), NetworkParams::coin(), NetworkParams::dev()];
    let salted = NetworkParams::built_in("lan:classroom").expect("a valid network");
    let list: Vec<_> = networks
        .iter()
        .chain([&salted])
        .map(|params| {
            json!({
                "network": params.label(),
                "canonical_bytes": hex::encode(params.canonical_bytes()),
                "genesis_header": hex::encode(params.genesis().to_bytes()),
                "network_id": params.network_id().to_string(),
            })
        })
        .collect();
    hold("networks.json", &json!(list));
    network_files_hold();
}

/// The text of network files: what each is, or that it is refused.
fn network_files_hold() {
    let whole = "name = \"club\"\nsalt = \"a\"\nspacing_ms = 5000\nhalflife_ms = 60000\ncredit_limit = 10\n\
                 difficulty = \"floor\"\nrecipients = \"owned\"\ngenesis_time_ms = 1\n";
    let changed = |what: &str, instead: &str| whole.replace(what, instead);
    let texts = [
        whole.to_owned(),
        changed("salt = \"a\"\n", ""),
        changed("5000", "86400000")
            .replace("60000", "17970574")
            .replace("= 10\n", "= 1000000\n"),
        changed("5000", "99"),
        changed("60000", "17970575"),
        changed("= 10\n", "= 1000001\n"),
        changed("= 1\n", "= 9007199254740992\n"),
        changed("club", "Club"),
        changed("\"a\"", "\"9\""),
        changed("floor", "none"),
        changed("recipients", "payees"),
        format!("{whole}block_bytes_max = 65536\nnew_accounts_max = 1\nreward = 1\n"),
        format!("{whole}block_bytes_max = 1048576\nnew_accounts_max = 8192\nreward = 1000000\n"),
        format!("{whole}block_bytes_max = 65535\n"),
        format!("{whole}block_bytes_max = 1048577\n"),
        format!("{whole}new_accounts_max = 0\n"),
        format!("{whole}new_accounts_max = 8193\n"),
        format!("{whole}reward = 0\n"),
        format!("{whole}reward = 1000001\n"),
        format!("{whole}extra = 1\n"),
        "name = \"monday\"\n".to_owned(),
        whole.replace("name = \"club\"\n", ""),
    ];
    let read = |text: String| match NetworkParams::from_toml(&text) {
        Ok(params) => json!({
            "text": text,
            "canonical_bytes": hex::encode(params.canonical_bytes()),
            "network_id": params.network_id(),
        }),
        Err(_) => json!({"text": text, "network_id": null}),
    };
    let list: Vec<Value> = texts.into_iter().map(read).collect();
    assert_eq!(list.iter().filter(|entry| entry["network_id"].is_null()).count(), 16);
    hold("network_files.json", &json!(list));
}

#[test]
fn transaction_vectors_hold() {
    let params = NetworkParams::dev();
    let network = params.network_id();
    let list: Vec<_> = transactions(&params)
        .into_iter()
        .map(|(what, tx)| {
            let bytes = tx.to_bytes();
            assert_eq!(Transaction::from_bytes(&bytes), Ok(tx.clone()));
            assert_eq!(tx.check_signature(&network), Ok(()));
            json!({
                "what": what,
                "raw": hex::encode(&bytes),
                "signed_message": tx.signer().map(|_| hex::encode(tx.signed_message(&network))),
                "txid": tx.txid().to_string(),
            })
        })
        .collect();
    let keys: Vec<_> = [1_u8, 2]
        .map(|byte| {
            let public = key(byte).public();
            json!({"seed": hex::encode([byte; 32]), "public_key": public.to_string(), "peer_id": public.peer_id().to_string()})
        })
        .into();
    hold(
        "transactions.json",
        &json!({"network_id": network.to_string(), "keys": keys, "transactions": list}),
    );
}

#[test]
fn merkle_vectors_hold() {
    let leaves: Vec<Txid> = (0..7_u8).map(|byte| Txid::new([byte; 32])).collect();
    let list: Vec<_> = (0..=leaves.len())
        .map(|count| {
            let leaves = &leaves[..count];
            let proofs: Vec<_> = (0..count).map(|index| merkle::proof(leaves, index)).collect();
            for (leaf, proof) in leaves.iter().zip(&proofs) {
                let steps = proof.as_ref().expect("the leaf is there");
                assert_eq!(merkle::root_of_proof(*leaf, steps), merkle::root(leaves));
            }
            json!({"leaves": leaves, "root": merkle::root(leaves).to_string(), "proofs": proofs})
        })
        .collect();
    hold("merkle.json", &json!(list));
}

#[test]
fn difficulty_vectors_hold() {
    let steps: Vec<_> = [
        (1_920_000, 1),
        (1_920_000, 60_000),
        (2_000_000, 4_000),
        (2_000_000, 10_000),
        (28_680_000, 0),
    ]
    .map(|(bits, elapsed)| {
        let next = Bits(bits).step(120_000, 10_000, elapsed);
        json!({"parent_bits": bits, "spacing_ms": 10_000, "halflife_ms": 120_000, "elapsed_ms": elapsed, "bits": next})
    })
    .into();
    let targets: Vec<_> =
        [(120_000, 1_920_000), (120_000, 1_920_001), (120_000, 1_930_000), (120_000, 2_040_000), (120_000, 3_600_001), (120_000, 28_680_000), (1_000, 16_333)]
            .map(|(halflife, bits)| {
                let target = Bits(bits).target(halflife).expect("in range");
                let work = Bits(bits).work(halflife).expect("in range");
                json!({"halflife_ms": halflife, "bits": bits, "limit": hex::encode(target.as_bytes()), "work": work.to_string()})
            })
            .into();
    hold("difficulty.json", &json!({"steps": steps, "targets": targets}));
}

#[test]
fn block_vectors_hold() {
    let params = NetworkParams::dev();
    let genesis = params.genesis();
    let mut transactions: Vec<_> = transactions(&params).into_iter().map(|(_, tx)| tx).collect();
    transactions.swap(0, 4);
    transactions.truncate(2);
    let block = seal(&params, &genesis, 5_000, transactions);
    assert_eq!(block.header.check_after(&genesis, &params), Ok(()));
    assert_eq!(block.check(&params, &[7; 32]), Ok(()));
    assert_eq!(Block::from_bytes(&block.to_bytes()), Ok(block.clone()));
    let made = json!({
        "network_id": params.network_id().to_string(),
        "header": hex::encode(block.header.to_bytes()),
        "hash": block.hash().to_string(),
        "nonce": block.header.nonce.to_string(),
        "block": hex::encode(block.to_bytes()),
    });
    hold("block.json", &made);
}

/// Points that strict verifiers and ZIP-215 judge differently, and keys that are refused.
#[test]
fn signature_vectors_hold() {
    let message = b"lanchain";
    let good = key(1).sign(message);
    let mut high_s = good;
    high_s.0[63] |= 0xf0;
    let identity = {
        let mut point = [0_u8; 32];
        point[0] = 1;
        point
    };
    let cases = [
        ("a good signature", key(1).public(), good, true),
        ("s is not below the order", key(1).public(), high_s, false),
        ("another key", key(2).public(), good, false),
    ];
    let unusual = [
        ("a good signature made by hand", Way::Plain, true),
        ("R has a part of order 8", Way::TorsionInR, true),
        ("R is a point of order 8", Way::SmallR, true),
        ("R is the neutral point, its y written as p + 1", Way::BeyondPInR, true),
        ("the key has a part of order 8", Way::TorsionInKey, true),
        ("s is one order too large, else right", Way::LargeS, false),
    ]
    .map(|(what, way, valid)| (what, way.key(), way.sign(message), valid));
    let list: Vec<_> = cases
        .into_iter()
        .chain(unusual)
        .map(|(what, key, signature, valid)| {
            assert_eq!(key.verify(message, &signature), valid, "{what}");
            let batch = crate::types::key::verify_batch(&[3; 32], &[(key, message.to_vec(), signature)]);
            assert_eq!(batch, valid, "{what}, in a batch");
            json!({"what": what, "public_key": key, "message": hex::encode(message), "signature": signature, "valid": valid,
                   "valid_without_cofactor": without_cofactor(&key, message, &signature)})
        })
        .collect();
    assert!(PublicKey::from_bytes(identity).is_err());
    assert!(PublicKey::from_bytes([0; 32]).is_err());
    assert!(!key(1).public().verify(message, &Signature([0; 64])));
    assert!(PublicKey::from_bytes(zip215::bytes(zip215::NEUTRAL_BEYOND_P)).is_err());
    let refused = [
        hex::encode(identity),
        hex::encode([0; 32]),
        zip215::NEUTRAL_BEYOND_P.to_owned(),
    ];
    let beyond = key_beyond_p();
    assert_eq!(
        list.iter()
            .filter(|case| case["valid"] != case["valid_without_cofactor"])
            .count(),
        4
    );
    let made = json!({"signatures": list, "refused_keys": refused, "keys_beyond_p": [beyond]});
    hold("signatures.json", &made);
}
