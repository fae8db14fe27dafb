//! Keys, peers and names by number, the same everywhere.

use crate::types::{Account, AccountName, PeerId, SecretKey};

/// The key whose seed is this byte 32 times.
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_seed([number; 32])
}

/// The peer with that key.
pub fn peer(number: u8) -> PeerId {
    key(number).public().peer_id()
}

/// A name that is one.
pub fn name(text: &str) -> AccountName {
    AccountName::new(text).unwrap()
}

/// The account of a name.
pub fn account(text: &str) -> Account {
    Account::Name(name(text))
}

/// The account of a key.
pub fn wallet(number: u8) -> Account {
    Account::Key(key(number).public())
}
