//! Verdicts on signatures, remembered by transaction id: the same payment in ever new lists is checked once.
//!
//! Promises: an id covers key, message and signature, so a verdict never changes; at most [`KEPT_MAX`] of each of two
//! generations are kept, the older goes as a whole. What depends on the ledger or the pool is not remembered here.
//! Spec: `proto-notes/gossip.md`, "Verdicts".

use std::collections::BTreeMap;

use crate::types::Txid;

/// Verdicts of one generation: more than a full pool; two take some three MiB.
const KEPT_MAX: usize = 16_384;

/// What checking signatures gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Signatures {
    young: BTreeMap<Txid, bool>,
    old: BTreeMap<Txid, bool>,
}

impl Signatures {
    /// Whether the transaction is signed rightly, if that is known.
    pub(super) fn verdict(&self, txid: &Txid) -> Option<bool> {
        self.young.get(txid).or_else(|| self.old.get(txid)).copied()
    }

    /// The signature was checked.
    pub(super) fn note(&mut self, txid: Txid, is_good: bool) {
        if self.young.len() >= KEPT_MAX {
            self.old = core::mem::take(&mut self.young);
        }
        self.young.insert(txid, is_good);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn txid(number: usize) -> Txid {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Txid::new(bytes)
    }

    #[test]
    fn the_latest_verdicts_are_known_and_old_ones_go() {
        let mut signatures = Signatures::default();
        (0..3 * KEPT_MAX).for_each(|number| signatures.note(txid(number), number % 2 == 0));
        let last = 3 * KEPT_MAX - 1;
        assert_eq!(signatures.verdict(&txid(last)), Some(last.is_multiple_of(2)));
        assert_eq!(
            signatures.verdict(&txid(last - KEPT_MAX)),
            Some((last - KEPT_MAX).is_multiple_of(2))
        );
        assert_eq!(signatures.verdict(&txid(0)), None);
        assert!(signatures.young.len() + signatures.old.len() <= 2 * KEPT_MAX);
    }
}
