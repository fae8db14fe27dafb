//! The words of a command line before clap reads them, and what is said about those that it does not know.
//!
//! Promises: a list flag never takes the word of a task for one of its values; a word of the prompt gets the line with
//! `ctl` that gives it to a running node.
//! Spec: `proto-notes/events.md`, "Command line".

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

use crate::console::help;

/// Flags that take several values.
const LISTS: &[&str] = &["--peer", "--listen", "--bind"];
/// Flags whose value may be left out, and the value that they then have.
const OPTIONAL: [(&str, &str); 2] = [("--peer-clock", "median"), ("--web", "on")];

/// The command line with each value of a list behind a flag of its own: `--peer A B paths` is `--peer=A --peer=B paths`.
pub(super) fn separated(line: Vec<OsString>, command: &Command) -> Vec<OsString> {
    let is_task = |word: &OsStr| command.get_subcommands().any(|task| word == task.get_name());
    let is_flag = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-");
    let mut words = line.into_iter().peekable();
    let mut separated = Vec::new();
    while let Some(word) = words.next() {
        let optional = OPTIONAL.iter().find(|(flag, _)| word == *flag);
        if let Some((flag, value)) = optional.filter(|_| words.peek().is_none_or(|next| is_task(next))) {
            separated.push(format!("{flag}={value}").into());
            continue;
        }
        let Some(flag) = LISTS.iter().find(|flag| word == **flag) else {
            separated.push(word);
            continue;
        };
        let mut taken = 0;
        while let Some(value) = words.next_if(|next| !is_flag(next) && (taken == 0 || !is_task(next))) {
            let mut assigned = OsString::from(format!("{flag}="));
            assigned.push(value);
            separated.push(assigned);
            taken += 1;
        }
        if taken == 0 {
            // Clap says that a value is missing.
            separated.push(word);
        }
    }
    separated
}

/// The error for a line that clap refuses: a word of the prompt gets the line that works.
pub(super) fn explained(error: Error, line: &[OsString], command: &mut Command) -> Error {
    let unknown = [ContextKind::InvalidSubcommand, ContextKind::InvalidArg]
        .into_iter()
        .find_map(|kind| match error.get(kind) {
            Some(ContextValue::String(word)) => Some(word.clone()),
            _ => None,
        });
    let is_unknown = matches!(error.kind(), ErrorKind::InvalidSubcommand | ErrorKind::UnknownArgument);
    let Some(word) = unknown.filter(|word| is_unknown && help::find(&word.to_ascii_lowercase()).is_some()) else {
        return error;
    };
    let Some(at) = line.iter().position(|other| *other == *word) else {
        return error;
    };
    // `lanchain help tx` is asked at the node too.
    let from = if line[..at].last().is_some_and(|before| before == "help") {
        at - 1
    } else {
        at
    };
    let is_task = |word: &OsString| command.get_subcommands().any(|task| *word == *task.get_name());
    if line[1..from].iter().any(is_task) {
        return error;
    }
    let text = |words: &[OsString]| {
        words
            .iter()
            .map(|word| shell_word(&word.to_string_lossy()))
            .collect::<Vec<_>>()
    };
    let typed = [
        vec!["lanchain".to_owned()],
        text(&line[1..from]),
        vec!["ctl".to_owned()],
        text(&line[from..]),
    ];
    let message = format!(
        "`{word}` is a command of a running node. Type it at the node's prompt, or here:\n\n    {}",
        typed.concat().join(" ")
    );
    command.error(ErrorKind::InvalidSubcommand, message)
}

/// A word as it is typed in a shell.
#[must_use]
pub fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::super::{Args, DataFolder, Task};
    use super::*;
    use crate::console::help::COMMANDS;
    use crate::engine::PeerClock;

    fn read(line: &str) -> Result<Args, Error> {
        Args::read(["lanchain"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn a_list_of_values_ends_at_the_word_of_a_task() {
        for (line, peers) in [
            ("--peer 10.0.0.1 paths", 1),
            ("--peer 10.0.0.1 10.0.0.2 paths", 2),
            ("--peer 10.0.0.1,10.0.0.2 --peer 10.0.0.3 paths", 3),
            ("--peer paths paths", 1),
            ("--peer=10.0.0.1 paths", 1),
            ("paths", 0),
        ] {
            let args = read(line).expect("nothing is wrong");
            assert_eq!((args.task, args.peers.len()), (Some(Task::Paths), peers), "{line}");
        }
        let args = read("--bind eth0 10.0.0.1 --listen 127.0.0.1:0 man").expect("nothing is wrong");
        assert_eq!((args.bind.len(), args.listen.len()), (2, 1));
        assert_eq!(args.task, Some(Task::Man { task: None }));
        let args = read("--peer-clock paths").expect("nothing is wrong");
        assert_eq!((args.task, args.peer_clock), (Some(Task::Paths), PeerClock::Median));
        assert_eq!(
            read("--peer-clock").expect("nothing is wrong").peer_clock,
            PeerClock::Median
        );
        assert_ne!(
            read("--peer-clock anna").expect("nothing is wrong").peer_clock,
            PeerClock::Median
        );
        assert!(read("--peer").is_err(), "a value is missing");
        // Flags of one value take it whatever it is.
        let args = read("--data-dir paths --peer 10.0.0.1 --temp").expect_err("two folders");
        assert!(args.to_string().contains("--temp"), "{args}");
        assert_eq!(
            read("--data-dir paths").expect("a folder").folder,
            DataFolder::Dir("paths".into())
        );
    }

    #[test]
    fn every_word_of_the_prompt_gets_the_line_for_a_running_node() {
        let tasks: Vec<String> = super::super::command()
            .get_subcommands()
            .map(|task| task.get_name().to_owned())
            .collect();
        let words = COMMANDS
            .iter()
            .flat_map(|command| [&[command.word], command.aliases].concat());
        for word in words.filter(|word| *word != "help" && !tasks.contains(&(*word).to_owned())) {
            for line in [word.to_owned(), format!("{word} alice 5"), word.to_ascii_uppercase()] {
                let error = read(&line).expect_err("no task");
                assert_eq!(error.exit_code(), 2);
                let wanted = format!("lanchain ctl {line}");
                assert!(error.to_string().contains(&wanted), "{line}: {error}");
                assert!(!error.to_string().contains("similar"), "{error}");
            }
        }
        let error = read("--network dev --name anna tx alice bob 5")
            .expect_err("no task")
            .to_string();
        assert!(
            error.contains("lanchain --network dev --name anna ctl tx alice bob 5"),
            "{error}"
        );
        let error = read("help tx").expect_err("no task").to_string();
        assert!(error.contains("lanchain ctl help tx"), "{error}");
        for other in ["nonsense", "paths status", "bench tx"] {
            let error = read(other).expect_err("no task").to_string();
            assert!(!error.contains("lanchain ctl"), "{other}: {error}");
        }
    }

    #[test]
    fn words_for_a_shell_are_quoted_where_they_must_be() {
        assert_eq!(shell_word("/home/a b"), "'/home/a b'");
        assert_eq!(shell_word("it's"), r"'it'\''s'");
        assert_eq!(shell_word("lan:room-1"), "lan:room-1");
        assert_eq!(shell_word(""), "''");
    }
}
