//! `invite` and `join`: a ticket says which network to join, and where a node of it is.
//!
//! Promises: a ticket of another network is refused with a sentence. Elsewhere: what a ticket holds (`types::ticket`),
//! the dial that follows (`engine::commands`). Spec: `proto-notes/discovery.md`, "Tickets".

use super::machine::Engine;
use super::parts::dial;
use crate::chain::{ChainStore, NetworkParams};
use crate::contract::{CommandError, FoundBy, Reply};
use crate::types::ticket::{ADDRESSES_MAX, ID_BYTES, Ticket, TicketNetwork};
use crate::types::{Address, NetworkId};

/// How a ticket names a network.
#[must_use]
pub fn network_of(params: &NetworkParams) -> TicketNetwork {
    let label = params.label();
    let is_built_in = NetworkParams::built_in(&label).is_ok_and(|known| known == *params);
    if is_built_in {
        TicketNetwork::BuiltIn(label)
    } else {
        TicketNetwork::File(first_bytes(&params.network_id()))
    }
}

/// Why a ticket cannot be used on a network; none if it is for this one.
#[must_use]
pub fn mismatch(ticket: &Ticket, params: &NetworkParams) -> Option<String> {
    let own = network_of(params);
    if ticket.network == own {
        return None;
    }
    let show = |network: &TicketNetwork| match network {
        TicketNetwork::BuiltIn(label) => label.clone(),
        TicketNetwork::File(id) => format!("the network of a file, whose id begins with {}", hex::encode(id)),
    };
    let way = match &ticket.network {
        TicketNetwork::BuiltIn(label) => format!("--network {label}"),
        TicketNetwork::File(_) => "--network and that file".to_owned(),
    };
    Some(format!(
        "the ticket is for {}, and this node is on {}: start one with {way}",
        show(&ticket.network),
        show(&own)
    ))
}

fn first_bytes(id: &NetworkId) -> [u8; ID_BYTES] {
    let mut first = [0; ID_BYTES];
    first.copy_from_slice(&id.as_bytes()[..ID_BYTES]);
    first
}

impl<S: ChainStore> Engine<S> {
    pub(super) fn invite(&self) -> Result<Reply, CommandError> {
        let is_plain = |address: &&Address| address.tcp().is_some();
        let mut addresses: Vec<Address> = self.peers.links.addresses().iter().filter(is_plain).cloned().collect();
        if addresses.iter().any(|address| !address.is_loopback()) {
            addresses.retain(|address| !address.is_loopback());
        }
        addresses.sort_by_key(|address| address.ip().is_some_and(|ip| ip.is_ipv6()));
        addresses.truncate(ADDRESSES_MAX);
        if addresses.is_empty() {
            let hint = if self.mode.net { "doctor" } else { "net on" };
            return Err(CommandError::new(
                "no_address",
                "this node listens nowhere, so nobody could use a ticket",
                hint,
            ));
        }
        let ticket = Ticket {
            network: network_of(&self.node.config.params),
            key: self.node.me,
            addresses,
        };
        let local = ticket.addresses.iter().all(Address::is_loopback);
        let reach = if local {
            "on this machine only"
        } else {
            "in this network"
        };
        let text = ticket.to_string();
        Ok(Reply::Invited {
            message: format!(
                "type `join {text}` at another node, or start one with --join {text}: it works {reach}, as long as this \
                 node runs"
            ),
            ticket: text,
            network: self.node.config.params.label(),
            addresses: ticket
                .addresses
                .iter()
                .map(|address| address.with_peer(&self.node.peer_id))
                .collect(),
        })
    }

    pub(super) fn join(&mut self, id: u64, ticket: Ticket) {
        if let Some(message) = mismatch(&ticket, &self.node.config.params) {
            return self
                .out
                .reply(id, Err(CommandError::new("other_network", message, "status")));
        }
        let peer = ticket.peer();
        if peer == self.node.peer_id {
            let message = "this is the node's own ticket: it is for other nodes";
            return self
                .out
                .reply(id, Err(CommandError::new("dial_failed", message, "invite")));
        }
        let mut addresses = ticket.addresses.into_iter();
        let Some(first) = addresses.next() else {
            return self.out.reply(
                id,
                Err(CommandError::new("bad_ticket", "the ticket leads nowhere", "help join")),
            );
        };
        for other in addresses {
            let (by, from) = (FoundBy::Manual, None);
            let address = other;
            self.peers.dialer.handle(
                self.clock.now(),
                dial::Fact::Found {
                    peer,
                    address,
                    by,
                    from,
                },
            );
        }
        self.dial(id, first, Some(peer));
    }
}
