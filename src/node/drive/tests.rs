//! A driver between a mailbox, an engine's inbox and a view that writes nothing down.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use super::*;
use crate::console::InputLine;
use crate::console::input::{Content, RawLine};
use crate::console::output::Done;
use crate::contract::{CommandError, NodeStatus, Reply};
use crate::node::hello::Hello;
use crate::node::inbox::{Lanes, Taken};
use crate::node::session::tests::any_status;
use crate::node::session::{CANCEL_MAX, LineRef, ReplyBody, Rules};

/// Within this all comes, on any machine.
const PATIENCE: Duration = Duration::from_secs(20);
const CLIENT: u64 = 7;
/// A client's first question.
const FIRST: u64 = (CLIENT << 32) | 1;

/// Notes what is shown, and calls it written at once.
struct Notes {
    seen: SyncSender<String>,
    is_gone: bool,
}

impl Notes {
    fn note(&self, what: String) {
        self.seen.try_send(what).expect("a test shows little");
    }
}

impl SessionView for Notes {
    fn write(&mut self, line: LineRef, body: ReplyBody, done: Done) {
        self.note(match body {
            ReplyBody::Whole(result) => match *result {
                Ok(_) => format!("{}: ok", line.number),
                Err(error) => format!("{}: {}", line.number, error.code),
            },
            ReplyBody::Part(_) => format!("{}: part", line.number),
            ReplyBody::Help(_) => format!("{}: help", line.number),
            ReplyBody::Telling(_) => format!("{}: telling", line.number),
            ReplyBody::Web => format!("{}: web", line.number),
            ReplyBody::Empty => format!("{}: empty", line.number),
        });
        done();
    }

    fn search_begins(&mut self) {}

    fn line_waits(&mut self, line: &LineRef, running: &LineRef) {
        self.note(format!("{} waits for {}", line.number, running.number));
    }

    fn search_goes_on(&mut self, _: &NodeStatus) {
        self.note("searching".into());
    }

    fn reply_tells(&mut self, tells: bool) {
        self.note(format!("reply tells: {tells}"));
    }

    fn greet(&mut self, hello: Hello) {
        self.note(format!("greeted: {:?}", hello.form));
    }

    fn is_gone(&self) -> bool {
        self.is_gone
    }
}

/// All that a session is connected with.
struct Bench {
    mailbox: Mailbox,
    node: Mailbox,
    inbox: Arc<Inbox>,
    permits: Receiver<()>,
    shown: Receiver<String>,
    ended: Receiver<Session>,
    lines: u64,
}

impl Bench {
    fn with(mut session: Session, ahead: usize, is_gone: bool) -> Self {
        let (mailbox, node, inbox) = (Mailbox::default(), Mailbox::default(), Arc::new(Inbox::default()));
        let (more, permits) = sync_channel(ahead);
        let (seen, shown) = sync_channel(64);
        let driver = Driver {
            number: CLIENT,
            mailbox: mailbox.clone(),
            more: Some(more),
            inbox: Arc::clone(&inbox),
            node: node.clone(),
        };
        let (end, ended) = sync_channel(1);
        thread::spawn(move || {
            driver.run(&mut session, &mut Notes { seen, is_gone });
            end.send(session).unwrap_or_default();
        });
        Self {
            mailbox,
            node,
            inbox,
            permits,
            shown,
            ended,
            lines: 0,
        }
    }

    fn client(is_gone: bool) -> Self {
        let mut bench = Self::with(Session::of_client(3), 3, is_gone);
        bench.mailbox.send(In::Hello(Ok(Hello::SILENT)));
        assert_eq!(bench.shown(), "greeted: Json");
        bench.may_read(3);
        bench
    }

    fn line(&mut self, text: &str) {
        self.lines += 1;
        let content = Content::Text(text.into());
        let number = self.lines;
        let line = InputLine::read(RawLine { number, content }).expect("no comment");
        self.mailbox.send(In::Line(Box::new(line)));
    }

    /// What the engine hears next.
    fn asked(&self) -> Input {
        match self.inbox.take(Lanes::All, PATIENCE) {
            Taken::Input(input) => input,
            Taken::Nothing => panic!("nothing was asked"),
        }
    }

    fn asked_command(&self) -> (u64, Command) {
        match self.asked() {
            Input::Command { id, command } => (id, command),
            other => panic!("{other:?}"),
        }
    }

    fn reply(&self, id: u64, result: Result<Reply, CommandError>) {
        let result = Box::new(result);
        self.mailbox.send(In::Reply { id, result });
    }

    fn shown(&self) -> String {
        self.shown.recv_timeout(PATIENCE).expect("something is shown")
    }

    /// Takes this many of the reader's permits.
    fn may_read(&mut self, lines: usize) {
        for _ in 0..lines {
            self.permits.recv_timeout(PATIENCE).expect("a line is wanted");
        }
        assert!(self.permits.try_recv().is_err(), "more than {lines}");
    }

    fn end(&self) -> Session {
        self.ended.recv_timeout(PATIENCE).expect("the session ends")
    }
}

fn refused(code: &'static str) -> Result<Reply, CommandError> {
    Err(CommandError {
        code,
        message: "m".into(),
        hint: "h".into(),
    })
}

#[test]
fn a_command_goes_to_the_engine_under_its_sessions_number_and_the_next_line_is_wanted_when_its_reply_is_written() {
    let mut bench = Bench::client(false);
    for (at, (text, tells)) in [("mine", true), ("mine 3", false), ("status", false)]
        .into_iter()
        .enumerate()
    {
        let number = u64::try_from(at).expect("few") + 1;
        bench.line(text);
        assert_eq!(bench.shown(), format!("reply tells: {tells}"));
        assert_eq!(bench.asked_command().0, (CLIENT << 32) | number);
        bench.reply(number, Ok(Reply::Mining { mining: true }));
        assert_eq!(bench.shown(), format!("{number}: ok"));
        bench.may_read(1);
    }
    let mailbox = bench.mailbox.clone();
    mailbox.send(In::InputEnded);
    assert_eq!(bench.end().status(), 0);
    assert!(
        !mailbox.send(In::Cancel),
        "whoever tells an ended session something learns it"
    );
}

#[test]
fn a_client_that_wants_events_reads_on_when_the_state_that_they_start_from_is_written() {
    let mut bench = Bench::with(Session::of_client(3), 3, false);
    let hello = Hello {
        events: true,
        ..Hello::SILENT
    };
    bench.mailbox.send(In::Hello(Ok(hello)));
    assert_eq!(bench.shown(), "greeted: Json");
    assert_eq!(bench.asked_command(), (command_id(CLIENT, ATTACH), Command::Status));
    bench.may_read(0);
    // The hub says so.
    bench.mailbox.send(In::Started);
    bench.may_read(3);
    bench.mailbox.send(In::InputEnded);
    assert_eq!(bench.end().status(), 0);
}

#[test]
fn a_cancellation_names_the_question_that_it_is_about() {
    let mut bench = Bench::client(false);
    bench.line("wait peers 1 3600");
    assert_eq!(bench.asked_command().0, FIRST);
    bench.mailbox.send(In::Cancel);
    assert!(matches!(bench.asked(), Input::Cancel { id: FIRST }));
    bench.reply(1, refused("interrupted"));
    assert_eq!(bench.shown(), "reply tells: false");
    assert_eq!(bench.shown(), "1: interrupted");
    bench.mailbox.send(In::InputEnded);
    assert_eq!(bench.end().status(), 1);
}

#[test]
fn a_client_that_is_found_gone_has_its_command_cancelled_and_one_that_is_there_goes_on_waiting() {
    let mut gone = Bench::client(true);
    let mut there = Bench::client(false);
    for bench in [&mut gone, &mut there] {
        bench.line("wait peers 1 3600");
        assert_eq!(bench.asked_command().0, FIRST);
        bench.mailbox.send(In::InputEnded);
    }
    assert!(matches!(gone.asked(), Input::Cancel { id: FIRST }));
    gone.reply(1, refused("interrupted"));
    assert!(!gone.end().is_stopped());
    assert!(there.inbox.is_empty());
    there.reply(1, refused("timeout"));
    assert_eq!(there.end().status(), 5);
}

#[test]
fn a_clients_quit_reaches_the_node_and_its_own_session_waits_for_the_stop() {
    let mut bench = Bench::client(false);
    bench.line("quit");
    assert_eq!(bench.shown(), "1: empty");
    assert!(matches!(bench.node.take(Some(PATIENCE)), Some(In::Stop)));
    bench.mailbox.send(In::Stop);
    assert!(bench.end().is_stopped());
}

#[test]
fn a_stop_ends_the_running_command_and_gives_the_engine_up_that_says_nothing() {
    let mut bench = Bench::client(false);
    bench.line("mine 3");
    assert_eq!(bench.asked_command().0, FIRST);
    bench.mailbox.send(In::Stop);
    assert!(matches!(bench.asked(), Input::Cancel { id: FIRST }));
    assert_eq!(bench.shown(), "reply tells: false");
    assert_eq!(bench.shown(), "1: interrupted");
    assert!(bench.end().is_stopped());
}

#[test]
fn how_a_long_search_goes_is_asked_and_told() {
    let rules = Rules {
        daemon: false,
        strict: false,
        prompt: false,
        tells_searches: true,
        answers_aside: false,
        ahead: 1,
        may_detach: false,
        grace: CANCEL_MAX,
    };
    let mut bench = Bench::with(Session::of_console(rules), 1, false);
    bench.mailbox.send(In::Started);
    bench.may_read(1);
    bench.line("mine 3");
    assert_eq!(bench.asked_command().0, FIRST);
    assert_eq!(bench.asked_command(), (FIRST + 1, Command::Status));
    bench.reply(2, Ok(Reply::Status(Box::new(any_status()))));
    assert_eq!(bench.shown(), "reply tells: false");
    assert_eq!(bench.shown(), "searching");
    bench.mailbox.send(In::Stop);
    bench.reply(1, refused("interrupted"));
    assert_eq!(bench.end().status(), 0);
}
