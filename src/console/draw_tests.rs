//! How explanations, the sandbox, numbers and the doctor look.

use super::*;
use crate::chain::{Block, Header, NetworkParams, Reward, Transaction};
use crate::contract::{FailureView, InterfaceView, MinerView, TxStatus};
use crate::inspect::explain;
use crate::inspect::tamper::Sandbox;
use crate::testing::blocks::seal;
use crate::testing::keys::account as name;
use crate::testing::samples;
use crate::types::{AccountName, Amount, Height, SecretKey, Work};

fn payment(params: &NetworkParams) -> Transaction {
    let key = SecretKey::from_seed([7; 32]);
    let parties = (name("alice"), name("bob"), None);
    Transaction::transfer(
        &params.network_id(),
        &key,
        parties,
        Amount::new(5).expect("an amount"),
        0,
    )
    .expect("a form")
}

/// A block with a reward and a payment, its nonce found.
fn sample() -> (NetworkParams, Header, Block) {
    let params = NetworkParams::dev();
    let parent = params.genesis();
    let reward = Transaction::Reward(Reward {
        to: name("ben"),
        height: Height::new(1),
    });
    let transactions = vec![reward, payment(&params)];
    let block = seal(&params, &parent, 10_000, transactions);
    (params, parent, block)
}

fn look(columns: usize) -> Look {
    Look {
        columns,
        ..Look::default()
    }
}

/// One reply of each kind that is drawn.
fn replies() -> Vec<Reply> {
    let (params, parent, block) = sample();
    let place = explain::inclusion(&block, 1);
    let network = params.network_id();
    let told = explain::block(&params, &block.header, Some(&parent), (Work::ZERO, false, 2));
    let genesis = explain::block(&params, &parent, None, (Work::ZERO, true, 0));
    let paid = explain::transaction(&block.transactions[1], &network, TxStatus::Confirmed, place);
    let reward = explain::transaction(&block.transactions[0], &network, TxStatus::Pending, None);
    let sandbox = Sandbox {
        hash_rate: 0,
        params: &params,
        network,
        secret: [1; 32],
        parent: &parent,
        block: &block,
        child: None,
    };
    vec![
        Reply::BlockExplained(Box::new(told)),
        Reply::BlockExplained(Box::new(genesis)),
        Reply::TransactionExplained(Box::new(paid)),
        Reply::TransactionExplained(Box::new(reward)),
        Reply::Tampered(Box::new(sandbox.run())),
        Reply::Stats(Box::new(numbers())),
        Reply::Diagnosis(Box::new(ill())),
        samples::acted(AccountName::new("ben").ok(), None),
    ]
}

fn numbers() -> Stats {
    let miner = |text, blocks| MinerView {
        account: name(text),
        owner: None,
        blocks,
    };
    Stats {
        from_height: Height::new(0),
        to_height: Height::new(7),
        transactions: 9,
        spacing_ms: 10_000,
        is_adjusting: true,
        bits: (0..8).map(|step| 1_920_000 + step * 10_000).collect(),
        miners: vec![miner("ben", 6), miner("anna", 2)],
        miners_total: 2,
        accounts_total: 3,
        ..samples::stats()
    }
}

fn ill() -> Diagnosis {
    let reason = "the node does not listen there".to_owned();
    Diagnosis {
        peers: 0,
        interfaces: vec![InterfaceView {
            name: "docker0".into(),
            used: false,
            ..samples::interface(Some(crate::contract::Multicast::Lost), Some(reason))
        }],
        multicast_heard: 0,
        others_heard: Some(1),
        failures: vec![FailureView {
            address: Some("/ip4/10.0.0.9/tcp/4001".into()),
            reason: "\u{1b}[2Jno answer".into(),
            ago_ms: 4_000,
            ..samples::failure(true)
        }],
        clock_ahead_ms: Some(-2_000),
        advice: vec!["connect to a network; nodes of this machine are found all the same".into()],
        ..samples::diagnosis()
    }
}

#[test]
fn nothing_is_wider_than_the_terminal() {
    for columns in [80, 50] {
        for told in replies() {
            let text = reply(&told, look(columns));
            for line in text.lines() {
                // A hash is never broken: it is there to be copied.
                let alone = line.split_whitespace().count() == 1;
                assert!(
                    alone || line.chars().count() <= columns,
                    "{columns} columns:\n{line}\n\n{text}"
                );
            }
        }
    }
}

#[test]
fn colour_is_only_added_and_only_where_it_is_allowed() {
    for told in replies() {
        let plain = reply(&told, look(80));
        assert!(!plain.contains('\u{1b}'), "{plain}");
        let coloured = reply(
            &told,
            Look {
                colour: true,
                ..look(80)
            },
        );
        let mut stripped = coloured.clone();
        for code in ["0", "1", "31", "32", "90"] {
            stripped = stripped.replace(&format!("\u{1b}[{code}m"), "");
        }
        assert_eq!(stripped, plain);
    }
}

#[test]
fn an_explained_block_names_every_byte_and_by_how_much_the_target_is_met() {
    let (params, parent, block) = sample();
    let told = explain::block(&params, &block.header, Some(&parent), (Work::ZERO, true, 2));
    let text = reply(&Reply::BlockExplained(Box::new(told.clone())), look(80));
    for part in [
        "  0-31    previous_hash",
        "  32-63   merkle_root",
        "  64-67   version",
        "  88-95   nonce",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let share = told.share_of_target_ppm.expect("a share");
    let met = format!("it is {}.{:02} % of the target", share / 10_000, share % 10_000 / 100);
    assert!(
        text.split_whitespace().collect::<Vec<_>>().join(" ").contains(&met),
        "{met}\n{text}"
    );
    assert!(text.contains(&told.hash.to_string()), "{text}");
}

#[test]
fn a_path_is_told_step_by_step_up_to_the_root() {
    let (params, _, block) = sample();
    let place = explain::inclusion(&block, 1).expect("a place");
    let told = explain::transaction(
        &block.transactions[1],
        &params.network_id(),
        TxStatus::Confirmed,
        Some(place),
    );
    let text = reply(&Reply::TransactionExplained(Box::new(told)), look(80));
    let step = format!(
        "1. SHA-256(01, sibling {}, so far {}) is",
        short(&block.transactions[0].txid()),
        short(&block.transactions[1].txid())
    );
    assert!(text.contains(&step), "{text}");
    assert!(text.contains(&block.header.merkle_root.to_string()), "{text}");
    assert!(text.contains("the root of the header"), "{text}");
    assert!(text.contains("the signature is valid for them"), "{text}");
}

#[test]
fn a_sparkline_rises_with_its_values_in_both_alphabets() {
    let values: Vec<u32> = (0..8).collect();
    assert_eq!(sparkline(&values, look(80)), "▁▂▃▄▅▆▇█");
    let plain = Look {
        unicode: false,
        ..look(80)
    };
    assert_eq!(sparkline(&values, plain), "_.-:=+*#");
    assert_eq!(sparkline(&[5, 5], look(80)), "▁▁");
    assert_eq!(sparkline(&[1; 500], look(50)).chars().count(), 46);
}

#[test]
fn addresses_of_interfaces_begin_in_one_column_whatever_the_interfaces_are_called() {
    let called = |name: &str| InterfaceView {
        name: name.into(),
        addresses: vec!["10.77.0.1".into()],
        ..samples::interface(None, None)
    };
    let told = Diagnosis {
        interfaces: ["eth0", "以太网", "本地连接 2"].map(called).into(),
        ..ill()
    };
    let text = reply(&Reply::Diagnosis(Box::new(told)), look(80));
    for line in [
        "    used    eth0         10.77.0.1",
        "    used    以太网       10.77.0.1",
        "    used    本地连接 2   10.77.0.1",
    ] {
        assert!(text.lines().any(|told| told == line), "{line}\n{text}");
    }
}

#[test]
fn what_others_said_is_escaped_by_the_doctor() {
    let text = reply(&Reply::Diagnosis(Box::new(ill())), look(80));
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("\\u{1b}[2Jno answer"), "{text}");
    assert!(text.contains("2.0 s behind"), "{text}");
    assert!(text.contains("skipped docker0"), "{text}");
    assert!(
        text.contains("multicast: sent and not heard again on docker0"),
        "{text}"
    );
    assert!(text.contains("multicast: 1 other machine spoke"), "{text}");
}
