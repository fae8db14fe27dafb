//! Requests, responses and gossip messages.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use bincode::error::DecodeError;
use bincode::{Decode, Encode};
use thiserror::Error;

use crate::chain::header::HEADER_BYTES;
use crate::chain::params::{BLOCK_MAX_BYTES, TRANSACTION_MAX_BYTES};
use crate::types::address::ADDRESS_MAX_BYTES;

/// The most bytes of a request: a full locator is 1 KiB; the rest is room to grow.
pub const REQUEST_MAX_BYTES: usize = 64 * 1024;
/// The most bytes of a response: two full blocks.
pub const RESPONSE_MAX_BYTES: usize = 2 * 1024 * 1024;
/// The most bytes of a gossiped block: a block and its envelope.
pub const GOSSIP_BLOCK_MAX_BYTES: usize = BLOCK_MAX_BYTES + 4 * 1024;
/// The most bytes of a gossiped list of transactions.
pub const GOSSIP_TX_MAX_BYTES: usize = 64 * 1024;
/// The most transactions of a gossiped list.
pub const GOSSIP_TX_MAX_COUNT: usize = 128;
/// The most hashes of a locator: one for every doubling of the distance from the tip, and ten.
pub const LOCATOR_MAX: usize = 32;
/// The most headers of a response.
pub const HEADERS_MAX: usize = 512;
/// The most blocks that one request names and one answer holds. An answer holds no more than were asked, so whoever asks
/// for few never meets a longer one.
pub const BLOCKS_MAX: usize = 256;
/// The most peers of an answer: enough to find eight of them, too few to map a network at once.
pub const PEERS_MAX: usize = 32;
/// The most addresses that are told of a peer.
pub const PEER_ADDRESSES_MAX: usize = 4;
/// The longest announced name, in bytes.
pub const STATUS_NAME_MAX_BYTES: usize = 32;

/// The gossip topics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Lists of transactions.
    Transactions,
    /// Blocks.
    Blocks,
}

/// Where a node stands; sent both ways on connect, every 10 s, and on change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Status {
    /// The active tip's hash.
    pub tip: [u8; 32],
    /// Its height.
    pub height: u64,
    /// Its work, big-endian.
    pub work: [u8; 32],
    /// The announced name, empty for none.
    pub name: String,
    /// The sender's clock: Unix time in milliseconds.
    pub clock_ms: u64,
    /// Random at each start: two instances with one key reveal themselves.
    pub instance: u64,
    /// How many transactions the pool holds.
    pub pool_count: u32,
    /// The XOR of the first eight bytes (big-endian) of every pooled txid.
    pub pool_digest: u64,
}

/// What a peer can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Exchange where both stand.
    Status(Status),
    /// The headers of the answerer's active chain behind the first locator hash that lies on it.
    GetHeaders {
        /// Hashes of the asker's chain, newest first.
        locator: Vec<[u8; 32]>,
    },
    /// Blocks by hash.
    GetBlocks {
        /// Which.
        hashes: Vec<[u8; 32]>,
    },
    /// Pooled transactions with ids above the given one, in the order of their ids.
    GetPending {
        /// The last id that was received; zeros to begin.
        after: [u8; 32],
    },
    /// Other peers of the answerer, and where they are.
    GetPeers,
}

/// A peer as another one tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ToldPeer {
    /// Its Ed25519 public key.
    pub key: [u8; 32],
    /// Where it listens: multiaddrs as text, without the peer.
    pub addresses: Vec<String>,
}

/// What a peer answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Response {
    /// Where the answerer stands.
    Status(Status),
    /// Headers in order; fewer than 512: that was the tip. None: nothing follows.
    Headers(Vec<[u8; HEADER_BYTES]>),
    /// The longest prefix of the asked blocks that is at hand and fits; canonical bytes.
    Blocks(Vec<Vec<u8>>),
    /// Transactions; canonical bytes. Empty: no more.
    Pending(Vec<Vec<u8>>),
    /// Too much was asked of this node; ask again later.
    Busy,
    /// The request is of a newer kind.
    Unsupported,
    /// Some of the answerer's connected peers.
    Peers(Vec<ToldPeer>),
}

/// Why bytes are no message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// More bytes than the message may have.
    #[error("message over {limit} bytes")]
    TooLong {
        /// What is allowed.
        limit: usize,
    },
    /// Not a message.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// The beginning of a message: its bytes end too early.
    #[error("malformed message: {0}")]
    Cut(String),
    /// Bytes behind the message, or another encoding of it.
    #[error("message is not canonical")]
    NotCanonical,
    /// A list or text above its limit.
    #[error("{what}: {count}, at most {limit} are allowed")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        count: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A kind of request of a newer version.
    #[error("unknown kind of message {0}")]
    UnknownKind(u32),
}

/// The one bincode configuration: fixed-size integers, little endian, and a limit on what decoding may take.
fn config<const LIMIT: usize>() -> Configuration<LittleEndian, Fixint, Limit<LIMIT>> {
    bincode::config::standard()
        .with_fixed_int_encoding()
        .with_limit::<LIMIT>()
}

fn encode<T: Encode>(value: &T) -> Vec<u8> {
    let unlimited = bincode::config::standard().with_fixed_int_encoding();
    bincode::encode_to_vec(value, unlimited).expect("encoding into memory cannot fail")
}

fn decode<T: Encode + Decode<()>, const LIMIT: usize>(bytes: &[u8]) -> Result<T, WireError> {
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

const fn at_most(what: &'static str, count: usize, limit: usize) -> Result<(), WireError> {
    if count > limit {
        Err(WireError::TooMany { what, count, limit })
    } else {
        Ok(())
    }
}

/// Refuses a kind above the last known one before the rest is looked at.
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
    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`WireError`] for anything that `encode` does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        check_kind(bytes, 5)?;
        let request = decode::<Self, REQUEST_MAX_BYTES>(bytes)?;
        match &request {
            Self::Status(status) => status.check()?,
            Self::GetHeaders { locator } => at_most("hashes of a locator", locator.len(), LOCATOR_MAX)?,
            Self::GetBlocks { hashes } => at_most("hashes of blocks", hashes.len(), BLOCKS_MAX)?,
            Self::GetPending { .. } | Self::GetPeers => {}
        }
        Ok(request)
    }
}

impl Response {
    /// The message's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`WireError`] for anything that `encode` does not make.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        check_kind(bytes, 7)?;
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

/// The bytes of a gossiped list of transactions, each as canonical bytes. Limits are the caller's:
/// [`GOSSIP_TX_MAX_COUNT`] and [`GOSSIP_TX_MAX_BYTES`].
#[must_use]
pub fn encode_transactions(list: &[Vec<u8>]) -> Vec<u8> {
    encode(&list.to_vec())
}

/// Reads a gossiped list of 1 to 128 transactions.
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
