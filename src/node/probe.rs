//! Asks for nodes by multicast DNS on every interface and listens to what comes back: does multicast work here?
//!
//! Promises: one datagram an interface, then half a second of listening; runs on a thread that nothing waits for but the
//! reply of `doctor`; never with `--no-mdns` or `net off`.
//! Elsewhere: finding nodes (`net::discovery`), what follows (`inspect::doctor`).

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use crate::contract::{Interface, Probe, Surroundings};
use crate::net::multicast;
use crate::types::{Address, PeerId};

/// How long is listened: a LAN answers within milliseconds, a Wi-Fi that saves power within three of its beacons.
const LISTEN: Duration = Duration::from_millis(500);
/// Interfaces that are asked on: Linux lets a socket join 20 groups.
const INTERFACES_MAX: usize = 16;
/// Other machines that are counted.
const OTHERS_MAX: usize = 1_000;
/// The group of multicast DNS.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
/// What stands before an address in an answer.
const ANSWER: &[u8] = b"dnsaddr=";
/// The longest datagram of multicast DNS.
const DATAGRAM_MAX_BYTES: usize = 9_000;

/// Sends, listens, and notes what happened.
pub fn ask(surroundings: &mut Surroundings, local: &PeerId) {
    let own: BTreeSet<IpAddr> = surroundings
        .interfaces
        .iter()
        .flat_map(|interface| interface.addresses.iter().copied())
        .collect();
    let usable = |interface: &&mut Interface| {
        let is_open = interface.up && interface.connected && interface.addresses.iter().any(IpAddr::is_ipv4);
        is_open && interface.multicast && !interface.loopback
    };
    let asked: Vec<&mut Interface> = surroundings
        .interfaces
        .iter_mut()
        .filter(usable)
        .take(INTERFACES_MAX)
        .collect();
    if asked.is_empty() {
        return;
    }
    let mut twin = None;
    match multicast::open() {
        Ok(socket) => {
            let heard = |text: &[u8]| twin = twin.take().or_else(|| address_of(text, local, &own));
            surroundings.others_heard = Some(exchange(&socket, asked, &own, heard));
        }
        Err(error) => {
            for interface in asked {
                interface.probe = match error.kind() {
                    ErrorKind::AddrInUse => Probe::Taken,
                    _ => Probe::Refused(error.to_string()),
                };
            }
        }
    }
    surroundings.twin = twin;
}

/// Asks on every interface; gives the number of other machines that spoke, and what they said to `heard`.
fn exchange(
    socket: &UdpSocket,
    asked: Vec<&mut Interface>,
    own: &BTreeSet<IpAddr>,
    mut heard: impl FnMut(&[u8]),
) -> u64 {
    let first = random();
    let mut waiting = Vec::new();
    for (interface, index) in asked.into_iter().zip(0_u16..) {
        let question = question(first.wrapping_add(index));
        interface.probe = match send(socket, interface, &question) {
            Ok(()) => Probe::Sent { returned: false },
            Err(error) => Probe::Refused(error.to_string()),
        };
        waiting.push((question, interface));
    }
    let deadline = Instant::now() + LISTEN;
    let mut others = BTreeSet::new();
    let mut datagram = [0; DATAGRAM_MAX_BYTES];
    while let Some(left) = deadline
        .checked_duration_since(Instant::now())
        .filter(|left| !left.is_zero())
    {
        if socket.set_read_timeout(Some(left)).is_err() {
            break;
        }
        let Ok((size, SocketAddr::V4(from))) = socket.recv_from(&mut datagram) else {
            continue;
        };
        let from = IpAddr::V4(*from.ip());
        if !own.contains(&from) {
            heard(&datagram[..size]);
            if others.len() < OTHERS_MAX {
                others.insert(from);
            }
            continue;
        }
        let is_own = |(question, _): &&mut (Vec<u8>, &mut Interface)| *question == datagram[..size];
        if let Some((_, interface)) = waiting.iter_mut().find(is_own) {
            interface.probe = Probe::Sent { returned: true };
        }
    }
    u64::try_from(others.len()).unwrap_or(u64::MAX)
}

fn send(socket: &UdpSocket, interface: &Interface, question: &[u8]) -> std::io::Result<()> {
    let own = interface.addresses.iter().find_map(|ip| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    });
    let own = own.ok_or(ErrorKind::AddrNotAvailable)?;
    socket.join_multicast_v4(&GROUP, &own)?;
    socket2::SockRef::from(socket).set_multicast_if_v4(&own)?;
    socket.send_to(question, (GROUP, multicast::MDNS_PORT))?;
    Ok(())
}

/// The address under which another machine's answer names this node's own PeerId: a copy of its key runs there. The library
/// that finds nodes passes such answers over. An address of this machine is an own answer that somebody repeated.
fn address_of(answer: &[u8], local: &PeerId, own: &BTreeSet<IpAddr>) -> Option<Address> {
    let end = format!("/p2p/{local}");
    let name = answer.windows(end.len()).position(|window| window == end.as_bytes())?;
    let before = &answer[..name];
    let start = before.windows(ANSWER.len()).rposition(|window| window == ANSWER)? + ANSWER.len();
    let (address, _) = Address::parse(std::str::from_utf8(&before[start..]).ok()?).ok()?;
    let ip = address.ip()?;
    (!own.contains(&ip) && !ip.is_loopback()).then_some(address)
}

/// Numbers by which own questions are known again; without chance two nodes of a machine could take each other's.
fn random() -> u16 {
    let mut bytes = [0; 2];
    getrandom::fill(&mut bytes).unwrap_or_default();
    u16::from_be_bytes(bytes)
}

/// "Who is `_p2p._udp.local`?", as every libp2p program asks; all of them answer.
fn question(number: u16) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    // No flags; one question, nothing else.
    bytes.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in ["_p2p", "_udp", "local"] {
        bytes.push(u8::try_from(label.len()).expect("labels are short"));
        bytes.extend(label.as_bytes());
    }
    // The end of the name, PTR, IN.
    bytes.extend([0, 0, 12, 0, 1]);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys::peer;

    #[test]
    fn an_answer_with_the_own_name_betrays_a_copy_of_the_key_unless_it_is_an_echo() {
        let own = BTreeSet::from([IpAddr::from([10, 0, 0, 1])]);
        let answer = |ip: &str, seed| {
            let record = |ip: &str, seed| format!("dnsaddr=/ip4/{ip}/tcp/4001/p2p/{}", peer(seed));
            let text = [record("10.0.0.9", 9), record(ip, seed)].map(|text| {
                let length = u8::try_from(text.len()).unwrap();
                [vec![0xff, length], text.into_bytes()].concat()
            });
            text.concat()
        };
        let found = |bytes: &[u8]| address_of(bytes, &peer(1), &own).map(|address| address.as_str().to_owned());
        assert_eq!(found(&answer("10.0.0.2", 1)).as_deref(), Some("/ip4/10.0.0.2/tcp/4001"));
        assert_eq!(found(&answer("10.0.0.2", 2)), None);
        assert_eq!(
            found(&answer("10.0.0.1", 1)),
            None,
            "a router repeats what this node said"
        );
        assert_eq!(found(&answer("127.0.0.1", 1)), None);
        assert_eq!(found(format!("/p2p/{}", peer(1)).as_bytes()), None);
        assert_eq!(found(format!("dnsaddr=\u{1b}/p2p/{}", peer(1)).as_bytes()), None);
        assert_eq!(found(b""), None);
    }

    #[test]
    fn the_question_is_one_of_dns() {
        let bytes = question(0x1234);
        assert_eq!(bytes[..2], [0x12, 0x34]);
        assert_eq!(bytes[12..], *b"\x04_p2p\x04_udp\x05local\0\0\x0c\0\x01");
        assert_eq!(bytes.len(), 33);
    }

    #[test]
    fn without_an_interface_nothing_is_sent() {
        let mut seen = Surroundings::default();
        ask(&mut seen, &peer(1));
        assert_eq!(seen, Surroundings::default());
    }
}
