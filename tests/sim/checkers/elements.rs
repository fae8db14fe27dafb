//! The parts of the second implementation: transactions, signatures, merkle tree. From `proto-notes/encoding.md` alone.

use curve25519_dalek::edwards::CompressedEdwardsY;
use sha2::{Digest, Sha256};

use super::reference::Hash;

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut hasher = Sha256::new();
    parts.iter().for_each(|part| hasher.update(part));
    hasher.finalize().into()
}

/// A transaction; accounts by their encoding, `raw` all its bytes.
#[derive(Clone, Debug)]
pub(crate) enum Tx {
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
        match CompressedEdwardsY(bytes).decompress() {
            Some(point) if !point.is_small_order() => Ok(bytes),
            Some(_) => Err("a key of small order".into()),
            None => Err("a key that is no point".into()),
        }
    }

    fn name(&mut self) -> Result<Vec<u8>, String> {
        let count = usize::from(self.take(1)?[0]);
        let text = self.take(count)?;
        let first = text.first().is_some_and(u8::is_ascii_lowercase);
        let rest = text
            .iter()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_' || *byte == b'-');
        if !first || !rest || count > 32 || text == b"me" || text == b"coinbase" {
            return Err("no name".into());
        }
        Ok([&[1, u8::try_from(count).expect("at most 32")], text].concat())
    }

    fn account(&mut self) -> Result<Vec<u8>, String> {
        match self.take(1)? {
            [1] => self.name(),
            [2] => Ok([&[2], &self.key()?[..]].concat()),
            _ => Err("no account".into()),
        }
    }
}

/// The transactions behind a header, with their count before them.
pub(crate) fn parse_transactions(bytes: &[u8]) -> Result<Vec<Tx>, String> {
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
    pub(crate) fn txid(&self) -> Hash {
        let (Self::Transfer { raw, .. } | Self::Claim { raw, .. } | Self::Reward { raw, .. }) = self;
        sha256(&[&[0], raw])
    }

    /// Whether its signature is valid; a reward has none.
    pub(crate) fn is_signed(&self, network: &Hash) -> bool {
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
pub(crate) fn merkle_root(leaves: &[Hash]) -> Hash {
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
