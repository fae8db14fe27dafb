//! Commands that wait for something: `mine N`, `dial`, `resolve`, `wait`.
//!
//! Promises: each ends once, with a reply: by what it waited for, by its deadline, or by the user.
//! Elsewhere: what begins one (`commands`), what happens to them (`Happened`, told by the engine).
//! Spec: `proto-notes/events.md`, "Replies".

use std::collections::{BTreeMap, VecDeque};

use super::ahead::Ahead;
use crate::contract::{CommandError, Condition, Refusal, Reply};
use crate::types::{Address, BlockHash, Height, PeerId, Time, Txid};

/// How long `dial` and `resolve` wait.
const PATIENCE_MS: u64 = 10_000;
/// Unfinished commands; the console sends one at a time.
const RUNNING_MAX: usize = 64;
/// Blocks in the answer of `mine`.
const MINED_SHOWN_MAX: usize = 100;

/// A command that waits.
#[derive(Clone, Debug)]
enum Run {
    Mine {
        wanted: u32,
        found: u32,
        blocks: VecDeque<BlockHash>,
    },
    Dial(Dial),
    Resolve {
        /// Status requests whose answers are waited for.
        asked: Vec<u64>,
        replaced: bool,
        deadline: Time,
    },
    Wait {
        condition: Condition,
        since: Time,
        deadline: Time,
    },
}

#[derive(Clone, Debug)]
struct Dial {
    address: Address,
    peer: Option<PeerId>,
    failure: Option<String>,
    /// Whoever answers there is no peer: waiting longer is in vain.
    is_final: bool,
    deadline: Time,
}

/// What happened that a command may wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Happened<'a> {
    /// A peer stands at this address; a dial that named nobody meant it.
    Connected(PeerId, &'a Address),
    /// Who answers at these addresses was connected before.
    Known(PeerId, &'a [Address]),
    /// A dial led nowhere.
    DialFailed {
        peer: Option<PeerId>,
        addresses: &'a [Address],
        reason: &'a str,
        is_final: bool,
    },
    /// The network part has failed.
    NetworkFailed(&'a str),
    /// The active chain was replaced through a peer.
    Replaced,
}

/// A `mine N` that has found all its blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mined {
    pub(crate) id: u64,
    pub(crate) count: u32,
    /// The last of them.
    pub(crate) blocks: Vec<BlockHash>,
}

/// What is looked at to see whether a command has ended.
pub(crate) struct Around<'a> {
    pub(crate) now: Time,
    /// The network's name.
    pub(crate) network: &'a str,
    pub(crate) tip: (Height, BlockHash),
    /// Connected peers whose status is known.
    pub(crate) known_peers: u64,
    /// At least one peer, no sync running, nobody claims more work, no block from the future.
    pub(crate) is_synced: bool,
    /// Somebody claims a better branch, or one is being fetched.
    pub(crate) is_improving: bool,
    /// Own blocks from the future.
    pub(crate) ahead: Option<Ahead>,
    /// Where a peer whose status is known stands.
    pub(crate) address_of: &'a dyn Fn(&PeerId) -> Option<String>,
    /// Whether the answer to a request is waited for.
    pub(crate) is_open: &'a dyn Fn(u64) -> bool,
    /// Whether a transaction is in the active chain.
    pub(crate) is_confirmed: &'a dyn Fn(&Txid) -> bool,
}

/// All commands that wait, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    all: BTreeMap<u64, Run>,
}

impl Runs {
    /// Whether no command waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a `mine N` runs.
    pub(crate) fn is_mining(&self) -> bool {
        self.all.values().any(|run| matches!(run, Run::Mine { .. }))
    }

    /// The ids of all.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.all.keys().copied().collect()
    }

    /// `mine N`. False if too many commands wait; the same for the others.
    pub(crate) fn mine(&mut self, id: u64, wanted: u32) -> bool {
        let blocks = VecDeque::new();
        self.begin(
            id,
            Run::Mine {
                wanted: wanted.max(1),
                found: 0,
                blocks,
            },
        )
    }

    /// `dial`, and who answers there if that is known.
    pub(crate) fn dial(&mut self, id: u64, now: Time, address: Address, peer: Option<PeerId>) -> bool {
        self.begin(
            id,
            Run::Dial(Dial {
                address,
                peer,
                failure: None,
                is_final: false,
                deadline: now.after_ms(PATIENCE_MS),
            }),
        )
    }

    /// `resolve`, with the requests that it waits for.
    pub(crate) fn resolve(&mut self, id: u64, now: Time, asked: Vec<u64>) -> bool {
        self.begin(
            id,
            Run::Resolve {
                asked,
                replaced: false,
                deadline: now.after_ms(PATIENCE_MS),
            },
        )
    }

    /// `wait`.
    pub(crate) fn wait(&mut self, id: u64, now: Time, condition: Condition, seconds: u32) -> bool {
        let deadline = now.after_ms(u64::from(seconds).saturating_mul(1_000));
        self.begin(
            id,
            Run::Wait {
                condition,
                since: now,
                deadline,
            },
        )
    }

    fn begin(&mut self, id: u64, run: Run) -> bool {
        let has_room = self.all.len() < RUNNING_MAX;
        if has_room {
            self.all.insert(id, run);
        }
        has_room
    }

    /// The user gave it up; whether it was there.
    pub(crate) fn cancel(&mut self, id: u64) -> bool {
        self.all.remove(&id).is_some()
    }

    /// Tells every command what happened: those that waited for it end with the next [`Runs::poll`].
    pub(crate) fn handle(&mut self, happened: Happened<'_>) {
        for run in self.all.values_mut() {
            match (run, happened) {
                (Run::Dial(dial), Happened::Connected(peer, address))
                    if dial.peer.is_none() && dial.address == *address =>
                {
                    dial.peer = Some(peer);
                }
                (Run::Dial(dial), Happened::Known(peer, addresses)) if addresses.contains(&dial.address) => {
                    dial.peer = Some(peer);
                }
                (
                    Run::Dial(dial),
                    Happened::DialFailed {
                        peer,
                        addresses,
                        reason,
                        is_final,
                    },
                ) if addresses.contains(&dial.address) || (peer.is_some() && dial.peer == peer) => {
                    dial.failure = Some(reason.to_owned());
                    dial.is_final = is_final;
                }
                (Run::Dial(dial), Happened::NetworkFailed(reason)) => {
                    dial.failure = Some(reason.to_owned());
                    dial.is_final = true;
                }
                (Run::Resolve { replaced, .. }, Happened::Replaced) => *replaced = true,
                (Run::Mine { .. } | Run::Dial(_) | Run::Resolve { .. } | Run::Wait { .. }, _) => {}
            }
        }
    }

    /// An own block counts for the oldest `mine N`. That one, if it was its last.
    pub(crate) fn mined(&mut self, hash: BlockHash) -> Option<Mined> {
        let oldest = self.all.iter_mut().find_map(|(id, run)| match run {
            Run::Mine { wanted, found, blocks } => Some((*id, wanted, found, blocks)),
            Run::Dial(_) | Run::Resolve { .. } | Run::Wait { .. } => None,
        });
        let (id, wanted, found, blocks) = oldest?;
        *found += 1;
        blocks.push_back(hash);
        if blocks.len() > MINED_SHOWN_MAX {
            blocks.pop_front();
        }
        if found < wanted {
            return None;
        }
        let (count, blocks) = (*found, core::mem::take(blocks).into());
        self.all.remove(&id);
        Some(Mined { id, count, blocks })
    }

    /// No find can be kept any more: the ids of every `mine N`, which ends.
    pub(crate) fn end_mining(&mut self) -> Vec<u64> {
        let mines = self.all.iter().filter(|(_, run)| matches!(run, Run::Mine { .. }));
        let ids: Vec<u64> = mines.map(|(id, _)| *id).collect();
        ids.iter().for_each(|id| {
            self.all.remove(id);
        });
        ids
    }

    /// Those whose end has come, with their replies.
    pub(crate) fn poll(&mut self, around: &Around<'_>) -> Vec<(u64, Result<Reply, CommandError>)> {
        let result = |(id, run): (&u64, &Run)| {
            let result = match run {
                Run::Mine { .. } => around.ahead.map(|ahead| Err(ahead.refusal())),
                Run::Dial(dial) => dial.result(around),
                Run::Resolve {
                    asked,
                    replaced,
                    deadline,
                } => resolved(around, asked, *replaced, *deadline),
                Run::Wait {
                    condition,
                    since,
                    deadline,
                } => waited(around, condition, *since, *deadline),
            };
            result.map(|result| (*id, result))
        };
        let done: Vec<_> = self.all.iter().filter_map(result).collect();
        for (id, _) in &done {
            self.all.remove(id);
        }
        done
    }

    /// The next deadline.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        let deadline = |run: &Run| match run {
            Run::Mine { .. } => None,
            Run::Dial(Dial { deadline, .. }) | Run::Resolve { deadline, .. } | Run::Wait { deadline, .. } => {
                Some(*deadline)
            }
        };
        self.all.values().filter_map(deadline).min()
    }
}

impl Dial {
    fn result(&self, around: &Around<'_>) -> Option<Result<Reply, CommandError>> {
        if let Some(id) = &self.peer
            && let Some(address) = (around.address_of)(id)
        {
            return Some(Ok(Reply::Dialled {
                peer_id: id.to_string(),
                address,
                message: "New nodes have been added".to_owned(),
            }));
        }
        if self.deadline > around.now && !self.is_final {
            return None;
        }
        let address = &self.address;
        let why = self.failure.as_deref().unwrap_or("no answer");
        if self.is_final {
            let network = around.network;
            let message = format!(
                "{address} answered, but it is no node of {network}: {why}; start both with the same --network"
            );
            return Some(Err(CommandError::new("dial_failed", message, "help dial")));
        }
        Some(Err(CommandError::new(
            "dial_failed",
            format!(
                "{address} was not reached: {why}; it is tried again by itself (`status` at the other node shows its addresses)"
            ),
            "wait peers 1",
        )))
    }
}

fn resolved(around: &Around<'_>, asked: &[u64], replaced: bool, deadline: Time) -> Option<Result<Reply, CommandError>> {
    let is_open = asked.iter().any(|id| (around.is_open)(*id));
    if (is_open || around.is_improving) && deadline > around.now {
        return None;
    }
    let message = if replaced {
        "Our chain was replaced"
    } else {
        "Our chain is authoritative"
    };
    let (height, tip) = around.tip;
    Some(Ok(Reply::Resolved {
        replaced,
        message: message.to_owned(),
        notice: around.ahead.map(|ahead| ahead.sentence()),
        height,
        tip,
    }))
}

fn waited(
    around: &Around<'_>,
    condition: &Condition,
    since: Time,
    deadline: Time,
) -> Option<Result<Reply, CommandError>> {
    let holds = match condition {
        Condition::Peers(0) => around.known_peers == 0,
        Condition::Peers(wanted) => around.known_peers >= u64::from(*wanted),
        Condition::Height(height) => around.tip.0 >= *height,
        Condition::Synced => around.is_synced,
        Condition::Confirmed(txid) => (around.is_confirmed)(txid),
    };
    if holds {
        let waited_ms = around.now.since(since);
        return Some(Ok(Reply::Waited { waited_ms }));
    }
    (deadline <= around.now).then(|| {
        let (what, hint) = match condition {
            Condition::Peers(_) => (format!("{} peers are connected", around.known_peers), "peers"),
            Condition::Height(_) => (format!("the height is {}", around.tip.0), "mine"),
            Condition::Synced => match around.ahead {
                Some(ahead) => (ahead.sentence(), "rewind"),
                None => ("the node is not synced".to_owned(), "peers"),
            },
            Condition::Confirmed(_) => ("the transaction is not confirmed".to_owned(), "mine"),
        };
        Err(CommandError::new(
            Refusal::TIMEOUT,
            format!("the time is over: {what}"),
            hint,
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn peer(seed: u8) -> PeerId {
        SecretKey::from_seed([seed; 32]).public().peer_id()
    }

    fn address(port: u16) -> Address {
        Address::parse(&format!("/ip4/10.0.0.1/tcp/{port}")).unwrap().0
    }

    const fn hash(n: u8) -> BlockHash {
        BlockHash::new([n; 32])
    }

    /// A node with one peer at height 5, to which nothing happens.
    fn with_around(now: u64, look: impl FnOnce(&mut Around<'_>)) {
        let known = peer(1);
        look(&mut Around {
            now: Time::from_ms(now),
            network: "dev",
            tip: (Height::new(5), hash(5)),
            known_peers: 1,
            is_synced: false,
            is_improving: false,
            ahead: None,
            address_of: &|id| (*id == known).then(|| "there".to_owned()),
            is_open: &|id| id == 7,
            is_confirmed: &|_| false,
        });
    }

    /// The codes of what ended; "ok" where a command reached what it waited for.
    fn ended(runs: &mut Runs, now: u64, change: impl Fn(&mut Around<'_>)) -> Vec<(u64, &'static str)> {
        let mut ended = Vec::new();
        with_around(now, |around| {
            change(around);
            let code = |result: Result<Reply, CommandError>| result.map_or_else(|error| error.code, |_| "ok");
            ended.extend(runs.poll(around).into_iter().map(|(id, result)| (id, code(result))));
        });
        ended
    }

    #[test]
    fn a_dial_ends_by_its_peer_by_a_final_failure_or_by_its_deadline() {
        let at = Time::from_ms(0);
        let mut runs = Runs::default();
        for id in 1..=4 {
            assert!(runs.dial(id, at, address(u16::try_from(id).unwrap()), None));
        }
        assert_eq!(ended(&mut runs, 1, |_| {}), []);
        runs.handle(Happened::Connected(peer(1), &address(1)));
        // Who answered first is who was meant.
        runs.handle(Happened::Connected(peer(2), &address(1)));
        runs.handle(Happened::DialFailed {
            peer: None,
            addresses: &[address(2)],
            reason: "no answer",
            is_final: false,
        });
        runs.handle(Happened::DialFailed {
            peer: None,
            addresses: &[address(3)],
            reason: "another network",
            is_final: true,
        });
        assert_eq!(ended(&mut runs, 2, |_| {}), [(1, "ok"), (3, "dial_failed")]);
        runs.handle(Happened::Known(peer(1), &[address(4)]));
        assert_eq!(ended(&mut runs, 3, |_| {}), [(4, "ok")]);
        assert_eq!(runs.next_wakeup(), Some(Time::from_ms(10_000)));
        assert_eq!(ended(&mut runs, 10_000, |_| {}), [(2, "dial_failed")]);
        assert!(runs.dial(5, at, address(5), None));
        runs.handle(Happened::NetworkFailed("it failed"));
        assert_eq!(ended(&mut runs, 1, |_| {}), [(5, "dial_failed")]);
    }

    #[test]
    fn resolve_waits_for_answers_and_for_better_branches() {
        let mut runs = Runs::default();
        assert!(runs.resolve(1, Time::from_ms(0), vec![7]));
        assert!(runs.resolve(2, Time::from_ms(0), vec![8]));
        assert_eq!(ended(&mut runs, 1, |around| around.is_improving = true), []);
        assert_eq!(ended(&mut runs, 2, |_| {}), [(2, "ok")]);
        assert_eq!(ended(&mut runs, 9_999, |_| {}), []);
        assert_eq!(ended(&mut runs, 10_000, |_| {}), [(1, "ok")]);
    }

    #[test]
    fn resolve_says_whether_the_chain_was_replaced_meanwhile() {
        let mut runs = Runs::default();
        assert!(runs.resolve(1, Time::from_ms(0), Vec::new()));
        runs.handle(Happened::Replaced);
        assert!(runs.resolve(2, Time::from_ms(0), Vec::new()));
        let mut replies = Vec::new();
        with_around(1, |around| replies = runs.poll(around));
        let replaced = replies.into_iter().map(|(_, reply)| match reply {
            Ok(Reply::Resolved { replaced, .. }) => replaced,
            other => panic!("{other:?}"),
        });
        assert_eq!(replaced.collect::<Vec<_>>(), [true, false]);
    }

    #[test]
    fn wait_ends_when_its_condition_holds_or_its_time_is_over() {
        let txid = Txid::new([9; 32]);
        for (condition, holds) in [
            (Condition::Peers(1), true),
            (Condition::Peers(2), false),
            (Condition::Peers(0), false),
            (Condition::Height(Height::new(5)), true),
            (Condition::Height(Height::new(6)), false),
            (Condition::Synced, false),
            (Condition::Confirmed(txid), false),
        ] {
            let mut runs = Runs::default();
            assert!(runs.wait(1, Time::from_ms(0), condition, 2));
            let at_once = if holds { vec![(1, "ok")] } else { vec![] };
            assert_eq!(ended(&mut runs, 1_999, |_| {}), at_once, "{condition:?}");
            let late = if holds { vec![] } else { vec![(1, "timeout")] };
            assert_eq!(ended(&mut runs, 2_000, |_| {}), late, "{condition:?}");
        }
        let mut runs = Runs::default();
        assert!(runs.wait(1, Time::from_ms(0), Condition::Synced, 2));
        assert_eq!(ended(&mut runs, 1, |around| around.is_synced = true), [(1, "ok")]);
    }

    #[test]
    fn blocks_count_for_the_oldest_mine_and_the_last_hundred_are_told() {
        let mut runs = Runs::default();
        assert!(runs.mine(3, 101) && runs.mine(4, 1) && runs.is_mining());
        for n in 1..=100 {
            assert_eq!(runs.mined(hash(n)), None);
        }
        let mined = runs.mined(hash(101)).unwrap();
        assert_eq!((mined.id, mined.count, mined.blocks.len()), (3, 101, 100));
        assert_eq!((mined.blocks[0], mined.blocks[99]), (hash(2), hash(101)));
        assert_eq!(runs.end_mining(), [4]);
        assert!(!runs.is_mining() && runs.mined(hash(1)).is_none());
    }

    #[test]
    fn commands_that_wait_are_bounded_and_end_once() {
        let mut runs = Runs::default();
        let begun = (0..100).filter(|id| runs.mine(*id, 1)).count();
        assert_eq!(begun, RUNNING_MAX);
        assert!(runs.cancel(5) && !runs.cancel(5));
        assert_eq!(runs.ids().len(), RUNNING_MAX - 1);
    }
}
