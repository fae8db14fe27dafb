//! What is dropped, what never is, and in which order.

use std::sync::mpsc;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn gap() -> Gap {
    Box::new(lines_dropped)
}

fn drain(queue: &mut SinkQueue) -> Vec<String> {
    core::iter::from_fn(|| queue.pop(&gap()))
        .map(|item| item.text)
        .collect()
}

fn limits(texts: usize, overflow: Overflow) -> SinkLimits {
    SinkLimits {
        a_second: None,
        bytes: 100,
        texts,
        overflow,
    }
}

#[test]
fn a_gap_is_told_once_where_it_is() {
    let mut queue = SinkQueue::new(limits(2, Overflow::DropNewest));
    for text in ["a", "b", "c", "d"] {
        queue.may(text.into(), 0, &gap());
    }
    queue.must("reply".into(), None, &gap());
    queue.may("e".into(), 0, &gap());
    assert_eq!(
        drain(&mut queue),
        ["a", "b", "2 lines dropped", "reply", "1 lines dropped"]
    );
    queue.may("f".into(), 0, &gap());
    assert_eq!(drain(&mut queue), ["f"]);
}

#[test]
fn a_gap_ends_when_half_of_the_queue_is_free() {
    let mut queue = SinkQueue::new(limits(4, Overflow::DropNewest));
    for text in ["a", "b", "c", "d", "x"] {
        queue.may(text.into(), 0, &gap());
    }
    assert_eq!(queue.pop(&gap()).expect("full").text, "a");
    queue.may("x".into(), 0, &gap());
    assert_eq!(queue.pop(&gap()).expect("full").text, "b");
    queue.may("e".into(), 0, &gap());
    assert_eq!(drain(&mut queue), ["c", "d", "2 lines dropped", "e"]);
}

#[test]
fn the_bytes_that_wait_have_a_limit() {
    let mut queue = SinkQueue::new(limits(usize::MAX, Overflow::DropNewest));
    for _ in 0..10 {
        queue.may("x".repeat(30), 0, &gap());
    }
    assert_eq!((queue.bytes, queue.missing.count), (90, 7));
    assert_eq!(drain(&mut queue).len(), 4);
    assert_eq!(queue.bytes, 0);
}

#[test]
fn a_prompt_keeps_what_is_newest_and_every_reply() {
    let mut queue = SinkQueue::new(limits(2, Overflow::DropOldest));
    queue.must("reply".into(), None, &gap());
    for text in ["a", "b", "c", "d"] {
        queue.may(text.into(), 0, &gap());
    }
    assert_eq!(drain(&mut queue), ["2 lines dropped", "reply", "c", "d"]);
}

/// A writer that passes on all text it gets, and that can be told to wait.
struct Pipe {
    out: mpsc::SyncSender<String>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8(bytes.to_vec()).expect("text");
        self.out.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_slow_reader_loses_events_and_no_reply() {
    let (out, reader) = mpsc::sync_channel(0);
    let sink = Sink::lines(limits(3, Overflow::DropNewest), gap(), Pipe { out }, |_| {}).expect("a thread");
    for number in 0..100 {
        sink.may(format!("event {number}"));
    }
    let (written, done) = mpsc::channel();
    sink.must(
        "reply".into(),
        Some(Box::new(move || written.send(()).expect("the test waits"))),
    );
    let mut seen = Vec::new();
    while seen.last().is_none_or(|line: &String| line != "reply\n") {
        seen.push(reader.recv_timeout(PATIENCE).expect("the writer goes on"));
    }
    done.recv_timeout(PATIENCE).expect("told when written");
    let events = seen.iter().filter(|line| line.starts_with("event")).count();
    let dropped = seen[seen.len() - 2].clone();
    assert_eq!(dropped, format!("{} lines dropped\n", 100 - events));
    assert!((3..=4).contains(&events), "{seen:?}");
    assert!(sink.finish(PATIENCE));
}

#[test]
fn a_closed_reader_is_reported_once_and_nobody_waits() {
    let (out, reader) = mpsc::sync_channel(0);
    let (closed, told) = mpsc::channel();
    let sink = Sink::lines(SinkLimits::EVENTS, gap(), Pipe { out }, move |_| {
        closed.send(()).expect("the test waits");
    })
    .expect("a thread");
    drop(reader);
    let (written, done) = mpsc::channel();
    for _ in 0..3 {
        let written = written.clone();
        sink.must(
            "reply".into(),
            Some(Box::new(move || written.send(()).expect("the test waits"))),
        );
    }
    for _ in 0..3 {
        done.recv_timeout(PATIENCE).expect("nobody waits for ever");
    }
    told.recv_timeout(PATIENCE).expect("the node hears of it");
    assert!(told.try_recv().is_err());
    assert!(!sink.flush(PATIENCE));
}

#[test]
fn a_blocked_reader_does_not_hold_the_stop_up() {
    let (out, reader) = mpsc::sync_channel(0);
    let sink = Sink::lines(SinkLimits::EVENTS, gap(), Pipe { out }, |_| {}).expect("a thread");
    sink.must("reply".into(), None);
    assert!(!sink.finish(Duration::from_millis(1)));
    drop(reader);
}

#[test]
fn a_reader_that_goes_on_gets_everything_however_long_that_takes() {
    let patience = Duration::from_millis(400);
    let (out, reader) = mpsc::sync_channel(0);
    let sink = Sink::lines(SinkLimits::EVENTS, gap(), Pipe { out }, |_| {}).expect("a thread");
    for number in 0..30 {
        sink.must(format!("reply {number}"), None);
    }
    let slow = thread::spawn(move || {
        let lines = reader.iter().inspect(|_| thread::sleep(patience / 10));
        lines.count()
    });
    assert!(sink.finish(patience), "three patiences, but never one without a line");
    drop(sink);
    assert_eq!(slow.join().expect("it only reads"), 30);
}

#[test]
fn what_a_failure_means_is_known_before_anybody_goes_on() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (told, order) = mpsc::channel();
    let told_too = told.clone();
    let sink = Sink::lines(SinkLimits::EVENTS, gap(), Full, move |error| {
        told.send(error.kind() == io::ErrorKind::StorageFull)
            .expect("the test waits");
    })
    .expect("a thread");
    sink.must(
        "reply".into(),
        Some(Box::new(move || told_too.send(false).expect("the test waits"))),
    );
    let seen: Vec<bool> = (0..2).map(|_| order.recv_timeout(PATIENCE).expect("told")).collect();
    assert_eq!(seen, [true, false]);
}

#[test]
fn what_was_said_is_written_before_the_end() {
    let (out, reader) = mpsc::sync_channel(1_000);
    let sink = Sink::lines(SinkLimits::LOG, gap(), Pipe { out }, |_| {}).expect("a thread");
    let mut log = LogWriter(sink.clone());
    for number in 0..500 {
        log.write_all(format!("line {number}\n").as_bytes()).expect("a queue");
    }
    assert!(sink.finish(PATIENCE));
    let lines: Vec<String> = reader.try_iter().collect();
    assert_eq!((lines.len(), lines[499].as_str()), (500, "line 499\n"));
}

/// Takes three bytes at a time, and is full or interrupted in between.
struct Stubborn {
    turn: u8,
    taken: Vec<u8>,
}

impl Stubborn {
    fn turn(&mut self) -> io::Result<()> {
        self.turn = (self.turn + 1) % 3;
        match self.turn {
            0 => Ok(()),
            1 => Err(io::ErrorKind::WouldBlock.into()),
            _ => Err(io::ErrorKind::Interrupted.into()),
        }
    }
}

impl Write for Stubborn {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.turn()?;
        let size = bytes.len().min(3);
        self.taken.extend_from_slice(&bytes[..size]);
        Ok(size)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.turn()
    }
}

#[test]
fn a_full_output_that_does_not_block_is_not_closed() {
    let mut out = Stubborn {
        turn: 0,
        taken: Vec::new(),
    };
    write_whole(&mut out, b"every byte, once").expect("never closed");
    assert_eq!(out.taken, b"every byte, once");
}

#[test]
fn of_more_lines_than_the_pace_allows_the_first_are_said_and_the_others_counted_once() {
    let begin = Instant::now();
    let mut pace = LinePace::full(begin);
    let said = (0..10_000)
        .filter(|_| pace.take(begin, LINES_A_SECOND).is_some())
        .count();
    assert_eq!(said, usize::try_from(LINES_AT_ONCE).unwrap());
    let after = |seconds| begin + Duration::from_secs(seconds);
    assert_eq!(pace.take(after(9), LINES_A_SECOND), None, "it rests");
    assert_eq!(pace.take(after(10), LINES_A_SECOND), Some(7_001));
    assert_eq!(pace.take(after(10), LINES_A_SECOND), Some(0));
}

#[test]
fn a_line_in_pieces_is_written_whole_and_everything_else_behind_it() {
    let mut queue = SinkQueue::new(limits(2, Overflow::DropNewest));
    let pop = |queue: &mut SinkQueue| queue.pop(&gap()).map(|item| (item.text, item.end));
    let text = |text: &str, end| Some((text.to_owned(), end));
    queue.may("before".into(), 0, &gap());
    queue.piece("one".into(), LineEnd::Later, None, &gap());
    queue.may("event".into(), 0, &gap());
    assert_eq!(pop(&mut queue), text("before", LineEnd::Here));
    assert_eq!(pop(&mut queue), text("one", LineEnd::Later));
    assert!(queue.is_idle());
    assert_eq!(pop(&mut queue), None, "the line is open");
    queue.piece("two".into(), LineEnd::Later, None, &gap());
    queue.must("reply".into(), None, &gap());
    assert_eq!(pop(&mut queue), text("two", LineEnd::Later));
    for dropped in ["x", "y", "z"] {
        queue.may(dropped.into(), 0, &gap());
    }
    assert_eq!(pop(&mut queue), None, "nor is a gap told within it");
    queue.piece("three".into(), LineEnd::Here, None, &gap());
    assert_eq!(pop(&mut queue), text("three", LineEnd::Here));
    assert_eq!(drain(&mut queue), ["event", "reply", "x", "2 lines dropped"]);
    assert!(queue.is_idle());
}

#[test]
fn a_line_in_pieces_reaches_the_output_with_one_end() {
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);
    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let kept = Kept::default();
    let sink = Sink::lines(limits(9, Overflow::DropNewest), gap(), kept.clone(), |_| {}).unwrap();
    let (written, all) = mpsc::channel();
    for (text, end) in [("a", LineEnd::Later), ("b", LineEnd::Later), ("c", LineEnd::Here)] {
        sink.may(text.to_uppercase());
        let written = written.clone();
        sink.piece(text.into(), end, Box::new(move || written.send(()).unwrap()));
        all.recv_timeout(PATIENCE).unwrap();
    }
    assert!(sink.finish(PATIENCE));
    let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
    assert_eq!(text, "A\nabc\nB\nC\n");
}
