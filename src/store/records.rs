//! The byte layouts of keys and values in the chain file. All numbers are big-endian.
//!
//! Spec: `proto-notes/store.md`, "Tables".

use crate::chain::{AccountState, AccountTag, Header, HistoryKey, Spot, StoreError, StoredBlock, TxPlace};
use crate::types::layout::{LayoutError, Reader};
use crate::types::{Account, AccountName, Address, BlockHash, Height, PeerId, PublicKey, Txid, Work};

const NAME: u8 = 1;
const KEY: u8 = 2;
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

/// The error for a damaged record.
pub(crate) fn damaged(what: &str, reason: impl core::fmt::Display) -> StoreError {
    StoreError::Damaged(format!("{what}: {reason}"))
}

/// Reads a record completely, with a function that reads its fields.
fn whole<T>(
    what: &str,
    bytes: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, LayoutError>,
) -> Result<T, StoreError> {
    whole_from(what, Reader::new(bytes), read)
}

/// Reads a record completely, as [`whole`] does, with a reader that stands before it.
fn whole_from<T>(
    what: &str,
    mut reader: Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, LayoutError>,
) -> Result<T, StoreError> {
    let value = read(&mut reader).map_err(|error| damaged(what, error))?;
    reader.finish().map_err(|error| damaged(what, error))?;
    Ok(value)
}

/// Reads a hash: exactly thirty-two bytes of a key or value.
pub(crate) fn hash(what: &str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    whole(what, bytes, |reader| reader.array())
}

/// The key for a height; keys sort as the heights do.
pub(crate) fn height_key(height: Height) -> [u8; 8] {
    height.get().to_be_bytes()
}

/// Reads a height from its key.
pub(crate) fn height(bytes: &[u8]) -> Result<Height, StoreError> {
    whole("height", bytes, |reader| reader.u64()).map(Height::new)
}

/// The value for a block: header, work, size.
pub(crate) fn block_value(block: &StoredBlock) -> Vec<u8> {
    let mut out = block.header.to_bytes().to_vec();
    out.extend_from_slice(&block.work.to_be_bytes());
    out.extend_from_slice(&block.size_bytes.to_be_bytes());
    out
}

/// Reads header, work and size of a block, and checks the header against the hash under which it was stored.
pub(crate) fn block(hash: &BlockHash, bytes: &[u8]) -> Result<StoredBlock, StoreError> {
    let block = whole("header", bytes, |reader| {
        Ok(StoredBlock {
            header: Header::read(reader)?,
            work: Work::from_be_bytes(reader.array()?),
            size_bytes: reader.u64()?,
        })
    })?;
    if block.header.hash() == *hash {
        Ok(block)
    } else {
        Err(damaged("header", format_args!("it is not that of block {hash}")))
    }
}

/// The key for an account; names sort first, then keys.
pub(crate) fn account_key(account: &Account) -> Vec<u8> {
    match account {
        Account::Name(name) => [&[NAME], name.as_str().as_bytes()].concat(),
        Account::Key(key) => [&[KEY], &key.as_bytes()[..]].concat(),
    }
}

/// Reads an account from its key.
pub(crate) fn account(bytes: &[u8]) -> Result<Account, StoreError> {
    match bytes.split_first() {
        Some((&NAME, text)) => name(text).map(Account::Name),
        Some((&KEY, bytes)) => public_key(hash("account key", bytes)?).map(Account::Key),
        Some(_) | None => Err(damaged("account", "unknown tag")),
    }
}

/// Reads a name from the bytes of its text.
pub(crate) fn name(bytes: &[u8]) -> Result<AccountName, StoreError> {
    let text = core::str::from_utf8(bytes).map_err(|error| damaged("name", error))?;
    AccountName::new(text).map_err(|error| damaged("name", error))
}

fn public_key(bytes: [u8; 32]) -> Result<PublicKey, StoreError> {
    PublicKey::from_bytes(bytes).map_err(|error| damaged("public key", error))
}

/// The value for an account: balance, next sequence, owner.
pub(crate) fn state_value(state: &AccountState) -> Vec<u8> {
    let mut out = Vec::with_capacity(49);
    write_state(&mut out, state);
    out
}

fn write_state(out: &mut Vec<u8>, state: &AccountState) {
    out.extend_from_slice(&state.balance.to_be_bytes());
    out.extend_from_slice(&state.next_sequence.to_be_bytes());
    match &state.owner {
        None => out.push(ABSENT),
        Some(key) => {
            out.push(PRESENT);
            out.extend_from_slice(key.as_bytes());
        }
    }
}

fn read_state(reader: &mut Reader<'_>) -> Result<AccountState, LayoutError> {
    Ok(AccountState {
        balance: i64::from_be_bytes(reader.array()?),
        next_sequence: reader.u64()?,
        owner: match reader.u8()? {
            ABSENT => None,
            PRESENT => Some(PublicKey::read(reader)?),
            tag => return Err(LayoutError::UnknownTag(tag)),
        },
    })
}

/// Reads a ledger entry from its value.
pub(crate) fn state(bytes: &[u8]) -> Result<AccountState, StoreError> {
    whole("account", bytes, read_state)
}

/// Reads a ledger entry with a reader of its value.
pub(crate) fn state_from(reader: Reader<'_>) -> Result<AccountState, StoreError> {
    whole_from("account", reader, read_state)
}

/// The value for an entry beside the ledger: a byte for absent or present, then the entry.
pub(crate) fn beside_value(state: Option<&AccountState>) -> Vec<u8> {
    match state {
        None => vec![ABSENT],
        Some(state) => {
            let mut out = vec![PRESENT];
            write_state(&mut out, state);
            out
        }
    }
}

/// The bytes of an entry beside the ledger; none if the account will have no entry.
pub(crate) fn beside_bytes(bytes: &[u8]) -> Result<Option<&[u8]>, StoreError> {
    match bytes.split_first() {
        Some((&ABSENT, [])) => Ok(None),
        Some((&PRESENT, state)) => Ok(Some(state)),
        Some(_) | None => Err(damaged("entry beside the ledger", "unknown tag")),
    }
}

/// The key for one piece of a body, by its number.
pub(crate) fn piece_key(hash: &BlockHash, number: u16) -> [u8; 34] {
    let mut key = [0; 34];
    key[..32].copy_from_slice(hash.as_bytes());
    key[32..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The key for a transaction's position: its id and the start of the block's hash.
pub(crate) fn spot_key(txid: &Txid, spot: &Spot) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(txid.as_bytes());
    key[32..].copy_from_slice(&spot.block);
    key
}

/// Reads a transaction's position from key and value.
pub(crate) fn spot(key: &[u8], value: &[u8]) -> Result<(Txid, Spot), StoreError> {
    let (txid, block) = whole("place", key, |reader| Ok((Txid::new(reader.array()?), reader.array()?)))?;
    let place = place(value)?;
    Ok((txid, Spot { block, place }))
}

/// The value for a position: height and index.
pub(crate) fn place_value(place: &TxPlace) -> Vec<u8> {
    [&place.height.get().to_be_bytes()[..], &place.index.to_be_bytes()].concat()
}

/// Reads a position from its value.
pub(crate) fn place(bytes: &[u8]) -> Result<TxPlace, StoreError> {
    whole("place", bytes, |reader| {
        Ok(TxPlace {
            height: Height::new(reader.u64()?),
            index: reader.u32()?,
        })
    })
}

/// The key for an account in a block: tag, height, and the start of the block's hash.
pub(crate) fn history_key(key: &HistoryKey) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&key.tag.bytes());
    bytes[8..16].copy_from_slice(&height_key(key.height));
    bytes[16..].copy_from_slice(&key.block);
    bytes
}

/// The value for an account in a block: the indices of its transactions.
pub(crate) fn history_value(indices: &[u16]) -> Vec<u8> {
    indices.iter().flat_map(|index| index.to_be_bytes()).collect()
}

/// Reads an entry of the index of histories from key and value.
pub(crate) fn history(key: &[u8], value: &[u8]) -> Result<(HistoryKey, Vec<u16>), StoreError> {
    let key = whole("history", key, |reader| {
        Ok(HistoryKey {
            tag: AccountTag::new(reader.array()?),
            height: Height::new(reader.u64()?),
            block: reader.array()?,
        })
    })?;
    let mut reader = Reader::new(value);
    let mut indices = Vec::with_capacity(value.len() / 2);
    while !reader.rest().is_empty() {
        let index = reader.array().map_err(|error| damaged("history", error))?;
        indices.push(u16::from_be_bytes(index));
    }
    if indices.is_empty() || !indices.is_sorted_by(|a, b| a < b) {
        return Err(damaged("history", "its indices are not in order"));
    }
    Ok((key, indices))
}

/// The value for an own transaction: running number and canonical bytes.
pub(crate) fn own_value(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes()[..], bytes].concat()
}

/// Reads an own transaction from its value.
pub(crate) fn own(bytes: &[u8]) -> Result<(u64, Vec<u8>), StoreError> {
    let mut reader = Reader::new(bytes);
    let number = reader.u64().map_err(|error| damaged("own transaction", error))?;
    Ok((number, reader.rest().to_vec()))
}

/// The value for a peer: each address after one byte with its length. Addresses of more than 255 bytes are left out.
pub(crate) fn addresses_value(addresses: &[Address]) -> Vec<u8> {
    let mut out = Vec::new();
    for address in addresses {
        if let Ok(size) = u8::try_from(address.as_str().len()) {
            out.push(size);
            out.extend_from_slice(address.as_str().as_bytes());
        }
    }
    out
}

/// Reads a remembered peer from key and value.
pub(crate) fn peer(key: &[u8], value: &[u8]) -> Result<(PeerId, Vec<Address>), StoreError> {
    let peer = PeerId::from_bytes(key).map_err(|error| damaged("peer", error))?;
    let mut reader = Reader::new(value);
    let mut addresses = Vec::new();
    while !reader.rest().is_empty() {
        let text = reader
            .u8()
            .and_then(|size| reader.bytes(usize::from(size)))
            .map_err(|error| damaged("peer", error))?;
        let text = core::str::from_utf8(text).map_err(|error| damaged("peer", error))?;
        let (address, _) = Address::parse(text).map_err(|error| damaged("peer", error))?;
        addresses.push(address);
    }
    Ok((peer, addresses))
}

/// The smallest and largest hash that start with these hex digits; none if no hash starts with them.
pub(crate) fn prefix_range(prefix: &str) -> Option<([u8; 32], [u8; 32])> {
    let digits = |fill: &str| {
        let text = format!("{prefix}{}", fill.repeat(64_usize.checked_sub(prefix.len())?));
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(bytes)
    };
    Some((digits("0")?, digits("f")?))
}
