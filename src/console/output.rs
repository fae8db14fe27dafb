//! Writer threads: texts are written in order, and a slow or closed reader never blocks the node.
//!
//! Promises: a text given to [`Sink::must`] is never dropped. [`Sink::may`] never waits and never exceeds its limit; a
//! gap is reported once, with the number of dropped texts. Each text is written and flushed at once. A closed output is
//! reported once.
//! Elsewhere: the sessions that wait until a reply is written before they read the next line (`node`).

mod pace;

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::threads::{self, panic_point};
pub use pace::LINES_AT_ONCE;
use pace::LinePace;

/// The most bytes of `--json` events that wait for a reader: those of a sync of 30,000 blocks, or of a minute's pause.
pub const EVENTS_MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most log lines that wait for a terminal: about twenty screens, more than anybody scrolls back.
pub const LOG_MAX_LINES: usize = 1_024;

/// The log lines per second in the long run, after [`LINES_AT_ONCE`].
pub const LINES_A_SECOND: u32 = 20;
/// The log lines per second in the long run, if the user wants a detailed log.
pub const DETAILED_LINES_A_SECOND: u32 = 2_000;

/// The callback for a text that was written, or that can never be written.
pub type Done = Box<dyn FnOnce() + Send>;

/// Which text is dropped when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The new text, so that the beginning stays. The gap ends when half of the queue is free again.
    DropNewest,
    /// The oldest waiting text, because the newest matters most.
    DropOldest,
}

/// The limits on waiting texts.
#[derive(Clone, Copy, Debug)]
pub struct SinkLimits {
    /// The most bytes of droppable texts.
    pub bytes: usize,
    /// The most droppable texts.
    pub texts: usize,
    /// Which text is dropped when a limit is reached.
    pub overflow: Overflow,
    /// The droppable texts per second in the long run, after [`LINES_AT_ONCE`]; none means no limit.
    pub a_second: Option<u32>,
}

impl SinkLimits {
    /// The limits for `--json` events.
    pub const EVENTS: Self = Self {
        bytes: EVENTS_MAX_BYTES,
        texts: usize::MAX,
        overflow: Overflow::DropNewest,
        a_second: None,
    };
    /// The limits for log lines.
    pub const LOG: Self = Self {
        bytes: EVENTS_MAX_BYTES,
        texts: LOG_MAX_LINES,
        overflow: Overflow::DropNewest,
        a_second: Some(LINES_A_SECOND),
    };
    /// The limits for a prompt.
    pub const PROMPT: Self = Self {
        overflow: Overflow::DropOldest,
        ..Self::LOG
    };
}

/// The texts that were dropped in one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Missing {
    /// How many texts they are.
    pub count: u64,
    /// The number of the last one, as [`Sink::may_numbered`] was given it.
    pub last: u64,
}

/// Writes the report of a gap, in the format of the output.
pub type Gap = Box<dyn Fn(Missing) -> String + Send>;

/// The report of a gap in words: "N lines dropped".
#[must_use]
pub fn lines_dropped(missing: Missing) -> String {
    format!("{} lines dropped", missing.count)
}

/// Whether a text is the end of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// The line ends with this text.
    Here,
    /// More texts of the line follow.
    Later,
}

struct QueuedText {
    text: String,
    /// Whether the text must not be dropped.
    must: bool,
    done: Option<Done>,
    end: LineEnd,
}

/// The queue of waiting texts. It is pure, apart from the callbacks that it holds.
struct SinkQueue {
    limits: SinkLimits,
    items: VecDeque<QueuedText>,
    /// The pieces of a line written in pieces, after its first one.
    pieces: VecDeque<QueuedText>,
    /// Whether its writer will add more pieces to that line.
    said_open: bool,
    /// Whether the line that is being written has not ended yet.
    line_open: bool,
    /// The bytes and the number of droppable texts in `items`.
    bytes: usize,
    texts: usize,
    missing: Missing,
    /// Whether a gap has begun and not ended yet.
    dropping: bool,
    pace: LinePace,
}

impl SinkQueue {
    fn new(limits: SinkLimits) -> Self {
        Self {
            limits,
            items: VecDeque::new(),
            pieces: VecDeque::new(),
            said_open: false,
            line_open: false,
            bytes: 0,
            texts: 0,
            missing: Missing::default(),
            dropping: false,
            pace: LinePace::full(Instant::now()),
        }
    }

    fn may(&mut self, text: String, number: u64, gap: &Gap) {
        if let Some(a_second) = self.limits.a_second {
            match self.pace.take(Instant::now(), a_second) {
                None => return,
                Some(0) => {}
                Some(count) => self.items.push_back(QueuedText {
                    text: format!("{count} lines left out: more than {a_second} a second"),
                    must: true,
                    done: None,
                    end: LineEnd::Here,
                }),
            }
        }
        match self.limits.overflow {
            Overflow::DropNewest => {
                if self.dropping || !self.has_room(&text) {
                    self.dropping = true;
                    self.missing.count += 1;
                    self.missing.last = number;
                    return;
                }
                self.tell_gap(gap);
            }
            Overflow::DropOldest => while !self.has_room(&text) && self.drop_oldest() {},
        }
        self.bytes += text.len();
        self.texts += 1;
        self.items.push_back(QueuedText {
            text,
            must: false,
            done: None,
            end: LineEnd::Here,
        });
    }

    fn must(&mut self, text: String, done: Option<Done>, gap: &Gap) {
        if self.limits.overflow == Overflow::DropNewest {
            self.tell_gap(gap);
        }
        let end = LineEnd::Here;
        self.items.push_back(QueuedText {
            text,
            must: true,
            done,
            end,
        });
    }

    /// Adds a piece of a line, after all earlier texts. Until the last piece of the line, no other text is written.
    fn piece(&mut self, text: String, end: LineEnd, done: Option<Done>, gap: &Gap) {
        let item = QueuedText {
            text,
            must: true,
            done,
            end,
        };
        if core::mem::replace(&mut self.said_open, end == LineEnd::Later) {
            self.pieces.push_back(item);
        } else {
            if self.limits.overflow == Overflow::DropNewest {
                self.tell_gap(gap);
            }
            self.items.push_back(item);
        }
    }

    /// Whether no text can be written now.
    fn is_idle(&self) -> bool {
        if self.line_open {
            self.pieces.is_empty()
        } else {
            self.items.is_empty() && self.missing.count == 0
        }
    }

    fn has_room(&self, text: &str) -> bool {
        self.texts < self.limits.texts && self.bytes.saturating_add(text.len()) <= self.limits.bytes
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(at) = self.items.iter().position(|item| !item.must) else {
            return false;
        };
        let item = self.items.remove(at).expect("the position was just found");
        self.forget(&item);
        self.missing.count += 1;
        true
    }

    fn forget(&mut self, item: &QueuedText) {
        if !item.must {
            self.bytes -= item.text.len();
            self.texts -= 1;
        }
    }

    /// Puts the report of a gap in the place of the gap.
    fn tell_gap(&mut self, gap: &Gap) {
        if self.missing.count > 0 {
            let text = gap(core::mem::take(&mut self.missing));
            self.items.push_back(QueuedText {
                text,
                must: true,
                done: None,
                end: LineEnd::Here,
            });
        }
    }

    /// Takes the next text to write.
    fn pop(&mut self, gap: &Gap) -> Option<QueuedText> {
        let item = if self.line_open {
            self.pieces.pop_front()
        } else {
            self.pop_line(gap)
        };
        if let Some(item) = &item {
            self.line_open = item.end == LineEnd::Later;
        }
        item
    }

    fn pop_line(&mut self, gap: &Gap) -> Option<QueuedText> {
        if self.limits.overflow == Overflow::DropOldest || self.items.is_empty() {
            // The oldest texts are missing, so the report comes first; it also comes if nothing else would bring it.
            if self.missing.count > 0 {
                let text = gap(core::mem::take(&mut self.missing));
                self.dropping = false;
                return Some(QueuedText {
                    text,
                    must: true,
                    done: None,
                    end: LineEnd::Here,
                });
            }
        }
        let item = self.items.pop_front()?;
        self.forget(&item);
        if self.bytes <= self.limits.bytes / 2 && self.texts <= self.limits.texts / 2 {
            self.dropping = false;
        }
        Some(item)
    }
}

struct SinkState {
    queue: SinkQueue,
    /// Whether the reader is gone, so that all texts are thrown away.
    closed: bool,
    /// Whether a text is being written now.
    writing: bool,
    /// How many texts were taken for writing so far.
    taken: u64,
    /// Whether no further text will come.
    finished: bool,
}

struct SinkShared {
    state: Mutex<SinkState>,
    changed: Condvar,
    gap: Mutex<Gap>,
}

impl SinkShared {
    fn lock(&self) -> MutexGuard<'_, SinkState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gap(&self) -> MutexGuard<'_, Gap> {
        self.gap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The input of a writer thread; cheap to clone.
#[derive(Clone)]
pub struct Sink {
    shared: Arc<SinkShared>,
}

impl Sink {
    /// Starts a thread that passes each text to `write` in order, without a line end, and says whether the line ends
    /// with it.
    ///
    /// The thread calls `on_closed` once: with the first error of `write`, or if the thread itself fails. Nothing is
    /// written after that.
    ///
    /// # Errors
    /// The error of the system if it cannot start a thread.
    pub fn start(
        limits: SinkLimits,
        gap: Gap,
        mut write: impl FnMut(&str, LineEnd) -> io::Result<()> + Send + 'static,
        on_closed: impl FnOnce(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(SinkShared {
            state: Mutex::new(SinkState {
                queue: SinkQueue::new(limits),
                closed: false,
                writing: false,
                taken: 0,
                finished: false,
            }),
            changed: Condvar::new(),
            gap: Mutex::new(gap),
        });
        let sink = Self { shared: shared.clone() };
        let (on_closed, lost) = (Arc::new(Mutex::new(Some(on_closed))), shared.clone());
        let tell_closed = move |error: &io::Error| {
            if let Some(on_closed) = on_closed.lock().unwrap_or_else(PoisonError::into_inner).take() {
                on_closed(error);
            }
        };
        let tell_failed = tell_closed.clone();
        let body = move || {
            while let Some(item) = next(&shared) {
                panic_point("output");
                let written = write(&item.text, item.end);
                // Reported first, so that everybody who waits for the text or for the end sees what the failure means.
                if let Err(error) = &written {
                    tell_closed(error);
                }
                if let Some(done) = item.done {
                    done();
                }
                if written.is_err() {
                    close(&shared);
                }
            }
        };
        threads::spawn("output", body, move |reason| {
            tell_failed(&io::Error::other(format!("the writing thread failed: {reason}")));
            close(&lost);
        })?;
        Ok(sink)
    }

    /// Starts a thread that writes lines to `out` and flushes each at once.
    ///
    /// # Errors
    /// The error of the system if it cannot start a thread.
    pub fn lines(
        limits: SinkLimits,
        gap: Gap,
        mut out: impl Write + Send + 'static,
        on_closed: impl FnOnce(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let write = move |text: &str, end| {
            let mut line = String::with_capacity(text.len() + 1);
            line.push_str(text);
            if end == LineEnd::Here {
                line.push('\n');
            }
            write_whole(&mut out, line.as_bytes())
        };
        Self::start(limits, gap, write, on_closed)
    }

    /// Writes a text that must not be lost: a reply, the first or the last event. `done` is called when it is written.
    pub fn must(&self, text: String, done: Option<Done>) {
        let gap = self.shared.gap();
        let mut state = self.shared.lock();
        if state.closed || state.finished {
            drop((state, gap));
            if let Some(done) = done {
                done();
            }
            return;
        }
        state.queue.must(text, done, &gap);
        self.shared.changed.notify_all();
    }

    /// Writes a piece of a line that must not be lost. After a piece with [`LineEnd::Later`] the caller must add
    /// further pieces until the line ends, and wait for each to be written before the next. All other texts wait until
    /// the line has ended.
    pub fn piece(&self, text: String, end: LineEnd, done: Done) {
        let gap = self.shared.gap();
        let mut state = self.shared.lock();
        if state.closed || state.finished {
            drop((state, gap));
            return done();
        }
        state.queue.piece(text, end, Some(done), &gap);
        self.shared.changed.notify_all();
    }

    /// Sets how many droppable texts may be written per second in the long run, from now on.
    pub fn set_pace(&self, a_second: u32) {
        self.shared.lock().queue.limits.a_second = Some(a_second);
    }

    /// Writes a text that may be dropped if nobody reads, or if there are too many.
    pub fn may(&self, text: String) {
        self.may_numbered(text, 0);
    }

    /// The same for a text with a number, which the report of a gap repeats.
    pub fn may_numbered(&self, text: String, number: u64) {
        let gap = self.shared.gap();
        let mut state = self.shared.lock();
        if !state.closed && !state.finished {
            state.queue.may(text, number, &gap);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until all texts so far are written, the output is closed, or the reader has made no progress for
    /// `patience`. True if all are written.
    #[must_use]
    pub fn flush(&self, patience: Duration) -> bool {
        let mut deadline = Instant::now() + patience;
        let mut state = self.shared.lock();
        let mut taken = state.taken;
        loop {
            if taken != state.taken {
                taken = state.taken;
                deadline = Instant::now() + patience;
            }
            if state.closed {
                return false;
            }
            if state.queue.is_idle() && !state.queue.line_open && !state.writing {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let wait = self.shared.changed.wait_timeout(state, left);
            state = wait.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits as [`Sink::flush`] does; later texts are not written any more.
    pub fn finish(&self, patience: Duration) -> bool {
        let written = self.flush(patience);
        self.shared.lock().finished = true;
        self.shared.changed.notify_all();
        written
    }
}

/// How long to wait for the reader of an output that another program made non-blocking.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// Writes and flushes all bytes; a non-blocking output that is full does not count as closed.
fn write_whole(out: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    loop {
        let step = if bytes.is_empty() {
            out.flush().map(|()| None)
        } else {
            out.write(bytes).map(Some)
        };
        match step {
            Ok(None) => return Ok(()),
            Ok(Some(0)) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(Some(size)) => bytes = &bytes[size..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::sleep(FULL_PAUSE),
            Err(error) => return Err(error),
        }
    }
}

/// Waits for the next text; none when no more will come.
fn next(shared: &SinkShared) -> Option<QueuedText> {
    loop {
        let gap = shared.gap();
        let mut state = shared.lock();
        state.writing = false;
        if state.finished {
            return None;
        }
        if let Some(item) = state.queue.pop(&gap) {
            state.writing = true;
            state.taken = state.taken.wrapping_add(1);
            return Some(item);
        }
        drop(gap);
        shared.changed.notify_all();
        let waited = shared
            .changed
            .wait_while(state, |state| !state.finished && state.queue.is_idle());
        drop(waited);
    }
}

/// Throws all waiting texts away and calls their callbacks.
fn close(shared: &SinkShared) {
    let items = {
        let mut state = shared.lock();
        state.closed = true;
        state.queue.missing = Missing::default();
        let pieces = core::mem::take(&mut state.queue.pieces);
        core::mem::take(&mut state.queue.items).into_iter().chain(pieces)
    };
    shared.changed.notify_all();
    for done in items.filter_map(|item| item.done) {
        done();
    }
}

/// Passes the output of a log formatter, one line a call, to a sink. Clones share the sink.
#[derive(Clone)]
pub struct LogWriter(pub Sink);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        self.0.may(text.trim_end_matches('\n').to_owned());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
