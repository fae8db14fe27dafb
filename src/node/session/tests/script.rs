//! Scripts of sessions: the words on the left and on the right of an arrow.
//!
//! Promises: a step shows all that the session wants; a step without an arrow wants nothing.

use super::super::*;
use crate::console::InputLine;
use crate::console::input::{Content, RawLine};
use crate::contract::{BlockRef, BlockView, Command, NodeStatus};
use crate::types::{Account, AccountName, Bits, BlockHash, Height, MerkleRoot, NetworkId, WallTime, Work};

fn error(code: &'static str) -> CommandError {
    CommandError {
        code,
        message: "m".into(),
        hint: "h".into(),
    }
}

fn hash(number: u8) -> BlockHash {
    BlockHash::new([number; 32])
}

fn block(number: u8) -> BlockView {
    BlockView {
        hash: hash(number),
        height: Height::new(number.into()),
        previous_hash: hash(0),
        merkle_root: MerkleRoot::new([0; 32]),
        version: 1,
        time_ms: WallTime::from_ms(5),
        bits: Bits(7),
        nonce: "9".into(),
        work: Work::ZERO,
        active: false,
        miner: None,
        header: "00".into(),
        transactions: Vec::new(),
    }
}

/// A reply with block 9, behind which others belong.
fn long(rest: &str) -> Reply {
    Reply::Chain {
        length: 9,
        blocks: vec![block(9)],
        rest: rest.bytes().map(|digit| hash(digit - b'0')).collect(),
    }
}

/// A node's status.
pub(in crate::node) fn any_status() -> NodeStatus {
    NodeStatus {
        peer_id: "12D3".into(),
        name: None,
        account: Account::Name(AccountName::new("anna").expect("a name")),
        network: "dev".into(),
        network_id: NetworkId::ZERO,
        height: Height::GENESIS,
        tip: BlockHash::ZERO,
        work: Work::ZERO,
        bits: Bits(7),
        spacing_ms: None,
        halflife_ms: 120_000,
        peers: 0,
        pending: 0,
        addresses: Vec::new(),
        data_dir: String::new(),
        mining: true,
        hash_rate: 1,
        syncing: false,
        net: true,
        web: None,
    }
}

/// What is told by a word and its arguments.
pub(super) fn input(step: &str, lines: &mut u64) -> In {
    let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
    let (id, argument) = rest.split_once(' ').unwrap_or((rest, ""));
    let reply = |result| In::Reply {
        id: id.parse().expect("an id"),
        result: Box::new(result),
    };
    match word {
        "hello" => In::Hello(Hello::read(&format!("session {rest}")).expect("a hello")),
        "started" => In::Started,
        "line" => {
            *lines += 1;
            let number = *lines;
            let content = Content::Text(rest.into());
            In::Line(Box::new(
                InputLine::read(RawLine { number, content }).expect("no comment"),
            ))
        }
        "input-ends" => In::InputEnded,
        "answer" => reply(Ok(Reply::Mining { mining: true })),
        "refuse" => reply(Err(error(match argument {
            "timeout" => "timeout",
            "interrupted" => "interrupted",
            _ => "overdraft",
        }))),
        "long" => reply(Ok(long(argument))),
        "block" => reply(Ok(Reply::Block(block(argument.parse().expect("a digit"))))),
        "status" => reply(Ok(Reply::Status(Box::new(any_status())))),
        "written" => In::Written,
        "cancel" => In::Cancel,
        "stop" => In::Stop,
        "closed" => In::Closed,
        "failed" => In::Failed,
        other => panic!("{other}"),
    }
}

fn shown(out: &Out) -> String {
    match out {
        Out::Greet(hello) => format!("greet {:?}", hello.form).to_lowercase(),
        Out::ReadOn(lines) => format!("read {lines}"),
        Out::Ask {
            id,
            command: Command::Block(BlockRef::Hash(hash)),
        } => format!("ask {id} block {}", hash.as_bytes()[0]),
        Out::Ask { id, command } => {
            let name = format!("{command:?}").to_lowercase();
            format!("ask {id} {}", name.split(['(', ' ']).next().unwrap_or_default())
        }
        Out::AskAside { id, command } => {
            let name = format!("{command:?}").to_lowercase();
            format!("aside {id} {}", name.split(['(', ' ']).next().unwrap_or_default())
        }
        Out::TellWaits { line, running } => format!("{} waits for {}", line.number, running.number),
        Out::AskProgress { id } => format!("ask {id} progress"),
        Out::TellProgress(_) => "tell progress".into(),
        Out::Cancel { id } => format!("cancel {id}"),
        Out::Write { line, body } => {
            let again = if line.is_ahead { " again" } else { "" };
            format!("{}{again}: {}", line.number, shown_body(body))
        }
        Out::CheckClient => "check client".into(),
        Out::Quit => "quit".into(),
        Out::End => "end".into(),
    }
}

fn shown_body(body: &ReplyBody) -> String {
    match body {
        ReplyBody::Whole(result) => result
            .as_ref()
            .as_ref()
            .map_or_else(|error| error.code, |_| "ok")
            .into(),
        ReplyBody::Part(ReplyPart::Open(_)) => "open".into(),
        ReplyBody::Part(ReplyPart::Block { view, is_last }) => {
            assert!(view.active, "the reply is about the active chain");
            let end = if *is_last { " and no more" } else { "" };
            format!("block {}{end}", view.height.get())
        }
        ReplyBody::Part(ReplyPart::Broken(error)) => format!("broken {}", error.code),
        ReplyBody::Help(_) => "help".into(),
        ReplyBody::Telling(_) => "telling".into(),
        ReplyBody::Web => "web".into(),
        ReplyBody::Empty => "empty".into(),
    }
}

fn wanted(session: &mut Session) -> String {
    let all: Vec<String> = std::iter::from_fn(|| session.poll_output())
        .map(|out| shown(&out))
        .collect();
    all.join(", ")
}

/// Plays a script. `after MS` lets so much time pass to a wake-up that the session asked for, `quiet MS` to a moment before one.
pub(super) fn play(mut session: Session, script: &str) -> Session {
    let (mut now, mut lines) = (Time::from_ms(1_000_000), 0);
    for row in script.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let (step, expected) = row.split_once("->").unwrap_or((row, ""));
        let step = step.trim();
        let (word, argument) = step.split_once(' ').unwrap_or((step, ""));
        let is_wanted = |now: Time| session.next_wakeup().is_some_and(|at| at <= now);
        let told = match word {
            "after" | "quiet" => {
                let passed = Duration::from_millis(argument.parse().expect("milliseconds"));
                now = now.plus(passed);
                assert_eq!(is_wanted(now), word == "after", "{row}: {session:?}");
                In::Tick
            }
            _ => input(step, &mut lines),
        };
        session.handle(now, told);
        assert_eq!(wanted(&mut session), expected.trim(), "{row}\n{script}");
    }
    session
}
