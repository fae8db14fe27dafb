//! Requests, responses and gossip messages.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use thiserror::Error;

use crate::chain::header::HEADER_BYTES;
use crate::chain::params::{BLOCK_MAX_BYTES, BLOCK_MAX_TRANSACTIONS, TRANSACTION_MAX_BYTES};
use crate::types::address::ADDRESS_MAX_BYTES;

/// The largest request in bytes. A full locator takes 1 KiB; the rest is room for later versions.
pub const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// The largest response in bytes: room for two full blocks.
pub const RESPONSE_MAX_BYTES: usize = 2 * 1024 * 1024;
/// The largest gossiped list of transactions, in bytes.
pub const GOSSIP_TX_MAX_BYTES: usize = 64 * 1024;
/// The most transactions in a gossiped list.
pub const GOSSIP_TX_MAX_COUNT: usize = 128;
/// The most hashes in a locator: ten near the tip, then one for every doubling of the distance from it.
pub const LOCATOR_MAX: usize = 32;
/// The most headers in a response.
pub const HEADERS_MAX: usize = 512;
/// The most blocks in one request and in its response. A response holds at most the blocks that were asked for, so a
/// node that asks for few never receives more.
pub const BLOCKS_MAX: usize = 256;
/// The most peers in a response: enough to find eight of them, too few to map a network at once.
pub const PEERS_MAX: usize = 32;
/// The most addresses that a response may list for one peer.
pub const PEER_ADDRESSES_MAX: usize = 4;
/// The longest announced name, in bytes.
pub const STATUS_NAME_MAX_BYTES: usize = 32;

/// The gossip topics of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The topic for lists of new transactions.
    Transactions,
    /// The topic for new blocks.
    Blocks,
}

/// The sender's tip, pool and clock. Both sides send it when they connect, every 15 s, and when it changes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// The hash of the active tip.
    pub tip: [u8; 32],
    /// The height of the active tip.
    pub height: u64,
    /// The work of the active branch up to the tip, big-endian.
    pub work: [u8; 32],
    /// The name that the sender announces; empty if it has none.
    pub name: String,
    /// The sender's clock: Unix time in milliseconds.
    pub clock_ms: u64,
    /// A random number drawn at each start. Two processes with the same key are told apart by it.
    pub instance: u64,
    /// How many transactions the pool holds.
    pub pool_count: u32,
    /// The XOR of the first eight bytes (big-endian) of every pooled txid.
    pub pool_digest: u64,
}

/// A request that one peer sends to another.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Exchanges status: the request carries the asker's, the response the answerer's.
    Status(Status),
    /// Asks for the headers of the answerer's active chain after the first locator hash that is on it.
    GetHeaders {
        /// Hashes of the asker's active chain, newest first, genesis last.
        locator: Vec<[u8; 32]>,
    },
    /// Asks for the bodies of blocks.
    GetBlocks {
        /// The hashes of the wanted blocks, in the order in which they are wanted.
        hashes: Vec<[u8; 32]>,
    },
    /// Asks for pooled transactions whose ids are above the given one, in the order of their ids.
    GetPending {
        /// The last id that was received; zeros to begin with the first.
        after: [u8; 32],
    },
    /// Asks for other peers of the answerer and for their addresses.
    GetPeers,
    /// Asks for some transactions of a block.
    GetTransactions {
        /// The hash of the block.
        block: [u8; 32],
        /// The positions of the wanted transactions in the block, from 0, in the order in which they are wanted.
        positions: Vec<u16>,
    },
}

/// A peer that another peer reports.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ToldPeer {
    /// The reported peer's Ed25519 public key.
    pub key: [u8; 32],
    /// The addresses at which it listens: multiaddrs as text, without the peer.
    pub addresses: Vec<String>,
}

/// The response to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// The status of the answerer.
    Status(Status),
    /// Headers in order. Fewer than 512 means that the last one is the answerer's tip; an empty list, that nothing
    /// follows.
    Headers(Vec<[u8; HEADER_BYTES]>),
    /// The canonical bytes of the asked blocks, in order, up to the first that is missing or does not fit.
    Blocks(Vec<Vec<u8>>),
    /// The canonical bytes of transactions. An empty list means that there are no more.
    Pending(Vec<Vec<u8>>),
    /// The answerer has too many requests; the asker may try again later.
    Busy,
    /// The answerer does not know this kind of request, because it is older than the asker.
    Unsupported,
    /// Some of the peers that the answerer is connected to.
    Peers(Vec<ToldPeer>),
    /// The canonical bytes of the asked transactions, in order. An empty list means that the block, or one of the
    /// positions, is not at hand.
    Transactions(Vec<Vec<u8>>),
}

/// Why bytes are not a valid message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// The message is larger than its kind may be.
    #[error("message over {limit} bytes")]
    TooLong {
        /// The largest size of this kind, in bytes.
        limit: usize,
    },
    /// The bytes do not follow the encoding; the text says where.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// The bytes end too early, so they may be the beginning of a valid message.
    #[error("malformed message: {0}")]
    Cut(String),
    /// Bytes follow the message, or there is another, canonical encoding of it.
    #[error("message is not canonical")]
    NotCanonical,
    /// A list or a text in the message is longer than its limit.
    #[error("{what}: {count}, at most {limit} are allowed")]
    TooMany {
        /// The name of the list or text, with its unit.
        what: &'static str,
        /// The length that was found.
        count: usize,
        /// The largest length that is allowed.
        limit: usize,
    },
    /// The number of the kind belongs to a newer version.
    #[error("unknown kind of message {0}")]
    UnknownKind(u32),
}

/// The bincode configuration of every message: fixed-size integers, little endian, and a limit on the memory for
/// decoding.
fn config<const LIMIT: usize>() -> Configuration<LittleEndian, Fixint, Limit<LIMIT>> {
    bincode::config::standard()
        .with_fixed_int_encoding()
        .with_limit::<LIMIT>()
}

pub(super) fn encode<T: Encode>(value: &T) -> Vec<u8> {
    let unlimited = bincode::config::standard().with_fixed_int_encoding();
    bincode::encode_to_vec(value, unlimited).expect("encoding into memory cannot fail")
}

pub(super) fn decode<T: Encode + Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, WireError> {
    if bytes.len() > LIMIT {
        return Err(WireError::TooLong { limit: LIMIT });
    }
    let (value, used) = bincode::decode_from_slice::<T, _>(bytes, config::<LIMIT>()).map_err(|error| {
        let is_cut = matches!(error, DecodeError::UnexpectedEnd { .. });
        let variant = if is_cut { WireError::Cut } else { WireError::Malformed };
        variant(error.to_string())
    })?;
    if used != bytes.len() || encode(&value) != bytes {
        return Err(WireError::NotCanonical);
    }
    Ok(value)
}

pub(super) const fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), WireError> {
    if count > limit {
        Err(WireError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

/// Refuses an unknown kind of message before the rest is read.
fn check_kind(bytes: &[u8], known: u32) -> Result<(), WireError> {
    match bytes.first_chunk::<4>().map(|kind| u32::from_le_bytes(*kind)) {
        Some(kind) if kind >= known => Err(WireError::UnknownKind(kind)),
        Some(_) | None => Ok(()),
    }
}

impl Status {
    fn check(&self) -> Result<(), WireError> {
        at_most("bytes of a name", self.name.len(), STATUS_NAME_MAX_BYTES)
    }
}

impl Request {
    /// The bytes of the request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes a request.
    ///
    /// # Errors
    /// [`WireError`] for anything that `encode` does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        check_kind(bytes, 6)?;
        let request = decode::<Self, REQUEST_MAX_BYTES>(bytes)?;
        match &request {
            Self::Status(status) => status.check()?,
            Self::GetHeaders { locator } => at_most("hashes of a locator", locator.len(), LOCATOR_MAX)?,
            Self::GetBlocks { hashes } => at_most("hashes of blocks", hashes.len(), BLOCKS_MAX)?,
            Self::GetPending { .. } | Self::GetPeers => {}
            Self::GetTransactions { positions, .. } => {
                at_most("transactions of a block", positions.len(), BLOCK_MAX_TRANSACTIONS)?;
            }
        }
        Ok(request)
    }
}

impl Response {
    /// The bytes of the response, which may exceed its limit.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes a response.
    ///
    /// # Errors
    /// [`WireError`] for anything that `encode` does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        check_kind(bytes, 8)?;
        let response = decode::<Self, RESPONSE_MAX_BYTES>(bytes)?;
        match &response {
            Self::Status(status) => status.check()?,
            Self::Headers(headers) => at_most("headers", headers.len(), HEADERS_MAX)?,
            Self::Blocks(blocks) => {
                at_most("blocks", blocks.len(), BLOCKS_MAX)?;
                blocks
                    .iter()
                    .try_for_each(|block| at_most("bytes of a block", block.len(), BLOCK_MAX_BYTES))?;
            }
            Self::Pending(list) => check_transactions(list)?,
            Self::Transactions(list) => {
                at_most("transactions of a block", list.len(), BLOCK_MAX_TRANSACTIONS)?;
                check_transactions(list)?;
            }
            Self::Peers(list) => check_peers(list)?,
            Self::Busy | Self::Unsupported => {}
        }
        Ok(response)
    }
}

fn check_peers(list: &[ToldPeer]) -> Result<(), WireError> {
    at_most("peers", list.len(), PEERS_MAX)?;
    list.iter().try_for_each(|peer| {
        at_most("addresses of a peer", peer.addresses.len(), PEER_ADDRESSES_MAX)?;
        let addresses = peer.addresses.iter();
        addresses
            .map(String::len)
            .try_for_each(|length| at_most("bytes of an address", length, ADDRESS_MAX_BYTES))
    })
}

fn check_transactions(list: &[Vec<u8>]) -> Result<(), WireError> {
    list.iter()
        .try_for_each(|bytes| at_most("bytes of a transaction", bytes.len(), TRANSACTION_MAX_BYTES))
}

/// Encodes a gossiped list of transactions, each given as canonical bytes. The caller keeps to the limits
/// [`GOSSIP_TX_MAX_COUNT`] and [`GOSSIP_TX_MAX_BYTES`].
#[must_use]
pub fn encode_transactions(list: &[Vec<u8>]) -> Vec<u8> {
    encode(&list.to_vec())
}

/// Decodes a gossiped list of 1 to 128 transactions.
///
/// # Errors
/// [`WireError`] for anything else.
pub fn decode_transactions(bytes: &[u8]) -> Result<Vec<Vec<u8>>, WireError> {
    let list = decode::<Vec<Vec<u8>>, GOSSIP_TX_MAX_BYTES>(bytes)?;
    at_most("transactions", list.len(), GOSSIP_TX_MAX_COUNT)?;
    if list.is_empty() {
        return Err(WireError::Malformed("an empty list".into()));
    }
    check_transactions(&list)?;
    Ok(list)
}
