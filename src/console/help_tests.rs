//! What help says, and what it understands.

use super::*;
use crate::console::parse::parse_line;

#[test]
fn a_narrow_list_says_the_same_below_each_other() {
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&overview_in(50)), words(&overview()));
    assert!(
        overview_in(50).contains("  mine [N], mine on, mine off\n        mine N"),
        "{}",
        overview_in(50)
    );
    assert!(overview_in(70).contains("  mine [N], mine on, mine off       mine N"));
}

#[test]
fn every_example_can_be_typed() {
    for command in &COMMANDS {
        assert!(!command.examples.is_empty(), "{}", command.word);
        for example in command.examples {
            assert!(matches!(parse_line(example), Ok(Some(_))), "{example}");
            assert!(example.starts_with(command.word), "{example}");
        }
    }
}

#[test]
fn slips_of_the_finger_are_understood() {
    let cases = [
        ("minee", "mine"),
        ("mien", "mine"),
        ("balence", "balance"),
        ("chian", "chain"),
        ("staus", "status"),
        ("tz", "tx"),
        ("regster", "register"),
        ("bye", "quit"),
        ("send", "tx"),
    ];
    for (typed, meant) in cases {
        assert_eq!(did_you_mean(typed), Some(meant), "{typed}");
    }
    for typed in ["xyzzy", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\u{1b}[2J"] {
        assert_eq!(did_you_mean(typed), None, "{typed}");
    }
}

#[test]
fn the_values_that_are_missing_are_hinted() {
    let hints = [
        ("tx", Some(" FROM TO AMOUNT")),
        ("tx ", Some("FROM TO AMOUNT")),
        ("TX alice bob", Some(" AMOUNT")),
        ("tx alice bob 5", None),
        ("explain block", Some(" HEIGHT|HASH")),
        ("status", None),
        ("xyzzy", None),
        ("", None),
    ];
    for (line, hint) in hints {
        assert_eq!(argument_hint(line).as_deref(), hint, "{line}");
    }
}

#[test]
fn the_overview_names_every_command_once_and_fits_a_small_terminal() {
    let words: Vec<&str> = ROWS.iter().flat_map(|(words, ..)| words.iter().copied()).collect();
    for command in &COMMANDS {
        let times = words.iter().filter(|word| **word == command.word).count();
        assert_eq!(times, 1, "{}", command.word);
    }
    assert_eq!(words.len(), COMMANDS.len());
    let text = overview();
    assert!(text.lines().count() <= 23, "a row is left for the prompt\n{text}");
    for line in text.lines() {
        assert!(line.chars().count() < 80, "{line}");
    }
}

#[test]
fn help_explains_names_too() {
    assert_eq!(explained("names"), Some("names"));
    assert_eq!(explained("register"), Some("dial"));
    assert_eq!(explained("nonsense"), None);
    let text = of_command("names").expect("a topic");
    for word in ["key", "PeerId", "name", "me:", "owner"] {
        assert!(text.contains(word), "{word}");
    }
    assert!(parse_line("help names").is_ok());
}
