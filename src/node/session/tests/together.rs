//! Payments that are asked about together: order, limits, and how they end.

use super::*;

/// Two payments under way, the second one asked about before the first has its reply.
const TWO: &str = "started -> read 1
    line tx a b 1 -> ask 1 tx, read 1
    line tx a b 2 -> ask 2 tx, read 1
    ";

fn script(rest: &str) -> String {
    format!("{TWO}{rest}")
}

#[test]
fn payments_are_asked_about_together_and_answered_in_their_order() {
    play(
        console(),
        &script(
            "line claim carol -> ask 3 claim, read 1
            answer 1 -> 1: ok
            answer 2 -> 2: ok
            written
            written
            answer 3 -> 3: ok
            line status -> ask 4 status
            answer 4 -> 4: ok
            written
            written -> read 1",
        ),
    );
}

#[test]
fn a_reply_that_comes_early_waits_for_its_turn() {
    play(
        console(),
        &script(
            "refuse 2 overdraft
            answer 1 -> 1: ok, 2: overdraft
            written
            written
            line help -> 3: help
            written -> read 1",
        ),
    );
}

#[test]
fn nothing_is_read_and_nothing_asked_behind_a_line_that_is_no_payment() {
    play(
        console(),
        &script(
            "line wait peers 1 60
            answer 1 -> 1: ok
            answer 2 -> 2: ok, ask 3 wait
            written
            written
            answer 3 -> 3: ok
            written -> read 1
            line nonsense -> 4: unknown_command
            written -> read 1",
        ),
    );
}

#[test]
fn with_strict_and_where_somebody_types_each_payment_waits_for_the_one_before() {
    for rules in [
        Rules { strict: true, ..RULES },
        Rules { prompt: true, ..RULES },
        Rules {
            answers_aside: true,
            ..RULES
        },
    ] {
        play(
            Session::of_console(rules),
            "started -> read 1
            line tx a b 1 -> ask 1 tx
            answer 1 -> 1: ok
            written -> read 1",
        );
    }
}

#[test]
fn a_client_reads_on_when_a_reply_is_written_for_it_reads_ahead_anyway() {
    play(
        client(),
        "hello -> greet json
        started -> read 3
        line tx a b 1 -> ask 1 tx
        line tx a b 2 -> ask 2 tx
        line tx a b 3 -> ask 3 tx
        answer 1 -> 1: ok
        written -> read 1
        answer 2 -> 2: ok
        answer 3 -> 3: ok
        written -> read 1
        written -> read 1",
    );
}

#[test]
fn the_end_of_the_input_waits_for_all_replies_and_for_their_reader() {
    play(
        console(),
        &script(
            "input-ends
            answer 1 -> 1: ok
            written
            answer 2 -> 2: ok
            written -> end",
        ),
    );
}

#[test]
fn a_stop_waits_for_the_replies_of_what_was_asked() {
    play(
        console(),
        &script(
            "stop -> cancel 1
            answer 1 -> 1: ok
            answer 2 -> 2: ok
            written
            written -> end",
        ),
    );
    play(
        console(),
        &script(
            "stop -> cancel 1
            after 2000 -> 1: interrupted
            after 0 -> 2: interrupted
            written
            written -> end",
        ),
    );
}

#[test]
fn when_the_engine_is_gone_every_payment_is_told_so() {
    play(
        console(),
        &script("failed -> 1: internal, 2: internal\n written\n written -> end"),
    );
}

#[test]
fn no_more_payments_are_under_way_than_their_maximum() {
    let lines: Vec<String> = (1..TOGETHER_MAX)
        .map(|id| format!("line tx a b 1 -> ask {id} tx, read 1"))
        .collect();
    play(
        console(),
        &format!(
            "started -> read 1
            {}
            line tx a b 1 -> ask {TOGETHER_MAX} tx
            answer 1 -> 1: ok
            written -> read 1",
            lines.join("\n")
        ),
    );
}
