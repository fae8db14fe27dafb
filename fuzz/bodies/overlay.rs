//! Changes over a store, in layers that are kept, handed over, committed or lost: every read against plain maps.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::Bytes;
use super::world::{account, key};
use crate::chain::ledger::Accounts;
use crate::chain::memory_store::MemoryStore;
use crate::chain::overlay::Overlay;
use crate::chain::{AccountState, Batch, ChainStore, NetworkParams, Spot, TxPlace};
use crate::types::{Account, BlockHash, Height, Txid};

/// What can be read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Maps {
    accounts: BTreeMap<Account, AccountState>,
    places: BTreeSet<(Txid, Spot)>,
    active: BTreeMap<Height, BlockHash>,
    side: BTreeMap<BlockHash, ()>,
    own: BTreeMap<Txid, (u64, Vec<u8>)>,
}

fn write<K: Ord + Clone, V: Clone>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

/// Ids that begin with the bytes of the own transactions in this script: the id is a copy of them.
fn id_of(bytes: &[u8]) -> Option<Txid> {
    Some(Txid::new(bytes.try_into().ok()?))
}

struct Script {
    overlay: Overlay<MemoryStore>,
    store: MemoryStore,
    /// With the running step; without it; on the disk, behind each batch that is on its way.
    now: Maps,
    kept: Maps,
    disk: Maps,
    taken: Vec<(Batch, Maps)>,
}

pub(super) fn overlay(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let params = NetworkParams::dev();
    let store = MemoryStore::new(&params);
    let mut start = Maps::default();
    start.active.insert(Height::GENESIS, params.genesis().hash());
    let mut script = Script {
        overlay: Overlay::new(store.clone()),
        store,
        now: start.clone(),
        kept: start.clone(),
        disk: start,
        taken: Vec::new(),
    };
    let mut steps = 0;
    while !bytes.is_empty() && steps < 200 {
        steps += 1;
        script.step(&mut bytes);
        script.check();
    }
}

impl Script {
    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let way = bytes.u8();
        match way % 16 {
            0..=9 => self.change(way % 16, bytes),
            10 | 11 => {
                self.overlay.keep();
                self.kept = self.now.clone();
            }
            12 => {
                self.overlay.discard();
                self.now = self.kept.clone();
            }
            13 => {
                if let Some(batch) = self.overlay.take_batch() {
                    assert!(!batch.is_empty());
                    assert!(self.taken.last().is_none_or(|(last, _)| last.id < batch.id));
                    self.taken.push((batch, self.kept.clone()));
                }
            }
            14 => {
                // The disk takes some of the batches, in order, and says so once.
                let count = bytes.below(self.taken.len() + 1);
                let mut last = 0;
                for (batch, after) in self.taken.drain(..count) {
                    self.store.commit(&batch);
                    self.disk = after;
                    last = batch.id;
                }
                self.overlay.committed(last);
            }
            _ => {
                self.overlay.reset();
                self.taken.clear();
                self.kept = self.disk.clone();
                self.now = self.disk.clone();
            }
        }
    }

    fn change(&mut self, way: u8, bytes: &mut Bytes<'_>) {
        let number = bytes.u8();
        let there = !bytes.one_in(3);
        let draft = self.overlay.draft();
        let id = [number % 4; 32];
        match way {
            0..=3 => {
                let account = account(usize::from(number % 9));
                let owner = match &account {
                    Account::Name(_) if number >= 128 => Some(key(usize::from(number)).public()),
                    Account::Name(_) | Account::Key(_) => None,
                };
                let state = AccountState {
                    balance: i64::from(number),
                    next_sequence: u64::from(number),
                    owner,
                };
                let state = there.then_some(state);
                draft.accounts.insert(account.clone(), state.clone());
                write(&mut self.now.accounts, account, state);
            }
            4 | 5 => {
                // In a block that may be active at that height, or come and go.
                let place = TxPlace {
                    height: Height::new(1 + u64::from(number % 4)),
                    index: 0,
                };
                let spot = Spot::new(&BlockHash::new(id), place);
                draft.places.insert((Txid::new(id), spot));
                self.now.places.insert((Txid::new(id), spot));
            }
            6 => {
                let (height, hash) = (
                    Height::new(1 + u64::from(number % 4)),
                    there.then_some(BlockHash::new(id)),
                );
                draft.active.insert(height, hash);
                write(&mut self.now.active, height, hash);
            }
            7 => {
                draft.side.insert(BlockHash::new(id), there.then_some(()));
                write(&mut self.now.side, BlockHash::new(id), there.then_some(()));
            }
            _ => {
                // Running numbers are never used twice.
                let own = there.then(|| (u64::from(number % 4), id.to_vec()));
                draft.own.insert(Txid::new(id), own.clone());
                write(&mut self.now.own, Txid::new(id), own);
            }
        }
    }

    fn check(&self) {
        let (overlay, now) = (&self.overlay, &self.now);
        for choice in 0..9 {
            let account = account(choice);
            assert_eq!(overlay.account(&account).unwrap(), now.accounts.get(&account).cloned());
        }
        for limit in [0, 2, 100] {
            let (total, first) = overlay.accounts(limit).unwrap();
            assert_eq!(usize::try_from(total).unwrap(), now.accounts.len());
            let expected: Vec<_> = now.accounts.clone().into_iter().take(limit).collect();
            assert_eq!(first, expected);
        }
        for number in 0..4 {
            let txid = Txid::new([number; 32]);
            let counts =
                |(known, spot): &&(Txid, Spot)| *known == txid && spot.is_in(now.active.get(&spot.place.height));
            let place = now.places.iter().find(counts).map(|(_, spot)| spot.place);
            assert_eq!(overlay.place(&txid).unwrap(), place);
            let height = Height::new(number.into());
            assert_eq!(overlay.active(height).unwrap(), now.active.get(&height).copied());
        }
        let mut side = overlay.side().unwrap();
        side.sort_unstable();
        assert_eq!(side, now.side.keys().copied().collect::<Vec<_>>());
        let own: BTreeMap<u64, Vec<u8>> = now.own.values().cloned().collect();
        assert_eq!(overlay.own(id_of).unwrap(), own);
        assert_eq!(
            overlay.store().tip().unwrap().0,
            *self.disk.active.last_key_value().unwrap().0
        );
    }
}
