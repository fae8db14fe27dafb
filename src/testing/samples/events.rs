//! Every event, with every value that may be null once null and once not.

use crate::contract::{
    BlockFacts, Direction, Dropped, Event, EventStamp, FoundBy, NodeStatus, OwnPayment, RunId, Source,
};
use crate::types::{Bits, BlockHash, Height, Txid, Work};

use super::super::keys::{account, name, peer};
use super::{address, hash, id, status};

const TX: Txid = Txid::new([0xaa; 32]);

/// Every event.
pub fn events() -> Vec<Event> {
    [of_peers(), of_transactions(), of_blocks(), of_this_node()].concat()
}

/// Transactions and blocks that were taken or not, the latter with little known of them.
fn of_transactions() -> Vec<Event> {
    let (code, message, stranger) = ("bad_signature", "},\"event\":\"x".to_owned(), Source::Peer(peer(1)));
    let of = |known: bool| {
        [
            Event::TransactionAccepted {
                txid: TX,
                kind: if known { "transfer" } else { "claim" },
                from: "alice".into(),
                to: known.then(|| account("bob")),
                amount: 5,
                sequence: known.then_some(0),
                signer: id(),
                source: stranger,
            },
            Event::TransactionRejected {
                txid: known.then_some(TX),
                code,
                message: message.clone(),
                source: stranger,
            },
            Event::PaymentConfirmed {
                payment: own_payment(Direction::In),
            },
            Event::PaymentUnconfirmed {
                payment: own_payment(Direction::Out),
            },
            Event::TransactionDropped {
                txid: TX,
                kind: if known { "transfer" } else { "claim" },
                from: "alice".into(),
                to: known.then(|| account("bob")),
                amount: 5,
                code: "owner_changed",
                message: message.clone(),
            },
            Event::BlockRejected {
                hash: known.then(|| hash(1)),
                height: known.then_some(Height::new(3)),
                code,
                message: message.clone(),
                source: Source::Local,
            },
        ]
    };
    [of(true), of(false)].concat()
}

/// A payment of alice to bob in block 7.
pub fn own_payment(direction: Direction) -> OwnPayment {
    OwnPayment {
        txid: TX,
        from: account("alice"),
        to: account("bob"),
        amount: 5,
        direction,
        height: Height::new(7),
    }
}

/// What events say of a block with this hash and height, mined by anna.
pub fn facts(hash: BlockHash, height: Height) -> BlockFacts {
    BlockFacts {
        hash,
        height,
        previous_hash: hash,
        miner: Some(account("anna")),
        block_time_ms: 7,
        bits: Bits(1_920_000),
        adds_work: Work::ZERO,
        work: Work::ZERO,
    }
}

/// The beginning of an event's line.
pub const fn stamp(time_ms: u64, seq: u64) -> EventStamp {
    EventStamp {
        time_ms,
        run: RunId::new([0x5a; 8]),
        seq,
    }
}

/// What becomes of blocks and branches.
fn of_blocks() -> Vec<Event> {
    let (hash, height, target_height, source): (BlockHash, _, _, _) =
        (hash(1), Height::new(3), Height::new(4), Source::Local);
    let peer_id = id();
    vec![
        Event::Mined {
            block: facts(hash, height),
        },
        Event::BlockConnected {
            block: facts(hash, height),
            transactions: 1,
            source,
        },
        Event::BlockDisconnected {
            block: BlockFacts {
                miner: None,
                ..facts(hash, height)
            },
        },
        Event::BlockStored {
            block: facts(hash, height),
            source,
        },
        Event::Reorganized {
            depth: 1,
            fork_height: height,
            old_tip: hash,
            new_tip: hash,
            returned: vec![TX],
            returned_count: 1,
            dropped: vec![Dropped {
                txid: TX,
                code: "owner_changed",
                message: String::new(),
            }],
            dropped_count: 1,
        },
        Event::TransactionsDropped {
            count: 7,
            by_code: [("pushed_out", 7)].into(),
        },
        Event::PeerTip {
            peer_id: peer_id.clone(),
            height,
            tip: hash,
            work: Work::ZERO,
        },
        Event::SyncStarted {
            peer_id: peer_id.clone(),
            height,
            target_height,
        },
        Event::SyncProgress {
            peer_id: peer_id.clone(),
            height,
            target_height,
        },
        Event::SyncFinished {
            peer_id,
            height,
            target_height,
        },
    ]
}

/// What a node says of itself.
fn of_this_node() -> Vec<Event> {
    vec![
        Event::Started(Box::new(status())),
        Event::Started(Box::new(NodeStatus {
            name: None,
            spacing_ms: None,
            web: Some("http://127.0.0.1:8645/#t=00".into()),
            ..status()
        })),
        Event::Warning {
            code: "clock",
            message: "m".into(),
        },
        Event::Stopped { exit_status: 0 },
    ]
}

/// Events of peers that come and go, with a name and without.
fn of_peers() -> Vec<Event> {
    let (peer_id, address) = (id(), address("/ip4/10.0.0.1/tcp/4001"));
    let of = |name: Option<_>| {
        let (name_taken, name_proven) = (name.is_some(), false);
        [
            Event::PeerConnected {
                peer_id: peer_id.clone(),
                name: name.clone(),
                name_proven,
                name_taken,
                address: address.clone(),
                direction: if name_taken { Direction::In } else { Direction::Out },
                found_by: FoundBy::Inbound,
            },
            Event::PeerNamed {
                peer_id: peer_id.clone(),
                name: name.clone(),
                name_proven,
                name_taken,
                address: address.clone(),
            },
            Event::PeerDisconnected {
                peer_id: peer_id.clone(),
                name,
                name_taken,
                reason: "left".into(),
            },
        ]
    };
    let mut events = [of(None), of(Some(name("ben")))].concat();
    events.push(Event::PeerFound {
        peer_id,
        address,
        found_by: FoundBy::Mdns,
    });
    events
}
