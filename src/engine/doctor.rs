//! `doctor`: why does this node see nobody? Facts of the machine, what the network showed, and what can be done.
//!
//! Promises: pure; what is remembered of strangers is bounded; an advice follows from a fact that is told with it.
//! Elsewhere: who looks at the machine (`node::surroundings`).
//! Spec: `proto-notes/events.md`, "Replies".

use core::net::IpAddr;
use std::collections::VecDeque;

use serde::Serialize;

use super::advice::{Scene, advice};
use super::event::{Direction, FoundBy};
use super::io::Stranger;
use super::machine::Engine;
use super::peers::Peer;
use super::reply::Reply;
use crate::chain::ChainStore;
use crate::types::{Address, Height, PeerId, Time};

/// Failed dials that are remembered: more than fit on a screen.
const FAILURES_MAX: usize = 16;
/// Clocks further apart are told as a problem; the warning has the same limit.
const CLOCK_FAR_MS: u64 = 30_000;
/// A chain that grows faster than this in an hour is told of.
const GROWTH_FAST_BYTES: u64 = 20 * 1024 * 1024;
/// A few small blocks at once say nothing about an hour.
const GROWTH_MIN_BYTES: u64 = 1024 * 1024;
/// Blocks over which that is measured: a quarter of an hour.
const GROWTH_BLOCKS: u64 = 100;

/// A network interface as the machine tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its addresses, but link-local ones of IPv6.
    pub addresses: Vec<IpAddr>,
    /// Whether it has a link-local address of IPv6, which nobody can dial.
    pub link_local: bool,
    /// Whether it is up.
    pub up: bool,
    /// Whether something is at its other end: a cable, a Wi-Fi.
    pub connected: bool,
    /// Whether it leads to the machine itself.
    pub loopback: bool,
    /// Whether it carries multicast.
    pub multicast: bool,
    /// Whether it has one other end only, as tunnels do.
    pub point_to_point: bool,
    /// Whether this machine listens to the group of multicast DNS there; none if that is not known.
    pub joined: Option<bool>,
    /// What became of a question sent there.
    pub probe: Probe,
}

/// What became of a question of multicast DNS on an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// Nothing was sent.
    #[default]
    Untried,
    /// The system did not take it, for this reason.
    Refused(String),
    /// Another program has the port of multicast DNS and does not share it: nothing was sent, and nothing is heard.
    Taken,
    /// It was sent. What is sent to a group comes back to its sender too, unless somebody drops it.
    Sent {
        /// Whether it came back.
        returned: bool,
    },
}

/// What the shell saw of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Every interface.
    pub interfaces: Vec<Interface>,
    /// Why there are none, if the machine did not tell.
    pub failure: Option<String>,
    /// Whether this node looks for others by multicast DNS.
    pub discovery: bool,
    /// Other machines that spoke when a question was sent; none if none was.
    pub others_heard: Option<u64>,
    /// Where another machine says that it is this very node.
    pub twin: Option<Address>,
    /// The shell has looked: a command comes without.
    pub looked: bool,
}

/// What was seen of the network, for the doctor alone.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// When multicast DNS last named a node, and how often it did.
    pub(super) multicast: Option<(Time, u64)>,
    /// How often it named one outside this network, and who did so last.
    pub(super) elsewhere: Option<(u64, IpAddr)>,
    pub(super) failures: VecDeque<Failure>,
}

/// A dial that led to no peer.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    peer: Option<PeerId>,
    pub(super) address: Option<Address>,
    pub(super) reason: String,
    pub(super) stranger: Option<Stranger>,
    at: Time,
}

impl Seen {
    pub(super) fn found(&mut self, now: Time, by: FoundBy) {
        if by == FoundBy::Mdns {
            let times = self.multicast.map_or(0, |(_, times)| times);
            self.multicast = Some((now, times.saturating_add(1)));
        }
    }

    /// The last failure of each peer or address is kept.
    pub(super) fn failed(
        &mut self,
        at: Time,
        peer: Option<PeerId>,
        address: Option<&Address>,
        (reason, stranger): (&str, Option<Stranger>),
    ) {
        self.failures
            .retain(|known| (known.peer, known.address.as_ref()) != (peer, address));
        if self.failures.len() >= FAILURES_MAX {
            self.failures.pop_front();
        }
        self.failures.push_back(Failure {
            peer,
            address: address.cloned(),
            reason: reason.to_owned(),
            stranger,
            at,
        });
    }

    /// It answered after all.
    pub(super) fn connected(&mut self, peer: &PeerId, address: &Address) {
        self.failures
            .retain(|known| known.peer.as_ref() != Some(peer) && known.address.as_ref() != Some(address));
    }
}

/// An interface in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct InterfaceView {
    pub name: String,
    pub addresses: Vec<String>,
    /// Whether others can find and reach this node there.
    pub used: bool,
    /// Why not, or what is special.
    pub reason: Option<String>,
    /// `none` if it carries none; else what became of a question sent there: `returned`, `lost` or `refused`; `taken` if
    /// another program has the port for itself; null if none was to be sent.
    pub multicast: Option<&'static str>,
}

/// A node that could not be reached, or speaks another language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct FailureView {
    pub peer_id: Option<String>,
    pub address: Option<String>,
    pub reason: String,
    /// It speaks libp2p, and is of another network or another program.
    pub other_network: bool,
    pub ago_ms: u64,
}

/// What `doctor` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Diagnosis {
    pub peers: u64,
    pub net: bool,
    pub discovery: bool,
    pub interfaces: Vec<InterfaceView>,
    /// Nodes of any program named by multicast DNS, counted with repetitions.
    pub multicast_heard: u64,
    pub multicast_ago_ms: Option<u64>,
    /// Records that lie outside private ranges and the own networks: they are not dialled.
    pub multicast_dropped: u64,
    /// Other machines that spoke by multicast DNS when this one asked; none if it did not.
    pub others_heard: Option<u64>,
    pub failures: Vec<FailureView>,
    pub same_key: bool,
    /// Where, if multicast DNS told.
    pub same_key_at: Option<String>,
    /// How far the peers' clocks are ahead of this one, in the middle.
    pub clock_ahead_ms: Option<i64>,
    /// The line to type at another node.
    pub dial: Option<String>,
    /// What can be done, the most helpful first.
    pub advice: Vec<String>,
}

/// Beginnings of names of interfaces that other machines of the LAN rarely reach.
const VIRTUAL: [(&str, &str); 11] = [
    ("docker", "a container bridge: only containers are there"),
    ("br-", "a container bridge: only containers are there"),
    ("veth", "a container's end"),
    ("virbr", "a bridge of virtual machines"),
    ("vmnet", "a network of virtual machines"),
    ("vboxnet", "a network of virtual machines"),
    ("tailscale", "a VPN: multicast rarely passes it"),
    ("wg", "a VPN: multicast rarely passes it"),
    ("tun", "a VPN: multicast rarely passes it"),
    ("utun", "a VPN: multicast rarely passes it"),
    ("zt", "a VPN"),
];

/// Why nothing can be sent or heard by multicast DNS at all.
const TAKEN: &str = "another program has UDP port 5353 for itself";

/// Why nothing can be dialled there although machines are.
pub(super) const LINK_LOCAL: &str =
    "it has a link-local IPv6 address only, which means nothing without its interface and cannot be dialled";

/// What a name says of an interface.
pub(crate) fn special(name: &str) -> Option<&'static str> {
    VIRTUAL
        .iter()
        .find(|(start, _)| name.starts_with(start))
        .map(|(_, what)| *what)
}

/// Whether the node can be reached through an interface, and why not.
fn judge(interface: &Interface, listening: &[IpAddr]) -> (bool, Option<String>) {
    let no = |why: &str| (false, Some(why.to_owned()));
    if !interface.up {
        return no("it is down");
    }
    if !interface.connected {
        return no("nothing is connected to it");
    }
    if interface.addresses.is_empty() && interface.link_local {
        return no(LINK_LOCAL);
    }
    if interface.addresses.is_empty() {
        return no("it has no address");
    }
    if interface.loopback {
        return no("it leads to this machine only");
    }
    if !interface.addresses.iter().any(|ip| listening.contains(ip)) {
        return no("the node does not listen there");
    }
    if let Some(what) = special(&interface.name) {
        return (true, Some(what.to_owned()));
    }
    if interface.point_to_point {
        return (true, Some("a tunnel: multicast rarely passes it".to_owned()));
    }
    if !interface.multicast {
        return (true, Some("it carries no multicast: join by hand".to_owned()));
    }
    match &interface.probe {
        Probe::Refused(reason) => return (true, Some(format!("multicast could not be sent: {reason}"))),
        Probe::Taken => return (true, Some(format!("{TAKEN}: join by hand"))),
        Probe::Sent { returned: false } => {
            let why = "what is sent by multicast does not come back: a firewall here may drop it";
            return (true, Some(why.to_owned()));
        }
        Probe::Untried | Probe::Sent { returned: true } => {}
    }
    if interface.joined == Some(false) {
        return (
            true,
            Some("the node does not listen to multicast DNS there yet: ask again in some seconds".to_owned()),
        );
    }
    (true, None)
}

/// As the reply has it.
const fn told(interface: &Interface) -> Option<&'static str> {
    match &interface.probe {
        _ if !interface.multicast && !interface.loopback => Some("none"),
        Probe::Untried => None,
        Probe::Refused(_) => Some("refused"),
        Probe::Taken => Some("taken"),
        Probe::Sent { returned: true } => Some("returned"),
        Probe::Sent { returned: false } => Some("lost"),
    }
}

impl<S: ChainStore> Engine<S> {
    /// The node's own id.
    #[must_use]
    pub const fn peer_id(&self) -> PeerId {
        self.peer_id
    }

    /// Whether the node may send anything to anybody: not after `net off`.
    #[must_use]
    pub const fn may_send(&self) -> bool {
        self.net
    }

    pub(super) fn diagnose(&self, surroundings: &Surroundings) -> Reply {
        let listening: Vec<IpAddr> = self.addresses.iter().filter_map(Address::ip).collect();
        let interfaces: Vec<InterfaceView> = surroundings
            .interfaces
            .iter()
            .map(|interface| {
                let (used, reason) = judge(interface, &listening);
                InterfaceView {
                    name: interface.name.clone(),
                    addresses: interface.addresses.iter().map(ToString::to_string).collect(),
                    used,
                    reason,
                    multicast: told(interface),
                }
            })
            .collect();
        let failures = self.seen.failures.iter().rev().map(|failure| FailureView {
            peer_id: failure.peer.map(|peer| peer.to_string()),
            address: failure.address.as_ref().map(|address| address.as_str().to_owned()),
            reason: failure.reason.clone(),
            other_network: failure.stranger.is_some(),
            ago_ms: self.now.since(failure.at),
        });
        let middle = self.middle_clock();
        let is_far = |middle: &super::clocks::Middle| middle.ahead_ms.unsigned_abs() > CLOCK_FAR_MS;
        let clock = middle.filter(is_far).map(|middle| self.clock_advice(middle));
        let mut diagnosis = Diagnosis {
            peers: self.known_peers(),
            net: self.net,
            discovery: surroundings.discovery,
            interfaces,
            multicast_heard: self.seen.multicast.map_or(0, |(_, times)| times),
            multicast_ago_ms: self.seen.multicast.map(|(at, _)| self.now.since(at)),
            multicast_dropped: self.seen.elsewhere.map_or(0, |(count, _)| count),
            others_heard: surroundings.others_heard,
            failures: failures.collect(),
            same_key: self.twins.warned || surroundings.twin.is_some(),
            same_key_at: surroundings.twin.as_ref().map(|address| address.as_str().to_owned()),
            clock_ahead_ms: middle.map(|middle| middle.ahead_ms),
            dial: self.best_dial_line(surroundings),
            advice: Vec::new(),
        };
        let called_from_outside = |peer: &Peer| {
            peer.direction == Direction::In
                && !peer.address.is_loopback()
                && !self.addresses.iter().any(|own| own.ip() == peer.address.ip())
        };
        let scene = Scene {
            seen: &self.seen,
            networks: &self.networks,
            surroundings,
            clock,
            is_heard: self.peers.known().any(|(_, peer)| called_from_outside(peer)),
        };
        diagnosis.advice = advice(&diagnosis, &scene);
        diagnosis.advice.extend(self.ahead().map(|ahead| ahead.sentence()));
        diagnosis.advice.extend(self.growth_told());
        diagnosis
            .advice
            .extend(self.storage.room.is_low().then(|| super::storage::disk_low().message));
        Reply::Diagnosis(Box::new(diagnosis))
    }

    /// A chain that grows so fast that the disk is worth a thought, and who makes it grow.
    fn growth_told(&self) -> Option<String> {
        let tip = self.chain.tip().header.height.get();
        let growth = self.growth(Height::new(tip.saturating_sub(GROWTH_BLOCKS))).ok()?;
        let hourly = growth.bytes_per_hour.filter(|bytes| *bytes > GROWTH_FAST_BYTES)?;
        if growth.bytes < GROWTH_MIN_BYTES {
            return None;
        }
        let most = growth.fillers.first().map(|filler| {
            let kib = filler.bytes / 1_024;
            format!("; {} fills most of the newest blocks, {kib} KiB", filler.account)
        });
        let hourly = hourly / 1_048_576;
        Some(format!(
            "the chain grows by {hourly} MiB an hour{}: look at `stats` and at the disk",
            most.unwrap_or_default()
        ))
    }

    /// As [`Self::dial_line`], of an ordinary interface rather than of a container bridge or a tunnel.
    fn best_dial_line(&self, surroundings: &Surroundings) -> Option<String> {
        let is_plain = |interface: &&Interface| {
            let is_open = interface.up && interface.connected && !interface.loopback;
            is_open && !interface.point_to_point && special(&interface.name).is_none()
        };
        let plain: Vec<IpAddr> = surroundings
            .interfaces
            .iter()
            .filter(is_plain)
            .flat_map(|interface| interface.addresses.iter().copied())
            .collect();
        let is_reached = |address: &&Address| address.ip().is_some_and(|ip| plain.contains(&ip));
        let best = self.addresses.iter().find(is_reached);
        best.map_or_else(|| self.dial_line(), |best| Some(format!("dial {}", best.as_str())))
    }

    /// What is typed at another node to reach this one: the address in the LAN before the loopback's, without the
    /// PeerId, so that it can be read aloud.
    pub(super) fn dial_line(&self) -> Option<String> {
        let lan = self.addresses.iter().find(|address| !address.is_loopback());
        let own = lan.or_else(|| self.addresses.first())?;
        Some(format!("dial {}", own.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Interface {
        /// One of a LAN, nothing special about it.
        pub(crate) fn plain(name: &str, ip: [u8; 4]) -> Self {
            Self {
                name: name.into(),
                addresses: vec![IpAddr::from(ip)],
                link_local: false,
                up: true,
                connected: true,
                loopback: false,
                multicast: true,
                point_to_point: false,
                joined: Some(true),
                probe: Probe::Untried,
            }
        }
    }

    #[test]
    fn every_interface_has_its_verdict_and_its_reason() {
        let lan = Interface::plain("eth0", [10, 0, 0, 1]);
        let listening = [IpAddr::from([10, 0, 0, 1])];
        let verdict = |change: &dyn Fn(&mut Interface)| {
            let mut changed = lan.clone();
            change(&mut changed);
            let (used, reason) = judge(&changed, &listening);
            (used, reason.unwrap_or_default())
        };
        assert_eq!(verdict(&|_| {}), (true, String::new()));
        assert_eq!(verdict(&|i| i.up = false), (false, "it is down".into()));
        let unplugged = verdict(&|i| i.connected = false);
        assert_eq!(unplugged, (false, "nothing is connected to it".into()));
        assert_eq!(verdict(&|i| i.addresses.clear()), (false, "it has no address".into()));
        let only_local = verdict(&|i| {
            i.addresses.clear();
            i.link_local = true;
        });
        assert_eq!(only_local, (false, LINK_LOCAL.into()));
        assert!(!verdict(&|i| i.loopback = true).0);
        assert!(!verdict(&|i| i.addresses = vec![IpAddr::from([10, 9, 9, 9])]).0);
        for (name, word) in [
            ("docker0", "containers"),
            ("br-1a2b", "containers"),
            ("tun0", "a VPN"),
            ("wg0", "a VPN"),
        ] {
            let (used, reason) = verdict(&|i| i.name = name.into());
            assert!(used && reason.contains(word), "{name}: {reason}");
        }
        assert!(verdict(&|i| i.point_to_point = true).1.contains("tunnel"));
        assert!(verdict(&|i| i.multicast = false).1.contains("by hand"));
        assert!(verdict(&|i| i.joined = Some(false)).1.contains("ask again"));
        let probed = |probe: Probe| verdict(&|i| i.probe = probe.clone()).1;
        assert!(probed(Probe::Refused("not permitted".into())).ends_with("not permitted"));
        assert!(probed(Probe::Taken).starts_with(TAKEN));
        assert!(probed(Probe::Sent { returned: false }).contains("firewall"));
        assert_eq!(probed(Probe::Sent { returned: true }), "");
    }

    #[test]
    fn failures_are_kept_once_for_each_peer_and_are_bounded() {
        let mut seen = Seen::default();
        for port in 1..=40 {
            let (address, _) = Address::parse(&format!("/ip4/10.0.0.1/tcp/{port}")).unwrap();
            seen.failed(Time::from_ms(port), None, Some(&address), ("no answer", None));
            seen.failed(Time::from_ms(port), None, Some(&address), ("no answer", None));
        }
        assert_eq!(seen.failures.len(), FAILURES_MAX);
        let (last, _) = Address::parse("/ip4/10.0.0.1/tcp/40").unwrap();
        seen.connected(&crate::types::SecretKey::from_seed([1; 32]).public().peer_id(), &last);
        assert_eq!(seen.failures.len(), FAILURES_MAX - 1);
    }
}
