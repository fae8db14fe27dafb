//! Writer threads: what is said leaves in order, and a reader that is slow or gone never holds the node up.
//!
//! Promises: [`Sink::must`] is never dropped; [`Sink::may`] never waits and never takes more than its limit, and a
//! gap is told once, with the count; each text is written and flushed at once; a closed output is reported once.
//! Elsewhere: who waits for a reply to be written before the next line is read (`node`).
//! Spec: `proto-notes/events.md`, "Output".

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::threads::{self, panic_point};

/// How much of `--json` events waits for a reader. A sync of 30,000 blocks; a reader that paused for a minute.
pub const EVENTS_MAX_BYTES: usize = 16 * 1024 * 1024;
/// How many log lines wait for a terminal: some twenty screens, more than anybody scrolls back.
pub const LOG_MAX_LINES: usize = 1_024;

/// Log lines at once, and a second after that: a burst is a first sync among many peers; the rate fills 300 MB of disk a
/// day at worst.
pub const LINES_AT_ONCE: u32 = 3_000;
/// See [`LINES_AT_ONCE`].
pub const LINES_A_SECOND: u32 = 20;
/// The same for a log that its user wants in detail.
pub const DETAILED_LINES_A_SECOND: u32 = 2_000;

/// Called when a text was written, or can no longer be.
pub type Done = Box<dyn FnOnce() + Send>;

/// Which text makes room when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// The one that comes: what was said first stands. The gap ends when half of the queue is free again.
    DropNewest,
    /// The oldest that waits: what is newest matters.
    DropOldest,
}

/// How much may wait.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of droppable texts.
    pub bytes: usize,
    /// Droppable texts.
    pub texts: usize,
    /// What leaves.
    pub overflow: Overflow,
    /// Droppable texts a second in the long run, after [`LINES_AT_ONCE`]; none: as many as come.
    pub a_second: Option<u32>,
}

/// A token bucket of lines. When it is empty, nothing is said until ten seconds' worth is back: so the count of what was
/// left out does not become a flood of its own.
struct Pace {
    left: f64,
    at: Instant,
    rests: bool,
    left_out: u64,
}

impl Pace {
    fn full(now: Instant) -> Self {
        Self {
            left: f64::from(LINES_AT_ONCE),
            at: now,
            rests: false,
            left_out: 0,
        }
    }

    /// Takes a line; none if it has to be left out. With the first after a rest comes how many were.
    fn take(&mut self, now: Instant, a_second: u32) -> Option<u64> {
        let gained = now.duration_since(self.at).as_secs_f64() * f64::from(a_second);
        self.at = now;
        self.left = (self.left + gained).min(f64::from(LINES_AT_ONCE));
        let wanted = if self.rests { f64::from(a_second) * 10.0 } else { 1.0 };
        self.rests = self.left < wanted.min(f64::from(LINES_AT_ONCE));
        if self.rests {
            self.left_out += 1;
            return None;
        }
        self.left -= 1.0;
        Some(core::mem::take(&mut self.left_out))
    }
}

impl Limits {
    /// For `--json` events.
    pub const EVENTS: Self = Self {
        bytes: EVENTS_MAX_BYTES,
        texts: usize::MAX,
        overflow: Overflow::DropNewest,
        a_second: None,
    };
    /// For log lines.
    pub const LOG: Self = Self {
        bytes: EVENTS_MAX_BYTES,
        texts: LOG_MAX_LINES,
        overflow: Overflow::DropNewest,
        a_second: Some(LINES_A_SECOND),
    };
    /// For a prompt.
    pub const PROMPT: Self = Self {
        overflow: Overflow::DropOldest,
        ..Self::LOG
    };
}

/// Says in the output's own words that so many texts are missing.
pub type Gap = Box<dyn Fn(u64) -> String + Send>;

/// "N lines dropped"
#[must_use]
pub fn lines_dropped(count: u64) -> String {
    format!("{count} lines dropped")
}

/// Whether a line ends with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineEnd {
    /// All of it is here.
    Here,
    /// More of it comes.
    Later,
}

struct Item {
    text: String,
    /// Droppable if false.
    must: bool,
    done: Option<Done>,
    end: LineEnd,
}

/// The queue: pure but for the callbacks that it carries.
struct Queue {
    limits: Limits,
    items: VecDeque<Item>,
    /// Of the line that is said in pieces, those behind the first.
    pieces: VecDeque<Item>,
    /// More of that line is to come from whoever says it.
    said_open: bool,
    /// The line that is being written has not ended.
    line_open: bool,
    /// Droppable bytes and texts in `items`.
    bytes: usize,
    texts: usize,
    dropped: u64,
    /// The gap under way has not ended.
    dropping: bool,
    pace: Pace,
}

impl Queue {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            items: VecDeque::new(),
            pieces: VecDeque::new(),
            said_open: false,
            line_open: false,
            bytes: 0,
            texts: 0,
            dropped: 0,
            dropping: false,
            pace: Pace::full(Instant::now()),
        }
    }

    fn may(&mut self, text: String, gap: &Gap) {
        if let Some(a_second) = self.limits.a_second {
            match self.pace.take(Instant::now(), a_second) {
                None => return,
                Some(0) => {}
                Some(count) => self.items.push_back(Item {
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
                    self.dropped += 1;
                    return;
                }
                self.tell_gap(gap);
            }
            Overflow::DropOldest => while !self.has_room(&text) && self.drop_oldest() {},
        }
        self.bytes += text.len();
        self.texts += 1;
        self.items.push_back(Item {
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
        self.items.push_back(Item {
            text,
            must: true,
            done,
            end,
        });
    }

    /// A piece of a line that begins behind what was said before. Until its last piece nothing else is written.
    fn piece(&mut self, text: String, end: LineEnd, done: Option<Done>, gap: &Gap) {
        let item = Item {
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

    /// Whether nothing is there that could be written now.
    fn is_idle(&self) -> bool {
        if self.line_open {
            self.pieces.is_empty()
        } else {
            self.items.is_empty() && self.dropped == 0
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
        self.dropped += 1;
        true
    }

    fn forget(&mut self, item: &Item) {
        if !item.must {
            self.bytes -= item.text.len();
            self.texts -= 1;
        }
    }

    /// Puts the gap's text where the gap is.
    fn tell_gap(&mut self, gap: &Gap) {
        if self.dropped > 0 {
            let text = gap(core::mem::take(&mut self.dropped));
            self.items.push_back(Item {
                text,
                must: true,
                done: None,
                end: LineEnd::Here,
            });
        }
    }

    /// The next text to write.
    fn pop(&mut self, gap: &Gap) -> Option<Item> {
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

    fn pop_line(&mut self, gap: &Gap) -> Option<Item> {
        if self.limits.overflow == Overflow::DropOldest || self.items.is_empty() {
            // The oldest are missing, so the gap stands first; or nothing else will bring the gap's text.
            if self.dropped > 0 {
                let text = gap(core::mem::take(&mut self.dropped));
                self.dropping = false;
                return Some(Item {
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

struct State {
    queue: Queue,
    /// No reader is left: everything is thrown away.
    closed: bool,
    /// A text is being written.
    writing: bool,
    /// Texts taken to be written so far.
    taken: u64,
    /// Nothing more will come.
    finished: bool,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    gap: Mutex<Gap>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gap(&self) -> MutexGuard<'_, Gap> {
        self.gap.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to a writer thread; cheap to clone.
#[derive(Clone)]
pub struct Sink {
    shared: Arc<Shared>,
}

impl Sink {
    /// Starts a thread that hands each text to `write`, in order, without a line's end, and whether the line ends with it.
    ///
    /// `on_closed` is called once, from the thread, with the first error of `write`, or when the thread fails: nothing is
    /// written any more.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        limits: Limits,
        gap: Gap,
        mut write: impl FnMut(&str, LineEnd) -> io::Result<()> + Send + 'static,
        on_closed: impl FnOnce(&io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                queue: Queue::new(limits),
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
                // First of all: whoever waits for the text or for the end finds what the failure means.
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

    /// A thread that writes lines to `out`, each flushed at once.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn lines(
        limits: Limits,
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

    /// Says what must not be lost: a reply, the first and the last event. `done` is called when it was written.
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

    /// Says a piece of a line that must not be lost. Whoever has said one with [`LineEnd::Later`] says the others until the line
    /// ends, and waits for each to be written before the next one; all others wait until the line has ended.
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

    /// How many texts that may be dropped are said a second in the long run, from now on.
    pub fn set_pace(&self, a_second: u32) {
        self.shared.lock().queue.limits.a_second = Some(a_second);
    }

    /// Says what may be dropped when nobody reads, or when too much is said.
    pub fn may(&self, text: String) {
        let gap = self.shared.gap();
        let mut state = self.shared.lock();
        if !state.closed && !state.finished {
            state.queue.may(text, &gap);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until everything said so far is written, the output is closed, or nothing more was read for as long as the
    /// patience; true if written.
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

    /// As [`Sink::flush`]; nothing that is said afterwards is written.
    pub fn finish(&self, patience: Duration) -> bool {
        let written = self.flush(patience);
        self.shared.lock().finished = true;
        self.shared.changed.notify_all();
        written
    }
}

/// How long to wait for a reader of an output that somebody else made non-blocking.
const FULL_PAUSE: Duration = Duration::from_millis(5);

/// Writes and flushes everything; a full output that does not block is no closed one.
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

/// Waits for the next text; none when nothing more will come.
fn next(shared: &Shared) -> Option<Item> {
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

/// Throws away what waits; whoever waits for it is told.
fn close(shared: &Shared) {
    let items = {
        let mut state = shared.lock();
        state.closed = true;
        state.queue.dropped = 0;
        let pieces = core::mem::take(&mut state.queue.pieces);
        core::mem::take(&mut state.queue.items).into_iter().chain(pieces)
    };
    shared.changed.notify_all();
    for done in items.filter_map(|item| item.done) {
        done();
    }
}

/// Takes what a log formatter writes, one line a call, to a sink. Clones share the sink.
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
