//! Commands that wait for something: `mine N`, `dial`, `resolve`, `wait`, and those whose work is done elsewhere.
//!
//! Promises: each ends once, with a reply: by what it waited for, by its deadline, or by the user.
//! Elsewhere: what begins one (`commands`), what happens to them (`Happened`, told by the engine).
//! Spec: `proto-notes/events.md`, "Replies".

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use super::ahead::Ahead;
use crate::contract::{CommandError, Condition, Refusal, Reply};
use crate::pool::Departed;
use crate::types::{Address, BlockHash, Height, PeerId, Time, Txid};

/// How long `dial` and `resolve` wait.
const PATIENCE_MS: u64 = 10_000;
/// How long `resolve` waits for a first peer while some are dialled: a dial on a LAN takes less than a second.
const FIRST_PEER_MS: u64 = 3_000;
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
    Dial(DialRun),
    /// The work is done outside the engine.
    Errand,
    Resolve {
        /// Status requests whose answers are waited for.
        asked: Vec<u64>,
        replaced: bool,
        /// How long it waits for a first peer while some are dialled.
        alone_until: Time,
        deadline: Time,
    },
    Wait {
        condition: Condition,
        since: Time,
        deadline: Time,
        /// It cannot come true any more.
        refusal: Option<CommandError>,
    },
}

#[derive(Clone, Debug)]
struct DialRun {
    address: Address,
    peer: Option<PeerId>,
    failure: Option<String>,
    /// Somebody answers there who is no peer of this network: waiting longer is in vain.
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
    /// A transaction left the pool, and is not in the active chain.
    Dropped(&'a Departed),
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
pub(crate) struct RunsView<'a> {
    pub(crate) now: Time,
    /// The name of the network, for people.
    pub(crate) network: &'a str,
    pub(crate) tip: (Height, BlockHash),
    /// Connected peers whose status is known.
    pub(crate) known_peers: u64,
    /// At least one peer, no sync running, nobody claims more work, no block from the future.
    pub(crate) is_synced: bool,
    /// Somebody claims a better branch, or one is being fetched.
    pub(crate) is_improving: bool,
    /// Whether somebody is dialled, or will be.
    pub(crate) is_dialling: bool,
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
            Run::Dial(DialRun {
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
                alone_until: now.after_ms(FIRST_PEER_MS),
                deadline: now.after_ms(PATIENCE_MS),
            },
        )
    }

    /// `wait`, with its condition and the most seconds that it may take.
    pub(crate) fn wait(&mut self, id: u64, now: Time, condition: Condition, seconds: u32) -> bool {
        let deadline = now.after_ms(u64::from(seconds).saturating_mul(1_000));
        self.begin(
            id,
            Run::Wait {
                condition,
                since: now,
                deadline,
                refusal: None,
            },
        )
    }

    /// A command whose work is done elsewhere.
    pub(crate) fn errand(&mut self, id: u64) -> bool {
        self.begin(id, Run::Errand)
    }

    /// The work of a command is done. Returns whether its user still waits.
    pub(crate) fn done(&mut self, id: u64) -> bool {
        matches!(self.all.get(&id), Some(Run::Errand)) && self.all.remove(&id).is_some()
    }

    fn begin(&mut self, id: u64, run: Run) -> bool {
        let has_room = self.all.len() < RUNNING_MAX;
        if has_room {
            self.all.insert(id, run);
        }
        has_room
    }

    /// The user gave a command up. Its refusal, if it was waiting.
    pub(crate) fn cancel(&mut self, id: u64) -> Option<CommandError> {
        let run = self.all.remove(&id)?;
        Some(interrupted("the command was interrupted", &run))
    }

    /// Mining was switched off: the refusals of all `mine N`.
    pub(crate) fn mining_off(&mut self) -> Vec<(u64, CommandError)> {
        let ids = self.mining_ids();
        let of = |id: u64| Some((id, interrupted("mining was switched off", &self.all.remove(&id)?)));
        ids.into_iter().filter_map(of).collect()
    }

    fn mining_ids(&self) -> Vec<u64> {
        let mines = self.all.iter().filter(|(_, run)| matches!(run, Run::Mine { .. }));
        mines.map(|(id, _)| *id).collect()
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
                (
                    Run::Wait {
                        condition: Condition::Confirmed(wanted),
                        refusal,
                        ..
                    },
                    Happened::Dropped(departed),
                ) if *wanted == departed.txid => {
                    let reason = &departed.reason;
                    *refusal = Some(CommandError::new(reason.code(), reason.to_string(), reason.hint()));
                }
                (Run::Mine { .. } | Run::Dial(_) | Run::Errand | Run::Resolve { .. } | Run::Wait { .. }, _) => {}
            }
        }
    }

    /// An own block counts for the oldest `mine N`. That one, if it was its last.
    pub(crate) fn mined(&mut self, hash: BlockHash) -> Option<Mined> {
        let oldest = self.all.iter_mut().find_map(|(id, run)| match run {
            Run::Mine { wanted, found, blocks } => Some((*id, wanted, found, blocks)),
            Run::Dial(_) | Run::Errand | Run::Resolve { .. } | Run::Wait { .. } => None,
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
        let ids = self.mining_ids();
        ids.iter().for_each(|id| {
            self.all.remove(id);
        });
        ids
    }

    /// Those whose end has come, with their replies.
    pub(crate) fn poll(&mut self, around: &RunsView<'_>) -> Vec<(u64, Result<Reply, CommandError>)> {
        let result = |(id, run): (&u64, &Run)| {
            let result = match run {
                Run::Mine { .. } => around.ahead.map(|ahead| Err(ahead.refusal())),
                Run::Errand => None,
                Run::Dial(dial) => dial.result(around),
                Run::Resolve {
                    asked,
                    replaced,
                    alone_until,
                    deadline,
                } => resolved(around, asked, *replaced, (*alone_until, *deadline)),
                Run::Wait {
                    condition,
                    since,
                    deadline,
                    refusal,
                } => match waited(around, condition, *since, *deadline) {
                    Some(Err(_)) | None if refusal.is_some() => refusal.clone().map(Err),
                    result => result,
                },
            };
            result.map(|result| (*id, result))
        };
        let done: Vec<_> = self.all.iter().filter_map(result).collect();
        for (id, _) in &done {
            self.all.remove(id);
        }
        done
    }

    /// The earliest time at which a command gives up.
    pub(crate) fn next_wakeup(&self, now: Time) -> Option<Time> {
        let deadline = |run: &Run| match run {
            Run::Mine { .. } | Run::Errand => None,
            Run::Resolve {
                alone_until, deadline, ..
            } => Some(if *alone_until > now { *alone_until } else { *deadline }),
            Run::Dial(DialRun { deadline, .. }) | Run::Wait { deadline, .. } => Some(*deadline),
        };
        self.all.values().filter_map(deadline).min()
    }
}

impl DialRun {
    fn result(&self, around: &RunsView<'_>) -> Option<Result<Reply, CommandError>> {
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

/// The refusal of a command that was ended before its time.
fn interrupted(why: &str, run: &Run) -> CommandError {
    let message = match run {
        Run::Mine { wanted, found, .. } => format!("{why}: {found} of {wanted} blocks were mined and stored"),
        Run::Dial(_) | Run::Errand | Run::Resolve { .. } | Run::Wait { .. } => why.to_owned(),
    };
    CommandError::new(Refusal::INTERRUPTED, message, "status")
}

fn resolved(
    around: &RunsView<'_>,
    asked: &[u64],
    replaced: bool,
    (alone_until, deadline): (Time, Time),
) -> Option<Result<Reply, CommandError>> {
    let count = match u64::try_from(asked.len()) {
        // Whoever connected since then has exchanged statuses with this node.
        Ok(0) | Err(_) => around.known_peers,
        Ok(count) => count,
    };
    if count == 0 && around.is_dialling && alone_until > around.now {
        return None;
    }
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
        asked: count,
        message: message.to_owned(),
        notice: match around.ahead {
            Some(ahead) => Some(ahead.sentence()),
            None if count == 0 => Some("nobody was asked: no peer is connected".to_owned()),
            None => None,
        },
        height,
        tip,
    }))
}

fn waited(
    around: &RunsView<'_>,
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
            Condition::Height(_) => (format!("height is still {}", around.tip.0), "mine"),
            Condition::Synced => match around.ahead {
                Some(ahead) => (ahead.sentence(), "rewind"),
                None => ("the node is not in sync".to_owned(), "peers"),
            },
            Condition::Confirmed(_) => ("the transaction is in no block yet".to_owned(), "mine"),
        };
        Err(CommandError::new(
            Refusal::TIMEOUT,
            format!("timed out after {} s: {what}", around.now.since(since) / 1_000),
            hint,
        ))
    })
}
