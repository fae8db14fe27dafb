//! What every world that drives engines needs: the least configuration, and what is due when.

use std::collections::BTreeMap;

use crate::chain::NetworkParams;
use crate::engine::{Config, Limits, PeerClock};
use crate::types::SecretKey;
use crate::types::hash::HashMany;

/// A node without a name that asks nobody and mines nothing by itself; a world changes what it is about.
pub fn config(params: &NetworkParams, key: SecretKey) -> Config {
    Config {
        params: params.clone(),
        key,
        name: None,
        seed: 1,
        secret: [9; 32],
        hash_many: HashMany::default(),
        instance: 1,
        data_dir: "/dev/null".into(),
        peer_clock: PeerClock::Own,
        mine: false,
        start_warnings: Vec::new(),
        keys_here: Vec::new(),
        exchange: false,
        manual_peers: Vec::new(),
        limits: Limits::default(),
    }
}

/// What happens when: at one time in the order in which it was entered.
pub struct Agenda<At, What> {
    due: BTreeMap<(At, u64), What>,
    entered: u64,
}

impl<At, What> Default for Agenda<At, What> {
    fn default() -> Self {
        Self {
            due: BTreeMap::new(),
            entered: 0,
        }
    }
}

impl<At: Ord + Copy, What> Agenda<At, What> {
    pub fn enter(&mut self, at: At, what: What) {
        let number = self.number();
        self.due.insert((at, number), what);
    }

    /// A number that was not given before, and grows.
    pub const fn number(&mut self) -> u64 {
        self.entered += 1;
        self.entered
    }

    /// When something is due next.
    pub fn next(&self) -> Option<At> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// What is due first, and when.
    pub fn pop(&mut self) -> Option<(At, What)> {
        self.due.pop_first().map(|((at, _), what)| (at, what))
    }

    /// Forgets what does not hold any more.
    pub fn retain(&mut self, holds: impl Fn(&What) -> bool) {
        self.due.retain(|_, what| holds(what));
    }
}
