//! Work for commands that takes longer than a turn of the engine may: reading much of the chain, looking at the machine.
//!
//! Promises: each errand has a thread of its own and one end, [`Input::Done`], also when it fails; it reads a snapshot that
//! was taken when its turn came.
//! Elsewhere: which commands have one (`engine::commands`), what is read (`inspect::query`), what is seen (`surroundings`,
//! `probe`).

use std::sync::Arc;
use std::time::Duration;

use super::inbox::Inbox;
use super::{probe, surroundings};
use crate::chain::{ChainStore, StoreError};
use crate::contract::{CommandError, Surroundings};
use crate::engine::{Errand, Input, Outcome};
use crate::inspect::query::Subject;
use crate::inspect::store_error;
use crate::miner::bench::{compare, contender};
use crate::miner::kernel::Kernel;
use crate::threads::{self, panic_point};
use crate::types::PeerId;

/// How long the rate of mining is measured: nobody notices, and it is right to a few per cent.
const MEASURED: Duration = Duration::from_millis(40);

/// Who does them, and what that takes beside the store.
#[derive(Clone, Debug)]
pub struct Errands {
    local: PeerId,
    discovery: bool,
    /// The threads that mine.
    threads: usize,
}

impl Errands {
    /// For the node with this id. `discovery` says whether it looks for others by multicast DNS; `threads`
    /// is how many of them mine.
    #[must_use]
    pub const fn new(local: PeerId, discovery: bool, threads: usize) -> Self {
        Self {
            local,
            discovery,
            threads,
        }
    }

    /// Begins an errand; its end comes to the inbox. The store is there for an [`Errand::Read`].
    pub fn run<S: ChainStore + Send + 'static>(
        &self,
        inbox: &Arc<Inbox>,
        id: u64,
        errand: Errand,
        store: Option<Result<S, StoreError>>,
    ) {
        let (done, lost) = (Arc::clone(inbox), Arc::clone(inbox));
        let is_read = matches!(errand, Errand::Read(_));
        let discovery = self.discovery;
        let failed = move |reason: &str| {
            let outcome = if is_read {
                Outcome::Read(Box::new(Err(failed(reason))))
            } else {
                Outcome::Looked(Box::new(unseen(discovery, reason)))
            };
            lost.push(Input::Done { id, outcome });
        };
        let this = self.clone();
        let work = move || {
            let outcome = match (errand, store) {
                (Errand::Look { may_send }, _) => Outcome::Looked(Box::new(this.look(may_send))),
                (Errand::Read(mut query), Some(Ok(store))) => {
                    panic_point("errand");
                    if matches!(query.subject, Subject::Tamper(..)) {
                        query.hash_rate = this.hash_rate();
                    }
                    Outcome::Read(Box::new(query.answer(store)))
                }
                (Errand::Read(_), Some(Err(error))) => Outcome::Read(Box::new(Err(store_error(error)))),
                (Errand::Read(_), None) => Outcome::Read(Box::new(Err(self::failed("no store")))),
            };
            done.push(Input::Done { id, outcome });
        };
        if let Err(error) = threads::spawn("errand", work, failed) {
            tracing::warn!(%error, "no thread for a command");
            let outcome = if is_read {
                Outcome::Read(Box::new(Err(self::failed(&error.to_string()))))
            } else {
                Outcome::Looked(Box::new(surroundings::look(discovery)))
            };
            inbox.push(Input::Done { id, outcome });
        }
    }

    /// The attempts a second of all threads that mine, by a short measurement.
    fn hash_rate(&self) -> u64 {
        let kernel = contender(Kernel::chosen());
        let of_one = compare(&[kernel], 1, MEASURED).into_iter().max().unwrap_or(0);
        of_one.saturating_mul(u64::try_from(self.threads).unwrap_or(1))
    }

    /// Looks at the machine, and asks for other nodes if that may be.
    fn look(&self, may_send: bool) -> Surroundings {
        panic_point("doctor");
        let mut surroundings = surroundings::look(self.discovery);
        if self.discovery && may_send {
            probe::ask(&mut surroundings, &self.local);
        }
        surroundings
    }
}

/// Looking ended without a result.
fn unseen(discovery: bool, reason: &str) -> Surroundings {
    Surroundings {
        failure: Some(format!("looking failed: {reason}")),
        discovery,
        ..Surroundings::default()
    }
}

/// Reading ended without a result.
fn failed(reason: &str) -> CommandError {
    CommandError::new("internal", format!("this command failed: {reason}"), "status")
}
