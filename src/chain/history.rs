//! The index of histories: which transactions of a block concern which account.
//!
//! Promises: the entries of a block follow from its bytes alone, so that the index can be made anew from the stored
//! blocks. An entry names its block and counts only while that block is active, so that a block which leaves costs
//! nothing.
//! Elsewhere: who writes it (`chain::branch`, `chain::long`), who reads it (`inspect::history`), its table (`store`).
//! Spec: `proto-notes/store.md`, "Tables".

use std::collections::BTreeMap;

use super::block::Block;
use super::header::HEADER_BYTES;
use super::store::{Spot, TxPlace};
use super::transaction::{Outline, Transaction};
use crate::types::hash::sha256;
use crate::types::layout::{LayoutError, Reader};
use crate::types::{Account, BlockHash, Height, PublicKey, Txid};

/// The first byte of what is hashed for the names of a key. Accounts have their own tags, 1 and 2.
const NAMES_OF: u8 = 3;

/// The start of a hash that stands for an account, or for all names of a key.
///
/// Two accounts may share a tag, so a reader looks at the transactions themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountTag([u8; 8]);

impl AccountTag {
    /// The tag with these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 8]) -> Self {
        Self(bytes)
    }

    /// The bytes of the tag.
    #[must_use]
    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }

    /// The tag under which the transactions of an account stand.
    #[must_use]
    pub fn of(account: &Account) -> Self {
        match account {
            Account::Name(name) => Self::name(name.as_str().as_bytes()),
            Account::Key(key) => Self::key(key.as_bytes()),
        }
    }

    /// The tag under which the transactions stand that made names belong to this key: its first signature for each.
    #[must_use]
    pub fn names_of(key: &PublicKey) -> Self {
        Self::names(key.as_bytes())
    }

    pub(super) fn name(name: &[u8]) -> Self {
        Self::start(&[&[1], name])
    }

    pub(super) fn key(key: &[u8; 32]) -> Self {
        Self::start(&[&[2], key])
    }

    pub(super) fn names(key: &[u8; 32]) -> Self {
        Self::start(&[&[NAMES_OF], key])
    }

    fn start(parts: &[&[u8]]) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = sha256(parts);
        Self([a, b, c, d, e, f, g, h])
    }
}

/// An account in a block. The entry's value lists the indices of the account's transactions in that block, ascending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryKey {
    /// The account, or the names of a key.
    pub tag: AccountTag,
    /// The height of the block.
    pub height: Height,
    /// The first eight bytes of the block's hash.
    pub block: [u8; 8],
}

impl HistoryKey {
    /// The key of an account in the block with this hash.
    #[must_use]
    pub fn new(tag: AccountTag, height: Height, hash: &BlockHash) -> Self {
        let mut block = [0; 8];
        block.copy_from_slice(&hash.as_bytes()[..8]);
        Self { tag, height, block }
    }

    /// The first and the last key that a tag can have.
    #[must_use]
    pub fn range(tag: AccountTag) -> (Self, Self) {
        let key = |height, byte| Self {
            tag,
            height: Height::new(height),
            block: [byte; 8],
        };
        (key(0, 0), key(u64::MAX, 0xff))
    }

    /// Whether the entry counts: `active` is the active block at this height, and it is this one.
    #[must_use]
    pub fn is_in(&self, active: Option<&BlockHash>) -> bool {
        active.is_some_and(|hash| hash.as_bytes().starts_with(&self.block))
    }
}

/// Entries of the index: for each account in a block the indices of its transactions there.
pub type HistoryEntries = BTreeMap<HistoryKey, Vec<u16>>;

/// Adds the entries of a block.
pub(super) fn add_block(entries: &mut HistoryEntries, hash: &BlockHash, block: &Block) {
    let height = block.header.height;
    for (index, transaction) in (0_u16..).zip(&block.transactions) {
        for tag in tags(transaction) {
            push(entries, HistoryKey::new(tag, height, hash), index);
        }
    }
}

/// The tags under which a transaction stands.
fn tags(transaction: &Transaction) -> impl Iterator<Item = AccountTag> + use<> {
    let first_signature = match (transaction.sequence(), transaction.signer()) {
        (Some((Account::Name(_), 0)), Some(key)) => Some(AccountTag::names_of(&key)),
        (Some(_) | None, _) => None,
    };
    transaction
        .accounts()
        .map(|account| AccountTag::of(&account))
        .chain(first_signature)
}

fn push(entries: &mut HistoryEntries, key: HistoryKey, index: u16) {
    let indices = entries.entry(key).or_default();
    if indices.last() != Some(&index) {
        indices.push(index);
    }
}

/// Adds the entries of a stored block from its canonical bytes, without the costly checks of its keys.
///
/// # Errors
/// [`LayoutError`] if the bytes are not those of a block.
pub fn add_body(entries: &mut HistoryEntries, hash: &BlockHash, bytes: &[u8]) -> Result<(), LayoutError> {
    outlines(bytes, |height, index, _, outline| {
        for tag in outline.tags() {
            push(entries, HistoryKey::new(tag, height, hash), index);
        }
    })
}

/// Adds the positions of a stored block's transactions and its entries from its canonical bytes, as [`add_body`] does.
///
/// # Errors
/// [`LayoutError`] if the bytes are not those of a block.
pub fn index_body(
    (places, entries): (&mut Vec<(Txid, Spot)>, &mut HistoryEntries),
    hash: &BlockHash,
    bytes: &[u8],
) -> Result<(), LayoutError> {
    outlines(bytes, |height, index, transaction, outline| {
        let place = TxPlace {
            height,
            index: index.into(),
        };
        places.push((Transaction::txid_of(transaction), Spot::new(hash, place)));
        for tag in outline.tags() {
            push(entries, HistoryKey::new(tag, height, hash), index);
        }
    })
}

/// The ids of a stored block's transactions, in their order.
///
/// # Errors
/// [`LayoutError`] if the bytes are not those of a block.
pub fn ids(bytes: &[u8]) -> Result<Vec<Txid>, LayoutError> {
    let mut ids = Vec::new();
    outlines(bytes, |_, _, transaction, _| {
        ids.push(Transaction::txid_of(transaction))
    })?;
    Ok(ids)
}

/// Passes over the transactions of a block: its height, the index of each, its bytes and its outline.
fn outlines(bytes: &[u8], mut note: impl FnMut(Height, u16, &[u8], Outline)) -> Result<(), LayoutError> {
    let height = Block::header_of(bytes)?.height;
    let mut reader = Reader::new(&bytes[HEADER_BYTES..]);
    let count = u16::try_from(reader.u32()?).map_err(|_| LayoutError::BadField("too many transactions".into()))?;
    for index in 0..count {
        let before = reader.rest();
        let outline = Outline::read(&mut reader)?;
        let size = before.len() - reader.rest().len();
        note(height, index, &before[..size], outline);
    }
    reader.finish()
}

/// The transactions at these indices, ascending, of a block's canonical bytes. The others are passed over without the
/// costly checks of their keys.
///
/// # Errors
/// A text that says what is wrong with the bytes.
pub fn pick(bytes: &[u8], indices: &[u16]) -> Result<Vec<(u16, Transaction)>, String> {
    let text = |error: LayoutError| error.to_string();
    let after_header = bytes.get(HEADER_BYTES..).ok_or("the bytes end too early")?;
    let mut reader = Reader::new(after_header);
    let count = reader.u32().map_err(text)?;
    let mut picked = Vec::with_capacity(indices.len());
    let mut wanted = indices.iter().copied().peekable();
    for index in 0..u16::try_from(count).unwrap_or(u16::MAX) {
        match wanted.peek() {
            None => break,
            Some(next) if *next == index => {
                wanted.next();
                let transaction = Transaction::read(&mut reader).map_err(|error| error.to_string())?;
                picked.push((index, transaction));
            }
            Some(_) => {
                let _passed = Outline::read(&mut reader).map_err(text)?;
            }
        }
    }
    Ok(picked)
}
