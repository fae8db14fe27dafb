//! The machine as `doctor` needs it: its interfaces, and where multicast DNS is listened to.
//!
//! Promises: reads what the system holds in memory and waits for nobody. Elsewhere: what follows from it
//! (`inspect::doctor`), what is sent and heard (`node::probe`).

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use crate::contract::{Interface, Probe, Surroundings};

/// Interfaces that are listed: a machine full of containers has hundreds.
const INTERFACES_MAX: usize = 64;
/// Where Linux lists interfaces without an address too.
const CLASS: &str = "/sys/class/net";
/// States in which an interface leads nowhere. `unknown` is no such one: loopback and tunnels are always in it.
const DISCONNECTED: [&str; 3] = ["down", "lowerlayerdown", "notpresent"];
/// Bits of an interface's flags, as Linux has them.
const UP: u32 = 0x1;
const LOOPBACK: u32 = 0x8;
const POINT_TO_POINT: u32 = 0x10;
const MULTICAST: u32 = 0x1000;
/// The group of multicast DNS, 224.0.0.251, as `/proc/net/igmp` writes it: in the order of the machine's bytes.
const MDNS_GROUP: u32 = u32::from_ne_bytes([224, 0, 0, 251]);

/// Looks around.
#[must_use]
pub fn look(discovery: bool) -> Surroundings {
    let groups = std::fs::read_to_string("/proc/net/igmp").ok();
    let mut found = from_class(Path::new(CLASS));
    if let Ok(devices) = std::fs::read_to_string("/proc/net/dev") {
        // The class may be that of another network namespace; this list never is.
        found.retain(|name, _| is_listed(&devices, name));
    }
    let list = if_addrs::get_if_addrs();
    let failure = list.as_ref().err().map(ToString::to_string);
    for entry in list.into_iter().flatten() {
        if !found.contains_key(&entry.name) && found.len() >= INTERFACES_MAX {
            continue;
        }
        let interface = found.entry(entry.name.clone()).or_insert_with(|| Interface {
            name: entry.name.clone(),
            addresses: Vec::new(),
            link_local: false,
            up: true,
            connected: entry.is_oper_up(),
            loopback: entry.is_loopback(),
            multicast: !entry.is_loopback(),
            point_to_point: entry.is_p2p(),
            joined: None,
            probe: Probe::Untried,
        });
        match entry.ip() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() => interface.link_local = true,
            ip => interface.addresses.push(ip),
        }
    }
    for interface in found.values_mut() {
        interface.joined = groups.as_deref().map(|groups| has_joined(groups, &interface.name));
    }
    Surroundings {
        interfaces: found.into_values().collect(),
        failure,
        discovery,
        others_heard: None,
        twin: None,
    }
}

/// The interfaces that Linux lists with their flags; none elsewhere.
fn from_class(class: &Path) -> BTreeMap<String, Interface> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(class)
        .into_iter()
        .flatten()
        .flatten()
        .take(INTERFACES_MAX)
    {
        let flags = std::fs::read_to_string(entry.path().join("flags")).unwrap_or_default();
        let Ok(flags) = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16) else {
            continue;
        };
        let name = entry.file_name().to_string_lossy().into_owned();
        let state = std::fs::read_to_string(entry.path().join("operstate")).unwrap_or_default();
        let interface = Interface {
            name: name.clone(),
            addresses: Vec::new(),
            link_local: false,
            up: flags & UP != 0,
            connected: !DISCONNECTED.contains(&state.trim()),
            loopback: flags & LOOPBACK != 0,
            multicast: flags & MULTICAST != 0,
            point_to_point: flags & POINT_TO_POINT != 0,
            joined: None,
            probe: Probe::Untried,
        };
        found.insert(name, interface);
    }
    found
}

/// Whether a device has its line in the text of `/proc/net/dev`.
fn is_listed(devices: &str, name: &str) -> bool {
    let of_line = |line: &str| line.split_once(':').is_some_and(|(device, _)| device.trim() == name);
    devices.lines().any(of_line)
}

/// Whether the group of multicast DNS stands under an interface in the text of `/proc/net/igmp`: a line a device,
/// indented lines with its groups below it.
fn has_joined(groups: &str, name: &str) -> bool {
    let mut inside = false;
    for line in groups.lines().skip(1) {
        if line.starts_with(char::is_whitespace) {
            let group = line.split_whitespace().next();
            let number = group.and_then(|group| u32::from_str_radix(group, 16).ok());
            if inside && number == Some(MDNS_GROUP) {
                return true;
            }
        } else {
            inside = line.split_whitespace().nth(1) == Some(name);
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_always_seen() {
        let seen = look(true);
        assert_eq!(seen.failure, None);
        assert!(seen.discovery);
        assert!(seen.interfaces.iter().any(|interface| interface.loopback), "{seen:?}");
    }

    #[test]
    fn groups_belong_to_the_interface_above_them() {
        let group = format!("{MDNS_GROUP:08X}");
        let text = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
             2\teth0      :     2      V3\n\t\t\t\t{group}     1 0:00000000\t\t0\n\
             3\twlan0     :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n"
        );
        assert!(has_joined(&text, "eth0"));
        assert!(!has_joined(&text, "lo"));
        assert!(!has_joined(&text, "wlan0"));
        assert!(!has_joined("", "eth0"));
    }

    #[test]
    fn devices_of_other_namespaces_are_not_listed() {
        let devices = "Inter-|   Receive  \n face |bytes \n    lo: 1 2 3\n  eth0:9 9\n";
        assert!(is_listed(devices, "lo") && is_listed(devices, "eth0"));
        assert!(!is_listed(devices, "eth") && !is_listed(devices, "v0"));
    }

    #[test]
    fn flags_are_read_as_linux_writes_them() {
        let class = tempfile::tempdir().unwrap();
        for (name, flags) in [
            ("eth0", "0x1003\n"),
            ("tun0", "0x10d1\n"),
            ("off", "0x1002\n"),
            ("odd", "x"),
        ] {
            std::fs::create_dir(class.path().join(name)).unwrap();
            std::fs::write(class.path().join(name).join("flags"), flags).unwrap();
            let state = if name == "off" { "down\n" } else { "unknown\n" };
            std::fs::write(class.path().join(name).join("operstate"), state).unwrap();
        }
        let found = from_class(class.path());
        let seen: Vec<_> = found
            .values()
            .map(|i| (i.name.as_str(), (i.up, i.connected), i.multicast, i.point_to_point))
            .collect();
        let wanted = [
            ("eth0", (true, true), true, false),
            ("off", (false, false), true, false),
            ("tun0", (true, true), true, true),
        ];
        assert_eq!(seen, wanted);
    }
}
