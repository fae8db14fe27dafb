//! Sessions by script: what is told on the left, what is wanted then on the right. Times are milliseconds.
//!
//! Elsewhere: how sessions end (`endings`), the words of the scripts (`script`).

mod aside;
mod endings;
mod script;
mod together;

use proptest::prelude::*;
use script::{input, play};

pub(in crate::node) use script::any_status;

use super::*;
use crate::contract::Command;

const RULES: Rules = Rules {
    daemon: false,
    strict: false,
    prompt: false,
    tells_searches: true,
    answers_aside: false,
    ahead: 1,
    may_detach: false,
    grace: CANCEL_MAX,
};

fn console() -> Session {
    Session::of_console(RULES)
}

fn client() -> Session {
    Session::of_client(3)
}

#[test]
fn each_kind_of_line_has_its_reply_and_the_next_line_is_read_when_that_is_written() {
    for (line, answered) in [
        ("help", "1: help"),
        ("watch", "1: telling"),
        ("nonsense", "1: unknown_command"),
        ("tx alice", "1: missing_values"),
        ("detach", "1: unknown_command"),
    ] {
        play(
            console(),
            &format!("started -> read 1\n line {line} -> {answered}\n written -> read 1\n line help -> 2: help"),
        );
    }
    play(
        console(),
        "started -> read 1
        line status -> ask 1 status
        answer 1 -> 1: ok
        written -> read 1
        line wait peers 1 60 -> ask 2 wait
        quiet 60000
        refuse 2 timeout -> 2: timeout
        written -> read 1
        line quit -> 3: empty
        written -> quit
        stop -> end",
    );
}

#[test]
fn lines_typed_ahead_wait_for_their_turn_and_keep_their_order() {
    play(
        console(),
        "started -> read 1
        line mine 3 -> ask 1 mine
        line help
        line balance
        line nonsense
        answer 1 -> 1: ok
        written -> read 1, 2: help
        line status
        written -> read 1, ask 2 balance
        answer 2 -> 3: ok
        written -> read 1, 4: unknown_command
        written -> read 1, ask 3 status",
    );
}

#[test]
fn a_cancellation_means_the_command_that_runs_once() {
    play(
        console(),
        "started -> read 1
        cancel
        line mine 3 -> ask 1 mine
        line wait peers 1 60
        cancel -> cancel 1
        cancel
        refuse 1 interrupted -> 1: interrupted
        cancel
        written -> read 1, ask 2 wait
        cancel -> cancel 2
        answer 1
        refuse 2 interrupted -> 2: interrupted
        written -> read 1",
    );
}

#[test]
fn a_long_reply_comes_block_by_block_each_when_the_one_before_is_written() {
    play(
        console(),
        "started -> read 1
        line chain 4 -> ask 1 chain
        line help
        long 1 876 -> 1: open
        cancel
        quiet 60000
        written -> ask 2 block 8
        block 2 8 -> 1: block 8
        written -> ask 3 block 7
        cancel -> cancel 3
        block 3 7 -> 1: block 7
        written -> ask 4 block 6
        block 4 6 -> 1: block 6 and no more
        written -> read 1, 2: help",
    );
    let lost = "line chain 4 -> ask 1 chain
        long 1 87 -> 1: open
        written -> ask 2 block 8
        refuse 2 overdraft -> 1: broken overdraft";
    let session = play(console(), &format!("started -> read 1\n {lost}\n written -> read 1"));
    assert_eq!(session.status(), 1);
    play(
        client(),
        &format!("hello strict -> greet json\n started -> read 3\n {lost}\n written -> end"),
    );
}

#[test]
fn a_long_search_is_told_at_the_console_and_at_attached_prompts_and_to_nobody_else() {
    let told = "line mine 2 -> ask 1 mine
        quiet 1999
        after 1 -> ask 2 progress
        status 2 -> tell progress
        quiet 9999
        after 1 -> ask 3 progress
        status 2
        status 3 -> tell progress
        after 10000 -> ask 4 progress
        after 10000
        after 10000
        status 4 -> tell progress
        after 10000 -> ask 5 progress
        answer 1 -> 1: ok
        quiet 60000
        written -> read 1
        line mine 2 -> ask 6 mine
        quiet 1999
        status 5
        after 1 -> ask 7 progress
        refuse 6 interrupted -> 2: interrupted
        written -> read 1
        status 7
        line status -> ask 8 status
        quiet 60000";
    play(console(), &format!("started -> read 1\n {told}"));
    play(
        client(),
        &format!("hello words events -> greet words\n started -> read 3\n {told}"),
    );
    let untold = "line mine 2 -> ask 1 mine\n quiet 60000";
    let programs = Session::of_console(Rules {
        tells_searches: false,
        ..RULES
    });
    play(programs, &format!("started -> read 1\n {untold}"));
    for (wishes, form) in [("", "json"), ("events", "json"), ("words", "words")] {
        let script = format!("hello {wishes} -> greet {form}\n started -> read 3\n {untold}");
        play(client(), &script);
    }
    // Nor once the node stops.
    let stopped = "line mine 2 -> ask 1 mine\n stop -> cancel 1\n after 2000 -> 1: interrupted";
    play(console(), &format!("started -> read 1\n {stopped}"));
    play(
        console(),
        "started -> read 1\n line mine on -> ask 1 mine\n quiet 60000",
    );
}

#[test]
fn a_reader_that_pauses_pauses_the_session_and_nothing_is_read_meanwhile() {
    play(
        client(),
        "hello -> greet json
        started -> read 3
        line help -> 1: help
        line help
        line help
        quiet 3600000
        written -> read 1, 2: help
        quiet 3600000
        line help
        written -> read 1, 3: help",
    );
}

#[test]
fn the_first_failure_decides_the_status_but_not_at_a_prompt() {
    let failure = |code: &str, id: u64, line: u64| {
        format!("line status -> ask {id} status\n refuse {id} {code} -> {line}: {code}\n written -> read 1\n")
    };
    for (codes, status) in [
        (["timeout", "overdraft"], 5),
        (["overdraft", "timeout"], 1),
        (["interrupted", "timeout"], 1),
    ] {
        let script = format!(
            "started -> read 1\n {}{}stop -> end",
            failure(codes[0], 1, 1),
            failure(codes[1], 2, 2)
        );
        assert_eq!(play(console(), &script).status(), status, "{codes:?}");
        let prompt = Session::of_console(Rules { prompt: true, ..RULES });
        assert_eq!(play(prompt, &script).status(), 0);
    }
    let strict = Session::of_console(Rules { strict: true, ..RULES });
    let session = play(
        strict,
        "started -> read 1\n line help -> 1: help\n written -> read 1\n line nonsense -> 2: unknown_command\n written -> end",
    );
    assert_eq!(session.status(), 1);
}

#[test]
fn a_client_says_first_how_it_reads() {
    play(client(), "hello loud -> 0: bad_argument, end");
    play(
        client(),
        "hello words -> greet words\n started -> read 3\n hello strict\n started\n line nonsense -> 1: unknown_command\n \
        written -> read 1",
    );
    play(
        client(),
        "hello strict -> greet json\n started -> read 3\n line nonsense -> 1: unknown_command\n line help\n written -> end",
    );
}

fn any_step() -> impl Strategy<Value = String> {
    let line = prop::sample::select(vec![
        "help", "status", "mine 2", "chain", "nonsense", "watch", "detach", "quit",
    ]);
    let answer = prop::sample::select(vec!["answer", "refuse", "long", "status"]);
    let other = vec!["input-ends", "cancel", "stop", "closed", "failed"];
    prop_oneof![
        4 => line.prop_map(|line| format!("line {line}")),
        4 => Just("written".to_owned()),
        4 => (answer, 0..6_u64).prop_map(|(word, id)| format!("{word} {id} 87")),
        1 => prop::sample::select(other).prop_map(str::to_owned),
        1 => Just("tick".to_owned()),
    ]
}

proptest! {
    /// Whatever comes and whenever: replies are in the order of their lines and one at a time, the session reads on for no more
    /// lines than it finished, asks no third question while two wait, and ends once.
    #[test]
    fn replies_keep_the_order_of_their_lines_and_the_end_comes_once(
        is_client: bool,
        steps in prop::collection::vec((0..2_000_u64, any_step()), 0..60),
    ) {
        let mut session = if is_client { client() } else { console() };
        let (mut now, mut lines) = (Time::from_ms(1), 0);
        let (mut finished, mut is_writing, mut has_ended, mut ahead) = (0_u64, false, false, 0_usize);
        let (mut blocks, mut unanswered) = (Vec::new(), Vec::new());
        let first = ["hello", "started"].map(|step| (0, step.to_owned()));
        for (passed, step) in first.into_iter().chain(steps) {
            now = now.plus(Duration::from_millis(passed));
            let mut told = if step == "tick" { In::Tick } else { input(&step, &mut lines) };
            if let In::Reply { id, .. } = &told && blocks.contains(id) {
                // The engine answers what it was asked.
                told = input(&format!("block {id} 8"), &mut lines);
            }
            if let In::Reply { id, .. } = &told {
                unanswered.retain(|asked| asked != id);
            }
            is_writing &= !matches!(told, In::Written);
            session.handle(now, told);
            while let Some(out) = session.poll_output() {
                prop_assert!(!has_ended, "{out:?} behind the end");
                match out {
                    Out::Write { line, body } => {
                        let is_cut = matches!(body, ReplyBody::Part(ReplyPart::Broken(_)));
                        prop_assert!(!is_writing || is_cut, "two at once");
                        prop_assert_eq!(line.number, finished + 1);
                        let goes_on = matches!(
                            body,
                            ReplyBody::Part(ReplyPart::Open(_) | ReplyPart::Block { is_last: false, .. })
                        );
                        finished += u64::from(!goes_on);
                        is_writing = true;
                    }
                    Out::ReadOn(more) => ahead += more,
                    Out::Ask { id, command } => {
                        prop_assert!(!is_writing, "a command begins before the reply is written");
                        blocks.extend(matches!(command, Command::Block(_)).then_some(id));
                        unanswered.push(id);
                    }
                    Out::End => has_ended = true,
                    Out::AskAside { .. } | Out::TellWaits { .. } => prop_assert!(false, "programs keep their order"),
                    Out::AskProgress { id } => unanswered.push(id),
                    Out::Greet(_) | Out::TellProgress(_) | Out::Cancel { .. }
                    | Out::CheckClient | Out::Quit => {}
                }
            }
            prop_assert!(unanswered.len() <= 2, "{unanswered:?}");
            let at_first = if is_client { 3 } else { 1 };
            prop_assert!(u64::try_from(ahead).unwrap_or(u64::MAX) <= finished + at_first);
        }
    }
}
