//! What time alone makes due: a check for each thing that the user is told once it lasts.
//!
//! Elsewhere: when each is due (`parts::notices`).

use super::machine::Engine;
use crate::chain::ChainStore;

impl<S: ChainStore> Engine<S> {
    /// Timers that hang on nothing else.
    pub(super) fn run_timers(&mut self) {
        if !self.mode.started && self.mode.start_by <= self.clock.now() {
            self.start();
        }
        self.peers.standing.tick(self.clock.now());
        self.pump_standing();
        self.check_alone();
        self.check_stale();
        self.check_clock();
        self.check_ahead();
        self.check_unheard();
        self.retry_early();
        self.check_deadline();
    }

    fn check_alone(&mut self) {
        let Some(is_first) = self.notices.alone.poll(self.clock.now()) else {
            return;
        };
        // Later ones only where somebody could be: not on a machine whose cable is out.
        let is_worth_it = is_first
            || self
                .peers
                .links
                .addresses()
                .iter()
                .any(|address| !address.is_loopback());
        if self.mode.net && is_worth_it && self.peers.links.known().next().is_none() {
            let yet = if is_first {
                "no other node was found yet"
            } else {
                "there is still no other node"
            };
            let by_hand = self.dial_line().map_or_else(String::new, |line| {
                format!("; to join by hand, type at another node: {line}")
            });
            self.out
                .warn("alone", format!("{yet}: type `doctor` to see why{by_hand}"));
        }
    }
}
