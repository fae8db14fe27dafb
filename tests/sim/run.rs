//! The course of one world: faults, quiet, agreement, and life after it.

use lanchain::contract::{AccountRef, Command, MineCommand};
use lanchain::types::{Account, AccountName, Amount};

use crate::checkers::{Figures, arrival, finish};
use crate::fate;
use crate::trace::Depth;
use crate::world::World;

/// Honest nodes must agree this long after the last fault: two rounds in which a claim is not followed (60 s), the
/// longest patience for a slow peer (64 s), and room.
const AGREE_MS: u64 = 240_000;
/// As long as clocks were wrong, blocks of the future may be about; they become valid when the time comes.
const CLOCKS_MS: u64 = 450_000;
/// A block that is mined in peace is everywhere after this time.
const SPREAD_MS: u64 = 90_000;

/// Where machines moved, what was acknowledged is everywhere this long after the last of them is back.
const ARRIVES_MS: u64 = 20_000;

/// What a run gives.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) figures: Figures,
    pub(crate) simulated_ms: u64,
    pub(crate) nodes: usize,
    /// How long agreement took once all was quiet.
    pub(crate) agreed_ms: u64,
    pub(crate) steps: u64,
    pub(crate) trace: [u8; 32],
}

/// Runs a seed to its end; panics with the seed if something does not hold.
pub(crate) fn run(seed: u64, depth: Depth) -> Outcome {
    let mut world = World::new(seed, depth);
    world.run_until(world.plan.faults_ms);
    fate::calm(&mut world);
    let quiet = world.now;
    let deadline = quiet + AGREE_MS + CLOCKS_MS * u64::from(clocks_jump(&world));
    if world.plan.links {
        arrival::arrived(&mut world, ARRIVES_MS);
        arrival::at_once(&mut world);
    }
    wait_for_agreement(&mut world, deadline);
    let agreed_ms = world.now - quiet;
    finish::all(&world);
    live_on(&mut world);
    finish::all(&world);
    twins(&mut world);
    Outcome {
        figures: world.watch.figures,
        simulated_ms: world.now,
        nodes: world.nodes.len(),
        agreed_ms,
        steps: world.steps,
        trace: world.trace.finish(),
    }
}

fn clocks_jump(world: &World) -> bool {
    let jumps = |fault: &crate::plan::Fault| matches!(fault, crate::plan::Fault::ClockJump { .. });
    let liars = world
        .plan
        .nodes
        .iter()
        .any(|node| node.role == crate::roles::Role::TimeLiar);
    liars || world.plan.faults.iter().any(|(_, fault)| jumps(fault))
}

/// Agreement must come and stay for three seconds.
fn wait_for_agreement(world: &mut World, deadline: u64) {
    let mut since: Option<u64> = None;
    let earliest = world.now + 4_000;
    loop {
        world.run_until(world.now + 500);
        match finish::agreement(world) {
            Ok(_) if world.now >= earliest => {
                let begun = *since.get_or_insert(world.now);
                if world.now >= begun + 3_000 {
                    return;
                }
            }
            Ok(_) => {}
            Err(why) => {
                since = None;
                if world.now > deadline {
                    world.fail(&format!("no agreement in quiet: {why}"));
                }
            }
        }
    }
}

/// After the quiet a payment is made and a block mined: all must hear of both.
fn live_on(world: &mut World) {
    let honest: Vec<usize> = world.plan.honest().collect();
    let miner = *world.dice.pick(&honest);
    let payer = *world.dice.pick(&honest);
    let command = Command::Tx {
        from: AccountRef::Me,
        to: AccountRef::Account(Account::Name(AccountName::new("after").expect("a name"))),
        amount: Amount::ONE,
    };
    fate::ask(world, payer, command);
    world.run_until(world.now + 5_000);
    let id = fate::ask(world, miner, Command::Mine(MineCommand::Count(1)));
    let deadline = world.now + 3_600_000;
    while id.is_some_and(|id| world.nodes[miner].asked.contains_key(&id)) {
        world.run_until(world.now + 500);
        if world.now > deadline {
            world.fail(&format!("node {miner} mines nothing in an hour of quiet"));
        }
    }
    let deadline = world.now + SPREAD_MS;
    wait_for_agreement(world, deadline);
    for node in honest {
        if !world.nodes[node].asked.is_empty() {
            world.fail(&format!("node {node} owes replies: {:?}", world.nodes[node].asked));
        }
    }
}

/// A node that is killed and started again has what its twin has that was not.
fn twins(world: &mut World) {
    let honest: Vec<usize> = world.plan.honest().collect();
    let node = *world.dice.pick(&honest);
    let shown = |world: &World| {
        let status = world.nodes[node].engine.as_ref().expect("it runs").status();
        (status.tip, status.work, status.height, status.account)
    };
    let before = shown(world);
    world.crash(node, 100);
    // To the moment of the start: nobody has told it anything yet.
    world.run_until(world.now + 100);
    if shown(world) != before {
        world.fail(&format!("node {node} is not the same after a restart"));
    }
}
