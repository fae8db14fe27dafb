//! The node's side door: sessions of other programs on this machine, through a socket in the data folder.
//!
//! ```text
//! lanchain ctl ────┐                    ┌─> session thread ─ commands ─> inbox ─> engine thread
//! lanchain attach ─┴─ socket ─ door ────┤                                              │
//!                                       └─< hub <──── replies, events ─────────────────┘
//! ```
//!
//! Promises: at most [`CLIENTS_MAX`] sessions; what a client does not read waits within its limits and holds nobody up;
//! each session gets its own replies, and events only if it asked for them. The node's own console is client 0.
//! Elsewhere: what a session does (`node::session`), how a client reads (`node::control_session`), the clients' own programs
//! (`node::control_client`).
//! Spec: `proto-notes/control.md`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client_words::{attached, event_in_words};
use super::clock::wall;
use super::hello::Form;
use super::inbox::Inbox;
use super::mailbox::Mailbox;
use super::page::Page;
use super::session::In;
use super::telling::Switches;
use super::view::ReplyTells;
use crate::console::output::{Overflow, Sink, SinkLimits};
use crate::console::render::{self, Narrator};
use crate::console::watch::{Telling, TellingReply};
use crate::contract::{CommandError, Event, EventStamp, Reply, RunId, Source};

/// The socket in the data folder.
pub const SOCKET: &str = "control";
/// Sessions at the same time. People have a few terminals, a script one or two; each session has three threads.
pub const CLIENTS_MAX: usize = 16;
/// Commands of pages at the same time, apart from those sessions: each has a thread.
pub(super) const PAGE_COMMANDS_MAX: usize = 16;
/// Events that wait for one client: a sync of two thousand blocks. All clients together stay below the node's own 16 MiB.
pub const CLIENT_EVENTS_MAX_BYTES: usize = 1024 * 1024;
/// How long a stop waits for sessions to tell their clients that the running command was interrupted.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// How long the last words wait for a client.
pub(super) const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// Above it stands whose a command is.
const SESSION_SHIFT: u32 = 32;
/// The command of each session by which it learns the state that its events start from.
pub(super) const ATTACH: u64 = 0;
/// The node's own console among the sessions.
pub(super) const CONSOLE: u64 = 0;

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

/// Where a session's replies go.
#[derive(Clone)]
pub struct ReplyTo {
    /// The session's mailbox.
    pub mailbox: Mailbox,
    /// Whether its next reply tells what events before it would tell.
    pub tells: ReplyTells,
}

impl ReplyTo {
    fn reply(&self, id: u64, result: Box<Result<Reply, CommandError>>) {
        // The status that a long search is told by stands before the reply; behind that all is news again.
        if !matches!(*result, Ok(Reply::Status(_))) {
            self.tells.came();
        }
        self.mailbox.send(In::Reply { id, result });
    }
}

/// A client as the hub sees it.
struct Entry {
    reply_to: ReplyTo,
    /// Where events and last words go; none for a command of the page, which has its answer alone.
    sink: Option<Sink>,
    form: Form,
    /// Events reach it: it asked for them and knows the state that they start from.
    joined: bool,
    /// What it is told in words.
    switches: Switches,
    /// It runs nothing any more and waits for the node's last words.
    ended: bool,
    /// Ends the connection, whoever waits for it.
    hang_up: Box<dyn Fn() + Send>,
}

impl Entry {
    /// The line of an event, unless its topic is off or it is one of a storm.
    fn judged(&self, (sink, event): (&Sink, &Event), time_ms: u64, words: &str) -> Option<String> {
        let later = sink.clone();
        let folded = move |line: String| later.may(event_in_words(FOLDED, wall().ms(), &line));
        let verdict = self.switches.judge(event, folded);
        if let Some(line) = verdict.before {
            sink.may(event_in_words(FOLDED, time_ms, &line));
        }
        verdict.told.then(|| event_in_words(event.name(), time_ms, words))
    }
}

#[derive(Default)]
struct State {
    sessions: BTreeMap<u64, Entry>,
    narrator: Narrator,
    last: u64,
    closed: bool,
    /// The number of the last event.
    last_event: u64,
    /// The blocks that this node mined since its start.
    mined: u64,
}

/// What leads from the engine's thread to the sessions. Nothing here waits.
pub struct Hub {
    state: Mutex<State>,
    changed: Condvar,
    /// What the node's own console is told.
    node: Switches,
    console: ReplyTo,
    /// The network's, to say how long a search may take.
    halflife_ms: u32,
    run: RunId,
    page: Arc<Page>,
}

impl Hub {
    /// Nobody is there yet. `page` is named in each status.
    #[must_use]
    pub(super) fn new(node: Switches, console: ReplyTo, halflife_ms: u32, (run, page): (RunId, Arc<Page>)) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            node,
            console,
            halflife_ms,
            run,
            page,
        }
    }

    /// The page of this node.
    pub(super) fn page(&self) -> &Page {
        &self.page
    }

    /// Tells the node's own console's session.
    pub fn tell_console(&self, input: In) {
        self.console.mailbox.send(input);
    }

    /// The blocks that this node mined since its start.
    pub(super) fn mined(&self) -> u64 {
        self.state().mined
    }

    /// The run of this node.
    pub(super) const fn run(&self) -> RunId {
        self.run
    }

    pub(super) const fn halflife_ms(&self) -> u32 {
        self.halflife_ms
    }

    /// The console's mailbox: where a client's `quit` goes.
    pub(super) const fn console(&self) -> &Mailbox {
        &self.console.mailbox
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a session in; none if there are too many, or the node stops.
    pub(super) fn enter(&self, reply_to: ReplyTo, sink: Sink, hang_up: Box<dyn Fn() + Send>) -> Option<u64> {
        self.take_in(reply_to, Some(sink), hang_up)
    }

    /// Takes a command of the page in, as [`Hub::enter`]: its answer goes another way, and ends with its reader.
    #[cfg_attr(not(feature = "web"), allow(dead_code, reason = "no page there"))]
    pub(super) fn enter_for_page(&self, reply_to: ReplyTo) -> Option<u64> {
        self.take_in(reply_to, None, Box::new(|| {}))
    }

    fn take_in(&self, reply_to: ReplyTo, sink: Option<Sink>, hang_up: Box<dyn Fn() + Send>) -> Option<u64> {
        let mut state = self.state();
        let is_alike = |entry: &&Entry| entry.sink.is_some() == sink.is_some();
        let max = if sink.is_some() { CLIENTS_MAX } else { PAGE_COMMANDS_MAX };
        if state.closed || state.sessions.values().filter(is_alike).count() >= max {
            return None;
        }
        state.last += 1;
        let number = state.last;
        let entry = Entry {
            reply_to,
            sink,
            form: Form::Json,
            joined: false,
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

    /// Carries out `watch` or `log`. A session with events in words chooses its own topics, any other those of the node's
    /// console; there is one log, and the former reads it along from its `log` on.
    pub(super) fn switch(&self, number: u64, telling: &Telling) -> TellingReply {
        let own = {
            let state = self.state();
            let entry = state.sessions.get(&number);
            let is_told = |entry: &&Entry| entry.joined && entry.form == Form::Words;
            entry
                .filter(is_told)
                .and_then(|entry| Some((entry.switches.clone(), entry.sink.clone()?)))
        };
        match (own, telling) {
            (Some((own, _)), Telling::Ask | Telling::Watch(_)) => TellingReply {
                watching: own.switch(telling).watching,
                ..self.node.switch(&Telling::Ask)
            },
            (Some((own, sink)), Telling::Log(_)) => {
                let follow = move |line: &str| sink.may(event_in_words(LOG, wall().ms(), line));
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
    pub fn event(&self, event: &Event, stamp: EventStamp) {
        let mut state = self.state();
        state.last_event = stamp.seq;
        state.mined += u64::from(matches!(event, Event::Mined { .. }));
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
        let time_ms = stamp.time_ms;
        let json = render::json_event(event, stamp);
        let is_own = matches!(
            event,
            Event::Mined { .. }
                | Event::TransactionAccepted {
                    source: Source::Local,
                    ..
                }
        );
        for entry in state.sessions.values().filter(|entry| entry.joined) {
            let Some(sink) = &entry.sink else { continue };
            let line = match (entry.form, &words) {
                (Form::Json, _) => json.clone(),
                (Form::Words, Some(_)) if is_own && entry.reply_to.tells.get() => continue,
                (Form::Words, Some(words)) => match entry.judged((sink, event), time_ms, words) {
                    Some(line) => line,
                    None => continue,
                },
                (Form::Words, None) => continue,
            };
            match event {
                Event::Stopped { .. } => sink.must(line, None),
                _ => sink.may_numbered(line, stamp.seq),
            }
        }
    }

    /// Takes a reply to a session's command to where it belongs.
    pub fn reply(&self, id: u64, mut result: Box<Result<Reply, CommandError>>) {
        let (number, id) = (id >> SESSION_SHIFT, id & ((1 << SESSION_SHIFT) - 1));
        let web = || self.page.url();
        if number == CONSOLE {
            name_page(&mut result, web);
            return self.console.reply(id, result);
        }
        let mut state = self.state();
        let stamp = EventStamp {
            time_ms: wall().ms(),
            run: self.run,
            seq: state.last_event,
        };
        // A session that is gone has no use for it.
        let Some(entry) = state.sessions.get_mut(&number) else {
            return;
        };
        if entry.sink.is_some() {
            name_page(&mut result, web);
        }
        match (id, &*result) {
            (ATTACH, Ok(Reply::Status(status))) => {
                // Events from here on are those after this status: both come from the engine's thread in order.
                entry.joined = true;
                let mailbox = entry.reply_to.mailbox.clone();
                let started = Box::new(move || {
                    mailbox.send(In::Started);
                });
                if let Some(sink) = &entry.sink {
                    sink.must(attached(entry.form, status, stamp), Some(started));
                }
            }
            (_, _) => entry.reply_to.reply(id, result),
        }
    }

    /// No more sessions; what they run is interrupted.
    fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        state.closed = true;
        for entry in state.sessions.values() {
            entry.reply_to.mailbox.send(In::Stop);
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

    /// The end of every connection, once the last words are read.
    fn end(&self) {
        let sessions = std::mem::take(&mut self.state().sessions);
        sessions.keys().for_each(|number| self.node.leave_log(*number));
        let deadline = Instant::now() + LAST_WORDS_MAX;
        for entry in sessions.into_values() {
            // A client that does not read in time loses the last words.
            if let Some(sink) = &entry.sink {
                let _ = sink.finish(deadline.saturating_duration_since(Instant::now()));
            }
            (entry.hang_up)();
        }
    }
}

/// Says in a status where the page is, for those who may know the token.
fn name_page(result: &mut Result<Reply, CommandError>, web: impl FnOnce() -> Option<String>) {
    if let Ok(Reply::Status(status)) = result {
        status.web = web();
    }
}

/// The id of a session's command.
pub(super) const fn command_id(number: u64, command: u64) -> u64 {
    (number << SESSION_SHIFT) | command
}

/// The open side door of a node.
pub struct Control {
    hub: Arc<Hub>,
    socket: Option<PathBuf>,
}

impl Control {
    /// Opens the door. A node lives without one; the log says why.
    #[must_use]
    pub fn open(folder: &Path, hub: &Arc<Hub>, inbox: &Arc<Inbox>) -> Self {
        let opened = super::control_socket::open(folder, hub, inbox);
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

    /// The node has stopped, and said so: the end of every connection.
    pub fn end(self) {
        self.hub.end();
    }
}

#[cfg(test)]
mod tests;
