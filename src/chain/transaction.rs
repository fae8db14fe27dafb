//! Transactions: transfers, claims and rewards; their bytes, ids and signatures.
//!
//! Promises: one sequence of bytes per transaction; what is signed names the network and covers every byte before the
//! signature; what parses has a sender that may sign and a recipient that is not the sender.
//! Spec: `proto-notes/encoding.md`, "Transaction".

use strum::IntoStaticStr;
use thiserror::Error;

use super::params::TRANSACTION_MAX_BYTES;
use crate::types::hash::sha256;
use crate::types::layout::{LayoutError, Reader};
use crate::types::{Account, AccountName, Amount, Height, NetworkId, PublicKey, SecretKey, Signature, Txid};

const KIND_TRANSFER: u8 = 1;
const KIND_CLAIM: u8 = 2;
const KIND_REWARD: u8 = 3;
/// Stands before what is signed, so that no signature fits another purpose.
pub const SIGN_DOMAIN: &[u8] = b"lanchain transaction 1\n";

/// Moves coins from an account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Who pays.
    pub from: Account,
    /// Who is paid.
    pub to: Account,
    /// Who owned the recipient when the sender signed; none if nobody did.
    pub to_owner: Option<PublicKey>,
    /// How much.
    pub amount: Amount,
    /// The sender's running number, from 0.
    pub sequence: u64,
    /// The key that signs.
    pub public_key: PublicKey,
    /// Its signature.
    pub signature: Signature,
}

/// Registers a name for the signing key. Its sequence is 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The name.
    pub name: AccountName,
    /// The key that signs and will own it.
    pub public_key: PublicKey,
    /// Its signature.
    pub signature: Signature,
}

/// The network's reward for who found the block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reward {
    /// Who is rewarded.
    pub to: Account,
    /// The block's height, so that no two rewards have one id.
    pub height: Height,
}

/// A transaction of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transaction {
    /// Moves coins.
    Transfer(Transfer),
    /// Registers a name.
    Claim(Claim),
    /// Pays the miner.
    Reward(Reward),
}

/// Why a transaction is refused whatever the ledger says.
#[derive(Clone, Debug, PartialEq, Eq, Error, IntoStaticStr)]
#[cfg_attr(test, derive(strum::VariantNames))]
#[strum(serialize_all = "snake_case")]
pub enum TransactionError {
    /// The bytes follow no layout.
    #[error(transparent)]
    #[strum(transparent)]
    Layout(#[from] LayoutError),
    /// Sender and recipient are the same account.
    #[error("{0} cannot pay itself")]
    SelfTransfer(Account),
    /// A key account is spent with another key.
    #[error("the account of a key is spent by that key only")]
    WrongKey,
    /// A key account is always owned by its key.
    #[error("the recipient is a key, and the named owner is not that key")]
    WrongRecipientOwner,
    /// The signature does not fit.
    #[error("the signature is not valid for this network, key and transaction")]
    BadSignature,
}

impl Transaction {
    /// The canonical bytes.
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
    /// [`TransactionError`] if the bytes are no transaction, too many, or break a rule of form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TransactionError> {
        let mut reader = Reader::new(bytes);
        let transaction = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(transaction)
    }

    /// Reads a transaction from the front of the bytes. The signature is not checked here.
    ///
    /// # Errors
    /// [`TransactionError`] if the bytes are no transaction, or break a rule of form.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, TransactionError> {
        let start = reader.rest().len();
        let transaction = match reader.u8()? {
            KIND_TRANSFER => Self::Transfer(Transfer {
                from: Account::read(reader)?,
                to: Account::read(reader)?,
                to_owner: read_optional_key(reader)?,
                amount: Amount::new(reader.u64()?).map_err(|error| LayoutError::BadField(error.to_string()))?,
                sequence: reader.u64()?,
                public_key: read_key(reader)?,
                signature: Signature(reader.array()?),
            }),
            KIND_CLAIM => Self::Claim(Claim {
                name: AccountName::read(reader)?,
                public_key: read_key(reader)?,
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

    /// The rules that need neither ledger nor signature.
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

    /// The id: SHA-256(0x00 ‖ canonical bytes); also the merkle leaf.
    #[must_use]
    pub fn txid(&self) -> Txid {
        Txid::new(sha256(&[&[0], &self.to_bytes()]))
    }

    /// What is signed: the domain, the network's id, the canonical bytes up to the signature.
    #[must_use]
    pub fn signed_message(&self, network: &NetworkId) -> Vec<u8> {
        [SIGN_DOMAIN, network.as_bytes(), &self.unsigned_bytes()].concat()
    }

    /// Key, message and signature, for a check alone or in a batch; none for a reward.
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
    /// [`TransactionError::BadSignature`].
    pub fn check_signature(&self, network: &NetworkId) -> Result<(), TransactionError> {
        match self.signature_item(network) {
            Some((key, message, signature)) if !key.verify(&message, &signature) => Err(TransactionError::BadSignature),
            Some(_) | None => Ok(()),
        }
    }

    /// A signed transfer.
    ///
    /// # Errors
    /// [`TransactionError`] if a rule of form is broken.
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

    /// A signed claim.
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

    /// The account whose sequence this uses, and the number; none for a reward.
    #[must_use]
    pub fn sequence(&self) -> Option<(Account, u64)> {
        match self {
            Self::Transfer(transfer) => Some((transfer.from.clone(), transfer.sequence)),
            Self::Claim(claim) => Some((Account::Name(claim.name.clone()), 0)),
            Self::Reward(_) => None,
        }
    }

    /// The accounts whose ledger entries this changes.
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

fn read_key(reader: &mut Reader<'_>) -> Result<PublicKey, LayoutError> {
    PublicKey::from_bytes(reader.array()?).map_err(|error| LayoutError::BadField(error.to_string()))
}

fn read_optional_key(reader: &mut Reader<'_>) -> Result<Option<PublicKey>, LayoutError> {
    if reader.rest().starts_with(&[0; 32]) {
        reader.bytes(32)?;
        return Ok(None);
    }
    read_key(reader).map(Some)
}
