//! JSON lines, to the letter.

use super::*;
use crate::chain::merkle::{ProofStep, Side};
use crate::contract::{
    AccountView, BanView, BlockView, Direction, FoundBy, NodeStatus, PeerView, Reply, Source, TipView, TreeBlock,
    TxStatus, TxView,
};
use crate::types::{
    Account, AccountName, Bits, BlockHash, Height, MerkleRoot, NetworkId, SecretKey, Txid, WallTime, Work,
};

fn name(text: &str) -> AccountName {
    AccountName::new(text).expect("a name")
}

fn hash(byte: u8) -> BlockHash {
    BlockHash::new([byte; 32])
}

fn hex(byte: u8) -> String {
    hex::encode([byte; 32])
}

fn tx_view() -> TxView {
    TxView {
        txid: Txid::new([0xaa; 32]),
        kind: "transfer",
        from: "alice".into(),
        to: Some(Account::Name(name("bob"))),
        to_owner: None,
        amount: 5,
        sequence: Some(0),
        public_key: Some("0b".into()),
        signature: Some("0c".into()),
        raw: "0d".into(),
    }
}

fn tx_json() -> String {
    let txid = hex(0xaa);
    format!(
        r#""txid":"{txid}","kind":"transfer","from":"alice","to":"bob","to_owner":null,"amount":5,"sequence":0,"public_key":"0b","signature":"0c","raw":"0d""#
    )
}

fn block_view() -> BlockView {
    BlockView {
        hash: hash(1),
        height: Height::new(3),
        previous_hash: hash(2),
        merkle_root: MerkleRoot::new([3; 32]),
        version: 1,
        time_ms: WallTime::from_ms(1_767_225_600_000),
        bits: Bits(1_920_000),
        nonce: "18446744073709551615".into(),
        work: Work::ZERO,
        active: true,
        header: "00".into(),
        transactions: vec![TxView {
            kind: "reward",
            from: "0".into(),
            sequence: None,
            public_key: None,
            signature: None,
            amount: 1,
            ..tx_view()
        }],
    }
}

fn block_json() -> String {
    let (one, two, three, work) = (hex(1), hex(2), hex(3), hex(0));
    let tx = tx_json().replace("transfer", "reward").replace("alice", "0").replace(
        r#""amount":5,"sequence":0,"public_key":"0b","signature":"0c""#,
        r#""amount":1,"sequence":null,"public_key":null,"signature":null"#,
    );
    format!(
        r#"{{"hash":"{one}","height":3,"previous_hash":"{two}","merkle_root":"{three}","version":1,"time_ms":1767225600000,"bits":1920000,"nonce":"18446744073709551615","work":"{work}","active":true,"header":"00","transactions":[{{{tx}}}]}}"#
    )
}

fn status() -> NodeStatus {
    NodeStatus {
        peer_id: "12D3".into(),
        name: Some(name("anna")),
        account: Account::Name(name("anna")),
        network: "lan".into(),
        network_id: NetworkId::new([9; 32]),
        height: Height::new(3),
        tip: hash(1),
        work: Work::ZERO,
        bits: Bits(1_920_000),
        peers: 2,
        pending: 1,
        addresses: vec!["/ip4/10.0.0.1/tcp/1/p2p/12D3".into()],
        data_dir: "/tmp/x".into(),
        mining: false,
        hash_rate: 0,
        syncing: false,
        net: true,
    }
}

fn status_fields() -> String {
    let (id, tip, work) = (hex(9), hex(1), hex(0));
    format!(
        r#""peer_id":"12D3","name":"anna","account":"anna","network":"lan","network_id":"{id}","height":3,"tip":"{tip}","work":"{work}","bits":1920000,"peers":2,"pending":1,"addresses":["/ip4/10.0.0.1/tcp/1/p2p/12D3"],"data_dir":"/tmp/x","mining":false,"hash_rate":0,"syncing":false,"net":true"#
    )
}

fn data(reply: Reply) -> String {
    let line = json_reply(1, Some("x"), &Ok(reply));
    let data = line.strip_prefix(r#"{"v":1,"type":"reply","line":1,"command":"x","ok":true,"data":"#);
    let data = data.and_then(|data| data.strip_suffix('}'));
    data.unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn replies_stand_in_their_envelope() {
    let ok: Result<Reply, CommandError> = Ok(Reply::Net { net: true });
    let line = json_reply(3, Some("net"), &ok);
    assert_eq!(
        line,
        r#"{"v":1,"type":"reply","line":3,"command":"net","ok":true,"data":{"net":true}}"#
    );
    let refused: Result<Reply, CommandError> = Err(CommandError {
        code: "overdraft",
        message: "a \"b\"\n\u{1b}".into(),
        hint: "mine".into(),
    });
    assert_eq!(
        json_reply(4, None, &refused),
        r#"{"v":1,"type":"reply","line":4,"command":null,"ok":false,"error":{"code":"overdraft","message":"a \"b\"\n\u001b","hint":"mine"}}"#
    );
}

#[test]
fn help_has_a_text_and_quit_nothing() {
    let help = Ok(HelpReply { text: "a\nb".into() });
    assert!(json_reply(1, Some("help"), &help).ends_with(r#""data":{"text":"a\nb"}}"#));
    assert!(json_reply(1, Some("quit"), &Ok(QuitReply {})).ends_with(r#""ok":true,"data":{}}"#));
}

#[test]
fn transactions_and_blocks_lie_flat_in_their_replies() {
    let tx = tx_json();
    let reply = Reply::Tx {
        tx: tx_view(),
        block: Height::new(4),
        message: "m".into(),
        notice: None,
        lessons: vec!["for people alone".into()],
    };
    assert_eq!(
        data(reply),
        format!(r#"{{{tx},"block":4,"message":"m","notice":null}}"#)
    );
    assert_eq!(data(Reply::Block(block_view())), block_json());
    let proof = ProofStep {
        side: Side::Left,
        hash: MerkleRoot::new([4; 32]),
    };
    let reply = Reply::Transaction {
        tx: tx_view(),
        status: TxStatus::Confirmed,
        reason: None,
        height: Some(Height::new(3)),
        block_hash: Some(hash(1)),
        confirmations: Some(1),
        proof: Some(vec![proof]),
        known_to_neighbour: None,
    };
    let (block, sibling) = (hex(1), hex(4));
    let expected = format!(
        r#"{{{tx},"status":"confirmed","reason":null,"height":3,"block_hash":"{block}","confirmations":1,"proof":[{{"side":"left","hash":"{sibling}"}}],"known_to_neighbour":null}}"#
    );
    assert_eq!(data(reply), expected);
    let reply = Reply::Transaction {
        tx: tx_view(),
        status: TxStatus::Dropped,
        reason: Some("r".into()),
        height: None,
        block_hash: None,
        confirmations: None,
        proof: None,
        known_to_neighbour: Some(false),
    };
    let end = r#""status":"dropped","reason":"r","height":null,"block_hash":null,"confirmations":null,"proof":null,"known_to_neighbour":false}"#;
    assert!(data(reply).ends_with(end));
}

#[test]
fn mining_replies_are_exact() {
    let block = block_json();
    let reply = Reply::Mined {
        message: "New Block Forged".into(),
        count: 1,
        blocks: vec![block_view()],
        rest: Vec::new(),
    };
    assert_eq!(
        data(reply),
        format!(r#"{{"message":"New Block Forged","count":1,"blocks":[{block}]}}"#)
    );
    assert_eq!(data(Reply::Mining { mining: false }), r#"{"mining":false}"#);
    let reply = Reply::Chain {
        length: 4,
        blocks: vec![block_view()],
        rest: Vec::new(),
    };
    assert_eq!(data(reply), format!(r#"{{"length":4,"blocks":[{block}]}}"#));
    let reply = Reply::Pending {
        transactions: vec![tx_view()],
    };
    assert_eq!(data(reply), format!(r#"{{"transactions":[{{{}}}]}}"#, tx_json()));
}

#[test]
fn account_replies_are_exact() {
    let key = Account::Key(SecretKey::from_seed([7; 32]).public());
    let reply = Reply::Balance {
        account: key.clone(),
        balance: -5,
        pending: 0,
        owner: None,
        next_sequence: 2,
    };
    let expected = format!(r#"{{"account":"{key}","balance":-5,"pending":0,"owner":null,"next_sequence":2}}"#);
    assert_eq!(data(reply), expected);
    let bob = AccountView {
        account: Account::Name(name("bob")),
        balance: 5,
        owner: Some("12D3".into()),
    };
    let reply = Reply::Accounts {
        total: 1,
        own: Vec::new(),
        accounts: vec![bob.clone()],
        shown: vec![bob],
    };
    assert_eq!(
        data(reply),
        r#"{"total":1,"own":[],"accounts":[{"account":"bob","balance":5,"owner":"12D3"}]}"#
    );
}

#[test]
fn network_replies_are_exact() {
    let (tip, work) = (hex(1), hex(0));
    let reply = Reply::Peers {
        peers: vec![PeerView {
            peer_id: "12D3".into(),
            name: None,
            name_proven: false,
            address: "/a".into(),
            height: Height::new(1),
            work: Work::ZERO,
            latency_ms: None,
            found_by: FoundBy::Sibling,
        }],
        banned: vec![BanView {
            peer_id: "12D4".into(),
            name: Some(name("ben")),
            name_proven: false,
            left_ms: 9,
        }],
    };
    let expected = format!(
        r#"{{"peers":[{{"peer_id":"12D3","name":null,"name_proven":false,"address":"/a","height":1,"work":"{work}","latency_ms":null,"found_by":"sibling"}}],"banned":[{{"peer_id":"12D4","name":"ben","name_proven":false,"left_ms":9}}]}}"#
    );
    assert_eq!(data(reply), expected);
    let reply = Reply::Dialled {
        peer_id: "12D3".into(),
        address: "/a".into(),
        message: "m".into(),
    };
    assert_eq!(data(reply), r#"{"peer_id":"12D3","address":"/a","message":"m"}"#);
    let reply = Reply::Resolved {
        replaced: false,
        message: "Our chain is authoritative".into(),
        notice: None,
        height: Height::new(3),
        tip: hash(1),
    };
    let expected = format!(
        r#"{{"replaced":false,"message":"Our chain is authoritative","notice":null,"height":3,"tip":"{tip}"}}"#
    );
    assert_eq!(data(reply), expected);
    assert_eq!(
        data(Reply::Status(Box::new(status()))),
        format!("{{{}}}", status_fields())
    );
    assert_eq!(data(Reply::Waited { waited_ms: 7 }), r#"{"waited_ms":7}"#);
}

#[test]
fn the_reply_of_tree_is_exact() {
    let (tip, work) = (hex(1), hex(0));
    let reply = Reply::Tree {
        tips: vec![TipView {
            hash: hash(1),
            height: Height::new(3),
            work: Work::ZERO,
            active: true,
            fork_height: Height::new(3),
        }],
        blocks: vec![TreeBlock {
            hash: hash(1),
            height: Height::new(3),
            previous_hash: hash(2),
            time_ms: WallTime::from_ms(7),
            adds_work: Work::ZERO,
            work: Work::ZERO,
            active: true,
            miner: Some(Account::Name(name("ben"))),
            below: None,
            skipped: 0,
        }],
    };
    let two = hex(2);
    let expected = format!(
        r#"{{"tips":[{{"hash":"{tip}","height":3,"work":"{work}","active":true,"fork_height":3}}],"blocks":[{{"hash":"{tip}","height":3,"previous_hash":"{two}","time_ms":7,"adds_work":"{work}","work":"{work}","active":true,"miner":"ben","below":null,"skipped":0}}]}}"#
    );
    assert_eq!(data(reply), expected);
}

#[test]
fn the_reply_of_invite_is_exact() {
    let reply = Reply::Invited {
        ticket: "ab2".into(),
        network: "lan".into(),
        addresses: vec!["/a".into()],
        message: "m".into(),
    };
    assert_eq!(
        data(reply),
        r#"{"ticket":"ab2","network":"lan","addresses":["/a"],"message":"m"}"#
    );
}

/// The event's fields after `time_ms`, and its name.
fn fields(event: &Event) -> String {
    let line = json_event(event, 5);
    let rest = line.strip_prefix(r#"{"v":1,"type":"event","event":""#);
    rest.unwrap_or_else(|| panic!("{line}")).to_owned()
}

#[test]
fn node_events_are_exact() {
    let started = Event::Started(Box::new(status()));
    assert_eq!(
        fields(&started),
        format!(r#"started","time_ms":5,{}}}"#, status_fields())
    );
    let found = Event::PeerFound {
        peer_id: "p".into(),
        address: "/a".into(),
        found_by: FoundBy::Mdns,
    };
    assert_eq!(
        fields(&found),
        r#"peer_found","time_ms":5,"peer_id":"p","address":"/a","found_by":"mdns"}"#
    );
    let connected = Event::PeerConnected {
        peer_id: "p".into(),
        name: None,
        name_taken: false,
        address: "/a".into(),
        direction: Direction::In,
        found_by: FoundBy::Inbound,
    };
    assert_eq!(
        fields(&connected),
        r#"peer_connected","time_ms":5,"peer_id":"p","name":null,"name_taken":false,"address":"/a","direction":"in","found_by":"inbound"}"#
    );
    let gone = Event::PeerDisconnected {
        peer_id: "p".into(),
        name: Some(name("ben")),
        name_taken: true,
        reason: "},\"event\":\"x".into(),
    };
    assert_eq!(
        fields(&gone),
        r#"peer_disconnected","time_ms":5,"peer_id":"p","name":"ben","name_taken":true,"reason":"},\"event\":\"x"}"#
    );
    let sync = Event::SyncProgress {
        peer_id: "p".into(),
        height: Height::new(1),
        target_height: Height::new(2),
    };
    assert_eq!(
        fields(&sync),
        r#"sync_progress","time_ms":5,"peer_id":"p","height":1,"target_height":2}"#
    );
    let warning = Event::Warning {
        code: "clock",
        message: "m".into(),
    };
    assert_eq!(
        fields(&warning),
        r#"warning","time_ms":5,"code":"clock","message":"m"}"#
    );
    assert_eq!(
        fields(&Event::Stopped { exit_status: 0 }),
        r#"stopped","time_ms":5,"exit_status":0}"#
    );
}

#[test]
fn transaction_events_are_exact() {
    let txid = hex(0xaa);
    let peer = SecretKey::from_seed([7; 32]).public().peer_id();
    let accepted = Event::TransactionAccepted {
        txid: Txid::new([0xaa; 32]),
        kind: "claim",
        from: "alice".into(),
        to: None,
        amount: 0,
        sequence: Some(0),
        source: Source::Peer(peer),
    };
    let expected = format!(
        r#"transaction_accepted","time_ms":5,"txid":"{txid}","kind":"claim","from":"alice","to":null,"amount":0,"sequence":0,"source":"{peer}"}}"#
    );
    assert_eq!(fields(&accepted), expected);
    let rejected = Event::TransactionRejected {
        txid: None,
        code: "malformed",
        message: "m".into(),
        source: Source::Peer(peer),
    };
    let expected = format!(
        r#"transaction_rejected","time_ms":5,"txid":null,"code":"malformed","message":"m","source":"{peer}"}}"#
    );
    assert_eq!(fields(&rejected), expected);
}

#[test]
fn chain_events_are_exact() {
    let (one, two, txid, work) = (hex(1), hex(2), hex(0xaa), hex(0));
    let mined = Event::Mined {
        hash: hash(1),
        height: Height::new(3),
    };
    assert_eq!(
        fields(&mined),
        format!(r#"mined","time_ms":5,"hash":"{one}","height":3}}"#)
    );
    let connected = Event::BlockConnected {
        hash: hash(1),
        height: Height::new(3),
        previous_hash: hash(2),
        transactions: 1,
        source: Source::Local,
    };
    let expected = format!(
        r#"block_connected","time_ms":5,"hash":"{one}","height":3,"previous_hash":"{two}","transactions":1,"source":"local"}}"#
    );
    assert_eq!(fields(&connected), expected);
    let stored = Event::BlockStored {
        hash: hash(1),
        height: Height::new(3),
        work: Work::ZERO,
        source: Source::Local,
    };
    let expected = format!(r#"block_stored","time_ms":5,"hash":"{one}","height":3,"work":"{work}","source":"local"}}"#);
    assert_eq!(fields(&stored), expected);
    let rejected = Event::BlockRejected {
        hash: Some(hash(1)),
        height: None,
        code: "c",
        message: "m".into(),
        source: Source::Local,
    };
    let expected = format!(
        r#"block_rejected","time_ms":5,"hash":"{one}","height":null,"code":"c","message":"m","source":"local"}}"#
    );
    assert_eq!(fields(&rejected), expected);
    let reorganized = Event::Reorganized {
        depth: 1,
        fork_height: Height::new(2),
        old_tip: hash(2),
        new_tip: hash(1),
        returned: vec![Txid::new([0xaa; 32])],
    };
    let expected = format!(
        r#"reorganized","time_ms":5,"depth":1,"fork_height":2,"old_tip":"{two}","new_tip":"{one}","returned":["{txid}"]}}"#
    );
    assert_eq!(fields(&reorganized), expected);
}

#[test]
fn dropped_events_are_told_with_their_number() {
    assert_eq!(
        events_dropped(12, 5),
        r#"{"v":1,"type":"event","event":"warning","time_ms":5,"code":"events_dropped","message":"12 events were dropped: the output is not read fast enough","count":12}"#
    );
}

/// A reader of JSON gets the text as the stranger wrote it; a terminal that shows the line is not deceived.
#[test]
fn adv_c20_no_character_that_deceives_stands_in_a_line_as_it_is() {
    let text = "a\u{202e}b\u{200b}c\u{85}d\u{7f}e\u{feff}f\u{e0041}g\u{e4}\u{1f600}";
    let error = CommandError {
        code: "internal",
        message: text.to_owned(),
        hint: text.to_owned(),
    };
    let reply = json_reply::<QuitReply>(1, Some("tx"), &Err(error));
    let event = Event::Warning {
        code: "internal",
        message: text.to_owned(),
    };
    for (line, path) in [(reply, "/error/message"), (json_event(&event, 1), "/message")] {
        assert!(!line.chars().any(is_deceptive), "{line:?}");
        assert!(
            line.contains("\\u202e") && line.contains("\\udb40\\udc41") && line.contains("\u{e4}\u{1f600}"),
            "{line}"
        );
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value.pointer(path).unwrap(), text);
    }
}

#[test]
fn a_reply_that_is_written_block_by_block_is_the_same_line() {
    let blocks = |count: usize| vec![block_view(); count];
    let chain = |blocks| Reply::Chain {
        length: 4,
        blocks,
        rest: Vec::new(),
    };
    let mined = |blocks| Reply::Mined {
        message: "New Block Forged".into(),
        count: 3,
        blocks,
        rest: Vec::new(),
    };
    for (first, whole) in [
        (chain(blocks(1)), chain(blocks(3))),
        (mined(blocks(1)), mined(blocks(3))),
    ] {
        let mut line = open_reply(7, Some("chain"), &first).unwrap();
        for _ in 0..2 {
            line.push_str(&further_block(&block_view()));
        }
        line.push_str(close_reply());
        assert_eq!(line, json_reply(7, Some("chain"), &Ok(whole)));
    }
    assert_eq!(open_reply(1, None, &Reply::Net { net: true }), None);
}
