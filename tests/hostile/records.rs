//! Forged records of multicast DNS.
//!
//! Promises: so many a second and no more, from the addresses that were given.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use serde_json::json;
use socket2::SockRef;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{Task, forge, say};

const GROUP: (Ipv4Addr, u16) = (Ipv4Addr::new(224, 0, 0, 251), 5353);
const SERVICE: [&str; 3] = ["_p2p", "_udp", "local"];
const PTR: u16 = 12;
const TXT: u16 = 16;
/// For how many seconds a record is said to hold.
const SECONDS: u32 = 120;
/// How often some are sent.
const PAUSE_MS: u64 = 20;

fn open(from: Ipv4Addr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((from, 0))?;
    let options = SockRef::from(&socket);
    options.set_multicast_if_v4(&from)?;
    options.set_multicast_ttl_v4(255)?;
    Ok(socket)
}

/// Announces invented peers on ports of the addresses that it speaks from.
pub(crate) async fn announce(task: &Task, from: &[Ipv4Addr], (each, port): (u16, u16), per_second: u64) {
    let mut mouths = Vec::new();
    for address in from {
        match open(*address) {
            Ok(socket) => mouths.push((*address, socket)),
            Err(error) => say("failed", json!({ "from": address, "reason": error.to_string() })),
        }
    }
    let end = Instant::now() + task.time;
    let mut tick = interval(Duration::from_millis(PAUSE_MS));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let per_tick = (per_second * PAUSE_MS / 1_000).max(1);
    let (mut sent, mut failed) = (0_u64, 0_u64);
    say("announcing", json!({ "addresses": mouths.len(), "peers": each }));
    while Instant::now() < end && !mouths.is_empty() {
        tick.tick().await;
        for _ in 0..per_tick {
            let turn = usize::try_from(sent).unwrap_or(0);
            let (address, socket) = &mouths[turn % mouths.len()];
            let number = u16::try_from((turn / mouths.len()) % usize::from(each)).unwrap_or(0);
            let packet = packet(task.seed, *address, number, port.saturating_add(number));
            failed += u64::from(socket.send_to(&packet, GROUP).is_err());
            sent += 1;
        }
    }
    say("announced", json!({ "records": sent, "failed": failed }));
}

/// An answer that nobody asked for: one invented peer at one place.
fn packet(seed: u64, address: Ipv4Addr, number: u16, port: u16) -> Vec<u8> {
    let owner = u64::from(address.to_bits());
    let peer = forge::key(seed, owner, u64::from(number)).public().peer_id();
    let label = format!("forged{}-{number}", address.to_bits());
    let node = [&[label.as_str()][..], &SERVICE].concat();
    let text = format!("dnsaddr=/ip4/{address}/tcp/{port}/p2p/{peer}");
    let mut target = Vec::new();
    write_name(&mut target, &node);
    let mut bytes = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 1];
    write_record(&mut bytes, &SERVICE, PTR, &target);
    let length = u8::try_from(text.len()).expect("a short text");
    write_record(&mut bytes, &node, TXT, &[&[length], text.as_bytes()].concat());
    bytes
}

fn write_name(bytes: &mut Vec<u8>, labels: &[&str]) {
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("labels are short"));
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.push(0);
}

fn write_record(bytes: &mut Vec<u8>, name: &[&str], kind: u16, data: &[u8]) {
    write_name(bytes, name);
    bytes.extend(kind.to_be_bytes());
    bytes.extend(1_u16.to_be_bytes());
    bytes.extend(SECONDS.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).expect("data is short").to_be_bytes());
    bytes.extend_from_slice(data);
}
