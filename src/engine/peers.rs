//! The peer table: what each connected peer said of itself, what may be asked of whom, and what misdeeds cost.
//!
//! Promises: a peer's claims order the work and are never believed; scores outlive connections and fade; tables are
//! bounded. Policy differences (full pool, early block, orphan, busy) cost nothing, nor does silence.
//! Elsewhere: how often a peer may ask (`quota`).
//! Spec: `proto-notes/limits.md`, "What a misdeed costs".

use std::collections::BTreeMap;

use super::naming::Called;
use super::pace::Pace;
use super::quota::{Kind, QUESTION_BYTES};
use crate::contract::{Direction, FoundBy};
use crate::types::prefix::Prefix;
use crate::types::{AccountName, Address, BlockHash, Bucket, Height, PeerId, Time, Voice, Work};
use crate::wire;

/// Peers whose misdeeds are remembered.
pub const RECORDS_MAX: usize = 4_096;
/// A score halves in this time.
pub const SCORE_HALF_MS: u64 = 600_000;
/// At this score the connection is closed.
pub const SCORE_DISCONNECT: i32 = -20;
/// At this score the peer is refused.
pub const SCORE_BAN: i32 = -50;
/// Too many requests alone never sink a peer below this.
pub const SCORE_LIMIT_FLOOR: i32 = -15;
/// How long the first, second and every later ban lasts.
pub const BANS_MS: [u64; 3] = [3_600_000, 6 * 3_600_000, 24 * 3_600_000];
/// How long a peer that stayed silent is not followed, and how often this doubles while it stays so: a bad link gets its
/// chance again within two minutes, and one that promises and never serves is asked ever more rarely.
pub const SILENT_MS: u64 = 10_000;
const SILENT_DOUBLINGS_MAX: u32 = 3;
/// How long a peer that is busy is left alone.
pub const BUSY_MS: u64 = 500;
/// So many times busy without an answer between count like silence: ten seconds and more, in which every bucket refills.
pub const BUSY_MAX: u32 = 24;
/// How soon a status that did not arrive is sent again, and how often this doubles: a peer that declines the protocol is
/// asked as rarely as any other.
pub const STATUS_AGAIN_MS: u64 = 1_000;
const STATUS_DOUBLINGS_MAX: u32 = 4;
/// How long a node that is asked itself goes without asking.
pub const STATUS_OWN_MS: u64 = 30_000;
/// Requests under way to one peer; its own limit is eight for everybody.
pub const IN_FLIGHT_MAX: u32 = 4;

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
    /// Nothing yet.
    Keep,
    /// Close the connections.
    Disconnect,
    /// Close, and refuse until the ban ends.
    Ban,
}

/// A connected peer.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it is.
    pub address: Address,
    /// Who dialled.
    pub direction: Direction,
    /// How it was found.
    pub found_by: FoundBy,
    /// What it last said of itself; none until then.
    pub status: Option<wire::Status>,
    /// What it was last called in an event.
    pub(super) called: Called,
    /// The instance number before the present one.
    last_instance: Option<u64>,
    /// Two nodes with its key were told of.
    twins_told: bool,
    /// The answer time of a ping.
    pub latency_ms: Option<u64>,
    /// How far its clock is ahead of this node's wall clock.
    pub clock_ahead_ms: Option<i64>,
    /// A status request is under way.
    pub status_asked: bool,
    /// When to send the next status at the latest.
    pub next_status: Time,
    /// When the last one was sent.
    pub last_status: Time,
    /// Something changed since.
    pub stale: bool,
    /// Statuses in a row that did not reach it.
    status_failures: u32,
    /// Requests of sync and pool under way.
    pub in_flight: u32,
    /// What its link has shown: patience, and how much is asked at once.
    pub pace: Pace,
    /// Its claim about this tip proved empty; not asked for it until then.
    pub void: Option<(BlockHash, Time)>,
    /// It sent a block whose parent is unknown here.
    pub hint: bool,
    /// Such a block is not followed before: an earlier one led nowhere.
    pub hint_from: Time,
    /// Candidates in a row that ended because it did not answer.
    silences: u32,
    /// Nothing is fetched from it before for that reason.
    silent_until: Time,
    /// Empty pages of headers in a row.
    pub empty_pages: u32,
    /// Not asked before: it said that it is busy.
    pub busy_until: Time,
    /// How often it said so since it last served something.
    busy: u32,
    buckets: [Bucket; Kind::COUNT],
    /// What this node has fetched from it, counted as it counts there.
    fetched: Bucket,
}

impl Peer {
    /// A fresh connection.
    #[must_use]
    pub fn new(now: Time, address: Address, direction: Direction, found_by: FoundBy) -> Self {
        Self {
            address,
            direction,
            found_by,
            status: None,
            called: None,
            last_instance: None,
            twins_told: false,
            latency_ms: None,
            clock_ahead_ms: None,
            status_asked: false,
            next_status: now,
            last_status: Time::from_ms(0),
            stale: false,
            status_failures: 0,
            in_flight: 0,
            pace: Pace::new(),
            void: None,
            hint: false,
            hint_from: now,
            silences: 0,
            silent_until: now,
            empty_pages: 0,
            busy_until: now,
            busy: 0,
            buckets: [Bucket::full(now); Kind::COUNT],
            fetched: Bucket::full(now),
        }
    }

    /// Whether the peer may do this now; takes from its bucket if so.
    pub fn allows(&mut self, now: Time, kind: Kind, count: u64) -> bool {
        self.buckets[kind.index()].take(now, count, kind.rate())
    }

    /// Takes for what an answer turned out to cost, also what is not there: the next questions wait for it.
    pub fn charge(&mut self, now: Time, kind: Kind, count: u64) {
        self.buckets[kind.index()].charge(now, count, kind.rate());
    }

    /// Whether this instance number reveals, for the first time, two nodes with this peer's key: a restart changes the
    /// number once, two that run take turns. To be called before the status that brings it is kept.
    pub fn heard_instance(&mut self, instance: u64) -> bool {
        let before = self.status.as_ref().map(|status| status.instance);
        if before == Some(instance) {
            return false;
        }
        let returns = self.last_instance == Some(instance);
        self.last_instance = before;
        let news = returns && !self.twins_told;
        self.twins_told |= returns;
        news
    }

    /// The tip that it claims, unless that claim was found empty.
    #[must_use]
    pub fn claim(&self, now: Time) -> Option<(BlockHash, Height, Work)> {
        let status = self.status.as_ref()?;
        let tip = BlockHash::new(status.tip);
        match self.void {
            Some((void, until)) if void == tip && now < until => None,
            Some(_) | None => Some((tip, Height::new(status.height), Work::from_be_bytes(status.work))),
        }
    }

    /// Its announced name, if it has the form of one.
    #[must_use]
    pub fn name(&self) -> Option<AccountName> {
        AccountName::new(&self.status.as_ref()?.name).ok()
    }

    /// Whether sync may ask it something now.
    #[must_use]
    pub fn is_free(&self, now: Time) -> bool {
        self.in_flight < IN_FLIGHT_MAX && self.busy_until <= now
    }

    /// It is busy: it is left alone for a moment.
    pub fn note_busy(&mut self, now: Time) {
        self.busy = self.busy.saturating_add(1);
        self.busy_until = Time::from_ms(now.ms().saturating_add(BUSY_MS));
    }

    /// Whether it was busy so often that this counts like silence.
    #[must_use]
    pub const fn is_always_busy(&self) -> bool {
        self.busy >= BUSY_MAX
    }

    /// Its answer was useful: patience goes back.
    pub fn delivered(&mut self) {
        self.busy = 0;
        self.pace.answered();
    }

    /// When a question for bodies finds room in the bucket that the peer keeps for this node: asked sooner, it would be
    /// answered `Busy`.
    #[must_use]
    pub fn fetch_from(&self, now: Time) -> Time {
        self.fetched.ready_at(now, QUESTION_BYTES, Kind::Blocks.rate())
    }

    /// Bodies are asked for, or came.
    pub fn fetches(&mut self, now: Time, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.fetched.charge(now, bytes, Kind::Blocks.rate());
    }

    /// It answered after its time was over: it is slow and not silent, so it is asked again at once, with more patience.
    pub fn answered_late(&mut self, now: Time) {
        if self.silent_until > now {
            self.silent_until = now;
            self.void = None;
        }
    }

    /// A candidate ended because it did not answer.
    pub fn fell_silent(&mut self, now: Time) {
        let wait_ms = SILENT_MS << self.silences.min(SILENT_DOUBLINGS_MAX);
        self.silences = self.silences.saturating_add(1);
        self.silent_until = Time::from_ms(now.ms().saturating_add(wait_ms));
    }

    /// It served what it promised, or the user wants it asked.
    pub const fn trust_again(&mut self, now: Time) {
        self.silences = 0;
        self.silent_until = now;
    }

    /// Until when nothing is fetched from it.
    #[must_use]
    pub const fn silent_until(&self) -> Time {
        self.silent_until
    }

    /// The status did not reach it, or was not answered: it is told again, ever later up to the ordinary interval.
    pub fn status_failed(&mut self, now: Time) {
        let wait_ms = STATUS_AGAIN_MS << self.status_failures.min(STATUS_DOUBLINGS_MAX);
        self.status_failures = self.status_failures.saturating_add(1);
        self.next_status = self.next_status.min(Time::from_ms(now.ms().saturating_add(wait_ms)));
    }

    /// It asked, and the answer tells it what a status of ours would: that one waits, but never beyond [`STATUS_OWN_MS`]
    /// after the last, for an answer is also the proof that a peer without pings lives.
    pub fn was_asked(&mut self, next: Time) {
        let latest = Time::from_ms(self.last_status.ms().saturating_add(STATUS_OWN_MS));
        self.next_status = self.next_status.max(next.min(latest));
    }

    /// It answered a status.
    pub const fn status_arrived(&mut self) {
        self.status_failures = 0;
    }
}

#[derive(Clone, Debug, Default)]
struct Record {
    score: i32,
    at: Time,
    bans: usize,
    banned_until: Option<Time>,
    /// What it called itself when it was banned.
    name: Option<AccountName>,
}

/// Connected peers, and the records of those who misbehaved.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    connected: BTreeMap<PeerId, Peer>,
    records: BTreeMap<PeerId, Record>,
}

impl Peers {
    /// An empty table.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            connected: BTreeMap::new(),
            records: BTreeMap::new(),
        }
    }

    /// A connected peer.
    #[must_use]
    pub fn get(&self, peer: &PeerId) -> Option<&Peer> {
        self.connected.get(peer)
    }

    /// A connected peer, to be changed.
    pub fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Peer> {
        self.connected.get_mut(peer)
    }

    /// Adds a connection.
    pub fn insert(&mut self, id: PeerId, peer: Peer) {
        self.connected.insert(id, peer);
    }

    /// Removes a connection.
    pub fn remove(&mut self, id: &PeerId) -> Option<Peer> {
        self.connected.remove(id)
    }

    /// All connected peers by id.
    pub fn iter(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.connected.iter()
    }

    /// All connected peers by id, to be changed.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&PeerId, &mut Peer)> {
        self.connected.iter_mut()
    }

    /// Connected peers whose status is known.
    pub fn known(&self) -> impl Iterator<Item = (&PeerId, &Peer)> {
        self.connected.iter().filter(|(_, peer)| peer.status.is_some())
    }

    /// How many connections this node opened.
    #[must_use]
    pub fn outbound(&self) -> usize {
        self.connected
            .values()
            .filter(|peer| peer.direction == Direction::Out)
            .count()
    }

    /// Whose voice a peer's is. One that left, or was never here, speaks for itself alone.
    #[must_use]
    pub fn voice(&self, peer: &PeerId, networks: &[Prefix]) -> Voice {
        match self.connected.get(peer) {
            Some(known) => Voice::of(*peer, &known.address, networks),
            None => Voice::Identity(*peer),
        }
    }

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
            _ => record.score.saturating_sub(fault.cost()),
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
    fn record(&mut self, now: Time, id: PeerId) -> &mut Record {
        if !self.records.contains_key(&id) && self.records.len() >= RECORDS_MAX {
            self.forget_one();
        }
        self.records.entry(id).or_insert(Record {
            at: now,
            ..Record::default()
        })
    }

    /// Refuses a peer because somebody said so.
    pub fn ban(&mut self, now: Time, id: PeerId, name: Option<AccountName>, until: Time) {
        let record = self.record(now, id);
        record.banned_until = Some(until);
        record.name = name;
    }

    /// Ends a ban.
    pub fn unban(&mut self, id: &PeerId) {
        if let Some(record) = self.records.get_mut(id) {
            record.banned_until = None;
        }
    }

    /// Who is refused now, under which name, and until when.
    pub fn banned(&self, now: Time) -> impl Iterator<Item = (&PeerId, Option<&AccountName>, Time)> {
        self.records.iter().filter_map(move |(id, record)| {
            let until = record.banned_until.filter(|until| now < *until)?;
            Some((id, record.name.as_ref(), until))
        })
    }

    /// Drops the oldest record that is no ban, else the one whose ban ends first.
    fn forget_one(&mut self) {
        let oldest = self
            .records
            .iter()
            .min_by_key(|(_, record)| (record.banned_until, record.at))
            .map(|(id, _)| *id);
        if let Some(id) = oldest {
            self.records.remove(&id);
        }
    }

    /// Whether a peer is refused now.
    #[must_use]
    pub fn is_banned(&self, now: Time, id: &PeerId) -> bool {
        self.records
            .get(id)
            .and_then(|record| record.banned_until)
            .is_some_and(|until| now < until)
    }

    /// Bans that ended; each is told once.
    pub fn pardoned(&mut self, now: Time) -> Vec<PeerId> {
        let mut list = Vec::new();
        for (id, record) in &mut self.records {
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
        self.records.values().filter_map(|record| record.banned_until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn id(n: u8) -> PeerId {
        SecretKey::from_seed([n; 32]).public().peer_id()
    }

    fn peer() -> Peer {
        let address = Address::parse("/ip4/10.0.0.1/tcp/1").unwrap().0;
        Peer::new(Time::from_ms(0), address, Direction::In, FoundBy::Inbound)
    }

    #[test]
    fn a_fatal_fault_bans_for_an_hour_and_the_next_for_six() {
        let mut peers = Peers::new();
        let start = Time::from_ms(1);
        assert_eq!(peers.punish(start, id(1), Fault::Fatal), Consequence::Ban);
        assert!(peers.is_banned(Time::from_ms(3_600_000), &id(1)));
        assert!(!peers.is_banned(Time::from_ms(3_600_001), &id(1)));
        assert_eq!(peers.pardoned(Time::from_ms(3_600_001)), [id(1)]);
        assert!(peers.pardoned(Time::from_ms(3_600_001)).is_empty());
        peers.punish(Time::from_ms(3_600_001), id(1), Fault::Fatal);
        assert!(peers.is_banned(Time::from_ms(3_600_000 * 7), &id(1)));
    }

    #[test]
    fn asking_too_much_is_never_enough_to_be_closed() {
        let mut peers = Peers::new();
        for _ in 0..1_000 {
            assert_eq!(peers.punish(Time::from_ms(1), id(1), Fault::Limit), Consequence::Keep);
        }
        assert_eq!(
            peers.punish(Time::from_ms(1), id(1), Fault::Mid),
            Consequence::Disconnect
        );
    }

    #[test]
    fn mistakes_fade_with_time() {
        let mut peers = Peers::new();
        assert_eq!(peers.punish(Time::from_ms(0), id(1), Fault::Mid), Consequence::Keep);
        let later = Time::from_ms(SCORE_HALF_MS);
        assert_eq!(peers.punish(later, id(1), Fault::Mid), Consequence::Keep);
        assert_eq!(peers.punish(later, id(1), Fault::Mid), Consequence::Disconnect);
    }

    #[test]
    fn a_silent_peer_is_left_alone_ever_longer_until_it_serves() {
        let mut peer = peer();
        let now = Time::from_ms(1_000);
        for wait_ms in [10_000, 20_000, 40_000, 80_000, 80_000] {
            peer.fell_silent(now);
            assert_eq!(peer.silent_until(), Time::from_ms(1_000 + wait_ms));
        }
        peer.trust_again(now);
        assert_eq!(peer.silent_until(), now);
        peer.fell_silent(now);
        assert_eq!(peer.silent_until(), Time::from_ms(11_000));
    }

    #[test]
    fn records_of_strangers_are_bounded() {
        let mut peers = Peers::new();
        for n in 0..5_000_u16 {
            let mut seed = [3; 32];
            seed[..2].copy_from_slice(&n.to_be_bytes());
            // Any 32 bytes in an identity multihash will do here.
            let bytes = [&[0, 0x24, 8, 1, 0x12, 0x20][..], &seed].concat();
            peers.punish(
                Time::from_ms(u64::from(n)),
                PeerId::from_bytes(&bytes).unwrap(),
                Fault::Mid,
            );
        }
        assert_eq!(peers.records.len(), RECORDS_MAX);
    }

    #[test]
    fn a_known_peers_next_misdeed_pushes_nobody_out() {
        let mut peers = Peers::new();
        let now = Time::from_ms(1);
        for n in 0..RECORDS_MAX {
            let seed: Vec<u8> = (0..32)
                .map(|at| u8::try_from((n >> (8 * (at % 2))) % 256).unwrap())
                .collect();
            let bytes = [&[0, 0x24, 8, 1, 0x12, 0x20][..], &seed].concat();
            peers.punish(now, PeerId::from_bytes(&bytes).unwrap(), Fault::Limit);
        }
        let known = *peers.records.keys().next_back().unwrap();
        peers.punish(Time::from_ms(2), known, Fault::Limit);
        assert_eq!(peers.records.len(), RECORDS_MAX);
    }

    #[test]
    fn whoever_is_let_in_again_begins_anew() {
        let mut peers = Peers::new();
        assert_eq!(peers.punish(Time::from_ms(1), id(1), Fault::Fatal), Consequence::Ban);
        peers.unban(&id(1));
        assert_eq!(peers.punish(Time::from_ms(2), id(1), Fault::Mid), Consequence::Keep);
    }

    #[test]
    fn a_peer_that_answers_late_is_asked_again_at_once() {
        let mut peer = peer();
        let now = Time::from_ms(1_000);
        peer.fell_silent(now);
        peer.answered_late(Time::from_ms(2_000));
        assert_eq!(peer.silent_until(), Time::from_ms(2_000));
    }
}
