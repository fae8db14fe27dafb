//! Kernels: one batch of attempts, as fast as this processor can.
//!
//! Promises: [`Kernel::scan`] finds the lowest candidate, the same one with every kernel; a kernel that
//! the processor cannot run is never called. `unsafe` exists only in this folder.
//! Elsewhere: batches and cancellation (`miner::search`), who else is faster and by how much
//! (`proto-notes/decisions/mining-kernel.md`).

mod portable;
mod prepared;

pub(crate) use prepared::{Prepared, Template};

/// A way to compute attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// `sha2` on the midstate.
    Portable,
}

impl Kernel {
    /// Every kernel, the portable one first.
    pub const ALL: [Kernel; 1] = [Kernel::Portable];

    /// The word for it, in the environment variable and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Portable => "portable",
        }
    }

    /// Can this processor run it?
    pub fn is_available(self) -> bool {
        match self {
            Kernel::Portable => true,
        }
    }

    /// The kernels of this processor.
    pub fn available() -> impl Iterator<Item = Kernel> {
        Kernel::ALL
            .into_iter()
            .filter(|kernel| kernel.is_available())
    }

    /// The kernel that [`super::search::search`] uses.
    pub fn chosen() -> Kernel {
        Kernel::Portable
    }

    /// How many attempts to make between two looks at the cancel flag: at most half a millisecond on a
    /// slow processor.
    pub(crate) fn batch(self) -> u32 {
        match self {
            Kernel::Portable => 1024,
        }
    }

    /// The lowest low nonce half in `first..=last` whose digest *may* meet the limit: its first word is
    /// not above the limit's. The caller makes the full check.
    pub(crate) fn scan(self, prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
        match self {
            Kernel::Portable => portable::scan(prepared, first, last),
        }
    }
}
