//! Requests over the simulated wire: each ends exactly once, in an answer, a failure or by time.
//!
//! Elsewhere: which connection carries one (`net`, `wires`).

use lanchain::engine::Fault;
use lanchain::engine::{Input, NetFact};
use lanchain::types::PeerId;
use lanchain::wire::{RESPONSE_MAX_BYTES, Request, Response, WireError};

use super::{Inbound, Open, ready};
use crate::checkers::Watch;
use crate::world::{Happening, World};

/// The network layer ends a request after this time.
const REQUEST_TIMEOUT_MS: u64 = 20_000;
/// Requests of one peer in process; more are answered `Busy`.
const IN_PROCESS_MAX: usize = 8;

impl World {
    /// A connection has ended at this end: what was asked on it has no answer.
    pub(crate) fn requests_end(&mut self, node: usize, epoch: u64) {
        let life = self.nodes[node].life;
        let of_node = self.net.open.range((node, 0)..=(node, u64::MAX));
        let ended = of_node.filter(|(_, open)| open.epoch == epoch);
        let ids: Vec<u64> = ended.map(|((_, id), _)| *id).collect();
        for id in ids {
            self.later(0, Happening::Expire { asker: node, life, id });
        }
    }

    pub(crate) fn request(&mut self, node: usize, id: u64, peer: PeerId, request: &Request) {
        let life = self.nodes[node].life;
        let link = self
            .index
            .get(&peer)
            .and_then(|to| Some((*to, self.way(node, *to, id)?)));
        let Some((to, link)) = link else {
            let response = None;
            return self.tell_later(1, node, Input::Net(NetFact::Response { id, peer, response }));
        };
        let bytes = request.encode();
        let epoch = link.epoch;
        self.net.traffic.sent(bytes.len());
        if self.net.open.insert((node, id), Open { to, epoch }).is_some() {
            self.fail(&format!("node {node} used the request id {id} twice"));
        }
        self.later(REQUEST_TIMEOUT_MS, Happening::Expire { asker: node, life, id });
        if self.dice.chance(self.plan.failure) {
            let delay = 1 + self.dice.below(REQUEST_TIMEOUT_MS / 2);
            return self.later(delay, Happening::Expire { asker: node, life, id });
        }
        if self.leaves(node, to, epoch) {
            let at = (self.now + self.delay()).max(ready(&link, to, node) + 1);
            let from = node;
            self.at_time(
                at,
                Happening::Request {
                    from,
                    to,
                    epoch,
                    id,
                    bytes,
                },
            );
        }
    }

    pub(crate) fn request_arrives(&mut self, (from, to, epoch): (usize, usize, u64), id: u64, bytes: &[u8]) {
        if !self.net.is_alive(from, to, epoch) || !self.is_up(to) {
            return;
        }
        let peer = self.nodes[from].peer;
        let request = match Request::decode(bytes) {
            Ok(request) => request,
            Err(WireError::UnknownKind(_)) => return self.send_answer(from, id, (to, epoch), &Response::Unsupported),
            Err(error) => {
                let reason = error.to_string();
                return self.tell(
                    to,
                    Input::Net(NetFact::Malformed {
                        peer,
                        fault: Fault::Fatal,
                        reason,
                    }),
                );
            }
        };
        if self.plan.turned_away > 0 && self.dice.chance(self.plan.turned_away) {
            return self.send_answer(from, id, (to, epoch), &Response::Busy);
        }
        let of_peer = self
            .net
            .inbound
            .values()
            .filter(|entry| entry.answerer == to && entry.asker == from);
        if of_peer.count() >= IN_PROCESS_MAX {
            return self.send_answer(from, id, (to, epoch), &Response::Busy);
        }
        let token = self.net.next();
        let inbound = Inbound {
            asker: from,
            id,
            answerer: to,
            epoch,
        };
        self.net.inbound.insert(token, inbound);
        self.tell(to, Input::Net(NetFact::Request { token, peer, request }));
    }

    pub(crate) fn answer(&mut self, node: usize, token: u64, response: &Response) {
        let Some(inbound) = self.net.inbound.remove(&token) else {
            return;
        };
        Watch::answered(self, node, response);
        self.send_answer(inbound.asker, inbound.id, (node, inbound.epoch), response);
    }

    fn send_answer(&mut self, asker: usize, id: u64, (answerer, epoch): (usize, u64), response: &Response) {
        if !self.net.is_alive(asker, answerer, epoch) || !self.leaves(answerer, asker, epoch) {
            return;
        }
        let mut bytes = response.encode();
        if bytes.len() > RESPONSE_MAX_BYTES {
            bytes = Response::Busy.encode();
        }
        self.net.traffic.sent(bytes.len());
        let at = self.carried(answerer, asker, bytes.len()) + self.delay();
        self.at_time(
            at,
            Happening::Answer {
                asker,
                id,
                epoch,
                bytes,
            },
        );
    }

    pub(crate) fn answer_arrives(&mut self, asker: usize, id: u64, epoch: u64, bytes: &[u8]) {
        let Some(open) = self.net.open.get(&(asker, id)).copied() else {
            return;
        };
        if open.epoch != epoch {
            return;
        }
        self.net.open.remove(&(asker, id));
        let peer = self.nodes[open.to].peer;
        let response = match Response::decode(bytes) {
            Ok(response) => Some(response),
            Err(error) => {
                let reason = error.to_string();
                self.tell(
                    asker,
                    Input::Net(NetFact::Malformed {
                        peer,
                        fault: Fault::Fatal,
                        reason,
                    }),
                );
                None
            }
        };
        self.tell(asker, Input::Net(NetFact::Response { id, peer, response }));
    }

    /// A request ends without an answer, if it has not ended yet.
    pub(crate) fn expire(&mut self, asker: usize, life: u64, id: u64) {
        if self.nodes[asker].life != life {
            return;
        }
        let Some(open) = self.net.open.remove(&(asker, id)) else {
            return;
        };
        self.net
            .inbound
            .retain(|_, inbound| inbound.asker != asker || inbound.id != id);
        let peer = self.nodes[open.to].peer;
        let response = None;
        self.tell(asker, Input::Net(NetFact::Response { id, peer, response }));
    }
}
