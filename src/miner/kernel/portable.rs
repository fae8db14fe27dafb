//! The portable kernel: `sha2` on the midstate, one attempt after the other.
//!
//! Promises: no `unsafe`, no processor feature of our own; `sha2` takes SHA instructions by itself.

use super::prepared::Prepared;

/// See [`super::Kernel::scan`].
pub(super) fn scan(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    (first..=last).find(|&low| prepared.digest_words(low)[0] <= prepared.limit_top)
}
