//! Kernels: one batch of attempts, as fast as this processor can.
//!
//! Promises: `Kernel::scan` finds the lowest candidate, the same one with every kernel; a kernel that
//! the processor cannot run is never called. `unsafe` exists only in this folder.
//! Elsewhere: batches and cancellation (`miner::search`), who else is faster and by how much
//! (`proto-notes/decisions/mining-kernel.md`).

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512x2;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
mod lanes;
mod many;
mod portable;
mod prepared;
#[cfg(target_arch = "x86_64")]
mod sha_ni;

use super::Work;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) use prepared::{Prepared, Template};

/// Names a kernel to use instead of the fastest one; for tests and comparisons.
pub const KERNEL_VARIABLE: &str = "LANCHAIN_KERNEL";

/// A way to compute attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// `sha2` on the midstate, any processor.
    Portable,
    /// The SHA instructions of x86.
    ShaNi,
    /// 8 lanes on x86.
    Avx2,
    /// 16 lanes on x86.
    Avx512,
    /// Two groups of 16 lanes on x86.
    Avx512x2,
    /// The SHA-2 instructions of 64-bit ARM.
    Aarch64,
}

/// Why a kernel asked for by name is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// No kernel has this name.
    #[error("unknown mining kernel {name}")]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The kernel exists, but needs another processor.
    #[error("this processor cannot run the mining kernel {name}")]
    Unavailable {
        /// What was asked for.
        name: &'static str,
    },
}

impl KernelError {
    /// What to type instead.
    pub fn hint(&self) -> String {
        let names: Vec<_> = Kernel::available().map(Kernel::name).collect();
        format!("{KERNEL_VARIABLE} may be one of: {}", names.join(", "))
    }
}

impl Kernel {
    /// Every kernel, the portable one first.
    pub const ALL: [Kernel; 6] = [
        Kernel::Portable,
        Kernel::ShaNi,
        Kernel::Avx2,
        Kernel::Avx512,
        Kernel::Avx512x2,
        Kernel::Aarch64,
    ];

    /// The word for it, in the environment variable and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Portable => "portable",
            Kernel::ShaNi => "sha-ni",
            Kernel::Avx2 => "avx2",
            Kernel::Avx512 => "avx512",
            Kernel::Avx512x2 => "avx512x2",
            Kernel::Aarch64 => "aarch64",
        }
    }

    /// Can this processor run it?
    pub fn is_available(self) -> bool {
        match self {
            Kernel::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi => sha_ni::is_available(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::is_available(),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 | Kernel::Avx512x2 => avx512::is_available(),
            #[cfg(target_arch = "aarch64")]
            Kernel::Aarch64 => aarch64::is_available(),
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::ShaNi | Kernel::Avx2 | Kernel::Avx512 | Kernel::Avx512x2 => false,
            #[cfg(not(target_arch = "aarch64"))]
            Kernel::Aarch64 => false,
        }
    }

    /// The kernels of this processor.
    pub fn available() -> impl Iterator<Item = Kernel> {
        Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// The kernel of this name, if the processor can run it.
    pub fn by_name(name: &str) -> Result<Kernel, KernelError> {
        let kernel = Kernel::ALL
            .into_iter()
            .find(|kernel| kernel.name() == name)
            .ok_or_else(|| KernelError::Unknown {
                name: name.chars().take(32).collect(),
            })?;
        if kernel.is_available() {
            Ok(kernel)
        } else {
            Err(KernelError::Unavailable { name: kernel.name() })
        }
    }

    /// The kernel that [`super::search::search`] uses: the one named by [`KERNEL_VARIABLE`], else the
    /// fastest in a short trial. Decided once.
    pub fn chosen() -> Kernel {
        static CHOSEN: OnceLock<Kernel> = OnceLock::new();
        *CHOSEN.get_or_init(|| match std::env::var(KERNEL_VARIABLE) {
            Ok(name) => Kernel::by_name(&name).unwrap_or_else(|error| {
                let hint = error.hint();
                tracing::warn!(target: "miner", %error, %hint, "the fastest mining kernel is used instead");
                Kernel::fastest()
            }),
            Err(_) => Kernel::fastest(),
        })
    }

    /// The winner of a trial of some milliseconds. Which of SHA-NI and AVX2 is faster depends on the
    /// processor's make and not on its features, so we measure and do not guess; results are the same.
    fn fastest() -> Kernel {
        let kernels: Vec<_> = Kernel::available().collect();
        let mut best = vec![Duration::MAX; kernels.len()];
        // Turns, so that a burst of other load cannot strike one kernel alone; the best of each counts.
        for _ in 0..TRIAL_TURNS {
            for (kernel, best) in kernels.iter().zip(&mut best) {
                *best = kernel.trial().min(*best);
            }
        }
        let fastest = kernels.into_iter().zip(best).min_by_key(|&(_, time)| time);
        fastest.map_or(Kernel::Portable, |(kernel, _)| kernel)
    }

    /// The time of a fixed number of attempts.
    fn trial(self) -> Duration {
        let prepared = Template::new(&Work {
            header: [0; 96],
            limit: [0; 32],
        })
        .prepare(0);
        let begun = Instant::now();
        // A candidate is a coincidence in 2^32, and only ends the trial early.
        core::hint::black_box(self.scan(&prepared, 1, core::hint::black_box(TRIAL_ATTEMPTS)));
        begun.elapsed()
    }

    /// How many attempts to make between two looks at the cancel flag: about a tenth of a millisecond,
    /// half of one for portable code on a processor without SHA instructions.
    pub(crate) fn batch(self) -> u32 {
        match self {
            Kernel::Portable => 1024,
            Kernel::ShaNi | Kernel::Avx2 | Kernel::Aarch64 => 2048,
            Kernel::Avx512 | Kernel::Avx512x2 => 8192,
        }
    }

    /// The lowest low nonce half in `first..=last` whose digest *may* meet the limit: its first word is
    /// not above the limit's. The caller makes the full check.
    pub(crate) fn scan(self, prepared: &Prepared, first: u32, last: u32) -> Option<u32> {
        match self {
            Kernel::Portable => portable::scan(prepared, first, last),
            #[cfg(target_arch = "x86_64")]
            Kernel::ShaNi => sha_ni::scan(prepared, first, last),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => avx2::scan(prepared, first, last),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => avx512::scan(prepared, first, last),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512x2 => avx512x2::scan(prepared, first, last),
            #[cfg(target_arch = "aarch64")]
            Kernel::Aarch64 => aarch64::scan(prepared, first, last),
            #[cfg(not(target_arch = "x86_64"))]
            Kernel::ShaNi | Kernel::Avx2 | Kernel::Avx512 | Kernel::Avx512x2 => missing(),
            #[cfg(not(target_arch = "aarch64"))]
            Kernel::Aarch64 => missing(),
        }
    }
}

/// Turns of the trial, and attempts in a turn: 4 × 4,096 attempts take 0.3 ms in 16 lanes and 7 ms in
/// portable code without SHA instructions.
const TRIAL_TURNS: usize = 4;
const TRIAL_ATTEMPTS: u32 = 4096;

/// A kernel of another processor was called.
fn missing() -> ! {
    panic!("the search checks that a kernel is available")
}

#[cfg(test)]
mod tests;
