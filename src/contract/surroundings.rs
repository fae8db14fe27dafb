//! What the shell sees of the machine, for `doctor`.
//!
//! Elsewhere: who looks (`node::surroundings`), what follows from it (`inspect::doctor`).

use core::net::IpAddr;

use crate::types::Address;

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

/// What a name says of an interface.
#[must_use]
pub fn special(name: &str) -> Option<&'static str> {
    VIRTUAL
        .iter()
        .find(|(start, _)| name.starts_with(start))
        .map(|(_, what)| *what)
}
