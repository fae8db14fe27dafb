//! The order of transactions when a block has no room for all: everybody gets a turn.

use core::net::IpAddr;

use crate::chain::memory_store::MemoryStore;
use crate::chain::{Chain, NetworkParams, Transaction};
use crate::pool::{Mempool, Origin, PoolError};
use crate::testing::blocks::*;
use crate::types::{Account, AccountName, Amount, PublicKey, SecretKey, Txid, Voice};

/// A neighbour at an address of the LAN.
fn from(last: u8) -> Origin {
    Origin::Peer(Voice::Host(IpAddr::from([10, 0, 0, last])))
}

/// A key that no other test has.
fn fresh(number: u32) -> SecretKey {
    let mut seed = [0xf0; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SecretKey::from_seed(seed)
}

fn named(text: &str) -> Account {
    Account::Name(AccountName::new(text).unwrap())
}

/// A payment of one coin by any key.
fn paid(
    params: &NetworkParams,
    key: &SecretKey,
    (payer, payee): (&str, &str),
    owner: Option<PublicKey>,
    sequence: u64,
) -> Transaction {
    let parties = (named(payer), named(payee), owner);
    Transaction::transfer(&params.network_id(), key, parties, Amount::ONE, sequence).unwrap()
}

/// A chain of `blocks` blocks on which key 1 owns alice and key 2 owns bob.
fn grown(params: &NetworkParams, blocks: usize) -> Chain<MemoryStore> {
    let (mut chain, _) = open(params.clone());
    let content = vec![claim(params, 1, "alice"), claim(params, 2, "bob")];
    let first = mine(params, &params.genesis(), 9, content);
    advance(&mut chain, &first);
    for block in branch(params, &first.header, 9, blocks - 1) {
        advance(&mut chain, &block);
    }
    chain
}

fn add(pool: &mut Mempool, chain: &Chain<MemoryStore>, transaction: &Transaction, origin: Origin) {
    pool.add_checked(chain, transaction.clone(), origin).unwrap();
}

/// A thousand fresh keys, each with a payment that makes two accounts, from three addresses in turn.
fn flood(pool: &mut Mempool, chain: &Chain<MemoryStore>, count: u32) {
    for number in 0..count {
        let names = (format!("flood{number}"), format!("gain{number}"));
        let payment = paid(chain.params(), &fresh(number), (&names.0, &names.1), None, 0);
        let origin = from(1 + u8::try_from(number % 3).unwrap());
        add(pool, chain, &payment, origin);
    }
}

/// The number of the next block that contains a transaction, counted from 1.
fn block_with(chain: &mut Chain<MemoryStore>, pool: &mut Mempool, wanted: Txid) -> usize {
    (1..=5)
        .find(|_| forge(chain, pool, 9).txids().contains(&wanted))
        .expect("it is in one of the next five blocks")
}

#[test]
fn a_template_skips_what_would_make_too_many_accounts_and_goes_on() {
    let params = NetworkParams::lan();
    let mut chain = grown(&params, 3);
    let mut pool = Mempool::new();
    for number in 0..40 {
        let names = (format!("payer{number}"), format!("payee{number}"));
        let payment = paid(&params, &key(1), (&names.0, &names.1), None, 0);
        add(&mut pool, &chain, &payment, Origin::Own);
    }
    let bob = Some(key(2).public());
    let last = paid(&params, &key(1), ("alice", "bob"), bob, 1);
    add(&mut pool, &chain, &last, Origin::Own);
    assert_eq!(pool.len(), 41, "the limit of a block is no reason to refuse");
    let block = forge(&mut chain, &mut pool, 9);
    assert_eq!(block.transactions.len(), 1 + 32 + 1);
    assert!(block.txids().contains(&last.txid()));
    assert_eq!(forge(&mut chain, &mut pool, 9).transactions.len(), 1 + 8);
    assert!(pool.is_empty());
}

#[test]
fn under_a_flood_of_fresh_keys_an_old_signer_is_in_the_next_block_and_a_newcomer_within_three() {
    let params = NetworkParams::lan();
    let mut chain = grown(&params, 102);
    let mut pool = Mempool::new();
    flood(&mut pool, &chain, 500);
    let old = paid(&params, &key(1), ("alice", "bob"), Some(key(2).public()), 1);
    // Brought by a flooding address: its account counts.
    add(&mut pool, &chain, &old, from(1));
    let newcomer = paid(&params, &fresh(5_000), ("dora", "shop"), None, 0);
    add(&mut pool, &chain, &newcomer, from(4));
    flood_more(&mut pool, &chain, 500..1_000);
    let mut copy = pool.clone();
    // An own one is first, although it came last.
    let own = paid(&params, &fresh(6_000), ("mine", "alice"), Some(key(1).public()), 0);
    add(&mut copy, &chain, &own, Origin::Own);
    assert_eq!(copy.in_block_order(&chain, &wallet(9))[..2], [own, old]);
    assert!(block_with(&mut chain, &mut copy, newcomer.txid()) <= 3);
}

fn flood_more(pool: &mut Mempool, chain: &Chain<MemoryStore>, numbers: core::ops::Range<u32>) {
    for number in numbers {
        let names = (format!("flood{number}"), format!("gain{number}"));
        let payment = paid(chain.params(), &fresh(number), (&names.0, &names.1), None, 0);
        let origin = from(1 + u8::try_from(number % 3).unwrap());
        // The places of those who make accounts may be taken.
        let _ = pool.add_checked(chain, payment, origin);
    }
}

#[test]
fn an_account_is_old_after_a_hundred_blocks_also_after_a_restart() {
    let params = NetworkParams::lan();
    for (blocks, is_old) in [(50, false), (100, false), (101, true)] {
        let (mut chain, store) = open(params.clone());
        let first = mine(&params, &params.genesis(), 9, vec![claim(&params, 1, "alice")]);
        advance(&mut chain, &first);
        for block in branch(&params, &first.header, 9, blocks - 1) {
            advance(&mut chain, &block);
        }
        commit(&mut chain, &store);
        let again = Chain::open(params.clone(), store, [7; 32]).unwrap();
        for chain in [&chain, &again] {
            let mut pool = Mempool::new();
            flood(&mut pool, chain, 40);
            let late = paid(&params, &key(1), ("alice", "erin"), None, 1);
            add(&mut pool, chain, &late, from(1));
            let first = pool.in_block_order(chain, &wallet(9)).first().cloned();
            assert_eq!(first == Some(late), is_old, "after {blocks} blocks");
        }
    }
}

#[test]
fn among_strangers_addresses_take_turns_and_within_one_its_signers() {
    let params = NetworkParams::lan();
    let chain = grown(&params, 2);
    let mut pool = Mempool::new();
    // Forty keys of one address, one key of another with three payments, and own ones last of all.
    for number in 0..40 {
        let name = format!("many{number}");
        add(
            &mut pool,
            &chain,
            &paid(&params, &fresh(number), (&name, "bob"), Some(key(2).public()), 0),
            from(1),
        );
    }
    let few: Vec<_> = (0..3)
        .map(|n| paid(&params, &fresh(100), ("few", "bob"), Some(key(2).public()), n))
        .collect();
    few.iter().for_each(|payment| add(&mut pool, &chain, payment, from(2)));
    let own = paid(&params, &key(1), ("alice", "bob"), Some(key(2).public()), 1);
    add(&mut pool, &chain, &own, Origin::Own);
    let order = pool.in_block_order(&chain, &wallet(9));
    let place = |wanted: &Transaction| order.iter().position(|tx| tx == wanted).unwrap();
    assert_eq!(place(&own), 0);
    assert_eq!(few.iter().map(place).collect::<Vec<_>>(), [2, 4, 6]);
}

#[test]
fn accounts_of_one_signer_take_turns_each_in_its_own_order() {
    let params = NetworkParams::lan();
    let chain = grown(&params, 2);
    let mut pool = Mempool::new();
    // So many that they may need more new accounts than a block has room for.
    flood(&mut pool, &chain, 40);
    let of = |name: &str| -> Vec<Transaction> {
        let owner = Some(key(2).public());
        let payment = |sequence| paid(&params, &fresh(100), (name, "bob"), owner, sequence);
        (0..3).map(payment).collect()
    };
    let (left, right) = (of("left"), of("right"));
    for payment in left.iter().chain(&right) {
        add(&mut pool, &chain, payment, from(9));
    }
    let order = pool.in_block_order(&chain, &wallet(9));
    let places: Vec<&Transaction> = order
        .iter()
        .filter(|tx| left.contains(tx) || right.contains(tx))
        .collect();
    assert_eq!(places, [&left[0], &right[0], &left[1], &right[1], &left[2], &right[2]]);
}

#[test]
fn a_claim_does_not_wait_for_payments_to_the_free_name_that_have_left() {
    let params = NetworkParams::dev();
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let early = paid(&params, &fresh(1), ("payer", "carol"), None, 0);
    let claimed = claim(&params, 3, "carol");
    let other = paid(&params, &fresh(2), ("other", "shop"), None, 0);
    for transaction in [&claimed, &early, &other] {
        add(&mut pool, &chain, transaction, from(1));
    }
    let in_order = |pool: &Mempool| pool.in_block_order(&chain, &wallet(9));
    let waits = [early.clone(), other.clone(), claimed.clone()];
    assert_eq!(in_order(&pool), waits, "the payment would be void behind the claim");
    pool.forget(&early.txid());
    assert_eq!(in_order(&pool), [claimed, other]);
}

#[test]
fn while_there_is_room_own_ones_stand_before_what_came_earlier() {
    let params = NetworkParams::dev();
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let payment = |number| {
        let names = (&*format!("name{number}"), "shop");
        paid(&params, &fresh(number), names, None, 0)
    };
    add(&mut pool, &chain, &payment(1), from(1));
    add(&mut pool, &chain, &payment(2), Origin::Own);
    assert_eq!(pool.in_block_order(&chain, &wallet(9)), [payment(2), payment(1)]);
}

#[test]
fn while_there_is_room_everything_stands_as_it_came() {
    let params = NetworkParams::dev();
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let payments: Vec<_> = (0..50_u32)
        .map(|n| {
            paid(
                &params,
                &fresh(n % 7),
                (&format!("name{}", n % 7), "shop"),
                None,
                u64::from(n / 7),
            )
        })
        .collect();
    for (at, payment) in (0_u8..).zip(&payments) {
        add(&mut pool, &chain, payment, from(at % 3));
    }
    assert_eq!(pool.in_block_order(&chain, &wallet(9)), payments);
}

#[test]
fn strangers_who_make_accounts_have_1024_places_and_the_voice_that_holds_most_gives_way() {
    let params = NetworkParams::lan();
    let chain = grown(&params, 3);
    let mut pool = Mempool::new();
    flood_more(&mut pool, &chain, 0..1_100);
    assert_eq!(pool.len(), 1_024);
    // Who would then hold as much as anybody pushes nobody out.
    for voice in 1..=3 {
        let one_more = paid(&params, &fresh(7_000), ("eve", "stall"), None, 0);
        assert_eq!(
            pool.add_checked(&chain, one_more, from(voice)),
            Err(PoolError::PoolFull)
        );
    }
    let newcomer = paid(&params, &fresh(5_000), ("dora", "shop"), None, 0);
    add(&mut pool, &chain, &newcomer, from(4));
    assert_eq!(pool.len(), 1_024);
    // Payments among accounts that are there, and one key that fills a pool of ten thousand, are not concerned.
    let own = paid(&params, &fresh(6_000), ("mine", "yours"), None, 0);
    add(&mut pool, &chain, &own, Origin::Own);
    for sequence in 1..64 {
        let more = paid(&params, &key(1), ("alice", "bob"), Some(key(2).public()), sequence);
        add(&mut pool, &chain, &more, from(1));
    }
    assert_eq!(pool.len(), 1_024 + 1 + 63);
}

/// A neighbour may pass on a flood of fresh keys, and has users of its own.
#[test]
fn of_the_voice_that_holds_all_places_for_new_accounts_a_sender_that_is_known_gets_one() {
    let params = NetworkParams::lan();
    let chain = grown(&params, 3);
    let mut pool = Mempool::new();
    for number in 0..1_024 {
        let names = (format!("flood{number}"), format!("gain{number}"));
        let payment = paid(&params, &fresh(number), (&names.0, &names.1), None, 0);
        add(&mut pool, &chain, &payment, from(1));
    }
    let one_more = paid(&params, &fresh(5_000), ("dora", "shop"), None, 0);
    assert_eq!(pool.add(&chain, one_more, from(1)), Err(PoolError::PoolFull));
    let known = |sequence| paid(&params, &key(1), ("alice", &format!("new{sequence}")), None, sequence);
    for sequence in 1..=16 {
        add(&mut pool, &chain, &known(sequence), from(1));
        assert!(pool.contains(&known(sequence).txid()));
    }
    assert_eq!(pool.len(), 1_024);
}
