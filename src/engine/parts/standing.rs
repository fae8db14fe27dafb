//! What peers may do so often, and what becomes of those who misbehave.
//!
//! Promises: every peer has a bucket of each kind, every voice its rate of work that helps nobody; a misdeed costs points,
//! too many of them the connection, then a ban that ends by itself; what is told of misdeeds has a limit.
//! Elsewhere: who blames (`relay`, `sync`, `pools`), whose voice a peer's is (`types::voice`).
//! Spec: `proto-notes/limits.md`, "Rates", "What a misdeed costs".

mod complaints;
pub mod quota;
mod records;
mod side_work;

use std::collections::{BTreeMap, VecDeque};

use crate::types::{AccountName, Bucket, PeerId, Time, Voice};
use complaints::Complaints;
pub use quota::{Kind, QUESTION_BYTES};
use records::SCORE_BAN;
pub use records::{BANS_MS, Conducts, Consequence, Fault};
use side_work::SideWork;

/// What follows, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Close the connections of a peer.
    Disconnect(PeerId),
    /// Close them, and refuse it.
    Ban(PeerId),
    /// Refuse it no longer.
    Pardon(PeerId),
    /// Tell the user: a code and a sentence.
    Warn(&'static str, String),
}

/// The standing of all peers.
#[derive(Debug, Default)]
pub struct Standing {
    records: Conducts,
    quotas: BTreeMap<PeerId, Quota>,
    side_work: SideWork,
    complaints: Complaints,
    out: VecDeque<Order>,
}

/// What a connected peer did of each kind.
#[derive(Clone, Copy, Debug)]
struct Quota([Bucket; Kind::COUNT]);

impl Standing {
    /// A peer connected: its buckets are full.
    pub fn connected(&mut self, now: Time, peer: PeerId) {
        self.quotas.insert(peer, Quota([Bucket::full(now); Kind::COUNT]));
    }

    /// Its last connection is gone.
    pub fn gone(&mut self, peer: &PeerId) {
        self.quotas.remove(peer);
    }

    /// Whether a peer may do this now; takes from its bucket if so. Who is not connected may: nothing comes of it.
    pub fn allows(&mut self, now: Time, peer: &PeerId, kind: Kind, count: u64) -> bool {
        let quota = self.quotas.get_mut(peer);
        quota.is_none_or(|quota| quota.0[kind.index()].take(now, count, kind.rate()))
    }

    /// Takes from a peer's bucket what an answer turned out to cost, even more than is there: its next questions wait for that.
    pub fn charge(&mut self, now: Time, peer: &PeerId, kind: Kind, count: u64) {
        if let Some(quota) = self.quotas.get_mut(peer) {
            quota.0[kind.index()].charge(now, count, kind.rate());
        }
    }

    /// Whether a block that helps nobody now may be checked for a voice, at a price in units of work.
    pub fn may_cost(&mut self, now: Time, voice: Voice, units: u64) -> bool {
        self.side_work.allows(now, voice, units)
    }

    /// Takes from a voice what the check of a block cost that turned out to help nobody.
    pub fn charge_cost(&mut self, now: Time, voice: Voice, units: u64) {
        self.side_work.charge(now, voice, units);
    }

    /// Whether a header of this voice may go on before its body was seen.
    pub fn may_relay_early(&mut self, now: Time, voice: Voice) -> bool {
        self.side_work.relays(now, voice)
    }

    /// A misdeed of a peer: what follows from it is ordered.
    pub fn blame(&mut self, now: Time, (peer, voice): (PeerId, Voice), fault: Fault, reason: &str) {
        let (cost, points) = (fault.cost(), SCORE_BAN.abs());
        let (code, text) = match self.records.punish(now, peer, fault) {
            // Asking too much is slowed down and forgiven; told would be a storm.
            Consequence::Keep if fault == Fault::Limit => return,
            Consequence::Keep => {
                let text = format!("{peer} loses {cost} of its {points} points: {reason}");
                ("peer_fault", text)
            }
            Consequence::Disconnect => {
                self.out.push_back(Order::Disconnect(peer));
                let text = format!("{peer} loses {cost} of its {points} points and the connection: {reason}");
                ("peer_fault", text)
            }
            Consequence::Ban => {
                self.out.push_back(Order::Ban(peer));
                let text = format!("{peer} loses all its points and is refused for a while: {reason}");
                ("peer_banned", text)
            }
        };
        if self.complaints.take(now, voice) {
            self.out.push_back(Order::Warn(code, text));
        }
    }

    /// Refuses a peer because the user said so.
    pub fn ban(&mut self, now: Time, peer: PeerId, name: Option<AccountName>, until: Time) {
        self.records.ban(now, peer, name, until);
        self.out.push_back(Order::Ban(peer));
    }

    /// Ends a ban, or makes sure that there is none.
    pub fn unban(&mut self, peer: PeerId) {
        self.records.unban(&peer);
        self.out.push_back(Order::Pardon(peer));
    }

    /// Whether a peer is refused now.
    #[must_use]
    pub fn is_banned(&self, now: Time, peer: &PeerId) -> bool {
        self.records.is_banned(now, peer)
    }

    /// Who is refused now, under which name, and until when.
    pub fn banned(&self, now: Time) -> impl Iterator<Item = (&PeerId, Option<&AccountName>, Time)> {
        self.records.banned(now)
    }

    /// Ends what time ends: bans, and the window of what is told.
    pub fn tick(&mut self, now: Time) {
        let pardoned = self.records.pardoned(now);
        self.out.extend(pardoned.into_iter().map(Order::Pardon));
        if let Some(line) = self.complaints.poll(now) {
            self.out.push_back(Order::Warn("peer_faults", line));
        }
    }

    /// The next order that waits to be carried out, in the order in which they were given.
    pub fn poll(&mut self) -> Option<Order> {
        self.out.pop_front()
    }

    /// When [`Standing::tick`] may bring something.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Time> {
        let times = [self.records.next_pardon(), self.complaints.next_wakeup()];
        times.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys::peer;

    fn orders(standing: &mut Standing) -> Vec<Order> {
        core::iter::from_fn(|| standing.poll()).collect()
    }

    fn blame(standing: &mut Standing, now: u64, who: u8, fault: Fault) -> Vec<&'static str> {
        let (id, voice) = (peer(who), Voice::Identity(peer(who)));
        standing.blame(Time::from_ms(now), (id, voice), fault, "a reason");
        let word = |order| match order {
            Order::Disconnect(_) => "disconnect",
            Order::Ban(_) => "ban",
            Order::Pardon(_) => "pardon",
            Order::Warn(code, _) => code,
        };
        orders(standing).into_iter().map(word).collect()
    }

    #[test]
    fn misdeeds_are_told_and_lead_to_a_closed_connection_and_a_ban_that_ends() {
        let mut standing = Standing::default();
        assert!(blame(&mut standing, 1, 1, Fault::Limit).is_empty());
        assert_eq!(blame(&mut standing, 1, 1, Fault::Mid), ["peer_fault"]);
        assert_eq!(blame(&mut standing, 1, 1, Fault::Low), ["disconnect", "peer_fault"]);
        assert_eq!(blame(&mut standing, 1, 1, Fault::Fatal), ["ban", "peer_banned"]);
        assert!(standing.is_banned(Time::from_ms(1), &peer(1)));
        assert_eq!(
            standing.next_wakeup(),
            Some(Time::from_ms(60_001)),
            "the window of what is told"
        );
        standing.tick(Time::from_ms(60_001));
        let end = standing.next_wakeup().unwrap();
        assert_eq!(end, Time::from_ms(1 + BANS_MS[0]));
        standing.tick(end);
        assert_eq!(orders(&mut standing), [Order::Pardon(peer(1))]);
        assert_eq!(standing.next_wakeup(), None);
    }

    #[test]
    fn four_misdeeds_of_a_voice_are_told_in_a_minute_and_the_others_counted() {
        let mut standing = Standing::default();
        let told = (0..9).map(|_| blame(&mut standing, 1, 1, Fault::Mid));
        let told: Vec<&str> = told.flatten().filter(|word| word.starts_with("peer")).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        standing.tick(Time::from_ms(60_001));
        let line = Order::Warn(
            "peer_faults",
            "5 more misdeeds of peers in the last 60 s are not listed; `peers` lists who is connected".to_owned(),
        );
        assert_eq!(orders(&mut standing), [line]);
    }

    #[test]
    fn bans_by_hand_end_by_hand_or_by_themselves() {
        let mut standing = Standing::default();
        let now = Time::from_ms(5);
        standing.ban(now, peer(1), None, Time::from_ms(65));
        standing.ban(now, peer(2), None, Time::from_ms(65));
        assert_eq!(orders(&mut standing), [Order::Ban(peer(1)), Order::Ban(peer(2))]);
        standing.unban(peer(1));
        assert_eq!(orders(&mut standing), [Order::Pardon(peer(1))]);
        assert_eq!(standing.banned(now).count(), 1);
        standing.tick(Time::from_ms(65));
        assert_eq!(orders(&mut standing), [Order::Pardon(peer(2))]);
    }

    #[test]
    fn a_new_connection_has_full_buckets_and_who_is_gone_takes_from_none() {
        let mut standing = Standing::default();
        let now = Time::from_ms(5);
        let burst = Kind::Status.rate().burst;
        for _ in 0..2 {
            standing.connected(now, peer(1));
            assert!(standing.allows(now, &peer(1), Kind::Status, burst));
            assert!(!standing.allows(now, &peer(1), Kind::Status, 1));
            assert!(
                standing.allows(now, &peer(1), Kind::Headers, 1),
                "each kind has its own"
            );
            standing.gone(&peer(1));
            assert!(standing.allows(now, &peer(1), Kind::Status, 1));
        }
        standing.connected(now, peer(1));
        standing.charge(now, &peer(1), Kind::Status, burst + 4);
        assert!(
            !standing.allows(Time::from_ms(1_005), &peer(1), Kind::Status, 1),
            "what was charged is owed"
        );
        assert!(standing.allows(Time::from_ms(1_255), &peer(1), Kind::Status, 1));
    }
}
