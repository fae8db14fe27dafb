//! The table of requests and responses under way, in both directions.
//!
//! Promises: at most eight requests of a peer are in process, 64 of all peers together, and no voice has more than its
//! share of these; further ones get the response `Busy`. Responses that a peer does not read take bounded memory. Each
//! own request ends in exactly one `Response`.
//! Elsewhere: the bytes of a stream (`net::codec`), the response to each request (`engine`).
//! Spec: `proto-notes/sync.md`, "Messages".

use std::collections::{BTreeMap, BTreeSet};

use libp2p::request_response::{InboundRequestId, OutboundRequestId, ResponseChannel};
use libp2p::swarm::ConnectionId;

use super::codec::{ByteCount, Raw};
use crate::engine::Fault;
use crate::types::{PeerId, Voice, has_share};
use crate::wire::{REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, Request, Response, WireError};

/// The most requests in process for one connection: twice what a well-behaved peer sends at once.
pub(super) const IN_PROCESS_PER_CONNECTION: usize = 8;
/// The most requests in process for all connections.
pub(super) const IN_PROCESS: usize = 64;
/// The most response bytes that one connection has not read yet: those of a well-behaved peer's four requests.
const UNREAD_PER_CONNECTION: usize = 4 * RESPONSE_MAX_BYTES;
/// The most response bytes that all connections together have not read yet.
const UNREAD: usize = 16 * RESPONSE_MAX_BYTES;

/// The most unread bytes for all slow connections together, that is, those that did not read their last long response
/// in time. The other half stays for connections that read. A bad link and a hostile peer look the same from here.
const UNREAD_OF_SLOW: usize = UNREAD / 2;
/// The most slow connections that are remembered: more than there can be at one time.
const SLOW_MAX: usize = 256;

/// Bytes of a response that a connection takes before its reader has read anything: yamux's first window.
const FIRST_WINDOW_BYTES: usize = 256 * 1024;

/// A peer's request, from its arrival to the last byte of its response.
#[derive(Debug)]
struct Inbound {
    peer: PeerId,
    voice: Voice,
    connection: ConnectionId,
    id: InboundRequestId,
    channel: Option<ResponseChannel<Raw>>,
    /// The request itself, if it waits until its sender's network is confirmed.
    held: Option<Request>,
    unread: usize,
    written: ByteCount,
    /// The value of `written` when it was read last.
    seen: usize,
}

/// An own request that waits for its response.
#[derive(Debug)]
struct Outbound {
    /// The id that the engine gave to the request.
    order: u64,
    peer: PeerId,
    read: ByteCount,
    /// The value of `read` when it was read last.
    seen: usize,
}

/// What the swarm must do with a request that arrived.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Pass it to the engine under this token.
    Ask(u64, Request),
    /// Nothing: it waits until its sender is confirmed.
    Held,
    /// Respond at once, without the engine.
    Answer(ResponseChannel<Raw>, Response),
    /// Report that it cannot be decoded: how serious that is, and why.
    Malformed(Fault, String),
    /// Nothing: the sender gave up the stream.
    Nothing,
}

/// The result of an own request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answered {
    /// The peer's response, which may also be `Busy` or `Unsupported`.
    Response(Response),
    /// There was no response, or only its beginning: the peer was slow, busy, or gone.
    Nothing,
    /// The peer sent bytes that no correct node sends.
    Malformed(String),
}

/// The requests under way in both directions.
#[derive(Debug)]
pub(super) struct RequestTable {
    next: u64,
    inbound: BTreeMap<u64, Inbound>,
    /// The slow connections, which did not read their last long response in time.
    slow: BTreeSet<ConnectionId>,
    outbound: BTreeMap<OutboundRequestId, Outbound>,
}

impl RequestTable {
    /// An empty table, whose tokens begin with `next`.
    pub(super) const fn new(next: u64) -> Self {
        Self {
            next,
            inbound: BTreeMap::new(),
            slow: BTreeSet::new(),
            outbound: BTreeMap::new(),
        }
    }

    /// Takes in a request that arrived, and decides what the swarm does with it.
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
            // A stream that was reset looks like one that was finished, so the cause may be a pulled cable.
            Err(WireError::Cut(_)) => Arrival::Malformed(Fault::Mid, "a request that ends early".into()),
            Err(error) => Arrival::Malformed(Fault::Fatal, error.to_string()),
            Ok(_) if self.is_crowded(connection, voice) => Arrival::Answer(channel, Response::Busy),
            Ok(request) => {
                let token = self.next;
                self.next += 1;
                let held = (!confirmed).then(|| request.clone());
                let channel = Some(channel);
                let (unread, written) = (0, ByteCount::default());
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

    /// Releases the requests of a peer that was just confirmed, to be passed to the engine.
    pub(super) fn release(&mut self, peer: &PeerId) -> Vec<(u64, Request)> {
        self.inbound
            .iter_mut()
            .filter(|(_, entry)| entry.peer == *peer)
            .filter_map(|(token, entry)| Some((*token, entry.held.take()?)))
            .collect()
    }

    /// Takes the engine's response; returns the channel to the peer and the bytes to send, if the peer still waits.
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

    /// Notes that a response was not read in time; returns whether it was a long one of which nothing was read. From
    /// then on the connection gets one response at a time and shares the room of the slow connections, until it reads a
    /// long response.
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
            // The lowest id belongs to the oldest connection, which may be gone already.
            self.slow.pop_first();
        }
        true
    }

    /// Notes that a response was read to its end, as far as this end can know.
    pub(super) fn sent(&mut self, id: InboundRequestId) {
        let long = |entry: &&Inbound| entry.id == id && entry.unread > FIRST_WINDOW_BYTES;
        if let Some(connection) = self.inbound.values().find(long).map(|entry| entry.connection) {
            self.slow.remove(&connection);
        }
        self.done(id);
    }

    /// Removes a request whose response was written, or cannot be written any more.
    pub(super) fn done(&mut self, id: InboundRequestId) {
        self.inbound.retain(|_, entry| entry.id != id);
    }

    /// Adds an own request, with the count of its response's bytes.
    pub(super) fn asked(&mut self, id: OutboundRequestId, order: u64, (peer, read): (PeerId, ByteCount)) {
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

    /// The peers with progress since the last call: bytes of their responses arrived, or they took bytes of ours.
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

    /// Removes an own request that has ended; returns the id that the engine gave to it.
    pub(super) fn ended(&mut self, id: OutboundRequestId) -> Option<u64> {
        self.outbound.remove(&id).map(|entry| entry.order)
    }
}

/// Decodes the response to an own request.
pub(super) fn read_answer(raw: &Raw) -> Answered {
    let bytes = match raw {
        Raw::TooLong => return Answered::Malformed("an answer longer than any to such a request".into()),
        Raw::Whole(bytes) if bytes.is_empty() => return Answered::Nothing,
        Raw::Whole(bytes) | Raw::Watched(bytes, _) => bytes,
    };
    match Response::decode(bytes) {
        Ok(response) => Answered::Response(response),
        // A stream that was reset looks like one that was finished, so nobody is to blame for a cut response.
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
