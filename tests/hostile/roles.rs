//! The lies that the node's own network part can tell: floods, side blocks, clocks, peers, silence.

use std::time::Duration;

use futures::future::join_all;
use lanchain::chain::Block;
use lanchain::engine::NetOrder;
use lanchain::types::rng::Rng;
use lanchain::wire::message::encode_transactions;
use lanchain::wire::{CompactBlock, ToldPeer, Topic};
use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::forge::{self, Payments};
use crate::liar::{Liar, Lie};
use crate::{Task, say};

/// Lets all identities live until the time is over.
async fn all(task: &Task, lie: &Lie) {
    let until = Instant::now() + task.time;
    let lives = (0..task.identities).map(|number| {
        let liar = Liar::start(task, number, lie.clone());
        async move {
            if let Some(mut liar) = liar {
                liar.live(until).await;
            }
        }
    });
    join_all(lives).await;
}

/// Gossips payments, in lists that are never twice the same.
pub(crate) async fn flood(task: &Task, kind: Payments, (count, list): (u32, u32), every: Duration) {
    let list = usize::try_from(list).expect("at most 128");
    let flooders = (0..task.identities).map(|number| {
        let task = task.clone();
        tokio::spawn(async move {
            let payments = forge::payments(&task.network, kind, (task.seed, number), count);
            say("signed", json!({ "identity": number, "payments": payments.len() }));
            flood_one(&task, number, payments, (list, every)).await;
        })
    });
    join_all(flooders).await;
}

async fn flood_one(task: &Task, number: u64, mut payments: Vec<Vec<u8>>, (list, every): (usize, Duration)) {
    let Some(mut liar) = Liar::start(task, number, Lie::default()) else {
        return;
    };
    let mut rng = Rng::new(task.seed ^ number);
    let end = Instant::now() + task.time;
    let mut tick = interval(every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut next, mut rounds, mut lists) = (0, 0_u64, 0_u64);
    loop {
        tokio::select! {
            () = sleep_until(end) => break,
            more = liar.step() => if !more { break },
            _ = tick.tick(), if liar.is_connected() => {
                let some: Vec<_> = payments.iter().skip(next).take(list).cloned().collect();
                liar.order(NetOrder::Publish { topic: Topic::Transactions, bytes: encode_transactions(&some) });
                (next, lists) = (next + list, lists + 1);
                if next >= payments.len() {
                    (next, rounds) = (0, rounds + 1);
                    shuffle(&mut payments, &mut rng);
                    say("round", json!({ "identity": number, "rounds": rounds, "lists": lists }));
                }
            }
        }
    }
    say(
        "flooded",
        json!({ "identity": number, "rounds": rounds, "lists": lists }),
    );
}

fn shuffle<T>(list: &mut [T], rng: &mut Rng) {
    for last in (1..list.len()).rev() {
        let below = u64::try_from(last + 1).unwrap_or(1);
        list.swap(last, usize::try_from(rng.below(below)).unwrap_or(0));
    }
}

/// Gossips full blocks that help nobody.
pub(crate) async fn side(task: &Task, count: u32, payments: u32) {
    let network = task.network.clone();
    let payments = forge::first_payments(&network, task.seed, payments);
    let blocks = (0..u64::from(count)).map(|number| forge::first_block(&network, &payments, number));
    let blocks: Vec<Block> = blocks.collect();
    say(
        "forged",
        json!({ "blocks": blocks.len(), "bytes": blocks.first().map(Block::size_bytes) }),
    );
    let senders = (0..task.identities).map(|number| {
        let own = usize::try_from(number).unwrap_or(0);
        let every = usize::try_from(task.identities).unwrap_or(1);
        let own: Vec<_> = blocks.iter().skip(own).step_by(every).cloned().collect();
        send_blocks(task, number, own)
    });
    join_all(senders).await;
}

async fn send_blocks(task: &Task, number: u64, blocks: Vec<Block>) {
    let lie = Lie {
        holds: blocks.clone(),
        ..Lie::default()
    };
    let Some(mut liar) = Liar::start(task, number, lie) else {
        return;
    };
    let end = Instant::now() + task.time;
    while !liar.is_connected() && Instant::now() < end {
        liar.live((Instant::now() + Duration::from_millis(50)).min(end)).await;
    }
    // Until the other side takes gossip.
    liar.live(Instant::now() + Duration::from_millis(1_500)).await;
    for (sent, block) in blocks.iter().enumerate() {
        let bytes = CompactBlock::of(block, |_| false).encode();
        liar.order(NetOrder::Publish {
            topic: Topic::Blocks,
            bytes,
        });
        say("sent", json!({ "identity": number, "blocks": sent + 1 }));
        liar.live(Instant::now() + Duration::from_millis(100)).await;
    }
    say("all_sent", json!({ "identity": number }));
    liar.live(end).await;
}

/// Says that it is another time.
pub(crate) async fn clock(task: &Task, ahead_s: i64) {
    let clock_ahead_ms = ahead_s.saturating_mul(1_000);
    let lie = Lie {
        clock_ahead_ms,
        ..Lie::default()
    };
    all(task, &lie).await;
}

/// Tells of peers that are not there, each under an invented key.
pub(crate) async fn peers(task: &Task, tell: &[String]) {
    let invented = |(number, address): (usize, &String)| {
        let number = u64::try_from(number).unwrap_or(0);
        ToldPeer {
            key: *forge::key(task.seed, 7_777, number).public().as_bytes(),
            addresses: vec![address.clone()],
        }
    };
    let tells = tell.iter().enumerate().map(invented).collect();
    let lie = Lie {
        tells,
        ..Lie::default()
    };
    all(task, &lie).await;
}

/// Claims to have more blocks and answers no question about them.
pub(crate) async fn silent(task: &Task) {
    let lie = Lie {
        claims_work: true,
        is_silent: true,
        ..Lie::default()
    };
    all(task, &lie).await;
}
