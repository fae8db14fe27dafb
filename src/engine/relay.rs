//! Gossip verdicts, answers to requests, and the comparison of pools.
//!
//! Promises: the cheapest check comes first (a header's hash before its body); a verdict leaves before the commit it
//! leads to; nobody is punished for a policy difference.
//! Spec: `proto-notes/gossip.md`, `proto-notes/sync.md`.

use super::advance::Offer;
use super::event::Event;
use super::io::{NetOrder, Verdict};
use super::machine::{Engine, Question, from_peer};
use super::peers::{Fault, IN_FLIGHT_MAX, Peer};
use super::quota::Kind;
use crate::chain::mempool::{Origin, PoolError};
use crate::chain::{Block, ChainStore, HeaderError, Transaction};
use crate::types::{BlockHash, PeerId, Time, Txid};
use crate::wire::message::{BLOCKS_MAX, HEADERS_MAX, decode_transactions, encode_transactions};
use crate::wire::{RESPONSE_MAX_BYTES, Request, Response, Topic};

/// Blocks held until the clock reaches them.
const EARLY_MAX: usize = 16;
/// Blocks this far below the tip's height that do not win are not kept.
const STALE_DEPTH: u64 = 144;
/// Transactions of one page of `GetPending`: half a megabyte at most.
const PAGE_MAX: usize = 1_024;
/// Room for the envelope around blocks in an answer.
const ENVELOPE_BYTES: usize = 4 * 1024;
/// So many bytes of blocks cost as much as a question for them.
const COSTLY_BYTES: usize = 128 * 1024;
/// Pools must differ this long before they are compared: gossip is faster than that.
const POOL_PATIENCE_MS: u64 = 1_000;
/// A page of the pool that does not come in this time is given up.
const PAGE_TIMEOUT_MS: u64 = 15_000;

impl<S: ChainStore> Engine<S> {
    pub(super) fn on_gossip(&mut self, token: u64, peer: PeerId, topic: Topic, bytes: &[u8]) {
        let verdict = match topic {
            Topic::Blocks => self.on_gossiped_block(peer, bytes),
            Topic::Transactions => self.on_gossiped_transactions(peer, bytes),
        };
        self.order(NetOrder::Verdict { token, verdict });
    }

    /// Whether a peer may do this now; notes it if not.
    fn allowed(&mut self, peer: PeerId, kind: Kind, count: u64) -> bool {
        let now = self.now;
        let fine = self
            .peers
            .get_mut(&peer)
            .is_none_or(|known| known.allows(now, kind, count));
        if !fine {
            self.punish(peer, Fault::Limit, "too many requests");
        }
        fine
    }

    fn on_gossiped_block(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        if self.read_only || !self.allowed(peer, Kind::GossipBlock, 1) {
            return Verdict::Ignore;
        }
        let source = from_peer(peer);
        let header = match Block::header_of(bytes) {
            Ok(header) => header,
            Err(error) => return self.reject_gossip(peer, (None, None), "malformed", error.to_string()),
        };
        let (hash, height) = (header.hash(), header.height);
        let place = (Some(hash), Some(height));
        let params = self.chain.params();
        let alone = header.check_length(params);
        if let Err(error) = alone.and_then(|()| header.check_hash(hash, params)) {
            return self.reject_gossip(peer, place, error.code(), error.to_string());
        }
        if self.chain.is_invalid(&hash) {
            // Nobody forwards what its own ledger has not accepted.
            return self.blame(peer, "a block that is known to be invalid");
        }
        if !matches!(self.chain.block(&hash), Ok(None)) {
            return Verdict::Ignore;
        }
        let Ok(parent) = self.chain.block(&header.previous) else {
            return Verdict::Ignore;
        };
        let Some(parent) = parent else {
            if let Some(known) = self.peers.get_mut(&peer) {
                known.hint = true;
            }
            return Verdict::Ignore;
        };
        if let Err(error) = header.check_linked(hash, (&parent.header, header.previous), params) {
            return self.reject_gossip(peer, place, error.code(), error.to_string());
        }
        if let Err(HeaderError::TimeTooNew { ahead_ms }) = header.check_clock(self.clock()) {
            let due = self.after(ahead_ms.saturating_sub(crate::chain::params::FUTURE_MAX_MS));
            self.early.push((due, peer, bytes.to_vec()));
            if self.early.len() > EARLY_MAX {
                // Nearest first: blocks of the far future must not hold the places.
                self.early.sort_by_key(|(due, ..)| *due);
                self.early.truncate(EARLY_MAX);
            }
            return Verdict::Ignore;
        }
        if height.get().saturating_add(STALE_DEPTH) < self.chain.tip().header.height.get() {
            return Verdict::Ignore;
        }
        let block = match Block::from_bytes(bytes) {
            Ok(block) => block,
            Err(error) => return self.reject_gossip(peer, place, error.code(), error.to_string()),
        };
        let on_tip = header.previous == self.chain.tip().hash;
        match self.offer(block, source) {
            Offer::Taken if self.chain.tip().hash == hash => Verdict::Accept,
            // Kept aside: no ledger has seen it. Who stands on its parent would refuse it, and blame whoever sent it.
            Offer::Taken => Verdict::Ignore,
            Offer::Known | Offer::NotNow(_) => Verdict::Ignore,
            Offer::WrongBody(reason) | Offer::Invalid(reason) => self.blame(peer, &reason),
            Offer::Ledger(reason) if on_tip => self.blame(peer, &reason),
            // On another branch an honest neighbour may hold it aside without having run the ledger.
            Offer::Ledger(reason) => {
                self.punish(peer, Fault::Limit, &reason);
                Verdict::Ignore
            }
        }
    }

    /// The sender must have seen it itself.
    fn blame(&mut self, peer: PeerId, reason: &str) -> Verdict {
        self.punish(peer, Fault::Fatal, reason);
        Verdict::Reject
    }

    fn reject_gossip(
        &mut self,
        peer: PeerId,
        (hash, height): (Option<BlockHash>, Option<crate::types::Height>),
        code: &'static str,
        reason: String,
    ) -> Verdict {
        self.punish(peer, Fault::Fatal, &reason);
        self.reject_block(hash, height, code, reason, from_peer(peer));
        Verdict::Reject
    }

    /// Blocks whose time has come.
    pub(super) fn retry_early(&mut self) {
        let now = self.now;
        let (due, rest) = core::mem::take(&mut self.early)
            .into_iter()
            .partition(|(due, ..)| *due <= now);
        self.early = rest;
        let due: Vec<(Time, PeerId, Vec<u8>)> = due;
        for (_, peer, bytes) in due {
            if self.on_gossiped_block(peer, &bytes) == Verdict::Accept {
                self.announce(NetOrder::Publish {
                    topic: Topic::Blocks,
                    bytes,
                });
            }
        }
    }

    fn on_gossiped_transactions(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        let list = match decode_transactions(bytes) {
            Ok(list) => list,
            Err(error) => {
                self.punish(peer, Fault::Mid, &error.to_string());
                return Verdict::Reject;
            }
        };
        if !self.allowed(peer, Kind::GossipTx, super::machine::count(list.len())) {
            return Verdict::Ignore;
        }
        let mut verdict = Verdict::Ignore;
        for bytes in &list {
            match self.take_transaction(peer, bytes) {
                Verdict::Accept => verdict = Verdict::Accept,
                Verdict::Ignore => {}
                Verdict::Reject => return Verdict::Reject,
            }
        }
        verdict
    }

    /// A stranger's transaction, by gossip or from its pool.
    fn take_transaction(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        let transaction = match Transaction::from_bytes(bytes) {
            Ok(transaction) => transaction,
            Err(error) => {
                self.punish(peer, Fault::Mid, &error.to_string());
                self.reject_transaction(peer, None, error.code(), error.to_string());
                return Verdict::Reject;
            }
        };
        if matches!(transaction, Transaction::Reward(_)) {
            let error = PoolError::NoReward;
            return self.blame_transaction(peer, None, error.code(), &error.to_string());
        }
        let txid = transaction.txid();
        if self.read_only || self.pool.contains(&txid) || !matches!(self.chain.place(&txid), Ok(None)) {
            return Verdict::Ignore;
        }
        let accepted = super::view::accepted_event(&transaction, from_peer(peer));
        let signed = transaction.clone();
        match self.pool.add(&self.chain, transaction, Origin::Peer(peer)) {
            Ok(_) => {
                self.event(accepted);
                self.status_changed();
                Verdict::Accept
            }
            Err(PoolError::AlreadyPending | PoolError::AlreadyConfirmed(_)) => Verdict::Ignore,
            Err(error) if is_fault(&error) => {
                self.blame_transaction(peer, Some(txid), error.code(), &error.to_string())
            }
            // The pool may refuse before it looks at the signature. Another pool would not, and blame who forwarded it.
            Err(error) => match signed.check_signature(&self.chain.network_id()) {
                Ok(()) => {
                    self.reject_transaction(peer, Some(txid), error.code(), error.to_string());
                    Verdict::Ignore
                }
                Err(error) => self.blame_transaction(peer, Some(txid), error.code(), &error.to_string()),
            },
        }
    }

    /// Whoever sent this could have known better.
    fn blame_transaction(&mut self, peer: PeerId, txid: Option<Txid>, code: &'static str, reason: &str) -> Verdict {
        self.reject_transaction(peer, txid, code, reason.to_owned());
        self.punish(peer, Fault::Mid, reason);
        Verdict::Reject
    }

    fn reject_transaction(&mut self, peer: PeerId, txid: Option<Txid>, code: &'static str, message: String) {
        self.event(Event::TransactionRejected {
            txid,
            code,
            message,
            source: from_peer(peer),
        });
    }

    /// Publishes an own transaction. Others come by gossip itself, or by the comparison of pools.
    pub(super) fn publish_transaction(&mut self, transaction: &Transaction) {
        self.announce(NetOrder::Publish {
            topic: Topic::Transactions,
            bytes: encode_transactions(&[transaction.to_bytes()]),
        });
    }

    pub(super) fn on_request(&mut self, token: u64, peer: PeerId, request: Request) {
        let kind = match &request {
            Request::GetPeers => return self.on_peers_asked(token, peer),
            Request::Status(_) => Kind::Status,
            Request::GetHeaders { .. } => Kind::Headers,
            Request::GetBlocks { .. } => Kind::Blocks,
            Request::GetPending { .. } => Kind::Pending,
        };
        let response = if self.allowed(peer, kind, 1) {
            self.answer(peer, request)
        } else {
            Response::Busy
        };
        self.announce(NetOrder::Answer { token, response });
    }

    fn answer(&mut self, peer: PeerId, request: Request) -> Response {
        match request {
            // It has its own limit.
            Request::GetPeers => Response::Busy,
            Request::Status(status) => {
                self.take_status(peer, status);
                Response::Status(self.own_status())
            }
            Request::GetHeaders { locator } => {
                let locator: Vec<BlockHash> = locator.into_iter().map(BlockHash::new).collect();
                match self.chain.headers_after(&locator, HEADERS_MAX) {
                    Ok(headers) => Response::Headers(headers.iter().map(crate::chain::Header::to_bytes).collect()),
                    Err(_) => Response::Busy,
                }
            }
            Request::GetBlocks { hashes } => {
                let (response, size) = self.answer_blocks(&hashes);
                if let Some(known) = self.peers.get_mut(&peer) {
                    known.charge(self.now, Kind::Blocks, super::machine::count(size / COSTLY_BYTES));
                }
                response
            }
            // What waits may be what a failed write has taken back.
            Request::GetPending { .. } if self.read_only => Response::Busy,
            Request::GetPending { after } => Response::Pending(
                self.pool
                    .after(&Txid::new(after))
                    .take(PAGE_MAX)
                    .map(Transaction::to_bytes)
                    .collect(),
            ),
        }
    }

    /// The longest prefix that is at hand and fits, and its size; at least one block, if the first is at hand.
    fn answer_blocks(&self, hashes: &[[u8; 32]]) -> (Response, usize) {
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        let mut size = ENVELOPE_BYTES;
        for hash in hashes.iter().take(BLOCKS_MAX) {
            match self.chain.body(&BlockHash::new(*hash)) {
                Ok(Some(bytes)) if blocks.is_empty() || size + bytes.len() <= RESPONSE_MAX_BYTES => {
                    size += bytes.len() + 8;
                    blocks.push(bytes);
                }
                Ok(_) => break,
                Err(_) => return (Response::Busy, size),
            }
        }
        (Response::Blocks(blocks), size)
    }

    pub(super) fn on_response(&mut self, id: u64, peer: PeerId, response: Option<Response>) {
        let Some(asked) = self.requests.remove(&id) else { return };
        if asked.peer != peer {
            self.requests.insert(id, asked);
            return;
        }
        let now = self.now;
        if let Some(known) = self.peers.get_mut(&peer) {
            if asked.what == Question::Status {
                known.status_asked = false;
            } else {
                known.in_flight = known.in_flight.saturating_sub(1);
            }
            // Of peers it tells twice a minute: that says nothing of its work.
            if response == Some(Response::Busy) && asked.what != Question::Peers {
                known.is_busy(now);
            }
        }
        match (asked.what, response) {
            (Question::Status, Some(Response::Status(status))) => self.take_status(peer, status),
            (Question::Status, None | Some(Response::Busy)) => {}
            (Question::Headers, Some(Response::Headers(list))) => self.on_headers(id, peer, &list),
            // What was fetched of a long candidate is not lost: the page is asked for again.
            (Question::Headers, Some(Response::Busy)) if !self.is_always_busy(&peer) => {}
            (Question::Headers, None | Some(Response::Busy | Response::Unsupported)) => self.no_headers(id, peer),
            (Question::Blocks(hashes), Some(Response::Blocks(blocks))) => self.on_blocks(peer, &hashes, blocks),
            (Question::Blocks(hashes), None | Some(Response::Busy | Response::Unsupported)) => {
                self.no_blocks(peer, &hashes);
            }
            (Question::Pending(after), Some(Response::Pending(list))) => self.on_pool_page(peer, after, &list),
            (Question::Pending(_), None | Some(Response::Busy | Response::Unsupported)) => self.end_pool_run(peer),
            (Question::Peers, Some(Response::Peers(list))) => self.on_peers_told(peer, list),
            (Question::Peers, None | Some(Response::Busy | Response::Unsupported)) => self.no_peers_told(peer),
            (what, Some(_)) => {
                // An answer of another kind than the question.
                self.punish(peer, Fault::Fatal, "an answer to another question");
                match what {
                    Question::Status => {}
                    Question::Headers => self.no_headers(id, peer),
                    Question::Blocks(hashes) => self.no_blocks(peer, &hashes),
                    Question::Pending(_) => self.end_pool_run(peer),
                    Question::Peers => self.no_peers_told(peer),
                }
            }
        }
    }

    /// Own requests whose patience ended. The network still ends each of them; until then they count as under way.
    pub(super) fn check_deadlines(&mut self) {
        let late: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, asked)| asked.deadline.is_some_and(|at| at <= self.now))
            .map(|(id, _)| *id)
            .collect();
        for id in late {
            let Some(asked) = self.requests.get_mut(&id) else {
                continue;
            };
            asked.deadline = None;
            let (peer, what) = (asked.peer, asked.what.clone());
            if let Some(known) = self.peers.get_mut(&peer) {
                known.stalled();
            }
            match what {
                // They have no deadline of their own.
                Question::Status | Question::Peers => {}
                Question::Headers => self.no_headers(id, peer),
                Question::Blocks(hashes) => self.no_blocks(peer, &hashes),
                Question::Pending(_) => self.end_pool_run(peer),
            }
        }
    }

    /// When the pools of this node and a peer are to be compared; none if there is nothing to compare.
    pub(super) fn pool_due(&self, peer: &Peer) -> Option<Time> {
        let status = peer.status.as_ref().filter(|_| !self.read_only && !self.stopping)?;
        let ours = self.pool.digest();
        let settled = peer.pool_settled == Some((status.pool_digest, ours));
        let idle = peer.pool_run || settled || status.pool_count == 0 || status.pool_digest == ours;
        // A page that is late counts until the network ends it, like every request.
        if idle || !self.syncs.is_empty() || peer.in_flight >= IN_FLIGHT_MAX {
            return None;
        }
        Some(peer.pool_differs.map_or(self.now, |since| {
            Time::from_ms(since.ms().saturating_add(POOL_PATIENCE_MS)).max(peer.busy_until)
        }))
    }

    pub(super) fn pump_pools(&mut self) {
        let ours = self.pool.digest();
        let mut due = Vec::new();
        for (id, peer) in self.peers.iter() {
            match self.pool_due(peer) {
                Some(at) if at <= self.now && peer.pool_differs.is_some() => due.push((*id, true)),
                Some(_) if peer.pool_differs.is_none() => due.push((*id, false)),
                Some(_) | None => {}
            }
        }
        let now = self.now;
        for (_, peer) in self.peers.iter_mut() {
            if peer.status.as_ref().is_some_and(|status| status.pool_digest == ours) {
                peer.pool_differs = Some(now);
            }
        }
        for (id, ready) in due {
            let Some(peer) = self.peers.get_mut(&id) else { continue };
            // The first comparison of a connection needs no patience: what was made before it is asked for at once.
            let first = peer.pool_differs.is_none();
            peer.pool_differs = Some(now);
            if ready || first {
                peer.pool_run = true;
                self.ask_pool(id, [0; 32]);
            }
        }
    }

    fn ask_pool(&mut self, peer: PeerId, after: [u8; 32]) {
        let request = Request::GetPending { after };
        self.ask(peer, Question::Pending(after), request, Some(PAGE_TIMEOUT_MS));
    }

    fn on_pool_page(&mut self, peer: PeerId, after: [u8; 32], list: &[Vec<u8>]) {
        if !self.peers.get(&peer).is_some_and(|known| known.pool_run) {
            // Late: that run has ended.
            return;
        }
        if list.len() > PAGE_MAX {
            self.punish(peer, Fault::Mid, "a page of the pool that is too long");
            return self.end_pool_run(peer);
        }
        if !self.allowed(peer, Kind::GossipTx, super::machine::count(list.len())) {
            return self.end_pool_run(peer);
        }
        let mut last = after;
        for bytes in list {
            let Ok(txid) = Transaction::from_bytes(bytes).map(|tx| *tx.txid().as_bytes()) else {
                self.punish(peer, Fault::Mid, "a malformed transaction");
                return self.end_pool_run(peer);
            };
            // In the order of ids, so that the pages end.
            if txid <= last {
                self.punish(peer, Fault::Mid, "a page of the pool that is out of order");
                return self.end_pool_run(peer);
            }
            last = txid;
            if self.take_transaction(peer, bytes) == Verdict::Reject {
                return self.end_pool_run(peer);
            }
        }
        if list.is_empty() || !self.net {
            self.end_pool_run(peer);
        } else {
            self.ask_pool(peer, last);
        }
    }

    fn end_pool_run(&mut self, id: PeerId) {
        let ours = self.pool.digest();
        let now = self.now;
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.pool_run = false;
            peer.pool_differs = Some(now);
            peer.pool_settled = peer.status.as_ref().map(|status| (status.pool_digest, ours));
        }
    }
}

/// What the sender must have seen itself; all else depends on the state of the ledger or the pool.
const fn is_fault(error: &PoolError) -> bool {
    matches!(error, PoolError::Transaction(_) | PoolError::NoReward)
}
