//! Explains how a block and a transaction are made: the meaning of each byte, what is hashed, what is signed, and the
//! path from a transaction to the merkle root that proof of work covers.
//!
//! Promises: pure; the parts of a layout are in order and cover each of its bytes; each reported hash was computed here
//! from the parts beside it.
//! Elsewhere: reading blocks (`inspect::blocks`), drawing this (`console::draw`).
//! Spec: `proto-notes/encoding.md`, `proto-notes/consensus.md`.

use crate::chain::merkle::{self, ProofStep, Side};
use crate::chain::transaction::SIGN_DOMAIN;
use crate::chain::{Block, Header, NetworkParams, Transaction};
use crate::contract::{BlockExplained, Inclusion, LayoutPart, PathStep, TxExplained, TxStatus};
use crate::types::time::utc;
use crate::types::{Account, MerkleRoot, NetworkId, Txid, Work, count};

/// Cuts bytes into named parts, from front to back.
struct Cutter<'a> {
    rest: &'a [u8],
    at: usize,
    parts: Vec<LayoutPart>,
}

impl<'a> Cutter<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self {
            rest: bytes,
            at: 0,
            parts: Vec::new(),
        }
    }

    fn cut(&mut self, name: &'static str, length: usize, value: impl Into<String>) {
        let (part, rest) = self.rest.split_at(length.min(self.rest.len()));
        self.parts.push(LayoutPart {
            name,
            offset: count(self.at),
            length: count(part.len()),
            hex: hex::encode(part),
            value: value.into(),
        });
        self.rest = rest;
        self.at += part.len();
    }

    fn account(&mut self, name: &'static str, account: &Account) {
        let mut bytes = Vec::new();
        account.write(&mut bytes);
        let value = match account {
            Account::Name(text) => format!("tag 1, length {}, {text}", text.as_str().len()),
            Account::Key(key) => format!("tag 2, key of {}", key.peer_id()),
        };
        self.cut(name, bytes.len(), value);
    }

    /// Cuts the canonical bytes up to the signature.
    fn unsigned(&mut self, transaction: &Transaction) {
        match transaction {
            Transaction::Transfer(transfer) => {
                self.cut("kind", 1, "1: transfer");
                self.account("from", &transfer.from);
                self.account("to", &transfer.to);
                let owner = transfer.to_owner.map_or_else(
                    || "zero: nobody owned the recipient".to_owned(),
                    |key| key.peer_id().to_string(),
                );
                self.cut("to_owner", 32, owner);
                self.cut("amount", 8, transfer.amount.to_string());
                self.cut("sequence", 8, transfer.sequence.to_string());
                self.cut("public_key", 32, transfer.public_key.peer_id().to_string());
            }
            Transaction::Claim(claim) => {
                self.cut("kind", 1, "2: claim");
                let length = claim.name.as_str().len();
                self.cut("name", length + 1, format!("length {length}, {}", claim.name));
                self.cut("public_key", 32, claim.public_key.peer_id().to_string());
            }
            Transaction::Reward(reward) => {
                self.cut("kind", 1, "3: reward");
                self.account("to", &reward.to);
                self.cut("height", 8, reward.height.to_string());
            }
        }
    }
}

/// The parts of a header's 96 bytes.
#[must_use]
pub fn header_parts(header: &Header) -> Vec<LayoutPart> {
    let bytes = header.to_bytes();
    let mut cutter = Cutter::new(&bytes);
    cutter.cut("previous_hash", 32, header.previous.to_string());
    cutter.cut("merkle_root", 32, header.merkle_root.to_string());
    cutter.cut("version", 4, header.version.to_string());
    cutter.cut("bits", 4, header.bits.0.to_string());
    cutter.cut("height", 8, header.height.to_string());
    cutter.cut("time", 8, utc(header.time));
    cutter.cut("nonce", 8, header.nonce.to_string());
    cutter.parts
}

/// The parts of a transaction's canonical bytes.
#[must_use]
pub fn raw_parts(transaction: &Transaction) -> Vec<LayoutPart> {
    let bytes = transaction.to_bytes();
    let mut cutter = Cutter::new(&bytes);
    cutter.unsigned(transaction);
    if !cutter.rest.is_empty() {
        cutter.cut("signature", 64, "Ed25519");
    }
    cutter.parts
}

/// The parts of the message that a transaction's signature covers; empty for a reward.
#[must_use]
pub fn signed_parts(transaction: &Transaction, network: &NetworkId) -> Vec<LayoutPart> {
    if transaction.signer().is_none() {
        return Vec::new();
    }
    let bytes = transaction.signed_message(network);
    let mut cutter = Cutter::new(&bytes);
    cutter.cut("domain", SIGN_DOMAIN.len(), "\"lanchain transaction 1\" and LF");
    cutter.cut("network_id", 32, "the hash of the network's genesis block");
    cutter.unsigned(transaction);
    cutter.parts
}

/// The steps from a leaf to the root, each with its computed hash.
#[must_use]
pub fn path_steps(leaf: Txid, proof: &[ProofStep]) -> Vec<PathStep> {
    let mut hash = MerkleRoot::new(*leaf.as_bytes());
    proof
        .iter()
        .map(|step| {
            let (left, right) = match step.side {
                Side::Left => (step.hash, hash),
                Side::Right => (hash, step.hash),
            };
            hash = merkle::node(&left, &right);
            PathStep {
                side: step.side,
                left,
                right,
                hash,
            }
        })
        .collect()
}

/// The position of the transaction at `index`, with its proof; none if the block has no transaction there.
#[must_use]
pub fn inclusion(block: &Block, index: usize) -> Option<Inclusion> {
    let txids = block.txids();
    let leaf = *txids.get(index)?;
    let path = path_steps(leaf, &merkle::proof(&txids, index)?);
    let root = path
        .last()
        .map_or_else(|| MerkleRoot::new(*leaf.as_bytes()), |step| step.hash);
    Some(Inclusion {
        block_hash: block.hash(),
        height: block.header.height,
        index: count(index),
        transactions: count(txids.len()),
        path,
        root,
        merkle_root: block.header.merkle_root,
    })
}

/// The reply of `explain transaction`; `inclusion` is its position in a block, if it has one.
#[must_use]
pub fn transaction(
    transaction: &Transaction,
    network: &NetworkId,
    status: TxStatus,
    inclusion: Option<Inclusion>,
) -> TxExplained {
    let item = transaction.signature_item(network);
    TxExplained {
        txid: transaction.txid(),
        kind: super::transactions::kind(transaction),
        status,
        raw: hex::encode(transaction.to_bytes()),
        parts: raw_parts(transaction),
        signed: item.as_ref().map(|(_, message, _)| hex::encode(message)),
        signed_parts: signed_parts(transaction, network),
        public_key: item.as_ref().map(|(key, ..)| key.to_string()),
        signature: item.as_ref().map(|(.., signature)| signature.to_string()),
        signature_valid: item
            .as_ref()
            .map(|(key, message, signature)| key.verify(message, signature)),
        inclusion,
    }
}

/// The reply of `explain block`. `parent` is none for genesis; `work` is the work of the branch up to the block.
#[must_use]
pub fn block(
    params: &NetworkParams,
    header: &Header,
    parent: Option<&Header>,
    (work, active, transactions): (Work, bool, usize),
) -> BlockExplained {
    let hash = header.hash();
    let target = header.bits.target(params.halflife_ms).map(|target| *target.as_bytes());
    let target = target.unwrap_or_default();
    BlockExplained {
        hash,
        height: header.height,
        active,
        header: hex::encode(header.to_bytes()),
        parts: header_parts(header),
        target: hex::encode(target),
        hash_zero_bits: zero_bits(hash.as_bytes()),
        target_zero_bits: zero_bits(&one_less(target)),
        share_of_target_ppm: parent.map(|_| share_ppm(hash.as_bytes(), &target)),
        expected_attempts: header.bits.work(params.halflife_ms).map_or(u64::MAX, low_part),
        parent_time_ms: parent.map(|parent| parent.time),
        parent_bits: parent.map(|parent| parent.bits.0),
        adds_work: parent.map_or(Work::ZERO, |parent| Header::weight(parent, params)),
        work,
        transactions: count(transactions),
    }
}

/// The number of leading zero bits.
fn zero_bits(bytes: &[u8; 32]) -> u32 {
    let mut bits = 0;
    for byte in bytes {
        bits += byte.leading_zeros();
        if *byte != 0 {
            break;
        }
    }
    bits
}

/// The largest number below a target: the target minus one.
fn one_less(mut target: [u8; 32]) -> [u8; 32] {
    for byte in target.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            break;
        }
    }
    target
}

/// A hash as a share of a target, in millionths.
fn share_ppm(hash: &[u8; 32], target: &[u8; 32]) -> u64 {
    let first = target.iter().position(|byte| *byte != 0).unwrap_or(0).min(24);
    let read = |bytes: &[u8; 32]| {
        bytes[first..first + 8]
            .iter()
            .fold(0_u128, |sum, byte| sum << 8 | u128::from(*byte))
    };
    if hash[..first].iter().any(|byte| *byte != 0) {
        return u64::MAX;
    }
    let share = read(hash) * 1_000_000 / read(target).max(1);
    u64::try_from(share).unwrap_or(u64::MAX)
}

/// Work as a 64-bit number; the largest one if it does not fit.
pub(super) fn low_part(work: Work) -> u64 {
    let bytes = work.to_be_bytes();
    let (high, low) = bytes.split_at(24);
    if high.iter().any(|byte| *byte != 0) {
        return u64::MAX;
    }
    low.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
