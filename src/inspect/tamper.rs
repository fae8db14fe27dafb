//! The sandbox of `tamper`: it changes copies of a block and checks them by the rules.
//!
//! Promises: pure; the rules are the functions that check every received block, in the same order; nothing is stored or
//! sent; the search for a nonce is bounded.
//! Where the work cannot be done again in time, that is said, and the copy is also checked as if it were there.
//! Elsewhere: the rules of the ledger, which are not used: each copy breaks an earlier rule, except for one that is
//! valid.
//! Spec: `proto-notes/consensus.md`.

use super::explain::low_part;
use crate::chain::{
    AcceptError, Block, BlockError, Header, HeaderError, NetworkParams, Transaction, TransactionError, merkle,
};
use crate::contract::{Tampered, TamperedCopy, WithWork};
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
    /// Whether its work would have to be done again, and was not.
    pub lacks_work: bool,
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
    /// The attempts that this machine makes in a second; 0 if that is unknown.
    pub hash_rate: u64,
}

impl Sandbox<'_> {
    /// Checks a copy by the rules, in the order in which every node applies them.
    fn refusal(&self, copy: &Block) -> Result<(), AcceptError> {
        copy.header.check_proof_of_work(self.params)?;
        self.refusal_with_work(copy)
    }

    /// Checks a copy by all rules but the proof of work.
    fn refusal_with_work(&self, copy: &Block) -> Result<(), AcceptError> {
        copy.header
            .check_child((self.parent, self.parent.hash()), self.params)?;
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
            lacks_work: false,
        };
        let (what, mut block) = steal(self.block);
        let stays = copy(format!("{what}; the header stays"), &block);
        block.header.merkle_root = merkle::root(&block.txids());
        let rooted = copy(format!("{what}; the header gets the new merkle root"), &block);
        let tried = self.mine_again(&mut block);
        let lacks_work = block.header.check_proof_of_work(self.params).is_err();
        let mined = Copy {
            what: match lacks_work {
                false => format!("{what}; new root, mined again ({tried} attempts)"),
                true => format!("{what}; new root, not mined again: {}", self.price(tried)),
            },
            block,
            bears: true,
            lacks_work,
        };
        let mut copies = vec![stays, rooted, mined];
        // If the work cannot be done again in time, it is not tried for these copies either.
        let is_easy = !lacks_work;
        let changed = |(what, header): (&str, Header)| {
            let transactions = self.block.transactions.clone();
            let mut block = Block { header, transactions };
            let is_mined = is_easy && {
                self.mine_again(&mut block);
                block.header.check_proof_of_work(self.params).is_ok()
            };
            let how = if is_mined { "; mined again" } else { "; not mined again" };
            Copy {
                lacks_work: !is_mined,
                ..copy(format!("{what}{how}"), &block)
            }
        };
        copies.extend(self.headers().into_iter().map(changed));
        copies
    }

    /// The reply of `tamper`: all changes, and the judgement of each.
    #[must_use]
    pub fn run(&self) -> Tampered {
        let mut changes = Vec::new();
        for copy in self.copies() {
            let (block, bears) = (&copy.block, copy.bears);
            let with_work = copy.lacks_work.then(|| self.refusal_with_work(block));
            changes.push(told(copy.what, block.hash(), (self.refusal(block), with_work)));
            if let Some(child) = self.child.filter(|_| bears) {
                let verdict = child.check_after(&block.header, self.params).map_err(AcceptError::from);
                let what = format!("block {} put on top of that copy as it is", child.height);
                changes.push(told(what, child.hash(), (verdict, None)));
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

    /// What it would take to do the work again.
    fn price(&self, tried: u64) -> String {
        let attempts = self
            .block
            .header
            .bits
            .work(self.params.halflife_ms)
            .map_or(u64::MAX, low_part);
        let time = match attempts.checked_div(self.hash_rate) {
            None => String::new(),
            Some(seconds) => format!(
                ", {} at the {} a second of this machine",
                duration(seconds),
                self.hash_rate
            ),
        };
        format!("that takes {attempts} attempts on average{time}; after {tried} the sandbox gave up")
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

/// A length of time, in the largest unit of which it has some.
fn duration(seconds: u64) -> String {
    match seconds {
        0 => "less than a second".to_owned(),
        1..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        172_800..63_072_000 => format!("{} days", seconds / 86_400),
        _ => format!("{} years", seconds / 31_536_000),
    }
}

/// The judgement of a copy: as it is, and, if its work was not done again, as if it were there.
type Verdicts = (Result<(), AcceptError>, Option<Result<(), AcceptError>>);

fn told(change: String, hash: BlockHash, (verdict, with_work): Verdicts) -> TamperedCopy {
    let error = verdict.err();
    let code = error.as_ref().map(AcceptError::code);
    // What there is to learn is the rule behind the missing work.
    let lesson = match &with_work {
        Some(verdict) => verdict.as_ref().err().map_or(VALID, lesson),
        None => error.as_ref().map_or(VALID, lesson),
    };
    let with_work = with_work.map(|verdict| {
        let error = verdict.err();
        WithWork {
            accepted: error.is_none(),
            code: error.as_ref().map(AcceptError::code),
            message: error.map(|error| error.to_string()),
        }
    });
    TamperedCopy {
        change,
        hash,
        accepted: error.is_none(),
        code,
        message: error.map(|error| error.to_string()),
        lesson: lesson.to_owned(),
        with_work,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Reward;
    use crate::types::SecretKey;

    /// A block of a network whose difficulty takes 2^34 attempts, with a reward and a payment, and the header below it.
    fn hard() -> (NetworkParams, Header, Block) {
        let params = NetworkParams::coin();
        let key = SecretKey::from_seed([1; 32]);
        let genesis = params.genesis();
        let parent = Header {
            height: genesis.height.next(),
            previous: genesis.hash(),
            bits: Bits(34 * params.halflife_ms),
            time: WallTime::from_ms(genesis.time.ms() + 1_000_000_000),
            ..genesis
        };
        let name = |text| Account::Name(AccountName::new(text).unwrap());
        let parties = (name("alice"), name("bob"), None);
        let payment = Transaction::transfer(&params.network_id(), &key, parties, Amount::new(5).unwrap(), 0).unwrap();
        let height = parent.height.next();
        let reward = Transaction::Reward(Reward {
            to: name("ben"),
            height,
        });
        let time = WallTime::from_ms(parent.time.ms() + params.spacing_ms);
        let mut block = Block {
            header: Header {
                height,
                previous: parent.hash(),
                bits: params.required_bits(&parent, time),
                time,
                ..parent.clone()
            },
            transactions: vec![reward, payment],
        };
        block.header.merkle_root = merkle::root(&block.txids());
        (params, parent, block)
    }

    fn told(hash_rate: u64) -> Tampered {
        let (params, parent, block) = hard();
        Sandbox {
            params: &params,
            network: params.network_id(),
            secret: [7; 32],
            parent: &parent,
            block: &block,
            child: None,
            hash_rate,
        }
        .run()
    }

    #[test]
    fn work_that_was_not_done_again_is_not_said_to_be_and_its_price_is_told() {
        let known = told(20_000_000);
        let change = &known.changes[2].change;
        assert!(
            change.ends_with(
                "new root, not mined again: that takes 17179869184 attempts on average, 14 min at the 20000000 a second of this \
                 machine; after 524288 the sandbox gave up"
            ),
            "{change}"
        );
        assert!(!known.changes.iter().any(|copy| copy.change.contains("; mined again")));
        let unknown = told(0);
        assert!(
            unknown.changes[2].change.contains("attempts on average; after"),
            "{}",
            unknown.changes[2].change
        );
    }

    #[test]
    fn each_copy_shows_its_own_rule_as_if_the_work_were_there() {
        let told = told(1);
        let rules: Vec<_> = told
            .changes
            .iter()
            .map(|copy| {
                (
                    copy.code.unwrap(),
                    copy.with_work.as_ref().map(|with_work| with_work.code.unwrap()),
                )
            })
            .collect();
        let work = "bad_proof_of_work";
        let wanted = [
            ("bad_merkle_root", None),
            (work, None),
            (work, Some("bad_signature")),
            ("bad_proof_of_work", Some("bad_target")),
            (work, Some("time_too_old")),
            (work, Some("bad_height")),
            (work, Some("not_linked")),
        ];
        assert_eq!(rules[1..], wanted[1..]);
        let lessons: std::collections::BTreeSet<_> = told.changes[2..].iter().map(|copy| &copy.lesson).collect();
        assert_eq!(lessons.len(), 5, "each has a lesson of its own");
    }

    #[test]
    fn a_length_of_time_is_told_in_one_unit() {
        let told: Vec<_> = [0, 119, 120, 7_200, 172_800, 63_072_000].map(duration).into();
        assert_eq!(
            told,
            ["less than a second", "119 s", "2 min", "2 h", "2 days", "2 years"]
        );
    }
}
