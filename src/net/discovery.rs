//! Discovery by multicast DNS, on a thread of its own.
//!
//! Promises: whatever the network shouts, at most [`RECORDS_MAX`] records are kept, the thread works a small share of
//! the time, and nothing of it reaches the swarm but a bounded queue. It ends when its handle is dropped.
//!
//! The library answers and asks on tasks of their own, keeps everything it hears and searches it linearly. So it runs on
//! a runtime of its own that is driven in short slices with pauses between them: packets that come in a pause wait in
//! the kernel, which drops them when its buffer is full. When the library's list is full, or after a while, the runtime
//! and everything on it is thrown away and a fresh one begins.
//! Elsewhere: whom of the found to dial (`engine::dial`).
//! Spec: `proto-notes/discovery.md`.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use libp2p::core::transport::ListenerId;
use libp2p::swarm::behaviour::{ExpiredListenAddr, FromSwarm, NewListenAddr};
use libp2p::swarm::{NetworkBehaviour, ToSwarm};
use libp2p::{Multiaddr, mdns};
use tokio::sync::mpsc;

use super::multicast;
use super::restarts::Restarts;
use crate::engine::{Part, PartFact};
use crate::threads::{message_of, panic_point};
use crate::types::rng::Rng;
use crate::types::{Address, PeerId};

/// Records that are kept: five times the connections of a node.
const RECORDS_MAX: usize = 256;
/// Records that name one IP address: many nodes on one machine, and no more.
const RECORDS_PER_ADDRESS_MAX: usize = 32;
/// Records that may come new in one session: a flood of those that expire at once never fills the library's list, but
/// leaves it deaf to others.
const NEW_MAX: usize = 4 * RECORDS_MAX;
/// How long others may keep our record.
const TTL: Duration = Duration::from_secs(120);
/// How often we ask. Everybody's answers to everybody's questions keep the records fresh.
const QUERY_INTERVAL: Duration = Duration::from_secs(8);
/// How long the library works at a time, and pauses after it: at most a fiftieth of a core.
const SLICE: Duration = Duration::from_millis(1);
const PAUSE: Duration = Duration::from_millis(50);
/// How often what is known is told again, for a dial manager that had no room for it.
const REPEAT: Duration = Duration::from_secs(10);
/// A fresh start at least so often: the library believes any time to live that a stranger writes.
const RENEW: Duration = Duration::from_secs(300);
/// A fresh start at most so often.
const BACK_OFF: Duration = Duration::from_secs(10);
/// How long records of the time before a fresh start are kept: a few questions.
const GRACE: Duration = Duration::from_secs(30);

/// Runs discovery until it is dropped.
#[derive(Debug)]
pub(super) struct Discovery {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// Where the node listens: what we answer.
    addresses: Mutex<Vec<Multiaddr>>,
    /// What the network's task has not told yet.
    failures: Mutex<Vec<PartFact>>,
}

impl Shared {
    fn addresses(&self) -> Vec<Multiaddr> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn failed(&self, fact: PartFact) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(fact);
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Discovery {
    /// Starts looking. What is found is offered to the queue, and dropped if that is full.
    pub(super) fn start(local: PeerId, found: mpsc::Sender<(PeerId, Address)>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new().name("mdns".into()).spawn(move || {
            let mut records = Records::new(Rng::new(seed(&local)));
            watch(&of_thread, BACK_OFF, |trouble| {
                session(&of_thread, local, &found, &mut records, trouble)
            });
        })?;
        Ok(Self { shared })
    }

    /// Failures and starts since the last call, oldest first.
    pub(super) fn failures(&self) -> Vec<PartFact> {
        core::mem::take(&mut *self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells where the node listens now.
    pub(super) fn set_addresses(&self, addresses: Vec<Multiaddr>) {
        *self.shared.addresses.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }
}

impl Drop for Discovery {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
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

/// Runs a fresh instance of the library until its list is full or old, or until stopped.
fn session(
    shared: &Shared,
    local: PeerId,
    found: &mpsc::Sender<(PeerId, Address)>,
    records: &mut Records,
    trouble: &mut Trouble,
) -> std::io::Result<()> {
    if multicast::is_taken() {
        let why = "another program has UDP port 5353 for itself";
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, why));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let inside = runtime.enter();
    let config = mdns::Config {
        ttl: TTL,
        query_interval: QUERY_INTERVAL,
        enable_ipv6: false,
    };
    let mut library = mdns::tokio::Behaviour::new(config, local)?;
    if trouble.ends() {
        tracing::info!(target: "net", "discovery works again");
    }
    let listener = ListenerId::next();
    let (mut told, mut new) = (Vec::new(), 0);
    let (began, mut repeated, mut forgot) = (Instant::now(), Instant::now(), false);
    while !shared.is_stopped() && began.elapsed() < RENEW {
        panic_point("discovery");
        let addresses = shared.addresses();
        tell_addresses(&mut library, listener, &mut told, &addresses);
        for (peer, address) in runtime.block_on(slice(&mut library, records)) {
            new += 1;
            if is_neighbour(&address, &addresses) {
                records.insert(Instant::now(), peer, address.clone());
                // A full queue loses nothing: the record is told again.
                let _ = found.try_send((peer, address));
            }
        }
        if library.discovered_nodes().len() > RECORDS_MAX || new > NEW_MAX {
            tracing::debug!(target: "net", "discovery is flooded, starting again");
            break;
        }
        if !forgot && began.elapsed() >= GRACE {
            records.forget_before(began);
            forgot = true;
        }
        if repeated.elapsed() >= REPEAT {
            repeated = Instant::now();
            records.all().all(|record| found.try_send(record).is_ok());
        }
        std::thread::sleep(PAUSE);
    }
    drop(library);
    drop(inside);
    runtime.shutdown_background();
    Ok(())
}

/// Lets the library work for a moment; gives what it discovered and forgets what expired.
async fn slice(library: &mut mdns::tokio::Behaviour, records: &mut Records) -> Vec<(PeerId, Address)> {
    let mut discovered = drain(library, records).await;
    tokio::time::sleep(SLICE).await;
    discovered.extend(drain(library, records).await);
    discovered
}

async fn drain(library: &mut mdns::tokio::Behaviour, records: &mut Records) -> Vec<(PeerId, Address)> {
    let mut discovered = Vec::new();
    poll_fn(|context| {
        while let Poll::Ready(event) = library.poll(context) {
            match event {
                ToSwarm::GenerateEvent(mdns::Event::Discovered(list)) => {
                    discovered.extend(list.into_iter().filter_map(read_record));
                }
                ToSwarm::GenerateEvent(mdns::Event::Expired(list)) => {
                    list.into_iter()
                        .filter_map(read_record)
                        .for_each(|record| records.remove(&record));
                }
                _ => {}
            }
        }
        Poll::Ready(())
    })
    .await;
    discovered
}

fn read_record((peer, address): (PeerId, Multiaddr)) -> Option<(PeerId, Address)> {
    let (address, named) = Address::parse(&address.to_string()).ok()?;
    named.is_none_or(|named| named == peer).then_some((peer, address))
}

fn tell_addresses(
    library: &mut mdns::tokio::Behaviour,
    listener_id: ListenerId,
    told: &mut Vec<Multiaddr>,
    addresses: &[Multiaddr],
) {
    for addr in told.iter().filter(|old| !addresses.contains(old)) {
        library.on_swarm_event(FromSwarm::ExpiredListenAddr(ExpiredListenAddr { listener_id, addr }));
    }
    for addr in addresses.iter().filter(|new| !told.contains(new)) {
        library.on_swarm_event(FromSwarm::NewListenAddr(NewListenAddr { listener_id, addr }));
    }
    told.clear();
    told.extend_from_slice(addresses);
}

/// Whether a record may be dialled: it names an address of a private range, or of a subnet that we are in ourselves.
/// Else one spoofed packet would send every node of the network to a victim elsewhere.
fn is_neighbour(address: &Address, own: &[Multiaddr]) -> bool {
    let subnet = |ip: IpAddr| match ip {
        IpAddr::V4(ip) => Some(ip.octets()[..3].to_vec()),
        IpAddr::V6(_) => None,
    };
    let Some(ip) = address.ip() else { return false };
    let is_close = || {
        own.iter()
            .filter_map(|own| Address::parse(&own.to_string()).ok()?.0.ip())
            .any(|own| subnet(own).is_some() && subnet(own) == subnet(ip))
    };
    !address.is_loopback() && !ip.is_unspecified() && !ip.is_multicast() && (address.is_private() || is_close())
}

/// What was found, bounded.
#[derive(Debug)]
struct Records {
    seen: BTreeMap<(PeerId, Address), Instant>,
    rng: Rng,
}

impl Records {
    const fn new(rng: Rng) -> Self {
        Self {
            seen: BTreeMap::new(),
            rng,
        }
    }

    /// Keeps a record; when full, a random one makes room, so that no flood can choose whom it pushes out. One IP
    /// address pushes out its own first.
    fn insert(&mut self, now: Instant, peer: PeerId, address: Address) {
        let key = (peer, address);
        if let Some(seen) = self.seen.get_mut(&key) {
            *seen = now;
            return;
        }
        let of_address = |(_, known): &&(PeerId, Address)| known.ip() == key.1.ip();
        let count = self.seen.keys().filter(of_address).count();
        let victim = if count >= RECORDS_PER_ADDRESS_MAX {
            let chosen = self.choose(count);
            self.seen.keys().filter(of_address).nth(chosen).cloned()
        } else if self.seen.len() >= RECORDS_MAX {
            let chosen = self.choose(self.seen.len());
            self.seen.keys().nth(chosen).cloned()
        } else {
            None
        };
        if let Some(victim) = victim {
            self.seen.remove(&victim);
        }
        self.seen.insert(key, now);
    }

    fn choose(&mut self, count: usize) -> usize {
        let chosen = u64::try_from(count).map(|count| self.rng.below(count));
        chosen.ok().and_then(|chosen| usize::try_from(chosen).ok()).unwrap_or(0)
    }

    fn remove(&mut self, record: &(PeerId, Address)) {
        self.seen.remove(record);
    }

    fn forget_before(&mut self, time: Instant) {
        self.seen.retain(|_, seen| *seen >= time);
    }

    fn all(&self) -> impl Iterator<Item = (PeerId, Address)> {
        self.seen.keys().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        Address::parse(text).unwrap().0
    }

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

    #[test]
    fn adv_d01_a_flood_of_records_keeps_256_of_them() {
        let mut records = Records::new(Rng::new(1));
        let now = Instant::now();
        for host in 0..2_000_u32 {
            let text = format!("/ip4/10.0.{}.{}/tcp/9", host / 250, host % 250 + 1);
            records.insert(now, PeerId::random(), address(&text));
        }
        assert_eq!(records.all().count(), RECORDS_MAX);
    }

    #[test]
    fn one_ip_address_has_32_records_and_pushes_out_its_own_only() {
        let mut records = Records::new(Rng::new(1));
        let now = Instant::now();
        records.insert(now, PeerId::random(), address("/ip4/10.0.0.2/tcp/1"));
        for port in 1..=100 {
            let text = format!("/ip4/10.0.0.1/tcp/{port}");
            records.insert(now, PeerId::random(), address(&text));
        }
        assert_eq!(records.all().count(), RECORDS_PER_ADDRESS_MAX + 1);
        assert!(records.all().any(|(_, known)| known.as_str() == "/ip4/10.0.0.2/tcp/1"));
    }

    #[test]
    fn adv_d04_only_neighbours_are_handed_on() {
        let own = [
            "/ip4/127.0.0.1/tcp/1".parse().unwrap(),
            "/ip4/130.60.5.7/tcp/1".parse().unwrap(),
        ];
        for (text, expected) in [
            ("/ip4/192.168.1.9/tcp/4001", true),
            ("/ip4/10.1.2.3/tcp/4001", true),
            ("/ip4/130.60.5.200/tcp/4001", true),
            ("/ip4/130.60.6.1/tcp/4001", false),
            ("/ip4/8.8.8.8/tcp/53", false),
            ("/ip4/127.0.0.1/tcp/22", false),
            ("/dns4/example.org/tcp/80", false),
        ] {
            assert_eq!(is_neighbour(&address(text), &own), expected, "{text}");
        }
    }

    #[test]
    fn records_of_an_earlier_session_are_forgotten_unless_seen_again() {
        let mut records = Records::new(Rng::new(1));
        let (old, new) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        let (a, b) = (PeerId::random(), PeerId::random());
        let place = address("/ip4/10.0.0.1/tcp/1");
        records.insert(old, a, place.clone());
        records.insert(old, b, place.clone());
        records.insert(new, a, place.clone());
        records.forget_before(new);
        assert_eq!(records.all().collect::<Vec<_>>(), [(a, place)]);
    }
}
