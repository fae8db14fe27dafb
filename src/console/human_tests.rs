//! What people read, to the letter.

use proptest::prelude::*;

use super::*;
use crate::console::narrate::{Narrator, human_event};
use crate::contract::{AccountView, BlockFacts, Direction, DisconnectReason, Dropped, Event, Source};
use crate::testing::samples::{facts, own_payment};
use crate::types::{Account, AccountName, BlockHash, Height, SecretKey, Txid, WallTime, Work};

fn peer() -> crate::types::PeerId {
    SecretKey::from_seed([7; 32]).public().peer_id()
}

fn connected() -> Event {
    calls_itself("ben", false)
}

fn calls_itself(name: &str, name_taken: bool) -> Event {
    Event::PeerConnected {
        peer_id: peer().to_string(),
        name: Some(AccountName::new(name).expect("a name")),
        name_proven: false,
        name_taken,
        address: format!("/ip4/10.0.0.2/tcp/1/p2p/{}", peer()),
        direction: Direction::Out,
        found_by: FoundBy::Mdns,
    }
}

fn gossiped() -> Event {
    Event::TransactionAccepted {
        txid: Txid::new([0xaa; 32]),
        kind: "transfer",
        from: "alice".into(),
        to: Some(Account::Name(AccountName::new("bob").expect("a name"))),
        amount: 5,
        sequence: Some(0),
        signer: peer().to_string(),
        source: Source::Peer(peer()),
    }
}

fn tail() -> String {
    let id = peer().to_string();
    id[id.len() - PEER_DIGITS..].to_owned()
}

#[test]
fn the_log_says_what_came_from_whom() {
    let mut narrator = Narrator::default();
    let id = tail();
    let expected = format!("peer   ben (…{id}) connected: we called /ip4/10.0.0.2/tcp/1");
    assert_eq!(narrator.tell(&connected()), Some(expected));
    let expected = format!("tx     alice pays bob 5 coins, signed by ben (…{id}); waits for a block; aaaaaaaaaaaa");
    assert_eq!(narrator.tell(&gossiped()), Some(expected));
    narrator.tell(&Event::PeerDisconnected {
        peer_id: peer().to_string(),
        name: None,
        name_taken: false,
        reason: "r".into(),
    });
    let expected = format!("tx     alice pays bob 5 coins, signed by …{id}; waits for a block; aaaaaaaaaaaa");
    assert_eq!(narrator.tell(&gossiped()), Some(expected));
}

#[test]
fn a_warning_calls_a_peer_by_its_name() {
    let mut narrator = Narrator::default();
    narrator.tell(&connected());
    let mut warned = |message: String| {
        narrator.tell(&Event::Warning {
            code: "peer_fault",
            message,
        })
    };
    let told = warned(format!("{} loses 10 of its 50 points: no", peer()));
    assert_eq!(
        told,
        Some(format!("warning: ben (…{}) loses 10 of its 50 points: no", tail()))
    );
    assert_eq!(warned("no way".into()).as_deref(), Some("warning: no way"));
}

#[test]
fn who_goes_by_anothers_name_is_doubted_in_every_line_with_its_address() {
    let mut narrator = Narrator::default();
    let id = tail();
    let place = "/ip4/10.0.0.2/tcp/1";
    let connected = narrator.tell(&calls_itself("anna", true));
    let expected = format!("peer   anna? (…{id}) connected: we called {place}; that name is another key's");
    assert_eq!(connected, Some(expected));
    let peer_id = || peer().to_string();
    let source = Source::Peer(peer());
    let height = Height::new(1);
    let lines = [
        gossiped(),
        Event::TransactionRejected {
            txid: None,
            code: "c",
            message: "no".into(),
            source,
        },
        Event::BlockRejected {
            hash: None,
            height: None,
            code: "c",
            message: "no".into(),
            source,
        },
        Event::SyncStarted {
            peer_id: peer_id(),
            height,
            target_height: height,
        },
        Event::SyncProgress {
            peer_id: peer_id(),
            height,
            target_height: height,
        },
        Event::SyncFinished {
            peer_id: peer_id(),
            height,
            target_height: height,
        },
        Event::Warning {
            code: "peer_banned",
            message: format!("{} loses all its points", peer()),
        },
        Event::Warning {
            code: "same_key",
            message: format!("two nodes use the key of {} (there)", peer()),
        },
        Event::PeerDisconnected {
            peer_id: peer_id(),
            name: None,
            name_taken: true,
            reason: "r".into(),
        },
    ];
    for event in lines {
        let told = narrator.tell(&event).expect("it is told");
        assert!(told.contains(&format!("anna? (…{id} at {place})")), "{told}");
    }
}

#[test]
fn a_name_is_doubted_as_long_as_another_key_holds_it_and_no_longer() {
    let mut narrator = Narrator::default();
    narrator.tell(&calls_itself("anna", true));
    let named = |name: &str, name_taken: bool| Event::PeerNamed {
        peer_id: peer().to_string(),
        name: AccountName::new(name).ok(),
        name_proven: !name_taken,
        name_taken,
        address: format!("/ip4/10.0.0.2/tcp/1/p2p/{}", peer()),
    };
    let id = tail();
    for (event, called) in [
        (None, format!("anna? (…{id} at /ip4/10.0.0.2/tcp/1)")),
        (Some(named("anna", false)), "anna".to_owned()),
        (
            Some(named("anna", true)),
            format!("anna? (…{id} at /ip4/10.0.0.2/tcp/1)"),
        ),
        (Some(named("zoe", false)), "zoe".to_owned()),
        (Some(named("-", false)), format!("…{id}")),
    ] {
        if let Some(event) = event {
            assert_eq!(narrator.tell(&event), None, "later lines show it");
        }
        let told = narrator.tell(&gossiped()).expect("it is told");
        assert!(told.contains(&format!(", signed by {called}; ")), "{told}");
    }
}

#[test]
fn who_is_there_is_not_found_again_and_leaves_in_plain_words() {
    let mut narrator = Narrator::default();
    let found = Event::PeerFound {
        peer_id: peer().to_string(),
        address: "/ip4/10.0.0.2/tcp/1".into(),
        found_by: FoundBy::Mdns,
    };
    assert!(narrator.tell(&found).is_some());
    narrator.tell(&connected());
    assert_eq!(narrator.tell(&found), None);
    let left = |reason: DisconnectReason| Event::PeerDisconnected {
        peer_id: peer().to_string(),
        name: None,
        name_taken: false,
        reason,
    };
    let told = narrator.tell(&left(DisconnectReason::Closed(
        "Connection error: I/O error: connection is closed".into(),
    )));
    assert_eq!(
        told,
        Some(format!("peer   ben (…{}) lost: it closed the connection", tail()))
    );
    assert!(narrator.tell(&found).is_some(), "it is gone, so it is news again");
    for (reason, words) in [
        (DisconnectReason::Reset("reset".into()), "it went away without a word"),
        (DisconnectReason::Broken("odd".into()), "the connection was lost: odd"),
        ("it was silent".into(), "it was silent"),
    ] {
        let expected = format!("peer   ben (…{}) lost: {words}", tail());
        narrator.tell(&connected());
        assert_eq!(narrator.tell(&left(reason)), Some(expected));
    }
}

#[test]
fn a_reorganisation_is_told_whole() {
    let mut narrator = Narrator::default();
    let hash = |number| BlockHash::new([number; 32]);
    narrator.tell(&gossiped());
    let connected = |number: u8| Event::BlockConnected {
        block: facts(hash(number), Height::new(number.into())),
        transactions: 1,
        source: Source::Peer(peer()),
    };
    // What came in before belongs to no reorganisation.
    narrator.tell(&connected(1));
    for height in [2, 1] {
        narrator.tell(&Event::BlockDisconnected {
            block: facts(hash(9), Height::new(height)),
        });
    }
    (1..=3).for_each(|number| drop(narrator.tell(&connected(number))));
    let mut reorganized = |returned: Vec<Txid>| {
        let told = narrator.tell(&Event::Reorganized {
            depth: 2,
            fork_height: Height::new(0),
            old_tip: hash(0xbb),
            new_tip: hash(3),
            returned_count: u64::try_from(returned.len()).unwrap(),
            returned,
            dropped: Vec::new(),
            dropped_count: 0,
        });
        told.expect("words")
    };
    assert_eq!(
        reorganized(vec![Txid::new([0xaa; 32])]),
        "chain  Our chain was replaced: 2 blocks after height 0 went out, 3 came in; 1 transaction waits again \
         (alice pays bob 5 coins)"
    );
    let others = reorganized((1..=5).map(|number| Txid::new([number; 32])).collect());
    let wanted = "5 transactions wait again (010101010101, 020202020202, 030303030303, …)";
    assert!(others.contains(wanted), "{others}");
    assert!(reorganized(Vec::new()).ends_with("; no transaction waits again"));
}

/// A block that ben mined, brought by the peer with key 7.
fn mined_by_ben(work: u8) -> BlockFacts {
    let mut bytes = [0; 32];
    bytes[31] = work;
    BlockFacts {
        miner: Some(Account::Name(AccountName::new("ben").expect("a name"))),
        work: Work::from_be_bytes(bytes),
        ..facts(BlockHash::new([1; 32]), Height::new(159))
    }
}

#[test]
fn the_miner_of_a_block_stands_first_and_who_brought_it_second() {
    let brought = Event::BlockConnected {
        block: mined_by_ben(9),
        transactions: 3,
        source: Source::Peer(peer()),
    };
    let told = |name: &str| {
        let mut narrator = Narrator::default();
        narrator.tell(&calls_itself(name, false));
        narrator.tell(&brought).expect("told")
    };
    let tail = tail();
    assert_eq!(
        told("anna"),
        format!("block  159 mined by ben, from anna (…{tail}): 3 transactions; 010101010101")
    );
    assert_eq!(told("ben"), "block  159 mined by ben: 3 transactions; 010101010101");
}

#[test]
fn the_winner_of_a_fork_is_told_whose_block_lost() {
    let mut narrator = Narrator::default();
    let connected = Event::BlockConnected {
        block: mined_by_ben(9),
        transactions: 1,
        source: Source::Peer(peer()),
    };
    narrator.tell(&connected);
    let mut stored = |work| {
        let event = Event::BlockStored {
            block: mined_by_ben(work),
            source: Source::Peer(peer()),
        };
        narrator.tell(&event).expect("told")
    };
    assert!(stored(9).contains("159 mined by ben, from "));
    assert!(stored(9).contains(": kept on a side branch, ours has more work; 010101010101"));
    assert!(!stored(10).contains("ours"), "a long switch to it may have begun");
}

#[test]
fn payments_to_and_from_this_node_are_told_with_their_block() {
    let told = |direction, is_confirmed| {
        let payment = own_payment(direction);
        let event = match is_confirmed {
            true => Event::PaymentConfirmed { payment },
            false => Event::PaymentUnconfirmed { payment },
        };
        human_event(&event).expect("told")
    };
    assert_eq!(
        told(Direction::Out, true),
        "tx     your payment of 5 coins to bob is in block 7; aaaaaaaaaaaa"
    );
    assert_eq!(
        told(Direction::In, true),
        "tx     you received 5 coins from alice in block 7; aaaaaaaaaaaa"
    );
    assert_eq!(
        told(Direction::Out, false),
        "tx     your payment of 5 coins to bob is no longer in block 7; aaaaaaaaaaaa"
    );
    assert_eq!(
        told(Direction::In, false),
        "tx     you no longer have 5 coins from alice: block 7 left the chain; aaaaaaaaaaaa"
    );
}

#[test]
fn a_reorganisation_names_the_payments_that_cannot_come_back() {
    let mut narrator = Narrator::default();
    narrator.tell(&gossiped());
    let told = narrator.tell(&Event::Reorganized {
        depth: 1,
        fork_height: Height::new(1),
        old_tip: BlockHash::new([2; 32]),
        new_tip: BlockHash::new([1; 32]),
        returned: Vec::new(),
        returned_count: 0,
        dropped: vec![Dropped {
            txid: Txid::new([0xaa; 32]),
            code: "owner_changed",
            message: "bob has an owner now".into(),
        }],
        dropped_count: 2,
    });
    let told = told.expect("told");
    let wanted = "2 transactions cannot come back (alice pays bob 5 coins; bob has an owner now, …)";
    assert!(told.contains(wanted), "{told}");
}

#[test]
fn the_ancestors_words_are_kept() {
    let mined = Event::Mined {
        block: facts(BlockHash::new([1; 32]), Height::new(3)),
    };
    assert_eq!(
        human_event(&mined).as_deref(),
        Some("block  New Block Forged: height 3, hash 010101010101")
    );
    let replaced = Event::Reorganized {
        depth: 2,
        fork_height: Height::new(1),
        old_tip: BlockHash::new([2; 32]),
        new_tip: BlockHash::new([1; 32]),
        returned: vec![Txid::new([3; 32])],
        returned_count: 1,
        dropped: Vec::new(),
        dropped_count: 0,
    };
    let told = human_event(&replaced).expect("told");
    assert!(
        told.starts_with("chain  Our chain was replaced: 2 blocks after height 1 went out"),
        "{told}"
    );
    assert!(told.contains("1 transaction"), "{told}");
}

#[test]
fn a_payment_that_no_neighbour_has_is_called_so_after_some_seconds() {
    let words = |known_to_neighbour| {
        let reply = Reply::Transaction {
            tx: crate::testing::samples::transfer(),
            status: TxStatus::Pending,
            reason: None,
            height: None,
            block_hash: None,
            confirmations: None,
            proof: None,
            known_to_neighbour,
            time_ms: Some(WallTime::from_ms(0)),
        };
        human_reply(&reply, Zone::East(60)).lines().last().map(str::to_owned)
    };
    assert_eq!(
        words(Some(false)).as_deref(),
        Some("  waits for a block since 1970-01-01 01:00:00 +01:00; no neighbour has it yet")
    );
    for known in [None, Some(true)] {
        assert_eq!(
            words(known).as_deref(),
            Some("  waits for a block since 1970-01-01 01:00:00 +01:00")
        );
    }
}

#[test]
fn errors_name_their_line_and_end_with_a_hint() {
    let error = CommandError {
        code: "bad_name",
        message: "bad \u{1b}[2J".into(),
        hint: "claim alice".into(),
    };
    assert_eq!(
        human_error(Some(3), &error),
        "error: line 3: bad \\u{1b}[2J\nhint: claim alice"
    );
    assert_eq!(human_error(None, &error), "error: bad \\u{1b}[2J\nhint: claim alice");
}

#[test]
fn balances_are_owned_or_owed() {
    let balance = |balance, pending| {
        human_reply(
            &Reply::Balance {
                account: Account::Name(AccountName::new("bob").expect("a name")),
                balance,
                pending,
                owner: None,
                pending_owner: None,
                pending_owner_height: None,
                own: None,
                will_be_own: false,
                next_sequence: 0,
            },
            Zone::Utc,
        )
    };
    assert_eq!(balance(1, 1), "bob owns 1 coin\n  nobody owns this name yet");
    let expected = "bob owes 5 coins\n  once every waiting transaction is in a block: bob owns 2 coins";
    assert!(balance(-5, 2).starts_with(&expected.replace("bob owns 2", "owns 2")));
}

#[test]
fn every_control_and_hidden_character_is_escaped() {
    let controls = (0..=0x1f)
        .chain(0x7f..=0x9f)
        .chain([0xad, 0x61c, 0x200b, 0x2028, 0x202e, 0x2066, 0xfeff, 0xe0041]);
    for code in controls {
        let c = char::from_u32(code).expect("a character");
        assert_eq!(escape(&format!("a{c}b")), format!("a\\u{{{code:x}}}b"));
    }
    let plain = "alice: 5 coins, größe 10 µs, 例え, \u{1f600}";
    assert_eq!(escape(plain), plain);
}

proptest! {
    /// Whatever a peer calls itself or says, an event stays one line without control characters.
    #[test]
    fn what_a_peer_says_never_reaches_the_terminal_raw(text in any::<String>(), control in "[\u{0}-\u{1f}\u{7f}-\u{9f}\u{202a}-\u{202e}]{1,9}") {
        let hostile = format!("{text}{control}{text}");
        let events = [
            Event::PeerDisconnected { peer_id: hostile.clone(), name: None, name_taken: false, reason: DisconnectReason::Own(hostile.clone().into()) },
            Event::PeerFound { peer_id: hostile.clone(), address: hostile.clone(), found_by: FoundBy::Mdns },
            Event::BlockRejected {
                hash: None, height: None, code: "c", message: hostile.clone(), source: Source::Peer(peer()),
            },
            Event::Warning { code: "c", message: hostile.clone() },
        ];
        for event in events {
            let told = human_event(&event).expect("told");
            prop_assert!(!told.chars().any(is_deceptive), "{:?}", told);
            prop_assert!(told.chars().count() < 12 * 3 * FOREIGN_MAX);
        }
    }
}

#[test]
fn the_first_words_are_five_lines_and_fit_the_terminal() {
    for columns in [200, 80, 50] {
        let started = Event::Started(Box::new(crate::testing::samples::status()));
        let told = Narrator::new(columns).tell(&started).expect("words");
        assert_eq!(told.lines().count(), 5, "{told}");
        assert!(
            told.lines().all(|line| line.chars().count() < columns),
            "{columns}\n{told}"
        );
        let id = crate::testing::samples::id();
        assert_eq!(told.contains(&format!("/p2p/{id}")), columns == 200, "{told}");
        assert!(
            told.contains("listening on /ip4/192.168.1.7/tcp/40123") && told.contains("(+1)"),
            "{told}"
        );
        assert!(told.contains("tx me bob 5"), "{told}");
    }
}

#[test]
fn a_name_whose_claim_waits_shows_who_will_own_it_and_from_which_block_on() {
    let words = |height: Option<u64>, will_be_own| {
        let reply = Reply::Balance {
            account: Account::Name(AccountName::new("carol").expect("a name")),
            balance: 0,
            pending: 0,
            owner: None,
            pending_owner: Some(peer().to_string()),
            pending_owner_height: height.map(Height::new),
            own: None,
            will_be_own,
            next_sequence: 1,
        };
        human_reply(&reply, Zone::Utc)
    };
    assert_eq!(
        words(Some(8), true),
        "carol owns 0 coins\n  yours once block 8 holds the claim"
    );
    assert_eq!(
        words(None, true),
        "carol owns 0 coins\n  yours once a later block holds the claim"
    );
    let theirs = format!("carol owns 0 coins\n  …{} owns it once block 8 holds the claim", tail());
    assert_eq!(words(Some(8), false), theirs);
}

#[test]
fn balance_alone_tells_all_that_this_node_owns_with_the_sum() {
    let own = |account, balance| AccountView {
        account,
        balance,
        owner: Some(peer().to_string()),
    };
    let anna = crate::testing::keys::account("anna");
    let reply = Reply::Balance {
        account: anna.clone(),
        balance: 24,
        pending: 24,
        owner: Some(peer().to_string()),
        pending_owner: None,
        pending_owner_height: None,
        own: Some(vec![own(anna, 24), own(crate::testing::keys::wallet(7), 1)]),
        will_be_own: false,
        next_sequence: 1,
    };
    let told = human_reply(&reply, Zone::Utc);
    assert!(
        told.ends_with("\n  this node owns 25 coins in all: 24 as anna, 1 as the key"),
        "{told}"
    );
}
