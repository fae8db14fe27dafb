//! What no honest peer says: slow answers, streams without end, wrong answers, oversized frames, crowds at the door.
//!
//! Promises: each connection does one thing and tells how it ended.

use std::time::Duration;

use futures::future::join_all;
use futures::{AsyncWriteExt, FutureExt};
use lanchain::wire::{Request, Response};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::liar::{identity, status};
use crate::raw::{Answer, Connection, Manner, varint};
use crate::{Task, now_ms, say};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long it is waited whether a connection ends.
const UNTIL_CLOSED: Duration = Duration::from_secs(3);
/// Streams that a node lets a peer have in a crowd.
const WAITING: usize = 16;

async fn connect(task: &Task, manner: Manner) -> Option<Connection> {
    let key = identity(task, manner.number);
    Connection::make(task.to.first()?, &key, manner).await
}

/// Claims a long chain and answers a byte a second.
pub(crate) async fn slow(task: &Task) {
    let end = Instant::now() + task.time;
    let lives = (0..task.identities).map(|number| async move {
        let mut manner = Manner::of(&task.network, number);
        (manner.claims_work, manner.answer) = (true, Answer::Slowly);
        let Some(connection) = connect(task, manner.clone()).await else {
            return say("refused", json!({ "identity": number }));
        };
        say("connected", json!({ "identity": number }));
        let standing = status(&task.network, number, true, now_ms());
        connection
            .ask(&manner.sync_protocol(), &Request::Status(standing).encode())
            .await;
        let closed = connection.is_closed_until(end).await;
        say("over", json!({ "identity": number, "closed": closed }));
    });
    join_all(lives).await;
}

/// Opens sixteen streams that say nothing, and one more, again and again.
pub(crate) async fn streams(task: &Task, count: u32) {
    let end = Instant::now() + task.time;
    let lives = (0..task.identities).map(|number| async move {
        let manner = Manner::of(&task.network, number);
        let Some(connection) = connect(task, manner.clone()).await else {
            return say("refused", json!({ "identity": number }));
        };
        say("connected", json!({ "identity": number }));
        // Until the node has heard who this is: what is unknown is let go for other reasons.
        let standing = status(&task.network, number, false, now_ms());
        connection
            .ask(&manner.sync_protocol(), &Request::Status(standing).encode())
            .await;
        let mut waiting = Vec::new();
        for _ in 0..WAITING {
            waiting.extend(connection.speak(&manner.sync_protocol()).await);
        }
        say("crowded", json!({ "identity": number, "streams": waiting.len() }));
        let mut opened = 0;
        while opened < count && Instant::now() < end {
            let one_more = timeout(PATIENCE, connection.speak(&manner.sync_protocol())).await;
            if !matches!(one_more, Ok(Some(_))) {
                break;
            }
            opened += 1;
        }
        let closed = connection.is_closed_until(Instant::now() + UNTIL_CLOSED).await;
        say(
            "over",
            json!({ "identity": number, "opened": opened, "closed": closed }),
        );
    });
    join_all(lives).await;
}

/// Makes connections as ever other peers and holds those that stand.
pub(crate) async fn knock(task: &Task, count: u32) {
    let end = Instant::now() + task.time;
    let mut held = Vec::new();
    for first in (0..count).step_by(10) {
        let some = (first..count.min(first + 10)).map(|number| connect(task, Manner::of(&task.network, number.into())));
        held.extend(join_all(some).await.into_iter().flatten());
        say(
            "knocking",
            json!({ "tried": count.min(first + 10), "made": held.len() }),
        );
    }
    say("knocked", json!({ "tried": count, "made": held.len() }));
    sleep_until(end).await;
}

/// What one connection does wrong.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    /// It says that it listens on 64 addresses.
    ManyAddresses,
    /// It asks before it has said who it is.
    AskedBeforeIdentify,
    /// A kind of request that nobody knows.
    UnknownRequest,
    /// A request of more bytes than any has.
    LongRequest,
    /// Headers, asked for or not.
    OtherAnswer,
    /// A kind of answer that nobody knows.
    UnknownAnswer,
    /// An answer of more bytes than any has.
    LongAnswer,
    /// A frame of gossip that says it has five megabytes.
    LongGossip,
    /// A request cut in its middle.
    CutRequest,
}

/// One connection for each thing that is wrong.
pub(crate) async fn all(task: &Task) {
    use Wrong::{
        AskedBeforeIdentify, CutRequest, LongAnswer, LongGossip, LongRequest, ManyAddresses, OtherAnswer,
        UnknownAnswer, UnknownRequest,
    };
    let list = [
        ManyAddresses,
        AskedBeforeIdentify,
        UnknownRequest,
        LongRequest,
        OtherAnswer,
        UnknownAnswer,
        LongAnswer,
        LongGossip,
        CutRequest,
    ];
    let each = list
        .into_iter()
        .zip(0..)
        .map(|(wrong, number)| one(task, wrong, number));
    join_all(each).await;
    say("all_said", json!({ "things": list.len() }));
    sleep(Duration::from_millis(100)).await;
}

async fn one(task: &Task, wrong: Wrong, number: u64) {
    let what = format!("{wrong:?}");
    let mut manner = Manner::of(&task.network, number);
    match wrong {
        Wrong::ManyAddresses => manner.addresses = 64,
        Wrong::AskedBeforeIdentify => manner.identify_after = Duration::from_secs(2),
        Wrong::OtherAnswer => {
            manner.answer = Answer::Bytes(Response::Headers(vec![[7; 96]; 3]).encode());
        }
        Wrong::UnknownAnswer => manner.answer = Answer::Bytes(vec![77, 0, 0, 0, 1, 2, 3]),
        Wrong::LongAnswer => manner.answer = Answer::Bytes(vec![0; 3 * 1024 * 1024]),
        Wrong::UnknownRequest | Wrong::LongRequest | Wrong::LongGossip | Wrong::CutRequest => {}
    }
    let Some(connection) = connect(task, manner.clone()).await else {
        return say("refused", json!({ "what": what }));
    };
    let sync = manner.sync_protocol();
    let standing = status(&task.network, number, false, now_ms());
    let honest = Request::Status(standing).encode();
    let bytes = match wrong {
        Wrong::UnknownRequest => vec![99, 0, 0, 0, 5, 5],
        Wrong::LongRequest => [honest.as_slice(), &[0; 128 * 1024]].concat(),
        Wrong::CutRequest => honest[..honest.len() - 3].to_vec(),
        _ => honest,
    };
    let answer = timeout(PATIENCE, connection.ask(&sync, &bytes)).await;
    let answer = answer.ok().flatten().and_then(|bytes| Response::decode(&bytes).ok());
    let heard = match &answer {
        Some(Response::Status(_)) => "status",
        Some(Response::Unsupported) => "unsupported",
        Some(Response::Busy) => "busy",
        Some(_) => "other",
        None => "nothing",
    };
    if let Wrong::LongGossip = wrong
        && let Some(mut stream) = timeout(PATIENCE, connection.speak("/meshsub/1.1.0"))
            .await
            .ok()
            .flatten()
    {
        let frame = [varint(5 * 1024 * 1024), vec![0; 2 * 1024 * 1024]].concat();
        // It is cut off in the middle, or nobody reads on.
        timeout(PATIENCE, stream.write_all(&frame)).map(drop).await;
    }
    let closed = connection.is_closed_until(Instant::now() + UNTIL_CLOSED).await;
    say("said", json!({ "what": what, "heard": heard, "closed": closed }));
}
