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

/// The size of the key of a block in bytes: height and hash.
pub(crate) const BLOCK_KEY_BYTES: usize = HEIGHT_BYTES + 32;
/// The size of the key of a piece of a body in bytes.
pub(crate) const PIECE_KEY_BYTES: usize = BLOCK_KEY_BYTES + 2;
/// The start of a hash in the table of heights, in bytes.
const HASH_START_BYTES: usize = 8;
/// The size of a key in the table of heights in bytes.
pub(crate) const HEIGHT_KEY_BYTES: usize = HASH_START_BYTES + HEIGHT_BYTES;

/// The key of a block: height and hash.
pub(crate) fn block_key(height: Height, hash: &BlockHash) -> Result<[u8; BLOCK_KEY_BYTES], StoreError> {
    let mut key = filled(&short_height(height)?, 0);
    key[HEIGHT_BYTES..].copy_from_slice(hash.as_bytes());
    Ok(key)
}

/// Reads the hash from the key of a block.
pub(crate) const fn block_of(key: &[u8; BLOCK_KEY_BYTES]) -> BlockHash {
    let [_, _, _, _, _, hash @ ..] = *key;
    BlockHash::new(hash)
}

/// The key for one piece of a body, by its number.
pub(crate) fn piece_key(block: &[u8; BLOCK_KEY_BYTES], number: u16) -> [u8; PIECE_KEY_BYTES] {
    let mut key = filled(block, 0);
    key[BLOCK_KEY_BYTES..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The key for the height of a block: the start of its hash, and the height.
pub(crate) fn height_key_of(block: &[u8; BLOCK_KEY_BYTES]) -> [u8; HEIGHT_KEY_BYTES] {
    let (height, hash) = block.split_at(HEIGHT_BYTES);
    let mut key = filled(&hash[..HASH_START_BYTES], 0);
    key[HASH_START_BYTES..].copy_from_slice(height);
    key
}

/// The smallest and the largest key for the height of a block with this hash.
pub(crate) fn height_keys(hash: &BlockHash) -> ([u8; HEIGHT_KEY_BYTES], [u8; HEIGHT_KEY_BYTES]) {
    let start = &hash.as_bytes()[..HASH_START_BYTES];
    (filled(start, 0), filled(start, 0xff))
}

/// The key of a block with this hash at the height of an entry.
pub(crate) fn block_key_at(entry: &[u8; HEIGHT_KEY_BYTES], hash: &BlockHash) -> [u8; BLOCK_KEY_BYTES] {
    let mut key = filled(&entry[HASH_START_BYTES..], 0);
    key[HEIGHT_BYTES..].copy_from_slice(hash.as_bytes());
    key
}

/// The smallest and the largest key of a block that an entry may be of.
pub(crate) fn block_keys(entry: &[u8; HEIGHT_KEY_BYTES]) -> ([u8; BLOCK_KEY_BYTES], [u8; BLOCK_KEY_BYTES]) {
    let (hash, height) = entry.split_at(HASH_START_BYTES);
    let start = [height, hash].concat();
    (filled(&start, 0), filled(&start, 0xff))
}

/// Whether the entry is of a block whose hash begins as this one does.
pub(crate) fn begins_alike(entry: &[u8; HEIGHT_KEY_BYTES], hash: &BlockHash) -> bool {
    entry.starts_with(&hash.as_bytes()[..HASH_START_BYTES])
}

/// The key for one piece of a body as earlier versions wrote it.
pub(crate) fn old_piece_key(hash: &BlockHash, number: u16) -> [u8; 34] {
    let mut key = [0; 34];
    key[..32].copy_from_slice(hash.as_bytes());
    key[32..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The start of a transaction's id in the key for its position, in bytes.
pub(crate) const PLACE_TXID_BYTES: usize = 8;
/// The start of the block's hash there, in bytes.
pub(crate) const PLACE_BLOCK_BYTES: usize = 4;
/// The size of the key for a transaction's position in bytes.
pub(crate) const PLACE_KEY_BYTES: usize = PLACE_TXID_BYTES + PLACE_BLOCK_BYTES + 2;
/// The size of a key in the index of histories in bytes.
pub(crate) const HISTORY_KEY_BYTES: usize = 21;
/// The size of a key in the index of histories with one index of a transaction behind it, in bytes.
pub(crate) const LATE_HISTORY_BYTES: usize = HISTORY_KEY_BYTES + 2;
/// The bytes of a height in the keys of both indexes.
const HEIGHT_BYTES: usize = 5;

/// A height in five bytes, which last for 2^40 blocks.
fn short_height(height: Height) -> Result<[u8; HEIGHT_BYTES], StoreError> {
    match height.get().to_be_bytes() {
        [0, 0, 0, a, b, c, d, e] => Ok([a, b, c, d, e]),
        _ => Err(StoreError::Io(format!("no index has room for height {height}"))),
    }
}

fn long_height([a, b, c, d, e]: [u8; HEIGHT_BYTES]) -> Height {
    Height::new(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
}

/// These bytes, and others of one value behind them.
pub(crate) fn filled<const N: usize>(start: &[u8], rest: u8) -> [u8; N] {
    let mut bytes = [rest; N];
    bytes[..start.len()].copy_from_slice(start);
    bytes
}

/// The key for a transaction's position: the starts of its id and of the block's hash, and the index in the block.
pub(crate) fn place_key(txid: &Txid, spot: &Spot) -> Result<[u8; PLACE_KEY_BYTES], StoreError> {
    let index = u16::try_from(spot.place.index).map_err(|_| StoreError::Io("no block has so many".into()))?;
    let mut key = filled(&txid.as_bytes()[..PLACE_TXID_BYTES], 0);
    key[PLACE_TXID_BYTES..PLACE_TXID_BYTES + PLACE_BLOCK_BYTES].copy_from_slice(&spot.block[..PLACE_BLOCK_BYTES]);
    key[PLACE_TXID_BYTES + PLACE_BLOCK_BYTES..].copy_from_slice(&index.to_be_bytes());
    Ok(key)
}

/// Reads the start of the block's hash and the index from the key for a position.
pub(crate) const fn place_of(key: &[u8; PLACE_KEY_BYTES]) -> ([u8; PLACE_BLOCK_BYTES], u16) {
    let [.., a, b, c, d, e, f] = *key;
    ([a, b, c, d], u16::from_be_bytes([e, f]))
}

/// Reads a transaction's position from key and value as an earlier version wrote them: the id and the start of the
/// block's hash; height and index.
pub(crate) fn old_spot(key: &[u8], value: &[u8]) -> Result<Spot, StoreError> {
    let block = whole("place", key, |reader| reader.bytes(32).and_then(|_| reader.array()))?;
    let place = whole("place", value, |reader| {
        Ok(TxPlace {
            height: Height::new(reader.u64()?),
            index: reader.u32()?,
        })
    })?;
    Ok(Spot { block, place })
}

/// The key for an account in a block: tag, height, and the start of the block's hash.
pub(crate) fn history_key(key: &HistoryKey) -> Result<[u8; HISTORY_KEY_BYTES], StoreError> {
    let mut bytes = filled(&key.tag.bytes(), 0);
    bytes[8..13].copy_from_slice(&short_height(key.height)?);
    bytes[13..].copy_from_slice(&key.block);
    Ok(bytes)
}

/// The key for an account in a block, and one index of a transaction.
pub(crate) fn late_history(key: &[u8; HISTORY_KEY_BYTES], index: u16) -> [u8; LATE_HISTORY_BYTES] {
    let mut bytes = filled(key, 0);
    bytes[HISTORY_KEY_BYTES..].copy_from_slice(&index.to_be_bytes());
    bytes
}

/// Reads a key with one index of a transaction.
pub(crate) fn late_history_of(bytes: &[u8; LATE_HISTORY_BYTES]) -> (HistoryKey, u16) {
    let [key @ .., a, b] = *bytes;
    (history_key_of(&key), u16::from_be_bytes([a, b]))
}

fn history_key_of(bytes: &[u8; HISTORY_KEY_BYTES]) -> HistoryKey {
    let [t0, t1, t2, t3, t4, t5, t6, t7, a, b, c, d, e, block @ ..] = *bytes;
    HistoryKey {
        tag: AccountTag::new([t0, t1, t2, t3, t4, t5, t6, t7]),
        height: long_height([a, b, c, d, e]),
        block,
    }
}

/// The value for an account in a block: the indices of its transactions.
pub(crate) fn history_value(indices: &[u16]) -> Vec<u8> {
    indices.iter().flat_map(|index| index.to_be_bytes()).collect()
}

/// Reads an entry of the index of histories from key and value.
pub(crate) fn history(key: &[u8; HISTORY_KEY_BYTES], value: &[u8]) -> Result<(HistoryKey, Vec<u16>), StoreError> {
    let mut reader = Reader::new(value);
    let mut indices = Vec::with_capacity(value.len() / 2);
    while !reader.rest().is_empty() {
        let index = reader.array().map_err(|error| damaged("history", error))?;
        indices.push(u16::from_be_bytes(index));
    }
    if indices.is_empty() || !indices.is_sorted_by(|a, b| a < b) {
        return Err(damaged("history", "its indices are not in order"));
    }
    Ok((history_key_of(key), indices))
}

/// The value for the mark of the indexes: a height and the hash of the active block there.
pub(crate) fn mark_value(height: Height, hash: &BlockHash) -> Vec<u8> {
    [&height_key(height)[..], hash.as_bytes()].concat()
}

/// Reads the mark of the indexes.
pub(crate) fn mark(bytes: &[u8]) -> Result<(Height, BlockHash), StoreError> {
    whole("mark", bytes, |reader| {
        Ok((Height::new(reader.u64()?), BlockHash::new(reader.array()?)))
    })
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
