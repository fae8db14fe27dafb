//! Discovery by multicast DNS, on a thread of its own.
//!
//! Promises: whatever the network shouts, the thread works a small share of the time, keeps a bounded list, and nothing
//! of it reaches the swarm but a bounded queue. It ends when its handle is dropped.
//!
//! Packets that come while the thread pauses wait in the kernel, which drops them when its buffer is full.
//! Elsewhere: packets, hours, records, sockets (`net::mdns`), whom of the found to dial (`engine::dial`).
//! Spec: `proto-notes/discovery.md`.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::interfaces::{self, Link};
use super::mdns::packet::{self, PACKET_MAX_BYTES};
use super::mdns::records::{Judged, Records, Sighting, judge};
use super::mdns::schedule::{Due, Schedule};
use super::mdns::socket::Ear;
use super::multicast;
use super::restarts::Restarts;
use crate::engine::{Part, PartFact};
use crate::threads::{message_of, panic_point};
use crate::types::prefix::{Bind, Prefix};
use crate::types::rng::Rng;
use crate::types::{Address, PeerId};

/// How long others may keep our record, in seconds: two of the longest pauses between own answers.
const TTL_SECONDS: u32 = 120;
/// How long the thread works at a time, and pauses after it: at most a fiftieth of a core.
const SLICE: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(50);
/// How long the thread waits for a packet before it looks whether something is due, in milliseconds.
#[cfg(unix)]
const QUIET_MS: u16 = 250;
/// How often it is looked which interfaces are there: a cable that is plugged in is used within a second.
const LOOK: Duration = Duration::from_secs(1);
/// How often what is known is told again, for a dial manager that had no room for it.
const REPEAT: Duration = Duration::from_secs(10);
/// New records that are handed on at once, and how many more each second: a class room that starts together, and no flood.
/// What is left out is told with the others.
const FRESH_MAX: u32 = 256;
const FRESH_A_SECOND: u32 = 25;
/// A fresh start at most so often.
const BACK_OFF: Duration = Duration::from_secs(10);

/// Runs discovery until it is dropped.
#[derive(Debug)]
pub(super) struct Discovery {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    told: Mutex<Told>,
}

/// What the thread and its owner tell each other.
#[derive(Debug, Default)]
struct Told {
    /// Where the node listens: what we answer.
    addresses: Vec<Address>,
    elsewhere: Elsewhere,
    /// What the network's task has not told yet.
    failures: Vec<PartFact>,
}

/// What was named outside this network, and so is not dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// How often.
    pub(super) count: u64,
    /// From where, the last time.
    pub(super) source: Option<IpAddr>,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, fact: PartFact) {
        self.told().failures.push(fact);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Discovery {
    /// Starts looking, on the chosen interfaces or on all. What is found is offered to the queue, and dropped if that is
    /// full.
    pub(super) fn start(local: PeerId, bind: Vec<Bind>, found: mpsc::Sender<Sighting>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("mdns".into()).spawn(move || {
            let records = Records::new(Rng::new(seed(&local)));
            let mut seeker = Seeker::new(local, bind, found, records);
            watch(&of_thread, BACK_OFF, |trouble| seeker.run(&of_thread, trouble));
        })?;
        Ok(Self { shared })
    }

    /// Failures and starts since the last call, oldest first.
    pub(super) fn failures(&self) -> Vec<PartFact> {
        core::mem::take(&mut self.shared.told().failures)
    }

    /// Tells where the node listens now.
    pub(super) fn set_addresses(&self, addresses: Vec<Address>) {
        self.shared.told().addresses = addresses;
    }

    /// What was named outside this network so far.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        self.shared.told().elsewhere.clone()
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Whether an address is one of this machine's interfaces.
fn is_own(prefixes: &[Prefix], ip: IpAddr) -> bool {
    prefixes.iter().any(|prefix| prefix.ip() == ip)
}

/// Another for each node, so that no two throw the same records out.
fn seed(local: &PeerId) -> u64 {
    local.to_bytes().iter().fold(1_u64, |seed, byte| {
        seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte)
    })
}

/// What keeps discovery from starting, if anything does: told when it begins and when it is over, not at each try.
#[derive(Debug, Default)]
struct Trouble(Option<String>);

impl Trouble {
    /// Whether that is news.
    fn begins(&mut self, reason: String) -> bool {
        let is_new = self.0.as_ref() != Some(&reason);
        self.0 = Some(reason);
        is_new
    }

    /// Whether there was any.
    fn ends(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// One session after the other, until stopped: after an ordinary end the next comes after the back-off, after a panic as
/// `Restarts` says.
fn watch(shared: &Shared, back_off: Duration, mut session: impl FnMut(&mut Trouble) -> std::io::Result<()>) {
    let (mut trouble, mut restarts) = (Trouble::default(), Restarts::default());
    while !shared.is_stopped() {
        let (began, mut pause) = (Instant::now(), back_off);
        match catch_unwind(AssertUnwindSafe(|| session(&mut trouble))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) if trouble.begins(error.to_string()) => {
                tracing::warn!(target: "net", %error, "discovery cannot start: use --peer or dial, it is tried again");
            }
            Ok(Err(_)) => {}
            Err(panic) => {
                let next = restarts.next(Instant::now());
                let part = Part::Discovery;
                shared.failed(PartFact::Ended {
                    part,
                    reason: message_of(&*panic),
                    again_ms: next.map(|next| u64::try_from(next.as_millis()).unwrap_or(u64::MAX)),
                });
                match next {
                    Some(next) => pause = began.elapsed() + next,
                    None => return,
                }
            }
        }
        while !shared.is_stopped() && began.elapsed() < pause {
            std::thread::sleep(PAUSE);
        }
        if pause != back_off {
            shared.failed(PartFact::Started { part: Part::Discovery });
        }
    }
}

/// A link on which this node looks, for one kind of IP.
#[derive(Debug)]
struct Post {
    link: Link,
    is_v6: bool,
    ear: Ear,
    schedule: Schedule,
    /// What was answered last.
    addresses: Vec<Address>,
}

impl Post {
    fn open(link: Link, is_v6: bool, seed: u64) -> std::io::Result<Self> {
        let ear = if is_v6 {
            Ear::open_v6(link.index)
        } else {
            Ear::open_v4(&link.v4)
        };
        Ok(Self {
            ear: ear?,
            schedule: Schedule::new(Instant::now(), Rng::new(seed)),
            addresses: Vec::new(),
            link,
            is_v6,
        })
    }

    /// Where others on this link reach the node.
    fn own<'a>(&self, all: &'a [Address]) -> impl Iterator<Item = &'a Address> {
        let is_here = |address: &&Address| match address.ip() {
            Some(IpAddr::V4(ip)) => !self.is_v6 && self.link.v4.contains(&ip),
            Some(IpAddr::V6(ip)) => self.is_v6 && self.link.v6.contains(&ip),
            None => false,
        };
        all.iter().filter(is_here).collect::<Vec<_>>().into_iter()
    }

    #[cfg(unix)]
    fn fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.ear.fd()
    }

    /// Nodes with IPv4 meet over that; those without ask by IPv6, and everybody answers them.
    const fn asks(&self) -> bool {
        !self.is_v6 || self.link.v4.is_empty()
    }
}

/// Waits until a post has something to hear, for a quarter of a second at most: what is due to be said has no bell.
#[cfg(unix)]
fn wait(posts: &[Post]) {
    use nix::poll::{PollFd, PollFlags};
    let entry = |post| PollFd::new(Post::fd(post), PollFlags::POLLIN);
    let mut waited: Vec<PollFd<'_>> = posts.iter().map(entry).collect();
    if nix::poll::poll(&mut waited, QUIET_MS).is_err() {
        std::thread::sleep(PAUSE);
    }
}

#[cfg(not(unix))]
fn wait(_: &[Post]) {
    std::thread::sleep(PAUSE);
}

/// The thread's state.
struct Seeker {
    local: PeerId,
    bind: Vec<Bind>,
    found: mpsc::Sender<Sighting>,
    records: Records,
    posts: Vec<Post>,
    /// The own networks, of all chosen links.
    prefixes: Vec<Prefix>,
    /// What the own answers are called: chance, so that a node is not known again by it.
    label: Vec<u8>,
    /// By which own questions are known again.
    number: u16,
    /// New records that may be handed on now.
    fresh: u32,
    room: Box<[u8; PACKET_MAX_BYTES]>,
}

impl Seeker {
    fn new(local: PeerId, bind: Vec<Bind>, found: mpsc::Sender<Sighting>, records: Records) -> Self {
        let (mut label, mut number) = ([0; 16], [0; 2]);
        getrandom::fill(&mut label).unwrap_or_default();
        getrandom::fill(&mut number).unwrap_or_default();
        Self {
            local,
            bind,
            found,
            records,
            posts: Vec::new(),
            prefixes: Vec::new(),
            label: hex::encode(label).into_bytes(),
            number: u16::from_be_bytes(number),
            fresh: FRESH_MAX,
            room: Box::new([0; PACKET_MAX_BYTES]),
        }
    }

    /// Looks until stopped.
    fn run(&mut self, shared: &Shared, trouble: &mut Trouble) -> std::io::Result<()> {
        self.posts.clear();
        if multicast::is_taken() {
            let why = "another program has UDP port 5353 for itself";
            return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, why));
        }
        self.look()?;
        if trouble.ends() {
            tracing::info!(target: "net", "discovery works again");
        }
        let (mut looked, mut repeated) = (Instant::now(), Instant::now());
        while !shared.is_stopped() {
            panic_point("discovery");
            let now = Instant::now();
            let has_heard = self.hear(shared, now);
            self.speak(&shared.told().addresses.clone(), now);
            if looked.elapsed() >= LOOK {
                looked = now;
                self.records.expire(now);
                self.fresh = (self.fresh + FRESH_A_SECOND).min(FRESH_MAX);
                self.look()?;
            }
            if repeated.elapsed() >= REPEAT {
                repeated = now;
                self.records
                    .all()
                    .all(|record| self.found.try_send(record.clone()).is_ok());
            }
            // A flood gets a slice of each pause; in silence the first packet wakes.
            if has_heard {
                std::thread::sleep(PAUSE);
            } else {
                wait(&self.posts);
            }
        }
        Ok(())
    }

    /// Opens and closes posts as links come and go.
    fn look(&mut self) -> std::io::Result<()> {
        let links = interfaces::links(&self.bind)?;
        self.prefixes = links.iter().flat_map(|link| link.prefixes.iter().copied()).collect();
        self.posts.retain(|post| links.contains(&post.link));
        for link in links {
            for (is_v6, is_there) in [(false, !link.v4.is_empty()), (true, !link.v6.is_empty())] {
                let stands = |post: &Post| post.link == link && post.is_v6 == is_v6;
                if !is_there || self.posts.iter().any(stands) {
                    continue;
                }
                match Post::open(link.clone(), is_v6, seed(&self.local) ^ u64::from(link.index)) {
                    Ok(post) => self.posts.push(post),
                    // Tunnels carry no multicast; `doctor` says so.
                    Err(error) => tracing::trace!(target: "net", ?link, %error, "no multicast there"),
                }
            }
        }
        Ok(())
    }

    /// Takes what waits, for a moment; tells whether anything did.
    fn hear(&mut self, shared: &Shared, began: Instant) -> bool {
        let (mut is_silent, mut has_heard) = (false, false);
        while !is_silent && began.elapsed() < SLICE {
            is_silent = true;
            for post in &mut self.posts {
                let Some((bytes, source)) = post.ear.hear(&mut self.room) else {
                    continue;
                };
                (is_silent, has_heard) = (false, true);
                let Some(said) = packet::read(bytes) else { continue };
                if said.asks && said.number != self.number {
                    post.schedule.heard_question(began, self.records.len());
                }
                if said.asks_services {
                    let _ = post.ear.say(&packet::services(TTL_SECONDS));
                }
                for named in &said.named {
                    // Of this node itself only what another machine says: there may be a second one with its key.
                    let is_echo = || {
                        is_own(&self.prefixes, source) || named.address.ip().is_none_or(|ip| is_own(&self.prefixes, ip))
                    };
                    if named.peer == self.local && is_echo() {
                        continue;
                    }
                    match judge(&named.address, source, &post.link.prefixes) {
                        Judged::Believed(address) => {
                            if let Some(new) = self.records.take(began, named, address, source)
                                && self.fresh > 0
                            {
                                self.fresh -= 1;
                                // A full queue loses nothing: the record is told again.
                                let _ = self.found.try_send(new);
                            }
                        }
                        Judged::Elsewhere => {
                            let elsewhere = &mut shared.told().elsewhere;
                            elsewhere.count = elsewhere.count.saturating_add(1);
                            elsewhere.source = Some(source);
                        }
                        Judged::Useless => {}
                    }
                }
            }
        }
        has_heard
    }

    /// Says what is due.
    fn speak(&mut self, addresses: &[Address], now: Instant) {
        let known = self.records.len();
        for post in &mut self.posts {
            let own: Vec<Address> = post.own(addresses).cloned().collect();
            if own != post.addresses {
                post.schedule.changed();
                post.addresses = own;
            }
            while let Some(due) = post.schedule.due(now, known) {
                let packet = match due {
                    Due::Question if post.asks() => packet::question(self.number),
                    Due::Answer if !post.addresses.is_empty() => {
                        packet::answer(&self.label, &self.local, &post.addresses, TTL_SECONDS)
                    }
                    Due::Question | Due::Answer => continue,
                };
                if let Err(error) = post.ear.say(&packet) {
                    tracing::trace!(target: "net", %error, "multicast was not sent");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adv_d02_a_session_that_dies_is_followed_by_another_after_the_back_off() {
        const TINY: Duration = Duration::from_millis(120);
        let shared = Shared::default();
        let mut began = Vec::new();
        watch(&shared, TINY, |_| {
            began.push(Instant::now());
            match began.len() {
                1 => panic!("as a library may"),
                2 => Err(std::io::Error::other("no socket")),
                3 => Ok(()),
                _ => {
                    shared.stop.store(true, Ordering::Relaxed);
                    Ok(())
                }
            }
        });
        assert_eq!(began.len(), 4);
        assert!(began.windows(2).all(|pair| pair[1] - pair[0] >= TINY));
        assert_eq!(BACK_OFF, Duration::from_secs(10), "at most one restart in ten seconds");
    }

    #[test]
    fn trouble_is_news_when_it_begins_when_it_changes_and_when_it_ends() {
        let mut trouble = Trouble::default();
        assert!(!trouble.ends());
        let news = ["port", "port", "memory", "port"].map(|reason| trouble.begins(reason.into()));
        assert_eq!(news, [true, false, true, true]);
        assert!(trouble.ends() && !trouble.ends());
    }
}
