//! The words that the tabulator key offers: commands, their fixed words, names, accounts, and hashes that were seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::help::{self, COMMANDS};
use super::watch::LEVELS;

/// The most names that are remembered, which is more than fit on a screen.
pub const NAMES_MAX: usize = 1_000;
/// The most blocks, and the most transactions, that are offered. For an older one the user types its first digits.
const HASHES_MAX: usize = 256;
/// How many hashes are offered before the user has typed any digit of one: a few lines.
const NEWEST: usize = 16;
/// The characters of an offered peer without a name: as many as lists show, from the end of its PeerId.
const PEER_DIGITS: usize = 8;
/// The digits of an offered hash: as many as replies show, and more than a prefix needs.
const DIGITS: usize = 12;

/// The names and hashes that can be completed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    names: BTreeSet<String>,
    /// PeerIds, which stand for accounts and for peers.
    keys: BTreeSet<String>,
    /// Peers that were seen, as `drop` and `ban` name them: by name, else by the end of the PeerId.
    peers: BTreeMap<String, String>,
    /// The first digits of block hashes, the newest last.
    blocks: VecDeque<String>,
    transactions: VecDeque<String>,
}

/// A shared collection of what can be completed, filled by everybody who sees it; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Names(Arc<Mutex<Known>>);

impl Names {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a name or a PeerId that was seen.
    pub fn see_account(&self, account: &str) {
        let mut known = self.known();
        let is_name = account.len() <= crate::types::account::NAME_MAX_BYTES;
        let list = if is_name { &mut known.names } else { &mut known.keys };
        if list.len() < NAMES_MAX {
            list.insert(account.to_owned());
        }
    }

    /// Adds a peer that was seen, by its PeerId and the name that it gives itself.
    pub fn see_peer(&self, peer_id: &str, name: Option<&str>) {
        let mut known = self.known();
        if known.peers.len() < NAMES_MAX || known.peers.contains_key(peer_id) {
            let start = peer_id.len().saturating_sub(PEER_DIGITS);
            let called = name.or_else(|| peer_id.get(start..)).unwrap_or(peer_id);
            known.peers.insert(peer_id.to_owned(), called.to_owned());
        }
    }

    /// Adds the hash of a block that was seen.
    pub fn see_block(&self, hash: &str) {
        remember(&mut self.known().blocks, hash);
    }

    /// Adds the id of a transaction that was seen.
    pub fn see_transaction(&self, txid: &str) {
        remember(&mut self.known().transactions, txid);
    }

    /// A copy of everything that can be completed now.
    #[must_use]
    pub fn get(&self) -> Known {
        self.known().clone()
    }
}

fn remember(list: &mut VecDeque<String>, hash: &str) {
    let digits: String = hash.chars().take(DIGITS).collect();
    list.retain(|known| *known != digits);
    if list.len() >= HASHES_MAX {
        list.pop_front();
    }
    list.push_back(digits);
}

/// The words that can replace the last word of a line, and the byte at which that word starts.
#[must_use]
pub fn candidates(line: &str, known: &Known) -> (usize, Vec<String>) {
    let start = line
        .rfind(char::is_whitespace)
        .map_or(0, |at| at + line[at..].chars().next().map_or(1, char::len_utf8));
    let (before, word) = line.split_at(start);
    let word = word.to_ascii_lowercase();
    let typed: Vec<String> = before.split_whitespace().map(str::to_ascii_lowercase).collect();
    let mut found: Vec<String> = offered(&typed, &word, known)
        .into_iter()
        .filter(|candidate| candidate.to_ascii_lowercase().starts_with(&word))
        .collect();
    found.sort();
    found.dedup();
    (start, found)
}

fn offered(typed: &[String], word: &str, known: &Known) -> Vec<String> {
    let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let Some((first, values)) = typed.split_first() else {
        return words();
    };
    let command = help::find(first).map_or("", |command| command.word);
    let hashes = |list: &VecDeque<String>| {
        let most = if word.is_empty() { NEWEST } else { HASHES_MAX };
        list.iter().rev().take(most).cloned().collect()
    };
    // Without a typed letter, a list of PeerIds would help nobody.
    let keys = if word.is_empty() {
        BTreeSet::new()
    } else {
        known.keys.clone()
    };
    let peers = || known.names.iter().chain(&keys).cloned().collect::<Vec<_>>();
    match (command, values.len(), values.first().map_or("", String::as_str)) {
        ("tx", 0 | 1, _) | ("balance" | "history", 0, _) => [peers(), own(&["me"])].concat(),
        ("mine" | "net", 0, _) => own(&["on", "off"]),
        ("explain", 0, _) => own(&["block", "transaction"]),
        ("block", 0, _) | ("explain", 1, "block") if !word.is_empty() && "latest".starts_with(word) => own(&["latest"]),
        ("block", 0, _) | ("explain", 1, "block") => hashes(&known.blocks),
        ("chain" | "tree", 0, _) => own(&["all"]),
        ("transaction", 0, _) | ("explain", 1, "transaction") | ("wait", 1, "confirmed") => hashes(&known.transactions),
        ("watch", ..) => own(&["gossip", "blocks", "peers", "all", "off"]),
        ("log", 0, _) => LEVELS.map(str::to_owned).to_vec(),
        ("drop" | "ban" | "unban", 0, _) => known.peers.values().chain(&keys).cloned().collect(),
        ("wait", 0, _) => own(&["peers", "height", "synced", "confirmed"]),
        ("help", 0, _) => words(),
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
        for name in ["alice", "anna", "bob"] {
            names.see_account(name);
        }
        names.see_peer("12D3KooWabcdefgh12345678", Some("bob"));
        names.see_peer("12D3KooWabcdefgh87654321", None);
        let offered = |line| candidates(line, &names.get());
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(offered("ba"), (0, own(&["balance", "ban"])));
        assert_eq!(offered("explain t"), (8, own(&["transaction"])));
        assert_eq!(offered("watch blocks p"), (13, own(&["peers"])));
        assert_eq!(offered("ban b"), (4, own(&["bob"])));
        assert_eq!(offered("drop "), (5, own(&["87654321", "bob"])));
        assert_eq!(offered("TX A"), (3, own(&["alice", "anna"])));
        assert_eq!(offered("tx alice m"), (9, own(&["me"])));
        assert_eq!(offered("tx alice bob "), (13, vec![]));
        assert_eq!(offered("mine o"), (5, own(&["off", "on"])));
        assert_eq!(offered("help sta"), (5, own(&["stats", "status"])));
        assert_eq!(offered("é\u{3000}ä"), (5, vec![]));
        assert_eq!(offered("").1.len(), COMMANDS.len());
    }

    #[test]
    fn hashes_that_were_seen_are_offered_the_newest_without_a_digit() {
        let names = Names::default();
        let hash = |number: usize| format!("{number:064x}").chars().rev().collect::<String>();
        (0..HASHES_MAX + 5).for_each(|number| names.see_block(&hash(number)));
        names.see_transaction(&hash(7));
        names.see_transaction(&hash(7));
        let offered = |line: &str| candidates(line, &names.get()).1;
        let newest = hash(HASHES_MAX + 4)[..DIGITS].to_owned();
        assert_eq!(offered("block ").len(), NEWEST);
        assert!(offered("block ").contains(&newest) && offered("explain block ").contains(&newest));
        let old = hash(9)[..DIGITS].to_owned();
        assert!(!offered("block ").contains(&old));
        assert_eq!(offered(&format!("block {}", &old[..6])), [old]);
        assert_eq!(
            offered(&format!("block {}", &hash(4)[..DIGITS])),
            Vec::<String>::new(),
            "left"
        );
        assert_eq!(offered("transaction "), [hash(7)[..DIGITS].to_owned()]);
        assert_eq!(offered("wait confirmed ").len(), 1);
        assert_eq!(offered("explain transaction ").len(), 1);
    }

    #[test]
    fn keys_are_offered_once_something_of_one_is_typed() {
        let names = Names::default();
        let key = "12D3KooWFB6rbiXwQ6onGBPgkUG4yiMmc84FkypnvviaUFVcSWcw";
        names.see_account(key);
        names.see_peer(key, Some("anna"));
        let offered = |line| candidates(line, &names.get()).1;
        assert_eq!(offered("ban "), ["anna"]);
        assert_eq!(offered("ban 12d"), [key]);
        assert_eq!(offered("tx me 12D3"), [key]);
    }
}
