//! The sandbox of `tamper`: it changes copies of a block and checks them by the rules.
//!
//! Promises: pure; the rules are the functions that check every received block, in the same order; nothing is stored or
//! sent; the search for a nonce is bounded.
//! Elsewhere: the rules of the ledger, which are not used: each copy breaks an earlier rule, except for one that is
//! valid.
//! Spec: `proto-notes/consensus.md`.

use crate::chain::{
    AcceptError, Block, BlockError, Header, HeaderError, NetworkParams, Transaction, TransactionError, merkle,
};
use crate::contract::{Tampered, TamperedCopy};
use crate::types::{Account, AccountName, Amount, Bits, BlockHash, NetworkId, WallTime};

/// The most nonces that the sandbox tries. At the lowest difficulty, one of three thousand searches fails, and a search
/// takes a tenth of a second.
pub const TRIES_MAX: u64 = 1 << 19;
/// The account that the changed copies pay.
const THIEF: &str = "mallory";

/// A changed block, as other nodes would receive it.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The change, in words.
    pub what: String,
    /// The block with this change.
    pub block: Block,
    /// Whether its work was done again, so that it could replace the original, and the block above is checked against
    /// it.
    pub bears: bool,
}

/// A block and the blocks around it.
pub struct Sandbox<'a> {
    /// The rules of the network.
    pub params: &'a NetworkParams,
    /// The id of the network.
    pub network: NetworkId,
    /// Seeds the check of signatures in a batch.
    pub secret: [u8; 32],
    /// The header of the block below.
    pub parent: &'a Header,
    /// The block whose copies are changed.
    pub block: &'a Block,
    /// The header of the block above, if there is one.
    pub child: Option<&'a Header>,
}

impl Sandbox<'_> {
    /// Checks a copy by the rules, in the order in which every node applies them.
    fn refusal(&self, copy: &Block) -> Result<(), AcceptError> {
        copy.header.check_proof_of_work(self.params)?;
        copy.header.check_after(self.parent, self.params)?;
        copy.check(self.params, &self.secret)?;
        Ok(())
    }

    /// The changed copies of the block.
    #[must_use]
    pub fn copies(&self) -> Vec<Copy> {
        let copy = |what: String, block: &Block| Copy {
            what,
            block: block.clone(),
            bears: false,
        };
        let (what, mut block) = steal(self.block);
        let stays = copy(format!("{what}; the header stays"), &block);
        block.header.merkle_root = merkle::root(&block.txids());
        let rooted = copy(format!("{what}; the header gets the new merkle root"), &block);
        let tried = self.mine_again(&mut block);
        let mined = Copy {
            what: format!("{what}; new root, mined again ({tried} attempts)"),
            block,
            bears: true,
        };
        let mut copies = vec![stays, rooted, mined];
        // If the work cannot be done again in time, the missing work is also what refuses these copies.
        let is_easy = tried < TRIES_MAX;
        let changed = |(what, header): (&str, Header)| {
            let transactions = self.block.transactions.clone();
            let mut block = Block { header, transactions };
            let is_mined = is_easy && {
                self.mine_again(&mut block);
                block.header.check_proof_of_work(self.params).is_ok()
            };
            let how = if is_mined { "; mined again" } else { "" };
            copy(format!("{what}{how}"), &block)
        };
        copies.extend(self.headers().into_iter().map(changed));
        copies
    }

    /// The reply of `tamper`: all changes, and the judgement of each.
    #[must_use]
    pub fn run(&self) -> Tampered {
        let mut changes = Vec::new();
        for Copy { what, block, bears } in self.copies() {
            changes.push(told(what, block.hash(), self.refusal(&block)));
            if let Some(child) = self.child.filter(|_| bears) {
                let verdict = child.check_after(&block.header, self.params).map_err(AcceptError::from);
                let what = format!("block {} put on top of that copy as it is", child.height);
                changes.push(told(what, child.hash(), verdict));
            }
        }
        Tampered {
            height: self.block.header.height,
            hash: self.block.hash(),
            changes,
            message: "these copies lived in a sandbox: nothing was kept, and nothing was sent, since nodes refuse a neighbour \
                      that sends such a block; they run the same rules, so the same bytes have the same verdict there"
                .to_owned(),
        }
    }

    /// Searches for a nonce that meets the bits; returns how many were tried.
    fn mine_again(&self, copy: &mut Block) -> u64 {
        for tried in 1..=TRIES_MAX {
            copy.header.nonce = copy.header.nonce.wrapping_add(1);
            match copy.header.check_proof_of_work(self.params) {
                // The bits have no target, so no nonce can meet it.
                Ok(()) | Err(HeaderError::BadTarget { .. }) => return tried,
                Err(_) => {}
            }
        }
        TRIES_MAX
    }

    /// Copies of the header with one field changed.
    fn headers(&self) -> Vec<(&'static str, Header)> {
        let real = &self.block.header;
        let before = self.parent.time.ms().saturating_sub(1);
        vec![
            (
                "its bits are made one smaller, as if it were easier",
                Header {
                    bits: Bits(real.bits.0.saturating_sub(1)),
                    ..real.clone()
                },
            ),
            (
                "its time is set before its parent's",
                Header {
                    time: WallTime::from_ms(before),
                    ..real.clone()
                },
            ),
            (
                "its height is made one larger",
                Header {
                    height: real.height.next(),
                    ..real.clone()
                },
            ),
            (
                "its previous hash names a block that nobody has (others look for it in vain)",
                Header {
                    previous: BlockHash::ZERO,
                    ..real.clone()
                },
            ),
        ]
    }
}

fn told(change: String, hash: BlockHash, verdict: Result<(), AcceptError>) -> TamperedCopy {
    let error = verdict.err();
    let code = error.as_ref().map(AcceptError::code);
    let lesson = error.as_ref().map_or(VALID, lesson);
    TamperedCopy {
        change,
        hash,
        accepted: error.is_none(),
        code,
        message: error.map(|error| error.to_string()),
        lesson: lesson.to_owned(),
    }
}

/// A copy that pays coins to somebody else: a changed payment, or the reward if there is no payment.
fn steal(block: &Block) -> (String, Block) {
    let mut copy = block.clone();
    for (index, transaction) in copy.transactions.iter_mut().enumerate() {
        if let Transaction::Transfer(transfer) = transaction {
            let old = transfer.amount.get();
            let new = if old == Amount::MAX.get() { old - 1 } else { old + 1 };
            if let Ok(amount) = Amount::new(new) {
                transfer.amount = amount;
                return (format!("transaction {index} pays {new} instead of {old}"), copy);
            }
        }
    }
    for transaction in &mut copy.transactions {
        if let Transaction::Reward(reward) = transaction {
            reward.to = Account::Name(AccountName::new(THIEF).expect("the thief's name has the form of one"));
        }
    }
    (format!("the reward goes to {THIEF}"), copy)
}

/// The lesson from a copy that breaks no rule.
const VALID: &str = "valid, as any block that somebody finds in place of this one: work was spent on it again, and it still \
                     needs more work on top than the branch that all others build on";

/// The lesson from a refusal.
const fn lesson(refusal: &AcceptError) -> &'static str {
    match refusal {
        AcceptError::Block(BlockError::BadMerkleRoot { .. }) => {
            "the header's merkle root covers every byte of every transaction, so no change of a transaction goes unseen"
        }
        AcceptError::Header(HeaderError::BadProofOfWork(_)) => {
            "another header has another hash, and that one meets no target: the work must be done again"
        }
        AcceptError::Block(BlockError::Transaction {
            error: TransactionError::BadSignature,
            ..
        }) => "work does not help against a signature: only the sender's key can sign another payment",
        AcceptError::Header(HeaderError::NotLinked { .. }) => {
            "each block names the hash of the one below, so whoever changes one must mine all above it again"
        }
        AcceptError::Header(HeaderError::BadTarget { .. }) => {
            "the bits follow from the parent and the time; every node computes them and believes nobody"
        }
        AcceptError::Header(HeaderError::TimeTooOld { .. }) => {
            "time never runs backwards along the chain, or miners could make blocks cheap"
        }
        AcceptError::Header(HeaderError::BadHeight { .. }) => "the height is the parent's and one",
        AcceptError::Header(
            HeaderError::BadVersion(_) | HeaderError::TimeTooNew { .. } | HeaderError::ChainTooLong { .. },
        )
        | AcceptError::Block(
            BlockError::Layout(_)
            | BlockError::Transaction { .. }
            | BlockError::TooManyTransactions(_)
            | BlockError::TooManyBytes { .. }
            | BlockError::BadReward(_),
        )
        | AcceptError::UnknownParent { .. }
        | AcceptError::Ledger { .. }
        | AcceptError::KnownInvalid(_)
        | AcceptError::LowWork { .. }
        | AcceptError::Store(_) => "a rule that every node checks",
    }
}
