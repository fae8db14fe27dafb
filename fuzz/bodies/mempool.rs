//! The pool between blocks: what it takes against the written rules (`proto-notes/mempool.md`), what it says of itself
//! against sums over what it holds, and what it makes of every new tip.

use std::collections::BTreeSet;

use super::bytes::Bytes;
use super::world::{CLOCK, Entry, Model, account, cook, encoded, entries, key, mine, wallet};
use crate::chain::memory_store::MemoryStore;
use crate::chain::{Accepted, Block, Chain, Header, NetworkParams, Recipients, Switch, Transaction};
use crate::pool::{Mempool, Origin};
use crate::types::{Account, Height, PublicKey, Txid};

/// Blocks of one input: each may need 2^16 hashes.
const BLOCKS_MAX: usize = 5;
const STEPS_MAX: usize = 120;

struct Script {
    params: NetworkParams,
    chain: Chain<MemoryStore>,
    pool: Mempool,
    /// What the pool must hold, as it came.
    waiting: Vec<Transaction>,
    ledger: Model,
    blocks: usize,
}

pub(super) fn mempool(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let params = if bytes.one_in(2) {
        NetworkParams::dev()
    } else {
        NetworkParams::coin()
    };
    let store = MemoryStore::new(&params);
    let mut script = Script {
        chain: Chain::open(params.clone(), store, [7; 32]).unwrap(),
        pool: Mempool::new(),
        waiting: Vec::new(),
        ledger: Model::new(&params),
        params,
        blocks: 0,
    };
    for _ in 0..STEPS_MAX {
        if bytes.is_empty() {
            break;
        }
        match bytes.u8() % 16 {
            0 if script.blocks < BLOCKS_MAX => script.forge(&mut bytes),
            1 if script.blocks + 3 <= BLOCKS_MAX => script.reorganise(bytes.below(2)),
            _ => script.add(&mut bytes),
        }
    }
    script.check();
}

impl Script {
    fn add(&mut self, bytes: &mut Bytes<'_>) {
        // Half of the transactions fit behind what waits, the others the tip.
        let at = if bytes.one_in(2) {
            self.behind_the_pool()
        } else {
            self.ledger.clone()
        };
        let Some(mut transaction) = cook(bytes, &self.params, &at) else {
            return;
        };
        let way = bytes.u8();
        if let (Transaction::Transfer(transfer), true) = (&mut transaction, way >= 248) {
            transfer.signature.0[5] ^= 1;
        }
        let origin = match way % 8 {
            0 => Origin::Own,
            1 => Origin::Returned,
            _ => Origin::Peer(key(usize::from(way / 8)).public().peer_id().into()),
        };
        let expected = self.takes(&transaction, origin);
        let said = self.pool.add(&self.chain, transaction.clone(), origin);
        assert_eq!(said.is_ok(), expected, "{said:?} {transaction:?} {origin:?}");
        if expected {
            // Who claims a name first shuts out what others queued behind a gap.
            let (account, sequence) = transaction.sequence().unwrap();
            let signer = transaction.signer();
            let before = self.waiting.len();
            self.waiting
                .retain(|other| sequence != 0 || other.sequence().unwrap().0 != account || other.signer() == signer);
            let rivals = before - self.waiting.len();
            let fills_gap = self.queue(&account).iter().any(|(place, _)| *place > sequence);
            self.waiting.push(transaction);
            if rivals > 0 || fills_gap {
                // Whoever counted on what they paid loses as much, and who stands behind a gap that was filled has less;
                // nothing else may leave, and nothing changes places.
                let left: BTreeSet<Txid> = self.pool.all().map(Transaction::txid).collect();
                self.waiting.retain(|other| left.contains(&other.txid()));
            }
        }
        assert!(self.waiting.iter().eq(self.pool.all()));
    }

    /// What the ledger may look like once what waits is confirmed: sequences and owners.
    fn behind_the_pool(&self) -> Model {
        let mut model = self.ledger.clone();
        for transaction in &self.waiting {
            let (account, sequence) = transaction.sequence().unwrap();
            let entry: &mut Entry = model.ledger.entries.entry(encoded(&account)).or_default();
            entry.sequence = entry.sequence.max(sequence.saturating_add(1));
            if sequence == 0 && matches!(account, Account::Name(_)) {
                entry.owner = transaction.signer().map(|key| *key.as_bytes());
            }
        }
        model
    }

    /// The transactions of an account that wait.
    fn queue(&self, account: &Account) -> Vec<(u64, &Transaction)> {
        let of = |transaction: &Transaction| transaction.sequence().filter(|(from, _)| from == account);
        self.waiting.iter().filter_map(|tx| Some((of(tx)?.1, tx))).collect()
    }

    fn pending_owner(&self, account: &Account) -> Option<PublicKey> {
        let queue = self.queue(account);
        let first = queue.iter().find(|(sequence, _)| *sequence == 0);
        first.and_then(|(_, transaction)| transaction.signer())
    }

    fn next_free(&self, account: &Account) -> u64 {
        let used: BTreeSet<u64> = self.queue(account).into_iter().map(|(sequence, _)| sequence).collect();
        (self.ledger.entry(account).sequence..)
            .find(|sequence| !used.contains(sequence))
            .unwrap()
    }

    /// What everybody who waits pays to an account.
    fn incoming(&self, to: &Account) -> i128 {
        let paid = |transaction: &Transaction| match transaction {
            Transaction::Transfer(transfer) if transfer.to == *to => i128::from(transfer.amount.get()),
            Transaction::Transfer(_) | Transaction::Claim(_) | Transaction::Reward(_) => 0,
        };
        self.waiting.iter().map(paid).sum()
    }

    /// What an account pays by those that wait, below a sequence.
    fn outgoing(&self, from: &Account, below: u64) -> i128 {
        let amount = |transaction: &Transaction| match transaction {
            Transaction::Transfer(transfer) => i128::from(transfer.amount.get()),
            Transaction::Claim(_) | Transaction::Reward(_) => 0,
        };
        let queue = self.queue(from);
        queue
            .iter()
            .filter(|(sequence, _)| *sequence < below)
            .map(|(_, tx)| amount(tx))
            .sum()
    }

    /// The written rules.
    fn takes(&self, transaction: &Transaction, origin: Origin) -> bool {
        let (Some((account, sequence)), Some(signer)) = (transaction.sequence(), transaction.signer()) else {
            return false;
        };
        let entry = self.ledger.entry(&account);
        let owner = self.ledger.owner(&account);
        let queue = self.queue(&account);
        let owner_fits = match (owner, transaction) {
            (Some(_), Transaction::Claim(_)) => false,
            (Some(owner), _) => owner == signer,
            (None, _) => self.pending_owner(&account).is_none_or(|owner| owner == signer),
        };
        let place_is_free = sequence >= entry.sequence && queue.iter().all(|(taken, _)| *taken != sequence);
        let stranger = matches!(origin, Origin::Peer(_));
        let is_half_full = self.waiting.len() > 5_000;
        let room = !stranger
            || ((queue.len() < 64 || !is_half_full) && sequence.saturating_sub(self.next_free(&account)) <= 16);
        let signed = transaction.check_signature(&self.params.network_id()).is_ok();
        let confirmed = self.chain.place(&transaction.txid()).unwrap().is_some();
        let pays = match transaction {
            Transaction::Transfer(transfer) => {
                let payee = self.ledger.owner(&transfer.to);
                let claimed = payee.or_else(|| self.pending_owner(&transfer.to));
                let payee_fits = transfer.to_owner == payee || transfer.to_owner == claimed;
                let payable = self.params.recipients == Recipients::Anyone || transfer.to_owner.is_some();
                let before = entry.balance + self.incoming(&account) - self.outgoing(&account, sequence);
                let left = before - i128::from(transfer.amount.get());
                payee_fits && payable && left >= -i128::from(self.params.credit_limit)
            }
            Transaction::Claim(_) | Transaction::Reward(_) => true,
        };
        owner_fits && place_is_free && room && signed && !confirmed && pays
    }

    /// A block of what the pool chose, or of something else.
    fn forge(&mut self, bytes: &mut Bytes<'_>) {
        let miner = bytes.below(4);
        let mut content = self.pool.in_block_order(&self.chain, &wallet(miner));
        if bytes.one_in(4) {
            content.truncate(content.len() / 2);
            let at = self.ledger.apply_all(&content).unwrap_or_else(|| self.ledger.clone());
            let stranger = cook(bytes, &self.params, &at);
            let fits = |tx: &Transaction| at.clone().apply(tx).is_ok() && self.ledger.apply_all(&content).is_some();
            content.extend(stranger.filter(fits));
        }
        let tip = self.chain.tip().header.clone();
        let block = mine(&self.params, &tip, 10_000, miner, content);
        self.accept(block);
    }

    /// Empty blocks from below the tip, until they win.
    fn reorganise(&mut self, depth: usize) {
        let height = self.chain.tip().header.height.get();
        let fork = height.saturating_sub(u64::try_from(depth).unwrap() + 1);
        let fork = self.chain.active(Height::new(fork)).unwrap().unwrap();
        let mut parent: Header = self.chain.block(&fork).unwrap().unwrap().header;
        while self.chain.tip().header.height.get() >= parent.height.get() && self.blocks < BLOCKS_MAX {
            let block = mine(&self.params, &parent, 7_000, 3, vec![]);
            parent = block.header.clone();
            self.accept(block);
        }
    }

    fn accept(&mut self, block: Block) {
        self.blocks += 1;
        match self.chain.accept(block, CLOCK) {
            Ok(Accepted::Switched(switch)) => self.follow(&switch),
            Ok(Accepted::Stored { .. } | Accepted::AlreadyKnown) => {}
            Err(error) => panic!("a block of what fits is refused: {error}"),
        }
    }

    fn follow(&mut self, switch: &Switch) {
        let before: Vec<Txid> = self.waiting.iter().map(Transaction::txid).collect();
        let change = self.pool.on_switch(&self.chain, switch, &[]);
        self.waiting = self.pool.all().cloned().collect();
        self.ledger = Model::new(&self.params);
        let accounts = self.chain.accounts(1_000).unwrap().1;
        self.ledger.ledger.entries = entries(accounts.iter().map(|(account, state)| (account, state)));
        assert_eq!(switch.undone.beyond(), 0);
        let lost = switch.undone.iter().map(Transaction::txid);
        for txid in before.into_iter().chain(lost) {
            let named = change.dropped.iter().any(|(dropped, _)| *dropped == txid);
            let confirmed = self.chain.place(&txid).unwrap().is_some();
            let ways = usize::from(self.pool.contains(&txid)) + usize::from(confirmed) + usize::from(named);
            assert_eq!(ways, 1, "a transaction vanished, or is in two places");
        }
        for transaction in &self.waiting {
            let (account, sequence) = transaction.sequence().unwrap();
            assert!(sequence >= self.ledger.entry(&account).sequence);
            assert!(
                self.ledger
                    .owner(&account)
                    .is_none_or(|owner| Some(owner) == transaction.signer())
            );
        }
        // A check of everything that waits finds no more to drop than the look at what the blocks touched.
        assert_eq!(self.pool.clone().rebuild(&self.chain, &[], &[]).dropped, []);
        self.check();
    }

    /// What the pool says of itself, and that its order makes a block.
    fn check(&self) {
        let mut ids: Vec<Txid> = self.waiting.iter().map(Transaction::txid).collect();
        let digest = ids.iter().fold(0, |digest, txid| {
            digest ^ u64::from_be_bytes(txid.as_bytes()[..8].try_into().unwrap())
        });
        assert_eq!((self.pool.len(), self.pool.digest()), (ids.len(), digest));
        ids.sort_unstable();
        let listed: Vec<Txid> = self.pool.after(&Txid::ZERO).map(Transaction::txid).collect();
        assert_eq!(listed, ids);
        for choice in 0..9 {
            let account = account(choice);
            assert_eq!(
                self.pool.next_sequence(&self.chain, &account).unwrap(),
                self.next_free(&account)
            );
            let all = self.outgoing(&account, u64::MAX) + self.paid_at_the_end(&account);
            let balance = self.ledger.entry(&account).balance + self.incoming(&account) - all;
            let told = i128::from(self.pool.pending_balance(&self.chain, &account).unwrap());
            assert_eq!(told, balance.clamp(i64::MIN.into(), i64::MAX.into()));
            if let Account::Name(name) = &account {
                assert_eq!(self.pool.pending_owner(name), self.pending_owner(&account));
            }
        }
        let content = self.pool.in_block_order(&self.chain, &wallet(0));
        let chosen: BTreeSet<Txid> = content.iter().map(Transaction::txid).collect();
        assert_eq!(chosen.len(), content.len());
        assert!(chosen.iter().all(|txid| self.pool.contains(txid)));
        let tip = &self.chain.tip().header;
        let block = mine_plan(tip, content);
        assert!(
            self.ledger.apply_all(&block).is_some(),
            "the pool's order makes no block"
        );
    }

    /// What an account pays with the largest sequence of all.
    fn paid_at_the_end(&self, from: &Account) -> i128 {
        let queue = self.queue(from);
        let last = queue.iter().find(|(sequence, _)| *sequence == u64::MAX);
        last.map_or(0, |(_, transaction)| match transaction {
            Transaction::Transfer(transfer) => i128::from(transfer.amount.get()),
            Transaction::Claim(_) | Transaction::Reward(_) => 0,
        })
    }
}

/// The reward of the first wallet, and what follows it.
fn mine_plan(tip: &Header, content: Vec<Transaction>) -> Vec<Transaction> {
    let reward = crate::chain::Reward {
        to: wallet(0),
        height: tip.height.next(),
    };
    [vec![Transaction::Reward(reward)], content].concat()
}
