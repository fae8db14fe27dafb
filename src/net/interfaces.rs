//! The links of this machine to other machines: their addresses and the networks behind them.
//!
//! Promises: it reads the interfaces on request and keeps nothing; at most [`LINKS_MAX`] links, those of containers and
//! tunnels last.
//! Elsewhere: what `doctor` reports about interfaces (`node::surroundings`).
//! Spec: `proto-notes/discovery.md`, "Neighbours".

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use if_addrs::IfAddr;

use crate::contract::surroundings::special;
use crate::types::prefix::{Bind, Prefix};

/// The most links that are used. Each takes two sockets, and only a machine full of containers has more.
const LINKS_MAX: usize = 16;
/// The most addresses of one IP version that are used on a link.
const ADDRESSES_MAX: usize = 4;

/// An interface with addresses at which others reach this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct NetworkLink {
    /// Whether something is connected at its other end, so that discovery starts again when a cable is plugged in.
    is_up: bool,
    /// The index that the system gave it; 0 if it has none.
    pub(super) index: u32,
    /// The IPv4 addresses of the interface.
    pub(super) v4: Vec<Ipv4Addr>,
    /// The IPv6 addresses of the interface, without link-local ones, which cannot be dialled.
    pub(super) v6: Vec<Ipv6Addr>,
    /// The networks that are reached through it.
    pub(super) prefixes: Vec<Prefix>,
}

/// The present links that the user has chosen, or all if none is chosen.
pub(super) fn links(bind: &[Bind]) -> io::Result<Vec<NetworkLink>> {
    let mut found: BTreeMap<(bool, String), NetworkLink> = BTreeMap::new();
    for entry in if_addrs::get_if_addrs()? {
        let ip = entry.ip();
        let is_chosen = bind.is_empty() || bind.iter().any(|bind| bind.is(&entry.name, ip));
        if entry.is_loopback() || !is_chosen {
            continue;
        }
        let key = (special(&entry.name).is_some(), entry.name.clone());
        let link = found.entry(key).or_default();
        link.is_up = entry.is_oper_up();
        link.index = entry.index.unwrap_or(0);
        match &entry.addr {
            IfAddr::V4(own) if link.v4.len() < ADDRESSES_MAX => {
                link.v4.push(own.ip);
                link.prefixes.push(Prefix::new(ip, own.prefixlen));
            }
            IfAddr::V6(own) if !own.ip.is_unicast_link_local() && link.v6.len() < ADDRESSES_MAX => {
                link.v6.push(own.ip);
                link.prefixes.push(Prefix::new(ip, own.prefixlen));
            }
            IfAddr::V4(_) | IfAddr::V6(_) => {}
        }
    }
    found.retain(|_, link| !link.prefixes.is_empty());
    Ok(found.into_values().take(LINKS_MAX).collect())
}

/// The present addresses of the chosen links.
pub(super) fn addresses(bind: &[Bind]) -> Vec<IpAddr> {
    let links = links(bind).unwrap_or_default();
    let of_link = |link: NetworkLink| {
        let v6 = link.v6.into_iter().map(IpAddr::V6);
        link.v4.into_iter().map(IpAddr::V4).chain(v6).collect::<Vec<_>>()
    };
    links.into_iter().flat_map(of_link).collect()
}

/// The networks that this machine reaches through all its links.
pub(super) fn prefixes() -> Vec<Prefix> {
    let links = links(&[]).unwrap_or_default();
    links.into_iter().flat_map(|link| link.prefixes).collect()
}
