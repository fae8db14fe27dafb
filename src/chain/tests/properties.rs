//! What holds for all inputs.

use proptest::collection::vec;
use proptest::prelude::*;

use crate::chain::ledger::Ledger;
use crate::chain::memory_store::MemoryStore;
use crate::chain::overlay::Overlay;
use crate::chain::{
    AcceptError, Accepted, Batch, Block, Chain, ChainStore, Header, LongStep, NetworkParams, Reward, Transaction,
};
use crate::pool::{Mempool, Origin};
use crate::testing::blocks::*;
use crate::types::{BlockHash, Height, Work};

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// A transaction of few names and keys, so that many of them meet: signer, from, to, owner, amount, sequence.
type Recipe = (u8, usize, usize, u8, u64, u64);

fn recipe() -> impl Strategy<Value = Recipe> {
    (1..4_u8, 0..4_usize, 1..4_usize, 0..4_u8, 1..600_u64, 0..4_u64)
}

fn cook(params: &NetworkParams, (signer, from, step, owner, amount, sequence): Recipe) -> Transaction {
    let to = NAMES[(from + step) % NAMES.len()];
    let owner = (owner > 0).then(|| key(owner).public());
    match amount % 5 {
        0 => claim(params, signer, NAMES[from]),
        _ => pay(params, signer, (NAMES[from], to), owner, amount, sequence),
    }
}

/// Completes a recipe so that it fits the chain and the pool, which makes many transactions valid.
fn cook_fitting<S: ChainStore>(chain: &Chain<S>, pool: &Mempool, recipe: Recipe) -> Transaction {
    let params = chain.params();
    let (signer, from, step, _, amount, gap) = recipe;
    let to = NAMES[(from + step) % NAMES.len()];
    let known = |text: &str| {
        chain
            .owner(&name(text))
            .unwrap()
            .or_else(|| pool.pending_owner(&word(text)))
    };
    let signer = (1..4)
        .find(|n| known(NAMES[from]) == Some(key(*n).public()))
        .unwrap_or(signer);
    let next = pool.next_sequence(chain, &name(NAMES[from])).unwrap();
    let sequence = next + u64::from(gap == 3);
    match amount % 5 {
        0 => claim(params, signer, NAMES[from]),
        _ => pay(params, signer, (NAMES[from], to), known(to), amount, sequence),
    }
}

/// The active chain's ledger, index and heights: all that a replay must give too.
fn state(chain: &Chain<MemoryStore>) -> impl PartialEq + std::fmt::Debug + use<> {
    let mut active: Vec<BlockHash> = Vec::new();
    let mut places = Vec::new();
    let mut height = Height::GENESIS;
    while let Some(hash) = chain.active(height).unwrap() {
        let block = Block::from_bytes(&chain.body(&hash).unwrap().unwrap()).unwrap();
        places.extend(block.txids().iter().map(|txid| chain.place(txid).unwrap().unwrap()));
        active.push(hash);
        height = height.next();
    }
    (chain.accounts(usize::MAX).unwrap(), places, active, chain.tip().clone())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// L27: undoing any block restores the ledger byte for byte; coins are created only by rewards.
    #[test]
    fn undo_after_apply_is_identity(first in vec(recipe(), 0..30), second in vec(recipe(), 0..30)) {
        let params = NetworkParams::lan();
        let store = MemoryStore::new(&params);
        let mut undos = Vec::new();
        for (rewards, recipes) in (1..).zip([first, second]) {
            let before = store.copy();
            let reader = Overlay::new(store.clone());
            let mut ledger = Ledger::new(&params, &reader);
            let reward = Transaction::Reward(Reward { to: wallet(1), height: Height::new(1) });
            let offered = std::iter::once(reward).chain(recipes.into_iter().map(|recipe| cook(&params, recipe)));
            // What is refused is in no block.
            let transactions = offered.filter(|transaction| ledger.apply(transaction).is_ok()).collect();
            store.commit(&Batch { accounts: ledger.finish(), ..Batch::default() });
            undos.push((before, Block { header: params.genesis(), transactions }));
            let (_, all) = store.accounts(usize::MAX).unwrap();
            prop_assert_eq!(all.iter().map(|(_, state)| state.balance).sum::<i64>(), rewards);
            prop_assert!(all.iter().all(|(_, state)| state.balance >= -1_000));
        }
        for (before, block) in undos.into_iter().rev() {
            let reader = Overlay::new(store.clone());
            let mut ledger = Ledger::new(&params, &reader);
            ledger.revert_block(&block).unwrap();
            store.commit(&Batch { accounts: ledger.finish(), ..Batch::default() });
            prop_assert_eq!(&store, &before);
        }
    }
}

/// A tree of blocks, some of them with transactions that their branch refuses.
fn grow(params: &NetworkParams, plan: Vec<(usize, u64, Vec<Recipe>)>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (miner, (parent, later, recipes)) in (1_u8..).zip(plan) {
        // Near the end, so that branches get long; genesis is one of the choices.
        let parent = match blocks.len().checked_sub(parent + 1) {
            Some(index) => blocks[index].header.clone(),
            None => params.genesis(),
        };
        let content = recipes.into_iter().map(|recipe| cook(params, recipe)).collect();
        blocks.push(mine_after(params, &parent, later, miner, content));
    }
    blocks
}

/// The best of all blocks whose whole branch is valid, found by replaying each branch from genesis alone.
fn best_by_replay(params: &NetworkParams, blocks: &[Block]) -> BlockHash {
    let genesis = params.genesis();
    let mut best = (Work::ZERO, genesis.hash());
    for block in blocks {
        let mut path = vec![block];
        while let Some(parent) = blocks.iter().find(|b| b.hash() == path[path.len() - 1].header.previous) {
            path.push(parent);
        }
        let reader = Overlay::new(MemoryStore::new(params));
        let mut ledger = Ledger::new(params, &reader);
        if !path.iter().rev().all(|block| ledger.apply_block(block).is_ok()) {
            continue;
        }
        let parents: Vec<&Header> = path[1..].iter().map(|block| &block.header).chain([&genesis]).collect();
        let work = parents
            .iter()
            .fold(Work::ZERO, |sum, parent| sum.plus(Header::weight(parent, params)));
        if work > best.0 || (work == best.0 && block.hash() < best.1) {
            best = (work, block.hash());
        }
    }
    best.1
}

/// Makes all steps of long switches that are possible.
fn finish_switches(chain: &mut Chain<MemoryStore>, store: &MemoryStore) {
    loop {
        let before = (chain.tip().clone(), chain.accounts(usize::MAX));
        match chain.step_switch() {
            Ok(LongStep::Idle) => return,
            Ok(LongStep::Waiting) => commit(chain, store),
            // Readers see the old branch.
            Ok(LongStep::Working) => assert_eq!((chain.tip().clone(), chain.accounts(usize::MAX)), before),
            Ok(LongStep::Done(_)) => assert_ne!(chain.tip(), &before.0),
            Err(error) => {
                assert!(matches!(error, AcceptError::Ledger { .. }), "{error}");
                assert_eq!((chain.tip().clone(), chain.accounts(usize::MAX)), before);
            }
        }
    }
}

/// Delivers blocks in an order; those without a parent are tried again after each success. With `held`, every switch is
/// a long one that holds at most this many ledger entries.
fn deliver(
    params: &NetworkParams,
    blocks: &[Block],
    order: &[usize],
    commits: &[bool],
    held: Option<usize>,
) -> Chain<MemoryStore> {
    let (mut chain, store) = open(params.clone());
    if let Some(held) = held {
        chain.set_long(0, held);
    }
    let mut waiting: Vec<&Block> = Vec::new();
    for (index, due) in order.iter().zip(commits.iter().cycle()) {
        waiting.push(&blocks[*index]);
        loop {
            let count = waiting.len();
            waiting.retain(|block| {
                let accepted = chain.accept((*block).clone(), CLOCK);
                finish_switches(&mut chain, &store);
                matches!(accepted, Err(AcceptError::UnknownParent { .. }))
            });
            if waiting.len() == count {
                break;
            }
        }
        if *due {
            commit(&mut chain, &store);
            assert_eq!(store.tip().unwrap().1, chain.tip().hash);
        }
    }
    chain
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// In whatever order the blocks arrive, all nodes end on the best valid branch, with the ledger of a replay.
    #[test]
    fn any_order_of_arrival_ends_on_the_same_tip(
        plan in vec((0..4_usize, 0..30_000_u64, vec(recipe(), 0..2)), 1..12),
        keys in vec(any::<u64>(), 12),
        commits in vec(any::<bool>(), 4),
    ) {
        let params = NetworkParams::lan();
        let blocks = grow(&params, plan);
        let mut shuffled: Vec<usize> = (0..blocks.len()).collect();
        shuffled.sort_by_key(|index| keys[*index]);
        let forward: Vec<usize> = (0..blocks.len()).collect();
        let one = deliver(&params, &blocks, &forward, &commits, None);
        let two = deliver(&params, &blocks, &shuffled, &commits, None);
        prop_assert_eq!(one.tip().hash, best_by_replay(&params, &blocks));
        prop_assert_eq!(state(&one), state(&two));
        // Long switches lead where short ones do, however little they hold.
        for held in [0, 2, 1_000] {
            prop_assert_eq!(state(&deliver(&params, &blocks, &shuffled, &commits, Some(held))), state(&one));
        }
        // A chain that never saw another branch has the same state.
        let mut path = Vec::new();
        let mut at = one.tip().hash;
        while let Some(index) = blocks.iter().position(|block| block.hash() == at) {
            path.push(index);
            at = blocks[index].header.previous;
        }
        path.reverse();
        prop_assert_eq!(state(&deliver(&params, &blocks, &path, &commits, None)), state(&one));
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(Recipe, u8),
    Forge,
    /// A rival's block on the tip, with transactions of its own.
    Rival(Vec<Recipe>),
    /// Empty blocks from below the tip, until they win.
    Reorganise(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (recipe(), 0..3_u8).prop_map(|(recipe, origin)| Step::Add(recipe, origin)),
        2 => Just(Step::Forge),
        2 => vec(recipe(), 0..3).prop_map(Step::Rival),
        1 => (1..4_usize).prop_map(Step::Reorganise),
    ]
}

/// The properties that every pool has on every tip.
fn check_pool(chain: &mut Chain<MemoryStore>, pool: &mut Mempool) {
    for transaction in pool.all() {
        let (account, sequence) = transaction.sequence().unwrap();
        let state = chain.account(&account).unwrap();
        assert!(
            sequence >= state.next_sequence,
            "confirmed or replaced, and still in the pool"
        );
        assert!(
            state.owner.is_none_or(|owner| Some(owner) == transaction.signer()),
            "not the owner"
        );
        assert_eq!(chain.place(&transaction.txid()).unwrap(), None);
    }
    assert_eq!(
        pool.clone().rebuild(chain, &[], &[]).dropped,
        [],
        "the tip refuses what the pool holds"
    );
}

fn settle(chain: &Chain<MemoryStore>, pool: &mut Mempool, outcome: Result<Accepted, AcceptError>) {
    if let Ok(Accepted::Switched(switch)) = outcome {
        let own: Vec<_> = chain.own().unwrap().into_iter().map(|(_, tx)| tx).collect();
        let before: Vec<_> = pool.all().map(Transaction::txid).collect();
        let change = pool.on_switch(chain, &switch, &own);
        for txid in before {
            let named = change.dropped.iter().any(|(dropped, _)| *dropped == txid);
            let known = pool.contains(&txid) || chain.place(&txid).unwrap().is_some() || named;
            assert!(known, "a transaction vanished without a word");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// After every step the pool holds only what the tip allows, its order makes a valid block, own ones survive.
    #[test]
    fn pool_never_holds_what_the_tip_refuses(steps in vec(step(), 1..30)) {
        let (mut chain, _) = dev();
        let params = NetworkParams::dev();
        let mut pool = Mempool::new();
        chain.set_own_key(key(1).public());
        let mut own: Vec<Transaction> = Vec::new();
        for step in steps {
            match step {
                Step::Add(recipe, origin) => {
                    let transaction = cook_fitting(&chain, &pool, recipe);
                    let ours = transaction.signer() == Some(key(1).public());
                    let origin = if ours { Origin::Own } else { Origin::Peer(key(origin + 1).public().peer_id().into()) };
                    if pool.add(&chain, transaction.clone(), origin).is_ok() && ours {
                        chain.keep_own(&transaction);
                        own.push(transaction);
                    }
                }
                Step::Forge => {
                    let count = pool.in_block_order(&chain, &wallet(1)).len();
                    let block = forge(&mut chain, &mut pool, 1);
                    prop_assert_eq!(block.transactions.len(), count + 1);
                }
                Step::Rival(recipes) => {
                    let mut content = Vec::new();
                    let mut scratch = chain.scratch();
                    for recipe in recipes {
                        let transaction = cook_fitting(&chain, &Mempool::new(), recipe);
                        if scratch.apply(&transaction).is_ok() {
                            content.push(transaction);
                        }
                    }
                    drop(scratch);
                    let block = mine(&params, &chain.tip().header.clone(), 2, content);
                    let outcome = chain.accept(block, CLOCK);
                    prop_assert!(outcome.is_ok());
                    settle(&chain, &mut pool, outcome);
                }
                Step::Reorganise(depth) => {
                    let depth = u64::try_from(depth).unwrap().min(chain.tip().header.height.get());
                    let fork = Height::new(chain.tip().header.height.get() - depth);
                    let fork = chain.active(fork).unwrap().unwrap();
                    let from = chain.block(&fork).unwrap().unwrap().header;
                    for block in branch(&params, &from, 3, usize::try_from(depth).unwrap() + 1) {
                        let outcome = chain.accept(block, CLOCK);
                        settle(&chain, &mut pool, outcome);
                    }
                }
            }
            check_pool(&mut chain, &mut pool);
            // Own ones: confirmed, waiting, or kept for another branch; never forgotten.
            let kept: Vec<_> = chain.own().unwrap().into_iter().map(|(_, tx)| tx.txid()).collect();
            for transaction in &own {
                let txid = transaction.txid();
                prop_assert!(kept.contains(&txid) != chain.place(&txid).unwrap().is_some());
            }
        }
    }
}
