//! What commands show: the contract's TX, BLOCK and the like, made of what the chain and the pool hold.

use super::commands::{internal, no_block};
use super::event::{Event, Source};
use super::machine::{Engine, count};
use super::reply::{AccountView, BlockView, CommandError, PeerView, Reply, TxStatus, TxView};
use crate::chain::{AccountState, Block, ChainStore, StoreError, StoredBlock, Transaction, merkle};
use crate::types::{Account, BlockHash, Height, PublicKey, Txid};

/// Bytes of blocks that are made into a reply in one turn: a full block of any network, or a thousand empty ones.
const BLOCKS_AT_ONCE_BYTES: u64 = 256 * 1024;
/// Entries of `accounts`.
const ACCOUNTS_MAX: usize = 1_000;
/// Accounts that are looked through for the own and the richest ones: a ledger of more is read only in part.
const ACCOUNTS_READ_MAX: usize = 100_000;

/// A transaction's kind in the contract.
pub(super) const fn kind(transaction: &Transaction) -> &'static str {
    match transaction {
        Transaction::Transfer(_) => "transfer",
        Transaction::Claim(_) => "claim",
        Transaction::Reward(_) => "reward",
    }
}

/// TX of the contract.
pub(super) fn tx_view(transaction: &Transaction, reward: u64) -> TxView {
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

/// `transaction_accepted`.
pub(super) fn accepted_event(transaction: &Transaction, source: Source) -> Event {
    // A reward never waits: its amount is not asked for here.
    let view = tx_view(transaction, 0);
    Event::TransactionAccepted {
        txid: view.txid,
        kind: view.kind,
        from: view.from,
        to: view.to,
        amount: view.amount,
        sequence: view.sequence,
        source,
    }
}

/// Nothing is known of a transaction.
pub(super) fn no_transaction(txid: &Txid) -> CommandError {
    CommandError {
        code: "unknown_transaction",
        message: format!("no transaction {txid} is known here"),
        hint: "pending".to_owned(),
    }
}

/// An owner as a PeerId.
pub(super) fn owner_text(owner: Option<PublicKey>) -> Option<String> {
    owner.map(|key| key.peer_id().to_string())
}

/// BLOCK of the contract; `reward` is the network's.
#[must_use]
pub fn block_view(hash: &BlockHash, stored: &StoredBlock, block: &Block, active: bool, reward: u64) -> BlockView {
    let header = &stored.header;
    BlockView {
        hash: *hash,
        height: header.height,
        previous_hash: header.previous,
        merkle_root: header.merkle_root,
        version: header.version,
        time_ms: header.time,
        bits: header.bits,
        nonce: header.nonce.to_string(),
        work: stored.work,
        active,
        header: hex::encode(header.to_bytes()),
        transactions: block.transactions.iter().map(|tx| tx_view(tx, reward)).collect(),
    }
}

impl<S: ChainStore> Engine<S> {
    /// A stored block's body. Genesis has none on some stores: it is made of the parameters.
    pub(super) fn body_of(&self, hash: &BlockHash) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.chain.body(hash)? else {
            return Ok(None);
        };
        Block::from_bytes(&bytes)
            .map(Some)
            .map_err(|error| StoreError::Damaged(format!("block {hash}: {error}")))
    }

    /// BLOCK of the contract; `reward` is the network's.
    pub(super) fn block_view(&self, hash: &BlockHash) -> Result<BlockView, CommandError> {
        let stored = self.chain.block(hash).map_err(internal)?.ok_or_else(no_block)?;
        let block = self.body_of(hash).map_err(internal)?.ok_or_else(no_block)?;
        let active = self.chain.is_active(hash).map_err(internal)?;
        Ok(block_view(hash, &stored, &block, active, self.chain.params().reward))
    }

    pub(super) fn show_chain(&self, limit: u32) -> Result<Reply, CommandError> {
        let mut height = Some(self.chain.tip().header.height);
        let length = self.chain.tip().header.height.get().saturating_add(1);
        let mut hashes = Vec::new();
        for _ in 0..limit {
            let Some(at) = height else { break };
            hashes.push(self.chain.active(at).map_err(internal)?.ok_or_else(no_block)?);
            height = at.previous();
        }
        let (blocks, rest) = self.first_views(hashes)?;
        Ok(Reply::Chain { length, blocks, rest })
    }

    /// The first of these blocks as they are shown, as many as one turn should read; and the other hashes.
    pub(super) fn first_views(&self, hashes: Vec<BlockHash>) -> Result<(Vec<BlockView>, Vec<BlockHash>), CommandError> {
        let (mut views, mut bytes) = (Vec::new(), 0_u64);
        let mut hashes = hashes.into_iter();
        while bytes < BLOCKS_AT_ONCE_BYTES {
            let Some(hash) = hashes.next() else { break };
            let stored = self.chain.block(&hash).map_err(internal)?.ok_or_else(no_block)?;
            bytes = bytes.saturating_add(stored.size_bytes);
            views.push(self.block_view(&hash)?);
        }
        Ok((views, hashes.collect()))
    }

    pub(super) fn show_transaction(&self, txid: &Txid) -> Result<Reply, CommandError> {
        if let Some(place) = self.chain.place(txid).map_err(internal)? {
            return self.show_confirmed(place.height, place.index);
        }
        let (transaction, status, reason) = if let Some(transaction) = self.pool.get(txid) {
            (transaction, TxStatus::Pending, None)
        } else if let Some((transaction, reason)) = self.pool.dropped_reason(txid) {
            (transaction, TxStatus::Dropped, Some(reason.to_owned()))
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
            known_to_neighbour: self
                .pool
                .is_own(txid)
                .then(|| self.unheard.is_known(self.now, txid))
                .flatten(),
        })
    }

    fn show_confirmed(&self, height: Height, index: u32) -> Result<Reply, CommandError> {
        let hash = self.chain.active(height).map_err(internal)?.ok_or_else(no_block)?;
        let block = self.body_of(&hash).map_err(internal)?.ok_or_else(no_block)?;
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
        })
    }

    pub(super) fn show_pending(&self) -> Reply {
        let list = self.pool.in_order(&self.chain, &self.reward_account());
        let reward = self.chain.params().reward;
        Reply::Pending {
            transactions: list.iter().map(|tx| tx_view(tx, reward)).collect(),
        }
    }

    pub(super) fn show_balance(&self, account: Account) -> Result<Reply, CommandError> {
        let state = self.chain.account(&account).map_err(internal)?;
        let owner = match &account {
            Account::Key(key) => Some(*key),
            Account::Name(_) => state.owner,
        };
        Ok(Reply::Balance {
            balance: state.balance,
            pending: self.pool.pending_balance(&self.chain, &account).map_err(internal)?,
            owner: owner_text(owner),
            next_sequence: self.next_sequence(&account).map_err(internal)?,
            account,
        })
    }

    pub(super) fn show_accounts(&self) -> Result<Reply, CommandError> {
        let view = |(account, state): (Account, AccountState)| AccountView {
            owner: match &account {
                Account::Key(key) => owner_text(Some(*key)),
                Account::Name(_) => owner_text(state.owner),
            },
            account,
            balance: state.balance,
        };
        let (total, list) = self.chain.accounts(ACCOUNTS_READ_MAX).map_err(internal)?;
        let is_own = |(account, state): &(Account, AccountState)| match account {
            Account::Key(key) => *key == self.me,
            Account::Name(_) => state.owner == Some(self.me),
        };
        let accounts = list.iter().take(ACCOUNTS_MAX).cloned().map(view).collect();
        let (mut own, mut others): (Vec<_>, Vec<_>) = list.into_iter().partition(is_own);
        others.sort_by_key(|(_, state)| core::cmp::Reverse(state.balance));
        others.truncate(ACCOUNTS_MAX);
        let by_name = own.iter().cloned().map(view).collect();
        own.sort_by_key(|(_, state)| core::cmp::Reverse(state.balance));
        let shown = own.into_iter().chain(others).take(ACCOUNTS_MAX).map(view).collect();
        Ok(Reply::Accounts {
            total,
            own: by_name,
            accounts,
            shown,
        })
    }

    pub(super) fn show_peers(&self) -> Reply {
        let mut peers: Vec<PeerView> = self
            .peers
            .known()
            .map(|(id, peer)| {
                let name = peer.name();
                let status = peer.status.as_ref();
                PeerView {
                    peer_id: id.to_string(),
                    name_proven: name.as_ref().is_some_and(|name| self.is_name_proven(id, name)),
                    name,
                    address: peer.address.with_peer(id),
                    height: Height::new(status.map_or(0, |status| status.height)),
                    work: status.map_or(crate::types::Work::ZERO, |status| {
                        crate::types::Work::from_be_bytes(status.work)
                    }),
                    latency_ms: peer.latency_ms,
                    found_by: peer.found_by,
                }
            })
            .collect();
        peers.sort_by(|a, b| a.peer_id.cmp(&b.peer_id));
        Reply::Peers {
            peers,
            banned: self.bans(),
        }
    }

    /// How many peers are connected and known.
    pub(super) fn known_peers(&self) -> u64 {
        count(self.peers.known().count())
    }
}
