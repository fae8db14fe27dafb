//! What happened, as a hash: two runs of one seed must agree byte for byte.

use sha2::{Digest, Sha256};

/// How much of each step enters the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// When, who, what kind.
    Light,
    /// Every field of every input and output.
    Deep,
    /// As deep, and printed.
    Loud,
}

/// A running hash.
pub(crate) struct Trace {
    hasher: Sha256,
    depth: Depth,
}

impl Trace {
    pub(crate) fn new(depth: Depth) -> Self {
        Self {
            hasher: Sha256::new(),
            depth,
        }
    }

    /// Adds a step. The text is only made if it is used.
    pub(crate) fn step(&mut self, now: u64, node: usize, kind: &'static str, text: impl FnOnce() -> String) {
        if self.depth == Depth::Light {
            return;
        }
        let text = text();
        self.hasher.update(format!("{now} {node} {kind} {text}\n"));
        if self.depth == Depth::Loud {
            let short: String = text.chars().take(400).collect();
            println!("{now:>8} node {node:<3} {kind:<8} {short}");
        }
    }

    pub(crate) fn finish(self) -> [u8; 32] {
        self.hasher.finalize().into()
    }
}
