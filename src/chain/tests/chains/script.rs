//! How a chain file is made: blocks are offered to a chain one after the other, and its answers written down.

use serde_json::{Value, json};

use crate::chain::memory_store::MemoryStore;
use crate::chain::transaction::Transfer;
use crate::chain::{
    AcceptError, Accepted, Block, Chain, Header, NetworkParams, Reward, Transaction, TransactionError, merkle,
};
use crate::testing::blocks::{CLOCK, open, prove};
use crate::types::hash::sha256;
use crate::types::{Account, BlockHash, SecretKey, Txid, WallTime};

/// The node's answer to the bytes of a block: a word, or the code of the refusal.
pub(super) fn offer(chain: &mut Chain<MemoryStore>, bytes: &[u8], clock: WallTime) -> &'static str {
    let block = match Block::from_bytes(bytes) {
        Ok(block) => block,
        Err(error) => return error.code(),
    };
    match chain.accept(block, clock) {
        Ok(Accepted::AlreadyKnown) => "already_known",
        Ok(Accepted::Stored { .. }) => "stored",
        Ok(Accepted::Switched(switch)) if switch.disconnected.is_empty() => "connected",
        Ok(Accepted::Switched(_)) => "reorganized",
        Err(AcceptError::Store(error)) => panic!("a store in memory fails: {error}"),
        Err(error) => error.code(),
    }
}

/// The state of a chain: tip, height, work, every account.
pub(super) fn end(chain: &Chain<MemoryStore>) -> Value {
    let (_, accounts) = chain.accounts(1_000).unwrap();
    let accounts: Vec<Value> = accounts
        .iter()
        .map(|(account, state)| {
            json!({
                "account": account,
                "balance": state.balance,
                "next_sequence": state.next_sequence,
                "owner": state.owner,
            })
        })
        .collect();
    let tip = chain.tip();
    json!({"tip": tip.hash, "height": tip.header.height, "work": tip.work, "accounts": accounts})
}

/// A chain file that is being written.
pub(super) struct Script {
    pub(super) params: NetworkParams,
    what: &'static str,
    chain: Chain<MemoryStore>,
    clock: WallTime,
    steps: Vec<Value>,
}

impl Script {
    pub(super) fn new(what: &'static str, params: NetworkParams) -> Self {
        Self {
            chain: open(params.clone()).0,
            params,
            what,
            clock: CLOCK,
            steps: Vec::new(),
        }
    }

    pub(super) const fn set_clock(&mut self, clock: WallTime) {
        self.clock = clock;
    }

    pub(super) fn tip(&self) -> Header {
        self.chain.tip().header.clone()
    }

    pub(super) fn tip_hash(&self) -> BlockHash {
        self.chain.tip().hash
    }

    /// Offers a block; the answer must be the expected one.
    pub(super) fn step(&mut self, block: &Block, expected: &str) -> &mut Self {
        self.raw(&block.to_bytes(), 0, expected)
    }

    /// Offers bytes, followed by this number of zeros.
    pub(super) fn raw(&mut self, bytes: &[u8], zeros: usize, expected: &str) -> &mut Self {
        let whole = [bytes, &vec![0; zeros]].concat();
        let said = offer(&mut self.chain, &whole, self.clock);
        assert_eq!(said, expected, "{}", self.what);
        let mut step = json!({"block": hex::encode(bytes), "result": said});
        if zeros > 0 {
            step["zeros_behind"] = json!(zeros);
        }
        self.steps.push(step);
        self
    }

    /// The content of the chain file.
    pub(super) fn file(&self) -> Value {
        let params = &self.params;
        let word = |value: String| value.to_lowercase();
        json!({
            "what": self.what,
            "network": {
                "name": params.name,
                "salt": params.salt,
                "spacing_ms": params.spacing_ms,
                "halflife_ms": params.halflife_ms,
                "credit_limit": params.credit_limit,
                "difficulty": word(format!("{:?}", params.difficulty)),
                "recipients": word(format!("{:?}", params.recipients)),
                "genesis_time_ms": params.genesis_time_ms,
                "block_bytes_max": params.block_bytes_max,
                "new_accounts_max": params.new_accounts_max,
                "reward": params.reward,
            },
            "network_id": params.network_id(),
            "clock_ms": self.clock,
            "steps": self.steps,
            "end": end(&self.chain),
        })
    }
}

/// The reward of the block on top of a header.
pub(super) fn reward(parent: &Header, to: Account) -> Transaction {
    let height = parent.height.next();
    Transaction::Reward(Reward { to, height })
}

/// A signed transfer whose parts need not fit each other, which no constructor would make.
pub(super) fn misfit(params: &NetworkParams, key: &SecretKey, mut transfer: Transfer) -> Transaction {
    transfer.public_key = key.public();
    let message = Transaction::Transfer(transfer.clone()).signed_message(&params.network_id());
    transfer.signature = key.sign(&message);
    let made = Transaction::Transfer(transfer);
    let refused = Transaction::from_bytes(&made.to_bytes());
    assert!(
        !matches!(refused, Ok(_) | Err(TransactionError::Layout(_))),
        "its form is right"
    );
    made
}

/// The bytes of a block whose root and proof of work are right, whatever its transactions are.
pub(super) fn raw_block(params: &NetworkParams, parent: &Header, transactions: &[Vec<u8>]) -> Vec<u8> {
    let ids: Vec<Txid> = transactions.iter().map(|tx| Txid::new(sha256(&[&[0], tx]))).collect();
    let time = WallTime::from_ms(parent.time.ms() + 10_000);
    let header = prove(
        params,
        Header {
            previous: parent.hash(),
            merkle_root: merkle::root(&ids),
            version: 1,
            bits: params.required_bits(parent, time),
            height: parent.height.next(),
            time,
            nonce: 0,
        },
    );
    let count = u32::try_from(ids.len()).unwrap();
    [&header.to_bytes()[..], &count.to_be_bytes(), &transactions.concat()].concat()
}
