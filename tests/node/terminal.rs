//! The prompt at a real terminal: what is typed stays whole, Ctrl-C and Ctrl-D do what they promise.
//!
//! Elsewhere: the terminal (`pty`), what it shows (`vt`).
//! Spec: `proto-notes/events.md`, "Stopping".

use std::fs::File;
use std::io::Read;
use std::process::Command;

use crate::harness::{QUIET, binary};
use crate::pty::{CTRL_C, CTRL_D, Terminal, UP, pseudo_terminal};

/// Starts a search that tells of hundreds of blocks a second, and waits until the prompt is back. What is typed before, the
/// terminal itself keeps, and forgets at Ctrl-C.
fn start_a_storm(terminal: &mut Terminal) {
    terminal.type_text("mine 10000\r");
    terminal.wait_for("New Block Forged: height ");
    terminal.wait_for("… ");
}

#[test]
fn typed_line_stays_whole_while_the_log_storms() {
    let mut terminal = Terminal::open();
    start_a_storm(&mut terminal);
    for key in "claim zed".chars() {
        terminal.type_text(&key.to_string());
        terminal.wait_for("New Block Forged: height ");
    }
    terminal.wait_for("claim zed");
    // The line waits for its turn, so Ctrl-C means the search.
    terminal.type_text("\r");
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.wait_for("zed is claimed");
}

#[test]
fn lines_typed_while_a_search_storms_wait_and_the_storm_goes_on() {
    let mut terminal = Terminal::open();
    start_a_storm(&mut terminal);
    for number in 0..20 {
        terminal.type_text(&format!("claim n{number}\r"));
        terminal.wait_for(&format!("claim n{number}"));
        for _ in 0..3 {
            terminal.wait_for("New Block Forged: height ");
        }
    }
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    for number in 0..20 {
        terminal.wait_for(&format!("n{number} is claimed"));
    }
    start_a_storm(&mut terminal);
    terminal.type_text("claim late\r");
    terminal.wait_for("`claim late` waits for `mine 10000`");
    terminal.type_text(CTRL_D);
    terminal.wait_for("1 line that waited has no reply");
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn ctrl_d_between_two_lines_stops_the_node() {
    let mut terminal = Terminal::open();
    terminal.type_text("mine 10000\r");
    // The prompt comes back a quarter of a second after a line; before that the terminal does not pass keys on as they are.
    terminal.wait_for("New Block Forged");
    terminal.type_text(CTRL_D);
    terminal.wait_for("the command was interrupted");
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn paste_in_one_piece_during_a_search_waits_for_its_turn() {
    let mut terminal = Terminal::open();
    start_a_storm(&mut terminal);
    let lines: Vec<String> = (0..4_200).map(|number| format!("wait height 0 {number}")).collect();
    terminal.type_text(&format!("\x1b[200~{}\x1b[201~", lines.join("\r")));
    terminal.wait_for("wait height 0 4199");
    terminal.type_text("\r");
    terminal.wait_for("error: 105 lines were not taken: 4096 wait already");
    terminal.wait_for("New Block Forged: height ");
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.wait_for("> wait height 0 4094");
    terminal.ask("balance zed", "zed owns 0 coins");
    assert_eq!(terminal.whole().matches("waited 0 ms").count(), 4_095);
}

#[test]
fn tabulator_completes_commands_and_names() {
    let mut terminal = Terminal::open();
    terminal.ask("tx alice robert 5", "Transaction will be added to Block 1");
    terminal.type_text("bal\t");
    terminal.wait_for("balance ");
    terminal.type_text("rob\t");
    terminal.wait_for("robert ");
    terminal.type_text("\r");
    terminal.wait_for("robert owns 0 coins");
    terminal.type_text("balance al\t");
    terminal.wait_for("balance alice ");
}

#[test]
fn ctrl_c_cancels_then_clears_then_stops() {
    let mut terminal = Terminal::open();
    terminal.type_text("mine 10000\r");
    terminal.wait_for("New Block Forged");
    // A quarter of a second after a line the prompt is back, and Ctrl-C is a key again; before it is a signal.
    terminal.type_text(CTRL_C);
    terminal.wait_for("the command was interrupted");
    terminal.wait_for("hint: ");
    terminal.wait_for("> ");
    terminal.type_text("balance nobody");
    terminal.wait_for("balance nobody");
    terminal.type_text(CTRL_C);
    terminal.wait_for("> ");
    terminal.ask("balance zed", "zed owns 0 coins");
    assert!(!terminal.whole().contains("nobody owns 0"), "{}", terminal.whole());
    terminal.type_text(CTRL_C);
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn ctrl_d_stops_and_failures_do_not_count() {
    let mut terminal = Terminal::open();
    terminal.ask("nonsense", "hint: help");
    terminal.type_text(CTRL_D);
    assert_eq!(terminal.status(), Some(0));
}

/// Types a line as a Latin-1 terminal does, one with a report of the mouse, and a paste with a cut emoji: each is refused
/// whole, and nothing else ends.
pub(crate) fn spoil_three_lines(terminal: &mut Terminal) {
    for keys in [&b"balance j\xe9r\xf4me"[..], b"balance \x1b[M\x20\xe9\x21"] {
        let (mut is_open, mut spoiled) = (false, 0);
        for key in keys {
            terminal.type_bytes(&[*key]);
            // The byte behind it tells that no character begins there. What is read together with them is lost.
            if is_open && key.is_ascii() {
                spoiled += 1;
                terminal.wait_for(&"\u{fffd}".repeat(spoiled));
            }
            is_open = !key.is_ascii();
        }
        terminal.type_text("\r");
        terminal.wait_for("the line is not UTF-8 text");
        terminal.wait_for("> ");
    }
    terminal.type_bytes(b"balance ada\xf0\x9f\rnonsense");
    terminal.wait_for("a byte came that is no UTF-8");
    terminal.wait_for("balance ada\u{fffd}");
    terminal.type_text("\r");
    terminal.wait_for("the line is not UTF-8 text");
    terminal.wait_for("> ");
}

#[test]
fn adv_c21_a_byte_that_is_no_utf_8_refuses_its_line_and_ends_nothing() {
    let mut terminal = Terminal::open();
    spoil_three_lines(&mut terminal);
    terminal.ask("balance zed", "zed owns 0 coins");
    assert!(
        !terminal.whole().contains("unknown command"),
        "the rest of a line is no line: {}",
        terminal.whole()
    );
    terminal.type_bytes(b"bal\xff");
    terminal.wait_for("bal\u{fffd}");
    terminal.type_text(CTRL_C);
    // What is typed together with Ctrl-C is lost with it.
    let is_empty_prompt = |rows: &[String]| rows.last().filter(|row| row.trim_end() == ">").map(drop);
    terminal.wait_rows("an empty prompt", is_empty_prompt);
    terminal.ask("balance ben", "ben owns 0 coins");
    terminal.type_text(CTRL_D);
    assert_eq!(terminal.status(), Some(0));
}

#[test]
fn history_brings_a_line_back() {
    let mut terminal = Terminal::open();
    terminal.ask("balance zed", "zed owns 0 coins");
    terminal.type_text(UP);
    terminal.wait_for("balance zed");
    terminal.type_text("\r");
    terminal.wait_for("zed owns 0 coins");
}

#[test]
fn paste_of_200_lines_executes_200() {
    let mut terminal = Terminal::open();
    let paste: String = (0..200).map(|number| format!("balance n{number}\r")).collect();
    terminal.type_text(&paste);
    terminal.wait_for("n199 owns 0 coins");
    assert_eq!(terminal.whole().matches(" owns 0 coins").count(), 200);
}

#[test]
fn people_see_each_own_block_and_payment_once() {
    let mut terminal = Terminal::open();
    terminal.ask("tx alice bob 5", "nobody owns bob yet");
    terminal.ask("mine", "New Block Forged");
    terminal.ask("mine 2", "height 3   nonce");
    let screen = terminal.whole();
    assert_eq!(
        screen.matches("alice pays bob 5 coins").count(),
        2,
        "the payment, and its block: {screen}"
    );
    assert!(!screen.contains("block  1 mined by"), "{screen}");
    assert_eq!(screen.matches("height 1 ").count(), 1, "{screen}");
    assert!(
        screen.contains("alice is yours once block 1 holds this payment") && screen.contains("alice owes 5 then"),
        "{screen}"
    );
}

#[test]
fn start_that_fails_at_a_terminal_is_told_on_standard_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut terminal = Terminal::open();
    terminal.ask("status", "folder /");
    let path = terminal.whole();
    let path = path
        .split("folder ")
        .nth(1)
        .and_then(|rest| rest.split_whitespace().next());
    let path = path.expect("the banner names the folder").to_owned();
    let errors = folder.path().join("errors");
    let node = binary();
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(node.get_program());
    command.args(QUIET).args(["--data-dir", &path]);
    let (mut screen, end) = pseudo_terminal(200);
    command.stdin(end.try_clone().expect("a copy")).stdout(end);
    command.stderr(File::create(&errors).expect("a file"));
    let mut child = command.spawn().expect("setsid is there");
    drop(command);
    assert_eq!(child.wait().expect("a child of this process").code(), Some(3));
    let told = std::fs::read_to_string(&errors).expect("a file");
    assert!(told.contains(&path) && told.contains("hint: "), "{told}");
    let mut shown = Vec::new();
    // The end of a terminal is an error, not an end of file.
    screen.read_to_end(&mut shown).unwrap_or_default();
    assert_eq!(String::from_utf8_lossy(&shown), "");
}

#[test]
fn what_only_reads_is_answered_while_a_search_goes_on_and_mine_off_ends_it() {
    let mut terminal = Terminal::open();
    terminal.type_text("mine 10000\r");
    terminal.wait_for("New Block Forged: height 1,");
    terminal.type_text("balance zed\r");
    terminal.wait_for("zed owns 0 coins");
    assert!(terminal.whole().contains("> balance zed"), "the line is repeated");
    terminal.type_text("tx alice bob 5\r");
    terminal.wait_for("`tx alice bob 5` waits for `mine 10000`, ");
    terminal.type_text("mine off\r");
    terminal.wait_for("mining was switched off: ");
    terminal.wait_for("Transaction will be added to Block ");
    let screen = terminal.whole();
    assert!(screen.contains("of 10000 blocks were mined and stored"), "{screen}");
    assert!(screen.contains("mining is off"), "{screen}");
    terminal.ask("status", "mining off");
}
