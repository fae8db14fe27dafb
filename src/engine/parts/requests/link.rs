//! What a peer has shown as one that is asked: how long its answers take, how busy it is, what was fetched from it.
//!
//! Elsewhere: patience as such (`pace`), the requests (`requests`).
//! Spec: `proto-notes/sync.md`, "Patience".

use crate::engine::parts::pace::Pace;
use crate::engine::parts::standing::{Kind, QUESTION_BYTES};
use crate::types::{Bucket, Time};

/// How long a peer that is busy is left alone.
const BUSY_MS: u64 = 500;
/// So many times busy without an answer between count like silence: ten seconds and more, in which every bucket refills.
const BUSY_MAX: u32 = 24;
/// Requests under way to one peer; its own limit is eight for everybody.
const IN_FLIGHT_MAX: u32 = 4;
/// What is known of a peer as one that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Responder {
    /// Questions under way, but for statuses.
    pub(super) in_flight: u32,
    /// What its link has shown: patience, and how much is asked at once.
    pub(super) pace: Pace,
    /// Not asked before: it said that it is busy.
    busy_until: Time,
    /// How often it said so since it last served something.
    busy: u32,
    /// What this node has fetched from it, counted as it counts there.
    fetched: Bucket,
}

impl Responder {
    pub(super) fn new(now: Time) -> Self {
        Self {
            in_flight: 0,
            pace: Pace::new(),
            busy_until: now,
            busy: 0,
            fetched: Bucket::full(now),
        }
    }

    /// Patience with it, and how much it is asked at once.
    pub(crate) const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Questions under way, but for statuses.
    pub(crate) const fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// From when on it may be asked one more; none while too many are under way.
    pub(crate) fn free_at(&self) -> Option<Time> {
        (self.in_flight < IN_FLIGHT_MAX).then_some(self.busy_until)
    }

    /// Whether it said lately that it is busy.
    pub(crate) fn is_busy(&self, now: Time) -> bool {
        self.busy_until > now
    }

    /// A question lapsed, or ended without an answer.
    pub(crate) fn stalled(&mut self) {
        self.pace.stalled();
    }

    /// A page that was asked for at `at` and read by `read` says what the link can do.
    pub(crate) fn carried(&mut self, at: Time, read: Time, bytes: usize) {
        self.pace.carried(at, read, bytes);
    }

    /// The same for bodies.
    pub(crate) fn brought_bodies(&mut self, at: Time, read: Time, (count, bytes): (usize, usize)) {
        self.pace.delivered(at, read, count, bytes);
    }

    /// Whether it may be asked something now.
    pub(crate) fn is_free(&self, now: Time) -> bool {
        self.in_flight < IN_FLIGHT_MAX && self.busy_until <= now
    }

    /// It is busy: it is left alone for a moment.
    pub(crate) fn note_busy(&mut self, now: Time) {
        self.busy = self.busy.saturating_add(1);
        self.busy_until = now.after_ms(BUSY_MS);
    }

    /// Whether it was busy so often that this counts like silence.
    pub(crate) const fn is_always_busy(&self) -> bool {
        self.busy >= BUSY_MAX
    }

    /// Its answer was useful: patience goes back.
    pub(crate) fn delivered(&mut self) {
        self.busy = 0;
        self.pace.answered();
    }

    /// When a question for bodies finds room in the bucket that the peer keeps for this node: asked sooner, it would be
    /// answered `Busy`.
    pub(crate) fn fetch_from(&self, now: Time) -> Time {
        self.fetched.ready_at(now, QUESTION_BYTES, Kind::Blocks.rate())
    }

    /// Bodies are asked for, or came.
    pub(crate) fn fetches(&mut self, now: Time, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.fetched.charge(now, bytes, Kind::Blocks.rate());
    }
}
