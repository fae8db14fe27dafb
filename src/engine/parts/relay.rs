//! What gossip is judged by: where a block that came stands, blocks whose time has not come, and signatures that were
//! checked before.
//!
//! Promises: the cheapest check comes first, a header's hash before its body; only what its sender must have seen itself is
//! called wrong.
//! Elsewhere: what follows from a judgement (`gossip`), the stages of a block (`chain::stages`).
//! Spec: `proto-notes/gossip.md`, "Verdicts".

mod early;
mod signatures;

use early::Early;
use signatures::Signatures;

use crate::chain::stages::{Linked, Received};
use crate::chain::{AcceptError, Chain, ChainStore, HeaderError, Transaction};
use crate::types::{BlockHash, Height, NetworkId, PeerId, Time, Txid, WallTime};

/// Blocks this far below the tip's height that do not win are not kept.
const STALE_DEPTH: u64 = 144;

/// What is remembered of gossip.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relay {
    early: Early,
    signatures: Signatures,
}

/// What a gossiped block is, as far as its header and the chain tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeaderVerdict {
    /// New, and a child of a stored block: its body is worth reading.
    Fits(Linked),
    /// Known, be it as invalid, or far below the tip, or the store did not say.
    Ignored,
    /// Its parent is not stored: the sender may have a branch that this node lacks.
    Orphan,
    /// Its time has not come, by so many milliseconds.
    Early(u64),
    /// It breaks a rule that its sender knows too.
    BrokenRule(BrokenRule),
}

/// A broken rule, and the block that breaks it as far as it could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BrokenRule {
    pub(crate) hash: Option<BlockHash>,
    pub(crate) height: Option<Height>,
    pub(crate) code: &'static str,
    pub(crate) reason: String,
}

/// Judges a gossiped block by its header alone. `clock` is the wall clock that the rules go by.
pub(crate) fn judge<S: ChainStore>(chain: &Chain<S>, clock: WallTime, bytes: &[u8]) -> HeaderVerdict {
    let mut received = match Received::read(bytes) {
        Ok(received) => received,
        Err(error) => {
            return HeaderVerdict::BrokenRule(BrokenRule {
                hash: None,
                height: None,
                code: "malformed",
                reason: error.to_string(),
            });
        }
    };
    let (hash, height) = (received.hash(), received.header().height);
    let wrong = |error: HeaderError| {
        HeaderVerdict::BrokenRule(BrokenRule {
            hash: Some(hash),
            height: Some(height),
            code: error.code(),
            reason: error.to_string(),
        })
    };
    if let Err(error) = received.prove(chain.params()) {
        return wrong(error);
    }
    match chain.link(received, clock) {
        Ok(Some(linked)) if height.get().saturating_add(STALE_DEPTH) >= chain.tip().header.height.get() => {
            HeaderVerdict::Fits(linked)
        }
        Ok(_)
        | Err(
            AcceptError::Store(_) | AcceptError::Block(_) | AcceptError::Ledger { .. } | AcceptError::LowWork { .. },
        ) => HeaderVerdict::Ignored,
        Err(AcceptError::KnownInvalid(known)) if known == hash => HeaderVerdict::Ignored,
        // An invalid parent is not stored either.
        Err(AcceptError::KnownInvalid(_) | AcceptError::UnknownParent { .. }) => HeaderVerdict::Orphan,
        Err(AcceptError::Header(HeaderError::TimeTooNew { ahead_ms })) => HeaderVerdict::Early(ahead_ms),
        Err(AcceptError::Header(error)) => wrong(error),
    }
}

impl Relay {
    /// Holds a block that is so far ahead of the clock.
    pub(crate) fn hold(&mut self, now: Time, ahead_ms: u64, peer: PeerId, bytes: &[u8]) {
        self.early.hold(now, ahead_ms, peer, bytes);
    }

    /// The blocks whose time has come, each with who sent it.
    pub(crate) fn due(&mut self, now: Time) -> Vec<(PeerId, Vec<u8>)> {
        self.early.due(now)
    }

    /// When the next held block's time comes.
    pub(crate) fn next_wakeup(&self) -> Option<Time> {
        self.early.next_wakeup()
    }

    /// Whether the transaction is signed rightly, if that was checked before.
    pub(crate) fn signature(&self, txid: &Txid) -> Option<bool> {
        self.signatures.verdict(txid)
    }

    /// The transaction's signature was checked elsewhere.
    pub(crate) fn note_signature(&mut self, txid: Txid, is_good: bool) {
        self.signatures.note(txid, is_good);
    }

    /// Checks a signature, unless it was found right before, and remembers the verdict. Returns whether it is right.
    pub(crate) fn check_signature(&mut self, transaction: &Transaction, network: &NetworkId) -> bool {
        let txid = transaction.txid();
        if self.signatures.verdict(&txid) == Some(true) {
            return true;
        }
        let is_good = transaction.check_signature(network).is_ok();
        self.signatures.note(txid, is_good);
        is_good
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{Block, Header};
    use crate::testing::blocks::{CLOCK, advance, branch, dev, mine, pay, prove};

    fn word(judged: &HeaderVerdict) -> String {
        match judged {
            HeaderVerdict::Fits(_) => "fits".to_owned(),
            HeaderVerdict::Ignored => "ignored".to_owned(),
            HeaderVerdict::Orphan => "orphan".to_owned(),
            HeaderVerdict::Early(ahead_ms) => format!("early by {ahead_ms}"),
            HeaderVerdict::BrokenRule(wrong) => format!("wrong: {} {:?}", wrong.code, wrong.height.map(Height::get)),
        }
    }

    #[test]
    fn a_gossiped_block_is_judged_by_its_header_alone() {
        let (mut chain, _) = dev();
        let params = chain.params().clone();
        let blocks = branch(&params, &params.genesis(), 1, 3);
        blocks[..2].iter().for_each(|block| drop(advance(&mut chain, block)));
        let bytes = |header: &Header| header.to_bytes().to_vec();
        let changed = |change: &dyn Fn(&mut Header)| {
            let mut header = blocks[2].header.clone();
            change(&mut header);
            header
        };
        let unproven = (0_u64..)
            .map(|nonce| changed(&|header| header.nonce = nonce))
            .find(|header| header.check_proof_of_work(&params).is_err())
            .unwrap();
        let orphan = mine(&params, &blocks[2].header, 1, Vec::new());
        let high = prove(&params, changed(&|header| header.height = Height::new(9)));
        let early = WallTime::from_ms(blocks[2].header.time.ms() - 200_000);
        let cases: [(Vec<u8>, WallTime, &str); 8] = [
            (bytes(&blocks[2].header), CLOCK, "fits"),
            (blocks[2].to_bytes(), CLOCK, "fits"),
            (bytes(&blocks[1].header), CLOCK, "ignored"),
            (vec![0; 95], CLOCK, "wrong: malformed None"),
            (bytes(&unproven), CLOCK, "wrong: bad_proof_of_work Some(3)"),
            (bytes(&high), CLOCK, "wrong: bad_height Some(9)"),
            (orphan.to_bytes(), CLOCK, "orphan"),
            (bytes(&blocks[2].header), early, "early by 200000"),
        ];
        for (bytes, clock, expected) in cases {
            assert_eq!(word(&judge(&chain, clock, &bytes)), expected);
        }
    }

    #[test]
    fn what_was_refused_before_and_what_is_far_below_the_tip_is_ignored() {
        let (mut chain, _) = dev();
        let params = chain.params().clone();
        let mut payment = pay(&params, 1, ("alice", "bob"), None, 5, 0);
        if let Transaction::Transfer(transfer) = &mut payment {
            transfer.sequence += 1;
        }
        let bad = mine(&params, &params.genesis(), 2, vec![payment]);
        chain.accept(bad.clone(), CLOCK).unwrap_err();
        let on_bad = mine(&params, &bad.header, 2, Vec::new());
        let late = mine(&params, &params.genesis(), 3, Vec::new());
        let judged = |chain: &Chain<_>, block: &Block| word(&judge(chain, CLOCK, &block.to_bytes()));
        assert_eq!(judged(&chain, &bad), "ignored");
        assert_eq!(judged(&chain, &on_bad), "orphan", "its sender may have more");
        let depth = usize::try_from(STALE_DEPTH).unwrap();
        let blocks = branch(&params, &params.genesis(), 1, depth + 2);
        for (at, block) in blocks.iter().enumerate() {
            let expected = if at <= depth + 1 { "fits" } else { "ignored" };
            assert_eq!(judged(&chain, &late), expected, "{at} blocks are there");
            advance(&mut chain, block);
        }
        assert_eq!(judged(&chain, &late), "ignored");
    }

    #[test]
    fn a_signature_is_checked_once_and_a_wrong_one_each_time() {
        let (chain, _) = dev();
        let network = chain.network_id();
        let good = pay(chain.params(), 1, ("alice", "bob"), None, 5, 0);
        let mut bad = good.clone();
        if let Transaction::Transfer(transfer) = &mut bad {
            transfer.sequence += 1;
        }
        let mut relay = Relay::default();
        for _ in 0..2 {
            assert!(relay.check_signature(&good, &network));
            assert!(!relay.check_signature(&bad, &network));
        }
        assert_eq!(relay.signature(&good.txid()), Some(true));
        assert_eq!(relay.signature(&bad.txid()), Some(false));
        relay.note_signature(bad.txid(), true);
        assert!(
            relay.check_signature(&bad, &network),
            "what was noted is not checked again"
        );
    }
}
