//! One person is one person: accounts that one key owns are counted together.
//!
//! Promises: each account counts once; the order is that of the sums, the largest first.
//! Spec: `proto-notes/events.md`, "In words".

use super::human::short_account;
use crate::types::Account;

/// Somebody with all accounts of the same key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Person {
    /// The name, or the end of the PeerId of a key without one.
    pub(super) label: String,
    /// The sum over the accounts.
    pub(super) sum: u64,
    /// What each account has.
    pub(super) parts: Vec<(String, u64)>,
}

/// Accounts with their owners and numbers, grouped by owner.
pub(super) fn persons<'a>(accounts: impl Iterator<Item = (&'a Account, Option<&'a str>, u64)>) -> Vec<Person> {
    let mut found: Vec<(String, Person)> = Vec::new();
    for (account, owner, number) in accounts {
        let text = account.to_string();
        let owner = owner.map_or_else(|| text.clone(), str::to_owned);
        let is_name = matches!(account, Account::Name(_));
        let label = short_account(&text);
        let part = if is_name { label.clone() } else { "the key".to_owned() };
        match found.iter_mut().find(|(key, _)| *key == owner) {
            Some((_, person)) => {
                // The first name is the one with the most.
                if is_name && person.parts.iter().all(|(part, _)| part == "the key") {
                    person.label = label;
                }
                person.sum = person.sum.saturating_add(number);
                person.parts.push((part, number));
            }
            None => {
                let parts = vec![(part, number)];
                let sum = number;
                found.push((owner, Person { label, sum, parts }));
            }
        }
    }
    let mut persons: Vec<Person> = found.into_iter().map(|(_, person)| person).collect();
    persons.sort_by_key(|person| core::cmp::Reverse(person.sum));
    persons
}

/// The parts of a sum in words: " (2 as anna, 1 as the key)"; nothing if there is only one.
pub(super) fn in_parts(parts: &[(String, u64)]) -> String {
    if parts.len() < 2 {
        return String::new();
    }
    let words: Vec<String> = parts
        .iter()
        .map(|(part, number)| format!("{number} as {part}"))
        .collect();
    format!(" ({})", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys::{account, peer, wallet};

    #[test]
    fn a_name_and_its_key_are_one_person_and_a_free_name_stands_alone() {
        let anna = peer(1).to_string();
        let (key, name, free) = (wallet(1), account("anna"), account("bob"));
        let list = [
            (&free, None, 2),
            (&key, Some(anna.as_str()), 1),
            (&name, Some(anna.as_str()), 2),
        ];
        let found = persons(list.into_iter());
        let told: Vec<String> = found
            .iter()
            .map(|person| format!("{} {}{}", person.label, person.sum, in_parts(&person.parts)))
            .collect();
        assert_eq!(told, ["anna 3 (1 as the key, 2 as anna)", "bob 2"]);
    }

    #[test]
    fn a_key_without_a_name_goes_by_its_end() {
        let found = persons([(&wallet(1), Some(peer(1).to_string().as_str()), 4)].into_iter());
        assert!(found[0].label.starts_with('…') && found[0].sum == 4, "{found:?}");
        assert_eq!(in_parts(&found[0].parts), "");
    }
}
