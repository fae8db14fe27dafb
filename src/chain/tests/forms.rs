//! Forms of transactions, headers and blocks that are refused, one by one.

use crate::testing::keys::{account as name, key};
use proptest::prelude::*;

use crate::chain::params::TRANSACTION_MAX_BYTES;
use crate::chain::{Block, BlockError, Header, HeaderError, NetworkParams, Reward, Transaction, TransactionError};
use crate::testing::blocks::seal;
use crate::types::layout::LayoutError;
use crate::types::{Account, AccountName, Amount, Bits, BlockHash, Height, WallTime};

fn transfer() -> Transaction {
    let network = NetworkParams::dev().network_id();
    Transaction::transfer(&network, &key(1), (name("alice"), name("bob"), None), Amount::ONE, 0).expect("valid")
}

fn mined(params: &NetworkParams, parent: &Header, transactions: Vec<Transaction>) -> Block {
    seal(params, parent, 1, transactions)
}

fn reward(height: u64) -> Transaction {
    Transaction::Reward(Reward {
        to: name("alice"),
        height: Height::new(height),
    })
}

#[test]
fn names_that_look_alike_or_are_reserved_are_refused() {
    for text in [
        "",
        "0",
        "me",
        "coinbase",
        "Alice",
        "-x",
        "1a",
        "аlice",
        "al ice",
        "a\u{200d}",
        "a\n",
        "a\u{1b}[31m",
    ] {
        assert!(AccountName::new(text).is_err(), "{text:?}");
    }
    assert!(AccountName::new(&"a".repeat(33)).is_err());
    assert!(AccountName::new(&"a".repeat(32)).is_ok());
}

#[test]
fn amounts_end_at_both_ends() {
    assert!(Amount::new(0).is_err());
    assert!(Amount::new((1 << 53) - 1).is_ok());
    assert!(Amount::new(1 << 53).is_err());
    assert!(Amount::new(u64::MAX).is_err());
}

#[test]
fn an_account_cannot_pay_itself() {
    let network = NetworkParams::dev().network_id();
    let made = Transaction::transfer(&network, &key(1), (name("alice"), name("alice"), None), Amount::ONE, 0);
    assert_eq!(made, Err(TransactionError::SelfTransfer(name("alice"))));
}

#[test]
fn a_key_account_is_spent_by_its_key_only() {
    let network = NetworkParams::dev().network_id();
    let from = Account::Key(key(2).public());
    let made = Transaction::transfer(&network, &key(1), (from, name("bob"), None), Amount::ONE, 0);
    assert_eq!(made, Err(TransactionError::WrongKey));
}

#[test]
fn every_changed_byte_of_a_transaction_is_noticed() {
    let network = NetworkParams::dev().network_id();
    let bytes = transfer().to_bytes();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        let passes = Transaction::from_bytes(&changed).is_ok_and(|tx| tx.check_signature(&network).is_ok());
        assert!(!passes, "byte {at}");
    }
}

#[test]
fn a_signature_of_another_network_does_not_pass() {
    let other = NetworkParams::lan().network_id();
    assert_eq!(transfer().check_signature(&other), Err(TransactionError::BadSignature));
}

#[test]
fn a_transaction_with_bytes_left_over_is_refused() {
    let mut bytes = transfer().to_bytes();
    bytes.push(0);
    assert_eq!(
        Transaction::from_bytes(&bytes),
        Err(LayoutError::TrailingBytes(1).into())
    );
}

/// The ancestor's proof did not cover the tip's own transactions and reward.
#[test]
fn the_proof_covers_the_blocks_own_transactions_and_reward() {
    let params = NetworkParams::dev();
    let block = mined(&params, &params.genesis(), vec![reward(1), transfer()]);
    assert_eq!(block.check(&params, &[0; 32]), Ok(()));
    let mut greedy = block.clone();
    greedy.transactions[0] = Transaction::Reward(Reward {
        to: name("mallory"),
        height: Height::new(1),
    });
    assert!(matches!(
        greedy.check(&params, &[0; 32]),
        Err(BlockError::BadMerkleRoot { .. })
    ));
    let mut bare = block;
    bare.transactions.pop();
    assert!(matches!(
        bare.check(&params, &[0; 32]),
        Err(BlockError::BadMerkleRoot { .. })
    ));
}

#[test]
fn a_block_has_one_reward_and_it_stands_first() {
    let params = NetworkParams::dev();
    let genesis = params.genesis();
    for transactions in [
        vec![],
        vec![transfer()],
        vec![transfer(), reward(1)],
        vec![reward(1), reward(1)],
        vec![reward(2)],
    ] {
        let block = mined(&params, &genesis, transactions);
        assert_eq!(
            block.check(&params, &[0; 32]),
            Err(BlockError::BadReward(Height::new(1)))
        );
    }
}

#[test]
fn a_bad_signature_spoils_the_whole_block() {
    let params = NetworkParams::dev();
    let mut forged = transfer();
    if let Transaction::Transfer(transfer) = &mut forged {
        transfer.signature.0[0] ^= 1;
    }
    let block = mined(&params, &params.genesis(), vec![reward(1), forged]);
    let error = TransactionError::BadSignature;
    assert_eq!(
        block.check(&params, &[0; 32]),
        Err(BlockError::Transaction { index: 1, error })
    );
}

#[test]
fn headers_are_held_against_their_parent() {
    let params = NetworkParams::dev();
    let genesis = params.genesis();
    let good = mined(&params, &genesis, vec![reward(1)]).header;
    assert_eq!(good.check_after(&genesis, &params), Ok(()));
    let refused = |change: &dyn Fn(&mut Header)| {
        let mut header = good.clone();
        change(&mut header);
        header
            .check_after(&genesis, &params)
            .expect_err("a changed header is refused")
    };
    assert_eq!(refused(&|h| h.version = 2), HeaderError::BadVersion(2));
    assert!(matches!(
        refused(&|h| h.previous = BlockHash::ZERO),
        HeaderError::NotLinked { .. }
    ));
    assert!(matches!(
        refused(&|h| h.height = Height::new(2)),
        HeaderError::BadHeight { .. }
    ));
    assert!(matches!(
        refused(&|h| h.time = WallTime::from_ms(0)),
        HeaderError::TimeTooOld { .. }
    ));
    assert!(matches!(
        refused(&|h| h.bits = Bits(h.bits.0 + 1)),
        HeaderError::BadTarget { .. }
    ));
    assert!(matches!(
        refused(&|h| h.nonce ^= 1 << 40),
        HeaderError::BadProofOfWork(_)
    ));
}

#[test]
fn a_time_ahead_of_the_clock_is_not_yet_and_not_invalid() {
    let mut header = NetworkParams::dev().genesis();
    let clock = WallTime::from_ms(header.time.ms());
    header.time = WallTime::from_ms(clock.ms() + 120_000);
    assert_eq!(header.check_clock(clock), Ok(()));
    header.time = WallTime::from_ms(clock.ms() + 120_001);
    assert_eq!(
        header.check_clock(clock),
        Err(HeaderError::TimeTooNew { ahead_ms: 120_001 })
    );
}

#[test]
fn every_mined_hash_starts_with_four_zeros() {
    let params = NetworkParams::lan();
    let block = mined(&params, &params.genesis(), vec![reward(1)]);
    assert!(block.hash().to_string().starts_with("0000"));
}

#[test]
fn networks_with_another_salt_or_rule_have_another_id() {
    let ids = ["lan", "coin", "dev", "lan:a", "lan:b"]
        .map(|text| NetworkParams::built_in(text).expect("a valid network").network_id());
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id));
    }
}

#[test]
fn network_files_are_read_and_their_faults_named() {
    let text = "name = 'club'\nspacing_ms = 5000\nhalflife_ms = 60000\ncredit_limit = 10\ndifficulty = 'adjusting'\nrecipients = 'owned'\ngenesis_time_ms = 1\n";
    assert_eq!(NetworkParams::from_toml(text).expect("a valid file").label(), "club");
    let monday = NetworkParams::from_toml("name = 'monday'").expect("the rest has defaults");
    let lan = NetworkParams::lan();
    assert_eq!(
        monday,
        NetworkParams {
            name: "monday".into(),
            ..lan
        }
    );
    let faults = [
        ("5000", "1"),
        ("60000", "17970575"),
        ("= 10", "= 1000001"),
        ("club", "Club"),
        ("owned", "all"),
        ("spacing_ms", "space"),
    ];
    for (what, instead) in faults {
        assert!(
            NetworkParams::from_toml(&text.replace(what, instead)).is_err(),
            "{instead}"
        );
    }
}

proptest! {
    #[test]
    fn headers_survive_their_bytes(bytes in any::<[u8; 32]>(), (bits, height, time, nonce) in any::<(u32, u64, u64, u64)>()) {
        let mut header = NetworkParams::dev().genesis();
        header.previous = BlockHash::new(bytes);
        (header.bits, header.height, header.time, header.nonce) = (Bits(bits), Height::new(height), WallTime::from_ms(time), nonce);
        prop_assert_eq!(Header::from_bytes(&header.to_bytes()), header);
    }

    /// What decodes encodes to the same bytes: one id for one object.
    #[test]
    fn nothing_but_canonical_transactions_decode(at in any::<usize>(), byte in any::<u8>(), cut in any::<usize>()) {
        let mut bytes = transfer().to_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(1 + cut % TRANSACTION_MAX_BYTES);
        if let Ok(transaction) = Transaction::from_bytes(&bytes) {
            prop_assert_eq!(transaction.to_bytes(), bytes);
        }
    }
}
