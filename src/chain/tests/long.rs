//! Long switches: step by step, cut off in the middle, and ended by a block that breaks a rule.

use crate::chain::memory_store::MemoryStore;
use crate::chain::{AcceptError, Accepted, Block, Chain, ChainStore, LongStep, NetworkParams, Transaction};
use crate::pool::{Mempool, Origin, Rebuild};
use crate::testing::blocks::*;
use crate::types::{Account, Height, Txid};

/// A branch above genesis that pays to new names, one in each block.
fn paying(params: &NetworkParams, miner: u8, length: u64, spoilt: Option<u64>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for number in 0..length {
        let parent = blocks
            .last()
            .map_or_else(|| params.genesis(), |block| block.header.clone());
        let to = format!("m{miner}-{number}");
        let sequence = if spoilt == Some(number) { 99 } else { number };
        let payment = pay(params, 1, ("alice", &to), None, 1, sequence);
        blocks.push(mine(params, &parent, miner, vec![payment]));
    }
    blocks
}

fn shown(chain: &Chain<MemoryStore>) -> String {
    format!("{:?} {:?}", chain.tip(), chain.accounts(99))
}

/// A chain whose branch is one block shorter than another stored one; every switch is long and holds one entry.
fn before(winning: &[Block]) -> (Chain<MemoryStore>, MemoryStore) {
    let params = NetworkParams::dev();
    let (mut chain, store) = open(params.clone());
    chain.set_long(0, 1);
    chain.set_own_key(key(1).public());
    let length = winning.len() - 1;
    // At equal work the smaller hash wins: then the switch would begin a block earlier.
    let branches = (10..).map(|miner| paying(&params, miner, u64::try_from(length).unwrap(), None));
    let mut losing = branches.filter(|losing| losing[length - 1].hash() < winning[length - 1].hash());
    for block in losing.next().unwrap() {
        advance(&mut chain, &block);
    }
    for block in winning {
        assert!(matches!(
            chain.accept(block.clone(), CLOCK),
            Ok(Accepted::Stored { .. })
        ));
    }
    commit(&mut chain, &store);
    (chain, store)
}

#[test]
fn a_long_switch_is_one_step_for_whoever_looks_and_a_crash_in_it_leaves_the_old_branch() {
    let params = NetworkParams::dev();
    let winning = paying(&params, 2, 6, None);
    let (mut chain, store) = before(&winning);
    let old = shown(&chain);
    let mut crashes = Vec::new();
    let mut steps = 0;
    let switch = loop {
        match chain.step_switch().unwrap() {
            LongStep::Done(switch) => break switch,
            LongStep::Waiting => commit(&mut chain, &store),
            LongStep::Working => {
                steps += 1;
                assert_eq!(shown(&chain), old, "step {steps}");
                if steps % 2 == 0 {
                    commit(&mut chain, &store);
                }
                crashes.push(store.copy());
            }
            LongStep::Idle => panic!("nothing to do after {steps} steps"),
        }
    };
    assert_eq!((switch.disconnected.len(), switch.connected.len()), (5, 6));
    assert!(steps > 11, "some only write entries of the ledger");
    // Held is little: what a step changes is beside the ledger, and own ones that wait again among the own ones.
    let last = crashes.last().unwrap();
    assert!(matches!(last.shadow(&name("m2-0")), Ok(Some(Some(_)))));
    assert!(last.own().unwrap().len() >= 4);
    assert_eq!(chain.tip().hash, winning[5].hash());
    assert_eq!(chain.account(&name("m2-0")).unwrap().balance, 1);
    // The new accounts are collected while the blocks join, because to read these blocks again would take too long for
    // one step.
    assert_eq!(young(&chain), ["m2-0", "m2-1", "m2-2", "m2-3", "m2-4", "m2-5"]);
    // All of the old branch's payments are own ones: they wait again.
    let own = own_ids(&chain);
    assert_eq!(own.len(), 5);
    commit(&mut chain, &store);
    assert!(settle(&mut chain, &store) >= 5, "one entry in a batch");
    let new = shown(&chain);
    assert_ne!(new, old);
    crashes.push(store);
    let whole = crashes.len() - 1;
    for (at, store) in crashes.into_iter().enumerate() {
        let mut chain = Chain::open(params.clone(), store.clone(), [7; 32]).unwrap();
        chain.set_long(0, 1);
        chain.set_own_key(key(1).public());
        assert_eq!(
            shown(&chain),
            if at == whole { new.clone() } else { old.clone() },
            "crash {at}"
        );
        // It is made anew, from the start.
        loop {
            match chain.step_switch().unwrap() {
                LongStep::Idle => break,
                _ => commit(&mut chain, &store),
            }
        }
        assert_eq!(shown(&chain), new, "crash {at}");
        assert_eq!(own_ids(&chain), own, "crash {at}");
        let gone = Account::Name(word("m2-9"));
        assert_eq!(
            (store.account(&gone), store.shadow(&gone)),
            (Ok(None), Ok(None)),
            "crash {at}"
        );
    }
}

/// The paid names that count as new accounts.
fn young(chain: &Chain<MemoryStore>) -> Vec<String> {
    let all = chain.young_accounts().into_iter().map(ToString::to_string);
    all.filter(|name| name.starts_with("m2-")).collect()
}

/// Moves the entries that a switch left beside the ledger to their places; returns the batches that this took.
fn settle(chain: &mut Chain<MemoryStore>, store: &MemoryStore) -> usize {
    let mut batches = 0;
    while chain.step_switch().unwrap() != LongStep::Idle {
        while let Some(batch) = chain.take_batch() {
            assert!(batch.accounts.is_empty() && batch.is_silent(), "nobody sees it");
            batches += usize::from(matches!(batch.beside, crate::chain::Beside::Settle(_)));
            store.commit(&batch);
            chain.committed(batch.id);
        }
    }
    batches
}

fn own_ids(chain: &Chain<MemoryStore>) -> Vec<Txid> {
    let own = chain.own().unwrap().into_iter();
    own.map(|(_, transaction)| transaction.txid()).collect()
}

#[test]
fn a_block_that_breaks_a_rule_in_a_long_switch_leaves_no_trace_but_that() {
    let params = NetworkParams::dev();
    for spoilt in [0, 4, 8] {
        let winning = paying(&params, 2, 9, Some(spoilt));
        let first_bad = usize::try_from(spoilt).unwrap();
        let (mut chain, store) = before(&winning);
        let waiting = pay(&params, 1, ("zoe", "alice"), None, 1, 0);
        chain.keep_own(&waiting);
        let old = shown(&chain);
        let error = loop {
            match chain.step_switch() {
                Ok(LongStep::Idle | LongStep::Done(_)) => panic!("it was accepted"),
                Ok(_) => commit(&mut chain, &store),
                Err(error) => break error,
            }
        };
        assert!(
            matches!(&error, AcceptError::Ledger { block, index: 1, .. } if *block == winning[first_bad].hash()),
            "{error}"
        );
        commit(&mut chain, &store);
        assert_eq!(
            (shown(&chain), own_ids(&chain)),
            (old.clone(), vec![waiting.txid()]),
            "block {spoilt}"
        );
        assert_eq!(chain.step_switch(), Ok(LongStep::Idle));
        for block in &winning[first_bad..] {
            assert_eq!(store.block(&block.hash()), Ok(None));
            let again = chain.accept(block.clone(), CLOCK);
            assert!(matches!(again, Err(AcceptError::KnownInvalid(_))), "{again:?}");
        }
        for block in &winning[..first_bad] {
            assert!(store.block(&block.hash()).unwrap().is_some());
        }
        for name in ["alice", "m2-0", "m2-4", "m2-8"] {
            assert_eq!(store.shadow(&Account::Name(word(name))), Ok(None));
        }
        let again = Chain::open(params.clone(), store.clone(), [7; 32]).unwrap();
        assert_eq!(
            (shown(&again), own_ids(&again)),
            (old, vec![waiting.txid()]),
            "block {spoilt}"
        );
    }
}

#[test]
fn the_pool_that_is_made_in_slices_before_the_last_step_is_the_one_that_is_made_at_once_after_it() {
    let params = NetworkParams::dev();
    let winning = paying(&params, 2, 6, None);
    let (mut chain, store) = before(&winning);
    let mut pool = Mempool::new();
    let waiting = |from: &str, sequence| pay(&params, 1, (from, "carol"), None, 1, sequence);
    for (transaction, origin) in [
        (waiting("dora", 0), Origin::Own),
        (waiting("dora", 1), Origin::Returned),
        // What the new branch has spent, what waits on the old one, and what is free on both.
        (waiting("alice", 5), Origin::Returned),
        (waiting("alice", 6), Origin::Returned),
        (waiting("erik", 0), Origin::Returned),
    ] {
        pool.add(&chain, transaction, origin).unwrap();
    }
    while chain.destination().is_none() {
        chain.step_switch().unwrap();
        commit(&mut chain, &store);
    }
    let own = |list: Vec<(u64, Transaction)>| list.into_iter().map(|(_, kept)| kept).collect::<Vec<_>>();
    let destination = chain.destination().unwrap();
    let ahead = own(destination.own().unwrap());
    let mut rebuild = Rebuild::new(&pool, destination.undone().iter(), &ahead);
    while !rebuild.step(&destination, 1) {}
    // It comes while the other pool is made, and is followed.
    pool.add(&chain, waiting("fred", 0), Origin::Returned).unwrap();
    rebuild.follow(&pool);
    assert!(rebuild.step(&destination, 1));
    let LongStep::Done(switch) = chain.step_switch().unwrap() else {
        panic!("it is not the last step");
    };
    let at_once = own(chain.own().unwrap());
    assert_eq!(ahead, at_once);
    assert!(!ahead.is_empty());
    let mut other = pool.clone();
    let (made, expected) = (rebuild.finish(&mut pool), other.on_switch(&chain, &switch, &at_once));
    let ids = |pool: &Mempool| pool.all().map(Transaction::txid).collect::<Vec<_>>();
    assert_eq!((&made, ids(&pool)), (&expected, ids(&other)));
    assert_eq!((pool.digest(), pool.len()), (other.digest(), other.len()));
    assert!(pool.contains(&waiting("fred", 0).txid()) && pool.is_own(&waiting("dora", 0).txid()));
    assert!(!pool.contains(&waiting("alice", 5).txid()) && pool.contains(&waiting("alice", 6).txid()));
    assert!(pool.dropped_reason(&waiting("alice", 5).txid()).is_some());
}

#[test]
fn small_blocks_leave_and_join_many_in_a_step() {
    let params = NetworkParams::dev();
    let (mut chain, store) = open(params.clone());
    // Every switch is long, with the real limits of its steps.
    chain.long_limits.short_blocks = 0;
    for block in branch(&params, &params.genesis(), 3, 60) {
        advance(&mut chain, &block);
    }
    for block in branch(&params, &params.genesis(), 2, 61) {
        chain.accept(block, CLOCK).unwrap();
    }
    commit(&mut chain, &store);
    let mut steps = 0;
    let switch = loop {
        match chain.step_switch().unwrap() {
            LongStep::Done(switch) => break switch,
            LongStep::Working => steps += 1,
            LongStep::Waiting | LongStep::Idle => {}
        }
        commit(&mut chain, &store);
    };
    assert_eq!((switch.disconnected.len(), switch.connected.len()), (60, 61));
    assert!(steps <= 4, "{steps} steps for blocks without payments");
}

#[test]
fn blocks_that_come_during_a_long_switch_are_kept_and_followed_after_it() {
    let params = NetworkParams::dev();
    let winning = paying(&params, 2, 12, None);
    let (mut chain, store) = before(&winning[..9]);
    for block in &winning[9..] {
        assert_eq!(chain.step_switch(), Ok(LongStep::Working));
        assert!(matches!(
            chain.accept(block.clone(), CLOCK),
            Ok(Accepted::Stored { .. })
        ));
    }
    let own: Transaction = pay(&params, 1, ("alice", "zoe"), None, 1, 5);
    chain.keep_own(&own);
    let mut switches = 0;
    loop {
        match chain.step_switch().unwrap() {
            LongStep::Idle => break,
            LongStep::Done(_) => switches += 1,
            LongStep::Working | LongStep::Waiting => commit(&mut chain, &store),
        }
    }
    assert_eq!((switches, chain.tip().hash), (2, winning[11].hash()));
    assert!(chain.own().unwrap().iter().any(|(_, kept)| kept.txid() == own.txid()));
}

#[test]
fn a_rewind_during_a_long_switch_lets_it_begin_anew() {
    let params = NetworkParams::dev();
    let winning = paying(&params, 2, 6, None);
    for steps in [1, 4, 8, 11] {
        let (mut chain, store) = before(&winning);
        for _ in 0..steps {
            while chain.step_switch().unwrap() == LongStep::Waiting {
                commit(&mut chain, &store);
            }
        }
        commit(&mut chain, &store);
        let gone = chain.tip().hash;
        let switch = chain.rewind(Height::new(3)).unwrap();
        assert_eq!(
            (switch.disconnected.len(), switch.undone.iter().count()),
            (2, 2),
            "{steps}"
        );
        assert_eq!(
            (chain.is_switching(), chain.tip().header.height),
            (false, Height::new(3))
        );
        assert_eq!(chain.account(&name("alice")).unwrap().next_sequence, 3);
        // Those two wait again, and none that is still confirmed.
        assert_eq!(chain.own().unwrap().len(), 2, "{steps}");
        commit(&mut chain, &store);
        // A node that still has the block may send it again.
        assert_eq!((store.block(&gone), chain.is_invalid(&gone)), (Ok(None), false));
        let again = Chain::open(params.clone(), store.clone(), [7; 32]).unwrap();
        assert_eq!(shown(&again), shown(&chain), "{steps}");
        while chain.step_switch().unwrap() != LongStep::Idle {
            commit(&mut chain, &store);
        }
        assert_eq!(chain.tip().hash, winning[5].hash(), "{steps}");
        assert_eq!(chain.own().unwrap().len(), 5, "{steps}");
        let again = Chain::open(params.clone(), store, [7; 32]).unwrap();
        assert_eq!(shown(&again), shown(&chain), "{steps}");
    }
}

#[test]
fn whatever_is_held_the_ledger_is_that_of_the_new_branch_and_own_payments_wait_again_as_they_were_made() {
    let params = NetworkParams::dev();
    let own = |sequence| pay(&params, 1, ("alice", "bob"), None, 1, sequence);
    // Each block has more places than one batch takes.
    let mut winning: Vec<Block> = Vec::new();
    for number in 0..4 {
        let tip = winning
            .last()
            .map_or_else(|| params.genesis(), |block| block.header.clone());
        let payments = (0..4).map(|more| pay(&params, 2, ("carol", "dora"), None, 1, 4 * number + more));
        winning.push(mine(&params, &tip, 2, payments.collect()));
    }
    let (mut untouched, _) = open(params.clone());
    for block in &winning {
        advance(&mut untouched, block);
    }
    for held in [1, 3, 1_000] {
        let (mut chain, store) = open(params.clone());
        chain.set_long(0, held);
        chain.set_own_key(key(1).public());
        let mut parent = params.genesis();
        let made: Vec<Transaction> = (0..6).map(own).collect();
        for three in made.chunks(3) {
            let block = mine(&params, &parent, 9, three.to_vec());
            parent = block.header.clone();
            advance(&mut chain, &block);
        }
        for block in &winning {
            chain.accept(block.clone(), CLOCK).unwrap();
        }
        while chain.step_switch().unwrap() != LongStep::Idle {
            commit(&mut chain, &store);
        }
        commit(&mut chain, &store);
        assert_eq!(shown(&chain), shown(&untouched), "{held}");
        let ids: Vec<Txid> = made.iter().map(Transaction::txid).collect();
        assert_eq!(own_ids(&chain), ids, "{held}");
        for txid in winning.iter().flat_map(Block::txids).chain(ids.iter().copied()) {
            assert_eq!(chain.place(&txid), untouched.place(&txid), "{held}");
        }
        let again = Chain::open(params.clone(), store, [7; 32]).unwrap();
        assert_eq!((shown(&again), own_ids(&again)), (shown(&untouched), ids), "{held}");
    }
}
