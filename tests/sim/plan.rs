//! What a seed decides before anything happens: the size of the world, its network, who is who, and what goes wrong when.
//!
//! The upper 16 bits of a seed, if not zero, are the number of nodes; else the seed chooses 3 to 20. The three bits below
//! them make a world with a past ([`HISTORY`]), a busy one ([`BUSY`]) and one of full blocks ([`FULL`]), of 3 to 6 nodes; the
//! next one makes its nodes tell each other of peers ([`EXCHANGE`]).

use lanchain::chain::NetworkParams;
use lanchain::types::rng::Rng;

use crate::dice::Dice;
use crate::full;
use crate::history::{self, HISTORY, Past};
use crate::roam::{self, Move};
use crate::roles::Role;
use crate::store::Kind;

/// How long faults last.
pub(crate) const FAULTS_MS: u64 = 70_000;
/// Seeds with this bit are worlds whose users pay without a pause, so that pools are full of what waits.
pub(crate) const BUSY: u64 = 1 << 46;
/// Seeds with this bit are worlds of full blocks, with turns that take their time and links that carry so many bytes.
pub(crate) const FULL: u64 = 1 << 45;
/// Seeds with this bit are worlds whose nodes ask each other for peers, among them liars about peers.
pub(crate) const EXCHANGE: u64 = 1 << 44;
/// Seeds with this bit are worlds whose machines move: of a connection one end may be dead, two may stand between two
/// nodes, and gossip reaches only whom has announced itself.
pub(crate) const LINKS: u64 = 1 << 43;
/// The mean pause between two of their commands.
const BUSY_EVERY_MS: u64 = 60;
/// All miners together find a block in this time at the floor.
const BLOCK_MS: u64 = 5_000;

/// The course of a world.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) params: NetworkParams,
    pub(crate) nodes: Vec<NodePlan>,
    /// Who finds whom.
    pub(crate) acquaintances: Vec<(usize, usize)>,
    pub(crate) faults: Vec<(u64, Fault)>,
    /// Of a thousand gossip messages so many are lost, so many come twice.
    pub(crate) loss: u64,
    pub(crate) duplication: u64,
    /// Of a thousand requests so many end without an answer.
    pub(crate) failure: u64,
    pub(crate) delay_ms: u64,
    /// Of commands: the mean pause between two in the whole world.
    pub(crate) command_every_ms: u64,
    /// Users hardly do anything but pay, from many accounts.
    pub(crate) busy: bool,
    /// Nodes keep fewer headers of a candidate than its past is long.
    pub(crate) history: bool,
    /// Nodes ask each other for peers.
    pub(crate) exchange: bool,
    /// Hostile nodes of the roles that speak with one voice are identities of one address.
    pub(crate) one_voice: bool,
    /// Each end of a connection has its own view of it.
    pub(crate) links: bool,
    /// Users pay when a machine has just come back, and do nothing else; nobody mines.
    pub(crate) sparse: bool,
    /// Of a thousand requests so many are answered `Busy` by the network layer.
    pub(crate) turned_away: u64,
    /// How long a dial of somebody who is not there takes, if not as long as any other message.
    pub(crate) silent_ms: u64,
    pub(crate) faults_ms: u64,
    pub(crate) pace: Pace,
}

/// What work and bytes take; zeros: nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Checking and connecting one payment.
    pub(crate) payment_us: u64,
    /// What a link carries in one direction.
    pub(crate) bytes_per_ms: u64,
}

#[derive(Clone, Debug)]
pub(crate) struct NodePlan {
    pub(crate) role: Role,
    pub(crate) store: Kind,
    pub(crate) mines: bool,
    pub(crate) hashes_per_second: u64,
    pub(crate) clock_ahead_ms: i64,
    pub(crate) named: bool,
    pub(crate) peer_clock: bool,
    pub(crate) disk_ms: u64,
    pub(crate) past: Past,
}

/// Something that goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Nothing crosses between the two sides; the flag: one direction still works.
    Partition { side: Vec<usize>, one_way: bool, ms: u64 },
    /// The process stands still.
    Pause { node: usize, ms: u64 },
    /// The wall clock jumps.
    ClockJump { node: usize, ms: i64 },
    /// The process ends after so many outputs and is started again.
    Crash { node: usize, outputs: u64, down_ms: u64 },
    /// The disk is full after so many changes, for some time.
    DiskFull { node: usize, changes: u64, ms: u64 },
    /// `net off`, and on again.
    NetOff { node: usize, ms: u64 },
    /// A machine goes and comes back.
    Move { node: usize, how: Move, ms: u64 },
}

/// The flavours of worlds: each has one thing that dominates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    Calm,
    Partitions,
    Crashes,
    Disks,
    Clocks,
    Hostile,
    All,
}

const FLAVOURS: [Flavour; 8] = [
    Flavour::Calm,
    Flavour::Partitions,
    Flavour::Crashes,
    Flavour::Disks,
    Flavour::Clocks,
    Flavour::Hostile,
    Flavour::Hostile,
    Flavour::All,
];

/// Worlds of full blocks are costly: the faults that matter to them.
const FULL_FLAVOURS: [Flavour; 8] = [
    Flavour::Calm,
    Flavour::Calm,
    Flavour::Calm,
    Flavour::Calm,
    Flavour::Partitions,
    Flavour::Partitions,
    Flavour::Crashes,
    Flavour::Hostile,
];

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut dice = Dice::new(Rng::new(seed ^ 0x51b).next_u64());
        let asked = usize::try_from(seed >> 48).unwrap_or(0);
        let (history, busy, full) = (seed & HISTORY != 0, seed & BUSY != 0, seed & FULL != 0);
        let links = seed & LINKS != 0;
        let most = if history || busy || full || links { 7 } else { 21 };
        let count = if asked == 0 { dice.index(3, most) } else { asked };
        let flavour = match links {
            true => Flavour::Calm,
            false => *dice.pick(if full { &FULL_FLAVOURS } else { &FLAVOURS }),
        };
        let params = match dice.below(8) {
            _ if full || links => NetworkParams::lan(),
            0 => NetworkParams::coin(),
            1 => NetworkParams::dev(),
            2 => NetworkParams {
                name: "short".into(),
                spacing_ms: 2_000,
                halflife_ms: 30_000,
                ..NetworkParams::lan()
            },
            _ => NetworkParams::lan(),
        };
        let exchange = seed & EXCHANGE != 0;
        let mut nodes = nodes(&mut dice, count, (flavour, exchange));
        if history {
            history::deal(&mut dice, &mut nodes);
        }
        let pace = if full {
            full::deal(&mut dice, &mut nodes)
        } else {
            Pace::default()
        };
        let faults = if links {
            roam::deal(&mut dice, count)
        } else {
            faults(&mut dice, count, flavour)
        };
        let rough = flavour != Flavour::Calm || dice.chance(500);
        let mut plan = Self {
            params,
            acquaintances: acquaintances(&mut dice, count),
            nodes,
            faults,
            loss: if rough { dice.below(300) } else { 20 },
            duplication: dice.below(50),
            failure: if rough { dice.below(60) } else { 0 },
            delay_ms: *dice.pick(&[3, 20, 20, 200, 1_500]),
            command_every_ms: if busy {
                BUSY_EVERY_MS
            } else {
                *dice.pick(&[500, 1_500, 4_000])
            },
            busy,
            history,
            exchange,
            one_voice: false,
            links,
            sparse: false,
            turned_away: 0,
            silent_ms: 0,
            faults_ms: FAULTS_MS,
            pace,
        };
        if links {
            plan.move_about(&mut dice);
        }
        plan
    }

    /// Machines that move: connections lose nothing while they live, requests fail, users pay all the time.
    fn move_about(&mut self, dice: &mut Dice) {
        (self.loss, self.duplication) = (0, 0);
        self.delay_ms = *dice.pick(&[2, 10, 40]);
        self.failure = *dice.pick(&[0, 60, 200]);
        self.turned_away = *dice.pick(&[0, 0, 150]);
        self.command_every_ms = *dice.pick(&[150, 400, 1_000]);
        self.sparse = dice.chance(700);
        if self.sparse {
            self.command_every_ms = 3_600_000;
        }
        for node in &mut self.nodes {
            node.mines &= !self.sparse;
            node.clock_ahead_ms = dice.signed(500);
        }
    }

    /// So many honest nodes that do not mine, whom nothing befalls and who know nobody.
    pub(crate) fn calm(count: usize) -> Self {
        let node = NodePlan {
            role: Role::Honest,
            store: Kind::Memory,
            mines: false,
            hashes_per_second: 65_536,
            clock_ahead_ms: 0,
            named: false,
            peer_clock: false,
            disk_ms: 2,
            past: Past::Nothing,
        };
        Self {
            params: NetworkParams::lan(),
            nodes: vec![node; count],
            acquaintances: Vec::new(),
            faults: Vec::new(),
            loss: 0,
            duplication: 0,
            failure: 0,
            delay_ms: 3,
            command_every_ms: 1_000,
            busy: false,
            history: false,
            exchange: false,
            one_voice: false,
            links: false,
            sparse: false,
            turned_away: 0,
            silent_ms: 0,
            faults_ms: 0,
            pace: Pace::default(),
        }
    }

    pub(crate) fn honest(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.nodes[*node].role == Role::Honest)
    }
}

fn nodes(dice: &mut Dice, count: usize, (flavour, exchange): (Flavour, bool)) -> Vec<NodePlan> {
    let hostile = match flavour {
        Flavour::Hostile => 1 + dice.index(0, count.div_ceil(3)),
        Flavour::All => 1 + dice.index(0, count.div_ceil(5)),
        _ => 0,
    };
    let hostile = hostile.min(count.saturating_sub(2));
    let real_disks = matches!(flavour, Flavour::Crashes | Flavour::Disks | Flavour::All);
    let total = 65_536 * 1_000 / BLOCK_MS;
    let miners = 2 + dice.below(3);
    let mut list: Vec<NodePlan> = (0..count)
        .map(|index| NodePlan {
            role: Role::Honest,
            store: if index < 32 && dice.chance(if real_disks { 350 } else { 50 }) {
                Kind::Redb
            } else {
                Kind::Memory
            },
            mines: u64::try_from(index).unwrap_or(0) < miners,
            hashes_per_second: total / miners,
            clock_ahead_ms: match flavour {
                Flavour::Clocks | Flavour::All => dice.signed(25_000),
                _ => dice.signed(500),
            },
            named: dice.chance(300),
            peer_clock: dice.chance(100),
            disk_ms: *dice.pick(&[0, 2, 2, 15, 400]),
            past: Past::Nothing,
        })
        .collect();
    for _ in 0..hostile {
        let index = dice.index(0, count);
        let role = if exchange && dice.chance(300) {
            Role::PeerLiar
        } else {
            *dice.pick(&Role::HOSTILE)
        };
        list[index].role = role;
        list[index].mines = true;
        list[index].hashes_per_second = match role {
            Role::Selfish => total * 2 / 3,
            Role::Rewriter => total * 3 / 2,
            _ => total / 4,
        };
    }
    list
}

/// A connected graph: a ring of all, and chords.
fn acquaintances(dice: &mut Dice, count: usize) -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = (1..count).map(|node| (node - 1, node)).collect();
    if count > 2 {
        pairs.push((0, count - 1));
    }
    let degree = match dice.below(4) {
        0 => 0,
        1 => 1,
        _ => 2,
    };
    if count <= 6 && dice.chance(600) {
        return (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
    }
    for _ in 0..count * degree {
        let (a, b) = (dice.index(0, count), dice.index(0, count));
        let pair = (a.min(b), a.max(b));
        if a != b && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

fn faults(dice: &mut Dice, count: usize, flavour: Flavour) -> Vec<(u64, Fault)> {
    let kinds: &[u64] = match flavour {
        Flavour::Calm => &[],
        Flavour::Partitions => &[0, 0, 0, 1, 5],
        Flavour::Crashes => &[3, 3, 3, 0],
        Flavour::Disks => &[4, 4, 4, 3],
        Flavour::Clocks => &[2, 2, 1, 3],
        Flavour::Hostile => &[0, 1, 5],
        Flavour::All => &[0, 1, 2, 3, 3, 4, 4, 5],
    };
    if kinds.is_empty() {
        return Vec::new();
    }
    let number = 1 + dice.below(8);
    let mut list: Vec<(u64, Fault)> = (0..number)
        .map(|_| {
            let at = dice.below(FAULTS_MS - 10_000);
            let node = dice.index(0, count);
            let ms = 500 + dice.below(40_000);
            let fault = match *dice.pick(kinds) {
                0 => Fault::Partition {
                    side: (0..count).filter(|_| dice.chance(500)).collect(),
                    one_way: dice.chance(300),
                    ms,
                },
                1 => Fault::Pause { node, ms: ms / 2 },
                2 => Fault::ClockJump {
                    node,
                    ms: if dice.chance(200) {
                        dice.signed(400_000)
                    } else {
                        dice.signed(60_000)
                    },
                },
                3 => Fault::Crash {
                    node,
                    outputs: dice.below(60),
                    down_ms: 100 + dice.below(20_000),
                },
                4 => Fault::DiskFull {
                    node,
                    changes: dice.below(60),
                    ms,
                },
                _ => Fault::NetOff { node, ms },
            };
            (at, fault)
        })
        .collect();
    list.sort_by_key(|(at, _)| *at);
    list
}
