//! A choice among equals.

use crate::types::rng::Rng;

/// One of them at random.
pub(super) fn choose<T: Clone>(rng: &mut Rng, list: &[T]) -> Option<T> {
    let count = u64::try_from(list.len()).unwrap_or(u64::MAX);
    let index = usize::try_from(rng.below(count)).ok()?;
    list.get(index).cloned()
}
