//! Transactions and blocks in words: who signed or mined, who brought it, and what became of it.
//!
//! Promises: the signer or miner stands first; the neighbour who brought something is named second, and only if that is
//! somebody else.
//! Spec: `proto-notes/events.md`, "In words".

use super::super::human::{coins, foreign, many, short, short_account, with_short_ids};
use super::Narrator;
use crate::contract::{BlockFacts, Direction, Dropped, Event, NameStanding, Source};
use crate::types::{Account, Txid};

/// The most returned or dropped transactions that are described, so that they fit on one line.
const DESCRIBED: usize = 3;

impl Narrator {
    pub(super) fn transaction_event(&self, event: &Event) -> Option<String> {
        match event {
            Event::TransactionAccepted {
                txid,
                kind,
                from,
                to,
                amount,
                signer,
                source,
                ..
            } => {
                let description = description(kind, from, to.as_ref(), *amount);
                let by = self.signed_and_brought((from, signer), source);
                Some(format!("tx     {description}{by}; waits for a block; {}", short(txid)))
            }
            Event::TransactionRejected {
                txid, message, source, ..
            } => {
                let id = txid.as_ref().map_or_else(|| "without an id".to_owned(), short);
                Some(format!(
                    "tx     {}: refused: {}; {id}",
                    self.from(source),
                    foreign(message)
                ))
            }
            Event::TransactionDropped {
                txid,
                kind,
                from,
                to,
                amount,
                message,
                ..
            } => {
                let description = description(kind, from, to.as_ref(), *amount);
                Some(format!(
                    "tx     dropped: {description}: {}; {}",
                    self.reason(message),
                    short(txid)
                ))
            }
            Event::TransactionsDropped { count, .. } => {
                let count = usize::try_from(*count).unwrap_or(usize::MAX);
                Some(format!("tx     {} of others dropped", many(count, "transaction")))
            }
            Event::PaymentConfirmed { .. } | Event::PaymentUnconfirmed { .. } => payment(event),
            _ => None,
        }
    }

    pub(super) fn block_event(&self, event: &Event) -> Option<String> {
        let told = match event {
            Event::Mined { block } => {
                format!(
                    "block  New Block Forged: height {}, hash {}",
                    block.height,
                    short(&block.hash)
                )
            }
            // The line about its mining was written before.
            Event::BlockConnected {
                source: Source::Local, ..
            } => return None,
            Event::BlockConnected {
                block,
                transactions,
                source,
            } => {
                let count = many(*transactions, "transaction");
                let by = self.brought(block.miner.as_ref(), source);
                format!("block  {}{by}: {count}; {}", self.mined(block), short(&block.hash))
            }
            Event::BlockDisconnected { block } => {
                format!("block  {} left the chain; {}", self.mined(block), short(&block.hash))
            }
            Event::BlockStored { block, source } => {
                let by = self.brought(block.miner.as_ref(), source);
                let kept = if block.work <= self.work {
                    "kept on a side branch, ours has more work"
                } else {
                    "kept on a side branch"
                };
                format!("block  {}{by}: {kept}; {}", self.mined(block), short(&block.hash))
            }
            Event::BlockRejected {
                hash,
                height,
                message,
                source,
                ..
            } => {
                let height = height.map(|height| format!(" {height}")).unwrap_or_default();
                let hash = hash.map(|hash| format!("; {}", short(&hash))).unwrap_or_default();
                format!(
                    "block  {}: block{height} refused: {}{hash}",
                    self.from(source),
                    foreign(message)
                )
            }
            Event::Reorganized { .. } => self.replaced(event)?,
            _ => return None,
        };
        Some(told)
    }

    /// A block and who mined it: "block 7 mined by ben".
    fn mined(&self, block: &BlockFacts) -> String {
        match &block.miner {
            Some(miner) => format!("{} mined by {}", block.height, self.account(miner)),
            None => block.height.to_string(),
        }
    }

    /// An account, by the name of the peer that owns it if this is known.
    fn account(&self, account: &Account) -> String {
        let text = account.to_string();
        if self.me.contains(&text) {
            return "this node".to_owned();
        }
        match account {
            Account::Key(_) => self.peer(&text),
            Account::Name(_) => foreign(&text),
        }
    }

    /// Who brought a block that somebody else mined: ", from anna".
    fn brought(&self, miner: Option<&Account>, source: &Source) -> String {
        let Source::Peer(peer) = source else {
            return String::new();
        };
        let peer = peer.to_string();
        let is_its_own = |account: &Account| match account {
            Account::Key(_) => account.to_string() == peer,
            Account::Name(name) => self.is_called(&peer, name.as_str()),
        };
        if miner.is_some_and(is_its_own) {
            return String::new();
        }
        format!(", from {}", self.peer(&peer))
    }

    /// Who signed a transaction, unless it pays from an account of that name or key, and who brought it, unless it signed.
    fn signed_and_brought(&self, (from, signer): (&str, &str), source: &Source) -> String {
        let is_plain = from == signer || self.is_called(signer, from) || self.me.iter().any(|me| me == signer);
        let mut text = if is_plain {
            String::new()
        } else {
            format!(", signed by {}", self.peer(signer))
        };
        if let Source::Peer(peer) = source
            && peer.to_string() != signer
        {
            text.push_str(&format!(", from {}", self.peer(&peer.to_string())));
        }
        text
    }

    /// A reorganisation in one line: what went out, what came in, and what became of the payments.
    fn replaced(&self, event: &Event) -> Option<String> {
        let Event::Reorganized {
            depth,
            fork_height,
            returned,
            returned_count,
            dropped,
            dropped_count,
            ..
        } = event
        else {
            return None;
        };
        let (out, came_in) = (many(*depth, "block"), self.came_in);
        Some(format!(
            "chain  Our chain was replaced: {out} after height {fork_height} went out, {came_in} came in; {}{}",
            self.returned(returned, *returned_count),
            self.lost(dropped, *dropped_count)
        ))
    }

    /// The descriptions of returned transactions.
    fn returned(&self, returned: &[Txid], count: u64) -> String {
        let waits = match count {
            0 => return "no transaction waits again".to_owned(),
            1 => "1 transaction waits again".to_owned(),
            count => format!("{count} transactions wait again"),
        };
        let told = returned.iter().take(DESCRIBED).map(|txid| self.described(txid));
        format!("{waits} ({})", listed(told.collect(), count))
    }

    /// The descriptions of transactions of the lost blocks that are not back, and why.
    fn lost(&self, dropped: &[Dropped], count: u64) -> String {
        let cannot = match count {
            0 => return String::new(),
            1 => "1 transaction cannot come back".to_owned(),
            count => format!("{count} transactions cannot come back"),
        };
        let why = |one: &Dropped| format!("{}; {}", self.described(&one.txid), self.reason(&one.message));
        let told = dropped.iter().take(DESCRIBED).map(why);
        format!(", {cannot} ({})", listed(told.collect(), count))
    }

    /// A reason with its peers by name, or by the ends of their PeerIds.
    fn reason(&self, message: &str) -> String {
        with_short_ids(&self.with_name(message))
    }

    fn described(&self, txid: &Txid) -> String {
        let known = self.descriptions.iter().rev().find(|(known, _)| known == txid);
        known.map_or_else(|| short(txid), |(_, description)| description.clone())
    }

    fn is_called(&self, peer: &str, name: &str) -> bool {
        self.names
            .get(peer)
            .is_some_and(|known| known.name == name && known.standing != NameStanding::Taken)
    }
}

/// What became of a payment to or from this node.
fn payment(event: &Event) -> Option<String> {
    let (is_in, payment) = match event {
        Event::PaymentConfirmed { payment } => (true, payment),
        Event::PaymentUnconfirmed { payment } => (false, payment),
        _ => return None,
    };
    let (from, to) = (
        short_account(&payment.from.to_string()),
        short_account(&payment.to.to_string()),
    );
    let (amount, id, height) = (coins(payment.amount), short(&payment.txid), payment.height);
    Some(match (payment.direction, is_in) {
        (Direction::Out, true) => format!("tx     your payment of {amount} to {to} is in block {height}; {id}"),
        (Direction::In, true) => format!("tx     you received {amount} from {from} in block {height}; {id}"),
        (Direction::Out, false) => {
            format!("tx     your payment of {amount} to {to} is no longer in block {height}; {id}")
        }
        (Direction::In, false) => {
            format!("tx     you no longer have {amount} from {from}: block {height} left the chain; {id}")
        }
    })
}

/// Descriptions in a row, with a mark if there are more.
fn listed(mut descriptions: Vec<String>, count: u64) -> String {
    if count > u64::try_from(descriptions.len()).unwrap_or(u64::MAX) {
        descriptions.push("…".to_owned());
    }
    descriptions.join(", ")
}

/// The description of a transaction: "alice pays bob 5 coins".
pub(super) fn description(kind: &str, from: &str, to: Option<&Account>, amount: u64) -> String {
    let from = short_account(from);
    match (kind, to) {
        ("claim", _) | (_, None) => format!("{from} is claimed"),
        (_, Some(to)) => format!("{from} pays {} {}", short_account(&to.to_string()), coins(amount)),
    }
}
