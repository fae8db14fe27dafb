//! Transactions, signatures and the merkle tree, once more from `proto-notes/encoding.md` alone.

use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest, Sha256};

use super::Hash;

/// The largest block that has a layout.
const BLOCK_BYTES_MAX: usize = 1 << 20;
/// Before the transactions of a block.
const HEADER_BYTES: usize = 96;

/// `y` of the points of small order, canonical or not, without the bit of the sign.
const SMALL_ORDER: [&str; 7] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];

/// Whether the bytes are a key by the list of small points instead of by arithmetic.
pub fn is_key(bytes: &[u8]) -> bool {
    let Ok(mut bytes) = <[u8; 32]>::try_from(bytes) else {
        return false;
    };
    let on_curve = CompressedEdwardsY(bytes).decompress().is_some();
    bytes[31] &= 0x7f;
    on_curve && !SMALL_ORDER.contains(&hex::encode(bytes).as_str())
}

/// Whether the text is an account's name.
pub fn is_name(text: &[u8]) -> bool {
    let letters = b"abcdefghijklmnopqrstuvwxyz";
    let others = b"abcdefghijklmnopqrstuvwxyz0123456789_-";
    (1..=32).contains(&text.len())
        && letters.contains(&text[0])
        && text.iter().all(|byte| others.contains(byte))
        && text != b"me"
        && text != b"coinbase"
}

pub fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// A transaction; accounts by their encoding, `raw` all its bytes.
#[derive(Clone, Debug)]
pub enum Tx {
    Transfer {
        raw: Vec<u8>,
        from: Vec<u8>,
        to: Vec<u8>,
        to_owner: Option<Hash>,
        amount: u64,
        sequence: u64,
        key: Hash,
    },
    Claim {
        raw: Vec<u8>,
        name: Vec<u8>,
        key: Hash,
    },
    Reward {
        raw: Vec<u8>,
        to: Vec<u8>,
        height: u64,
    },
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (head, tail) = self.0.split_at_checked(count).ok_or("it ends early")?;
        self.0 = tail;
        Ok(head)
    }

    fn number(&mut self) -> Result<u64, String> {
        Ok(self.take(8)?.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)))
    }

    fn hash(&mut self) -> Result<Hash, String> {
        Ok(self.take(32)?.try_into().expect("32 bytes"))
    }

    fn key(&mut self) -> Result<Hash, String> {
        let bytes = self.hash()?;
        if is_key(&bytes) {
            Ok(bytes)
        } else {
            Err("no key".into())
        }
    }

    fn name(&mut self) -> Result<Vec<u8>, String> {
        let count = self.take(1)?[0];
        let text = self.take(count.into())?;
        if is_name(text) {
            Ok([&[1, count], text].concat())
        } else {
            Err("no name".into())
        }
    }

    fn account(&mut self) -> Result<Vec<u8>, String> {
        match self.take(1)? {
            [1] => self.name(),
            [2] => Ok([&[2], &self.key()?[..]].concat()),
            _ => Err("no account".into()),
        }
    }
}

/// How many bytes of the front are an account; none if they are no account.
pub fn account_size(bytes: &[u8]) -> Option<usize> {
    Some(Bytes(bytes).account().ok()?.len())
}

/// The transaction at the front.
pub fn first_transaction(bytes: &[u8]) -> Result<Tx, String> {
    parse(&mut Bytes(bytes))
}

/// The transactions of a block.
pub fn parse_block(bytes: &[u8]) -> Result<Vec<Tx>, String> {
    match bytes.get(HEADER_BYTES..) {
        Some(list) if bytes.len() <= BLOCK_BYTES_MAX => parse_transactions(list),
        _ => Err("size".into()),
    }
}

/// The transactions behind a header, with their count before them.
fn parse_transactions(bytes: &[u8]) -> Result<Vec<Tx>, String> {
    let mut bytes = Bytes(bytes);
    let count = bytes
        .take(4)?
        .iter()
        .fold(0_usize, |sum, byte| (sum << 8) | usize::from(*byte));
    if count > 4_096 {
        return Err("too many transactions".into());
    }
    let list = (0..count).map(|_| parse(&mut bytes)).collect::<Result<_, _>>()?;
    if bytes.0.is_empty() {
        Ok(list)
    } else {
        Err("bytes left over".into())
    }
}

fn parse(bytes: &mut Bytes<'_>) -> Result<Tx, String> {
    let start = bytes.0;
    let mut tx = match bytes.take(1)? {
        [1] => {
            let (from, to) = (bytes.account()?, bytes.account()?);
            let to_owner = if bytes.0.starts_with(&[0; 32]) {
                bytes.take(32)?;
                None
            } else {
                Some(bytes.key()?)
            };
            let (amount, sequence) = (bytes.number()?, bytes.number()?);
            let key = bytes.key()?;
            if amount == 0 || amount >= 1 << 53 || from == to {
                return Err("amount or accounts".into());
            }
            if from[0] == 2 && from[1..] != key || to[0] == 2 && Some(&to[1..]) != to_owner.as_ref().map(|key| &key[..])
            {
                return Err("the key of an account".into());
            }
            bytes.take(64)?;
            Tx::Transfer {
                raw: Vec::new(),
                from,
                to,
                to_owner,
                amount,
                sequence,
                key,
            }
        }
        [2] => {
            let (name, key) = (bytes.name()?, bytes.key()?);
            bytes.take(64)?;
            let raw = Vec::new();
            Tx::Claim { raw, name, key }
        }
        [3] => {
            let (to, height) = (bytes.account()?, bytes.number()?);
            let raw = Vec::new();
            Tx::Reward { raw, to, height }
        }
        _ => return Err("no transaction".into()),
    };
    let used = start.len() - bytes.0.len();
    let (Tx::Transfer { raw, .. } | Tx::Claim { raw, .. } | Tx::Reward { raw, .. }) = &mut tx;
    *raw = start[..used].to_vec();
    if used > 512 { Err("too long".into()) } else { Ok(tx) }
}

impl Tx {
    /// All its bytes.
    pub fn raw(&self) -> &[u8] {
        let (Self::Transfer { raw, .. } | Self::Claim { raw, .. } | Self::Reward { raw, .. }) = self;
        raw
    }

    pub fn txid(&self) -> Hash {
        sha256(&[&[0], self.raw()])
    }

    /// Whether its signature is valid; a reward has none.
    pub fn is_signed(&self, network: &Hash) -> bool {
        let (raw, key) = match self {
            Self::Transfer { raw, key, .. } | Self::Claim { raw, key, .. } => (raw, key),
            Self::Reward { .. } => return true,
        };
        let (unsigned, signature) = raw.split_at(raw.len() - 64);
        let message = [&b"lanchain transaction 1\n"[..], network, unsigned].concat();
        let signature: [u8; 64] = signature.try_into().expect("64 bytes");
        let signature = ed25519_zebra::Signature::from(signature);
        ed25519_zebra::VerificationKey::try_from(*key).is_ok_and(|key| key.verify(&signature, &message).is_ok())
    }
}

/// The root, level by level: complete subtrees are joined as soon as they have a twin, the rest from the right.
pub fn merkle_root(leaves: &[Hash]) -> Hash {
    let join = |left: &Hash, right: &Hash| sha256(&[&[1], left, right]);
    let mut stack: Vec<(u32, Hash)> = Vec::new();
    for leaf in leaves {
        let mut top = (0, *leaf);
        while stack.last().is_some_and(|(level, _)| *level == top.0) {
            let (level, left) = stack.pop().expect("there is a last one");
            top = (level + 1, join(&left, &top.1));
        }
        stack.push(top);
    }
    let mut hashes = stack.into_iter().map(|(_, hash)| hash).rev();
    match hashes.next() {
        None => [0; 32],
        Some(last) => hashes.fold(last, |right, left| join(&left, &right)),
    }
}
