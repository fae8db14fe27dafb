//! The machine as the shell sees it, for `doctor`.
//!
//! Elsewhere: who looks (`node::surroundings`), the conclusions (`inspect::doctor`).

use core::net::IpAddr;

use crate::types::Address;

/// A network interface as the operating system describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The name that the system gave to the interface.
    pub name: String,
    /// Its addresses, without link-local IPv6 ones.
    pub addresses: Vec<IpAddr>,
    /// Whether it has a link-local IPv6 address, which nobody can dial.
    pub link_local: bool,
    /// Whether the interface is up.
    pub up: bool,
    /// Whether something is connected to it: a cable, a Wi-Fi network.
    pub connected: bool,
    /// Whether it leads only to this machine itself.
    pub loopback: bool,
    /// Whether the system says that it carries multicast.
    pub multicast: bool,
    /// Whether it has only one other end, as tunnels do.
    pub point_to_point: bool,
    /// Whether this machine has joined the multicast DNS group on it; none if that is unknown.
    pub joined: Option<bool>,
    /// The fate of a question that the shell sent on it.
    pub probe: Probe,
}

/// The fate of a multicast DNS question on an interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Probe {
    /// No question was sent.
    #[default]
    Untried,
    /// The system refused to send the question, for this reason.
    Refused(String),
    /// Another program uses the port of multicast DNS and does not share it, so nothing was sent and nothing is
    /// received.
    Taken,
    /// The question was sent. A packet to a group also comes back to its sender, unless something drops it.
    Sent {
        /// Whether the question came back.
        returned: bool,
    },
}

/// The machine as the shell sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// All interfaces of the machine.
    pub interfaces: Vec<Interface>,
    /// Why the interfaces could not be read; none if they could.
    pub failure: Option<String>,
    /// Whether this node looks for others by multicast DNS.
    pub discovery: bool,
    /// The number of other machines that sent multicast DNS after the question; none if no question was sent.
    pub others_heard: Option<u64>,
    /// The address of another machine that announces this node's own key.
    pub twin: Option<Address>,
}

/// The first letters of interface names that other machines of the LAN can rarely reach.
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

/// What is special about an interface with this name; none if nothing is.
#[must_use]
pub fn special(name: &str) -> Option<&'static str> {
    VIRTUAL
        .iter()
        .find(|(start, _)| name.starts_with(start))
        .map(|(_, what)| *what)
}
