//! What the tabulator key offers: commands, their fixed words, and names.

use std::sync::{Arc, Mutex, PoisonError};

use super::help::{self, COMMANDS};
use super::watch::LEVELS;

/// The most names that are offered; more than fit on a screen.
pub const NAMES_MAX: usize = 1_000;

/// Names to complete, replaced as a whole by whoever knows them; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Arc<[String]>>>);

impl Names {
    /// Replaces the names; those beyond the limit are left out.
    pub fn set(&self, names: impl IntoIterator<Item = String>) {
        let names: Arc<[String]> = names.into_iter().take(NAMES_MAX).collect();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The names as they are now.
    #[must_use]
    pub fn get(&self) -> Arc<[String]> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What may stand in place of the last word of a line, and where that word starts.
#[must_use]
pub fn candidates(line: &str, names: &[String]) -> (usize, Vec<String>) {
    let start = line
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let (before, word) = line.split_at(start);
    let word = word.to_ascii_lowercase();
    let typed: Vec<String> = before.split_whitespace().map(str::to_ascii_lowercase).collect();
    let mut found: Vec<String> = offered(&typed, names)
        .into_iter()
        .filter(|candidate| candidate.starts_with(&word))
        .collect();
    found.sort();
    found.dedup();
    (start, found)
}

fn offered(typed: &[String], names: &[String]) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let Some((first, values)) = typed.split_first() else {
        return words();
    };
    let command = help::find(first).map_or("", |command| command.word);
    match (command, values.len()) {
        ("tx", 0 | 1) | ("balance", 0) => [names, &own(&["me"])].concat(),
        ("mine" | "net", 0) => own(&["on", "off"]),
        ("explain", 0) => own(&["block", "transaction"]),
        ("watch", _) => own(&["gossip", "blocks", "peers", "all", "off"]),
        ("log", 0) => LEVELS.map(str::to_owned).to_vec(),
        ("drop" | "ban" | "unban", 0) => names.to_vec(),
        ("wait", 0) => own(&["peers", "height", "synced", "confirmed"]),
        ("help", 0) => words(),
        _ => Vec::new(),
    }
}

fn words() -> Vec<String> {
    COMMANDS.iter().map(|command| command.word.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_fixed_words_and_names_are_offered_where_they_fit() {
        let names = Names::default();
        names.set(["alice", "anna", "bob"].map(String::from));
        let offered = |line| candidates(line, &names.get());
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(offered("ba"), (0, own(&["balance", "ban"])));
        assert_eq!(offered("explain t"), (8, own(&["transaction"])));
        assert_eq!(offered("watch blocks p"), (13, own(&["peers"])));
        assert_eq!(offered("ban b"), (4, own(&["bob"])));
        assert_eq!(offered("TX A"), (3, own(&["alice", "anna"])));
        assert_eq!(offered("tx alice m"), (9, own(&["me"])));
        assert_eq!(offered("tx alice bob "), (13, vec![]));
        assert_eq!(offered("mine o"), (5, own(&["off", "on"])));
        assert_eq!(offered("help sta"), (5, own(&["stats", "status"])));
        assert_eq!(offered("é\u{3000}ä"), (5, vec![]));
        assert_eq!(offered("").1.len(), COMMANDS.len());
    }
}
