//! Lines that are commands, and the code of each that is none.

use super::*;
use crate::console::watch::WatchTopic;
use crate::contract::{PeerAct, PeerRef, TxRef};
use crate::types::SecretKey;
use crate::types::account::NAME_RULE;

fn good(line: &str) -> Line {
    parse_line(line)
        .unwrap_or_else(|error| panic!("{line}: {error:?}"))
        .unwrap_or_else(|| panic!("{line}: silent"))
}

fn command(line: &str) -> Command {
    match good(line) {
        Line::Engine(command) => command,
        other => panic!("{line}: {other:?}"),
    }
}

fn code(line: &str) -> &'static str {
    let error = parse_line(line).expect_err(line);
    assert!(!error.message.is_empty() && error.message.len() < 300, "{line}");
    assert!(matches!(parse_line(&error.hint), Ok(Some(_))), "{line}: {}", error.hint);
    error.code
}

fn named(name: &str) -> AccountRef {
    AccountRef::Account(Account::Name(AccountName::new(name).expect("a name")))
}

#[test]
fn blank_lines_and_comments_have_no_answer() {
    for line in ["", " ", "\t\r", "# tx a b 1", "   #"] {
        assert_eq!(parse_line(line), Ok(None), "{line:?}");
    }
}

#[test]
fn names_and_words_may_be_typed_in_upper_case() {
    let expected = Command::Tx {
        from: named("alice"),
        to: named("bob-2_x"),
        amount: Amount::new(5).expect("in range"),
    };
    assert_eq!(command("tx alice bob-2_x 5"), expected);
    assert_eq!(command("  TX  Alice\tBOB-2_X 5  "), expected);
    assert_eq!(
        command("claim Carol"),
        Command::Claim(AccountName::new("carol").expect("a name"))
    );
    assert_eq!(command("Mine ON"), Command::Mine(MineCommand::On));
    assert_eq!(command("NET Off"), Command::Net(false));
    assert_eq!(command("Wait Synced"), command("wait synced 60"));
}

#[test]
fn me_is_the_key_account_and_peer_ids_stay_as_they_are() {
    let key = SecretKey::from_seed([7; 32]).public();
    let id = key.peer_id().to_string();
    assert_eq!(command("balance ME"), Command::Balance(Some(AccountRef::Me)));
    assert_eq!(command("balance"), Command::Balance(None));
    let account = AccountRef::Account(Account::Key(key));
    assert_eq!(command(&format!("balance {id}")), Command::Balance(Some(account)));
    assert_eq!(code(&format!("balance {}", id.to_lowercase())), "bad_name");
    // A PeerId that is the hash of a key holds no key.
    assert_eq!(
        code("balance QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N"),
        "bad_name"
    );
}

#[test]
fn every_command_has_its_form() {
    let txid = Txid::from_hex(&"ab".repeat(32)).expect("hex");
    let hash = BlockHash::from_hex(&"0c".repeat(32)).expect("hex");
    let history = |account, limit| Command::History { account, limit };
    let cases = [
        ("mine", Command::Mine(MineCommand::Count(1))),
        ("mine 10000", Command::Mine(MineCommand::Count(10_000))),
        ("mine off", Command::Mine(MineCommand::Off)),
        ("chain", Command::Chain(10)),
        ("chain 1000", Command::Chain(1_000)),
        ("tree 3", Command::Tree(3)),
        ("block 0", Command::Block(BlockRef::Height(Height::GENESIS))),
        ("block 00aB", Command::Block(BlockRef::Prefix("00ab".into()))),
        ("block 000080859", Command::Block(BlockRef::Prefix("000080859".into()))),
        ("block 0000", Command::Block(BlockRef::Prefix("0000".into()))),
        ("block 8085", Command::Block(BlockRef::Height(Height::new(8_085)))),
        ("pending", Command::Pending),
        ("accounts", Command::Accounts),
        ("history", history(None, 20)),
        ("history 5", history(None, 5)),
        ("history Alice", history(Some(named("alice")), 20)),
        ("history me 1000", history(Some(AccountRef::Me), 1_000)),
        ("peers", Command::Peers),
        ("resolve", Command::Resolve),
        ("rewind", Command::Rewind),
        ("status", Command::Status),
        ("net on", Command::Net(true)),
    ];
    for (line, expected) in cases {
        assert_eq!(command(line), expected, "{line}");
    }
    assert_eq!(command(&format!("block {hash}")), Command::Block(BlockRef::Hash(hash)));
    assert_eq!(
        command(&format!("transaction {txid}")),
        Command::Transaction(txid.into())
    );
    let wait = |condition, seconds| Command::Wait { condition, seconds };
    assert_eq!(command("wait peers 0 0"), wait(Condition::Peers(0), 0));
    assert_eq!(
        command("wait height 7 86400"),
        wait(Condition::Height(Height::new(7)), 86_400)
    );
    assert_eq!(
        command(&format!("wait confirmed {txid}")),
        wait(Condition::Confirmed(txid), 60)
    );
    let dial = command("dial 10.0.0.1:4001");
    assert_eq!(dial, command("register /ip4/10.0.0.1/tcp/4001"));
    assert_eq!(dial, command("register http://10.0.0.1:4001"));
    assert_eq!(command("dial 10.0.0.1"), command("dial /ip4/10.0.0.1/tcp/4141"));
    assert_eq!(good("help"), Line::Help(None));
    assert_eq!(good("help Register"), Line::Help(Some("dial".into())));
    assert_eq!(good("QUIT"), Line::Quit);
}

#[test]
fn what_makes_the_chain_visible_has_its_form() {
    let txid = Txid::from_hex(&"ab".repeat(32)).expect("hex");
    let text = |word: &str| PeerRef::Text(word.to_owned());
    let peer = |peer, act| Command::Peer { peer, act };
    let prefix = || TxRef::Prefix("abcd".into());
    let cases = [
        ("transaction ABCD", Command::Transaction(prefix())),
        (
            "explain block 7",
            Command::ExplainBlock(BlockRef::Height(Height::new(7))),
        ),
        (
            "explain block 0007",
            Command::ExplainBlock(BlockRef::Prefix("0007".into())),
        ),
        (
            "EXPLAIN Block 0c0c",
            Command::ExplainBlock(BlockRef::Prefix("0c0c".into())),
        ),
        ("explain transaction abcd", Command::ExplainTransaction(prefix())),
        ("tamper 3", Command::Tamper(Height::new(3))),
        ("stats", Command::Stats(100)),
        ("stats 5", Command::Stats(5)),
        ("drop ben", peer(text("ben"), PeerAct::Drop)),
        ("drop …VMz5M8iF", peer(text("VMz5M8iF"), PeerAct::Drop)),
        ("ban ben", peer(text("ben"), PeerAct::Ban { minutes: 60 })),
        ("ban (ben?) 1440", peer(text("ben"), PeerAct::Ban { minutes: 1_440 })),
        ("unban ben", peer(text("ben"), PeerAct::Unban)),
        ("doctor", Command::Doctor),
    ];
    for (line, expected) in cases {
        assert_eq!(command(line), expected, "{line}");
    }
    let whole = format!("explain transaction {txid}");
    assert_eq!(command(&whole), Command::ExplainTransaction(txid.into()));
    let id = SecretKey::from_seed([7; 32]).public().peer_id();
    assert_eq!(command(&format!("unban {id}")), peer(PeerRef::Id(id), PeerAct::Unban));
    assert_eq!(good("watch"), Line::Telling(Telling::Ask));
    assert_eq!(good("watch off"), Line::Telling(Telling::Watch(vec![])));
    assert_eq!(
        good("watch Peers gossip"),
        Line::Telling(Telling::Watch(vec![WatchTopic::Peers, WatchTopic::Gossip]))
    );
    assert_eq!(good("log DEBUG"), Line::Telling(Telling::Log("debug")));
}

#[test]
fn an_address_may_name_its_peer() {
    let id = SecretKey::from_seed([7; 32]).public().peer_id();
    let Command::Dial { address, peer } = command(&format!("dial /ip4/10.0.0.1/tcp/4001/p2p/{id}")) else {
        panic!("no dial");
    };
    assert_eq!((address.as_str(), peer), ("/ip4/10.0.0.1/tcp/4001", Some(id)));
}

/// Lines and the code that refuses them.
const MISTAKES: &[(&str, &[&str])] = &[
    (
        "unknown_command",
        &["minee", "help nonsense", "\u{1b}[2J", "tx;", "bye now"],
    ),
    (
        "missing_values",
        &["tx", "tx alice bob", "claim", "block", "transaction", "dial", "net"],
    ),
    (
        "missing_values",
        &[
            "wait",
            "wait peers",
            "wait height",
            "wait confirmed",
            "explain",
            "explain block",
            "tamper",
            "drop",
            "ban",
            "unban",
            "log",
        ],
    ),
    (
        "too_many_values",
        &[
            "tx a b 1 2",
            "mine 1 2",
            "mine on off",
            "chain 1 2",
            "status now",
            "quit 1",
            "peers all",
            "explain block 1 2",
            "drop ben 5",
            "unban ben 5",
            "ban ben 5 5",
            "doctor now",
            "log info debug",
        ],
    ),
    (
        "too_many_values",
        &[
            "wait synced 1 2",
            "wait peers 1 2 3",
            "help tx mine",
            "balance a b",
            "net on on",
        ],
    ),
    (
        "bad_amount",
        &[
            "tx a b 0",
            "tx a b -5",
            "tx a b +5",
            "tx a b 1.0",
            "tx a b 1e3",
            "tx a b 05",
            "tx a b x",
        ],
    ),
    (
        "bad_amount",
        &[
            "tx a b 9007199254740992",
            "tx a b 99999999999999999999999",
            "tx a b 0x10",
            "tx a b ١",
        ],
    ),
    (
        "bad_name",
        &[
            "tx 0 bob 1",
            "tx alice 0 1",
            "claim me",
            "claim coinbase",
            "balance Coinbase",
            "claim 1a",
        ],
    ),
    (
        "bad_name",
        &[
            "claim ä",
            "claim 张三",
            "balance José",
            "claim a.b",
            "history 2 alice",
            "claim aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "tx \"alice\" bob 1",
        ],
    ),
    (
        "bad_argument",
        &[
            "mine 0",
            "mine 10001",
            "mine -1",
            "mine 01",
            "mine yes",
            "chain 0",
            "chain 1001",
            "tree 0",
            "history 0",
            "history alice 0",
            "history alice 1001",
            "history alice bob",
        ],
    ),
    (
        "bad_argument",
        &[
            "block -1",
            "block 00",
            "block 99999999999999999999",
            "block abc",
            "block xyz1",
        ],
    ),
    (
        "bad_argument",
        &[
            "transaction abc",
            "explain chain 1",
            "explain block x",
            "explain transaction me",
            "tamper -1",
            "tamper abcd",
            "stats 1001",
            "ban ben 0",
            "ban ben 1441",
            "drop /",
            "watch everything",
            "log loud",
            "net maybe",
            "wait forever",
            "wait peers x",
            "wait peers 4294967296",
        ],
    ),
    (
        "bad_argument",
        &[
            "wait synced 86401",
            "wait synced -1",
            "wait height 1.5",
            "wait confirmed me",
        ],
    ),
    (
        "bad_address",
        &[
            "dial /nowhere",
            "dial /ip4/10.0.0.1/tcp/0",
            "dial 10.0.0",
            "dial 0.0.0.0",
            "dial /ip4/1.2.3.4/udp/5",
            "register http://127.0.0.1:5000/chain",
        ],
    ),
    ("bad_ticket", &["join x", "join 1", "join a1"]),
];

#[test]
fn each_mistake_has_its_code() {
    for (expected, lines) in MISTAKES {
        for line in *lines {
            assert_eq!(code(line), *expected, "{line}");
        }
    }
}

#[test]
fn missing_values_keeps_the_ancestors_words() {
    let error = parse_line("tx alice bob").expect_err("too few");
    assert_eq!(error.message, "Missing values; usage: tx FROM TO AMOUNT");
    assert_eq!(error.hint, "help tx");
}

#[test]
fn a_mistyped_word_is_put_right_in_the_hint() {
    let hint = |line| parse_line(line).expect_err("unknown").hint;
    assert_eq!(hint("minee"), "mine");
    assert_eq!(hint("mien 3"), "mine 3");
    assert_eq!(hint("tz alice bob 5"), "tx alice bob 5");
    assert_eq!(hint("tz alice"), "help tx");
    assert_eq!(hint("xyzzy"), "help");
    assert_eq!(hint("foo"), "help");
    assert_eq!(hint("lgo"), "help log");
    let error = parse_line("minee").expect_err("unknown");
    assert_eq!(error.message, "unknown command \"minee\"; did you mean mine?");
}

#[test]
fn the_refusal_of_a_name_says_what_a_name_may_look_like() {
    let message = |line: &str| parse_line(line).expect_err(line).message;
    let told = |name| format!("\"{name}\" is no name: {NAME_RULE}");
    for name in ["张三", "José", "1abc"] {
        assert_eq!(message(&format!("claim {name}")), told(name));
        assert_eq!(message(&format!("balance {name}")), told(name));
        assert_eq!(message(&format!("tx me {name} 5")), told(name));
    }
    let spaced = message("claim Alice Smith");
    assert_eq!(
        spaced,
        "too many values; usage: claim NAME; a name has no spaces, as alice-smith"
    );
    assert_eq!(code("claim Alice Smith"), "too_many_values");
    assert!(good("claim alice-smith") == good("claim Alice-Smith"));
}

#[test]
fn the_word_of_a_reply_is_canonical_or_what_was_typed() {
    let cases = [
        ("Register x", "dial"),
        ("TX", "tx"),
        ("minee 3", "minee"),
        ("  Foo", "Foo"),
    ];
    for (line, word) in cases {
        assert_eq!(canonical_word(line).as_deref(), Some(word));
    }
    assert_eq!(canonical_word(" "), None);
    assert_eq!(canonical_word(&"é".repeat(40)), Some("é".repeat(32)));
}

#[test]
fn the_newest_block_all_blocks_and_exit_have_words_of_their_own() {
    assert_eq!(command("block latest"), Command::Block(BlockRef::Latest));
    assert_eq!(command("explain block LATEST"), Command::ExplainBlock(BlockRef::Latest));
    assert_eq!(command("chain all"), Command::Chain(1_000));
    assert_eq!(command("tree ALL"), Command::Tree(1_000));
    assert_eq!(parse_line("exit"), Ok(Some(Line::Quit)));
    assert_eq!(canonical_word("exit").as_deref(), Some("quit"));
}
