//! Network parameters and consensus numbers; both are defined only here.
//!
//! Spec: `proto-notes/consensus.md`, "Networks".

use serde::Deserialize;
use thiserror::Error;

use super::header::Header;
use crate::types::hash::sha256;
use crate::types::target::HALFLIFE_MAX_MS;
use crate::types::{Amount, Bits, BlockHash, Height, MerkleRoot, NetworkId, WallTime};

/// The largest block that any network may allow, in bytes, header and count included.
pub const BLOCK_MAX_BYTES: usize = 1024 * 1024;
/// The smallest block size limit that a network may set, in bytes.
pub const BLOCK_BYTES_MIN: u64 = 64 * 1024;
/// The most new accounts per block that a network may allow: two for each transaction.
pub const NEW_ACCOUNTS_MAX: u64 = 8_192;
/// The largest reward that a network may set, in coins.
pub const REWARD_MAX: u64 = 1_000_000;
/// The most transactions in a block, reward included.
pub const BLOCK_MAX_TRANSACTIONS: usize = 4_096;
/// The largest transaction in bytes.
pub const TRANSACTION_MAX_BYTES: usize = 512;
/// How far ahead of the local clock a block's time may be, in milliseconds.
pub const FUTURE_MAX_MS: u64 = 120_000;
/// The largest credit limit that a network may set, in coins.
pub const CREDIT_LIMIT_MAX: u64 = 1_000_000;
/// The only version of headers.
pub const HEADER_VERSION: u32 = 1;
/// The longest name or salt of a network, in bytes.
pub const NETWORK_NAME_MAX_BYTES: usize = 32;

/// 2026-01-01T00:00:00Z: the genesis time of the built-in networks.
const GENESIS_TIME_MS: u64 = 1_767_225_600_000;
const SPACING_MS: u64 = 10_000;
const HALFLIFE_MS: u32 = 120_000;
/// This limits what strangers can write to everybody's disk: 90 MiB an hour with a block every 10 s.
const BLOCK_BYTES: u64 = 256 * 1024;
/// Accounts stay for ever, so they are scarcer than bytes. A class of sixty names still fits in one block.
const NEW_ACCOUNTS: u64 = 64;
const REWARD: u64 = 1;
/// The largest size that any network may allow.
const DEV_BLOCK_BYTES: u64 = 1024 * 1024;

/// How far below zero a balance on `lan` may go, in coins.
const CREDIT_LIMIT: u64 = 1_000;

const fn default_block_bytes() -> u64 {
    BLOCK_BYTES
}

const fn default_new_accounts() -> u64 {
    NEW_ACCOUNTS
}

const fn default_reward() -> u64 {
    REWARD
}

const fn default_spacing() -> u64 {
    SPACING_MS
}

const fn default_halflife() -> u32 {
    HALFLIFE_MS
}

const fn default_credit_limit() -> u64 {
    CREDIT_LIMIT
}

const fn default_difficulty() -> Difficulty {
    Difficulty::Adjusting
}

const fn default_recipients() -> Recipients {
    Recipients::Anyone
}

const fn default_genesis_time() -> u64 {
    GENESIS_TIME_MS
}

/// How the difficulty of a network changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Difficulty {
    /// The difficulty follows the hash rate, so that one block comes each spacing.
    Adjusting,
    /// The difficulty is always the lowest one, for tests and lessons.
    Floor,
}

/// Which accounts may be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Recipients {
    /// Any account, also a name that nobody owns yet.
    Anyone,
    /// Only a claimed name or a key account.
    Owned,
}

/// The parameters that define a network. Two networks with the same parameters are the same network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkParams {
    /// A short name, `[a-z][a-z0-9_-]{0,31}`; the only key that a network file must have. All others have the values
    /// of `lan`.
    pub name: String,
    /// Separates networks that have the same rules; may be empty.
    #[serde(default)]
    pub salt: String,
    /// The time between blocks that the difficulty aims at, in milliseconds.
    #[serde(default = "default_spacing")]
    pub spacing_ms: u64,
    /// The delay of blocks by which the difficulty halves, in milliseconds.
    #[serde(default = "default_halflife")]
    pub halflife_ms: u32,
    /// How far below zero a balance may go, in coins.
    #[serde(default = "default_credit_limit")]
    pub credit_limit: u64,
    /// Whether the difficulty adjusts itself or stays at the lowest one.
    #[serde(default = "default_difficulty")]
    pub difficulty: Difficulty,
    /// Which accounts may be paid.
    #[serde(default = "default_recipients")]
    pub recipients: Recipients,
    /// The time in the genesis header, in Unix milliseconds.
    #[serde(default = "default_genesis_time")]
    pub genesis_time_ms: u64,
    /// The largest block in bytes: header, count and transactions.
    #[serde(default = "default_block_bytes")]
    pub block_bytes_max: u64,
    /// The most accounts that a block may create.
    #[serde(default = "default_new_accounts")]
    pub new_accounts_max: u64,
    /// The reward for the miner of a block, in coins.
    #[serde(default = "default_reward")]
    pub reward: u64,
}

/// Why parameters do not define a network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParamsError {
    /// No built-in network has this name.
    #[error("no network is called \"{0}\"; built in are lan, coin and dev")]
    UnknownNetwork(String),
    /// A name or salt outside `[a-z][a-z0-9_-]{0,31}`.
    #[error("\"{0}\" is no network name: it starts with a-z, goes on with a-z, 0-9, _ or -, 32 bytes at most")]
    BadName(String),
    /// A number outside its range.
    #[error("{field} is {value}; it must be {from} to {to}")]
    OutOfRange {
        /// The name of the field in the network file.
        field: &'static str,
        /// The value that was found.
        value: u64,
        /// The smallest value that is allowed.
        from: u64,
        /// The largest value that is allowed.
        to: u64,
    },
    /// The file is not TOML of the expected form.
    #[error("{0}")]
    BadFile(String),
}

impl NetworkParams {
    /// The parameters of the default network: names on credit among people who know each other.
    #[must_use]
    pub fn lan() -> Self {
        Self {
            name: "lan".into(),
            salt: String::new(),
            spacing_ms: SPACING_MS,
            halflife_ms: HALFLIFE_MS,
            credit_limit: CREDIT_LIMIT,
            difficulty: Difficulty::Adjusting,
            recipients: Recipients::Anyone,
            genesis_time_ms: GENESIS_TIME_MS,
            block_bytes_max: BLOCK_BYTES,
            new_accounts_max: NEW_ACCOUNTS,
            reward: REWARD,
        }
    }

    /// The parameters of `coin`, a network without credit: coins must be mined before they are spent.
    #[must_use]
    pub fn coin() -> Self {
        Self {
            name: "coin".into(),
            credit_limit: 0,
            recipients: Recipients::Owned,
            ..Self::lan()
        }
    }

    /// The parameters of `dev`: as `lan`, but always at the lowest difficulty and with the largest blocks.
    #[must_use]
    pub fn dev() -> Self {
        Self {
            name: "dev".into(),
            difficulty: Difficulty::Floor,
            block_bytes_max: DEV_BLOCK_BYTES,
            new_accounts_max: NEW_ACCOUNTS_MAX,
            ..Self::lan()
        }
    }

    /// The parameters of a built-in network: `lan`, `coin`, `dev`, each also as `NAME:SALT`.
    ///
    /// # Errors
    /// [`ParamsError`] for another name or a bad salt.
    pub fn built_in(text: &str) -> Result<Self, ParamsError> {
        let (name, salt) = text
            .split_once(':')
            .map_or((text, None), |(name, salt)| (name, Some(salt)));
        let base = match name {
            "lan" => Self::lan(),
            "coin" => Self::coin(),
            "dev" => Self::dev(),
            _ => return Err(ParamsError::UnknownNetwork(name.to_owned())),
        };
        match salt {
            None => Ok(base),
            Some(salt) if is_word(salt) => Ok(Self {
                salt: salt.to_owned(),
                ..base
            }),
            Some(salt) => Err(ParamsError::BadName(salt.to_owned())),
        }
    }

    /// Reads the text of a network file.
    ///
    /// # Errors
    /// [`ParamsError`] if it is not TOML of the expected form or a number is out of range.
    pub fn from_toml(text: &str) -> Result<Self, ParamsError> {
        let params: Self = toml::from_str(text).map_err(|error| ParamsError::BadFile(error.to_string()))?;
        params.check()?;
        Ok(params)
    }

    fn check(&self) -> Result<(), ParamsError> {
        if !is_word(&self.name) {
            return Err(ParamsError::BadName(self.name.clone()));
        }
        if !self.salt.is_empty() && !is_word(&self.salt) {
            return Err(ParamsError::BadName(self.salt.clone()));
        }
        let range = |field, value, from, to| match (from..=to).contains(&value) {
            true => Ok(()),
            false => Err(ParamsError::OutOfRange { field, value, from, to }),
        };
        range("spacing_ms", self.spacing_ms, 100, 86_400_000)?;
        range(
            "halflife_ms",
            u64::from(self.halflife_ms),
            1_000,
            u64::from(HALFLIFE_MAX_MS),
        )?;
        range("credit_limit", self.credit_limit, 0, CREDIT_LIMIT_MAX)?;
        range("genesis_time_ms", self.genesis_time_ms, 0, (1 << 53) - 1)?;
        let largest = u64::try_from(BLOCK_MAX_BYTES).unwrap_or(u64::MAX);
        range("block_bytes_max", self.block_bytes_max, BLOCK_BYTES_MIN, largest)?;
        range("new_accounts_max", self.new_accounts_max, 1, NEW_ACCOUNTS_MAX)?;
        range("reward", self.reward, 1, REWARD_MAX)
    }

    /// The reward for the miner of a block.
    #[must_use]
    pub fn reward(&self) -> Amount {
        Amount::new(self.reward).expect("checked: 1 to 1,000,000")
    }

    /// The largest block in bytes: header, count and transactions.
    #[must_use]
    pub fn block_bytes_max(&self) -> usize {
        usize::try_from(self.block_bytes_max).unwrap_or(BLOCK_MAX_BYTES)
    }

    /// The network as the user writes it on the command line: `lan` or `lan:WORD`.
    #[must_use]
    pub fn label(&self) -> String {
        if self.salt.is_empty() {
            self.name.clone()
        } else {
            format!("{}:{}", self.name, self.salt)
        }
    }

    /// All parameters as bytes; the genesis header holds their hash as its previous hash.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let mut out = self.bytes_after(b"lanchain network 2\n");
        for number in [self.block_bytes_max, self.new_accounts_max, self.reward] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out
    }

    /// The id of this network in the first version, which had fewer parameters; used to find that version's data.
    #[must_use]
    pub fn first_version_id(&self) -> NetworkId {
        let previous = sha256(&[&self.bytes_after(b"lanchain network 1\n")]);
        let genesis = Header {
            previous: BlockHash::new(previous),
            ..self.genesis()
        };
        NetworkId::new(*genesis.hash().as_bytes())
    }

    /// The given first line, and then the parameters that the first version had.
    fn bytes_after(&self, first_line: &[u8]) -> Vec<u8> {
        let mut out = first_line.to_vec();
        for text in [&self.name, &self.salt] {
            out.push(u8::try_from(text.len()).expect("checked: at most 32 bytes"));
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&self.spacing_ms.to_be_bytes());
        out.extend_from_slice(&self.halflife_ms.to_be_bytes());
        out.extend_from_slice(&self.credit_limit.to_be_bytes());
        out.push(match self.difficulty {
            Difficulty::Adjusting => 1,
            Difficulty::Floor => 2,
        });
        out.push(match self.recipients {
            Recipients::Anyone => 1,
            Recipients::Owned => 2,
        });
        out.extend_from_slice(&self.genesis_time_ms.to_be_bytes());
        out
    }

    /// The header of the genesis block.
    #[must_use]
    pub fn genesis(&self) -> Header {
        Header {
            previous: BlockHash::new(sha256(&[&self.canonical_bytes()])),
            merkle_root: MerkleRoot::ZERO,
            version: HEADER_VERSION,
            bits: Bits::floor(self.halflife_ms),
            height: Height::GENESIS,
            time: WallTime::from_ms(self.genesis_time_ms),
            nonce: 0,
        }
    }

    /// The hash of the genesis header, which is the network's id.
    #[must_use]
    pub fn network_id(&self) -> NetworkId {
        NetworkId::new(*self.genesis().hash().as_bytes())
    }

    /// The most blocks of a chain that ends with this time and these bits; none if the difficulty does not adjust. Each
    /// block raises the bits by the spacing, and they fall by the time that passed, never below the floor.
    #[must_use]
    pub fn longest_chain(&self, time: WallTime, bits: Bits) -> Option<u64> {
        let elapsed_ms = time.since(WallTime::from_ms(self.genesis_time_ms));
        let raised = bits.0.saturating_sub(Bits::floor(self.halflife_ms).0);
        match self.difficulty {
            Difficulty::Adjusting => elapsed_ms
                .saturating_add(u64::from(raised))
                .checked_div(self.spacing_ms),
            Difficulty::Floor => None,
        }
    }

    /// Whether a chain with any bits can have this height at the time of `clock`.
    #[must_use]
    pub fn can_be_reached(&self, height: Height, clock: WallTime) -> bool {
        let latest = clock.after_ms(FUTURE_MAX_MS);
        self.longest_chain(latest, Bits::ceiling(self.halflife_ms))
            .is_none_or(|most| height.get() <= most)
    }

    /// The bits that a block with this parent and time must carry.
    #[must_use]
    pub fn required_bits(&self, parent: &Header, time: WallTime) -> Bits {
        match self.difficulty {
            Difficulty::Adjusting => parent
                .bits
                .step(self.halflife_ms, self.spacing_ms, time.since(parent.time)),
            Difficulty::Floor => Bits::floor(self.halflife_ms),
        }
    }
}

fn is_word(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= NETWORK_NAME_MAX_BYTES
        && bytes.first().is_some_and(u8::is_ascii_lowercase)
        && bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'))
}
