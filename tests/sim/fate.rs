//! What befalls a world: faults and their end, users and their commands, who finds whom.

use lanchain::chain::ChainStore;
use lanchain::contract::{AccountRef, Command, Condition, FoundBy, MineCommand};
use lanchain::engine::{Input, NetFact};
use lanchain::types::{Account, AccountName, Amount, Height};

use crate::node::{Asked, own_name};
use crate::plan::Fault;
use crate::roam;
use crate::world::{Happening, World};

/// Discovery names a neighbour again after this time.
const MEET_AGAIN_MS: u64 = 30_000;
/// Names that everybody uses, so that claims race.
const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

/// Puts the plan into the queue.
pub(crate) fn prepare(world: &mut World) {
    for node in 0..world.nodes.len() {
        let delay = world.dice.below(3_000);
        world.later(delay, Happening::Start { node });
    }
    for (at, fault) in world.plan.faults.clone() {
        world.at_time(at, Happening::Fault(Box::new(fault)));
    }
    for (a, b) in world.plan.acquaintances.clone() {
        let delay = 3_000 + world.dice.below(MEET_AGAIN_MS);
        world.later(delay, Happening::Meet { a, b });
    }
    world.later(2_000, Happening::Command);
}

/// Discovery: each hears where the other is.
pub(crate) fn meet(world: &mut World, a: usize, b: usize) {
    for (node, other) in [(a, b), (b, a)] {
        let reach = world.is_up(node) && world.is_up(other) && world.nodes[node].enabled && world.nodes[other].enabled;
        if reach && !world.net.blocked.contains(&(other, node)) {
            let fact = NetFact::Found {
                peer: world.nodes[other].peer,
                address: world.nodes[other].address.clone(),
                by: FoundBy::Mdns,
                from: None,
            };
            world.tell(node, Input::Net(fact));
        }
    }
    if !world.net.is_linked(a, b) || world.dice.chance(100) {
        world.later(MEET_AGAIN_MS / 2, Happening::Meet { a, b });
    } else {
        world.later(MEET_AGAIN_MS * 4, Happening::Meet { a, b });
    }
}

pub(crate) fn strike(world: &mut World, fault: Fault) {
    if world.quiet {
        return;
    }
    world
        .trace
        .step(world.now, usize::MAX, "fault", || format!("{fault:?}"));
    match &fault {
        Fault::Partition { side, one_way, ms } => {
            for (a, b) in across(world, side) {
                world.net.blocked.insert((a, b));
                if !one_way {
                    world.net.blocked.insert((b, a));
                }
                world.expect_silence(a, b);
            }
            world.later(*ms, Happening::Mend(Box::new(fault.clone())));
        }
        Fault::Pause { node, ms } => {
            // What waits for the end of a pause stays in its order: one pause is never longer or shorter than it was.
            if world.nodes[*node].paused_until > world.now {
                return;
            }
            world.nodes[*node].paused_until = world.now + ms;
            for other in world.net.neighbours(*node) {
                world.expect_silence(*node, other);
            }
        }
        Fault::ClockJump { node, ms } => {
            world.nodes[*node].clock_ahead_ms += ms;
        }
        Fault::Crash { node, outputs, down_ms } => {
            if world.is_up(*node) {
                world.nodes[*node].crash_in = Some((*outputs, *down_ms));
            }
        }
        Fault::DiskFull { node, changes, ms } => {
            world.nodes[*node].store.set_room(Some(*changes));
            world.later(*ms, Happening::Mend(Box::new(fault.clone())));
        }
        Fault::Move { node, how, ms } => roam::leave(world, *node, *how, *ms),
        Fault::NetOff { node, ms } => {
            ask(world, *node, Command::Net(false));
            world.later(*ms, Happening::Mend(Box::new(fault.clone())));
        }
    }
}

/// Pairs of nodes on different sides.
fn across(world: &World, side: &[usize]) -> Vec<(usize, usize)> {
    let count = world.nodes.len();
    let others: Vec<usize> = (0..count).filter(|node| !side.contains(node)).collect();
    side.iter().flat_map(|a| others.iter().map(move |b| (*a, *b))).collect()
}

pub(crate) fn mend(world: &mut World, fault: &Fault) {
    match fault {
        Fault::Partition { side, .. } => {
            for (a, b) in across(world, side) {
                world.net.blocked.remove(&(a, b));
                world.net.blocked.remove(&(b, a));
            }
        }
        Fault::DiskFull { node, .. } => world.nodes[*node].store.set_room(None),
        Fault::NetOff { node, .. } => {
            ask(world, *node, Command::Net(true));
        }
        Fault::Move { node, how, .. } => roam::come_back(world, *node, *how),
        Fault::Pause { .. } | Fault::ClockJump { .. } | Fault::Crash { .. } => {}
    }
}

/// Ends all faults: from here on the honest must find together.
pub(crate) fn calm(world: &mut World) {
    world.quiet = true;
    world.net.blocked.clear();
    world.plan.loss = 0;
    world.plan.duplication = 0;
    world.plan.failure = 0;
    world.plan.turned_away = 0;
    world.plan.delay_ms = world.plan.delay_ms.min(20);
    let honest: Vec<usize> = world.plan.honest().collect();
    for node in 0..world.nodes.len() {
        world.nodes[node].store.set_room(None);
        world.nodes[node].crash_in = None;
        world.nodes[node].clock_ahead_ms = world.nodes[node].clock_ahead_ms.clamp(-20_000, 20_000);
        let delay = world.dice.below(2_000);
        world.later(delay, Happening::Start { node });
        if world.is_up(node) {
            let open: Vec<u64> = world.nodes[node].asked.keys().copied().collect();
            for id in open {
                world.tell(node, Input::Cancel { id });
            }
            ask(world, node, Command::Mine(MineCommand::Off));
            ask(world, node, Command::Net(true));
        }
    }
    // The honest are a connected graph of their own.
    for ends in honest.windows(2) {
        let (a, b) = (ends[0], ends[1]);
        world.plan.acquaintances.push((a, b));
        world.later(2_500, Happening::Meet { a, b });
    }
}

/// A user types something; gives the command's id.
pub(crate) fn ask(world: &mut World, node: usize, command: Command) -> Option<u64> {
    if !world.is_up(node) {
        return None;
    }
    let id = world.nodes[node].next_command;
    world.nodes[node].next_command += 1;
    let asked = Asked {
        command: command.clone(),
    };
    world.nodes[node].asked.insert(id, asked);
    world.tell(node, Input::Command { id, command });
    Some(id)
}

/// A payment that stays valid: nobody claims that name.
pub(crate) fn to_the_till() -> Command {
    Command::Tx {
        from: AccountRef::Me,
        to: AccountRef::Account(Account::Name(name("till"))),
        amount: Amount::ONE,
    }
}

/// A user pays, unless all is to be quiet.
pub(crate) fn pay(world: &mut World, node: usize) {
    if !world.quiet {
        ask(world, node, to_the_till());
    }
}

/// Somebody somewhere types something.
pub(crate) fn command(world: &mut World) {
    if world.quiet {
        return;
    }
    let pause = 1 + world.dice.below(world.plan.command_every_ms * 2);
    world.later(pause, Happening::Command);
    let node = world.dice.index(0, world.nodes.len());
    // Identities of one address have no users, who would mine against the honest ones.
    if world.plan.one_voice && !world.is_honest(node) {
        return;
    }
    let still = world.nodes[node].paused_until > world.now || world.nodes[node].outbox.is_full();
    if !world.is_up(node) || still {
        return;
    }
    let command = invent(world, node);
    let cancels = world.dice.chance(30);
    if let (Some(id), true) = (ask(world, node, command), cancels)
        && world.is_up(node)
        && world.nodes[node].asked.contains_key(&id)
    {
        world.tell(node, Input::Cancel { id });
    }
}

fn name(text: &str) -> AccountName {
    AccountName::new(text).expect("a name")
}

fn account(world: &mut World) -> AccountRef {
    let other = world.dice.index(0, world.nodes.len());
    match world.dice.below(5) {
        0 => AccountRef::Me,
        1 => AccountRef::Account(Account::Key(world.nodes[other].key.public())),
        2 => AccountRef::Account(Account::Name(own_name(other))),
        _ => AccountRef::Account(Account::Name(name(world.dice.pick::<&str>(&NAMES)))),
    }
}

fn invent(world: &mut World, node: usize) -> Command {
    if world.plan.links && world.dice.chance(900) {
        return to_the_till();
    }
    if world.plan.busy && world.dice.chance(950) {
        return payment(world, node);
    }
    let tip = world.nodes[node].store.tip().map_or(0, |(height, _)| height.get());
    // Where all that was acknowledged has to arrive nothing else may change what it needs.
    let kinds = if world.plan.links { 14 } else { 0 };
    match kinds + world.dice.below(24 - kinds) {
        0..=11 => Command::Tx {
            from: if world.dice.chance(500) {
                AccountRef::Me
            } else {
                account(world)
            },
            to: account(world),
            amount: Amount::new(1 + world.dice.below(40)).expect("small"),
        },
        12 | 13 => Command::Claim(name(world.dice.pick::<&str>(&NAMES))),
        14 => Command::Mine(MineCommand::Count(1 + u32::try_from(world.dice.below(2)).unwrap_or(0))),
        15 => Command::Mine(if world.dice.chance(500) {
            MineCommand::On
        } else {
            MineCommand::Off
        }),
        16 => Command::Chain(10),
        17 => Command::Pending,
        18 => Command::Balance(Some(account(world))),
        19 => Command::Tree(10),
        20 => Command::Resolve,
        21 => Command::Wait {
            condition: *world.dice.pick(&[
                Condition::Height(Height::new(tip + 1)),
                Condition::Synced,
                Condition::Peers(1),
            ]),
            seconds: 5,
        },
        22 => {
            let other = world.dice.index(0, world.nodes.len());
            Command::Dial {
                address: world.nodes[other].address.clone(),
                peer: world.dice.chance(500).then_some(world.nodes[other].peer),
            }
        }
        _ => Command::Accounts,
    }
}

/// From one of a node's many accounts to one of anybody's.
fn payment(world: &mut World, node: usize) -> Command {
    let other = world.dice.index(0, world.nodes.len());
    let mut account = |who: usize| {
        let text = format!("u{who}-{}", world.dice.below(40));
        AccountRef::Account(Account::Name(name(&text)))
    };
    Command::Tx {
        from: account(node),
        to: account(other),
        amount: Amount::new(1 + world.dice.below(3)).expect("small"),
    }
}
