//! The portable kernel: `sha2` on the midstate, one attempt after another.
//!
//! Promises: no `unsafe`, and no processor feature of our own; `sha2` itself uses SHA instructions if there are any.

use super::prepared::Prepared;

/// Does the work of [`super::Kernel::scan`].
pub(super) fn scan(prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
    (first..=last).find(|&low| prepared.digest_words(low)[0] <= prepared.limit_top)
}
