//! In what state a node is as a whole: what it may do, and what it has to do without.
//!
//! Elsewhere: what changes it (`failures`, `disk`, `commands`).

/// In what state the node is as a whole: what it may do, and what it has to do without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// `net on`.
    pub(crate) net: bool,
    /// The network has failed and was not started anew yet.
    pub(crate) no_network: bool,
    /// A mining thread has failed: what it should have searched stays unsearched.
    pub(crate) no_mining: bool,
    /// The disk takes no writes.
    pub(crate) read_only: bool,
    /// The node is about to stop.
    pub(crate) stopping: bool,
}

impl Default for Mode {
    fn default() -> Self {
        Self {
            net: true,
            no_network: false,
            no_mining: false,
            read_only: false,
            stopping: false,
        }
    }
}
