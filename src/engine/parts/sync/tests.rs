//! Sync as a part, without an engine: what it orders when it is told what came.

use super::*;
use crate::chain::{Block, Chain};
use crate::engine::parts::offer::Offer;
use crate::testing::blocks::{CLOCK, branch, dev};
use crate::testing::keys::peer;

/// A sync with its surroundings: a chain of genesis alone, and a branch that others have.
struct Bench<C> {
    chain: Chain<C>,
    requests: Requests,
    sync: Syncs,
    blocks: Vec<Block>,
    now: u64,
}

fn bench(length: usize) -> Bench<crate::chain::memory_store::MemoryStore> {
    let (chain, _) = dev();
    let blocks = branch(&chain.params().clone(), &chain.tip().header.clone(), 2, length);
    Bench {
        chain,
        requests: Requests::new(Time::from_ms(0)),
        sync: Syncs::new(7, HEADERS_KEPT_MAX),
        blocks,
        now: 1_000,
    }
}

macro_rules! ground {
    ($bench:expr) => {
        SyncView {
            now: Time::from_ms($bench.now),
            chain: &$bench.chain,
            requests: &$bench.requests,
            clock: &|| CLOCK,
        }
    };
}

impl<C: ChainStore> Bench<C> {
    /// A peer that claims the last block of the branch, with much work.
    fn connect(&mut self, who: u8) {
        let (now, id) = (Time::from_ms(self.now), peer(who));
        self.requests.connected(now, id);
        self.sync.sources.connected(now, id);
        let last = self.blocks.last().unwrap();
        let work = crate::types::Work::from_be_bytes([0x0f; 32]);
        self.sync.sources.claimed(&id, (last.hash(), last.header.height, work));
    }

    /// Carries out what is ordered, and tells it in words.
    fn orders(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(order) = self.sync.poll() {
            told.push(match order {
                Order::Ask { peer, what, .. } => {
                    let headers = what == Question::Headers;
                    let word = match &what {
                        Question::Headers => "headers".to_owned(),
                        Question::Blocks(hashes) => format!("{} blocks", hashes.len()),
                        Question::Status | Question::Pending(_) | Question::Peers | Question::Transactions(_) => {
                            panic!("not sync's")
                        }
                    };
                    let id = self.requests.ask(Time::from_ms(self.now), peer, what, Some(2_000));
                    if headers {
                        self.sync.asked(peer, id);
                    }
                    format!("ask {word} {id}")
                }
                Order::Brought { count, .. } => format!("brought {count}"),
                Order::Delivered(_) => "delivered".to_owned(),
                Order::Stalled(_) => "stalled".to_owned(),
                Order::Blame { reason, .. } => format!("blame: {reason}"),
                Order::Tell(Event::SyncStarted { .. }) => "started".to_owned(),
                Order::Tell(Event::SyncFinished { .. }) => "finished".to_owned(),
                Order::Tell(_) => "event".to_owned(),
                Order::Protect(hashes) => format!("protect {}", hashes.map_or(0, |hashes| hashes.len())),
                Order::FutureBranch { .. } => "future".to_owned(),
                Order::StoreFailed(_) => "store".to_owned(),
            });
        }
        told
    }

    fn turn(&mut self) -> Vec<String> {
        self.sync.begin_turn(&ground!(self));
        self.orders()
    }

    fn headers(&mut self, request: u64, who: u8, list: &[[u8; 96]]) -> Vec<String> {
        self.requests.end(request, peer(who));
        self.sync.on_headers(&ground!(self), request, peer(who), list);
        self.orders()
    }

    fn page(&self) -> Vec<[u8; 96]> {
        self.blocks.iter().map(|block| block.header.to_bytes()).collect()
    }
}

#[test]
fn a_claim_of_more_work_is_asked_for_once_and_its_headers_lead_to_its_bodies_in_order() {
    let mut bench = bench(3);
    bench.connect(1);
    assert_eq!(bench.turn(), ["ask headers 1"]);
    assert_eq!(bench.turn(), [""; 0], "it is under way");
    let page = bench.page();
    assert_eq!(bench.headers(1, 1, &page), ["delivered", "protect 4", "started"]);
    assert!(bench.sync.ask_next(&ground!(bench), peer(1)));
    assert_eq!(bench.orders(), ["ask 3 blocks 2"]);
    assert!(
        !bench.sync.ask_next(&ground!(bench), peer(1)),
        "nothing is left to ask for"
    );
    let hashes: Vec<BlockHash> = bench.blocks.iter().map(Block::hash).collect();
    let bodies = bench.blocks.iter().map(Block::to_bytes).collect();
    bench.requests.end(2, peer(1));
    let at = Time::from_ms(bench.now);
    bench.sync.on_blocks(&ground!(bench), peer(1), (at, &hashes), bodies);
    assert_eq!(bench.orders(), ["brought 3"]);
    bench.sync.begin_taking(0);
    for block in bench.blocks.clone() {
        let (source, body) = bench.sync.next_body(&ground!(bench), true).unwrap();
        assert!(matches!(&body.content, Content::Bytes(bytes) if *bytes == block.to_bytes()));
        bench.chain.accept(block, CLOCK).unwrap();
        bench.sync.offered(&ground!(bench), (source, body.peer), Offer::Taken);
    }
    assert!(bench.sync.next_body(&ground!(bench), true).is_none() && !bench.sync.is_taking());
    let told = bench.orders();
    assert!(told.ends_with(&["finished".to_owned()]), "{told:?}");
    assert!(bench.sync.is_idle());
}

#[test]
fn whoever_does_not_answer_is_left_alone_for_ten_seconds_and_another_is_asked() {
    let mut bench = bench(3);
    bench.connect(1);
    bench.connect(2);
    let asked = bench.turn();
    assert_eq!(asked.len(), 1, "both claim the same tip: {asked:?}");
    let first = bench.sync.fetched_from()[0];
    bench.requests.end(1, first);
    bench.sync.no_headers(&ground!(bench), 1, first);
    assert_eq!(bench.orders(), ["protect 0"]);
    assert_eq!(bench.turn(), ["ask headers 2"]);
    let second = bench.sync.fetched_from()[0];
    assert_ne!(second, first);
    // Now the second leaves.
    bench.requests.end(2, second);
    bench.requests.gone(&second);
    bench.sync.sources.gone(&second);
    bench.sync.sync_lost(&ground!(bench), second);
    bench.orders();
    assert_eq!(bench.turn(), [""; 0]);
    bench.now += 9_999;
    assert_eq!(bench.turn(), [""; 0]);
    bench.now += 1;
    assert_eq!(bench.turn(), ["ask headers 3"]);
    assert_eq!(bench.sync.fetched_from(), [first]);
}

#[test]
fn headers_that_break_a_rule_end_the_candidate_and_are_blamed() {
    let mut bench = bench(3);
    bench.connect(1);
    bench.turn();
    let mut page = bench.page();
    page.swap(1, 2);
    let told = bench.headers(1, 1, &page);
    assert!(
        told.contains(&"blame: headers that do not follow each other".to_owned()),
        "{told:?}"
    );
    assert!(bench.sync.is_idle());
    assert_eq!(bench.turn(), [""; 0], "its claim is not followed for a minute");
    bench.now += VOID_MS;
    assert_eq!(bench.turn().len(), 1);
}

#[test]
fn a_body_that_breaks_a_rule_blames_who_sent_it_and_whose_branch_it_is() {
    let mut bench = bench(2);
    bench.connect(1);
    bench.turn();
    let page = bench.page();
    bench.headers(1, 1, &page);
    let hashes: Vec<BlockHash> = bench.blocks.iter().map(Block::hash).collect();
    let bodies: Vec<Vec<u8>> = bench.blocks.iter().map(Block::to_bytes).collect();
    bench
        .sync
        .on_blocks(&ground!(bench), peer(2), (Time::from_ms(0), &hashes), bodies);
    bench.orders();
    bench.sync.begin_taking(0);
    let (source, body) = bench.sync.next_body(&ground!(bench), true).unwrap();
    bench.sync.offered(
        &ground!(bench),
        (source, body.peer),
        Offer::Invalid("a rule".to_owned()),
    );
    let told = bench.orders();
    assert_eq!(
        told.iter().filter(|line| *line == "blame: a rule").count(),
        2,
        "{told:?}"
    );
    assert!(bench.sync.is_idle() && !bench.sync.is_taking());
}

#[test]
fn a_verdict_goes_to_the_bytes_that_were_checked_or_nowhere() {
    let mut bench = bench(1);
    let params = bench.chain.params().clone();
    let payment = |sequence| crate::testing::blocks::pay(&params, 1, ("anna", "ben"), None, 1, sequence);
    let content = (0..60).map(payment).collect();
    bench.blocks = vec![crate::testing::blocks::mine(&params, &params.genesis(), 2, content)];
    bench.connect(1);
    bench.turn();
    let page = bench.page();
    bench.headers(1, 1, &page);
    let hashes: Vec<BlockHash> = bench.blocks.iter().map(Block::hash).collect();
    let bytes = bench.blocks[0].to_bytes();
    let at = Time::from_ms(0);
    // A copy with another end, as a liar sends it, and then the true one.
    let mut spoilt = bytes.clone();
    let end = spoilt.len() - 1;
    spoilt[end] ^= 1;
    bench
        .sync
        .on_blocks(&ground!(bench), peer(2), (at, &hashes), vec![spoilt]);
    let (first, bodies) = bench.sync.next_group().unwrap();
    assert!(bench.sync.next_group().is_none(), "it has left");
    bench.sync.begin_taking(0);
    assert!(bench.sync.next_body(&ground!(bench), true).is_none(), "it is not ready");
    let of_the_liar = bench.chain.rules().read_and_check(bodies);
    bench.sync.sync_of(peer(1)).unwrap().bodies.clear();
    bench
        .sync
        .on_blocks(&ground!(bench), peer(1), (at, &hashes), vec![bytes]);
    let (second, bodies) = bench.sync.next_group().unwrap();
    bench.sync.checked(first, of_the_liar);
    bench.sync.begin_taking(0);
    assert!(bench.sync.next_body(&ground!(bench), true).is_none(), "of other bytes");
    bench.sync.checked(second, bench.chain.rules().read_and_check(bodies));
    bench.sync.begin_taking(0);
    let (_, body) = bench.sync.next_body(&ground!(bench), true).unwrap();
    assert_eq!(body.peer, peer(1));
    assert!(matches!(&body.content, Content::Checked(verdict) if verdict.good().is_ok()));
}
