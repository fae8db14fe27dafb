//! Chains about branches: which wins, how the difficulty moves, what an invalid branch leaves behind.

use serde_json::Value;

use super::script::Script;
use crate::chain::{Block, Header, NetworkParams};
use crate::testing::blocks::{claim, key, mine, mine_after, pay};

/// Chain files by name.
pub(super) fn chains() -> Vec<(String, Value)> {
    vec![
        retargeting(),
        reorganisation(),
        equal_work(),
        fewer_blocks(),
        invalid_branch(),
        orphan_first(),
    ]
}

/// Blocks without content, each a given number of milliseconds after its parent.
fn branch_after(params: &NetworkParams, from: &Header, miner: u8, later: &[u64]) -> Vec<Block> {
    let mut parent = from.clone();
    let grow = |later: &u64| {
        let block = mine_after(params, &parent, *later, miner, vec![]);
        parent = block.header.clone();
        block
    };
    later.iter().map(grow).collect()
}

fn retargeting() -> (String, Value) {
    let params = NetworkParams::lan();
    let mut script = Script::new(
        "the difficulty rises with each early block, falls with each late one, and has a floor",
        params.clone(),
    );
    let later = [
        0,
        0,
        1,
        9_999,
        10_000,
        10_001,
        2_500,
        17_000,
        600_000,
        0,
        10_000,
        u64::from(u32::MAX),
        4_000,
    ];
    for block in branch_after(&params, &script.tip(), 1, &later) {
        script.step(&block, "connected");
    }
    ("retargeting".into(), script.file())
}

fn reorganisation() -> (String, Value) {
    let params = NetworkParams::dev();
    let anna = Some(key(1).public());
    let mut script = Script::new(
        "a longer branch replaces one with payments; its own payments and claims count",
        params.clone(),
    );
    let fork = mine(&params, &script.tip(), 1, vec![claim(&params, 1, "alice")]);
    let lost_1 = mine(
        &params,
        &fork.header,
        1,
        vec![pay(&params, 1, ("alice", "bob"), None, 5, 1)],
    );
    let lost_2 = mine(&params, &lost_1.header, 1, vec![claim(&params, 3, "carol")]);
    let won_1 = mine(&params, &fork.header, 2, vec![claim(&params, 2, "carol")]);
    let won_2 = mine(
        &params,
        &won_1.header,
        2,
        vec![pay(&params, 2, ("carol", "alice"), anna, 9, 1)],
    );
    let won_3 = mine(&params, &won_2.header, 2, vec![]);
    for block in [&fork, &lost_1, &lost_2] {
        script.step(block, "connected");
    }
    script.step(&lost_2, "already_known");
    script.step(&won_1, "stored");
    let second = if won_2.hash() < lost_2.hash() {
        "reorganized"
    } else {
        "stored"
    };
    script.step(&won_2, second);
    let third = if second == "stored" { "reorganized" } else { "connected" };
    script.step(&won_3, third);
    assert_eq!(script.tip_hash(), won_3.hash());
    // The lost branch grows again, and wins back.
    let back_3 = mine(
        &params,
        &lost_2.header,
        1,
        vec![pay(&params, 3, ("carol", "alice"), anna, 2, 1)],
    );
    let back_4 = mine(&params, &back_3.header, 1, vec![]);
    let first = if back_3.hash() < won_3.hash() {
        "reorganized"
    } else {
        "stored"
    };
    script.step(&back_3, first);
    let second = if first == "stored" { "reorganized" } else { "connected" };
    script.step(&back_4, second);
    ("reorganisation-and-back".into(), script.file())
}

fn equal_work() -> (String, Value) {
    let params = NetworkParams::dev();
    let mut script = Script::new(
        "of blocks with the same work the smallest hash wins, whatever came first",
        params.clone(),
    );
    let parent = script.tip();
    let mut blocks: Vec<Block> = (1..=3).map(|miner| mine(&params, &parent, miner, vec![])).collect();
    blocks.sort_by_key(Block::hash);
    let [smallest, middle, largest] = <[Block; 3]>::try_from(blocks).unwrap();
    script
        .step(&middle, "connected")
        .step(&largest, "stored")
        .step(&smallest, "reorganized");
    ("equal-work-smaller-hash".into(), script.file())
}

fn fewer_blocks() -> (String, Value) {
    let params = NetworkParams::lan();
    let mut script = Script::new(
        "seven early blocks have more work than eight on time; a block weighs its parent's bits",
        params.clone(),
    );
    let genesis = script.tip();
    let on_time = branch_after(&params, &genesis, 1, &[10_000; 8]);
    let early = branch_after(&params, &genesis, 2, &[0; 7]);
    for block in &on_time {
        script.step(block, "connected");
    }
    for block in &early[..6] {
        script.step(block, "stored");
    }
    script.step(&early[6], "reorganized");
    ("fewer-blocks-more-work".into(), script.file())
}

fn invalid_branch() -> (String, Value) {
    let params = NetworkParams::dev();
    let mut script = Script::new(
        "a heavier branch with a bad payment is refused when it is about to win; the tip stays",
        params.clone(),
    );
    let fork = mine(&params, &script.tip(), 1, vec![]);
    let active = mine(&params, &fork.header, 1, vec![claim(&params, 1, "alice")]);
    let tip = mine(&params, &active.header, 1, vec![]);
    let rotten = mine(
        &params,
        &fork.header,
        2,
        vec![pay(&params, 2, ("bob", "eve"), None, 1_001, 0)],
    );
    let second = mine(&params, &rotten.header, 2, vec![]);
    let third = mine(&params, &second.header, 2, vec![]);
    let fourth = mine(&params, &third.header, 2, vec![]);
    for block in [&fork, &active, &tip] {
        script.step(block, "connected");
    }
    script.step(&rotten, "stored");
    let second_wins = second.hash() < tip.hash();
    script.step(&second, if second_wins { "overdraft" } else { "stored" });
    script.step(&third, if second_wins { "known_invalid" } else { "overdraft" });
    // A node that forgot what it learnt may say `unknown_parent` here.
    script.step(&fourth, if second_wins { "unknown_parent" } else { "known_invalid" });
    script.step(&rotten, "known_invalid");
    assert_eq!(script.tip_hash(), tip.hash());
    ("invalid-branch-never-wins".into(), script.file())
}

fn orphan_first() -> (String, Value) {
    let params = NetworkParams::dev();
    let mut script = Script::new(
        "a block without its parent is not accepted, and not invalid either",
        params.clone(),
    );
    let first = mine(&params, &script.tip(), 1, vec![]);
    let second = mine(&params, &first.header, 1, vec![]);
    script
        .step(&second, "unknown_parent")
        .step(&first, "connected")
        .step(&second, "connected");
    ("parent-comes-late".into(), script.file())
}
