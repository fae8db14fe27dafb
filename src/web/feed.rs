//! The stream of events: what a page missed, then each event as it comes.
//!
//! A feed holds no queue of its own: it remembers the number of the last event that it gave and takes what follows from the
//! ring, when its reader has taken what was given before.
//!
//! Promises: at most [`CHUNK_BYTES`] wait for a reader; a reader that is too slow for the ring gets one `reset`; the stream
//! ends when the node has stopped.
//! Elsewhere: what is kept (`web::ring`).
//! Spec: `proto-notes/web.md`, "Events".

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use futures::stream;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::guard::Visitor;
use super::hidden;
use super::ring::{After, Ring};

/// What one feed gives at a time. With what the connection holds this stays below 256 KiB a stream.
const CHUNK_BYTES: usize = 64 * 1024;
/// How often a silent stream says that it lives: below the minute after which proxies give up.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

/// Where a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// With what comes now.
    Now,
    /// With the oldest event that is kept.
    Ring,
    /// Behind the event of this id, `RUN-N`.
    Behind(String),
}

impl From {
    /// From the header `Last-Event-ID` and the query: `last=RUN-N`, `ring`.
    pub(super) fn read(header: Option<&str>, query: Option<&str>) -> Self {
        if let Some(id) = header {
            return Self::Behind(id.to_owned());
        }
        for pair in query.unwrap_or("").split('&') {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("last", id) => return Self::Behind(id.to_owned()),
                ("ring", _) => return Self::Ring,
                _ => {}
            }
        }
        Self::Now
    }

    /// The number behind which the stream begins; none if there is no such event.
    fn number(&self, ring: &Ring) -> Option<u64> {
        match self {
            Self::Now => Some(ring.last()),
            Self::Ring => Some(ring.begin()),
            Self::Behind(id) => {
                let (run, number) = id.split_once('-')?;
                let number = number.parse().ok()?;
                let is_known = run == ring.run().to_string() && !matches!(ring.after(number, 0), After::Gap(_));
                is_known.then_some(number)
            }
        }
    }
}

/// A stream of events to one reader.
pub(super) struct Feed {
    ring: Arc<Ring>,
    news: watch::Receiver<()>,
    /// The number of the last event that was given.
    at: u64,
    /// What stands before the first event.
    greeting: Option<String>,
    visitor: Visitor,
    /// [`COMMENT_EVERY`] but in tests.
    comment_every: Duration,
    /// The place among the streams; free when the stream ends.
    _place: OwnedSemaphorePermit,
}

impl Feed {
    /// A stream for this visitor.
    pub(super) fn new(ring: &Arc<Ring>, from: &From, visitor: Visitor, place: OwnedSemaphorePermit) -> Self {
        // Before the number is asked for: nothing that comes between is missed.
        let news = ring.news();
        let run = ring.run();
        let number = from.number(ring);
        let at = number.unwrap_or_else(|| ring.last());
        let hello = json!({ "run": run, "seq": at, "read_only": !visitor.is_here });
        let mut greeting = format!("event: hello\nid: {run}-{at}\ndata: {hello}\n\n");
        if number.is_none() {
            greeting.push_str(&reset(ring, at));
        }
        Self {
            ring: Arc::clone(ring),
            news,
            at,
            greeting: Some(greeting),
            visitor,
            comment_every: COMMENT_EVERY,
            _place: place,
        }
    }

    /// The stream as the body of an answer.
    pub(super) fn into_body(self) -> Body {
        Body::from_stream(stream::unfold(self, |mut feed| async {
            let text = feed.next().await?;
            Some((Ok::<_, Infallible>(Bytes::from(text)), feed))
        }))
    }

    async fn next(&mut self) -> Option<String> {
        if let Some(greeting) = self.greeting.take() {
            return Some(greeting);
        }
        loop {
            match self.ring.after(self.at, CHUNK_BYTES) {
                After::Events(events) => return Some(self.give(&events)),
                After::Gap(last) => {
                    self.at = last;
                    return Some(reset(&self.ring, last));
                }
                After::End => return None,
                After::Nothing => {
                    let waited = tokio::time::timeout(self.comment_every, self.news.changed()).await;
                    match waited {
                        Ok(Ok(())) => {}
                        Ok(Err(_)) => return None,
                        Err(_) => return Some(": still there\n\n".into()),
                    }
                }
            }
        }
    }

    fn give(&mut self, events: &[(u64, Arc<str>)]) -> String {
        let run = self.ring.run();
        let mut text = String::new();
        for (number, line) in events {
            self.at = *number;
            let hidden = (!self.visitor.is_here).then(|| hidden::for_others(line)).flatten();
            let line = hidden.as_deref().unwrap_or(line);
            text.push_str(&format!("id: {run}-{number}\ndata: {line}\n\n"));
        }
        text
    }
}

/// Tells a page that events are missing: it asks for the whole state anew.
fn reset(ring: &Ring, last: u64) -> String {
    let run = ring.run();
    let data = json!({ "run": run, "seq": last });
    format!("event: reset\nid: {run}-{last}\ndata: {data}\n\n")
}

#[cfg(test)]
mod tests {
    use tokio::sync::Semaphore;

    use super::*;
    use crate::contract::RunId;

    const RUN: &str = "0707070707070707";

    fn ring() -> Arc<Ring> {
        let ring = Ring::new(RunId::new([7; 8]), 2);
        (3..=5).for_each(|number| ring.add(number, format!(r#"{{"seq":{number},"address":"a"}}"#)));
        Arc::new(ring)
    }

    fn feed(ring: &Arc<Ring>, from: &From, is_here: bool) -> Feed {
        let place = Arc::new(Semaphore::new(1)).try_acquire_owned().expect("free");
        let visitor = Visitor {
            is_here,
            knows_token: false,
        };
        Feed::new(ring, from, visitor, place)
    }

    #[test]
    fn a_stream_begins_where_its_reader_wants() {
        let read = |header, query| From::read(header, query);
        assert_eq!(read(None, None), From::Now);
        assert_eq!(read(None, Some("ring")), From::Ring);
        assert_eq!(read(None, Some("a=b&ring=1")), From::Ring);
        assert_eq!(read(None, Some("last=x-3")), From::Behind("x-3".into()));
        assert_eq!(
            read(Some("y-4"), Some("last=x-3")),
            From::Behind("y-4".into()),
            "a stream that goes on"
        );
    }

    #[tokio::test]
    async fn a_known_id_is_replayed_from_and_others_get_one_reset() {
        let ring = ring();
        let behind = |id: &str| From::Behind(id.into());
        for (from, wanted) in [
            (From::Now, None),
            (From::Ring, Some("id: 0707070707070707-3\n")),
            (behind(&format!("{RUN}-3")), Some("id: 0707070707070707-4\n")),
            (behind(&format!("{RUN}-5")), None),
        ] {
            let mut feed = feed(&ring, &from, true);
            let greeting = feed.next().await.expect("a greeting");
            assert!(
                greeting.starts_with("event: hello\nid: ") && !greeting.contains("reset"),
                "{greeting}"
            );
            match wanted {
                Some(id) => assert!(feed.next().await.expect("events").starts_with(id)),
                None => assert_eq!(feed.at, 5, "{from:?}"),
            }
        }
        for id in [
            "x",
            "-",
            "0808080808080808-4",
            &format!("{RUN}-1"),
            &format!("{RUN}-6"),
            &format!("{RUN}-x"),
        ] {
            let mut feed = feed(&ring, &behind(id), true);
            let greeting = feed.next().await.expect("a greeting");
            assert_eq!(
                greeting.matches("event: reset\nid: 0707070707070707-5\n").count(),
                1,
                "{id}: {greeting}"
            );
            assert_eq!(feed.at, 5);
        }
    }

    #[tokio::test]
    async fn a_reader_that_falls_behind_the_ring_gets_one_reset_and_goes_on() {
        let ring = ring();
        let mut feed = feed(&ring, &From::Now, true);
        feed.next().await.expect("a greeting");
        let many = 6 + u64::try_from(super::super::ring::EVENTS_MAX).unwrap();
        (6..=many).for_each(|number| ring.add(number, "{}".into()));
        let text = feed.next().await.expect("a reset");
        assert!(text.starts_with("event: reset\n"), "{text}");
        ring.add(many + 1, "{}".into());
        let text = feed.next().await.expect("an event");
        assert_eq!(text, format!("id: {RUN}-{}\ndata: {{}}\n\n", many + 1));
    }

    #[tokio::test]
    async fn a_silent_stream_says_that_it_lives_and_ends_with_the_node() {
        let ring = ring();
        let mut feed = feed(&ring, &From::Now, true);
        feed.next().await.expect("a greeting");
        feed.comment_every = Duration::from_millis(1);
        assert_eq!(feed.next().await.as_deref(), Some(": still there\n\n"));
        ring.add(6, r#"{"event":"stopped"}"#.into());
        ring.close();
        assert!(feed.next().await.expect("the last event").contains("stopped"));
        assert_eq!(feed.next().await, None);
    }

    #[tokio::test]
    async fn other_machines_see_no_addresses_in_a_stream() {
        for (is_here, shown) in [(true, r#""address":"a""#), (false, r#""address":null"#)] {
            let mut feed = feed(&ring(), &From::Ring, is_here);
            let greeting = feed.next().await.expect("a greeting");
            assert!(greeting.contains(&format!(r#""read_only":{}"#, !is_here)), "{greeting}");
            let text = feed.next().await.expect("events");
            assert_eq!(text.matches(shown).count(), 3, "{text}");
        }
    }

    #[tokio::test]
    async fn a_chunk_is_bounded_however_much_there_is() {
        let ring = Arc::new(Ring::new(RunId::new([7; 8]), 0));
        (1..=200).for_each(|number| ring.add(number, "x".repeat(1_000)));
        let mut feed = feed(&ring, &From::Ring, true);
        feed.next().await.expect("a greeting");
        let text = feed.next().await.expect("events");
        assert!(text.len() < CHUNK_BYTES + 4_096, "{}", text.len());
    }
}
