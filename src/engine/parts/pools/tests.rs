//! The comparison of pools by itself: facts in, orders out.

use super::io::{SLICE, SLOW_MS};
use super::side::READ_AHEAD_MS;
use super::*;
use crate::chain::Transaction;
use crate::chain::memory_store::MemoryStore;
use crate::chain::{Chain, NetworkParams};
use crate::pool::mempool::Origin;
use crate::testing::keys::{key, peer};
use crate::types::{Account, AccountName, Amount};

const fn at(ms: u64) -> Time {
    Time::from_ms(ms)
}

fn payment(from: &str, sequence: u64) -> Transaction {
    let name = |text| Account::Name(AccountName::new(text).unwrap());
    let network = NetworkParams::dev().network_id();
    Transaction::transfer(
        &network,
        &key(1),
        (name(from), name("bank"), None),
        Amount::ONE,
        sequence,
    )
    .unwrap()
}

/// A comparison with the own pool, whose peers are all free.
struct Bench {
    chain: Chain<MemoryStore>,
    pool: Mempool,
    pools: Pools,
    now: Time,
}

impl Bench {
    fn new() -> Self {
        let params = NetworkParams::dev();
        let store = MemoryStore::new(&params);
        Self {
            chain: Chain::open(params, store, [1; 32]).unwrap(),
            pool: Mempool::new(),
            pools: Pools::new(),
            now: at(1_000),
        }
    }

    fn tell(&mut self, fact: Fact) {
        self.pools.handle(self.now, &self.pool, fact);
    }

    fn status(&mut self, number: u8, count: u32, digest: u64) {
        self.tell(Fact::Status {
            peer: peer(number),
            count,
            digest,
        });
    }

    fn page(&mut self, number: u8, after: [u8; 32], list: &[Transaction]) {
        let mut list = list.to_vec();
        list.sort_by_key(Transaction::txid);
        let list = list.iter().map(Transaction::to_bytes).collect();
        let peer = peer(number);
        self.tell(Fact::Page { peer, after, list });
    }

    fn add(&mut self, transaction: Transaction) -> bool {
        self.pool
            .add(&self.chain, transaction, Origin::Peer(peer(200).into()))
            .is_ok()
    }

    /// Carries out what is ordered; who was asked behind which id.
    fn asks(&mut self) -> Vec<(PeerId, [u8; 32])> {
        let mut asks = Vec::new();
        loop {
            let around = PoolsView {
                is_open: true,
                free_at: &|_| Some(at(0)),
            };
            self.pools.look_at(self.now, &self.pool);
            match self.pools.poll(self.now, &around) {
                None => return asks,
                Some(Order::Ask { peer, after }) => asks.push((peer, after)),
                Some(Order::Offer { peer, list }) => {
                    assert!(list.len() <= SLICE);
                    let refusal = |transaction: Transaction| {
                        let added = self
                            .pool
                            .add(&self.chain, transaction.clone(), Origin::Peer(peer.into()));
                        added.err().map(|error| (transaction, error))
                    };
                    let count = list.len();
                    let refused: Vec<_> = list.into_iter().filter_map(refusal).collect();
                    let taken = Taken {
                        peer,
                        gained: count - refused.len(),
                        refused,
                        forged: false,
                    };
                    self.tell(Fact::Taken(taken));
                }
                Some(Order::Refuse { .. } | Order::Blame { .. } | Order::Known(_)) => {}
            }
        }
    }

    fn asked(&mut self) -> usize {
        self.asks().len()
    }

    fn wakeup(&self) -> Option<u64> {
        let around = PoolsView {
            is_open: true,
            free_at: &|_| Some(at(0)),
        };
        self.pools.next_wakeup(self.now, &around).map(Time::ms)
    }

    /// Goes on to the next wake-up, at this time.
    fn wait_until(&mut self, ms: u64) {
        assert_eq!(self.wakeup(), Some(ms));
        self.now = at(ms);
    }
}

#[test]
fn a_page_that_fails_is_asked_for_again_ever_later_and_never_counts_as_read() {
    let mut bench = Bench::new();
    bench.status(1, 5, 77);
    let (peer, after) = (peer(1), [0; 32]);
    for again_ms in [2_000, 4_000, 8_000] {
        assert_eq!(bench.asks(), [(peer, after)]);
        bench.tell(Fact::NoPage { peer, after });
        assert_eq!(bench.asked(), 0);
        bench.wait_until(again_ms);
    }
    assert_eq!(bench.asked(), 1);
    bench.tell(Fact::NoPage { peer, after });
    // The run is over; the next begins a second later.
    assert_eq!(bench.asked(), 0);
    bench.wait_until(9_000);
    assert_eq!(bench.asks(), [(peer, after)]);
}

#[test]
fn a_run_goes_on_behind_the_page_that_came_and_a_late_page_counts() {
    let mut bench = Bench::new();
    let first = payment("anna", 0);
    bench.status(1, 5, 77);
    assert_eq!(bench.asked(), 1);
    bench.page(1, [0; 32], core::slice::from_ref(&first));
    let (peer, after) = (peer(1), *first.txid().as_bytes());
    assert_eq!(bench.asks(), [(peer, after)]);
    bench.tell(Fact::NoPage { peer, after });
    // What came is not lost by what did not.
    assert_eq!((bench.asked(), bench.pool.len()), (0, 1));
    bench.page(1, after, &[]);
    bench.page(1, after, &[payment("ben", 0)]);
    assert_eq!((bench.asked(), bench.pool.len()), (0, 1), "that run has ended");
}

#[test]
fn a_difference_that_gained_nothing_is_settled_until_it_changes_or_the_pool_may_want_more() {
    let unwanted = payment("anna", 40);
    let digest = unwanted.txid().leading_bits();
    let other = payment("ben", 0);
    let settle = || {
        let mut bench = Bench::new();
        bench.status(1, 1, digest);
        assert_eq!(bench.asked(), 1);
        bench.page(1, [0; 32], core::slice::from_ref(&unwanted));
        assert_eq!(bench.asked(), 1);
        bench.page(1, *unwanted.txid().as_bytes(), &[]);
        assert_eq!((bench.asked(), bench.wakeup()), (0, Some(61_000)));
        bench
    };
    // The same for both leaves the difference as it is, in whichever order it comes.
    let mut bench = settle();
    bench.status(1, 2, digest ^ other.txid().leading_bits());
    assert_eq!(bench.wakeup(), Some(2_000));
    assert!(bench.add(other.clone()));
    assert_eq!((bench.asked(), bench.wakeup()), (0, Some(61_000)));
    // Something else is asked for; so is the same after a minute, or on another tip.
    let mut bench = settle();
    bench.status(1, 2, digest ^ other.txid().leading_bits());
    bench.wait_until(2_000);
    assert_eq!(bench.asked(), 1);
    let mut bench = settle();
    bench.wait_until(61_000);
    assert_eq!(bench.asked(), 0);
    bench.wait_until(61_500);
    assert_eq!(bench.asked(), 1);
    let mut bench = settle();
    bench.tell(Fact::Tip);
    bench.wait_until(2_000);
    assert_eq!(bench.asked(), 1);
}

#[test]
fn a_neighbour_that_shows_what_the_own_pool_was_a_moment_ago_is_not_asked() {
    let mut bench = Bench::new();
    assert!(bench.add(payment("anna", 0)));
    assert_eq!(bench.asked(), 0);
    let before = bench.pool.digest();
    assert!(bench.add(payment("anna", 1)));
    bench.now = at(3_500);
    bench.status(1, 1, before);
    assert_eq!((bench.asked(), bench.wakeup()), (0, None));
    // It still says so when it should know more: it may hold what was here once and left.
    bench.now = at(9_000);
    bench.status(1, 1, before);
    bench.wait_until(9_500);
    assert_eq!(bench.asked(), 1);
}

#[test]
fn an_empty_or_equal_pool_is_not_asked_for() {
    let mut bench = Bench::new();
    assert!(bench.add(payment("anna", 0)));
    bench.status(1, 0, 77);
    bench.status(2, 1, bench.pool.digest());
    assert_eq!((bench.asked(), bench.wakeup()), (0, None));
}

#[test]
fn pages_are_offered_sorted_by_account_and_sequence_however_they_come() {
    let mut bench = Bench::new();
    let mut all: Vec<Transaction> = (0..150).map(|sequence| payment("anna", sequence)).collect();
    all.extend((0..150).map(|sequence| payment("ben", sequence)));
    all.sort_by_key(Transaction::txid);
    bench.status(1, 300, 77);
    let mut after = [0; 32];
    for page in all.chunks(70).chain([&[][..]]) {
        assert_eq!(bench.asks(), [(peer(1), after)]);
        bench.page(1, after, page);
        after = page.last().map_or(after, |last| *last.txid().as_bytes());
    }
    assert_eq!((bench.asked(), bench.pool.len()), (0, 300));
}

#[test]
fn what_needs_another_payment_is_offered_again_when_that_was_taken() {
    // Zoe's name is claimed by her first payment; anna's payment to its owner sorts before it.
    let name = |text| Account::Name(AccountName::new(text).unwrap());
    let network = NetworkParams::dev().network_id();
    let parties = (name("anna"), name("zoe"), Some(key(1).public()));
    let to_owner = Transaction::transfer(&network, &key(1), parties, Amount::ONE, 0).unwrap();
    let mut bench = Bench::new();
    bench.status(1, 2, 77);
    assert_eq!(bench.asked(), 1);
    let page = [to_owner, payment("zoe", 0)];
    bench.page(1, [0; 32], &page);
    let after = page.iter().map(Transaction::txid).max().unwrap();
    assert_eq!(bench.asked(), 1);
    bench.page(1, *after.as_bytes(), &[]);
    assert_eq!((bench.asked(), bench.pool.len()), (0, 2));
}

#[test]
fn two_pools_are_read_at_once_and_more_when_they_are_slow() {
    let mut bench = Bench::new();
    for number in 1..=12 {
        bench.status(number, 5, u64::from(number));
    }
    assert_eq!(bench.asked(), 2);
    for reading in [2, 4, 6] {
        bench.wait_until(bench.now.ms() + SLOW_MS);
        assert_eq!(bench.asked(), 2, "{reading} are slow");
    }
    bench.now = at(60_000);
    assert_eq!((bench.asked(), bench.wakeup()), (0, None), "eight wait for pages");
    bench.tell(Fact::Gone { peer: peer(1) });
    let gone = bench.asked();
    bench.tell(Fact::Gone { peer: peer(2) });
    assert!(gone + bench.asked() >= 1);
}

#[test]
fn pauses_grow_with_what_was_read_in_vain_and_end_with_a_gain() {
    let mut side = Side::new(at(0));
    let mut pauses = |came, gained| {
        side.rest(at(0), came, gained);
        side.rest_until.ms()
    };
    let vain: Vec<u64> = (0..8).map(|_| pauses(10_000, 0)).collect();
    assert_eq!(vain, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 44_000, 44_000]);
    assert_eq!(
        [pauses(10_000, 156), pauses(10_000, 157), pauses(20, 0)],
        [44_000, 1_000, 1_000]
    );
    assert_eq!([pauses(20, 0), pauses(20, 0), pauses(20, 0)], [2_000, 4_000, 4_080]);
    assert_eq!(pauses(0, 0), 4_000);
}

#[test]
fn a_peer_is_read_no_faster_than_its_budget() {
    let mut bench = Bench::new();
    let all: Vec<Transaction> = (0..1_000).map(|sequence| payment("anna", sequence)).collect();
    all.iter()
        .take(200)
        .cloned()
        .for_each(|transaction| assert!(bench.add(transaction)));
    bench.status(1, 300, 77);
    assert_eq!(bench.asked(), 1);
    let mut page: Vec<Transaction> = all[..200].to_vec();
    page.sort_by_key(Transaction::txid);
    let mut pages = 0;
    let mut after = [0; 32];
    // The same peer, again and again, its pool a single page.
    while pages < 1_000 && bench.now == at(1_000) {
        bench.page(1, after, &page);
        after = *page[199].txid().as_bytes();
        if bench.asked() == 0 {
            break;
        }
        bench.page(1, after, &[]);
        bench.asked();
        pages += 1;
        after = [0; 32];
        bench.pools.sides.get_mut(&peer(1)).unwrap().rest_until = at(0);
        bench.status(1, 300, 78 + pages);
        bench.pools.sides.get_mut(&peer(1)).unwrap().is_known = false;
        if bench.asked() == 0 {
            break;
        }
    }
    assert_eq!(pages, READ_AHEAD_MS * READ_PER_SECOND / 1_000 / 200);
}
