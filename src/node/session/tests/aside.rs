//! What is answered while a long command runs, and what waits.

use super::*;

fn prompt() -> Session {
    Session::of_console(Rules {
        prompt: true,
        answers_aside: true,
        tells_searches: false,
        ..RULES
    })
}

#[test]
fn what_only_reads_is_answered_while_a_search_goes_on_and_repeats_its_line() {
    play(
        prompt(),
        "started -> read 1
        line mine 1000 -> ask 1 mine
        line status -> aside 2 status
        line balance bob
        status 2 -> 2 again: ok, aside 3 balance
        written -> read 1
        answer 3 -> 3 again: ok
        written -> read 1
        line help -> 4 again: help
        written -> read 1
        line nonsense -> 5 again: unknown_command
        written -> read 1
        answer 1 -> 1: ok
        written -> read 1
        line status -> ask 4 status",
    );
}

#[test]
fn what_changes_something_waits_for_its_turn_and_is_told_so() {
    play(
        prompt(),
        "started -> read 1
        line mine 1000 -> ask 1 mine
        line tx alice bob 5 -> 2 waits for 1
        line mine on -> 3 waits for 1
        line peers -> aside 2 peers
        answer 2 -> 4 again: ok
        written -> read 1
        answer 1 -> 1: ok
        written -> read 1, ask 3 tx
        answer 3 -> 2 again: ok
        written -> read 1, ask 4 mine",
    );
}

#[test]
fn mine_off_is_carried_out_while_a_search_goes_on_and_quit_ends_what_runs() {
    play(
        prompt(),
        "started -> read 1
        line mine 1000 -> ask 1 mine
        line mine off -> aside 2 mine
        refuse 1 interrupted -> 1: interrupted
        answer 2 -> 2 again: ok
        written -> read 1
        written -> read 1",
    );
    play(
        prompt(),
        "started -> read 1
        line wait peers 9 -> ask 1 wait
        line quit -> cancel 1
        refuse 1 interrupted -> 1: interrupted
        written -> read 1, 2 again: empty
        written -> quit
        stop -> end",
    );
    play(
        client(),
        "hello words prompt -> greet words
        started -> read 3
        line mine 1000 -> ask 1 mine
        line detach -> cancel 1
        refuse 1 interrupted -> 1: interrupted
        written -> read 1, 2 again: empty
        written -> end",
    );
}

#[test]
fn a_reply_with_many_blocks_waits_for_its_turn_after_all() {
    play(
        prompt(),
        "started -> read 1
        line mine 1000 -> ask 1 mine
        line chain 4 -> aside 2 chain
        long 2 876
        line status -> aside 3 status
        status 3 -> 3 again: ok
        written -> read 1
        answer 1 -> 1: ok
        written -> read 1, ask 4 chain",
    );
}

#[test]
fn a_line_that_is_answered_aside_has_its_reply_when_the_session_ends() {
    play(
        prompt(),
        "started -> read 1
        line mine 1000 -> ask 1 mine
        line status -> aside 2 status
        failed -> 1: internal
        written -> 2 again: interrupted, end",
    );
}

#[test]
fn short_commands_are_not_overtaken_and_programs_keep_their_order() {
    play(
        prompt(),
        "started -> read 1
        line tx alice bob 5 -> ask 1 tx
        line status
        answer 1 -> 1: ok
        written -> read 1, ask 2 status",
    );
    play(
        console(),
        "started -> read 1
        line mine 1000 -> ask 1 mine
        line mine off
        line status",
    );
    play(
        client(),
        "hello words events -> greet words
        started -> read 3
        line mine 1000 -> ask 1 mine
        line status",
    );
    play(
        client(),
        "hello words prompt -> greet words
        started -> read 3
        line mine 1000 -> ask 1 mine
        line status -> aside 2 status
        status 2 -> 2 again: ok
        written -> read 1",
    );
}
