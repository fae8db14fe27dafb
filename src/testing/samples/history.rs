//! The reply of `history`: each kind of transaction once, confirmed and waiting.

use super::hash;
use crate::contract::{HistoryEntry, HistoryView, Reply, TxStatus};
use crate::testing::keys::account;
use crate::types::{Height, Txid, WallTime};

/// The history of all accounts of a node, and of one account.
pub(super) fn replies() -> Vec<Reply> {
    let entry = |kind, from: &str, to: Option<&str>, change: i64| HistoryEntry {
        txid: Txid::new([0xaa; 32]),
        kind,
        from: from.into(),
        to: to.map(account),
        amount: change.unsigned_abs(),
        change,
        balance: change,
        status: TxStatus::Confirmed,
        height: Some(Height::new(3)),
        block_hash: Some(hash(1)),
        time_ms: WallTime::from_ms(1_767_225_600_000),
    };
    let waiting = HistoryEntry {
        status: TxStatus::Pending,
        height: None,
        block_hash: None,
        ..entry("transfer", "anna", Some("ben"), -5)
    };
    let of = |account| {
        Reply::History(Box::new(HistoryView {
            account,
            total: 4,
            entries: vec![
                waiting.clone(),
                entry("transfer", "ben", Some("anna"), 5),
                entry("reward", "0", Some("anna"), 1),
                entry("claim", "anna", None, 0),
            ],
        }))
    };
    vec![of(None), of(Some(account("anna")))]
}
