//! What peers answer to this node's questions, and questions that nobody answers in time.
//!
//! Promises: each question ends once; an answer is taken also after the patience with it has ended, until the network ends
//! the request.
//! Elsewhere: ids and deadlines (`requests`), what is done with an answer (`links`, `syncing`, `pooling`, `neighbours`).
//! Spec: `proto-notes/sync.md`, "Messages".

use super::machine::Engine;
use super::parts::pools::Fact;
use super::parts::requests::Question;
use super::parts::standing::Fault;
use crate::chain::ChainStore;
use crate::chain::header::HEADER_BYTES;
use crate::types::{PeerId, Time};
use crate::wire::Response;

impl<S: ChainStore> Engine<S> {
    pub(super) fn on_response(&mut self, id: u64, peer: PeerId, response: Option<Response>) {
        let Some(asked) = self.peers.requests.end(id, peer) else {
            return;
        };
        let now = self.clock.now();
        if asked.what == Question::Status {
            self.peers.links.asked(&peer);
        }
        // Of peers it tells twice a minute: that says nothing of its work.
        if response == Some(Response::Busy)
            && asked.what != Question::Peers
            && let Some(link) = self.peers.requests.link_mut(&peer)
        {
            link.note_busy(now);
        }
        let late = asked.has_lapsed();
        let at = asked.at;
        match (asked.what, response) {
            (Question::Status, Some(Response::Status(status))) => {
                self.peers.links.status_arrived(&peer);
                self.take_status(peer, status);
            }
            (Question::Status, None | Some(Response::Busy)) => {
                self.peers.links.status_failed(now, &peer);
            }
            (Question::Headers, Some(Response::Headers(list))) => {
                if !list.is_empty() {
                    self.page_carried(peer, at, list.len().saturating_mul(HEADER_BYTES));
                }
                if late && !list.is_empty() {
                    self.sync.sources.answered_late(self.clock.now(), &peer);
                }
                self.on_headers(id, peer, &list);
            }
            // What was fetched of a long candidate is not lost: the page is asked for again.
            (Question::Headers, Some(Response::Busy)) if !self.peers.requests.is_always_busy(&peer) => {}
            (Question::Headers, None | Some(Response::Busy | Response::Unsupported)) => self.no_headers(id, peer),
            (Question::Blocks(hashes), Some(Response::Blocks(blocks))) => self.on_blocks(peer, (at, &hashes), blocks),
            (Question::Blocks(hashes), None | Some(Response::Busy | Response::Unsupported)) => {
                self.no_blocks(peer, &hashes, late);
            }
            (Question::Pending(after), Some(Response::Pending(list))) => {
                self.page_carried(peer, at, list.iter().map(|bytes| bytes.len().saturating_add(8)).sum());
                self.on_pool_page(peer, after, list);
            }
            (Question::Pending(after), None | Some(Response::Busy | Response::Unsupported)) => {
                self.tell_pools(Fact::NoPage { peer, after });
            }
            (Question::Peers, Some(Response::Peers(list))) => self.on_peers_told(peer, list),
            (Question::Peers, None | Some(Response::Busy | Response::Unsupported)) => self.no_peers_told(peer),
            (Question::Transactions(hash), Some(Response::Transactions(list))) => self.on_transactions(&hash, &list),
            (Question::Transactions(hash), None | Some(Response::Busy | Response::Unsupported)) => {
                self.no_transactions(&hash);
            }
            (what, Some(_)) => {
                // An answer of another kind than the question.
                self.punish(peer, Fault::Fatal, "an answer to another question");
                match what {
                    Question::Status => {}
                    Question::Headers => self.no_headers(id, peer),
                    Question::Blocks(hashes) => self.no_blocks(peer, &hashes, late),
                    Question::Pending(after) => self.tell_pools(Fact::NoPage { peer, after }),
                    Question::Peers => self.no_peers_told(peer),
                    Question::Transactions(hash) => self.no_transactions(&hash),
                }
            }
        }
    }

    /// A page came that was asked for at `at`: its time says what the link can do.
    fn page_carried(&mut self, peer: PeerId, at: Time, bytes: usize) {
        let read = self.peers.requests.heard();
        if let Some(link) = self.peers.requests.link_mut(&peer) {
            link.carried(at, read, bytes);
        }
    }

    /// The next own request whose patience has ended, one a turn. An answer is taken until the network ends the request.
    pub(super) fn check_deadline(&mut self) {
        let Some((id, asked)) = self.peers.requests.lapse(self.clock.now()) else {
            return;
        };
        let peer = asked.peer;
        match asked.what {
            // They have no deadline of their own.
            Question::Status | Question::Peers => {}
            Question::Headers => self.no_headers(id, peer),
            Question::Blocks(hashes) => self.late_blocks(peer, &hashes),
            Question::Pending(after) => self.tell_pools(Fact::NoPage { peer, after }),
            Question::Transactions(hash) => self.no_transactions(&hash),
        }
    }
}
