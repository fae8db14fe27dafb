//! A second implementation of the rules of headers, blocks and branches, slow and plain, written from
//! `proto-notes/consensus.md` alone; layouts and ledger are `testing::twin`.
//!
//! Promises: says of every block that was seen anywhere whether it is valid and what ledger it leads to.

use std::collections::{BTreeMap, BTreeSet};

use lanchain::testing::twin::Hash;
use lanchain::testing::twin::layout::{Tx, merkle_root, parse_block, sha256};
use lanchain::testing::twin::ledger::{self, Ledger};

/// What the notes call the parameters of a network.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) spacing_ms: u64,
    pub(crate) halflife_ms: u64,
    pub(crate) adjusting: bool,
    pub(crate) block_bytes_max: usize,
    pub(crate) ledger: ledger::Rules,
    pub(crate) genesis: [u8; 96],
}

#[derive(Clone, Debug)]
pub(crate) struct Valid {
    pub(crate) header: Header,
    pub(crate) work: u128,
    pub(crate) ledger: Ledger,
    pub(crate) txids: Vec<Hash>,
}

#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) previous: Hash,
    root: Hash,
    version: u32,
    pub(crate) bits: u32,
    pub(crate) height: u64,
    pub(crate) time: u64,
}

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

impl Header {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let hash = |from: usize| <Hash>::try_from(&bytes[from..from + 32]).expect("32 bytes");
        let narrow = |from: usize| u32::try_from(number(&bytes[from..from + 4])).expect("four bytes");
        Self {
            previous: hash(0),
            root: hash(32),
            version: narrow(64),
            bits: narrow(68),
            height: number(&bytes[72..80]),
            time: number(&bytes[80..88]),
        }
    }
}

/// `q` and `m` of the limit `m * 2^(239 - q)`.
fn parts(bits: u64, halflife: u64) -> Option<(u32, u128)> {
    if bits < 16 * halflife || bits > 239 * halflife {
        return None;
    }
    let (q, r) = (bits / halflife, bits % halflife);
    let f = u128::from((halflife - r) * 65_536 / halflife);
    let m = if f == 65_536 {
        131_072
    } else {
        65_536 + ((195_766_423_245_049 * f + 971_821_376 * f * f + 5_127 * f * f * f + (1 << 47)) >> 48)
    };
    Some((u32::try_from(q).ok()?, m))
}

/// Whether a hash, a big-endian number, is below the limit: bit by bit.
fn meets(hash: &Hash, bits: u64, halflife: u64) -> bool {
    let Some((q, m)) = parts(bits, halflife) else {
        return false;
    };
    let shift = 239 - q;
    let limit_bit = |bit: u32| bit >= shift && bit - shift < 128 && (m >> (bit - shift)) & 1 == 1;
    let hash_bit = |bit: u32| {
        let byte = hash[31 - usize::try_from(bit / 8).expect("below 32")];
        (byte >> (bit % 8)) & 1 == 1
    };
    for bit in (0..256).rev() {
        match (hash_bit(bit), limit_bit(bit)) {
            (false, true) => return true,
            (true, false) => return false,
            _ => {}
        }
    }
    false
}

/// Expected hashes; simulated difficulties stay far below 2^110.
fn work(bits: u64, halflife: u64) -> u128 {
    let (q, m) = parts(bits, halflife).expect("the bits of a valid block");
    (1_u128 << (17 + q)) / m
}

/// All blocks that were seen, judged.
pub(crate) struct Reference {
    rules: Rules,
    pub(crate) network: Hash,
    pub(crate) valid: BTreeMap<Hash, Valid>,
    /// Why none of the bytes with this hash is a valid block.
    pub(crate) invalid: BTreeMap<Hash, String>,
}

impl Reference {
    /// Judges blocks, in whatever order they come.
    pub(crate) fn of<'a>(rules: Rules, blocks: impl Iterator<Item = &'a [u8]>) -> Self {
        let network = sha256(&[&rules.genesis]);
        let genesis = Valid {
            header: Header::read(&rules.genesis),
            work: 0,
            ledger: Ledger::default(),
            txids: Vec::new(),
        };
        let mut reference = Self {
            rules,
            network,
            valid: BTreeMap::from([(network, genesis)]),
            invalid: BTreeMap::new(),
        };
        let mut waiting: Vec<&[u8]> = blocks.collect();
        loop {
            let before = waiting.len();
            waiting.retain(|bytes| !reference.judge(bytes));
            if waiting.is_empty() || waiting.len() == before {
                break;
            }
        }
        for bytes in waiting {
            let hash = sha256(&[&bytes[..96.min(bytes.len())]]);
            reference
                .invalid
                .entry(hash)
                .or_insert_with(|| "stands on nothing valid".into());
        }
        reference
    }

    /// Judges one block; false if its parent is not known to be valid yet.
    fn judge(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() < 100 {
            return true;
        }
        let hash = sha256(&[&bytes[..96]]);
        if self.valid.contains_key(&hash) {
            return true;
        }
        let header = Header::read(bytes);
        let Some(parent) = self.valid.get(&header.previous) else {
            return false;
        };
        match self.check(&hash, &header, parent, bytes) {
            Ok(valid) => {
                self.valid.insert(hash, valid);
                self.invalid.remove(&hash);
            }
            Err(reason) => {
                self.invalid.insert(hash, reason);
            }
        }
        true
    }

    fn check(&self, hash: &Hash, header: &Header, parent: &Valid, bytes: &[u8]) -> Result<Valid, String> {
        let above = &parent.header;
        let halflife = self.rules.halflife_ms;
        if header.version != 1 {
            return Err("version".into());
        }
        if header.height != above.height + 1 {
            return Err("height".into());
        }
        if header.time < above.time {
            return Err("time".into());
        }
        let floor = 16 * halflife;
        let bits = if self.rules.adjusting {
            (u64::from(above.bits) + self.rules.spacing_ms)
                .saturating_sub(header.time - above.time)
                .max(floor)
        } else {
            floor
        };
        if u64::from(header.bits) != bits {
            return Err(format!("bits {} instead of {bits}", header.bits));
        }
        if !meets(hash, bits, halflife) {
            return Err("proof of work".into());
        }
        let list = parse_block(bytes)?;
        let txids: Vec<Hash> = list.iter().map(Tx::txid).collect();
        if merkle_root(&txids) != header.root {
            return Err("merkle root".into());
        }
        if bytes.len() > self.rules.block_bytes_max {
            return Err("more bytes than the network allows".into());
        }
        let is_reward = |tx: &Tx| matches!(tx, Tx::Reward { .. });
        match list.split_first() {
            Some((Tx::Reward { height, .. }, rest)) if *height == header.height && !rest.iter().any(is_reward) => {}
            _ => return Err("reward".into()),
        }
        if let Some(index) = list.iter().position(|tx| !tx.is_signed(&self.network)) {
            return Err(format!("signature of transaction {index}"));
        }
        let mut ledger = parent.ledger.clone();
        ledger.next_block();
        for (index, tx) in list.iter().enumerate() {
            let applied = ledger.apply(&self.rules.ledger, tx);
            applied.map_err(|reason| format!("transaction {index}: {reason}"))?;
        }
        Ok(Valid {
            header: header.clone(),
            work: parent.work + work(u64::from(above.bits), halflife),
            ledger,
            txids,
        })
    }

    /// The blocks from the one above genesis to this one.
    pub(crate) fn branch(&self, tip: &Hash) -> Option<Vec<Hash>> {
        let mut list = Vec::new();
        let mut at = *tip;
        while at != self.network {
            list.push(at);
            at = self.valid.get(&at)?.header.previous;
        }
        list.reverse();
        Some(list)
    }

    /// The valid block with the most work among these, the smaller hash at equal work.
    pub(crate) fn best<'a>(&self, of: impl Iterator<Item = &'a Hash>) -> Option<Hash> {
        of.filter_map(|hash| Some((self.valid.get(hash)?.work, *hash)))
            .max_by(|(work, hash), (other, than)| work.cmp(other).then(than.cmp(hash)))
            .map(|(_, hash)| hash)
    }

    /// No transaction stands twice in the branch.
    pub(crate) fn confirmed_twice(&self, tip: &Hash) -> Option<Hash> {
        let mut seen = BTreeSet::new();
        let all = self
            .branch(tip)?
            .into_iter()
            .flat_map(|hash| self.valid[&hash].txids.clone());
        all.into_iter().find(|txid| !seen.insert(*txid))
    }
}
