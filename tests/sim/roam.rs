//! Machines that move: a cable that is out for some seconds, another address, `net off` and `net on`, a process that is
//! killed, a power cut. What they leave behind at the others is a connection that is dead.
//!
//! Elsewhere: what a connection is (`wires`), what must have arrived everywhere (`checkers::arrived`).

use lanchain::contract::Command;
use lanchain::engine::{Input, NetFact};

use crate::dice::Dice;
use crate::fate;
use crate::node::address;
use crate::plan::{FAULTS_MS, Fault};
use crate::world::{Happening, World};

/// Each move takes an address that nobody had.
const ADDRESSES_APART: usize = 50;
/// The last move ends so long before the quiet.
const BEFORE_QUIET_MS: u64 = 2_000;
/// The longest absence.
const AWAY_MAX_MS: u64 = 9_000;

/// How a machine goes and comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Move {
    /// The cable is out; it comes back at another address.
    Cable,
    /// It says `net off` when the cable is out already, and `net on` elsewhere.
    NetOff,
    /// It is killed when the cable is out already, and starts elsewhere.
    Kill,
    /// Its power fails; it is back at the same address.
    Power,
}

const MOVES: [Move; 4] = [Move::Cable, Move::NetOff, Move::Kill, Move::Power];

/// Moves, some of them while another machine is away.
pub(crate) fn deal(dice: &mut Dice, count: usize) -> Vec<(u64, Fault)> {
    let number = 4 + dice.below(9);
    let last = FAULTS_MS - BEFORE_QUIET_MS - AWAY_MAX_MS;
    let mut list: Vec<(u64, Fault)> = (0..number)
        .map(|_| {
            let at = 6_000 + dice.below(last - 6_000);
            let (node, how) = (dice.index(0, count), *dice.pick(&MOVES));
            let ms = 100 + dice.below(AWAY_MAX_MS - 100);
            (at, Fault::Move { node, how, ms })
        })
        .collect();
    list.sort_by_key(|(at, _)| *at);
    list
}

/// A machine goes; unless it is away already.
pub(crate) fn leave(world: &mut World, node: usize, how: Move, ms: u64) {
    if !world.is_up(node) || world.nodes[node].is_away {
        return;
    }
    world.nodes[node].is_away = true;
    block(world, node, true);
    let old = world.nodes[node].address.clone();
    if !matches!(how, Move::Power) {
        world.cut_wires(node);
        world.nodes[node].moves += 1;
        world.nodes[node].address = address(node + ADDRESSES_APART * world.nodes[node].moves);
    }
    match how {
        Move::Cable => world.tell_later(1, node, Input::Net(NetFact::NotListening(old))),
        Move::NetOff => drop(fate::ask(world, node, Command::Net(false))),
        Move::Kill | Move::Power => {
            world.nodes[node].loses_power = true;
            world.crash(node, ms);
            world.nodes[node].loses_power = false;
        }
    }
    world.later(ms, Happening::Mend(Box::new(Fault::Move { node, how, ms })));
}

/// It is back, and the others hear where.
pub(crate) fn come_back(world: &mut World, node: usize, how: Move) {
    world.nodes[node].is_away = false;
    block(world, node, false);
    match how {
        Move::Cable => {
            let place = world.nodes[node].address.clone();
            world.tell_later(1, node, Input::Net(NetFact::Listening(place)));
        }
        Move::NetOff => drop(fate::ask(world, node, Command::Net(true))),
        Move::Kill | Move::Power => {}
    }
    if world.plan.sparse {
        let neighbour = world.dice.index(0, world.nodes.len());
        for (payer, within) in [(node, 300), (node, 2_000), (node, 6_000), (neighbour, 3_000)] {
            let delay = world.dice.below(within);
            world.later(delay, Happening::Pay { node: payer });
        }
    }
    for (a, b) in world.plan.acquaintances.clone() {
        if a == node || b == node {
            let delay = 5 + world.dice.below(1_200);
            world.later(delay, Happening::Meet { a, b });
        }
    }
}

fn block(world: &mut World, node: usize, is_blocked: bool) {
    for other in (0..world.nodes.len()).filter(|other| *other != node) {
        for way in [(node, other), (other, node)] {
            if is_blocked {
                world.net.blocked.insert(way);
            } else if !world.nodes[other].is_away {
                world.net.blocked.remove(&way);
            }
        }
    }
}
