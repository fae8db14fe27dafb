//! Orders behind a commit wait here until the disk has it.
//!
//! Promises: orders leave in the order given, except immediate ones, which never wait; nothing that stands behind a
//! batch leaves before that batch is on disk, unless that only prepares a long switch; after a failed write no waiting order leaves, but each waiting command is
//! answered, and what is to be read is read.
//! Elsewhere: which orders are immediate ([`Output::is_immediate`]), the writing (`node::writer`).

use std::collections::VecDeque;

use crate::chain::Batch;
use crate::contract::CommandError;
use crate::engine::{NetOrder, Output};
use crate::wire::Response;

/// Batches that may wait for the disk. Then the engine waits too: memory is bounded, and the disk is the bottleneck.
pub const IN_FLIGHT_MAX: usize = 64;

/// What is to be done now.
#[derive(Debug)]
pub enum Action {
    /// Hand the batch to the writer.
    Write(Batch),
    /// Carry the order out.
    Do(Output),
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "most entries are orders; barriers are few")]
enum Held {
    /// All behind it waits for this batch.
    Barrier(u64),
    Output(Output),
}

/// The queue of orders that wait for the disk.
#[derive(Debug, Default)]
pub struct Outbox {
    held: VecDeque<Held>,
    in_flight: usize,
}

impl Outbox {
    /// Takes an order: what may be done now comes back.
    pub fn accept(&mut self, output: Output) -> Option<Action> {
        match output {
            // Nothing behind it tells of it.
            Output::Commit(batch) if batch.is_silent() => Some(Action::Write(batch)),
            Output::Commit(batch) => {
                self.held.push_back(Held::Barrier(batch.id));
                self.in_flight += 1;
                Some(Action::Write(batch))
            }
            now if self.held.is_empty() || now.is_immediate() => Some(Action::Do(now)),
            later => {
                self.held.push_back(Held::Output(later));
                None
            }
        }
    }

    /// Every batch up to this id is on disk: the orders that waited for it, in order.
    pub fn committed(&mut self, id: u64) -> Vec<Output> {
        let mut ready = Vec::new();
        while let Some(held) = self.held.pop_front() {
            match held {
                Held::Barrier(batch) if batch > id => {
                    self.held.push_front(Held::Barrier(batch));
                    break;
                }
                Held::Barrier(_) => self.in_flight -= 1,
                Held::Output(output) => ready.push(output),
            }
        }
        ready
    }

    /// Nothing that waits will reach the disk: only answers leave, as refusals.
    pub fn failed(&mut self) -> Vec<Output> {
        self.in_flight = 0;
        let output = |held| match held {
            Held::Output(output) => Some(output),
            Held::Barrier(_) => None,
        };
        self.held.drain(..).filter_map(output).filter_map(refusal).collect()
    }

    /// Whether the engine must wait for the disk before it goes on.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.in_flight >= IN_FLIGHT_MAX
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

/// What is left of an order whose batch was not written: whoever waits for an answer gets one.
fn refusal(output: Output) -> Option<Output> {
    match output {
        Output::Reply { id, .. } => Some(Output::Reply {
            id,
            result: Err(read_only()),
        }),
        Output::Net(NetOrder::Answer { token, .. }) => Some(Output::Net(NetOrder::Answer {
            token,
            response: Response::Busy,
        })),
        // What it tells is what the disk has.
        errand @ Output::Errand { .. } => Some(errand),
        Output::Net(_) | Output::Miner(_) | Output::Check(_) | Output::Commit(_) | Output::Event(_) => None,
    }
}

/// What a command gets whose effect could not be written.
fn read_only() -> CommandError {
    CommandError {
        code: "read_only",
        message: "the disk refused the write, nothing of this command was kept".into(),
        hint: "status".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Reply;
    use crate::engine::MinerOrder;

    fn commit(id: u64) -> Output {
        Output::Commit(Batch { id, ..Batch::default() })
    }

    fn reply(id: u64) -> Output {
        Output::Reply {
            id,
            result: Ok(Reply::Net { net: true }),
        }
    }

    fn reply_ids(outputs: &[Output]) -> Vec<u64> {
        let id = |output: &Output| match output {
            Output::Reply { id, .. } => Some(*id),
            _ => None,
        };
        outputs.iter().filter_map(id).collect()
    }

    #[test]
    fn nothing_waits_for_a_batch_that_only_prepares_a_long_switch() {
        use crate::chain::{Beside, Spot};
        use crate::types::Txid;
        let places: std::collections::BTreeSet<_> = [(Txid::new([1; 32]), Spot::FIRST)].into();
        let prepares = Batch {
            id: 1,
            places: places.clone(),
            ..Batch::default()
        };
        let drops = Batch {
            id: 2,
            beside: Beside::Drop,
            ..Batch::default()
        };
        let ends = Batch {
            id: 3,
            beside: Beside::Promote,
            ..Batch::default()
        };
        let pays = Batch {
            id: 4,
            places,
            own: [(Txid::new([1; 32]), None)].into(),
            ..Batch::default()
        };
        for (batch, waits) in [(prepares, false), (drops, false), (ends, true), (pays, true)] {
            let mut outbox = Outbox::default();
            assert!(matches!(outbox.accept(Output::Commit(batch)), Some(Action::Write(_))));
            assert_eq!(outbox.accept(reply(1)).is_none(), waits);
        }
    }

    #[test]
    fn orders_behind_a_batch_wait_for_it_and_keep_their_order() {
        let mut outbox = Outbox::default();
        assert!(matches!(outbox.accept(reply(1)), Some(Action::Do(_))));
        assert!(matches!(outbox.accept(commit(1)), Some(Action::Write(_))));
        assert!(outbox.accept(reply(2)).is_none());
        assert!(matches!(outbox.accept(commit(2)), Some(Action::Write(_))));
        assert!(outbox.accept(reply(3)).is_none());
        assert!(outbox.accept(reply(4)).is_none());
        assert_eq!(reply_ids(&outbox.committed(1)), [2]);
        assert_eq!(reply_ids(&outbox.committed(2)), [3, 4]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn one_acknowledgement_of_a_group_frees_all_that_waited_for_it() {
        let mut outbox = Outbox::default();
        for id in 1..=3 {
            outbox.accept(commit(id));
            outbox.accept(reply(id));
        }
        assert_eq!(reply_ids(&outbox.committed(3)), [1, 2, 3]);
    }

    #[test]
    fn immediate_orders_never_wait() {
        let mut outbox = Outbox::default();
        outbox.accept(commit(1));
        let stop = outbox.accept(Output::Miner(MinerOrder::Stop));
        assert!(matches!(stop, Some(Action::Do(Output::Miner(MinerOrder::Stop)))));
    }

    #[test]
    fn failed_write_drops_what_waits_but_answers_commands() {
        let mut outbox = Outbox::default();
        outbox.accept(commit(1));
        outbox.accept(reply(7));
        let left = outbox.failed();
        assert!(matches!(&left[..], [Output::Reply { id: 7, result: Err(error) }] if error.code == "read_only"));
        assert!(outbox.is_empty() && !outbox.is_full());
    }

    #[test]
    fn outbox_is_full_at_its_maximum() {
        let mut outbox = Outbox::default();
        for id in 1..=u64::try_from(IN_FLIGHT_MAX).unwrap() {
            assert!(!outbox.is_full());
            outbox.accept(commit(id));
        }
        assert!(outbox.is_full());
        outbox.committed(1);
        assert!(!outbox.is_full());
    }
}
