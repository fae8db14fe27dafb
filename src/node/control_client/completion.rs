//! What the prompt of an attached terminal can complete: asked for on connections of its own.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use serde_json::Value;

use super::lines::{ask, end_with};
use crate::console::complete::Names;
use crate::console::prompt::Terminal;
use crate::node::hello::Hello;
use crate::threads::{self, panic_point};

/// Between two looks: names come with payments, and nobody completes faster than they are read.
const PAUSE: Duration = Duration::from_secs(2);
/// What is asked for, and what is found in the data.
const QUESTIONS: [&str; 4] = ["accounts", "peers", "pending", "chain 16"];

/// Looks once, and again when told that something was said. Ends with the sender.
pub(super) fn learn(folder: PathBuf, names: Names, terminal: Terminal) -> io::Result<SyncSender<()>> {
    let (news, told) = sync_channel(1);
    news.try_send(()).unwrap_or_default();
    let failed = end_with("what completes names", terminal);
    threads::spawn("client-names", move || look(&folder, &names, &told), failed)?;
    Ok(news)
}

fn look(folder: &Path, names: &Names, told: &Receiver<()>) {
    while told.recv().is_ok() {
        panic_point("client-names");
        for question in QUESTIONS {
            // A node that is busy or gone is asked another time.
            if let Ok(Some(line)) = ask(folder, Hello::SILENT, question) {
                let value: Value = serde_json::from_str(&line).unwrap_or_default();
                take(names, &value["data"]);
            }
        }
        std::thread::sleep(PAUSE);
    }
}

/// Takes what can be completed from the data of any of the questions.
fn take(names: &Names, data: &Value) {
    let list = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let each = |value: &Value, keys: &[&str], see: &dyn Fn(&str)| {
        keys.iter().filter_map(|key| value[*key].as_str()).for_each(see);
    };
    for account in list(data, "accounts") {
        each(&account, &["account"], &|account| names.see_account(account));
    }
    for peer in list(data, "peers") {
        if let Some(id) = peer["peer_id"].as_str() {
            names.see_peer(id, peer["name"].as_str());
        }
        each(&peer, &["peer_id", "name"], &|account| names.see_account(account));
    }
    let mut transactions = list(data, "transactions");
    for block in list(data, "blocks").iter().rev() {
        each(block, &["hash"], &|hash| names.see_block(hash));
        transactions.extend(list(block, "transactions"));
    }
    for transaction in &transactions {
        each(transaction, &["txid"], &|txid| names.see_transaction(txid));
        let is_payment = transaction["kind"] != "reward";
        if is_payment {
            each(transaction, &["from", "to"], &|account| names.see_account(account));
        }
    }
}
