//! Kernels: code for one batch of attempts, as fast as this processor allows.
//!
//! Promises: `Kernel::scan` finds the lowest candidate, the same one with every kernel. A kernel that the processor
//! cannot run is never called. `unsafe` exists only in this folder.
//! Elsewhere: batches and cancellation (`miner::search`), a comparison with other miners
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

use super::MiningWork;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) use prepared::{Prepared, Template};

/// The environment variable that names a kernel to use instead of the fastest one, for tests and comparisons.
pub const KERNEL_VARIABLE: &str = "LANCHAIN_KERNEL";

/// An implementation of mining attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// `sha2` on the midstate; runs on any processor.
    Portable,
    /// The SHA instructions of x86.
    ShaNi,
    /// AVX2 of x86, with 8 lanes.
    Avx2,
    /// AVX-512 of x86, with 16 lanes.
    Avx512,
    /// AVX-512 of x86, with two groups of 16 lanes.
    Avx512x2,
    /// The SHA-2 instructions of 64-bit ARM.
    Aarch64,
}

/// Why a kernel that was asked for by name is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KernelError {
    /// No kernel has this name.
    #[error("unknown mining kernel {name}")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The kernel exists, but this processor cannot run it.
    #[error("this processor cannot run the mining kernel {name}")]
    Unavailable {
        /// The name that was asked for.
        name: &'static str,
    },
}

impl KernelError {
    /// What the user can type instead.
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

    /// The kernel's name, in the environment variable and in tables.
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

    /// Whether this processor can run the kernel.
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

    /// The kernels that this processor can run.
    pub fn available() -> impl Iterator<Item = Kernel> {
        Kernel::ALL.into_iter().filter(|kernel| kernel.is_available())
    }

    /// The kernel with this name, if the processor can run it.
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

    /// The kernel that [`super::search::search`] uses: the one that [`KERNEL_VARIABLE`] names, or else the fastest in a
    /// short trial. The choice is made once and kept.
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

    /// Measures all kernels for a few milliseconds and returns the fastest. Whether SHA-NI or AVX2 is faster depends on
    /// the processor model and not on its features, so we measure instead of guessing. The results are the same with
    /// every kernel.
    fn fastest() -> Kernel {
        let kernels: Vec<_> = Kernel::available().collect();
        let mut best = vec![Duration::MAX; kernels.len()];
        // The kernels take turns, so that a burst of other load cannot hit one of them alone; the best turn of each
        // counts.
        for _ in 0..TRIAL_TURNS {
            for (kernel, best) in kernels.iter().zip(&mut best) {
                *best = kernel.trial().min(*best);
            }
        }
        let fastest = kernels.into_iter().zip(best).min_by_key(|&(_, time)| time);
        fastest.map_or(Kernel::Portable, |(kernel, _)| kernel)
    }

    /// The time that a fixed number of attempts takes.
    fn trial(self) -> Duration {
        let prepared = Template::new(&MiningWork {
            header: [0; 96],
            limit: [0; 32],
        })
        .prepare(0);
        let begun = Instant::now();
        // A candidate is a coincidence of 1 in 2^32 and only ends the trial early.
        core::hint::black_box(self.scan(&prepared, 1, core::hint::black_box(TRIAL_ATTEMPTS)));
        begun.elapsed()
    }

    /// How many attempts to make between two checks of the cancel flag: about a tenth of a millisecond, or half of one
    /// for portable code on a processor without SHA instructions.
    pub(crate) fn batch(self) -> u32 {
        match self {
            Kernel::Portable => 1024,
            Kernel::ShaNi | Kernel::Avx2 | Kernel::Aarch64 => 2048,
            Kernel::Avx512 | Kernel::Avx512x2 => 8192,
        }
    }

    /// The lowest low nonce half in `first..=last` whose digest *may* meet the limit, because the first word of the
    /// digest is not above that of the limit. The caller makes the full check.
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

/// The turns of the trial, and the attempts in each turn: 4 × 4,096 attempts take 0.3 ms in 16 lanes and 7 ms in
/// portable code without SHA instructions.
const TRIAL_TURNS: usize = 4;
const TRIAL_ATTEMPTS: u32 = 4096;

/// Panics, because a kernel of another processor was called.
fn missing() -> ! {
    panic!("the search checks that a kernel is available")
}

#[cfg(test)]
mod tests;
