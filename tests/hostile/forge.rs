//! What is forged, or signed to be refused: keys, payments, blocks.
//!
//! Promises: the same seed forges the same keys.

use clap::ValueEnum;
use lanchain::chain::{Block, NetworkParams, Transaction};
use lanchain::testing::blocks::mine_for;
use lanchain::types::{Account, AccountName, Amount, SecretKey};

/// Which payments are gossiped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Payments {
    /// Well signed, and refused: half leave a gap before them, half are of more than anybody may owe
    Refused,
    /// Valid, each of a fresh key
    Fresh,
}

/// A key: what it is for tells keys of one seed apart.
pub(crate) fn key(seed: u64, owner: u64, number: u64) -> SecretKey {
    let mut bytes = [0x68; 32];
    for (place, part) in bytes.chunks_exact_mut(8).zip([seed, owner, number]) {
        place.copy_from_slice(&part.to_be_bytes());
    }
    SecretKey::from_seed(bytes)
}

fn sink() -> Account {
    Account::Name(AccountName::new("sink").expect("a name"))
}

fn pay(network: &NetworkParams, key: &SecretKey, amount: u64, sequence: u64) -> Transaction {
    let parties = (Account::Key(key.public()), sink(), None);
    let amount = Amount::new(amount).expect("small");
    Transaction::transfer(&network.network_id(), key, parties, amount, sequence).expect("two accounts")
}

/// The payments of an identity.
pub(crate) fn payments(network: &NetworkParams, kind: Payments, (seed, owner): (u64, u64), count: u32) -> Vec<Vec<u8>> {
    let own = key(seed, owner, 0);
    let too_much = network.credit_limit + 1;
    let one = |number: u64| match kind {
        Payments::Fresh => pay(network, &key(seed, owner, number + 1), 1, 0),
        Payments::Refused if number.is_multiple_of(2) => pay(network, &own, 1, 1_000 + number),
        Payments::Refused => pay(network, &own, too_much + number, 0),
    };
    (0..u64::from(count)).map(|number| one(number).to_bytes()).collect()
}

/// Payments that may stand in the first block: some payers, each below its credit.
pub(crate) fn first_payments(network: &NetworkParams, seed: u64, count: u32) -> Vec<Transaction> {
    const EACH: u64 = 500;
    let one = |number: u64| {
        let payer = key(seed, 0, number / EACH + 1);
        pay(network, &payer, 1, number % EACH)
    };
    (0..u64::from(count)).map(one).collect()
}

/// A valid block on the first one, with work; its number makes it another one than its siblings.
pub(crate) fn first_block(network: &NetworkParams, payments: &[Transaction], number: u64) -> Block {
    let to = Account::Key(key(number, 1, 1).public());
    mine_for(network, &network.genesis(), 1_000, to, payments.to_vec())
}
