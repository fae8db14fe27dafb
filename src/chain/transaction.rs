//! Transactions: transfers, claims and rewards; their bytes, ids and signatures.
//!
//! Promises: each transaction has exactly one sequence of bytes. A signature covers the network's id and every byte
//! before it. A transaction that parses has a sender that may sign, and a recipient other than the sender.
//! Spec: `proto-notes/encoding.md`, "Transaction".

use strum::IntoStaticStr;
use thiserror::Error;

use super::history::AccountTag;
use super::params::TRANSACTION_MAX_BYTES;
use crate::types::hash::sha256;
use crate::types::layout::{LayoutError, Reader};
use crate::types::{Account, AccountName, Amount, Height, NetworkId, PublicKey, SecretKey, Signature, Txid};

const KIND_TRANSFER: u8 = 1;
const KIND_CLAIM: u8 = 2;
const KIND_REWARD: u8 = 3;
/// The prefix of every signed message, so that a signature cannot be used for another purpose.
pub const SIGN_DOMAIN: &[u8] = b"lanchain transaction 1\n";

/// Moves coins from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// The account that pays.
    pub from: Account,
    /// The account that is paid.
    pub to: Account,
    /// The recipient's owner when the sender signed; none if nobody owned it.
    pub to_owner: Option<PublicKey>,
    /// The coins that move.
    pub amount: Amount,
    /// The sender's running number, from 0, which orders its transactions and prevents replays.
    pub sequence: u64,
    /// The key that signs for the sender.
    pub public_key: PublicKey,
    /// The signature by `public_key`.
    pub signature: Signature,
}

/// Registers a name for the signing key. A claim always has sequence 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name to be registered.
    pub name: AccountName,
    /// The key that signs and becomes the owner.
    pub public_key: PublicKey,
    /// The signature by `public_key`.
    pub signature: Signature,
}

/// Pays the miner of a block. It has no signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reward {
    /// The account that the miner chose.
    pub to: Account,
    /// The height of the block, so that no two rewards have the same id.
    pub height: Height,
}

/// A transaction of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// A payment between two accounts.
    Transfer(Transfer),
    /// The registration of a name.
    Claim(Claim),
    /// The payment to the miner.
    Reward(Reward),
}

/// Why a transaction is invalid for every ledger.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum TransactionError {
    /// The bytes do not follow the layout of a transaction.
    #[error(transparent)]
    #[strum(transparent)]
    Layout(#[from] LayoutError),
    /// Sender and recipient are the same account.
    #[error("{0} cannot pay itself")]
    SelfTransfer(Account),
    /// Another key than its own tries to spend from a key account.
    #[error("the account of a key is spent by that key only")]
    WrongKey,
    /// The transfer names another owner for a key account than its key.
    #[error("the recipient is a key, and the named owner is not that key")]
    WrongRecipientOwner,
    /// The signature does not verify for this network, key and transaction.
    #[error("the signature is not valid for this network, key and transaction")]
    BadSignature,
}

impl Transaction {
    /// The transaction's canonical bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = self.unsigned_bytes();
        match self {
            Self::Transfer(Transfer { signature, .. }) | Self::Claim(Claim { signature, .. }) => {
                out.extend_from_slice(&signature.0);
            }
            Self::Reward(_) => {}
        }
        out
    }

    /// The canonical bytes up to the signature.
    fn unsigned_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        match self {
            Self::Transfer(transfer) => {
                out.push(KIND_TRANSFER);
                transfer.from.write(&mut out);
                transfer.to.write(&mut out);
                out.extend_from_slice(transfer.to_owner.as_ref().map_or(&[0; 32][..], |key| key.as_bytes()));
                out.extend_from_slice(&transfer.amount.get().to_be_bytes());
                out.extend_from_slice(&transfer.sequence.to_be_bytes());
                out.extend_from_slice(transfer.public_key.as_bytes());
            }
            Self::Claim(claim) => {
                out.push(KIND_CLAIM);
                claim.name.write(&mut out);
                out.extend_from_slice(claim.public_key.as_bytes());
            }
            Self::Reward(reward) => {
                out.push(KIND_REWARD);
                reward.to.write(&mut out);
                out.extend_from_slice(&reward.height.get().to_be_bytes());
            }
        }
        out
    }

    /// Reads exactly one transaction.
    ///
    /// # Errors
    /// [`TransactionError`] if the bytes are not one transaction exactly, or break a rule of form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TransactionError> {
        let mut reader = Reader::new(bytes);
        let transaction = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(transaction)
    }

    /// Reads a transaction from the front of the bytes. The signature is not checked here.
    ///
    /// # Errors
    /// [`TransactionError`] if the bytes are not a transaction, or break a rule of form.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, TransactionError> {
        let start = reader.rest().len();
        let transaction = match reader.u8()? {
            KIND_TRANSFER => Self::Transfer(Transfer {
                from: Account::read(reader)?,
                to: Account::read(reader)?,
                to_owner: read_optional_key(reader)?,
                amount: Amount::new(reader.u64()?).map_err(|error| LayoutError::BadField(error.to_string()))?,
                sequence: reader.u64()?,
                public_key: PublicKey::read(reader)?,
                signature: Signature(reader.array()?),
            }),
            KIND_CLAIM => Self::Claim(Claim {
                name: AccountName::read(reader)?,
                public_key: PublicKey::read(reader)?,
                signature: Signature(reader.array()?),
            }),
            KIND_REWARD => Self::Reward(Reward {
                to: Account::read(reader)?,
                height: Height::new(reader.u64()?),
            }),
            tag => return Err(LayoutError::UnknownTag(tag).into()),
        };
        let size = start - reader.rest().len();
        if size > TRANSACTION_MAX_BYTES {
            return Err(LayoutError::TooLong {
                size,
                limit: TRANSACTION_MAX_BYTES,
            }
            .into());
        }
        transaction.check_form()?;
        Ok(transaction)
    }

    /// Checks the rules that need neither ledger nor signature.
    fn check_form(&self) -> Result<(), TransactionError> {
        let Self::Transfer(transfer) = self else { return Ok(()) };
        if transfer.from == transfer.to {
            return Err(TransactionError::SelfTransfer(transfer.from.clone()));
        }
        match &transfer.from {
            Account::Key(key) if *key != transfer.public_key => return Err(TransactionError::WrongKey),
            Account::Key(_) | Account::Name(_) => {}
        }
        match &transfer.to {
            Account::Key(key) if transfer.to_owner != Some(*key) => Err(TransactionError::WrongRecipientOwner),
            Account::Key(_) | Account::Name(_) => Ok(()),
        }
    }

    /// The transaction's id: SHA-256(0x00 ‖ canonical bytes). It is also the leaf in the merkle tree.
    #[must_use]
    pub fn txid(&self) -> Txid {
        Self::txid_of(&self.to_bytes())
    }

    /// The id of the transaction with these canonical bytes.
    pub(super) fn txid_of(bytes: &[u8]) -> Txid {
        Txid::new(sha256(&[&[0], bytes]))
    }

    /// The message that is signed: the domain, the network's id, and the canonical bytes up to the signature.
    #[must_use]
    pub fn signed_message(&self, network: &NetworkId) -> Vec<u8> {
        [SIGN_DOMAIN, network.as_bytes(), &self.unsigned_bytes()].concat()
    }

    /// Key, message and signature, to be checked alone or in a batch; none for a reward.
    #[must_use]
    pub fn signature_item(&self, network: &NetworkId) -> Option<(PublicKey, Vec<u8>, Signature)> {
        match self {
            Self::Transfer(Transfer {
                public_key, signature, ..
            })
            | Self::Claim(Claim {
                public_key, signature, ..
            }) => Some((*public_key, self.signed_message(network), *signature)),
            Self::Reward(_) => None,
        }
    }

    /// Checks the signature; a reward has none and passes.
    ///
    /// # Errors
    /// [`TransactionError::BadSignature`] if it does not verify.
    pub fn check_signature(&self, network: &NetworkId) -> Result<(), TransactionError> {
        match self.signature_item(network) {
            Some((key, message, signature)) if !key.verify(&message, &signature) => Err(TransactionError::BadSignature),
            Some(_) | None => Ok(()),
        }
    }

    /// The name that a transfer pays, if the sender signed for a name that nobody owned.
    #[must_use]
    pub const fn free_payee(&self) -> Option<&AccountName> {
        match self {
            Self::Transfer(Transfer {
                to: Account::Name(name),
                to_owner: None,
                ..
            }) => Some(name),
            Self::Transfer(_) | Self::Claim(_) | Self::Reward(_) => None,
        }
    }

    /// Makes and signs a transfer.
    ///
    /// # Errors
    /// [`TransactionError`] if it breaks a rule of form.
    pub fn transfer(
        network: &NetworkId,
        key: &SecretKey,
        (from, to, to_owner): (Account, Account, Option<PublicKey>),
        amount: Amount,
        sequence: u64,
    ) -> Result<Self, TransactionError> {
        let public_key = key.public();
        let signature = Signature([0; 64]);
        let unsigned = Self::Transfer(Transfer {
            from,
            to,
            to_owner,
            amount,
            sequence,
            public_key,
            signature,
        });
        unsigned.check_form()?;
        Ok(unsigned.signed(network, key))
    }

    /// Makes and signs a claim.
    #[must_use]
    pub fn claim(network: &NetworkId, key: &SecretKey, name: AccountName) -> Self {
        Self::Claim(Claim {
            name,
            public_key: key.public(),
            signature: Signature([0; 64]),
        })
        .signed(network, key)
    }

    fn signed(mut self, network: &NetworkId, key: &SecretKey) -> Self {
        let made = key.sign(&self.signed_message(network));
        match &mut self {
            Self::Transfer(Transfer { signature, .. }) | Self::Claim(Claim { signature, .. }) => *signature = made,
            Self::Reward(_) => {}
        }
        self
    }

    /// The account whose sequence this transaction uses, and the sequence; none for a reward.
    #[must_use]
    pub fn sequence(&self) -> Option<(Account, u64)> {
        match self {
            Self::Transfer(transfer) => Some((transfer.from.clone(), transfer.sequence)),
            Self::Claim(claim) => Some((Account::Name(claim.name.clone()), 0)),
            Self::Reward(_) => None,
        }
    }

    /// The accounts whose ledger entries this transaction changes.
    pub fn accounts(&self) -> impl Iterator<Item = Account> + use<> {
        let (first, second) = match self {
            Self::Transfer(transfer) => (transfer.from.clone(), Some(transfer.to.clone())),
            Self::Claim(claim) => (Account::Name(claim.name.clone()), None),
            Self::Reward(reward) => (reward.to.clone(), None),
        };
        core::iter::once(first).chain(second)
    }

    /// The key that signed; none for a reward.
    #[must_use]
    pub const fn signer(&self) -> Option<PublicKey> {
        match self {
            Self::Transfer(Transfer { public_key, .. }) | Self::Claim(Claim { public_key, .. }) => Some(*public_key),
            Self::Reward(_) => None,
        }
    }
}

/// A transaction without its costly parts: the accounts that it concerns, as tags, from bytes that were checked before.
pub(super) struct Outline {
    from: Option<AccountTag>,
    to: Option<AccountTag>,
    /// The key that signs for its first name.
    names_of: Option<AccountTag>,
}

impl Outline {
    /// Passes over one transaction. Keys and rules of form are not checked.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, LayoutError> {
        match reader.u8()? {
            KIND_TRANSFER => {
                let (from, is_name) = account_tag(reader)?;
                let (to, _) = account_tag(reader)?;
                reader.bytes(32 + 8)?;
                let is_first = reader.u64()? == 0;
                let key = reader.array()?;
                reader.bytes(64)?;
                Ok(Self {
                    from: Some(from),
                    to: Some(to),
                    names_of: (is_name && is_first).then(|| AccountTag::names(&key)),
                })
            }
            KIND_CLAIM => {
                let size = usize::from(reader.u8()?);
                let from = AccountTag::name(reader.bytes(size)?);
                let key = reader.array()?;
                reader.bytes(64)?;
                Ok(Self {
                    from: Some(from),
                    to: None,
                    names_of: Some(AccountTag::names(&key)),
                })
            }
            KIND_REWARD => {
                let (to, _) = account_tag(reader)?;
                reader.bytes(8)?;
                Ok(Self {
                    from: None,
                    to: Some(to),
                    names_of: None,
                })
            }
            tag => Err(LayoutError::UnknownTag(tag)),
        }
    }

    /// The tags under which the transaction stands in the index of histories.
    pub(super) fn tags(self) -> impl Iterator<Item = AccountTag> {
        [self.from, self.to, self.names_of].into_iter().flatten()
    }
}

/// Reads an account as its tag, and whether it is a name.
fn account_tag(reader: &mut Reader<'_>) -> Result<(AccountTag, bool), LayoutError> {
    match reader.u8()? {
        Account::TAG_NAME => {
            let size = usize::from(reader.u8()?);
            Ok((AccountTag::name(reader.bytes(size)?), true))
        }
        Account::TAG_KEY => Ok((AccountTag::key(&reader.array()?), false)),
        tag => Err(LayoutError::UnknownTag(tag)),
    }
}

fn read_optional_key(reader: &mut Reader<'_>) -> Result<Option<PublicKey>, LayoutError> {
    if reader.rest().starts_with(&[0; 32]) {
        reader.bytes(32)?;
        return Ok(None);
    }
    PublicKey::read(reader).map(Some)
}
