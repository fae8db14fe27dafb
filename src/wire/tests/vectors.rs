//! Vectors of the envelopes between peers: each kind of request, answer and gossip, and bytes that are none.

use serde_json::{Value, json};

use crate::chain::NetworkParams;
use crate::chain::tests::vectors::hold;
use crate::types::SecretKey;
use crate::types::{Account, AccountName, Amount};
use crate::wire::message::{decode_transactions, encode_transactions};
use crate::wire::{Request, Response, Status, ToldPeer, WireError};

fn status() -> Status {
    let mut work = [0; 32];
    work[29..].copy_from_slice(&[7, 0, 0]);
    Status {
        tip: [0xab; 32],
        height: 7,
        work,
        name: "anna".into(),
        clock_ms: 1_767_225_670_000,
        instance: 0x0102_0304_0506_0708,
        pool_count: 3,
        pool_digest: 0xf0e0_d0c0_b0a0_9080,
    }
}

fn status_fields(status: &Status) -> Value {
    json!({
        "tip": hex::encode(status.tip),
        "height": status.height,
        "work": hex::encode(status.work),
        "name": status.name,
        "clock_ms": status.clock_ms,
        "instance": status.instance.to_string(),
        "pool_count": status.pool_count,
        "pool_digest": status.pool_digest.to_string(),
    })
}

fn told_peer() -> ToldPeer {
    ToldPeer {
        key: *SecretKey::from_seed([1; 32]).public().as_bytes(),
        addresses: vec!["/ip4/192.168.1.7/tcp/4141".into(), "/ip6/fd00::7/tcp/4141".into()],
    }
}

fn peer_fields(peer: &ToldPeer) -> Value {
    json!({"key": hex::encode(peer.key), "addresses": peer.addresses})
}

fn hexed<T: AsRef<[u8]>>(list: &[T]) -> Vec<String> {
    list.iter().map(hex::encode).collect()
}

fn requests() -> Vec<Value> {
    let nameless = Status {
        name: String::new(),
        ..status()
    };
    let requests = [
        Request::Status(status()),
        Request::Status(nameless),
        Request::GetHeaders {
            locator: vec![[1; 32], [2; 32]],
        },
        Request::GetHeaders { locator: vec![] },
        Request::GetBlocks { hashes: vec![[3; 32]] },
        Request::GetPending { after: [4; 32] },
        Request::GetPeers,
        Request::GetTransactions {
            block: [5; 32],
            positions: vec![1, 4_095],
        },
    ];
    let vector = |request: &Request| {
        let bytes = request.encode();
        assert_eq!(Request::decode(&bytes).as_ref(), Ok(request));
        let fields = match request {
            Request::Status(status) => json!({"Status": status_fields(status)}),
            Request::GetHeaders { locator } => json!({"GetHeaders": hexed(locator)}),
            Request::GetBlocks { hashes } => json!({"GetBlocks": hexed(hashes)}),
            Request::GetPending { after } => json!({"GetPending": hex::encode(after)}),
            Request::GetPeers => json!("GetPeers"),
            Request::GetTransactions { block, positions } => {
                json!({"GetTransactions": {"block": hex::encode(block), "positions": positions}})
            }
        };
        json!({"request": fields, "bytes": hex::encode(bytes)})
    };
    requests.iter().map(vector).collect()
}

fn responses() -> Vec<Value> {
    let responses = [
        Response::Status(status()),
        Response::Headers(vec![NetworkParams::dev().genesis().to_bytes(), [5; 96]]),
        Response::Headers(vec![]),
        Response::Blocks(vec![vec![6; 3], vec![7; 2]]),
        Response::Blocks(vec![]),
        Response::Pending(vec![vec![8; 4]]),
        Response::Busy,
        Response::Unsupported,
        Response::Peers(vec![told_peer(), told_peer()]),
        Response::Peers(vec![]),
        Response::Transactions(vec![vec![9; 2]]),
        Response::Transactions(vec![]),
    ];
    let vector = |response: &Response| {
        let bytes = response.encode();
        assert_eq!(Response::decode(&bytes).as_ref(), Ok(response));
        let fields = match response {
            Response::Status(status) => json!({"Status": status_fields(status)}),
            Response::Headers(headers) => json!({"Headers": hexed(headers)}),
            Response::Blocks(blocks) => json!({"Blocks": hexed(blocks)}),
            Response::Pending(list) => json!({"Pending": hexed(list)}),
            Response::Peers(list) => json!({"Peers": list.iter().map(peer_fields).collect::<Vec<_>>()}),
            Response::Busy => json!("Busy"),
            Response::Unsupported => json!("Unsupported"),
            Response::Transactions(list) => json!({"Transactions": hexed(list)}),
        };
        json!({"response": fields, "bytes": hex::encode(bytes)})
    };
    responses.iter().map(vector).collect()
}

/// Bytes that are no message, each for one reason.
fn refused(kind: &str, list: &[(&str, Vec<u8>)], is_refused: fn(&[u8]) -> bool) -> Vec<Value> {
    let vector = |(what, bytes): &(&str, Vec<u8>)| {
        assert!(is_refused(bytes), "{what}");
        json!({"as": kind, "what": what, "bytes": hex::encode(bytes)})
    };
    list.iter().map(vector).collect()
}

fn refused_requests() -> Vec<Value> {
    let good = Request::Status(status()).encode();
    let name_at = 4 + 32 + 8 + 32;
    let changed = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        bytes
    };
    let long_name = Status {
        name: "a".repeat(33),
        ..status()
    };
    let requests = [
        ("no byte", vec![]),
        ("ends one byte early", good[..good.len() - 1].to_vec()),
        ("a byte behind", [&good[..], &[0]].concat()),
        ("a name that is no UTF-8", changed(name_at + 8, 0xff)),
        ("a name longer than what follows", changed(name_at + 7, 1)),
        ("a name of 33 bytes", Request::Status(long_name).encode()),
        (
            "a locator of 33 hashes",
            Request::GetHeaders {
                locator: vec![[0; 32]; 33],
            }
            .encode(),
        ),
        (
            "257 blocks",
            Request::GetBlocks {
                hashes: vec![[0; 32]; 257],
            }
            .encode(),
        ),
        (
            "4,097 positions",
            Request::GetTransactions {
                block: [0; 32],
                positions: vec![0; 4_097],
            }
            .encode(),
        ),
        (
            "a count of 2^40",
            [&[1, 0, 0, 0][..], &(1_u64 << 40).to_le_bytes()].concat(),
        ),
    ];
    refused(
        "request",
        &requests,
        |bytes| matches!(Request::decode(bytes), Err(error) if !matches!(error, WireError::UnknownKind(_))),
    )
}

/// Requests of a kind that this version does not know: their sender is answered `Unsupported`, and not to be blamed.
fn unsupported() -> Vec<Value> {
    let requests = [
        ("a tag of a newer version", 6_u32.to_le_bytes().to_vec()),
        (
            "a tag of a newer version, with fields",
            [&7_u32.to_le_bytes()[..], &[1; 40]].concat(),
        ),
        (
            "a known tag in the other order of bytes",
            [&[0, 0, 0, 3][..], &[0; 32]].concat(),
        ),
    ];
    let vector = |(what, bytes): &(&str, Vec<u8>)| {
        assert!(
            matches!(Request::decode(bytes), Err(WireError::UnknownKind(_))),
            "{what}"
        );
        json!({"what": what, "bytes": hex::encode(bytes)})
    };
    requests.iter().map(vector).collect()
}

fn refused_answers() -> Vec<Value> {
    let addresses = |count, length: usize| {
        let peer = ToldPeer {
            addresses: vec!["a".repeat(length); count],
            ..told_peer()
        };
        Response::Peers(vec![peer]).encode()
    };
    let responses = [
        ("an unknown tag", 8_u32.to_le_bytes().to_vec()),
        (
            "a header of 95 bytes",
            [&[1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0][..], &[0; 95]].concat(),
        ),
        ("257 blocks", Response::Blocks(vec![vec![]; 257]).encode()),
        ("33 peers", Response::Peers(vec![told_peer(); 33]).encode()),
        ("a peer with 5 addresses", addresses(5, 1)),
        ("an address of 256 bytes", addresses(1, 256)),
        (
            "a transaction of 513 bytes",
            Response::Pending(vec![vec![0; 513]]).encode(),
        ),
        ("a byte behind", [&Response::Busy.encode()[..], &[0]].concat()),
    ];
    let lists = [
        ("an empty list", encode_transactions(&[])),
        ("129 transactions", encode_transactions(&vec![vec![]; 129])),
        ("a transaction of 513 bytes", encode_transactions(&[vec![0; 513]])),
        ("a byte behind", [&encode_transactions(&[vec![1]])[..], &[0]].concat()),
    ];
    let responses = refused("response", &responses, |bytes| Response::decode(bytes).is_err());
    let lists = refused("transactions", &lists, |bytes| decode_transactions(bytes).is_err());
    [responses, lists].concat()
}

#[test]
fn message_vectors_hold() {
    let network = NetworkParams::dev().network_id();
    let name = |text: &str| Account::Name(AccountName::new(text).unwrap());
    let parties = (name("alice"), name("bob"), None);
    let key = SecretKey::from_seed([1; 32]);
    let payment = crate::chain::Transaction::transfer(&network, &key, parties, Amount::ONE, 0).unwrap();
    let list = vec![payment.to_bytes(), vec![1, 2, 3]];
    let bytes = encode_transactions(&list);
    assert_eq!(decode_transactions(&bytes).as_ref(), Ok(&list));
    let refused = [refused_requests(), refused_answers()].concat();
    let made = json!({
        "requests": requests(),
        "responses": responses(),
        "transactions": [{"transactions": hexed(&list), "bytes": hex::encode(bytes)}],
        "unsupported": unsupported(),
        "refused": refused,
    });
    hold("messages.json", &made);
}
