//! Requests and answers under way, both directions.
//!
//! Promises: a peer has at most eight requests in process, all peers together 64 and no voice more than its share of them,
//! else the answer is `Busy`; answers
//! that a peer does not read take bounded memory; every own request ends in exactly one `Response`.
//! Elsewhere: bytes of a stream (`net::codec`), which request deserves which answer (`engine`).
//! Spec: `proto-notes/sync.md`, "Messages".

use std::collections::{BTreeMap, BTreeSet};

use libp2p::request_response::{InboundRequestId, OutboundRequestId, ResponseChannel};
use libp2p::swarm::ConnectionId;

use super::codec::{Moved, Raw};
use crate::engine::Fault;
use crate::types::{PeerId, Voice, has_share};
use crate::wire::{REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, Request, Response, WireError};

/// Requests in process for one connection: twice what a well-behaved peer has in flight.
pub(super) const IN_PROCESS_PER_CONNECTION: usize = 8;
/// Requests in process for all.
pub(super) const IN_PROCESS: usize = 64;
/// Bytes of answers that one connection has not read yet: the four requests of a well-behaved peer.
const UNREAD_PER_CONNECTION: usize = 4 * RESPONSE_MAX_BYTES;
/// Bytes of answers that all have not read yet.
const UNREAD: usize = 16 * RESPONSE_MAX_BYTES;

/// What all connections together have not read whose last long answer was not read in time: the other half stays for
/// those that read. A bad link and a peer that means harm look the same from here.
const UNREAD_OF_SLOW: usize = UNREAD / 2;
/// Such connections that are remembered: more than there can be.
const SLOW_MAX: usize = 256;

/// What a connection takes of an answer before its reader has read anything: yamux's first window.
const FIRST_WINDOW_BYTES: usize = 256 * 1024;

/// A peer's request between its arrival and the last byte of its answer.
#[derive(Debug)]
struct Inbound {
    peer: PeerId,
    voice: Voice,
    connection: ConnectionId,
    id: InboundRequestId,
    channel: Option<ResponseChannel<Raw>>,
    /// The request, while its sender's network is not confirmed.
    held: Option<Request>,
    unread: usize,
    written: Moved,
    /// What of it was looked at.
    seen: usize,
}

/// An own request and its answer.
#[derive(Debug)]
struct Outbound {
    /// The engine's id.
    order: u64,
    peer: PeerId,
    read: Moved,
    /// What of it was looked at.
    seen: usize,
}

/// What to do with a request that came.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Hand it to the engine under this token.
    Ask(u64, Request),
    /// It waits until the peer is confirmed.
    Held,
    /// Answer at once.
    Answer(ResponseChannel<Raw>, Response),
    /// It cannot be decoded: how bad that is, and why.
    Malformed(Fault, String),
    /// The stream was given up by its sender.
    Nothing,
}

/// What came back on an own request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// An answer.
    Response(Response),
    /// Nothing, or the beginning of an answer: the peer was slow, busy, or gone.
    Nothing,
    /// Bytes that no correct node sends.
    Malformed(String),
}

/// The tables of both directions.
#[derive(Debug)]
pub(super) struct Exchange {
    next: u64,
    inbound: BTreeMap<u64, Inbound>,
    /// Whose last long answer was not read in time.
    slow: BTreeSet<ConnectionId>,
    outbound: BTreeMap<OutboundRequestId, Outbound>,
}

impl Exchange {
    /// Nothing is under way; tokens begin with this one.
    pub(super) const fn new(next: u64) -> Self {
        Self {
            next,
            inbound: BTreeMap::new(),
            slow: BTreeSet::new(),
            outbound: BTreeMap::new(),
        }
    }

    /// A request came in.
    pub(super) fn arrived(
        &mut self,
        (peer, connection, voice): (PeerId, ConnectionId, Voice),
        id: InboundRequestId,
        raw: &Raw,
        channel: ResponseChannel<Raw>,
        confirmed: bool,
    ) -> Arrival {
        let request = match raw {
            Raw::TooLong => {
                return Arrival::Malformed(Fault::Fatal, format!("request over {REQUEST_MAX_BYTES} bytes"));
            }
            Raw::Whole(bytes) if bytes.is_empty() => return Arrival::Nothing,
            Raw::Whole(bytes) | Raw::Watched(bytes, _) => Request::decode(bytes),
        };
        match request {
            Err(WireError::UnknownKind(_)) => Arrival::Answer(channel, Response::Unsupported),
            // A stream that is reset ends like one that was finished, so this may be a cable.
            Err(WireError::Cut(_)) => Arrival::Malformed(Fault::Mid, "a request that ends early".into()),
            Err(error) => Arrival::Malformed(Fault::Fatal, error.to_string()),
            Ok(_) if self.is_crowded(connection, voice) => Arrival::Answer(channel, Response::Busy),
            Ok(request) => {
                let token = self.next;
                self.next += 1;
                let held = (!confirmed).then(|| request.clone());
                let channel = Some(channel);
                let (unread, written) = (0, Moved::default());
                self.inbound.insert(
                    token,
                    Inbound {
                        peer,
                        voice,
                        connection,
                        id,
                        channel,
                        held,
                        unread,
                        written,
                        seen: 0,
                    },
                );
                if confirmed {
                    Arrival::Ask(token, request)
                } else {
                    Arrival::Held
                }
            }
        }
    }

    fn is_crowded(&self, connection: ConnectionId, voice: Voice) -> bool {
        let of_connection = self.inbound.values().filter(|entry| entry.connection == connection);
        let mut voices: BTreeSet<Voice> = self.inbound.values().map(|entry| entry.voice).collect();
        voices.insert(voice);
        let own = self.inbound.values().filter(|entry| entry.voice == voice).count();
        let has_place = has_share(self.inbound.len(), IN_PROCESS, voices.len(), own);
        !has_place || of_connection.count() >= IN_PROCESS_PER_CONNECTION
    }

    /// The requests that waited for their sender to be confirmed.
    pub(super) fn release(&mut self, peer: &PeerId) -> Vec<(u64, Request)> {
        self.inbound
            .iter_mut()
            .filter(|(_, entry)| entry.peer == *peer)
            .filter_map(|(token, entry)| Some((*token, entry.held.take()?)))
            .collect()
    }

    /// The engine answers: gives the way to the peer and what to send on it, if the peer still waits.
    pub(super) fn answer(&mut self, token: u64, response: &Response) -> Option<(ResponseChannel<Raw>, Raw)> {
        let bytes = response.encode();
        let unread = |entries: &mut dyn Iterator<Item = &Inbound>| entries.map(|entry| entry.unread).sum::<usize>();
        let connection = self.inbound.get(&token)?.connection;
        let all = unread(&mut self.inbound.values());
        let of_connection = unread(&mut self.inbound.values().filter(|entry| entry.connection == connection));
        let is_slow = self.slow.contains(&connection);
        let of_slow = unread(
            &mut self
                .inbound
                .values()
                .filter(|entry| self.slow.contains(&entry.connection)),
        );
        let fits = bytes.len() <= RESPONSE_MAX_BYTES
            && all + bytes.len() <= UNREAD
            && of_connection + bytes.len() <= UNREAD_PER_CONNECTION
            && (!is_slow || (of_connection == 0 && of_slow + bytes.len() <= UNREAD_OF_SLOW));
        let bytes = if fits { bytes } else { Response::Busy.encode() };
        let entry = self.inbound.get_mut(&token)?;
        entry.unread = bytes.len();
        Some((entry.channel.take()?, Raw::Watched(bytes, entry.written.clone())))
    }

    /// An answer was not read in time: whether nothing of a long one was. From now on the connection has one answer at a
    /// time, and shares the room of the slow, until it reads a long one.
    pub(super) fn lapsed(&mut self, id: InboundRequestId) -> bool {
        let unread = self.inbound.values().find(|entry| {
            let is_written = entry.channel.is_none() && entry.unread > FIRST_WINDOW_BYTES;
            entry.id == id && is_written && entry.written.bytes() <= FIRST_WINDOW_BYTES
        });
        let Some(connection) = unread.map(|entry| entry.connection) else {
            return false;
        };
        self.slow.insert(connection);
        if self.slow.len() > SLOW_MAX {
            // The lowest is the oldest connection; it may be gone.
            self.slow.pop_first();
        }
        true
    }

    /// An answer was read to its end, as far as can be seen from here.
    pub(super) fn sent(&mut self, id: InboundRequestId) {
        let long = |entry: &&Inbound| entry.id == id && entry.unread > FIRST_WINDOW_BYTES;
        if let Some(connection) = self.inbound.values().find(long).map(|entry| entry.connection) {
            self.slow.remove(&connection);
        }
        self.done(id);
    }

    /// An answer is written, or can no longer be.
    pub(super) fn done(&mut self, id: InboundRequestId) {
        self.inbound.retain(|_, entry| entry.id != id);
    }

    /// Remembers an own request, and what will count the bytes of its answer.
    pub(super) fn asked(&mut self, id: OutboundRequestId, order: u64, (peer, read): (PeerId, Moved)) {
        let seen = 0;
        self.outbound.insert(
            id,
            Outbound {
                order,
                peer,
                read,
                seen,
            },
        );
    }

    /// The peers of whose answers, or of answers to whom, bytes have moved since this was asked last.
    pub(super) fn moved(&mut self) -> BTreeSet<PeerId> {
        let inbound = self.inbound.values_mut();
        let inbound = inbound.map(|entry| (entry.peer, entry.written.bytes(), &mut entry.seen));
        let outbound = self.outbound.values_mut();
        let outbound = outbound.map(|entry| (entry.peer, entry.read.bytes(), &mut entry.seen));
        inbound
            .chain(outbound)
            .filter_map(|(peer, bytes, seen)| (core::mem::replace(seen, bytes) != bytes).then_some(peer))
            .collect()
    }

    /// An own request has ended: the id that the engine gave it.
    pub(super) fn ended(&mut self, id: OutboundRequestId) -> Option<u64> {
        self.outbound.remove(&id).map(|entry| entry.order)
    }
}

/// Reads an answer.
pub(super) fn read_answer(raw: &Raw) -> Answered {
    let bytes = match raw {
        Raw::TooLong => return Answered::Malformed("an answer longer than any to such a request".into()),
        Raw::Whole(bytes) if bytes.is_empty() => return Answered::Nothing,
        Raw::Whole(bytes) | Raw::Watched(bytes, _) => bytes,
    };
    match Response::decode(bytes) {
        Ok(response) => Answered::Response(response),
        // A stream that was reset ends like one that was finished: a cut answer is nobody's fault.
        Err(WireError::Cut(_)) => Answered::Nothing,
        Err(error) => Answered::Malformed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_answer_is_no_misbehaviour() {
        let bytes = Response::Blocks(vec![vec![1; 1000]]).encode();
        assert_eq!(
            read_answer(&Raw::Whole(bytes.clone())),
            Answered::Response(Response::Blocks(vec![vec![1; 1000]]))
        );
        for cut in [0, 1, 3, 10, 500, bytes.len() - 1] {
            assert_eq!(
                read_answer(&Raw::Whole(bytes[..cut].to_vec())),
                Answered::Nothing,
                "{cut}"
            );
        }
    }

    #[test]
    fn trailing_bytes_are_misbehaviour() {
        let mut bytes = Response::Busy.encode();
        bytes.push(0);
        assert!(matches!(read_answer(&Raw::Whole(bytes)), Answered::Malformed(_)));
        assert!(matches!(read_answer(&Raw::TooLong), Answered::Malformed(_)));
    }
}
