//! Envelopes between peers: nothing decodes but what encodes, within its limits.

use crate::wire::message::{decode_transactions, encode_transactions};
use crate::wire::{
    COMPACT_BLOCK_MAX_BYTES, CompactBlock, GOSSIP_TX_MAX_BYTES, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES, Request,
    Response, Status, ToldPeer, WireError,
};

fn check_status(status: &Status) {
    assert!(status.name.len() <= 32);
}

fn check_error(error: &WireError) {
    assert!(!error.to_string().is_empty());
}

pub(super) fn request(input: &[u8]) {
    match Request::decode(input) {
        Ok(request) => {
            assert!(input.len() <= REQUEST_MAX_BYTES);
            assert_eq!(request.encode(), input);
            // By the layout of the specification: how long is each kind?
            let size = match &request {
                Request::Status(status) => {
                    check_status(status);
                    4 + 32 + 8 + 32 + 8 + status.name.len() + 8 + 8 + 4 + 8
                }
                Request::GetHeaders { locator } => {
                    assert!(locator.len() <= 32);
                    4 + 8 + 32 * locator.len()
                }
                Request::GetBlocks { hashes } => {
                    assert!(hashes.len() <= 256);
                    4 + 8 + 32 * hashes.len()
                }
                Request::GetPending { .. } => 4 + 32,
                Request::GetPeers => 4,
                Request::GetTransactions { positions, .. } => {
                    assert!(positions.len() <= 4_096);
                    4 + 32 + 8 + 2 * positions.len()
                }
            };
            assert_eq!(input.len(), size);
        }
        Err(error) => check_error(&error),
    }
}

pub(super) fn response(input: &[u8]) {
    let list = |items: &[Vec<u8>]| 8 + items.iter().map(|item| 8 + item.len()).sum::<usize>();
    match Response::decode(input) {
        Ok(response) => {
            assert!(input.len() <= RESPONSE_MAX_BYTES);
            assert_eq!(response.encode(), input);
            let size = match &response {
                Response::Status(status) => {
                    check_status(status);
                    32 + 8 + 32 + 8 + status.name.len() + 8 + 8 + 4 + 8
                }
                Response::Headers(headers) => {
                    assert!(headers.len() <= 512);
                    8 + 96 * headers.len()
                }
                Response::Blocks(blocks) => {
                    assert!(blocks.len() <= 256 && blocks.iter().all(|block| block.len() <= 1 << 20));
                    list(blocks)
                }
                Response::Pending(transactions) | Response::Transactions(transactions) => {
                    assert!(transactions.iter().all(|transaction| transaction.len() <= 512));
                    list(transactions)
                }
                Response::Peers(peers) => {
                    assert!(peers.len() <= 32);
                    let text = |address: &String| 8 + address.len();
                    let peer = |told: &ToldPeer| {
                        assert!(told.addresses.len() <= 4 && told.addresses.iter().all(|text| text.len() <= 255));
                        32 + 8 + told.addresses.iter().map(text).sum::<usize>()
                    };
                    8 + peers.iter().map(peer).sum::<usize>()
                }
                Response::Busy | Response::Unsupported => 0,
            };
            assert_eq!(input.len(), 4 + size);
        }
        Err(error) => check_error(&error),
    }
}

pub(super) fn compact_block(input: &[u8]) {
    match CompactBlock::decode(input) {
        Ok(compact) => {
            assert!(input.len() <= COMPACT_BLOCK_MAX_BYTES);
            assert_eq!(compact.encode(), input);
            let given: usize = compact.given.iter().map(|(_, bytes)| 2 + 8 + bytes.len()).sum();
            assert_eq!(input.len(), 96 + 8 + given + 8 + 6 * compact.ids.len());
            assert!(
                compact
                    .given
                    .iter()
                    .all(|(at, _)| usize::from(*at) < compact.transactions())
            );
        }
        Err(error) => check_error(&error),
    }
}

pub(super) fn transactions(input: &[u8]) {
    match decode_transactions(input) {
        Ok(list) => {
            assert!(input.len() <= GOSSIP_TX_MAX_BYTES);
            assert!((1..=128).contains(&list.len()) && list.iter().all(|item| item.len() <= 512));
            assert_eq!(encode_transactions(&list), input);
        }
        Err(error) => check_error(&error),
    }
}
