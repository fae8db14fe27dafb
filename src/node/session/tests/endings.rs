//! How sessions end: at a stop, at the end of the input, when nobody reads any more, by `quit` and `detach`.

use super::script::play;
use super::*;

#[test]
fn a_stop_ends_each_state_in_its_own_way() {
    for (before, after) in [
        // Nothing runs.
        ("line help -> 1: help\n written -> read 1", "stop -> end"),
        // The reply goes on its way to the reader without the session.
        ("line help -> 1: help", "stop -> end"),
        // The command is ended first, and has its reply. What waits behind it has none.
        (
            "line mine 3 -> ask 1 mine\n line help",
            "stop -> cancel 1\n stop\n cancel\n refuse 1 interrupted -> 1: interrupted\n written -> end",
        ),
        // It may have been done just then.
        (
            "line status -> ask 1 status",
            "stop -> cancel 1\n answer 1 -> 1: ok\n written -> end",
        ),
        // The engine says nothing.
        (
            "line mine 3 -> ask 1 mine",
            "stop -> cancel 1\n quiet 1999\n after 1 -> 1: interrupted\n after 0 -> end",
        ),
        // Nobody reads the reply.
        (
            "line mine 3 -> ask 1 mine",
            "stop -> cancel 1\n refuse 1 interrupted -> 1: interrupted\n quiet 1999\n after 1 -> end",
        ),
        // A second one does not wait for the reader.
        (
            "line mine 3 -> ask 1 mine",
            "stop -> cancel 1\n refuse 1 interrupted -> 1: interrupted\n stop -> end",
        ),
        ("line quit -> 1: empty", "stop -> end\n written\n line help"),
    ] {
        let script = format!("started -> read 1\n {before}\n {after}");
        let session = play(console(), &script);
        assert_eq!((session.status(), session.is_stopped()), (0, true), "{script}");
        let script = format!("hello -> greet json\n started -> read 3\n {before}\n {after}");
        assert!(play(client(), &script).is_stopped(), "{script}");
    }
    play(console(), "stop\n quiet 60000\n started -> end");
    play(client(), "stop -> end");
    play(client(), "hello events -> greet json\n stop\n started -> end");
}

#[test]
fn a_stop_leaves_the_rest_of_a_long_reply_two_seconds_at_the_console_and_none_to_a_client() {
    let begun = "line chain 4 -> ask 1 chain\n long 1 876 -> 1: open";
    let at_console = |rest: &str| {
        let script = format!("started -> read 1\n {begun}\n {rest}");
        let session = play(console(), &script);
        assert_eq!(session.status(), 0, "what a stop interrupts is no failure: {script}");
    };
    at_console("stop\n quiet 1999\n written -> ask 2 block 8\n after 1 -> 1: broken interrupted\n after 0 -> end");
    at_console("stop\n written -> ask 2 block 8\n block 2 8 -> 1: block 8\n after 2000 -> 1: broken interrupted, end");
    at_console("written -> ask 2 block 8\n stop -> cancel 2\n block 2 8 -> 1: block 8\n written -> ask 3 block 7");

    let at_client = |rest: &str| {
        play(client(), &format!("hello -> greet json\n started -> read 3\n {rest}"));
    };
    at_client(&format!("{begun}\n stop -> 1: broken interrupted, end"));
    at_client(&format!(
        "{begun}\n written -> ask 2 block 8\n stop -> cancel 2\n block 2 8 -> 1: block 8\n written -> 1: broken interrupted, end"
    ));
    at_client("line chain 4 -> ask 1 chain\n stop -> cancel 1\n long 1 876 -> 1: interrupted\n written -> end");
}

#[test]
fn the_end_of_the_input_ends_the_session_behind_the_last_reply() {
    play(
        console(),
        "started -> read 1\n line mine -> ask 1 mine\n answer 1 -> 1: ok\n written -> read 1\n input-ends -> end",
    );
    let daemon = Session::of_console(Rules { daemon: true, ..RULES });
    play(daemon, "started -> read 1\n input-ends\n quiet 60000\n stop -> end");
    play(
        client(),
        "hello -> greet json
        started -> read 3
        line help -> 1: help
        line status
        input-ends
        written -> read 1, ask 1 status
        answer 1 -> 2: ok
        written -> read 1, end",
    );
    play(client(), "input-ends -> end");
    play(client(), "hello -> greet json\n input-ends\n started -> read 3, end");
}

#[test]
fn a_client_that_sends_no_more_is_looked_for_while_its_command_runs_and_one_that_is_gone_has_it_cancelled() {
    let script = "hello -> greet json
        started -> read 3
        line wait peers 1 3600 -> ask 1 wait
        quiet 60000
        input-ends
        quiet 499
        after 1 -> check client
        after 500 -> check client
        closed -> cancel 1";
    for end in ["refuse 1 interrupted -> end", "quiet 1999\n after 1 -> end"] {
        let session = play(client(), &format!("{script}\n {end}"));
        assert!(!session.is_stopped(), "the connection is the session's to end");
    }
    let behind = "hello -> greet json
        started -> read 3
        line help -> 1: help
        line wait peers 1 3600
        input-ends
        written -> read 1, ask 1 wait
        after 500 -> check client";
    play(client(), behind);
}

#[test]
fn a_client_whose_reader_is_gone_is_left_at_once() {
    for before in [
        "",
        "hello events -> greet json",
        "hello -> greet json\n started -> read 3",
        "hello -> greet json\n started -> read 3\n line help -> 1: help",
        "hello -> greet json\n started -> read 3\n line chain 4 -> ask 1 chain\n long 1 8 -> 1: open",
        "hello -> greet json\n started -> read 3\n line quit -> 1: empty\n written -> quit",
    ] {
        play(client(), &format!("{before}\n closed -> end\n closed\n written\n stop"));
    }
}

#[test]
fn a_part_that_fails_ends_the_session_with_6_and_the_running_command_has_its_reply() {
    for script in [
        "failed -> end",
        "started -> read 1\n failed -> end",
        "started -> read 1\n line help -> 1: help\n failed -> end",
        "started -> read 1\n line mine -> ask 1 mine\n failed -> 1: internal\n written -> end",
        "started -> read 1\n line mine -> ask 1 mine\n failed -> 1: internal\n after 2000 -> end",
        "started -> read 1\n line chain -> ask 1 chain\n long 1 8 -> 1: open\n failed -> 1: broken interrupted, end",
    ] {
        assert_eq!(play(console(), script).status(), 6, "{script}");
    }
}

#[test]
fn a_client_leaves_by_detach_and_stops_the_node_by_quit() {
    let begin = "hello -> greet json\n started -> read 3";
    let session = play(
        client(),
        &format!("{begin}\n line detach now -> 1: empty\n line help\n written -> end"),
    );
    assert!(!session.is_stopped());
    let quits = format!("{begin}\n line quit -> 1: empty\n line help\n written -> quit\n line help\n cancel");
    assert!(play(client(), &format!("{quits}\n stop -> end")).is_stopped());
    // Who does not listen is not waited for.
    assert!(!play(client(), &format!("{quits}\n input-ends -> end")).is_stopped());
    play(
        client(),
        &format!("{begin}\n line quit -> 1: empty\n input-ends\n written -> quit, end"),
    );
}
