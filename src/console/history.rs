//! The reply of `history` in words: a table, the newest transaction first.
//!
//! Promises: no line is wider than the terminal, unless that is narrower than the numbers; names are cut before numbers.
//! Elsewhere: the reply itself (`inspect::history`). Spec: `proto-notes/events.md`, "In words".

use super::human::{foreign, many, short_account};
use super::look::Look;
use crate::contract::{HistoryEntry, HistoryView, TxStatus};

/// The columns of a date with hours and minutes.
const TIME_COLUMNS: usize = 16;
/// The columns of what a transaction does, at the least: the narrowest terminal still shows some letters.
const WHAT_MIN: usize = 12;
/// The gap between two columns.
const GAP: &str = "  ";

/// The reply of `history`.
pub(super) fn words(view: &HistoryView, look: Look) -> String {
    let title = title(view);
    if view.entries.is_empty() {
        return title;
    }
    let rows: Vec<[String; 5]> = view.entries.iter().map(|entry| row(view, entry, look)).collect();
    let heads = ["block", "time", "what", "change", "balance"].map(str::to_owned);
    let width = |column: usize| {
        let texts = [&heads].into_iter().chain(&rows).map(|row| row[column].chars().count());
        texts.max().unwrap_or_default()
    };
    let (block, change, balance) = (width(0), width(3), width(4));
    let others = block + TIME_COLUMNS + change + balance + 5 * GAP.len();
    let room = look.columns.saturating_sub(1).saturating_sub(others);
    let what = width(2).min(room.max(WHAT_MIN));
    let line = |row: &[String; 5]| {
        let [at, time, does, gain, left] = row;
        let does = cut(does, what, look);
        format!(
            "{GAP}{at:>block$}{GAP}{time:<TIME_COLUMNS$}{GAP}{does:<what$}{GAP}{gain:>change$}{GAP}{left:>balance$}"
        )
    };
    let mut lines = vec![title, look.grey(&line(&heads))];
    lines.extend(rows.iter().map(line));
    lines.join("\n")
}

/// Whose history this is, and how much of it is shown.
fn title(view: &HistoryView) -> String {
    let whose = view.account.as_ref().map(|account| short_account(&account.to_string()));
    let shown = u64::try_from(view.entries.len()).unwrap_or(u64::MAX);
    match (whose, view.total) {
        (None, 0) => "nothing that this node owns was paid yet; `mine` earns the first coins".to_owned(),
        (Some(whose), 0) => format!("{whose} has no transactions yet; `accounts` lists the accounts that have"),
        (whose, total) => {
            let whose = whose.unwrap_or_else(|| "all that this node owns".to_owned());
            let newest = if shown < total {
                format!(", the newest {shown}")
            } else {
                String::new()
            };
            format!("{whose}: {}{newest}", many(total, "transaction"))
        }
    }
}

fn row(view: &HistoryView, entry: &HistoryEntry, look: Look) -> [String; 5] {
    let block = match (entry.status, entry.height) {
        (TxStatus::Confirmed, Some(height)) => height.to_string(),
        (TxStatus::Confirmed | TxStatus::Pending | TxStatus::Dropped, _) => "waits".to_owned(),
    };
    [
        block,
        look.zone.minute(entry.time_ms),
        what(view, entry),
        format!("{:+}", entry.change),
        entry.balance.to_string(),
    ]
}

/// What a transaction does, seen from the account; of several accounts both sides are named.
fn what(view: &HistoryView, entry: &HistoryEntry) -> String {
    let to = entry.to.as_ref().map(|to| short_account(&to.to_string()));
    let (from, to) = (short_account(&foreign(&entry.from)), to.unwrap_or_default());
    let is_alone = view.account.is_some();
    match entry.kind {
        "claim" => format!("claim of {from}"),
        "reward" if is_alone => "reward".to_owned(),
        "reward" => format!("reward to {to}"),
        _ if is_alone && entry.change < 0 => format!("to {to}"),
        _ if is_alone => format!("from {from}"),
        _ => format!("{from} to {to}"),
    }
}

fn cut(text: &str, columns: usize, look: Look) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let mark = if look.unicode { "…" } else { "~" };
    let kept: String = text.chars().take(columns.saturating_sub(1)).collect();
    kept + mark
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::zone::Zone;
    use crate::testing::keys::account;
    use crate::types::{Height, Txid, WallTime};

    fn entry(height: Option<u64>, from: &str, to: Option<&str>, change: i64, balance: i64) -> HistoryEntry {
        HistoryEntry {
            txid: Txid::new([7; 32]),
            kind: match (from, to) {
                ("0", _) => "reward",
                (_, None) => "claim",
                (_, Some(_)) => "transfer",
            },
            from: from.into(),
            to: to.map(account),
            amount: change.unsigned_abs(),
            change,
            balance,
            status: if height.is_some() {
                TxStatus::Confirmed
            } else {
                TxStatus::Pending
            },
            height: height.map(Height::new),
            block_hash: None,
            time_ms: WallTime::from_ms(1_767_225_600_000),
        }
    }

    fn look(columns: usize) -> Look {
        Look {
            columns,
            zone: Zone::East(90),
            ..Look::default()
        }
    }

    #[test]
    fn a_history_is_a_table_with_the_newest_first_and_local_time() {
        let view = HistoryView {
            account: Some(account("alice")),
            total: 45,
            entries: vec![
                entry(None, "alice", Some("bob"), -5, -3),
                entry(Some(7), "carol", Some("alice"), 1, 2),
                entry(Some(6), "0", Some("alice"), 1, 1),
                entry(Some(5), "alice", None, 0, 0),
            ],
        };
        let expected = "\
alice: 45 transactions, the newest 4
  block  time              what            change  balance
  waits  2026-01-01 01:30  to bob              -5       -3
      7  2026-01-01 01:30  from carol          +1        2
      6  2026-01-01 01:30  reward              +1        1
      5  2026-01-01 01:30  claim of alice      +0        0";
        assert_eq!(words(&view, look(80)), expected);
    }

    #[test]
    fn the_longest_names_and_amounts_fit_eighty_columns_and_names_are_cut_first() {
        let long = "a".repeat(32);
        let amount = 9_007_199_254_740_991;
        for whose in [Some(account(&long)), None] {
            let view = HistoryView {
                account: whose,
                total: 2,
                entries: vec![
                    entry(Some(1_234_567), &long, Some(&"b".repeat(32)), -amount, amount),
                    entry(Some(1), &long, Some(&"b".repeat(32)), -1, 1),
                ],
            };
            let text = words(&view, look(80));
            assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
            assert!(text.contains("-9007199254740991"), "{text}");
        }
    }

    #[test]
    fn an_empty_history_says_what_to_do() {
        let mut view = HistoryView {
            account: Some(account("nosuch")),
            total: 0,
            entries: Vec::new(),
        };
        let text = "nosuch has no transactions yet; `accounts` lists the accounts that have";
        assert_eq!(words(&view, look(80)), text);
        view.account = None;
        assert!(words(&view, look(80)).contains("`mine`"));
    }
}
