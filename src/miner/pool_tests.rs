//! The pool, with real threads and limits that end soon. The waits below are upper bounds for a machine
//! that is busy; nothing waits for a fixed time.

use super::{MiningWork, Pool, PoolEvent};
use crate::miner::kernel::{Kernel, Template};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);

fn work(limit_first_bytes: [u8; 4]) -> MiningWork {
    let mut limit = [0; 32];
    limit[..4].copy_from_slice(&limit_first_bytes);
    MiningWork { header: [7; 96], limit }
}

/// A limit that one attempt in 4,096 meets.
fn easy() -> MiningWork {
    work([0, 0x10, 0, 0])
}

/// A limit that no attempt meets.
fn hopeless() -> MiningWork {
    work([0; 4])
}

fn start(threads: usize) -> (Pool, Receiver<PoolEvent>) {
    let (send, receive) = channel();
    let pool = Pool::start(threads, Box::new(move |event| send.send(event).unwrap_or_default()));
    (pool, receive)
}

fn meets(work: &MiningWork, nonce: u64) -> bool {
    let high = u32::try_from(nonce >> 32).unwrap();
    let low = u32::try_from(nonce & u64::from(u32::MAX)).unwrap();
    Template::new(work).prepare(high).meets(low)
}

#[test]
fn found_nonce_meets_the_limit() {
    let (pool, events) = start(2);
    for job in 1..20 {
        pool.mine(job, easy(), Duration::ZERO);
        let PoolEvent::Found { job: number, nonce } = events.recv_timeout(LONG).unwrap() else {
            panic!("the space is not exhausted")
        };
        assert_eq!(number, job);
        assert!(meets(&easy(), nonce));
    }
}

#[test]
fn one_thread_finds_the_lowest_nonce_every_time() {
    let (pool, events) = start(1);
    let expected = (0..).find(|&nonce| meets(&easy(), nonce)).unwrap();
    for job in 1..4 {
        pool.mine_within(job, easy(), 0..=u64::MAX, 1 << 32, Duration::ZERO);
        let found = events.recv_timeout(LONG).unwrap();
        assert_eq!(found, PoolEvent::Found { job, nonce: expected });
    }
}

#[test]
fn job_ends_in_one_event_even_when_every_nonce_is_a_hit() {
    let (pool, events) = start(4);
    for job in 1..100 {
        pool.mine_within(job, work([255; 4]), 0..=999, 10, Duration::ZERO);
        let event = events.recv_timeout(LONG).unwrap();
        assert!(matches!(event, PoolEvent::Found { job: number, .. } if number == job));
    }
    drop(pool);
    assert_eq!(events.try_iter().count(), 0);
}

#[test]
fn exhausted_span_is_reported_once_by_the_last_thread() {
    let (pool, events) = start(3);
    pool.mine_within(5, hopeless(), 0..=50_000, 1_000, Duration::ZERO);
    assert_eq!(events.recv_timeout(LONG).unwrap(), PoolEvent::Exhausted { job: 5 });
    drop(pool);
    assert_eq!(events.try_iter().count(), 0);
}

#[test]
fn replaced_job_gives_way_to_the_new_one() {
    let (pool, events) = start(2);
    pool.mine(1, hopeless(), Duration::ZERO);
    pool.mine(2, easy(), Duration::ZERO);
    assert!(matches!(
        events.recv_timeout(LONG).unwrap(),
        PoolEvent::Found { job: 2, .. }
    ));
}

#[test]
fn delayed_job_waits_and_can_be_replaced_meanwhile() {
    let (pool, events) = start(2);
    let begun = Instant::now();
    pool.mine(1, easy(), Duration::from_millis(50));
    assert!(matches!(
        events.recv_timeout(LONG).unwrap(),
        PoolEvent::Found { job: 1, .. }
    ));
    assert!(begun.elapsed() >= Duration::from_millis(50));
    pool.mine(2, easy(), LONG * 60);
    pool.mine(3, easy(), Duration::ZERO);
    assert!(matches!(
        events.recv_timeout(LONG).unwrap(),
        PoolEvent::Found { job: 3, .. }
    ));
}

#[test]
fn hash_rate_is_zero_before_the_first_job_and_after_stop() {
    let (pool, _events) = start(1);
    assert_eq!(pool.hash_rate(), 0);
    pool.mine(1, hopeless(), Duration::ZERO);
    let begun = Instant::now();
    while pool.hash_rate() == 0 {
        assert!(begun.elapsed() < LONG, "mining never showed a rate");
        std::thread::yield_now();
    }
    pool.stop();
    assert_eq!(pool.hash_rate(), 0);
}

#[test]
fn threads_that_search_or_pause_are_joined_when_the_pool_is_dropped() {
    for delay in [Duration::ZERO, LONG * 60] {
        let (pool, events) = start(3);
        pool.mine(1, hopeless(), delay);
        let begun = Instant::now();
        drop(pool);
        assert!(begun.elapsed() < LONG);
        assert!(
            events.recv().is_err(),
            "the threads are gone, and with them the callback"
        );
    }
}

#[test]
fn stopped_pool_takes_another_job() {
    let (pool, events) = start(2);
    pool.mine(1, hopeless(), Duration::ZERO);
    pool.stop();
    pool.mine(2, easy(), Duration::ZERO);
    assert!(matches!(
        events.recv_timeout(LONG).unwrap(),
        PoolEvent::Found { job: 2, .. }
    ));
}

#[test]
fn pool_uses_a_kernel_that_this_processor_has() {
    assert!(Kernel::chosen().is_available());
}
