//! The node's side door: sessions of other programs on this machine, through a socket in the data folder.
//!
//! ```text
//! lanchain ctl ────┐                    ┌─> session thread ─ commands ─> inbox ─> engine thread
//! lanchain attach ─┴─ socket ─ door ────┤                                              │
//!                                       └─< hub <──── replies, events ─────────────────┘
//! ```
//!
//! Promises: at most [`CLIENTS_MAX`] sessions; what a client does not read waits within its limits and holds nobody up;
//! each session gets its own replies, and events only if it asked for them.
//! Elsewhere: one session (`node::control_session`), the clients (`node::control_client`).
//! Spec: `proto-notes/control.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::clock::wall;
use super::control_session::{Form, Message};
use super::inbox::Inbox;
use super::session;
use super::telling::Switches;
use crate::console::output::{Overflow, Sink, SinkLimits};
use crate::console::render::{self, Narrator};
use crate::console::watch::{Telling, TellingReply};
use crate::contract::{CommandError, Event, NodeStatus, Reply, Source};

/// The socket in the data folder.
pub const SOCKET: &str = "control";
/// Sessions at the same time. People have a few terminals, a script one or two; each session has three threads.
pub const CLIENTS_MAX: usize = 16;
/// Events that wait for one client: a sync of two thousand blocks. All clients together stay below the node's own 16 MiB.
pub const CLIENT_EVENTS_MAX_BYTES: usize = 1024 * 1024;
/// How long a stop waits for sessions to tell their clients that the running command was interrupted.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// How long the last words wait for a client.
pub(super) const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Ids below it are the node's own session's.
const SESSION_SHIFT: u32 = 32;
/// The command of each session by which it learns the state that its events start from.
pub(super) const ATTACH: u64 = 0;

/// The event that tells the size of a storm, for sessions in words.
const FOLDED: &str = "folded";
/// The event that holds a line of the log, for sessions in words that read it along.
const LOG: &str = "log";

/// What a client may let wait.
pub(super) const CLIENT: SinkLimits = SinkLimits {
    bytes: CLIENT_EVENTS_MAX_BYTES,
    texts: usize::MAX,
    overflow: Overflow::DropNewest,
    a_second: None,
};

/// A session as the hub sees it.
struct Entry {
    to: Sender<Message>,
    sink: Sink,
    form: Form,
    /// Events reach it: it asked for them and knows the state that they start from.
    joined: bool,
    /// The reply to come says to people what its own finds and payments would say as events.
    replying: bool,
    /// What it is told in words.
    switches: Switches,
    /// It runs nothing any more and waits for the node's last words.
    ended: bool,
    /// Ends the connection, whoever waits for it.
    hang_up: Box<dyn Fn() + Send>,
}

impl Entry {
    /// The line of an event, unless its topic is off or it is one of a storm.
    fn judged(&self, event: &Event, time_ms: u64, words: &str) -> Option<String> {
        let sink = self.sink.clone();
        let folded = move |line: String| sink.may(in_words(FOLDED, wall().ms(), &line));
        let verdict = self.switches.judge(event, folded);
        if let Some(line) = verdict.before {
            self.sink.may(in_words(FOLDED, time_ms, &line));
        }
        verdict.told.then(|| in_words(event.name(), time_ms, words))
    }
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<u64, Entry>,
    narrator: Narrator,
    last: u64,
    closed: bool,
}

/// What leads from the engine's thread to the sessions. Nothing here waits.
pub struct Hub {
    state: Mutex<State>,
    changed: Condvar,
    /// What the node's own console is told.
    node: Switches,
}

impl Hub {
    /// Nobody is there yet.
    #[must_use]
    pub fn new(node: Switches) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            node,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in; none if there are too many, or the node stops.
    pub(super) fn enter(&self, to: Sender<Message>, sink: Sink, hang_up: Box<dyn Fn() + Send>) -> Option<u64> {
        let mut state = self.state();
        if state.closed || state.sessions.len() >= CLIENTS_MAX {
            return None;
        }
        state.last += 1;
        let number = state.last;
        let entry = Entry {
            to,
            sink,
            form: Form::Json,
            joined: false,
            replying: false,
            switches: self.node.of_session(),
            ended: false,
            hang_up,
        };
        state.sessions.insert(number, entry);
        Some(number)
    }

    /// Sets how a session reads.
    pub(super) fn set_form(&self, number: u64, form: Form) {
        if let Some(entry) = self.state().sessions.get_mut(&number) {
            entry.form = form;
        }
    }

    /// Sets whether the session's next reply tells what the events before it would tell.
    pub(super) fn reply_tells(&self, number: u64, tells: bool) {
        if let Some(entry) = self.state().sessions.get_mut(&number) {
            entry.replying = tells;
        }
    }

    /// Carries out `watch` or `log`. A session with events in words chooses its own topics, any other those of the node's
    /// console; there is one log, and the former reads it along from its `log` on.
    pub(super) fn switch(&self, number: u64, telling: &Telling) -> TellingReply {
        let own = {
            let state = self.state();
            let entry = state.sessions.get(&number);
            let is_told = |entry: &&Entry| entry.joined && entry.form == Form::Words;
            entry
                .filter(is_told)
                .map(|entry| (entry.switches.clone(), entry.sink.clone()))
        };
        match (own, telling) {
            (Some((own, _)), Telling::Ask | Telling::Watch(_)) => TellingReply {
                watching: own.switch(telling).watching,
                ..self.node.switch(&Telling::Ask)
            },
            (Some((own, sink)), Telling::Log(_)) => {
                let follow = move |line: &str| sink.may(in_words(LOG, wall().ms(), line));
                self.node.follow_log(number, Box::new(follow));
                TellingReply {
                    watching: own.switch(&Telling::Ask).watching,
                    ..self.node.switch(telling)
                }
            }
            (None, _) => self.node.switch(telling),
        }
    }

    /// Whether a session reads the log along.
    pub(super) fn follows_log(&self, number: u64) -> bool {
        self.node.follows_log(number)
    }

    /// Lets a session go.
    pub(super) fn leave(&self, number: u64) {
        self.node.leave_log(number);
        self.state().sessions.remove(&number);
        self.changed.notify_all();
    }

    /// A session runs nothing any more because the node stops.
    pub(super) fn has_ended(&self, number: u64) {
        if let Some(entry) = self.state().sessions.get_mut(&number) {
            entry.ended = true;
        }
        self.changed.notify_all();
    }

    /// An event for all who asked for events.
    pub fn event(&self, event: &Event) {
        let mut state = self.state();
        let words_wanted = state
            .sessions
            .values()
            .any(|entry| entry.joined && entry.form == Form::Words);
        let words = if words_wanted {
            state.narrator.tell(event)
        } else {
            // Names and payments are remembered for those who come later.
            state.narrator.note(event);
            None
        };
        if state.sessions.values().all(|entry| !entry.joined) {
            return;
        }
        let time_ms = wall().ms();
        let json = render::json_event(event, time_ms);
        let is_own = matches!(
            event,
            Event::Mined { .. }
                | Event::TransactionAccepted {
                    source: Source::Local,
                    ..
                }
        );
        for entry in state.sessions.values().filter(|entry| entry.joined) {
            let line = match (entry.form, &words) {
                (Form::Json, _) => json.clone(),
                (Form::Words, Some(_)) if is_own && entry.replying => continue,
                (Form::Words, Some(words)) => match entry.judged(event, time_ms, words) {
                    Some(line) => line,
                    None => continue,
                },
                (Form::Words, None) => continue,
            };
            match event {
                Event::Stopped { .. } => entry.sink.must(line, None),
                _ => entry.sink.may(line),
            }
        }
    }

    /// Takes a reply to a session's command; gives back what is for no session.
    #[must_use]
    pub fn reply(&self, id: u64, result: Box<Result<Reply, CommandError>>) -> Option<Box<Result<Reply, CommandError>>> {
        let number = id >> SESSION_SHIFT;
        if number == 0 {
            return Some(result);
        }
        let mut state = self.state();
        // A session that is gone has no use for it.
        let entry = state.sessions.get_mut(&number)?;
        match (id & ((1 << SESSION_SHIFT) - 1), &*result) {
            (ATTACH, Ok(Reply::Status(status))) => {
                // Events from here on are those after this status: both come from the engine's thread in order.
                entry.joined = true;
                let to = entry.to.clone();
                let written = Box::new(move || to.send(Message::Written).unwrap_or_default());
                entry.sink.must(attached(entry.form, status), Some(written));
            }
            (_, _) => {
                // What happens from here on is news again.
                entry.replying = false;
                entry.to.send(Message::Reply { id, result }).unwrap_or_default();
            }
        }
        None
    }

    /// No more sessions; what they run is interrupted.
    fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        state.closed = true;
        for entry in state.sessions.values() {
            entry.to.send(Message::Stop).unwrap_or_default();
        }
        while state.sessions.values().any(|entry| !entry.ended) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The last words to those who listen, then the end of every connection.
    fn end(&self, exit_status: u8) {
        self.event(&Event::Stopped { exit_status });
        let sessions = std::mem::take(&mut self.state().sessions);
        sessions.keys().for_each(|number| self.node.leave_log(*number));
        let deadline = Instant::now() + LAST_WORDS_MAX;
        for entry in sessions.into_values() {
            // A client that does not read in time loses the last words.
            let _ = entry.sink.finish(deadline.saturating_duration_since(Instant::now()));
            (entry.hang_up)();
        }
    }
}

/// The id of a session's command.
pub(super) const fn command_id(number: u64, command: u64) -> u64 {
    (number << SESSION_SHIFT) | command
}

/// An event's line for a client that shows words.
fn in_words(name: impl AsRef<str>, time_ms: u64, text: &str) -> String {
    let name = name.as_ref();
    render::plain(
        serde_json::json!({ "v": 1, "type": "event", "event": name, "time_ms": time_ms, "text": text }).to_string(),
    )
}

/// The first line of a session with events: where they start from.
fn attached(form: Form, status: &NodeStatus) -> String {
    let time_ms = wall().ms();
    match form {
        Form::Json => render::attached(status, time_ms),
        Form::Words => {
            let banner = render::banner(status);
            let text = format!(
                "{}\n  `detach` or Ctrl-D leaves it running, `quit` stops it",
                banner.trim_end()
            );
            in_words("attached", time_ms, &text)
        }
    }
}

/// The open side door of a node.
pub struct Control {
    hub: Arc<Hub>,
    socket: Option<PathBuf>,
}

impl Control {
    /// Opens the door. A node lives without one; the log says why.
    #[must_use]
    pub fn open(folder: &Path, hub: &Arc<Hub>, inbox: &Arc<Inbox>, to_node: &Sender<session::Message>) -> Self {
        let opened = super::control_socket::open(folder, hub, inbox, to_node);
        match &opened {
            // Where there is no such thing nothing is amiss.
            Err(error) if error.kind() == std::io::ErrorKind::Unsupported => {
                tracing::debug!(%error, "no control socket")
            }
            Err(error) => {
                tracing::warn!(%error, "no control socket: `lanchain ctl` and `attach` cannot reach this node");
            }
            Ok(_) => {}
        }
        Self {
            hub: Arc::clone(hub),
            socket: opened.ok(),
        }
    }

    /// The node is about to stop: running commands of clients end, no new clients come.
    pub fn close(&self) {
        if let Some(socket) = &self.socket {
            // While the folder is locked: the next node makes its own.
            std::fs::remove_file(socket).unwrap_or_default();
        }
        self.hub.close(LEAVE_MAX);
    }

    /// The node has stopped: last words, and the end of every connection.
    pub fn end(self, exit_status: u8) {
        self.hub.end(exit_status);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc::{SyncSender, channel, sync_channel};

    use super::*;
    use crate::console::output::LogWriter;
    use crate::node::telling::LogLines;

    /// A reader that takes a write when it is asked for one, and not before.
    struct Reader(SyncSender<String>);

    impl Write for Reader {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8_lossy(bytes).into_owned();
            self.0.send(text).map_err(|_| io::ErrorKind::BrokenPipe)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink(to: SyncSender<String>) -> Sink {
        let lost = Box::new(|count| render::events_dropped(count, 0));
        Sink::lines(CLIENT, lost, Reader(to), |_| {}).expect("a thread")
    }

    #[test]
    fn lines_of_the_log_that_a_client_does_not_read_take_a_mebibyte_and_leave_a_gap() {
        let switches = Switches::default();
        switches.control_log("info", Box::new(|_| true));
        let hub = Hub::new(switches.clone());
        let (to, _messages) = channel();
        let (out, reader) = sync_channel(0);
        let client = sink(out);
        let number = hub.enter(to, client.clone(), Box::new(|| {})).expect("there is room");
        hub.set_form(number, Form::Words);
        if let Some(entry) = hub.state().sessions.get_mut(&number) {
            entry.joined = true;
        }
        assert_eq!(hub.switch(number, &Telling::Log("trace")).log, "trace");
        let (nowhere, _unread) = sync_channel(0);
        let mut log = LogLines {
            own: LogWriter(sink(nowhere)),
            switches,
        };
        // 1,024 bytes of text each, and some around them: fewer than 1,024 of them wait.
        let line = format!("{}\n", "x".repeat(1_024));
        for _ in 0..3_000 {
            log.write_all(line.as_bytes()).expect("it takes all");
        }
        client.must("the reply".into(), None);
        let told: Vec<String> = (0..3_000)
            .map_while(|_| reader.recv().ok())
            .take_while(|text| text != "the reply\n")
            .collect();
        let gap = told.last().expect("a gap");
        let kept = told.len() - 1;
        assert!((900..1_024).contains(&kept), "{kept}");
        assert!(
            gap.contains("events_dropped") && gap.contains(&(3_000 - kept).to_string()),
            "{gap}"
        );
        assert!(told[..kept].iter().all(|text| text.contains("xxx")));
    }
}
