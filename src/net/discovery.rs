//! Discovery by multicast DNS, on a thread of its own.
//!
//! Promises: whatever arrives from the network, the thread works only a small share of the time and keeps a bounded
//! list, and the swarm sees only a bounded queue of its results. The thread ends when its handle is dropped.
//!
//! Packets that arrive while the thread pauses wait in the kernel, which drops them if its buffer is full.
//! Elsewhere: packets, schedule, records, sockets (`net::mdns`), which of the found nodes to dial (`engine::parts::dial`).
//! Spec: `proto-notes/discovery.md`.

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::interfaces::{self, NetworkLink};
use super::mdns::packet::{self, PACKET_MAX_BYTES};
use super::mdns::records::{Judged, Sighting, Sightings, judge};
use super::mdns::schedule::{DuePacket, Schedule};
use super::mdns::socket::GroupSocket;
use super::multicast;
use super::restarts::Restarts;
use crate::engine::{Part, PartFact};
use crate::threads::{message_of, panic_point};
use crate::types::prefix::{Bind, Prefix};
use crate::types::rng::Rng;
use crate::types::{Address, PeerId};

/// How long others may keep our record, in seconds: twice the longest pause between own answers.
const TTL_SECONDS: u32 = 120;
/// How long the thread works before it pauses, and how long it pauses: it uses at most a fiftieth of a core.
const SLICE: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(50);
/// How long the thread waits for a packet before it checks whether it must send something, in milliseconds.
#[cfg(unix)]
const QUIET_MS: u16 = 250;
/// The interval between two looks at the interfaces: a cable that is plugged in is used within a second.
const LOOK: Duration = Duration::from_secs(1);
/// The interval between two repetitions of all known records, for a dial manager that had no room before.
const REPEAT: Duration = Duration::from_secs(10);
/// How many new records are passed on at once, and how many more each second: enough for a class room that starts
/// together, too few for a flood. Records beyond it are passed on with the next repetition.
const FRESH_MAX: u32 = 256;
const FRESH_A_SECOND: u32 = 25;
/// The shortest time between two starts of discovery.
const BACK_OFF: Duration = Duration::from_secs(10);

/// The handle of discovery, which runs until this is dropped.
#[derive(Debug)]
pub(super) struct Discovery {
    shared: Arc<DiscoveryShared>,
}

#[derive(Debug, Default)]
struct DiscoveryShared {
    stop: AtomicBool,
    told: Mutex<DiscoveryState>,
}

/// The state that the thread and its owner share.
#[derive(Debug, Default)]
struct DiscoveryState {
    /// The addresses at which the node listens, for our answers.
    addresses: Vec<Address>,
    elsewhere: Elsewhere,
    /// Failures and restarts that the network's task has not collected yet.
    failures: Vec<PartFact>,
}

/// Addresses that were named but lie outside this network, and are therefore not dialled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Elsewhere {
    /// How many times such an address was named.
    pub(super) count: u64,
    /// The sender of the last packet that named one.
    pub(super) source: Option<IpAddr>,
}

impl DiscoveryShared {
    fn told(&self) -> MutexGuard<'_, DiscoveryState> {
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
    /// Starts discovery on the chosen interfaces, or on all if none is chosen. Found nodes are offered to the queue and
    /// dropped if it is full.
    pub(super) fn start(local: PeerId, bind: Vec<Bind>, found: mpsc::Sender<Sighting>) -> std::io::Result<Self> {
        let shared = Arc::new(DiscoveryShared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("mdns".into()).spawn(move || {
            let records = Sightings::new(Rng::new(seed(&local)));
            let mut seeker = DiscoveryLoop::new(local, bind, found, records);
            watch(&of_thread, BACK_OFF, |trouble| seeker.run(&of_thread, trouble));
        })?;
        Ok(Self { shared })
    }

    /// The failures and restarts since the last call, oldest first.
    pub(super) fn failures(&self) -> Vec<PartFact> {
        core::mem::take(&mut self.shared.told().failures)
    }

    /// Sets the addresses at which the node listens now.
    pub(super) fn set_addresses(&self, addresses: Vec<Address>) {
        self.shared.told().addresses = addresses;
    }

    /// The addresses outside this network that were named so far.
    pub(super) fn elsewhere(&self) -> Elsewhere {
        self.shared.told().elsewhere.clone()
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

/// Whether an address belongs to one of this machine's interfaces.
fn is_own(prefixes: &[Prefix], ip: IpAddr) -> bool {
    prefixes.iter().any(|prefix| prefix.ip() == ip)
}

/// A different seed for each node, so that nodes with full lists do not all drop the same records.
fn seed(local: &PeerId) -> u64 {
    local.to_bytes().iter().fold(1_u64, |seed, byte| {
        seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(*byte)
    })
}

/// Why discovery cannot start, if it cannot. It is logged when it begins and when it ends, not at each attempt.
#[derive(Debug, Default)]
struct Trouble(Option<String>);

impl Trouble {
    /// Takes note of a failure, and returns whether its reason is new.
    fn begins(&mut self, reason: String) -> bool {
        let is_new = self.0.as_ref() != Some(&reason);
        self.0 = Some(reason);
        is_new
    }

    /// Takes note of a success, and returns whether there was a failure before it.
    fn ends(&mut self) -> bool {
        self.0.take().is_some()
    }
}

/// Runs one session after another until discovery is stopped. After an error the next session starts after the
/// back-off, after a panic when [`Restarts`] allows it.
fn watch(shared: &DiscoveryShared, back_off: Duration, mut session: impl FnMut(&mut Trouble) -> std::io::Result<()>) {
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

/// The socket and schedule of one link, for one version of IP.
#[derive(Debug)]
struct LinkSocket {
    link: NetworkLink,
    is_v6: bool,
    ear: GroupSocket,
    schedule: Schedule,
    /// The addresses in the last answer.
    addresses: Vec<Address>,
}

impl LinkSocket {
    fn open(link: NetworkLink, is_v6: bool, seed: u64) -> std::io::Result<Self> {
        let ear = if is_v6 {
            GroupSocket::open_v6(link.index)
        } else {
            GroupSocket::open_v4(&link.v4)
        };
        Ok(Self {
            ear: ear?,
            schedule: Schedule::new(Instant::now(), Rng::new(seed)),
            addresses: Vec::new(),
            link,
            is_v6,
        })
    }

    /// The own addresses at which other nodes on this link reach this node.
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

    /// Whether questions are sent here. Nodes with IPv4 use that version; nodes without it ask over IPv6, and all nodes
    /// answer them.
    const fn asks(&self) -> bool {
        !self.is_v6 || self.link.v4.is_empty()
    }
}

/// Waits for a packet on any link, for a quarter of a second at most, because nothing wakes the thread when it must
/// send.
#[cfg(unix)]
fn wait(posts: &[LinkSocket]) {
    use nix::poll::{PollFd, PollFlags};
    let entry = |post| PollFd::new(LinkSocket::fd(post), PollFlags::POLLIN);
    let mut waited: Vec<PollFd<'_>> = posts.iter().map(entry).collect();
    if nix::poll::poll(&mut waited, QUIET_MS).is_err() {
        std::thread::sleep(PAUSE);
    }
}

#[cfg(not(unix))]
fn wait(_: &[LinkSocket]) {
    std::thread::sleep(PAUSE);
}

/// The state of the discovery thread.
struct DiscoveryLoop {
    local: PeerId,
    bind: Vec<Bind>,
    found: mpsc::Sender<Sighting>,
    records: Sightings,
    posts: Vec<LinkSocket>,
    /// The networks of this machine on all chosen links.
    prefixes: Vec<Prefix>,
    /// The label in own answers. It is random, so that a node cannot be recognised by it.
    label: Vec<u8>,
    /// The number in own questions, by which the node recognises them.
    number: u16,
    /// How many new records may still be passed on now.
    fresh: u32,
    room: Box<[u8; PACKET_MAX_BYTES]>,
}

impl DiscoveryLoop {
    fn new(local: PeerId, bind: Vec<Bind>, found: mpsc::Sender<Sighting>, records: Sightings) -> Self {
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

    /// Runs one session until discovery is stopped.
    fn run(&mut self, shared: &DiscoveryShared, trouble: &mut Trouble) -> std::io::Result<()> {
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
            // During a flood the thread pauses after each slice; in silence the next packet wakes it.
            if has_heard {
                std::thread::sleep(PAUSE);
            } else {
                wait(&self.posts);
            }
        }
        Ok(())
    }

    /// Opens and closes sockets as links come and go.
    fn look(&mut self) -> std::io::Result<()> {
        let links = interfaces::links(&self.bind)?;
        self.prefixes = links.iter().flat_map(|link| link.prefixes.iter().copied()).collect();
        self.posts.retain(|post| links.contains(&post.link));
        for link in links {
            for (is_v6, is_there) in [(false, !link.v4.is_empty()), (true, !link.v6.is_empty())] {
                let stands = |post: &LinkSocket| post.link == link && post.is_v6 == is_v6;
                if !is_there || self.posts.iter().any(stands) {
                    continue;
                }
                match LinkSocket::open(link.clone(), is_v6, seed(&self.local) ^ u64::from(link.index)) {
                    Ok(post) => self.posts.push(post),
                    // Tunnels do not carry multicast; `doctor` reports that.
                    Err(error) => tracing::trace!(target: "net", ?link, %error, "no multicast there"),
                }
            }
        }
        Ok(())
    }

    /// Reads waiting packets for at most one slice; returns whether there were any.
    fn hear(&mut self, shared: &DiscoveryShared, began: Instant) -> bool {
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
                    // A record of this node itself counts only if another machine sent it: that may be a second node
                    // with its key.
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
                                // The record is not lost if the queue is full, because it is repeated later.
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

    /// Sends the questions and answers that are due.
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
                    DuePacket::Question if post.asks() => packet::question(self.number),
                    DuePacket::Answer if !post.addresses.is_empty() => {
                        packet::answer(&self.label, &self.local, &post.addresses, TTL_SECONDS)
                    }
                    DuePacket::Question | DuePacket::Answer => continue,
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
        let shared = DiscoveryShared::default();
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
