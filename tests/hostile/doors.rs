//! Doors behind which nobody speaks: where a node should never knock, or only so often.
//!
//! Promises: at most a thousand connections are held; each one is told.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout_at};

use crate::{Task, say};

/// Connections that are held open.
const HELD_MAX: usize = 1_000;

/// Takes connections on these ports and on so many behind the last one, and says nothing to them, or closes each at once.
pub(crate) async fn listen(task: &Task, at: Ipv4Addr, (mut ports, more): (Vec<u16>, u16), shut: bool) {
    let last = ports.last().copied().unwrap_or(20_000);
    ports.extend((1..=more).map(|step| last.saturating_add(step)));
    let until = Instant::now() + task.time;
    let mut doors = Vec::new();
    for port in ports {
        match TcpListener::bind((at, port)).await {
            Ok(listener) => doors.push(tokio::spawn(hold(listener, port, until, shut))),
            Err(error) => say("failed", json!({ "port": port, "reason": error.to_string() })),
        }
    }
    say("listening", json!({ "ports": doors.len() }));
    for door in doors {
        door.await.unwrap_or_default();
    }
}

async fn hold(listener: TcpListener, port: u16, until: Instant, shut: bool) {
    let mut held = Vec::new();
    while let Ok(Ok((stream, from))) = timeout_at(until, listener.accept()).await {
        say("knock", json!({ "port": port, "from": from.ip() }));
        if !shut && held.len() < HELD_MAX {
            held.push(stream);
        }
    }
}
