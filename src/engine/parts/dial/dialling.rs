//! What time makes due: who may be dialled now, and the dial itself.
//!
//! Elsewhere: whose turn it is among those (`turns`), when each is due (`due`).

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::Dialer;
use super::candidate::{DialCandidate, DialSource, Goal};
use super::choice::choose;
use super::io::Order;
use super::limits::{
    DIALS_PER_SECOND, IN_FLIGHT_MAX, OWN_LINKS, PENDING_MAX, PENDING_PER_HOST_MAX, TOLD_LINKS_MAX, TRIED_MAX,
};
use super::turns::Ready;
use crate::types::{PeerId, Time};

impl Dialer {
    pub(super) fn refill(&mut self, now: Time) {
        let gained = now.since(self.filled).saturating_mul(DIALS_PER_SECOND);
        self.budget = self.budget.saturating_add(gained).min(DIALS_PER_SECOND * 1_000);
        self.filled = now;
    }

    /// Whether one more dial may begin.
    pub(super) fn has_place(&self, now: Time) -> bool {
        let under_way = self.candidates.values().filter(|c| c.dialling.is_some()).count();
        self.budget >= 1_000 && under_way < IN_FLIGHT_MAX && self.pending(now) < PENDING_MAX
    }

    /// Dials that hold a place.
    pub(super) fn pending(&self, now: Time) -> usize {
        self.candidates.values().filter(|c| c.place_until() > now).count()
    }

    /// Places for links that are not named. Far from enough links all dials may try at once; one link too many for a
    /// moment does no harm.
    pub(super) fn has_room(&self, now: Time) -> bool {
        let own = self.links.own();
        own < OWN_LINKS / 2 || own + self.pending(now) < OWN_LINKS
    }

    /// Everybody who may be dialled now.
    pub(super) fn ready(&self, now: Time) -> Vec<Ready> {
        let has_room = self.has_room(now);
        let mut hosts: BTreeMap<Option<IpAddr>, usize> = BTreeMap::new();
        for candidate in self.candidates.values().filter(|c| c.place_until() > now) {
            *hosts.entry(candidate.host).or_default() += 1;
        }
        // Counted once, not for each candidate: liars fill the table with those who are not there.
        let mut told: BTreeMap<DialSource, usize> = BTreeMap::new();
        for teller in self.candidates.values().filter_map(DialCandidate::teller_under_way) {
            *told.entry(teller).or_default() += 1;
        }
        let may = |(goal, c): &(&Goal, &DialCandidate)| {
            let is_due = c.dialling.is_none() && self.due_at(c) <= now;
            is_due
                && self.is_wanted(goal, c, has_room)
                && !c.teller.is_some_and(|teller| self.is_told_enough(teller, &told))
                && (c.source == DialSource::Named
                    || hosts.get(&c.host).is_none_or(|count| *count < PENDING_PER_HOST_MAX))
        };
        let ready = self.candidates.iter().filter(may);
        ready.map(|(goal, candidate)| Ready::of(goal, candidate)).collect()
    }

    /// Whether a link to a candidate would be one that this node is to open.
    pub(super) fn is_wanted(&self, goal: &Goal, candidate: &DialCandidate, has_room: bool) -> bool {
        let leads_to = goal.peer().or(candidate.holder);
        if leads_to.is_some_and(|peer| self.links.has(&peer)) {
            return false;
        }
        candidate.source == DialSource::Named || has_room
    }

    /// Whether one teller would have led to too many links, with the dials `under_way` by each.
    pub(super) fn is_told_enough(&self, teller: DialSource, under_way: &BTreeMap<DialSource, usize>) -> bool {
        self.links.told_by(teller) + under_way.get(&teller).copied().unwrap_or(0) >= TOLD_LINKS_MAX
    }

    pub(super) fn dial(&mut self, now: Time, goal: &Goal) {
        let Some(candidate) = self.candidates.get_mut(goal) else {
            return;
        };
        candidate.dialling = Some(now);
        candidate.last = Some(now);
        self.budget = self.budget.saturating_sub(1_000);
        let addresses = candidate.addresses.clone();
        if candidate.source.is_told() {
            for address in &addresses {
                if self.tried.len() >= TRIED_MAX
                    && let Some(oldest) = self
                        .tried
                        .iter()
                        .min_by_key(|(_, at)| **at)
                        .map(|(known, _)| known.clone())
                {
                    self.tried.remove(&oldest);
                }
                self.tried.insert(address.clone(), now);
            }
        }
        let peer = goal.peer();
        self.out.push_back(Order::Dial { peer, addresses });
    }

    /// Now and then one link more than are needed, to somebody at random: two halves of a network that can reach each
    /// other again have no other way to notice.
    pub(super) fn dial_extra(&mut self, now: Time) {
        if self.links.extra_due(now).is_none_or(|at| at > now) || !self.has_place(now) {
            return;
        }
        let mut by_host: BTreeMap<Option<IpAddr>, Vec<PeerId>> = BTreeMap::new();
        for (goal, candidate) in &self.candidates {
            let is_due = candidate.dialling.is_none() && candidate.next <= now && candidate.teller.is_none();
            if let (Some(peer), true) = (goal.peer(), is_due && self.is_wanted(goal, candidate, true)) {
                by_host.entry(candidate.host).or_default().push(peer);
            }
        }
        let hosts: Vec<Vec<PeerId>> = by_host.into_values().collect();
        let chosen = choose(&mut self.rng, &hosts).and_then(|peers| choose(&mut self.rng, &peers));
        self.links.extra_began(now, chosen, &mut self.rng);
        if let Some(peer) = chosen {
            self.dial(now, &Goal::Peer(peer));
        }
    }
}
