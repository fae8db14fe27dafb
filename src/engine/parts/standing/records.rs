//! What misdeeds cost, and who is refused for them.
//!
//! Promises: scores outlive connections and fade; the table is bounded. Policy differences (full pool, early block,
//! orphan, busy) cost nothing, nor does silence.
//! Spec: `proto-notes/limits.md`, "What a misdeed costs".

use std::collections::BTreeMap;

use crate::types::{AccountName, PeerId, Time};

/// Peers whose misdeeds are remembered.
const RECORDS_MAX: usize = 4_096;
/// A score halves in this time.
const SCORE_HALF_MS: u64 = 600_000;
/// At this score the connection is closed.
const SCORE_DISCONNECT: i32 = -20;
/// At this score the peer is refused.
pub(super) const SCORE_BAN: i32 = -50;
/// Too many requests alone never sink a peer below this.
const SCORE_LIMIT_FLOOR: i32 = -15;
/// How long the first, second and every later ban lasts.
pub const BANS_MS: [u64; 3] = [3_600_000, 6 * 3_600_000, 24 * 3_600_000];
/// What a peer did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Asked or sent too much.
    Limit,
    /// Wrong, but a mistake could explain it.
    Mid,
    /// Not useful: closed, may come back.
    Low,
    /// What it must have checked itself.
    Fatal,
}

impl Fault {
    /// The points that it costs.
    #[must_use]
    pub const fn cost(self) -> i32 {
        match self {
            Self::Limit => 1,
            Self::Mid => 10,
            Self::Low => 20,
            Self::Fatal => 100,
        }
    }
}

/// What follows from a misdeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// The peer stays as it is.
    Keep,
    /// Its connections are closed; it may come back.
    Disconnect,
    /// Close, and refuse until the ban ends.
    Ban,
}

#[derive(Clone, Debug, Default)]
struct Conduct {
    score: i32,
    at: Time,
    bans: usize,
    banned_until: Option<Time>,
    /// What it called itself when it was banned.
    name: Option<AccountName>,
}

/// The records of those who misbehaved.
#[derive(Clone, Debug, Default)]
pub struct Conducts {
    all: BTreeMap<PeerId, Conduct>,
}

impl Conducts {
    /// Notes a misdeed and says what follows.
    pub fn punish(&mut self, now: Time, id: PeerId, fault: Fault) -> Consequence {
        let record = self.record(now, id);
        let halvings = u32::try_from(now.since(record.at) / SCORE_HALF_MS).unwrap_or(u32::MAX);
        if halvings > 0 {
            record.score = record
                .score
                .checked_div(1_i32.checked_shl(halvings.min(30)).unwrap_or(1))
                .unwrap_or(0);
            record.at = now;
        }
        record.score = match fault {
            Fault::Limit if record.score <= SCORE_LIMIT_FLOOR => record.score,
            Fault::Limit | Fault::Low | Fault::Mid | Fault::Fatal => record.score.saturating_sub(fault.cost()),
        };
        if record.score <= SCORE_BAN {
            let length = BANS_MS[record.bans.min(BANS_MS.len() - 1)];
            record.bans += 1;
            record.score = 0;
            record.banned_until = Some(Time::from_ms(now.ms() + length));
            return Consequence::Ban;
        }
        match fault {
            Fault::Limit => Consequence::Keep,
            Fault::Low => Consequence::Disconnect,
            Fault::Mid | Fault::Fatal if record.score <= SCORE_DISCONNECT => Consequence::Disconnect,
            Fault::Mid | Fault::Fatal => Consequence::Keep,
        }
    }

    /// The record of a peer, for which another makes room if there are too many.
    fn record(&mut self, now: Time, id: PeerId) -> &mut Conduct {
        if !self.all.contains_key(&id) && self.all.len() >= RECORDS_MAX {
            self.forget_one();
        }
        self.all.entry(id).or_insert(Conduct {
            at: now,
            ..Conduct::default()
        })
    }

    /// Refuses a peer because the user said so.
    pub fn ban(&mut self, now: Time, id: PeerId, name: Option<AccountName>, until: Time) {
        let record = self.record(now, id);
        record.banned_until = Some(until);
        record.name = name;
    }

    /// Ends a ban before its time.
    pub fn unban(&mut self, id: &PeerId) {
        if let Some(record) = self.all.get_mut(id) {
            record.banned_until = None;
        }
    }

    /// Who is refused now, under which name, and until when.
    pub fn banned(&self, now: Time) -> impl Iterator<Item = (&PeerId, Option<&AccountName>, Time)> {
        self.all.iter().filter_map(move |(id, record)| {
            let until = record.banned_until.filter(|until| now < *until)?;
            Some((id, record.name.as_ref(), until))
        })
    }

    /// Drops the oldest record that is no ban, else the one whose ban ends first.
    fn forget_one(&mut self) {
        let oldest = self
            .all
            .iter()
            .min_by_key(|(_, record)| (record.banned_until, record.at))
            .map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.all.remove(&id);
        }
    }

    /// Whether a peer is refused now.
    #[must_use]
    pub fn is_banned(&self, now: Time, id: &PeerId) -> bool {
        self.all
            .get(id)
            .and_then(|record| record.banned_until)
            .is_some_and(|until| now < until)
    }

    /// Bans that ended; each is told once.
    pub fn pardoned(&mut self, now: Time) -> Vec<PeerId> {
        let mut list = Vec::new();
        for (id, record) in &mut self.all {
            if record.banned_until.is_some_and(|until| until <= now) {
                record.banned_until = None;
                list.push(*id);
            }
        }
        list
    }

    /// When the next ban ends.
    #[must_use]
    pub fn next_pardon(&self) -> Option<Time> {
        self.all.values().filter_map(|record| record.banned_until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn id(n: u8) -> PeerId {
        SecretKey::from_seed([n; 32]).public().peer_id()
    }

    fn numbered(number: usize) -> PeerId {
        let mut key = [3; 32];
        key[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
        // Any 32 bytes in an identity multihash will do here.
        PeerId::from_bytes(&[&[0, 0x24, 8, 1, 0x12, 0x20][..], &key].concat()).unwrap()
    }

    fn at(ms: usize) -> Time {
        Time::from_ms(u64::try_from(ms).unwrap())
    }

    #[test]
    fn a_fatal_fault_bans_for_an_hour_and_the_next_for_six() {
        let mut records = Conducts::default();
        let start = Time::from_ms(1);
        assert_eq!(records.punish(start, id(1), Fault::Fatal), Consequence::Ban);
        assert!(records.is_banned(Time::from_ms(3_600_000), &id(1)));
        assert!(!records.is_banned(Time::from_ms(3_600_001), &id(1)));
        assert_eq!(records.pardoned(Time::from_ms(3_600_001)), [id(1)]);
        assert!(records.pardoned(Time::from_ms(3_600_001)).is_empty());
        records.punish(Time::from_ms(3_600_001), id(1), Fault::Fatal);
        assert!(records.is_banned(Time::from_ms(3_600_000 * 7), &id(1)));
    }

    #[test]
    fn asking_too_much_is_never_enough_to_be_closed() {
        let mut records = Conducts::default();
        for _ in 0..1_000 {
            assert_eq!(records.punish(Time::from_ms(1), id(1), Fault::Limit), Consequence::Keep);
        }
        assert_eq!(
            records.punish(Time::from_ms(1), id(1), Fault::Mid),
            Consequence::Disconnect
        );
    }

    #[test]
    fn mistakes_fade_with_time() {
        let mut records = Conducts::default();
        assert_eq!(records.punish(Time::from_ms(0), id(1), Fault::Mid), Consequence::Keep);
        let later = Time::from_ms(SCORE_HALF_MS);
        assert_eq!(records.punish(later, id(1), Fault::Mid), Consequence::Keep);
        assert_eq!(records.punish(later, id(1), Fault::Mid), Consequence::Disconnect);
    }

    #[test]
    fn records_of_strangers_are_bounded() {
        let mut records = Conducts::default();
        for n in 0..5_000_u16 {
            let mut seed = [3; 32];
            seed[..2].copy_from_slice(&n.to_be_bytes());
            // Any 32 bytes in an identity multihash will do here.
            let bytes = [&[0, 0x24, 8, 1, 0x12, 0x20][..], &seed].concat();
            records.punish(
                Time::from_ms(u64::from(n)),
                PeerId::from_bytes(&bytes).unwrap(),
                Fault::Mid,
            );
        }
        assert_eq!(records.all.len(), RECORDS_MAX);
    }

    #[test]
    fn a_known_records_next_misdeed_pushes_nobody_out() {
        let mut records = Conducts::default();
        let now = Time::from_ms(1);
        for n in 0..RECORDS_MAX {
            let seed: Vec<u8> = (0..32)
                .map(|at| u8::try_from((n >> (8 * (at % 2))) % 256).unwrap())
                .collect();
            let bytes = [&[0, 0x24, 8, 1, 0x12, 0x20][..], &seed].concat();
            records.punish(now, PeerId::from_bytes(&bytes).unwrap(), Fault::Limit);
        }
        let known = *records.all.keys().next_back().unwrap();
        records.punish(Time::from_ms(2), known, Fault::Limit);
        assert_eq!(records.all.len(), RECORDS_MAX);
    }

    #[test]
    fn whoever_is_let_in_again_begins_anew() {
        let mut records = Conducts::default();
        assert_eq!(records.punish(Time::from_ms(1), id(1), Fault::Fatal), Consequence::Ban);
        records.unban(&id(1));
        assert_eq!(records.punish(Time::from_ms(2), id(1), Fault::Mid), Consequence::Keep);
    }

    #[test]
    fn a_flood_of_strangers_misdeeds_ends_no_ban() {
        let mut records = Conducts::default();
        for banned in [0, 1] {
            assert_eq!(
                records.punish(at(banned), numbered(banned), Fault::Fatal),
                Consequence::Ban
            );
        }
        for number in 2..RECORDS_MAX + 100 {
            records.punish(at(number), numbered(number), Fault::Mid);
        }
        assert!((0..2).all(|banned| records.is_banned(at(RECORDS_MAX + 100), &numbered(banned))));
        // The oldest records made room, the newest are there: a second mistake ends the connection.
        let newest = RECORDS_MAX + 99;
        let now = at(newest);
        assert_eq!(
            records.punish(now, numbered(newest), Fault::Mid),
            Consequence::Disconnect
        );
        assert_eq!(records.punish(now, numbered(2), Fault::Mid), Consequence::Keep);
    }

    #[test]
    fn the_fifth_mistake_within_ten_minutes_is_a_ban_after_which_all_is_forgiven() {
        let mut records = Conducts::default();
        use Consequence::{Ban, Disconnect, Keep};
        for consequence in [Keep, Disconnect, Disconnect, Disconnect, Ban] {
            assert_eq!(records.punish(at(5), numbered(1), Fault::Mid), consequence);
        }
        let later = at(5 + 3_600_000);
        assert!(!records.is_banned(later, &numbered(1)));
        assert_eq!(records.punish(later, numbered(1), Fault::Mid), Keep);
    }
}
