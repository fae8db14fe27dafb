//! Chains with one block that is refused for its form: header, root, reward, signature, bytes.

use serde_json::Value;

use super::script::{Script, misfit, raw_block, reward};
use crate::chain::transaction::Transfer;
use crate::chain::{Block, Header, NetworkParams, Transaction};
use crate::testing::blocks::{claim, key, mine, name, pay, prove, seal, wallet, with_root};
use crate::types::{Account, Amount, Bits, Height, MerkleRoot, Signature, WallTime};

/// Chain files by name.
pub(super) fn chains() -> Vec<(String, Value)> {
    let mut all = [headers(), rewards(), bodies(), misfits(), changed_payments(), bytes()].concat();
    all.push(ahead_of_the_clock());
    all
}

/// A chain of one block, bytes that are refused, and a good block in their place.
fn refused(
    file: &str,
    what: &'static str,
    bad: impl Fn(&NetworkParams, &Header) -> (Vec<u8>, usize),
    code: &str,
) -> (String, Value) {
    let params = NetworkParams::dev();
    let mut script = Script::new(what, params.clone());
    let first = mine(&params, &script.tip(), 1, vec![claim(&params, 1, "alice")]);
    script.step(&first, "connected");
    let (bytes, zeros) = bad(&params, &first.header);
    script.raw(&bytes, zeros, code);
    let good = mine(&params, &first.header, 2, vec![]);
    script.step(&good, "connected");
    (format!("refused-{file}"), script.file())
}

/// A good block with one change; its proof of work is made again.
fn changed(params: &NetworkParams, parent: &Header, change: impl Fn(&mut Block)) -> (Vec<u8>, usize) {
    let mut block = mine(params, parent, 1, vec![pay(params, 1, ("alice", "bob"), None, 1, 1)]);
    change(&mut block);
    block.header = prove_all(params, block.header);
    (block.to_bytes(), 0)
}

/// As `prove`, also for bits that have no target: they stay as they are.
fn prove_all(params: &NetworkParams, header: Header) -> Header {
    match header.bits.target(params.halflife_ms) {
        Some(_) => prove(params, header),
        None => header,
    }
}

fn headers() -> Vec<(String, Value)> {
    let header = |file, what, change: fn(&mut Header), code| {
        refused(
            file,
            what,
            move |params, parent| changed(params, parent, |block| change(&mut block.header)),
            code,
        )
    };
    vec![
        header("version", "a header of version 2", |h| h.version = 2, "bad_version"),
        header(
            "height",
            "a height that is not the parent's and one",
            |h| h.height = h.height.next(),
            "bad_height",
        ),
        header(
            "bits-above",
            "bits above what parent and time demand",
            |h| h.bits.0 += 1,
            "bad_target",
        ),
        header(
            "bits-below-floor",
            "bits below the floor",
            |h| h.bits = Bits(h.bits.0 - 1),
            "bad_target",
        ),
        header(
            "older-than-parent",
            "a time one millisecond below the parent's",
            |h| h.time = WallTime::from_ms(h.time.ms() - 10_001),
            "time_too_old",
        ),
        refused(
            "proof-of-work",
            "a hash that does not meet the target",
            |params, parent| {
                let mut block = mine(params, parent, 1, vec![]);
                while block.header.check_proof_of_work(params).is_ok() {
                    block.header.nonce += 1;
                }
                (block.to_bytes(), 0)
            },
            "bad_proof_of_work",
        ),
    ]
}

fn rewards() -> Vec<(String, Value)> {
    let content = |file, what, make: fn(&NetworkParams, &Header) -> Vec<Transaction>| {
        let bad = move |params: &NetworkParams, parent: &Header| {
            (seal(params, parent, 10_000, make(params, parent)).to_bytes(), 0)
        };
        refused(file, what, bad, "bad_reward")
    };
    vec![
        content("without-reward", "a block without a reward", |params, _| {
            vec![payment(params)]
        }),
        content("without-transactions", "a block without any transaction", |_, _| vec![]),
        content("second-reward", "a second reward", |_, parent| {
            vec![reward(parent, wallet(1)), reward(parent, wallet(2))]
        }),
        content("late-reward", "a reward that is not first", |params, parent| {
            vec![payment(params), reward(parent, wallet(1))]
        }),
        content("reward-of-another-height", "a reward of another height", |_, parent| {
            let mut above = parent.clone();
            above.height = above.height.next();
            vec![reward(&above, wallet(1))]
        }),
    ]
}

/// A good payment on top of the first block.
fn payment(params: &NetworkParams) -> Transaction {
    pay(params, 1, ("alice", "bob"), None, 1, 1)
}

fn bodies() -> Vec<(String, Value)> {
    let wrong_root = |params: &NetworkParams, parent: &Header| {
        let block = mine(params, parent, 1, vec![]);
        changed(params, parent, |bad| *bad = with_root(&block, MerkleRoot::new([5; 32])))
    };
    let other_reward = |params: &NetworkParams, parent: &Header| {
        let mut block = mine(params, parent, 1, vec![]);
        block.transactions[0] = reward(parent, wallet(9));
        (block.to_bytes(), 0)
    };
    let spoilt = |params: &NetworkParams, parent: &Header| {
        let mut bad = payment(params);
        if let Transaction::Transfer(transfer) = &mut bad {
            transfer.signature.0[3] ^= 1;
        }
        (mine(params, parent, 1, vec![bad]).to_bytes(), 0)
    };
    let foreign = |params: &NetworkParams, parent: &Header| {
        let bad = payment(&NetworkParams::lan());
        (mine(params, parent, 1, vec![bad]).to_bytes(), 0)
    };
    let root = "bad_merkle_root";
    let signature = "bad_signature";
    vec![
        refused(
            "merkle-root",
            "a root that is not that of the transactions",
            wrong_root,
            root,
        ),
        refused(
            "other-reward",
            "another reward than the one that the root covers",
            other_reward,
            root,
        ),
        refused("signature", "a payment whose signature is not valid", spoilt, signature),
        refused(
            "signature-of-another-network",
            "a payment that was signed for another network",
            foreign,
            signature,
        ),
    ]
}

/// A transfer of alice's; the parts that are wrong are given.
fn transfer(from: Account, to: Account, to_owner: Option<u8>) -> Transfer {
    Transfer {
        from,
        to,
        to_owner: to_owner.map(|seed| key(seed).public()),
        amount: Amount::ONE,
        sequence: 1,
        public_key: key(1).public(),
        signature: Signature([0; 64]),
    }
}

fn misfits() -> Vec<(String, Value)> {
    let form = |file, what, make: fn() -> Transfer, code| {
        let bad = move |params: &NetworkParams, parent: &Header| {
            let bad = misfit(params, &key(1), make());
            (mine(params, parent, 1, vec![bad]).to_bytes(), 0)
        };
        refused(file, what, bad, code)
    };
    let to_itself = || transfer(name("alice"), name("alice"), Some(1));
    let of_another = || transfer(wallet(2), name("bob"), None);
    let third_owner = || transfer(name("alice"), wallet(2), Some(3));
    vec![
        form(
            "self-transfer",
            "a payment to its own sender",
            to_itself,
            "self_transfer",
        ),
        form(
            "wrong-key",
            "a payment from the account of another key",
            of_another,
            "wrong_key",
        ),
        form(
            "wrong-recipient-owner",
            "a payment to a key that names another owner",
            third_owner,
            "wrong_recipient_owner",
        ),
    ]
}

/// A block with a payment in which some bytes are changed; signature, root and proof of work are made again.
fn changed_payment(file: &str, what: &'static str, change: fn(&mut Vec<u8>), code: &str) -> (String, Value) {
    let bad = |params: &NetworkParams, parent: &Header| {
        let good = payment(params).to_bytes();
        let mut unsigned = good[..good.len() - 64].to_vec();
        change(&mut unsigned);
        let network = params.network_id();
        let message = [b"lanchain transaction 1\n", &network.as_bytes()[..], &unsigned].concat();
        let signed = [unsigned, key(1).sign(&message).0.to_vec()].concat();
        let content = [reward(parent, wallet(1)).to_bytes(), signed];
        (raw_block(params, parent, &content), 0)
    };
    refused(file, what, bad, code)
}

/// The payment's bytes: 1, account alice (7), account bob (5), owner (32), amount (8), sequence (8), key (32).
fn changed_payments() -> Vec<(String, Value)> {
    let nothing = |tx: &mut Vec<u8>| tx[45..53].fill(0);
    let too_much = |tx: &mut Vec<u8>| tx[45..53].copy_from_slice(&(1_u64 << 53).to_be_bytes());
    let small_order = |tx: &mut Vec<u8>| {
        tx[61..].fill(0);
        tx[61] = 1;
    };
    let long_name = |tx: &mut Vec<u8>| {
        tx[2] = 33;
        tx.splice(3..8, vec![b'a'; 33]);
    };
    vec![
        changed_payment("amount-of-nothing", "a payment of nothing", nothing, "bad_field"),
        changed_payment("amount-above-all", "a payment of 2^53 coins", too_much, "bad_field"),
        changed_payment(
            "name-in-capitals",
            "a name with a capital letter",
            |tx| tx[3] = b'A',
            "bad_field",
        ),
        changed_payment(
            "key-of-small-order",
            "a key that verifies any message",
            small_order,
            "bad_field",
        ),
        changed_payment(
            "unknown-kind",
            "a transaction of an unknown kind",
            |tx| tx[0] = 4,
            "unknown_tag",
        ),
        changed_payment(
            "unknown-account",
            "an account of an unknown kind",
            |tx| tx[1] = 3,
            "unknown_tag",
        ),
        changed_payment("long-name", "a name of 33 bytes", long_name, "too_long"),
    ]
}

fn bytes() -> Vec<(String, Value)> {
    let good = |params: &NetworkParams, parent: &Header| mine(params, parent, 1, vec![]).to_bytes();
    vec![
        refused(
            "bytes-behind",
            "a byte behind the last transaction",
            move |params, parent| ([good(params, parent), vec![0]].concat(), 0),
            "trailing_bytes",
        ),
        refused(
            "bytes-missing",
            "a block that ends one byte early",
            move |params, parent| {
                let whole = good(params, parent);
                (whole[..whole.len() - 1].to_vec(), 0)
            },
            "truncated",
        ),
        refused(
            "too-many-transactions",
            "a count of 4,097 transactions",
            move |params, parent| {
                let mut bytes = good(params, parent);
                bytes[96..100].copy_from_slice(&4_097_u32.to_be_bytes());
                (bytes, 0)
            },
            "too_many_transactions",
        ),
        refused(
            "over-a-mebibyte",
            "a block of more than 1,048,576 bytes",
            move |params, parent| {
                let bytes = good(params, parent);
                let zeros = 1_048_577 - bytes.len();
                (bytes, zeros)
            },
            "too_long",
        ),
    ]
}

fn ahead_of_the_clock() -> (String, Value) {
    let params = NetworkParams::dev();
    let mut script = Script::new(
        "a block 120,001 ms ahead of the clock is not accepted yet, one of 120,000 ms is",
        params.clone(),
    );
    let genesis = script.tip();
    script.set_clock(genesis.time);
    let at = |later| crate::testing::blocks::mine_after(&params, &genesis, later, 1, vec![]);
    script
        .step(&at(120_001), "time_too_new")
        .step(&at(120_000), "connected");
    assert_eq!(script.tip().height, Height::new(1));
    ("refused-ahead-of-the-clock".into(), script.file())
}
