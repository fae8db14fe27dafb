//! What peers ask of this node: statuses, headers, blocks, what waits.
//!
//! Promises: each question is answered once; who asks for more than its quota is told that this node is busy.
//! Elsewhere: questions for peers (`neighbours`), what an address may ask for (`standing`).
//! Spec: `proto-notes/sync.md`, "Messages".

use super::io::NetOrder;
use super::machine::Engine;
use super::parts::pools::PAGE_MAX;
use super::parts::standing::{Fault, Kind, QUESTION_BYTES};
use crate::chain::{Block, ChainStore, Header, Transaction};
use crate::types::{BlockHash, PeerId, Txid, count};
use crate::wire::message::{BLOCKS_MAX, HEADERS_MAX};
use crate::wire::{RESPONSE_MAX_BYTES, Request, Response};

/// Room for the envelope around blocks in an answer.
const ENVELOPE_BYTES: usize = 4 * 1024;

impl<S: ChainStore> Engine<S> {
    /// Whether a peer may ask this now. It is blamed if not.
    fn may_ask(&mut self, peer: PeerId, kind: Kind, count: u64) -> bool {
        let is_allowed = self.peers.standing.allows(self.clock.now(), &peer, kind, count);
        if !is_allowed {
            self.punish(peer, Fault::Limit, "too many requests");
        }
        is_allowed
    }

    pub(super) fn on_request(&mut self, token: u64, peer: PeerId, request: Request) {
        let kind = match &request {
            Request::GetPeers => return self.on_peers_asked(token, peer),
            Request::Status(_) => Kind::Status,
            Request::GetHeaders { .. } => Kind::Headers,
            Request::GetBlocks { .. } | Request::GetTransactions { .. } => Kind::Blocks,
            Request::GetPending { .. } => Kind::Pending,
        };
        let tokens = match kind {
            Kind::Blocks => QUESTION_BYTES,
            Kind::Status | Kind::Headers | Kind::Pending | Kind::GossipBlock | Kind::GossipTx => 1,
        };
        let response = if self.may_ask(peer, kind, tokens) {
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
                self.peers.links.was_asked(self.clock.now(), &peer);
                Response::Status(self.own_status())
            }
            Request::GetHeaders { locator } => {
                let locator: Vec<BlockHash> = locator.into_iter().map(BlockHash::new).collect();
                match self.chain.headers_after(&locator, HEADERS_MAX) {
                    Ok(headers) => Response::Headers(headers.iter().map(Header::to_bytes).collect()),
                    Err(_) => Response::Busy,
                }
            }
            Request::GetBlocks { hashes } => {
                let (response, size) = self.answer_blocks(&hashes);
                let bytes = count(size - ENVELOPE_BYTES);
                self.peers.standing.charge(self.clock.now(), &peer, Kind::Blocks, bytes);
                response
            }
            Request::GetTransactions { block, positions } => {
                let list = match self.chain.whole_block(&BlockHash::new(block)) {
                    Ok(block) => block.and_then(|block| chosen(&block, &positions)).unwrap_or_default(),
                    Err(_) => return Response::Busy,
                };
                let bytes = count(list.iter().map(Vec::len).sum());
                self.peers.standing.charge(self.clock.now(), &peer, Kind::Blocks, bytes);
                Response::Transactions(list)
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
}

/// The transactions at these positions, in their canonical bytes; none if the block has not all of them.
fn chosen(block: &Block, positions: &[u16]) -> Option<Vec<Vec<u8>>> {
    let at = |position: &u16| {
        block
            .transactions
            .get(usize::from(*position))
            .map(Transaction::to_bytes)
    };
    positions.iter().map(at).collect()
}
