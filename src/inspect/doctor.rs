//! `doctor`: it answers why this node has no peers, by judging the facts about the machine and the network.
//!
//! Promises: pure; each advice follows from a fact that the reply contains.
//! Elsewhere: the facts about the machine (`node::surroundings`), the engine's facts (`engine::doctor`), the sentences
//! (`inspect::advice`). Spec: `proto-notes/events.md`, "Replies".

use core::net::IpAddr;

use super::View;
use super::advice::advice;
use crate::chain::ChainStore;
use crate::contract::surroundings::special;
use crate::contract::{
    Diagnosis, DialFailure, FailureView, Interface, InterfaceView, Multicast, Probe, Stranger, Surroundings,
};
use crate::types::prefix::Prefix;
use crate::types::{Address, Height, PeerId, Time};

/// The growth in bytes per hour above which `doctor` mentions the size of the chain.
const GROWTH_FAST_BYTES: u64 = 20 * 1024 * 1024;
/// The fewest bytes for this judgement, because a few small blocks at once say nothing about an hour.
const GROWTH_MIN_BYTES: u64 = 1024 * 1024;
/// The number of blocks over which the growth is measured: a quarter of an hour.
const GROWTH_BLOCKS: u64 = 100;

/// A dial that did not lead to a peer.
#[derive(Clone, Debug)]
pub struct FailedDial {
    /// The peer that was dialled; none if only an address was known.
    pub peer: Option<PeerId>,
    /// The address that was dialled; none if none was known.
    pub address: Option<Address>,
    /// Why the dial failed.
    pub reason: DialFailure,
    /// How the program that answered differs from a node of this network; none if nothing like that answered.
    pub stranger: Option<Stranger>,
    /// The time of the failure, by the even clock.
    pub at: Time,
}

/// The facts that `doctor` judges.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'a> {
    /// The time of the question, by the even clock.
    pub now: Time,
    /// The machine as the shell saw it.
    pub surroundings: &'a Surroundings,
    /// The addresses at which the node listens.
    pub addresses: &'a [Address],
    /// The networks that this machine reaches without a router.
    pub networks: &'a [Prefix],
    /// The number of connected peers.
    pub peers: u64,
    /// Whether the network of this node is switched on.
    pub net: bool,
    /// Whether a node on another machine has found this one and dialled it.
    pub is_heard: bool,
    /// The last time when multicast DNS named a node, and how often it did so.
    pub multicast: Option<(Time, u64)>,
    /// How often it named a node outside this network, and the last sender of such a packet.
    pub elsewhere: Option<(u64, IpAddr)>,
    /// The dials that did not lead to a peer, oldest first.
    pub failures: &'a [FailedDial],
    /// Whether another node uses this node's key.
    pub same_key: bool,
    /// The address of that other node; none if it is unknown or on this machine.
    pub twin: Option<&'a Address>,
    /// The median of how far the peers' clocks are ahead of this one, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
    /// The advice about the clock; none if there is nothing to say.
    pub clock_advice: Option<&'a str>,
}

/// The reply of `doctor`, from the facts.
#[must_use]
pub fn diagnose(scene: &Scene<'_>) -> Diagnosis {
    let listening: Vec<IpAddr> = scene.addresses.iter().filter_map(Address::ip).collect();
    let view = |interface: &Interface| {
        let (used, reason) = judge(interface, &listening);
        InterfaceView {
            name: interface.name.clone(),
            addresses: interface.addresses.iter().map(ToString::to_string).collect(),
            used,
            reason,
            multicast: told(interface),
        }
    };
    let failure = |failure: &FailedDial| FailureView {
        peer_id: failure.peer.map(|peer| peer.to_string()),
        address: failure.address.as_ref().map(|address| address.as_str().to_owned()),
        reason: failure.reason.to_string(),
        other_network: failure.stranger.is_some(),
        ago_ms: scene.now.since(failure.at),
    };
    let twin = scene.surroundings.twin.as_ref().or(scene.twin);
    let mut diagnosis = Diagnosis {
        peers: scene.peers,
        net: scene.net,
        discovery: scene.surroundings.discovery,
        interfaces: scene.surroundings.interfaces.iter().map(view).collect(),
        multicast_heard: scene.multicast.map_or(0, |(_, times)| times),
        multicast_ago_ms: scene.multicast.map(|(at, _)| scene.now.since(at)),
        multicast_dropped: scene.elsewhere.map_or(0, |(count, _)| count),
        others_heard: scene.surroundings.others_heard,
        failures: scene.failures.iter().rev().map(failure).collect(),
        same_key: scene.same_key || twin.is_some(),
        same_key_at: twin.map(|address| address.as_str().to_owned()),
        clock_ahead_ms: scene.clock_ahead_ms,
        dial: best_dial_line(scene),
        advice: Vec::new(),
    };
    diagnosis.advice = advice(&diagnosis, scene);
    diagnosis
}

/// The line of [`dial_line`], preferably for an ordinary interface rather than a container bridge or a tunnel.
fn best_dial_line(scene: &Scene<'_>) -> Option<String> {
    let is_plain = |interface: &&Interface| {
        let is_open = interface.up && interface.connected && !interface.loopback;
        is_open && !interface.point_to_point && special(&interface.name).is_none()
    };
    let interfaces = scene.surroundings.interfaces.iter().filter(is_plain);
    let plain: Vec<IpAddr> = interfaces
        .flat_map(|interface| interface.addresses.iter().copied())
        .collect();
    let is_reached = |address: &&Address| address.ip().is_some_and(|ip| plain.contains(&ip));
    let best = scene.addresses.iter().find(is_reached);
    best.map_or_else(
        || dial_line(scene.addresses),
        |best| Some(format!("dial {}", best.as_str())),
    )
}

/// The line to type at another node to reach this one. An address in the LAN comes before the loopback one, and the
/// PeerId is left out, so that the line can be read aloud.
#[must_use]
pub fn dial_line(addresses: &[Address]) -> Option<String> {
    let lan = addresses.iter().find(|address| !address.is_loopback());
    let own = lan.or_else(|| addresses.first())?;
    Some(format!("dial {}", own.as_str()))
}

impl<S: ChainStore> View<'_, S> {
    /// A warning if the chain grows so fast that the disk may fill up, with the accounts that cause it; otherwise none.
    #[must_use]
    pub fn growth_told(&self) -> Option<String> {
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
}

/// The reason on an interface if multicast DNS can neither be sent nor received.
const TAKEN: &str = "another program has UDP port 5353 for itself";

/// The reason on an interface whose only address cannot be dialled.
pub(super) const LINK_LOCAL: &str =
    "it has a link-local IPv6 address only, which means nothing without its interface and cannot be dialled";

/// Whether the node can be reached through an interface, and otherwise why not.
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

/// The fate of multicast on an interface, as the reply has it.
const fn told(interface: &Interface) -> Option<Multicast> {
    if !interface.multicast && !interface.loopback {
        return Some(Multicast::None);
    }
    match &interface.probe {
        Probe::Untried => None,
        Probe::Refused(_) => Some(Multicast::Refused),
        Probe::Taken => Some(Multicast::Taken),
        Probe::Sent { returned: true } => Some(Multicast::Returned),
        Probe::Sent { returned: false } => Some(Multicast::Lost),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Interface {
        /// An ordinary interface of a LAN.
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
}
