//! The chain made visible: explanations, drawings, the sandbox, numbers, splits by hand.

use super::world::World;
use crate::chain::stages::{Body, Received};
use crate::chain::{Block, merkle};
use crate::contract::{
    BlockExplained, BlockRef, Command, CommandError, Event, LayoutPart, PeerAct, PeerRef, Reply, Stats, Tampered,
    TipView, TreeBlock, TxExplained, TxRef, TxStatus,
};
use crate::engine::Input;
use crate::inspect::tamper::{Copy, Sandbox};
use crate::types::{Height, PeerId, SecretKey, Txid, WallTime};

fn at(height: u64) -> BlockRef {
    BlockRef::Height(Height::new(height))
}

fn explain_block(world: &mut World, height: u64) -> BlockExplained {
    match world.ask(0, Command::ExplainBlock(at(height))) {
        Ok(Reply::BlockExplained(told)) => *told,
        other => panic!("{other:?}"),
    }
}

fn explain_tx(world: &mut World, wanted: TxRef) -> TxExplained {
    match world.ask(0, Command::ExplainTransaction(wanted)) {
        Ok(Reply::TransactionExplained(told)) => *told,
        other => panic!("{other:?}"),
    }
}

fn tamper(world: &mut World, height: u64) -> Tampered {
    match world.ask(0, Command::Tamper(Height::new(height))) {
        Ok(Reply::Tampered(told)) => *told,
        other => panic!("{other:?}"),
    }
}

fn tree(world: &mut World) -> (Vec<TipView>, Vec<TreeBlock>) {
    match world.ask(0, Command::Tree(10)) {
        Ok(Reply::Tree { tips, blocks }) => (tips, blocks),
        other => panic!("{other:?}"),
    }
}

fn paid(reply: Result<Reply, CommandError>) -> Txid {
    match reply {
        Ok(Reply::Tx { tx, .. }) => tx.txid,
        other => panic!("{other:?}"),
    }
}

/// The bytes of the parts, one after the other; they must neither overlap nor leave a gap.
fn bytes_of(parts: &[LayoutPart]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        assert_eq!(usize::try_from(part.offset).unwrap(), bytes.len(), "{}", part.name);
        bytes.extend(hex::decode(&part.hex).unwrap());
        assert_eq!(usize::try_from(part.offset + part.length).unwrap(), bytes.len());
    }
    bytes
}

#[test]
fn an_explained_header_covers_96_bytes_and_its_hash_lies_below_the_target() {
    let mut world = World::new(1);
    world.mine(0, 2);
    let told = explain_block(&mut world, 2);
    let bytes = bytes_of(&told.parts);
    assert_eq!((bytes.len(), hex::encode(&bytes)), (96, told.header.clone()));
    assert_eq!(crate::types::hash::sha256(&[&bytes]), *told.hash.as_bytes());
    assert!(told.hash.to_string() < told.target);
    assert!(told.target.starts_with("0001000"), "{}", told.target);
    assert_eq!((told.target_zero_bits, told.expected_attempts), (16, 65_536));
    assert!(told.hash_zero_bits >= 16);
    let top = u64::from_str_radix(&told.hash.to_string()[..12], 16).unwrap();
    assert_eq!(told.share_of_target_ppm, Some(top * 1_000_000 / (1 << 32)));
    let names: Vec<_> = told.parts.iter().map(|part| part.name).collect();
    assert_eq!(
        names,
        [
            "previous_hash",
            "merkle_root",
            "version",
            "bits",
            "height",
            "time",
            "nonce"
        ]
    );
    assert_eq!(told.adds_work.to_f64(), 65_536.0);
    let genesis = explain_block(&mut world, 0);
    assert_eq!((genesis.share_of_target_ppm, genesis.parent_bits), (None, None));
    assert_eq!(genesis.parts[5].value, "2026-01-01 00:00:00.000 UTC");
}

#[test]
fn times_are_told_by_the_calendar() {
    let cases = [
        (0, "1970-01-01 00:00:00.000 UTC"),
        (951_782_399_999, "2000-02-28 23:59:59.999 UTC"),
        (951_782_400_000, "2000-02-29 00:00:00.000 UTC"),
        (951_868_800_000, "2000-03-01 00:00:00.000 UTC"),
        (1_735_689_599_000, "2024-12-31 23:59:59.000 UTC"),
        (4_107_542_400_001, "2100-03-01 00:00:00.001 UTC"),
    ];
    for (ms, text) in cases {
        assert_eq!(crate::types::time::utc(WallTime::from_ms(ms)), text);
    }
}

#[test]
fn an_explained_payment_shows_what_is_signed_and_the_way_to_the_root() {
    let mut world = World::new(1);
    let ids: Vec<Txid> = (1..=4)
        .map(|amount| paid(world.pay(0, "alice", "bob", amount)))
        .collect();
    let waiting = explain_tx(&mut world, ids[2].into());
    assert_eq!((waiting.status, waiting.inclusion), (TxStatus::Pending, None));
    world.mine(0, 1);
    for id in ids {
        let told = explain_tx(&mut world, id.into());
        let raw = bytes_of(&told.parts);
        assert_eq!(hex::encode(&raw), told.raw);
        let id_again = crate::types::hash::sha256(&[&[0], &raw]);
        assert_eq!(id_again, *told.txid.as_bytes());
        let signed = bytes_of(&told.signed_parts);
        assert_eq!(told.signed, Some(hex::encode(&signed)));
        // The network first, then the bytes up to the signature.
        assert_eq!(signed[23..55], *world.params.network_id().as_bytes());
        assert_eq!(signed[55..], raw[..raw.len() - 64]);
        assert_eq!(told.signature_valid, Some(true));
        let place = told.inclusion.unwrap();
        assert_eq!((place.height, place.transactions), (Height::new(1), 5));
        assert_eq!(place.root, place.merkle_root);
        let mut hash = crate::types::MerkleRoot::new(*told.txid.as_bytes());
        for step in &place.path {
            assert!(step.left == hash || step.right == hash);
            assert_eq!(step.hash, merkle::node(&step.left, &step.right));
            hash = step.hash;
        }
        assert_eq!(hash, place.root);
        assert!(!place.path.is_empty());
    }
}

#[test]
fn a_reward_is_explained_without_a_signature() {
    let mut world = World::new(1);
    let Reply::Mined { blocks, .. } = world.mine(0, 1) else {
        panic!("no block")
    };
    let told = explain_tx(&mut world, blocks[0].transactions[0].txid.into());
    assert_eq!((told.kind, told.signed, told.signature_valid), ("reward", None, None));
    assert_eq!(told.inclusion.unwrap().path, []);
}

#[test]
fn the_first_digits_of_an_id_are_enough_while_they_are_unique() {
    let mut world = World::new(1);
    let ids: Vec<String> = (1..=40)
        .map(|amount| paid(world.pay(0, "alice", "bob", amount)).to_string())
        .collect();
    let ask = |world: &mut World, prefix: &str| world.ask(0, Command::Transaction(TxRef::Prefix(prefix.to_owned())));
    for mined in [false, true] {
        if mined {
            world.mine(0, 1);
        }
        match ask(&mut world, &ids[7][..10]) {
            Ok(Reply::Transaction { tx, .. }) => assert_eq!(tx.txid.to_string(), ids[7]),
            other => panic!("{other:?}"),
        }
        // Of forty ids two share a first digit.
        let shared = ids
            .iter()
            .find(|id| ids.iter().filter(|other| other[..1] == id[..1]).count() > 1)
            .unwrap();
        let error = ask(&mut world, &shared[..1]).unwrap_err();
        assert_eq!(error.code, "ambiguous");
        let free = ["fffffff0", "0000000f"]
            .into_iter()
            .find(|free| !ids.iter().any(|id| id.starts_with(free)));
        assert_eq!(ask(&mut world, free.unwrap()).unwrap_err().code, "unknown_transaction");
    }
}

/// Two nodes apart, one of which wins: the other's blocks are stale.
fn forked() -> World {
    let mut world = World::new(2);
    world.mine(0, 1);
    world.link(0, 1);
    world.until(10_000, |world| world.height(1) == 1);
    world.split(0, 1);
    world.run(200);
    world.mine(0, 2);
    world.mine(1, 12);
    world.cut.clear();
    world.link(0, 1);
    world.until(30_000, |world| world.tip(0) == world.tip(1));
    world
}

#[test]
fn a_healed_fork_is_drawn_with_its_stale_blocks_and_who_found_them() {
    let mut world = forked();
    let (tips, blocks) = tree(&mut world);
    assert_eq!(tips.len(), 2);
    let stale: Vec<&TreeBlock> = blocks.iter().filter(|block| !block.active).collect();
    assert_eq!(stale.iter().map(|block| block.height.get()).collect::<Vec<_>>(), [3, 2]);
    let loser = world.nodes[0].peer.to_string();
    assert!(
        stale
            .iter()
            .all(|block| block.miner.as_ref().unwrap().to_string() == loser)
    );
    assert_eq!(stale[0].below, Some(stale[1].hash));
    let fork = blocks.iter().find(|block| block.height.get() == 1).unwrap();
    assert_eq!((stale[1].below, fork.active), (Some(fork.hash), true));
    // Whoever follows `below` from a tip comes to genesis, and counts every block.
    for tip in &tips {
        let (mut at, mut counted) = (tip.hash, 0);
        loop {
            let block = blocks.iter().find(|block| block.hash == at).unwrap();
            let Some(below) = block.below else { break };
            counted += block.skipped + 1;
            at = below;
        }
        assert_eq!(counted, tip.height.get());
    }
    assert!(blocks.iter().any(|block| block.skipped > 0));
    assert!(blocks.windows(2).all(|pair| pair[0].height >= pair[1].height));
}

#[test]
fn every_change_of_a_payment_is_refused_by_the_rule_that_it_breaks() {
    let mut world = World::new(1);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.mine(0, 2);
    let before = (world.tip(0), world.nodes[0].kinds.len());
    let told = tamper(&mut world, 1);
    let codes: Vec<_> = told
        .changes
        .iter()
        .map(|change| change.code.unwrap_or("accepted"))
        .collect();
    let wanted = [
        "bad_merkle_root",
        "bad_proof_of_work",
        "bad_signature",
        "not_linked",
        "bad_target",
        "time_too_old",
        "bad_height",
        "not_linked",
    ];
    assert_eq!(codes, wanted);
    assert!(
        told.changes[0].change.contains("pays 6 instead of 5"),
        "{}",
        told.changes[0].change
    );
    // What was mined again has another hash; the real block stays.
    assert_ne!(told.changes[2].hash, told.hash);
    assert_eq!(
        (world.tip(0), world.nodes[0].kinds.len()),
        (before.0, before.1 + 1),
        "only the reply"
    );
    match world.ask(0, Command::Block(at(1))) {
        Ok(Reply::Block(block)) => assert_eq!(block.hash, told.hash),
        other => panic!("{other:?}"),
    }
}

/// What another node says of a block that is not in its chain.
fn verdict_elsewhere(block: &Block) -> Option<(&'static str, String)> {
    let mut world = World::new(2);
    world.run(500);
    let received = Received::new(block.header.clone());
    let source = crate::contract::Source::Peer(world.nodes[0].peer);
    world.nodes[1]
        .engine
        .offer(received, Body::from(block.clone()).into(), source);
    world.tell(1, Input::Tick);
    let rejected = |event: &Event| match event {
        Event::BlockRejected { code, message, .. } => Some((*code, message.clone())),
        _ => None,
    };
    let told = world.nodes[1].events.iter().find_map(rejected);
    let takes = told.is_none() && block.header.previous == world.params.genesis().hash();
    assert_eq!(world.tip(1) == block.hash(), takes, "it takes what it does not refuse");
    told
}

#[test]
fn another_node_refuses_the_same_copies_by_the_same_rules() {
    let mut world = World::new(1);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.mine(0, 1);
    let told = tamper(&mut world, 1);
    let (params, genesis) = (world.params.clone(), world.params.genesis());
    let hash = world.tip(0);
    let block = world.nodes[0]
        .engine
        .view()
        .body_of(&hash)
        .unwrap()
        .expect("it was just found");
    let sandbox = Sandbox {
        hash_rate: 0,
        params: &params,
        network: params.network_id(),
        secret: [7; 32],
        parent: &genesis,
        block: &block,
        child: None,
    };
    let copies = sandbox.copies();
    assert_eq!(copies.len(), told.changes.len());
    for (Copy { what, block, .. }, here) in copies.iter().zip(&told.changes) {
        assert_eq!((what, block.hash()), (&here.change, here.hash));
        // A node does not know that there is no such parent: it asks for it, and does not take the block.
        let here = here.code.filter(|code| *code != "not_linked").zip(here.message.clone());
        assert_eq!(verdict_elsewhere(block), here, "{what}");
    }
    assert_eq!(verdict_elsewhere(&block), None, "the block itself is taken");
}

#[test]
fn a_stolen_reward_makes_a_valid_rival_on_which_nothing_builds() {
    let mut world = World::new(1);
    world.mine(0, 2);
    let told = tamper(&mut world, 1);
    assert_eq!(told.changes[0].code, Some("bad_merkle_root"));
    assert!(told.changes[2].accepted, "{:?}", told.changes[2]);
    assert_eq!(told.changes[3].code, Some("not_linked"));
    assert_eq!(tamper(&mut world, 2).changes.len(), 7, "nothing stands on the tip");
    let refused = |world: &mut World, height| world.ask(0, Command::Tamper(Height::new(height))).unwrap_err().code;
    assert_eq!(refused(&mut world, 0), "bad_argument");
    assert_eq!(refused(&mut world, 9), "unknown_block");
}

#[test]
fn numbers_tell_who_found_blocks_and_how_long_they_took() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    world.pay(0, "alice", "bob", 5).unwrap();
    world.mine(0, 3);
    world.until(10_000, |world| world.height(1) == 3);
    world.mine(1, 1);
    world.until(10_000, |world| world.height(0) == 4);
    let ask = |world: &mut World, limit| match world.ask(0, Command::Stats(limit)) {
        Ok(Reply::Stats(stats)) => *stats,
        other => panic!("{other:?}"),
    };
    let stats: Stats = ask(&mut world, 100);
    assert_eq!((stats.from_height.get(), stats.to_height.get()), (0, 4));
    assert_eq!((stats.transactions, stats.bits.len(), stats.miners_total), (5, 5, 2));
    let found: Vec<_> = stats.miners.iter().map(|miner| miner.blocks).collect();
    assert_eq!(found, [3, 1]);
    let times = stats.intervals.unwrap();
    // Of four blocks three stand on one that was mined.
    assert_eq!(times.count, 3);
    assert!(times.shortest_ms <= times.median_ms && times.median_ms <= times.longest_ms);
    let rich: Vec<_> = stats.richest.iter().map(|view| view.balance).collect();
    assert_eq!(rich, [5, 3, 1], "alice owes and is not rich");
    assert_eq!(ask(&mut world, 2).bits.len(), 2);
}

fn act(world: &mut World, text: &str, act: PeerAct) -> Result<Reply, CommandError> {
    let peer = PeerRef::Text(text.to_owned());
    world.ask(0, Command::Peer { peer, act })
}

#[test]
fn a_banned_node_is_let_in_again_when_its_time_is_over_or_by_hand() {
    let mut world = World::new(2);
    world.link(0, 1);
    world.run(500);
    let ben = world.nodes[1].peer.to_string();
    let tail = ben[ben.len() - 8..].to_owned();
    let banned = |world: &mut World| match world.ask(0, Command::Peers) {
        Ok(Reply::Peers { peers, banned }) => (peers.len(), banned.len()),
        other => panic!("{other:?}"),
    };
    assert_eq!(banned(&mut world), (1, 0));
    let Ok(Reply::PeerActed(told)) = act(&mut world, &tail, PeerAct::Ban { minutes: 2 }) else {
        panic!("no ban")
    };
    assert_eq!((told.peer_id, told.banned_ms), (ben.clone(), Some(120_000)));
    let lost = |event: &Event| matches!(event, Event::PeerDisconnected { .. });
    world.until(5_000, |world| world.nodes[0].events.iter().any(lost));
    assert_eq!(banned(&mut world), (0, 1));
    world.link(0, 1);
    assert_eq!(banned(&mut world), (0, 1));
    act(&mut world, &tail, PeerAct::Unban).unwrap();
    assert_eq!(banned(&mut world), (0, 0));
    world.link(0, 1);
    world.run(500);
    assert_eq!(banned(&mut world).0, 1);
    act(&mut world, &tail, PeerAct::Ban { minutes: 1 }).unwrap();
    world.run(61_000);
    assert_eq!(banned(&mut world).1, 0);
    assert_eq!(act(&mut world, &tail, PeerAct::Unban).unwrap_err().code, "unknown_peer");
}

#[test]
fn whom_words_mean_is_told_and_never_guessed() {
    let mut world = World::new(3);
    world.link(0, 1);
    world.link(0, 2);
    world.run(500);
    assert_eq!(
        act(&mut world, "nobody", PeerAct::Drop).unwrap_err().code,
        "unknown_peer"
    );
    // Both PeerIds end with the empty text.
    let error = act(&mut world, "", PeerAct::Drop).unwrap_err();
    assert_eq!(error.code, "ambiguous");
    assert!(error.hint.starts_with("drop 12D3"), "{}", error.hint);
    let whole = PeerRef::Id(world.nodes[2].peer);
    let drop = Command::Peer {
        peer: whole,
        act: PeerAct::Drop,
    };
    world.ask(0, drop).unwrap();
    world.until(5_000, |world| {
        let gone = world.nodes[2].peer.to_string();
        let lost = |event: &Event| matches!(event, Event::PeerDisconnected { peer_id, .. } if *peer_id == gone);
        world.nodes[0].events.iter().any(lost)
    });
    // Somebody who is not there can be refused beforehand.
    let stranger: PeerId = SecretKey::from_seed([99; 32]).public().peer_id();
    let ban = Command::Peer {
        peer: PeerRef::Id(stranger),
        act: PeerAct::Ban { minutes: 5 },
    };
    world.ask(0, ban).unwrap();
}

#[test]
fn a_reply_with_many_full_blocks_has_the_first_of_them_and_names_the_others() {
    let mut world = World::new(1);
    for payer in ["ann", "ben", "cid"] {
        for _ in 0..900 {
            world.pay(0, payer, "bob", 1).unwrap();
        }
        world.mine(0, 1);
    }
    world.mine(0, 2);
    let Ok(Reply::Chain { length, blocks, rest }) = world.ask(0, Command::Chain(9)) else {
        panic!("no chain");
    };
    assert_eq!(length, 6);
    // Two empty ones, and full ones up to 256 KiB.
    let heights: Vec<u64> = blocks.iter().map(|block| block.height.get()).collect();
    assert_eq!(heights, [5, 4, 3, 2]);
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[0], blocks[3].previous_hash);
    // Each of the others is asked for by its hash.
    let block = world.ask(0, Command::Block(BlockRef::Hash(rest[0]))).unwrap();
    let Reply::Block(block) = block else {
        panic!("{block:?}")
    };
    assert_eq!((block.height.get(), block.previous_hash), (1, rest[1]));
    assert_eq!(block.transactions.len(), 901);
    let Ok(Reply::Chain { blocks, rest, .. }) = world.ask(0, Command::Chain(2)) else {
        panic!("no chain");
    };
    assert_eq!((blocks.len(), rest.len()), (2, 0));
}
