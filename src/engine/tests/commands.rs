//! Commands: replies, refusals, and what stands before them.

use super::world::{World, address, key};
use crate::contract::{AccountRef, BlockRef, Command, CommandError, Condition, Event, MineCommand, Reply};
use crate::engine::{Input, NetFact, StoreFact};
use crate::testing::keys::name;
use crate::types::{Account, AccountName, Address, Amount, Height};

fn balance(world: &mut World, node: usize, text: &str) -> (i64, i64, Option<String>, u64) {
    let account = AccountRef::Account(Account::Name(name(text)));
    match world.ask(node, Command::Balance(Some(account))).unwrap() {
        Reply::Balance {
            balance,
            pending,
            owner,
            next_sequence,
            ..
        } => (balance, pending, owner, next_sequence),
        other => panic!("{other:?}"),
    }
}

fn code(result: Result<Reply, crate::contract::CommandError>) -> &'static str {
    let error = result.unwrap_err();
    assert!(!error.hint.is_empty());
    error.code
}

impl World {
    pub(super) fn pay(&mut self, node: usize, from: &str, to: &str, amount: u64) -> Result<Reply, CommandError> {
        let account = |name: &str| match name {
            "me" => AccountRef::Me,
            name => AccountRef::Account(Account::Name(AccountName::new(name).unwrap())),
        };
        let command = Command::Tx {
            from: account(from),
            to: account(to),
            amount: Amount::new(amount).unwrap(),
        };
        self.ask(node, command)
    }
}

#[test]
fn mining_answers_with_the_ancestors_words_behind_its_events() {
    let mut world = World::new(1);
    match world.mine(0, 2) {
        Reply::Mined {
            message, count, blocks, ..
        } => {
            assert_eq!((message.as_str(), count, blocks.len()), ("New Block Forged", 2, 2));
            assert_eq!(blocks[1].previous_hash, blocks[0].hash);
            assert!(blocks[0].hash.to_string().starts_with("0000"));
            assert_eq!(blocks[0].transactions[0].from, "0");
        }
        other => panic!("{other:?}"),
    }
    let log = &world.nodes[0].log;
    let words: Vec<&str> = log.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let wanted = [
        "Started(NodeStatus",
        "Mined",
        "BlockConnected",
        "Mined",
        "BlockConnected",
        "reply",
    ];
    assert_eq!(words, wanted);
}

#[test]
fn started_comes_once_and_names_every_interface_the_loopback_last() {
    let mut world = World::new(1);
    for text in ["/ip4/127.0.0.1/tcp/1", "/ip4/10.1.2.3/tcp/1"] {
        let (interface, _) = Address::parse(text).unwrap();
        world.tell(0, Input::Net(NetFact::Listening(interface)));
    }
    world.run(1_000);
    let started: Vec<_> = world.nodes[0]
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Started(status) => Some(status.addresses.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(started.len(), 1);
    let hosts: Vec<&str> = started[0].iter().map(|text| text.split('/').nth(2).unwrap()).collect();
    assert_eq!(hosts.len(), 3);
    assert_eq!(hosts[1..], ["10.1.2.3", "127.0.0.1"]);
}

#[test]
fn a_payment_on_credit_makes_a_debt_and_claims_the_name() {
    let mut world = World::new(1);
    world.pay(0, "alice", "bob", 5).unwrap();
    assert_eq!(balance(&mut world, 0, "alice"), (0, -5, None, 1));
    world.mine(0, 1);
    let me = world.nodes[0].peer.to_string();
    assert_eq!(balance(&mut world, 0, "alice"), (-5, -5, Some(me), 1));
    assert_eq!(balance(&mut world, 0, "bob"), (5, 5, None, 0));
}

#[test]
fn a_name_of_another_key_on_this_machine_is_refused_with_the_way_to_its_node() {
    let mut world = World::new(2);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.link(0, 1);
    world.mine(0, 1);
    world.run(3_000);
    let owner = world.nodes[0].engine.node.me;
    let how = "it is in the folder anna here: `lanchain --name anna` starts its node";
    let refused = |world: &mut World| world.pay(1, "alice", "bob", 5).unwrap_err().message;
    assert!(!refused(&mut world).contains("folder"));
    world.nodes[1]
        .engine
        .node
        .config
        .keys_here
        .push((owner, how.to_owned()));
    assert!(refused(&mut world).ends_with(how), "{}", refused(&mut world));
    let claim = world
        .ask(1, Command::Claim(AccountName::new("alice").unwrap()))
        .unwrap_err();
    assert!(claim.message.ends_with(how), "{}", claim.message);
}

#[test]
fn refusals_name_their_code_and_a_way_out() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.until(3_000, |world| world.nodes[1].engine.status().pending == 1);
    assert_eq!(code(world.pay(1, "alice", "bob", 5)), "not_owner");
    let id = world.nodes[0].peer.to_string();
    let from_key = Command::Tx {
        from: AccountRef::Account(Account::Key(key(0).public())),
        to: AccountRef::Account(Account::Name(name("bob"))),
        amount: Amount::new(1).unwrap(),
    };
    let theirs = world.ask(1, from_key).unwrap_err();
    assert_eq!((theirs.code, theirs.message.matches(&id).count()), ("not_owner", 1));
    assert_eq!(code(world.pay(0, "alice", "alice", 5)), "self_transfer");
    assert_eq!(code(world.pay(0, "alice", "bob", 5_000)), "overdraft");
    assert_eq!(code(world.ask(1, Command::Claim(name("alice")))), "already_claimed");
    let height = BlockRef::Height(Height::new(99));
    assert_eq!(code(world.ask(0, Command::Block(height))), "unknown_block");
    let txid = crate::types::Txid::ZERO;
    assert_eq!(
        code(world.ask(0, Command::Transaction(txid.into()))),
        "unknown_transaction"
    );
    let wait = |condition| Command::Wait { condition, seconds: 1 };
    assert_eq!(code(world.ask(0, wait(Condition::Peers(7)))), "timeout");
}

#[test]
fn a_cancelled_command_is_interrupted_once() {
    let mut world = World::new(1);
    world.run(100);
    let id = world.command(0, Command::Mine(MineCommand::Count(10_000)));
    world.tell(0, Input::Cancel { id });
    world.tell(0, Input::Cancel { id });
    assert_eq!(code(world.nodes[0].replies[&id].clone()), "interrupted");
}

#[test]
fn a_name_of_ones_own_is_claimed_at_the_start_and_earns_when_it_is_confirmed() {
    let mut world = World::with(1, crate::chain::NetworkParams::dev(), |config| {
        config.name = Some(AccountName::new("anna").unwrap());
    });
    world.until(1_000, |world| world.nodes[0].engine.status().pending == 1);
    let key = world.nodes[0].engine.status().account;
    assert!(matches!(key, Account::Key(_)));
    world.mine(0, 3);
    assert_eq!(balance(&mut world, 0, "anna").0, 2);
    assert_eq!(world.nodes[0].engine.status().account, Account::Name(name("anna")));
}

#[test]
fn dial_answers_when_the_peers_status_is_known() {
    let mut world = World::new(2);
    let dial = Command::Dial {
        address: address(1),
        peer: None,
    };
    match world.ask(0, dial).unwrap() {
        Reply::Dialled { peer_id, message, .. } => {
            assert_eq!(peer_id, world.nodes[1].peer.to_string());
            assert_eq!(message, "New nodes have been added");
        }
        other => panic!("{other:?}"),
    }
    let nobody = Command::Dial {
        address: address(40),
        peer: None,
    };
    let before = world.now;
    assert_eq!(code(world.ask(0, nobody)), "dial_failed");
    assert_eq!(world.now.since(before), 10_000);
}

#[test]
fn the_cable_can_be_pulled_and_plugged() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let dial = Command::Dial {
        address: address(1),
        peer: None,
    };
    world.ask(0, dial).unwrap();
    world.ask(0, Command::Net(false)).unwrap();
    world.run(20_000);
    assert_eq!(world.nodes[0].engine.status().peers, 0);
    world.mine(0, 2);
    world.ask(0, Command::Net(true)).unwrap();
    world.until(10_000, |world| world.height(1) == 2);
}

#[test]
fn a_lonely_node_is_told_once_how_to_join_by_hand() {
    let mut world = World::new(1);
    world.run(60_000);
    let told: Vec<&Event> = world.nodes[0]
        .events
        .iter()
        .filter(|event| matches!(event, Event::Warning { code: "alone", .. }))
        .collect();
    assert_eq!(told.len(), 1);
    assert!(format!("{told:?}").contains("dial /ip4/10.0.0.1/tcp/4001"));
}

#[test]
fn a_failing_disk_makes_the_node_read_only_until_it_was_reopened() {
    let mut world = World::new(1);
    world.mine(0, 1);
    let id = world.command(0, Command::Mine(MineCommand::Count(10)));
    let failed = StoreFact::Failed {
        reason: "no space".into(),
    };
    world.tell(0, Input::Store(failed));
    assert_eq!(code(world.nodes[0].replies[&id].clone()), "read_only");
    assert_eq!(code(world.pay(0, "alice", "bob", 5)), "read_only");
    world.tell(0, Input::Store(StoreFact::Reopened));
    world.mine(0, 1);
    assert_eq!(world.height(0), 2);
}

#[test]
fn what_a_full_disk_refused_is_in_no_answer() {
    let mut world = World::new(1);
    world.mine(0, 3);
    let before = world.ask(0, Command::Status).unwrap();
    world.nodes[0].disk_full = true;
    world.pay(0, "alice", "bob", 5).unwrap();
    world.mine(0, 1);
    world.pay(0, "alice", "bob", 6).unwrap();
    let failed = StoreFact::Failed {
        reason: "no space".into(),
    };
    world.tell(0, Input::Store(failed));
    let told = |world: &mut World| match (world.ask(0, Command::Status).unwrap(), &before) {
        (Reply::Status(now), Reply::Status(before)) => {
            assert_eq!(
                (now.height, now.tip, now.work),
                (before.height, before.tip, before.work)
            );
            now.pending
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(told(&mut world), 0);
    assert_eq!(balance(&mut world, 0, "alice").1, 0);
    world.nodes[0].disk_full = false;
    world.tell(0, Input::Store(StoreFact::Reopened));
    assert_eq!(told(&mut world), 0);
    world.pay(0, "alice", "bob", 7).unwrap();
    world.mine(0, 1);
    assert_eq!((world.height(0), balance(&mut world, 0, "bob").0), (4, 7));
}

#[test]
fn waiting_ends_when_the_condition_holds() {
    let mut world = World::new(2);
    let wait = Command::Wait {
        condition: Condition::Height(Height::new(2)),
        seconds: 60,
    };
    let id = world.command(0, wait);
    world.link(0, 1);
    world.mine(1, 2);
    world.until(5_000, |world| world.nodes[0].replies.contains_key(&id));
    let synced = Command::Wait {
        condition: Condition::Synced,
        seconds: 5,
    };
    assert!(world.ask(0, synced).is_ok());
}
