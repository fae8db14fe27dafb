//! Gossip verdicts, and answers to requests.
//!
//! Promises: the cheapest check comes first (a header's hash before its body); a verdict leaves before the commit it
//! leads to; nobody is punished for a policy difference.
//! Elsewhere: the comparison of pools (`pools`, `pooling`).
//! Spec: `proto-notes/gossip.md`, `proto-notes/sync.md`.

use super::advance::Offer;
use super::effort::Effort;
use super::io::{NetOrder, Verdict};
use super::machine::{Engine, from_peer};
use super::pools::{Fact, PAGE_MAX};
use super::requests::Question;
use super::standing::{Fault, Kind, QUESTION_BYTES};
use crate::chain::header::HEADER_BYTES;
use crate::chain::{Block, ChainStore, HeaderError, Transaction, TransactionError};
use crate::contract::Event;
use crate::inspect::transactions;
use crate::pool::{Origin, PoolError};
use crate::types::{BlockHash, PeerId, Time, Txid, count};
use crate::wire::message::{BLOCKS_MAX, HEADERS_MAX, decode_transactions};
use crate::wire::{RESPONSE_MAX_BYTES, Request, Response, Topic};

/// Blocks this far below the tip's height that do not win are not kept.
const STALE_DEPTH: u64 = 144;
/// Room for the envelope around blocks in an answer.
const ENVELOPE_BYTES: usize = 4 * 1024;

/// What became of a stranger's transaction.
pub(super) enum Addition {
    /// It waits now.
    Taken,
    /// It was there, or confirmed, or nothing is taken now.
    Known,
    /// Against the rules for ever; whoever sent it is blamed.
    Forged,
    /// The pool does not want it now. Its signature may still be wrong.
    Refused(Box<Transaction>, PoolError),
}

impl<S: ChainStore> Engine<S> {
    pub(super) fn on_gossip(&mut self, token: u64, peer: PeerId, topic: Topic, bytes: &[u8]) {
        let verdict = match topic {
            Topic::Blocks => self.on_gossiped_block(peer, bytes),
            Topic::Transactions => self.on_gossiped_transactions(peer, bytes),
        };
        self.out.order(NetOrder::Verdict { token, verdict });
    }

    /// Whether a peer may do this now; notes it if not.
    fn allowed(&mut self, peer: PeerId, kind: Kind, count: u64) -> bool {
        let fine = self.standing.allows(self.now, &peer, kind, count);
        if !fine {
            self.punish(peer, Fault::Limit, "too many requests");
        }
        fine
    }

    /// Whether a peer may tell so much now. No points if not: an honest neighbour passes on what others flood.
    fn may_gossip(&mut self, peer: PeerId, kind: Kind, count: u64) -> bool {
        self.standing.allows(self.now, &peer, kind, count)
    }

    fn on_gossiped_block(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        if !self.takes_blocks() || !self.may_gossip(peer, Kind::GossipBlock, 1) {
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
            self.sync.sources.hinted(&peer);
            return Verdict::Ignore;
        };
        if let Err(error) = header.check_linked(hash, (&parent.header, header.previous), params) {
            return self.reject_gossip(peer, place, error.code(), error.to_string());
        }
        if let Err(HeaderError::TimeTooNew { ahead_ms }) = header.check_clock(self.clock()) {
            self.early.hold(self.now, ahead_ms, peer, bytes);
            return Verdict::Ignore;
        }
        if height.get().saturating_add(STALE_DEPTH) < self.chain.tip().header.height.get() {
            return Verdict::Ignore;
        }
        let work = parent.work.plus(crate::chain::Header::weight(&parent.header, params));
        if !self.chain.is_better(work, &hash) && !self.may_cost(peer, bytes.len()) {
            // Should its branch win, sync brings it.
            return Verdict::Ignore;
        }
        let block = match Block::from_bytes(bytes) {
            Ok(block) => block,
            Err(error) => return self.reject_gossip(peer, place, error.code(), error.to_string()),
        };
        self.effort.block(block.transactions.len(), bytes.len());
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

    /// Whether a block that helps nobody now may be checked for this peer's address.
    fn may_cost(&mut self, peer: PeerId, bytes: usize) -> bool {
        if self.links.get(&peer).is_none() {
            return false;
        }
        let voice = self.voice_of(&peer);
        self.standing.may_cost(self.now, voice, Effort::price(bytes))
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
        for (peer, bytes) in self.early.due(self.now) {
            if self.on_gossiped_block(peer, &bytes) == Verdict::Accept {
                self.out.announce(NetOrder::Publish {
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
        if !self.may_gossip(peer, Kind::GossipTx, count(list.len())) {
            return Verdict::Ignore;
        }
        self.effort.transactions(list.len(), bytes.len());
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

    /// A stranger's transaction, by gossip.
    fn take_transaction(&mut self, peer: PeerId, bytes: &[u8]) -> Verdict {
        let transaction = match Transaction::from_bytes(bytes) {
            Ok(transaction) => transaction,
            Err(error) => {
                self.punish(peer, Fault::Mid, &error.to_string());
                self.reject_transaction(peer, None, error.code(), error.to_string());
                return Verdict::Reject;
            }
        };
        match self.add_transaction(peer, transaction) {
            Addition::Taken => Verdict::Accept,
            Addition::Known => Verdict::Ignore,
            Addition::Forged => Verdict::Reject,
            Addition::Refused(transaction, error) => self.refuse_transaction(peer, &transaction, &error),
        }
    }

    /// Adds a stranger's transaction to the pool, if the pool wants it.
    pub(super) fn add_transaction(&mut self, peer: PeerId, transaction: Transaction) -> Addition {
        if matches!(transaction, Transaction::Reward(_)) {
            let error = PoolError::NoReward;
            self.blame_transaction(peer, None, error.code(), &error.to_string());
            return Addition::Forged;
        }
        let txid = transaction.txid();
        if self.pool.contains(&txid) {
            self.own.unheard().heard_of(&txid);
            return Addition::Known;
        }
        if self.mode.read_only || !matches!(self.chain.place(&txid), Ok(None)) {
            return Addition::Known;
        }
        let origin = Origin::Peer(self.voice_of(&peer));
        let added = match self.signatures.verdict(&txid) {
            Some(true) => self.pool.add_checked(&self.chain, transaction.clone(), origin),
            Some(false) => Err(PoolError::Transaction(TransactionError::BadSignature)),
            None => self.pool.add(&self.chain, transaction.clone(), origin),
        };
        match added {
            Ok(_) => {
                self.signatures.note(txid, true);
                self.out
                    .event(transactions::accepted_event(&transaction, from_peer(peer)));
                self.links.changed();
                Addition::Taken
            }
            Err(PoolError::AlreadyPending | PoolError::AlreadyConfirmed(_)) => Addition::Known,
            Err(error) if is_fault(&error) => {
                if error == PoolError::Transaction(TransactionError::BadSignature) {
                    self.signatures.note(txid, false);
                }
                self.blame_transaction(peer, Some(txid), error.code(), &error.to_string());
                Addition::Forged
            }
            Err(error) => Addition::Refused(Box::new(transaction), error),
        }
    }

    /// The pool may refuse before it looks at the signature. Another pool would not, and blame who forwarded it.
    pub(super) fn refuse_transaction(&mut self, peer: PeerId, transaction: &Transaction, error: &PoolError) -> Verdict {
        let txid = transaction.txid();
        if self.signatures.verdict(&txid) == Some(true) || self.check_signature_of(transaction) {
            self.reject_transaction(peer, Some(txid), error.code(), error.to_string());
            Verdict::Ignore
        } else {
            let error = TransactionError::BadSignature;
            self.blame_transaction(peer, Some(txid), error.code(), &error.to_string())
        }
    }

    /// Checks a signature, and remembers what came of it.
    fn check_signature_of(&mut self, transaction: &Transaction) -> bool {
        let is_good = transaction.check_signature(&self.chain.network_id()).is_ok();
        self.signatures.note(transaction.txid(), is_good);
        is_good
    }

    /// Whoever sent this could have known better.
    fn blame_transaction(&mut self, peer: PeerId, txid: Option<Txid>, code: &'static str, reason: &str) -> Verdict {
        self.reject_transaction(peer, txid, code, reason.to_owned());
        self.punish(peer, Fault::Mid, reason);
        Verdict::Reject
    }

    fn reject_transaction(&mut self, peer: PeerId, txid: Option<Txid>, code: &'static str, message: String) {
        self.out.event(Event::TransactionRejected {
            txid,
            code,
            message,
            source: from_peer(peer),
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
        let tokens = match kind {
            Kind::Blocks => QUESTION_BYTES,
            Kind::Status | Kind::Headers | Kind::Pending | Kind::GossipBlock | Kind::GossipTx => 1,
        };
        let response = if self.allowed(peer, kind, tokens) {
            self.answer(peer, request)
        } else {
            Response::Busy
        };
        self.out.announce(NetOrder::Answer { token, response });
    }

    fn answer(&mut self, peer: PeerId, request: Request) -> Response {
        match request {
            // It has its own limit.
            Request::GetPeers => Response::Busy,
            Request::Status(status) => {
                self.take_status(peer, status);
                self.links.was_asked(self.now, &peer);
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
                let bytes = count(size - ENVELOPE_BYTES);
                self.standing.charge(self.now, &peer, Kind::Blocks, bytes);
                response
            }
            // What waits may be what a failed write has taken back.
            Request::GetPending { .. } if self.mode.read_only => Response::Busy,
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
        let Some(asked) = self.requests.end(id, peer) else {
            return;
        };
        let now = self.now;
        if asked.what == Question::Status {
            self.links.asked(&peer);
        }
        // Of peers it tells twice a minute: that says nothing of its work.
        if response == Some(Response::Busy)
            && asked.what != Question::Peers
            && let Some(link) = self.requests.link_mut(&peer)
        {
            link.note_busy(now);
        }
        let late = asked.has_lapsed();
        let at = asked.at;
        match (asked.what, response) {
            (Question::Status, Some(Response::Status(status))) => {
                self.links.status_arrived(&peer);
                self.take_status(peer, status);
            }
            (Question::Status, None | Some(Response::Busy)) => {
                self.links.status_failed(now, &peer);
            }
            (Question::Headers, Some(Response::Headers(list))) => {
                if !list.is_empty() {
                    self.page_carried(peer, at, list.len().saturating_mul(HEADER_BYTES));
                }
                if late && !list.is_empty() {
                    self.sync.sources.answered_late(self.now, &peer);
                }
                self.on_headers(id, peer, &list);
            }
            // What was fetched of a long candidate is not lost: the page is asked for again.
            (Question::Headers, Some(Response::Busy)) if !self.requests.is_always_busy(&peer) => {}
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
            (what, Some(_)) => {
                // An answer of another kind than the question.
                self.punish(peer, Fault::Fatal, "an answer to another question");
                match what {
                    Question::Status => {}
                    Question::Headers => self.no_headers(id, peer),
                    Question::Blocks(hashes) => self.no_blocks(peer, &hashes, late),
                    Question::Pending(after) => self.tell_pools(Fact::NoPage { peer, after }),
                    Question::Peers => self.no_peers_told(peer),
                }
            }
        }
    }

    /// A page came that was asked for at `at`: its time says what the link can do.
    fn page_carried(&mut self, peer: PeerId, at: Time, bytes: usize) {
        let read = self.requests.heard();
        if let Some(link) = self.requests.link_mut(&peer) {
            link.carried(at, read, bytes);
        }
    }

    /// The next own request whose patience has ended, one a turn. An answer is taken until the network ends the request.
    pub(super) fn check_deadline(&mut self) {
        let Some((id, asked)) = self.requests.lapse(self.now) else {
            return;
        };
        let peer = asked.peer;
        match asked.what {
            // They have no deadline of their own.
            Question::Status | Question::Peers => {}
            Question::Headers => self.no_headers(id, peer),
            Question::Blocks(hashes) => self.late_blocks(peer, &hashes),
            Question::Pending(after) => self.tell_pools(Fact::NoPage { peer, after }),
        }
    }
}

/// What the sender must have seen itself; all else depends on the state of the ledger or the pool.
const fn is_fault(error: &PoolError) -> bool {
    matches!(error, PoolError::Transaction(_) | PoolError::NoReward)
}
