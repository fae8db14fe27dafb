//! The shell before an engine: what waits for it, how long a turn takes, and what its answers take on the wire.
//!
//! Promises: facts wait in the real `node::inbox`, stamped with the moment at which the node's network read them; while a
//! turn takes its time nothing else is handed over, and no wake-up is served.
//! Elsewhere: orders (`world`), the disk (`writer`).

use std::time::{Duration, Instant};

use lanchain::contract::Event;
use lanchain::engine::{Errand, Input, NetFact, Outcome, Output};
use lanchain::node::inbox::{Heard, Lanes, Taken};
use lanchain::types::Time;

use crate::plan::Pace;
use crate::world::{Happening, World};

/// A moment of the simulated clock as the inbox wants it.
pub(crate) fn moment(begun: Instant, now: u64) -> Instant {
    begun + Duration::from_millis(now)
}

impl World {
    /// What a machine does beside the engine, in no time.
    pub(crate) fn do_errand(&self, node: usize, errand: Errand) -> Outcome {
        match errand {
            Errand::Look { .. } => Outcome::Looked(Box::default()),
            Errand::Read(query) => {
                let engine = self.nodes[node].engine.as_ref().expect("it gives orders");
                let store = engine.snapshot().map_err(lanchain::inspect::store_error);
                Outcome::Read(Box::new(store.and_then(|store| query.answer(store))))
            }
        }
    }

    /// Something for a node's engine: now, or when its turn and its disk allow.
    pub(crate) fn tell(&mut self, node: usize, input: Input) {
        self.queue_up(node, input);
        self.pump(node);
    }

    fn queue_up(&mut self, node: usize, input: Input) {
        let inbox = std::rc::Rc::clone(&self.nodes[node].inbox);
        match input {
            Input::Store(fact) => inbox.push_disk(fact),
            Input::Net(fact) => {
                if let Err(fact) = inbox.push_read(moment(self.begun, self.now), fact) {
                    self.refused(node, fact);
                }
            }
            other => inbox.push(other),
        }
    }

    /// The lane is full: gossip is lost, everything else is told again.
    fn refused(&mut self, node: usize, fact: NetFact) {
        match fact {
            NetFact::Gossip { token, .. } => drop(self.nodes[node].tokens.remove(&token)),
            fact => self.tell_later(1, node, Input::Net(fact)),
        }
    }

    /// Hands over what waits, a turn after the other, until one takes time or the disk is behind.
    pub(crate) fn pump(&mut self, node: usize) {
        let life = self.nodes[node].life;
        while self.is_up(node) && self.nodes[node].life == life {
            if self.nodes[node].busy_until > self.now {
                return self.resume_later(node);
            }
            let lanes = if self.nodes[node].outbox.is_full() {
                Lanes::DiskOnly
            } else {
                Lanes::All
            };
            let (taken, heard) = self.nodes[node].inbox.next(lanes, Duration::ZERO);
            self.hear(node, heard);
            match taken {
                Taken::Input(input) => self.take(node, input),
                Taken::Nothing => return,
            }
        }
    }

    fn hear(&mut self, node: usize, heard: Heard) {
        let before = match heard {
            Heard::All => self.time(),
            Heard::Before(read) => {
                let ms = read.duration_since(self.begun).as_millis();
                Time::from_ms(self.epoch() + u64::try_from(ms).unwrap_or(0))
            }
            Heard::NotAll => return,
        };
        let time = self.time();
        if let Some(engine) = self.nodes[node].engine.as_mut() {
            engine.handle(time, Input::Heard(before));
        }
    }

    pub(crate) fn resume_later(&mut self, node: usize) {
        let at = self.nodes[node].busy_until;
        if self.nodes[node].resumes_at != at {
            self.nodes[node].resumes_at = at;
            let life = self.nodes[node].life;
            self.at_time(at, Happening::Resume { node, life });
        }
    }

    /// A turn is over: what waited comes next, and wake-ups that were due.
    pub(crate) fn resume(&mut self, node: usize) {
        self.pump(node);
        self.nodes[node].wake = None;
        self.refresh_wake(node);
    }

    /// What carrying out this order shows of the work that its turn took.
    pub(crate) fn weigh(&mut self, node: usize, output: &Output) {
        let Pace { payment_us, .. } = self.plan.pace;
        let transactions = match output {
            Output::Event(Event::BlockConnected { transactions, .. }) => *transactions,
            Output::Event(Event::TransactionAccepted { .. } | Event::TransactionRejected { .. }) => 1,
            _ => 0,
        };
        let transactions = u64::try_from(transactions).unwrap_or(0);
        self.nodes[node].worked_us += payment_us * transactions;
    }

    /// The turn has ended: its work keeps the thread for so long.
    pub(crate) fn turn_ended(&mut self, node: usize) {
        let worked_us = std::mem::take(&mut self.nodes[node].worked_us);
        self.nodes[node].busy_until = self.now + worked_us / 1_000;
    }

    /// When a message of this size has passed a link that carries one after the other.
    pub(crate) fn carried(&mut self, from: usize, to: usize, bytes: usize) -> u64 {
        let Pace { bytes_per_ms, .. } = self.plan.pace;
        if bytes_per_ms == 0 {
            return self.now;
        }
        let takes = u64::try_from(bytes).unwrap_or(0) / bytes_per_ms;
        let free = self.net.free_at.entry((from, to)).or_insert(0);
        *free = self.now.max(*free) + takes;
        *free
    }
}
