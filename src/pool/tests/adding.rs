//! The mempool's rules, limits and order.

use crate::chain::{Chain, ChainStore, NetworkParams, Transaction};
use crate::pool::mempool::{ACCOUNT_MAX_TRANSACTIONS, POOL_MAX_TRANSACTIONS};
use crate::pool::{Mempool, Origin, PoolError};
use crate::testing::blocks::*;
use crate::types::{Account, AccountName, PeerId, Txid};

fn peer(seed: u8) -> Origin {
    Origin::Peer(key(seed).public().peer_id().into())
}

fn peer_id(seed: u8) -> PeerId {
    key(seed).public().peer_id()
}

fn ids(transactions: &[Transaction]) -> Vec<Txid> {
    transactions.iter().map(Transaction::txid).collect()
}

fn refused<S: ChainStore>(
    pool: &mut Mempool,
    chain: &Chain<S>,
    transaction: &Transaction,
    origin: Origin,
) -> PoolError {
    let before = (pool.len(), pool.digest());
    let error = pool.add(chain, transaction.clone(), origin).unwrap_err();
    assert_eq!((pool.len(), pool.digest()), before);
    assert!(!error.hint().is_empty());
    error
}

#[test]
fn two_names_of_one_node_pay_each_other_before_any_block_and_both_end_in_one() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let first = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    pool.add(&chain, first, Origin::Own).unwrap();
    let alice = pool.pending_owner(&word("alice"));
    assert_eq!(alice, Some(key(1).public()));
    let second = pay(&params, 1, ("bob", "alice"), alice, 1, 0);
    pool.add(&chain, second, Origin::Own).unwrap();
    assert_eq!(pool.next_sequence(&chain, &name("alice")).unwrap(), 1);
    assert_eq!(pool.pending_balance(&chain, &name("bob")).unwrap(), 4);
    let block = forge(&mut chain, &mut pool, 1);
    assert_eq!(block.transactions.len(), 3);
    assert!(pool.is_empty());
    assert_eq!(chain.account(&name("alice")).unwrap().balance, -4);
    assert_eq!(chain.account(&name("bob")).unwrap().balance, 4);
}

#[test]
fn payment_to_a_free_name_goes_before_the_claim_that_came_first() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let claimed = claim(&params, 2, "bob");
    let payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    pool.add(&chain, claimed.clone(), peer(9)).unwrap();
    pool.add(&chain, payment.clone(), peer(9)).unwrap();
    let order = pool.in_block_order(&chain, &wallet(1));
    assert_eq!(ids(&order), ids(&[payment, claimed]));
    forge(&mut chain, &mut pool, 1);
    assert_eq!(chain.owner(&name("bob")).unwrap(), Some(key(2).public()));
    assert_eq!(chain.account(&name("bob")).unwrap().balance, 5);
}

#[test]
fn adv_g06_first_of_two_with_one_sequence_stays() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let first = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    pool.add(&chain, first.clone(), peer(9)).unwrap();
    let double = pay(&params, 1, ("alice", "carol"), None, 5, 0);
    assert_eq!(
        refused(&mut pool, &chain, &double, Origin::Own),
        PoolError::SequenceTaken {
            account: name("alice"),
            sequence: 0,
            first: first.txid()
        }
    );
    assert_eq!(refused(&mut pool, &chain, &first, peer(8)), PoolError::AlreadyPending);
    let thief = pay(&params, 2, ("alice", "eve"), None, 5, 1);
    assert_eq!(refused(&mut pool, &chain, &thief, peer(8)).code(), "not_owner");
}

#[test]
fn adv_g07_gap_of_sixteen_waits_and_seventeen_is_refused_but_for_own_ones() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    pool.add(&chain, pay(&params, 1, ("alice", "bob"), None, 1, 0), peer(9))
        .unwrap();
    let far = pay(&params, 1, ("alice", "bob"), None, 1, 18);
    assert_eq!(refused(&mut pool, &chain, &far, peer(9)).code(), "sequence_gap");
    let near = pay(&params, 1, ("alice", "bob"), None, 1, 17);
    pool.add(&chain, near, peer(9)).unwrap();
    pool.add(&chain, far, Origin::Own).unwrap();
    assert_eq!(pool.in_block_order(&chain, &wallet(1)).len(), 1);
    assert_eq!(pool.next_sequence(&chain, &name("alice")).unwrap(), 1);
}

#[test]
fn who_waits_behind_a_gap_does_not_hold_a_free_name_against_its_claimant() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let squatter = pay(&params, 2, ("alice", "eve"), None, 1, 3);
    pool.add(&chain, squatter.clone(), peer(9)).unwrap();
    pool.add(&chain, claim(&params, 1, "alice"), peer(8)).unwrap();
    assert!(!pool.contains(&squatter.txid()));
    assert!(pool.dropped_reason(&squatter.txid()).is_some());
}

#[test]
fn adv_g08_strangers_bring_at_most_64_of_one_account_to_a_pool_that_is_half_full() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let of_alice = |sequence| pay(&params, 1, ("alice", "bob"), None, 1, sequence);
    let Transaction::Claim(some) = claim(&params, 1, "x") else {
        panic!("a claim")
    };
    let fill = |pool: &mut Mempool, from: usize, to: usize| {
        for n in from..to {
            let name = AccountName::new(&format!("n{n}")).unwrap();
            let other = Transaction::Claim(crate::chain::Claim { name, ..some.clone() });
            pool.add_checked(&chain, other, peer(8)).unwrap();
        }
    };
    let half = POOL_MAX_TRANSACTIONS / 2;
    fill(&mut pool, 0, half - 100);
    for sequence in 0..100 {
        pool.add(&chain, of_alice(sequence), peer(9)).unwrap();
    }
    fill(&mut pool, half - 100, half - 99);
    let refusal = PoolError::AccountFull(name("alice"));
    assert_eq!(refused(&mut pool, &chain, &of_alice(100), peer(9)), refusal);
    pool.add(&chain, of_alice(100), Origin::Own).unwrap();
    // Others have their own share.
    let cap = u64::try_from(ACCOUNT_MAX_TRANSACTIONS).unwrap();
    for sequence in 0..cap {
        pool.add(&chain, pay(&params, 1, ("carol", "bob"), None, 1, sequence), peer(9))
            .unwrap();
    }
    let more = pay(&params, 1, ("carol", "bob"), None, 1, cap);
    assert_eq!(
        refused(&mut pool, &chain, &more, peer(9)),
        PoolError::AccountFull(name("carol"))
    );
}

#[test]
fn adv_g10_credit_counts_what_waits_before() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    pool.add(&chain, pay(&params, 1, ("alice", "bob"), None, 700, 0), peer(9))
        .unwrap();
    let over = pay(&params, 1, ("alice", "bob"), None, 301, 1);
    let error = refused(&mut pool, &chain, &over, Origin::Own);
    assert_eq!(
        error.to_string(),
        "alice owes 700 coins; paying 301 would exceed the credit limit of 1000"
    );
    pool.add(&chain, pay(&params, 1, ("alice", "bob"), None, 300, 1), peer(9))
        .unwrap();
    // What is about to come in may be spent.
    pool.add(&chain, pay(&params, 2, ("bob", "carol"), None, 2_000, 0), peer(9))
        .unwrap();
    assert_eq!(pool.in_block_order(&chain, &wallet(1)).len(), 3);
}

#[test]
fn adv_g01_wrong_signature_is_refused() {
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let foreign = pay(&NetworkParams::lan(), 1, ("alice", "bob"), None, 5, 0);
    assert_eq!(refused(&mut pool, &chain, &foreign, peer(9)).code(), "bad_signature");
}

#[test]
fn payment_with_another_owner_than_chain_and_pool_know_is_refused() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    pool.add(&chain, claim(&params, 2, "bob"), peer(9)).unwrap();
    let wrong = pay(&params, 1, ("alice", "bob"), Some(key(3).public()), 5, 0);
    assert_eq!(refused(&mut pool, &chain, &wrong, peer(9)).code(), "owner_changed");
    let right = pay(&params, 1, ("alice", "bob"), Some(key(2).public()), 5, 0);
    pool.add(&chain, right, peer(9)).unwrap();
    assert_eq!(pool.in_block_order(&chain, &wallet(1)).len(), 2);
}

#[test]
fn coin_network_takes_no_payment_to_a_free_name() {
    let (mut chain, _) = open(NetworkParams::coin());
    let params = NetworkParams::coin();
    let mut pool = Mempool::new();
    forge(&mut chain, &mut pool, 1);
    let unclaimed = Transaction::transfer(
        &params.network_id(),
        &key(1),
        (wallet(1), name("bob"), None),
        crate::types::Amount::ONE,
        0,
    )
    .unwrap();
    assert_eq!(
        refused(&mut pool, &chain, &unclaimed, Origin::Own).code(),
        "unclaimed_recipient"
    );
}

#[test]
fn own_transactions_come_first_and_accounts_take_turns_when_not_all_fits() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    // More than a block holds: 70 accounts with 60 each, and one of our own that came last.
    for account in 0..70_u8 {
        let from = format!("a{account}");
        for sequence in 0..60 {
            let payment = pay(&params, 1, (&from, "bob"), None, 1, sequence);
            pool.add_checked(&chain, payment, peer(9)).unwrap();
        }
    }
    let own = pay(&params, 2, ("zoe", "bob"), None, 1, 0);
    pool.add(&chain, own.clone(), Origin::Own).unwrap();
    let order = pool.in_block_order(&chain, &wallet(1));
    assert_eq!(order[0].txid(), own.txid());
    assert_eq!(order.len(), 4_095);
    let firsts = order[1..71].iter().all(|tx| tx.sequence().is_some_and(|(_, n)| n == 0));
    assert!(firsts, "each account has its first turn before any has its second");
}

#[test]
fn adv_g08_full_pool_takes_from_the_neighbour_who_holds_most_and_never_from_us() {
    let (chain, _) = roomy();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let make = |n: usize| {
        let from = format!("n{n}");
        let Transaction::Claim(claim) = claim(&params, 1, "x") else {
            panic!("a claim")
        };
        Transaction::Claim(crate::chain::Claim {
            name: AccountName::new(&from).unwrap(),
            ..claim
        })
    };
    for n in 0..POOL_MAX_TRANSACTIONS {
        let origin = match n {
            0..1_000 => Origin::Own,
            1_000..3_000 => peer(8),
            _ => peer(9),
        };
        pool.add_checked(&chain, make(n), origin).unwrap();
    }
    let more = make(POOL_MAX_TRANSACTIONS);
    let error = pool
        .add_checked(&chain, more.clone(), Origin::Peer(peer_id(9).into()))
        .unwrap_err();
    assert_eq!(error, PoolError::PoolFull);
    let added = pool.add_checked(&chain, more, peer(8)).unwrap();
    let newest = make(POOL_MAX_TRANSACTIONS - 1).txid();
    assert_eq!(added.evicted, [newest]);
    assert_eq!(pool.dropped_reason(&newest).unwrap().1, &PoolError::PushedOut);
    for n in 1..=9_000 {
        pool.add_checked(&chain, make(POOL_MAX_TRANSACTIONS + n), Origin::Own)
            .unwrap();
    }
    assert_eq!(pool.len(), POOL_MAX_TRANSACTIONS);
    // Ours alone fill it now, and still grow; strangers find no room.
    pool.add_checked(&chain, make(20_000), Origin::Own).unwrap();
    assert_eq!(pool.len(), POOL_MAX_TRANSACTIONS + 1);
    assert_eq!(
        pool.add_checked(&chain, make(20_001), peer(8)).unwrap_err(),
        PoolError::PoolFull
    );
    assert!((0..1_000).all(|n| pool.contains(&make(n).txid())));
}

#[test]
fn digest_and_listing_by_id_cover_the_pool() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    assert_eq!(pool.digest(), 0);
    let all: Vec<_> = (0..5).map(|n| pay(&params, 1, ("alice", "bob"), None, 1, n)).collect();
    for transaction in &all {
        pool.add(&chain, transaction.clone(), peer(9)).unwrap();
    }
    let sorted: Vec<_> = pool.after(&Txid::ZERO).map(Transaction::txid).collect();
    assert!(sorted.is_sorted() && sorted.len() == 5);
    assert_eq!(pool.after(&sorted[1]).count(), 3);
    assert_eq!(ids(&pool.all().cloned().collect::<Vec<_>>()), ids(&all));
    let digest = all.iter().fold(0, |sum, tx| {
        sum ^ u64::from_be_bytes(tx.txid().as_bytes()[..8].try_into().unwrap())
    });
    assert_eq!(pool.digest(), digest);
}

#[test]
fn what_the_new_tip_refuses_leaves_with_its_reason() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let loser = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let behind = pay(&params, 1, ("alice", "bob"), None, 5, 1);
    pool.add(&chain, loser.clone(), Origin::Own).unwrap();
    pool.add(&chain, behind.clone(), Origin::Own).unwrap();
    // Another key takes the name first.
    let block = mine(&params, &params.genesis(), 2, vec![claim(&params, 2, "alice")]);
    let switch = advance(&mut chain, &block);
    let change = pool.on_switch(&chain, &switch, &[loser.clone(), behind]);
    let codes: Vec<_> = change.dropped.iter().map(|(_, error)| error.code()).collect();
    assert_eq!(codes, ["not_owner", "not_owner"]);
    assert!(pool.is_empty());
    assert!(
        pool.dropped_reason(&loser.txid())
            .unwrap()
            .1
            .to_string()
            .starts_with("alice belongs to")
    );
}

#[test]
fn own_transaction_that_was_void_on_one_branch_is_offered_again_on_another() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    chain.set_own_key(key(1).public());
    let own = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    chain.keep_own(&own);
    pool.add(&chain, own.clone(), Origin::Own).unwrap();
    let thief = mine(&params, &params.genesis(), 2, vec![claim(&params, 2, "alice")]);
    let switch = advance(&mut chain, &thief);
    pool.on_switch(&chain, &switch, std::slice::from_ref(&own));
    assert!(pool.is_empty());
    for block in branch(&params, &params.genesis(), 3, 2) {
        if let Ok(crate::chain::Accepted::Switched(switch)) = chain.accept(block, CLOCK) {
            let kept: Vec<_> = chain.own().unwrap().into_iter().map(|(_, tx)| tx).collect();
            pool.on_switch(&chain, &switch, &kept);
        }
    }
    assert!(pool.contains(&own.txid()));
    // The thief's claim came back too, but ours wins: one of them holds the name, never both.
    let holders = pool
        .all()
        .filter(|tx| tx.sequence() == Some((name("alice"), 0)))
        .count();
    assert_eq!(holders, 1);
}

#[test]
fn rewards_do_not_wait() {
    let (chain, _) = dev();
    let mut pool = Mempool::new();
    let reward = Transaction::Reward(crate::chain::Reward {
        to: Account::Name(word("eve")),
        height: crate::types::Height::new(1),
    });
    assert_eq!(refused(&mut pool, &chain, &reward, peer(9)), PoolError::NoReward);
}

#[test]
fn what_stood_on_a_dropped_payment_falls_with_it() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let limit = params.credit_limit;
    let gift = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let spent = pay(&params, 3, ("bob", "carol"), None, limit + 3, 0);
    let aside = pay(&params, 4, ("dave", "erin"), None, 1, 0);
    for transaction in [&gift, &spent, &aside] {
        pool.add(&chain, transaction.clone(), peer(9)).unwrap();
    }
    // Somebody else's claim of alice is confirmed: the gift is void, and bob cannot pay so much without it.
    let rival = mine(
        &params,
        &chain.tip().header.clone(),
        2,
        vec![claim(&params, 2, "alice")],
    );
    let switch = advance(&mut chain, &rival);
    let change = pool.on_switch(&chain, &switch, &[]);
    let codes: Vec<_> = change
        .dropped
        .iter()
        .map(|(txid, error)| (*txid, error.code()))
        .collect();
    assert_eq!(codes, [(gift.txid(), "not_owner"), (spent.txid(), "overdraft")]);
    assert_eq!(ids(&pool.all().cloned().collect::<Vec<_>>()), [aside.txid()]);
    assert!(pool.dropped_reason(&spent.txid()).is_some());
}

#[test]
fn a_payment_that_fills_a_gap_pushes_out_what_can_no_longer_be_paid_behind_it() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let limit = params.credit_limit;
    let late = [(500, 1), (450, 2)].map(|(amount, place)| pay(&params, 1, ("alice", "bob"), None, amount, place));
    let spent = pay(&params, 2, ("bob", "carol"), None, limit + 950, 0);
    for transaction in late.iter().chain([&spent]) {
        pool.add(&chain, transaction.clone(), peer(9)).unwrap();
    }
    // Neither of the two can be paid after this one; and bob counted on both.
    let filler = pay(&params, 1, ("alice", "bob"), None, 900, 0);
    let added = pool.add(&chain, filler.clone(), peer(9)).unwrap();
    assert_eq!(added.evicted, [late[0].txid(), late[1].txid(), spent.txid()]);
    assert_eq!(ids(&pool.all().cloned().collect::<Vec<_>>()), [filler.txid()]);
    let (_, reason) = pool.dropped_reason(&late[0].txid()).unwrap();
    assert_eq!(
        reason.to_string(),
        "alice owes 900 coins; paying 500 would exceed the credit limit of 1000"
    );
    // What fits both ways stays.
    let small = pay(&params, 1, ("alice", "bob"), None, 1, 2);
    let between = pay(&params, 1, ("alice", "bob"), None, limit - 901, 1);
    for transaction in [&small, &between] {
        assert_eq!(pool.add(&chain, transaction.clone(), peer(9)).unwrap().evicted, []);
    }
    assert_eq!(pool.len(), 3);
}

#[test]
fn a_block_on_the_tip_does_not_change_the_order_of_what_waits() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let first = pay(&params, 1, ("alice", "bob"), None, 5, 0);
    let second = pay(&params, 4, ("dave", "erin"), None, 1, 0);
    for transaction in [&first, &second] {
        pool.add(&chain, transaction.clone(), peer(9)).unwrap();
    }
    let payment = pay(&params, 5, ("fred", "alice"), None, 1, 0);
    let block = mine(&params, &chain.tip().header.clone(), 2, vec![payment]);
    let switch = advance(&mut chain, &block);
    pool.on_switch(&chain, &switch, &[]);
    assert_eq!(ids(&pool.all().cloned().collect::<Vec<_>>()), ids(&[first, second]));
}

#[test]
fn who_counted_on_a_rivals_payment_loses_what_it_paid_of_it() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let limit = params.credit_limit;
    // A gift behind a gap, from a name that somebody else then takes.
    let gift = pay(&params, 1, ("carol", "alice"), None, 301, 1);
    let spent = pay(&params, 2, ("alice", "bob"), None, limit + 300, 0);
    for transaction in [&gift, &spent] {
        pool.add(&chain, transaction.clone(), peer(9)).unwrap();
    }
    let taken = claim(&params, 3, "carol");
    let added = pool.add(&chain, taken.clone(), peer(8)).unwrap();
    assert_eq!(added.evicted, [spent.txid()]);
    assert_eq!(ids(&pool.all().cloned().collect::<Vec<_>>()), [taken.txid()]);
    assert!(pool.dropped_reason(&spent.txid()).is_some());
}

#[test]
fn own_payment_that_could_not_be_paid_for_a_while_returns_when_its_payer_is_paid() {
    let (mut chain, _) = dev();
    let params = NetworkParams::dev();
    let mut pool = Mempool::new();
    let limit = params.credit_limit;
    let gift = pay(&params, 2, ("alice", "bob"), None, 5, 0);
    let first = mine(&params, &params.genesis(), 3, vec![gift.clone()]);
    advance(&mut chain, &first);
    let own = pay(&params, 1, ("bob", "carol"), None, limit + 5, 0);
    pool.add(&chain, own.clone(), Origin::Own).unwrap();
    chain.keep_own(&own);
    // Without the gift bob cannot pay.
    let rival = branch(&params, &params.genesis(), 4, 2);
    let settle = |chain: &mut Chain<_>, pool: &mut Mempool, block: &crate::chain::Block| {
        if let crate::chain::Accepted::Switched(switch) = chain.accept(block.clone(), CLOCK).unwrap() {
            pool.on_switch(chain, &switch, std::slice::from_ref(&own));
        }
    };
    rival.iter().for_each(|block| settle(&mut chain, &mut pool, block));
    // It came back with the lost block, so that both wait; then somebody takes the giver's name.
    let taken = mine(&params, &rival[1].header, 4, vec![claim(&params, 5, "alice")]);
    settle(&mut chain, &mut pool, &taken);
    assert!(!pool.contains(&own.txid()));
    let other = pay(&params, 6, ("dave", "bob"), None, 5, 0);
    let paid = mine(&params, &taken.header, 4, vec![other]);
    settle(&mut chain, &mut pool, &paid);
    assert!(pool.contains(&own.txid()));
}

#[test]
fn a_pool_made_anew_prefers_own_ones_then_those_of_the_lost_branch_and_tries_again_what_needs_a_later_one() {
    let (chain, _) = dev();
    let params = NetworkParams::dev();
    let to = |payee, amount| pay(&params, 1, ("alice", payee), None, amount, 0);
    let (own, lost, waiting) = (to("bob", 1), to("carol", 1), to("dora", 1));
    let late = [
        pay(&params, 2, ("erik", "fred"), None, 1_500, 0),
        pay(&params, 3, ("gina", "erik"), None, 800, 0),
    ];
    for (own, wins) in [(vec![own.clone()], &own), (vec![], &lost)] {
        let mut pool = Mempool::new();
        pool.add(&chain, waiting.clone(), Origin::Returned).unwrap();
        pool.drop_for(wins.txid(), wins.clone(), PoolError::PushedOut);
        let returned = [lost.clone(), late[0].clone(), late[1].clone()];
        let change = pool.rebuild(&chain, &returned.iter().collect::<Vec<_>>(), &own);
        assert!(pool.contains(&wins.txid()) && pool.dropped_reason(&wins.txid()).is_none());
        assert!(!pool.contains(&waiting.txid()) && pool.dropped_reason(&waiting.txid()).is_some());
        assert!(late.iter().all(|payment| pool.contains(&payment.txid())), "{change:?}");
        assert_eq!(pool.len(), 3);
    }
}

#[test]
fn what_was_dropped_is_handed_out_once_and_not_when_it_waits_again() {
    let (chain, _) = dev();
    let params = chain.params().clone();
    let (gone, back) = (
        pay(&params, 1, ("alice", "bob"), None, 5, 0),
        pay(&params, 2, ("carol", "bob"), None, 5, 0),
    );
    let mut pool = Mempool::new();
    for transaction in [&gone, &back, &gone] {
        pool.drop_for(transaction.txid(), transaction.clone(), PoolError::PushedOut);
    }
    pool.add(&chain, back, peer(9)).unwrap();
    let told: Vec<_> = pool.take_dropped().into_iter().map(|departed| departed.txid).collect();
    assert_eq!(told, [gone.txid()]);
    assert_eq!(pool.take_dropped(), []);
}
