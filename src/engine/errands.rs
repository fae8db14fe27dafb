//! Errands: work for a command that takes longer than a turn may. The engine orders it, somebody else does it, and its end
//! is a fact.
//!
//! Promises: an errand that the user gave up has no reply any more.
//! Elsewhere: who does it (`node::errands`), what is read (`inspect::query`).

use super::io::{Errand, Outcome};
use super::machine::Engine;
use crate::chain::ChainStore;
use crate::inspect::query::{Query, Subject};
use crate::types::Account;

impl<S: ChainStore> Engine<S> {
    /// A question that is answered from a snapshot of the store.
    pub(super) fn read(&mut self, id: u64, subject: Subject) {
        let query = Query {
            subject,
            params: self.node.config.params.clone(),
            me: self.node.me,
            // Measured by whoever answers.
            hash_rate: 0,
        };
        self.send_for(id, Errand::Read(Box::new(query)));
    }

    /// The transactions of an account, or of all that this node owns. Those that wait go with the question, because they
    /// are not in the store.
    pub(super) fn history(&mut self, id: u64, account: Option<Account>, limit: u32) {
        let waiting = self.view().waiting(account.as_ref());
        self.read(id, Subject::History(account, limit, waiting));
    }

    /// Orders work for a command; its end comes with [`Engine::on_done`].
    pub(super) fn send_for(&mut self, id: u64, errand: Errand) {
        let has_begun = self.runs.errand(id);
        self.began(id, has_begun);
        if has_begun {
            self.out.errand(id, errand);
        }
    }

    /// Work for a command is done.
    pub(super) fn on_done(&mut self, id: u64, outcome: Outcome) {
        if !self.runs.done(id) {
            return;
        }
        let result = match outcome {
            Outcome::Looked(surroundings) => Ok(self.diagnose(&surroundings)),
            Outcome::Read(result) => *result,
        };
        self.out.reply(id, result);
    }
}
