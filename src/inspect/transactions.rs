//! Transactions in replies: TX of the contract, found by id or prefix, whether confirmed, waiting or dropped.
//!
//! Spec: `proto-notes/events.md`, "Replies".

use std::collections::BTreeSet;

use super::{View, explain, no_block, store_error};
use crate::chain::{ChainStore, Transaction, merkle};
use crate::contract::{CommandError, Event, Reply, Source, TxRef, TxStatus, TxView};
use crate::pool::Departed;
use crate::types::{Height, Txid};

/// The most ids that an error lists if a prefix fits several.
const AMBIGUOUS_SHOWN: usize = 3;

/// The kind of a transaction in the JSON contract.
#[must_use]
pub const fn kind(transaction: &Transaction) -> &'static str {
    match transaction {
        Transaction::Transfer(_) => "transfer",
        Transaction::Claim(_) => "claim",
        Transaction::Reward(_) => "reward",
    }
}

/// A transaction as TX of the contract; `reward` is the network's, in coins.
#[must_use]
pub fn tx_view(transaction: &Transaction, reward: u64) -> TxView {
    let txid = transaction.txid();
    let raw = hex::encode(transaction.to_bytes());
    let kind = kind(transaction);
    match transaction {
        Transaction::Transfer(transfer) => TxView {
            txid,
            kind,
            from: transfer.from.to_string(),
            to: Some(transfer.to.clone()),
            to_owner: transfer.to_owner.map(|key| key.to_string()),
            amount: transfer.amount.get(),
            sequence: Some(transfer.sequence),
            public_key: Some(transfer.public_key.to_string()),
            signature: Some(transfer.signature.to_string()),
            raw,
        },
        Transaction::Claim(claim) => TxView {
            txid,
            kind,
            from: claim.name.to_string(),
            to: None,
            to_owner: None,
            amount: 0,
            sequence: Some(0),
            public_key: Some(claim.public_key.to_string()),
            signature: Some(claim.signature.to_string()),
            raw,
        },
        Transaction::Reward(paid) => TxView {
            txid,
            kind,
            from: "0".to_owned(),
            to: Some(paid.to.clone()),
            to_owner: None,
            amount: reward,
            sequence: None,
            public_key: None,
            signature: None,
            raw,
        },
    }
}

/// The event `transaction_accepted` for a transaction.
#[must_use]
pub fn accepted_event(transaction: &Transaction, source: Source) -> Event {
    // A reward is never announced as waiting, so its amount does not matter here.
    let view = tx_view(transaction, 0);
    let signer = transaction.signer().map(|key| key.peer_id().to_string());
    Event::TransactionAccepted {
        signer: signer.unwrap_or_default(),
        txid: view.txid,
        kind: view.kind,
        from: view.from,
        to: view.to,
        amount: view.amount,
        sequence: view.sequence,
        source,
    }
}

/// The event `transaction_dropped` for a transaction that left the pool.
#[must_use]
pub fn dropped_event(departed: &Departed) -> Event {
    let view = tx_view(&departed.transaction, 0);
    Event::TransactionDropped {
        txid: departed.txid,
        kind: view.kind,
        from: view.from,
        to: view.to,
        amount: view.amount,
        code: departed.reason.code(),
        message: departed.reason.to_string(),
    }
}

/// The error if a transaction is unknown.
fn no_transaction(txid: &Txid) -> CommandError {
    CommandError {
        code: "unknown_transaction",
        message: format!("no transaction {txid} is known here"),
        hint: "pending".to_owned(),
    }
}

impl<S: ChainStore> View<'_, S> {
    /// The id of the transaction that the user typed, as an id or a prefix.
    pub fn find_transaction(&self, wanted: TxRef) -> Result<Txid, CommandError> {
        let prefix = match wanted {
            TxRef::Id(txid) => return Ok(txid),
            TxRef::Prefix(prefix) => prefix,
        };
        let limit = AMBIGUOUS_SHOWN + 1;
        let mut found: BTreeSet<Txid> = self
            .chain
            .places_by_prefix(&prefix, limit)
            .map_err(store_error)?
            .into_iter()
            .collect();
        found.extend(self.pool.ids_by_prefix(&prefix, limit));
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (None, _) => Err(CommandError::new(
                "unknown_transaction",
                format!("no transaction that starts with {prefix} is known here"),
                "pending",
            )),
            (Some(one), None) => Ok(one),
            (Some(one), Some(two)) => {
                let also: Vec<String> = [one, two].into_iter().chain(found).map(|id| id.to_string()).collect();
                let shown = also[..also.len().min(AMBIGUOUS_SHOWN)].join(", ");
                Err(CommandError::new(
                    "ambiguous",
                    format!("more than one transaction starts with {prefix}: {shown}"),
                    format!("transaction {one}"),
                ))
            }
        }
    }

    /// The reply of `explain transaction`.
    pub fn explain_transaction(&self, wanted: TxRef) -> Result<Reply, CommandError> {
        let txid = self.find_transaction(wanted)?;
        let network = self.chain.network_id();
        if let Some(place) = self.chain.place(&txid).map_err(store_error)? {
            let hash = self
                .chain
                .active(place.height)
                .map_err(store_error)?
                .ok_or_else(no_block)?;
            let block = self.body_of(&hash).map_err(store_error)?.ok_or_else(no_block)?;
            let index = usize::try_from(place.index).unwrap_or(usize::MAX);
            let transaction = block.transactions.get(index).ok_or_else(no_block)?;
            let place = explain::inclusion(&block, index);
            let told = explain::transaction(transaction, &network, TxStatus::Confirmed, place);
            return Ok(Reply::TransactionExplained(Box::new(told)));
        }
        let waiting = self.pool.get(&txid).map(|transaction| (transaction, TxStatus::Pending));
        let dropped = || {
            let dropped = self.pool.dropped_reason(&txid);
            dropped.map(|(transaction, _)| (transaction, TxStatus::Dropped))
        };
        let (transaction, status) = waiting.or_else(dropped).ok_or_else(|| no_transaction(&txid))?;
        let told = explain::transaction(transaction, &network, status, None);
        Ok(Reply::TransactionExplained(Box::new(told)))
    }

    /// The reply of `transaction`. `known_to_neighbour` is the value of that field if the transaction waits.
    pub fn transaction(&self, txid: &Txid, known_to_neighbour: Option<bool>) -> Result<Reply, CommandError> {
        if let Some(place) = self.chain.place(txid).map_err(store_error)? {
            return self.confirmed(place.height, place.index);
        }
        let (transaction, status, reason) = if let Some(transaction) = self.pool.get(txid) {
            (transaction, TxStatus::Pending, None)
        } else if let Some((transaction, reason)) = self.pool.dropped_reason(txid) {
            (transaction, TxStatus::Dropped, Some(reason.to_string()))
        } else {
            return Err(no_transaction(txid));
        };
        Ok(Reply::Transaction {
            tx: tx_view(transaction, self.chain.params().reward),
            status,
            reason,
            height: None,
            block_hash: None,
            confirmations: None,
            proof: None,
            known_to_neighbour,
            time_ms: self.pool.first_seen(txid),
        })
    }

    fn confirmed(&self, height: Height, index: u32) -> Result<Reply, CommandError> {
        let hash = self.chain.active(height).map_err(store_error)?.ok_or_else(no_block)?;
        let block = self.body_of(&hash).map_err(store_error)?.ok_or_else(no_block)?;
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        let transaction = block.transactions.get(index).ok_or_else(no_block)?;
        let tip = self.chain.tip().header.height.get();
        Ok(Reply::Transaction {
            tx: tx_view(transaction, self.chain.params().reward),
            status: TxStatus::Confirmed,
            reason: None,
            height: Some(height),
            block_hash: Some(hash),
            confirmations: Some(tip.saturating_sub(height.get()).saturating_add(1)),
            proof: merkle::proof(&block.txids(), index),
            known_to_neighbour: None,
            time_ms: Some(block.header.time),
        })
    }

    /// The reply of `pending`: the waiting transactions in the order of the next blocks.
    #[must_use]
    pub fn pending(&self) -> Reply {
        let list = self.pool.in_order(self.chain, &self.reward_account());
        let reward = self.chain.params().reward;
        let seen = |tx: &Transaction| self.pool.first_seen(&tx.txid()).unwrap_or_default();
        Reply::Pending {
            seen: list.iter().map(seen).collect(),
            transactions: list.iter().map(|tx| tx_view(tx, reward)).collect(),
        }
    }
}
