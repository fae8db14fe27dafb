//! One of everything that the console says to programs, with every value that may be null once null and once not.
//!
//! Promises: whatever the schema of the console names is in some line here; a new variant of [`Reply`] stops the build.
//! Who needs one of these types in a test takes it from here and changes what matters: a new field touches this file alone.

mod events;
mod history;
mod lines;
mod numbers;

use crate::chain::merkle::{ProofStep, Side};
use crate::contract::{
    AccountView, BanView, BlockExplained, BlockView, Diagnosis, FailureView, FoundBy, Growth, Inclusion, InterfaceView,
    LayoutPart, Multicast, NodeStatus, PathStep, PeerActed, PeerView, Reply, Stats, Tampered, TamperedCopy, TipView,
    TreeBlock, TxExplained, TxStatus, TxView, WithWork,
};
use crate::types::{Account, AccountName, Bits, BlockHash, Height, MerkleRoot, NetworkId, Txid, WallTime, Work};

pub use events::{events, facts, own_payment, stamp};
pub use lines::lines;
pub use numbers::stats;

use super::keys::{account, key, name, peer};

/// A time of day.
const NOW: WallTime = WallTime::from_ms(1_767_225_600_000);

pub fn hash(byte: u8) -> BlockHash {
    BlockHash::new([byte; 32])
}

fn root(byte: u8) -> MerkleRoot {
    MerkleRoot::new([byte; 32])
}

fn hex(byte: u8, bytes: usize) -> String {
    hex::encode(vec![byte; bytes])
}

pub fn id() -> String {
    peer(1).to_string()
}

/// An address with a PeerId behind it.
pub fn address(place: &str) -> String {
    format!("{place}/p2p/{}", id())
}

pub fn status() -> NodeStatus {
    NodeStatus {
        peer_id: id(),
        name: Some(name("anna")),
        account: account("anna"),
        network: "lan".into(),
        network_id: NetworkId::new([9; 32]),
        height: Height::new(3),
        tip: hash(1),
        work: Work::ZERO,
        bits: Bits(1_920_000),
        spacing_ms: Some(10_000),
        halflife_ms: 120_000,
        peers: 0,
        pending: 0,
        addresses: ["/ip4/192.168.1.7/tcp/40123", "/ip4/127.0.0.1/tcp/40123"]
            .map(address)
            .to_vec(),
        data_dir: "/home/anna/lanchain/lan/anna".into(),
        mining: false,
        hash_rate: 0,
        syncing: false,
        net: true,
        web: None,
    }
}

pub fn transfer() -> TxView {
    TxView {
        txid: Txid::new([0xaa; 32]),
        kind: "transfer",
        from: "alice".into(),
        to: Some(account("bob")),
        to_owner: Some(hex(4, 32)),
        amount: 5,
        sequence: Some(0),
        public_key: Some(hex(5, 32)),
        signature: Some(hex(6, 64)),
        raw: "0d".into(),
    }
}

fn claim() -> TxView {
    TxView {
        kind: "claim",
        to: None,
        to_owner: None,
        amount: 0,
        ..transfer()
    }
}

fn reward() -> TxView {
    TxView {
        kind: "reward",
        from: "0".into(),
        to: Some(Account::Key(key(1).public())),
        to_owner: None,
        amount: 1,
        sequence: None,
        public_key: None,
        signature: None,
        ..transfer()
    }
}

pub fn block() -> BlockView {
    BlockView {
        hash: hash(1),
        height: Height::new(3),
        previous_hash: hash(2),
        merkle_root: root(3),
        version: 1,
        time_ms: NOW,
        bits: Bits(1_920_000),
        nonce: "18446744073709551615".into(),
        work: Work::ZERO,
        active: true,
        miner: Some(account("anna")),
        header: hex(0, 96),
        transactions: vec![reward(), transfer()],
    }
}

fn owners() -> Vec<AccountView> {
    [Some(id()), None]
        .map(|owner| AccountView {
            account: account("bob"),
            balance: -5,
            owner,
        })
        .to_vec()
}

/// Replies about transactions and blocks.
fn of_the_chain() -> Vec<Reply> {
    let tx = |tx, notice: Option<String>| Reply::Tx {
        tx,
        block: Height::new(4),
        message: "m".into(),
        notice,
        lessons: vec!["for people alone".into()],
    };
    let transaction = Reply::Transaction {
        tx: transfer(),
        status: TxStatus::Confirmed,
        reason: None,
        height: Some(Height::new(3)),
        block_hash: Some(hash(1)),
        confirmations: Some(1),
        proof: Some(
            [Side::Left, Side::Right]
                .map(|side| ProofStep { side, hash: root(4) })
                .to_vec(),
        ),
        known_to_neighbour: None,
        time_ms: Some(NOW),
    };
    let waiting = |status, reason| Reply::Transaction {
        tx: claim(),
        status,
        reason,
        height: None,
        block_hash: None,
        confirmations: None,
        proof: None,
        known_to_neighbour: Some(false),
        time_ms: None,
    };
    vec![
        tx(transfer(), None),
        tx(claim(), Some("n".into())),
        Reply::Mined {
            message: "New Block Forged".into(),
            count: 1,
            blocks: vec![block()],
            rest: Vec::new(),
        },
        Reply::Mining { mining: false },
        Reply::Chain {
            length: 4,
            blocks: vec![block()],
            rest: Vec::new(),
        },
        Reply::Block(BlockView { miner: None, ..block() }),
        transaction,
        waiting(TxStatus::Pending, None),
        waiting(TxStatus::Dropped, Some("r".into())),
        Reply::Pending {
            transactions: vec![transfer()],
            seen: vec![NOW],
        },
        tree(),
    ]
}

pub fn tip() -> TipView {
    TipView {
        hash: hash(1),
        height: Height::new(3),
        work: Work::ZERO,
        active: true,
        fork_height: Height::new(3),
    }
}

pub fn tree_block() -> TreeBlock {
    TreeBlock {
        hash: hash(1),
        height: Height::new(3),
        previous_hash: hash(2),
        time_ms: NOW,
        adds_work: Work::ZERO,
        work: Work::ZERO,
        active: true,
        miner: Some(account("ben")),
        below: None,
        skipped: 0,
    }
}

fn tree() -> Reply {
    let deeper = TreeBlock {
        miner: None,
        below: Some(hash(7)),
        ..tree_block()
    };
    Reply::Tree {
        tips: vec![tip()],
        blocks: vec![tree_block(), deeper],
    }
}

/// Replies about accounts.
fn of_accounts() -> Vec<Reply> {
    let balance = |owner: Option<String>| Reply::Balance {
        account: Account::Key(key(1).public()),
        balance: -5,
        pending: 0,
        pending_owner_height: owner.is_none().then_some(Height::new(8)),
        pending_owner: owner.is_none().then(id),
        will_be_own: false,
        own: owner.is_some().then(owners),
        owner,
        next_sequence: 2,
    };
    vec![
        balance(None),
        balance(Some(id())),
        whoami(None),
        whoami(AccountName::new("anna").ok()),
        Reply::Accounts {
            total: 2,
            own: owners(),
            accounts: owners(),
            shown: owners(),
        },
    ]
}

fn whoami(name: Option<AccountName>) -> Reply {
    Reply::Whoami {
        peer_id: id(),
        name,
        account: Account::Key(key(1).public()),
        balance: 3,
        accounts: owners(),
    }
}

fn peers() -> Reply {
    let of = |found_by, name, latency_ms| PeerView {
        peer_id: id(),
        name,
        name_proven: false,
        address: address("/ip4/10.0.0.1/tcp/4001"),
        height: Height::new(1),
        tip: hash(1),
        work: Work::ZERO,
        latency_ms,
        found_by,
        connected_ms: 1_500,
        version: latency_ms.map(|_| "lanchain/0.1.0".into()),
    };
    let ban = |name| BanView {
        peer_id: id(),
        name,
        name_proven: false,
        left_ms: 9,
    };
    let ways = [FoundBy::Mdns, FoundBy::Sibling, FoundBy::Manual, FoundBy::Remembered];
    let mut peers: Vec<PeerView> = ways.map(|way| of(way, None, None)).into();
    peers.push(of(FoundBy::Inbound, Some(name("ben")), Some(3)));
    peers.push(of(FoundBy::Told, None, None));
    Reply::Peers {
        peers,
        banned: vec![ban(None), ban(Some(name("ben")))],
    }
}

/// Replies about this node and its neighbours.
fn of_the_network() -> Vec<Reply> {
    let (height, tip, message) = (Height::new(3), hash(1), || "m".to_owned());
    let resolved = |replaced, message: &str, notice| Reply::Resolved {
        replaced,
        asked: 2,
        message: message.into(),
        notice,
        height,
        tip,
    };
    vec![
        peers(),
        Reply::Dialled {
            peer_id: id(),
            address: address("/dns/anna/tcp/4001"),
            message: message(),
        },
        Reply::Invited {
            ticket: "ab2".into(),
            network: "lan".into(),
            addresses: vec![address("/ip4/10.0.0.1/tcp/4001")],
            message: message(),
        },
        resolved(true, "Our chain was replaced", Some("n".into())),
        resolved(false, "Our chain is authoritative", None),
        Reply::Rewound {
            removed: 1,
            message: message(),
            height,
            tip,
        },
        Reply::Status(Box::new(status())),
        Reply::Status(Box::new(NodeStatus { name: None, ..status() })),
        Reply::Net { net: true },
        Reply::Waited { waited_ms: 7 },
        acted(None, None),
        acted(Some(name("ben")), Some(5)),
        Reply::Diagnosis(Box::new(diagnosis())),
        Reply::Diagnosis(Box::new(Diagnosis {
            multicast_ago_ms: Some(1),
            others_heard: Some(1),
            same_key_at: Some("/a".into()),
            clock_ahead_ms: Some(-1),
            dial: Some("d".into()),
            ..diagnosis()
        })),
    ]
}

/// The reply to `drop`, `ban` and `unban`.
pub fn acted(name: Option<AccountName>, banned_ms: Option<u64>) -> Reply {
    Reply::PeerActed(PeerActed {
        peer_id: id(),
        name,
        name_taken: false,
        banned_ms,
        message: "m".into(),
    })
}

pub fn interface(multicast: Option<Multicast>, reason: Option<String>) -> InterfaceView {
    InterfaceView {
        name: "eth0".into(),
        addresses: vec!["10.0.0.1".into()],
        used: true,
        reason,
        multicast,
    }
}

/// A failed dial of somebody, or of nobody in particular.
pub fn failure(known: bool) -> FailureView {
    FailureView {
        peer_id: known.then(id),
        address: known.then(|| "/a".into()),
        reason: "r".into(),
        other_network: false,
        ago_ms: 1,
    }
}

pub fn diagnosis() -> Diagnosis {
    let ways = [
        Multicast::None,
        Multicast::Returned,
        Multicast::Lost,
        Multicast::Refused,
    ];
    let mut interfaces: Vec<InterfaceView> = ways.map(|way| interface(Some(way), None)).into();
    interfaces.push(interface(Some(Multicast::Taken), Some("r".into())));
    interfaces.push(interface(None, None));
    Diagnosis {
        peers: 1,
        net: true,
        discovery: true,
        interfaces,
        multicast_heard: 1,
        multicast_ago_ms: None,
        multicast_dropped: 0,
        others_heard: None,
        failures: vec![failure(true), failure(false)],
        same_key: false,
        same_key_at: None,
        clock_ahead_ms: None,
        dial: None,
        advice: vec!["a".into()],
    }
}

/// Replies that show how it is made.
fn made_visible() -> Vec<Reply> {
    let block = BlockExplained {
        hash: hash(1),
        height: Height::new(3),
        active: true,
        header: hex(0, 96),
        parts: vec![part()],
        target: hex(1, 32),
        hash_zero_bits: 17,
        target_zero_bits: 16,
        share_of_target_ppm: Some(1),
        expected_attempts: 65_536,
        parent_time_ms: Some(NOW),
        parent_bits: Some(1),
        adds_work: Work::ZERO,
        work: Work::ZERO,
        transactions: 1,
    };
    let genesis = BlockExplained {
        share_of_target_ppm: None,
        parent_time_ms: None,
        parent_bits: None,
        ..block.clone()
    };
    let change = |code| TamperedCopy {
        change: "c".into(),
        hash: hash(1),
        accepted: false,
        code,
        message: code.map(str::to_owned),
        lesson: "l".into(),
        with_work: None,
    };
    let judged = |code: Option<&'static str>| TamperedCopy {
        with_work: Some(WithWork {
            accepted: code.is_none(),
            code,
            message: code.map(str::to_owned),
        }),
        ..change(code)
    };
    let mut replies = explained();
    replies.extend([
        Reply::BlockExplained(Box::new(block)),
        Reply::BlockExplained(Box::new(genesis)),
        Reply::Tampered(Box::new(Tampered {
            height: Height::new(3),
            hash: hash(1),
            changes: vec![change(None), judged(None), judged(Some("bad_root"))],
            message: "m".into(),
        })),
        Reply::Stats(Box::new(stats())),
        Reply::Stats(Box::new(Stats {
            intervals: None,
            growth: Growth::default(),
            disk: None,
            ..stats()
        })),
    ]);
    replies
}

fn part() -> LayoutPart {
    LayoutPart {
        name: "version",
        offset: 0,
        length: 1,
        hex: "01".into(),
        value: "1".into(),
    }
}

fn explained() -> Vec<Reply> {
    let step = |side| PathStep {
        side,
        left: root(1),
        right: root(2),
        hash: root(3),
    };
    let inclusion = Inclusion {
        block_hash: hash(1),
        height: Height::new(3),
        index: 1,
        transactions: 2,
        path: vec![step(Side::Left), step(Side::Right)],
        root: root(3),
        merkle_root: root(3),
    };
    let of = |kind, status, signed: bool, inclusion| {
        Reply::TransactionExplained(Box::new(TxExplained {
            txid: Txid::new([0xaa; 32]),
            kind,
            status,
            raw: "0d".into(),
            parts: vec![part()],
            signed: signed.then(|| "0d".into()),
            signed_parts: vec![part()],
            public_key: signed.then(|| hex(5, 32)),
            signature: signed.then(|| hex(6, 64)),
            signature_valid: signed.then_some(true),
            inclusion,
        }))
    };
    vec![
        of("reward", TxStatus::Confirmed, false, Some(inclusion)),
        of("claim", TxStatus::Pending, true, None),
        of("transfer", TxStatus::Dropped, true, None),
    ]
}

/// Every reply of the engine.
pub fn replies() -> Vec<Reply> {
    [
        of_the_chain(),
        of_accounts(),
        history::replies(),
        of_the_network(),
        made_visible(),
    ]
    .concat()
}
