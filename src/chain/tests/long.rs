//! Long switches: step by step, cut off in the middle, and ended by a block that breaks a rule.

use super::kit::*;
use crate::chain::memory_store::MemoryStore;
use crate::chain::{AcceptError, Accepted, Block, Chain, ChainStore, LongStep, NetworkParams, Transaction};
use crate::types::Account;

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

/// A chain on a branch of one block less than the one that is stored beside it; every switch is long and holds one entry.
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
    assert_eq!(steps, 11);
    assert_eq!(chain.tip().hash, winning[5].hash());
    assert_eq!(chain.account(&name("m2-0")).unwrap().balance, 1);
    // All of the old branch's payments are own ones: they wait again.
    assert_eq!(chain.own().unwrap().len(), 5);
    commit(&mut chain, &store);
    let new = shown(&chain);
    assert_ne!(new, old);
    assert_eq!(chain.step_switch(), Ok(LongStep::Idle));
    crashes.push(store);
    for (at, store) in crashes.into_iter().enumerate() {
        let mut chain = Chain::open(params.clone(), store.clone(), [7; 32]).unwrap();
        chain.set_long(0, 1);
        assert_eq!(
            shown(&chain),
            if at == 11 { new.clone() } else { old.clone() },
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
        let gone = Account::Name(word("m2-9"));
        assert_eq!(
            (store.account(&gone), store.shadow(&gone)),
            (Ok(None), Ok(None)),
            "crash {at}"
        );
    }
}

#[test]
fn a_block_that_breaks_a_rule_in_a_long_switch_leaves_no_trace_but_that() {
    let params = NetworkParams::dev();
    let winning = paying(&params, 2, 9, Some(6));
    let (mut chain, store) = before(&winning);
    let old = shown(&chain);
    let error = loop {
        match chain.step_switch() {
            Ok(LongStep::Idle | LongStep::Done(_)) => panic!("it was accepted"),
            Ok(_) => commit(&mut chain, &store),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, AcceptError::Ledger { block, index: 1, .. } if *block == winning[6].hash()),
        "{error}"
    );
    commit(&mut chain, &store);
    assert_eq!(shown(&chain), old);
    assert_eq!(chain.step_switch(), Ok(LongStep::Idle));
    for block in &winning[6..] {
        assert_eq!(store.block(&block.hash()), Ok(None));
        let again = chain.accept(block.clone(), CLOCK);
        assert!(matches!(again, Err(AcceptError::KnownInvalid(_))), "{again:?}");
    }
    assert!(store.block(&winning[5].hash()).unwrap().is_some());
    assert_eq!(store.shadow(&Account::Name(word("alice"))), Ok(None));
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
