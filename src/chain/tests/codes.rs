//! The codes of the contract that are made of variants' names: a renamed variant is a changed contract.

use strum::VariantNames;

use crate::chain::{HeaderError, LedgerError, TransactionError};
use crate::types::layout::LayoutError;

#[test]
fn every_code_made_of_a_variants_name_is_the_contracts() {
    let header = [
        "bad_version",
        "not_linked",
        "bad_height",
        "time_too_old",
        "bad_target",
        "bad_proof_of_work",
        "time_too_new",
        "chain_too_long",
    ];
    assert_eq!(HeaderError::VARIANTS, header);
    let layout = ["truncated", "trailing_bytes", "unknown_tag", "too_long", "bad_field"];
    assert_eq!(LayoutError::VARIANTS, layout);
    // The first has the code of what it wraps.
    let transaction = [
        "layout",
        "self_transfer",
        "wrong_key",
        "wrong_recipient_owner",
        "bad_signature",
    ];
    assert_eq!(TransactionError::VARIANTS, transaction);
    assert_eq!(TransactionError::Layout(LayoutError::Truncated).code(), "truncated");
    let ledger = [
        "not_owner",
        "already_claimed",
        "wrong_sequence",
        "owner_changed",
        "unclaimed_recipient",
        "overdraft",
        "too_many_new_accounts",
        "self_transfer",
        "overflow",
    ];
    let mut told = LedgerError::VARIANTS.to_vec();
    told.sort_unstable();
    let mut expected = ledger.to_vec();
    expected.sort_unstable();
    assert_eq!(told, expected);
}
