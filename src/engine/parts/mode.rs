//! In what state a node is as a whole: what it may do, and what it has to do without.
//!
//! Elsewhere: what changes it (`failures`, `disk`, `commands`).

use crate::chain::state::Tip;
use crate::types::Time;

/// In what state the node is as a whole: what it may do, and what it has to do without.
#[derive(Clone, Debug)]
pub(crate) struct Mode {
    /// The user wants the network: false after `net off`.
    pub(crate) net: bool,
    /// The network has failed and was not started anew yet.
    pub(crate) no_network: bool,
    /// A mining thread has failed: nobody searches the nonces that were its share.
    pub(crate) no_mining: bool,
    /// The disk takes no writes.
    pub(crate) read_only: bool,
    /// The node is about to stop.
    pub(crate) stopping: bool,
    /// The event `started` was told.
    pub(crate) started: bool,
    /// When it is told at the latest.
    pub(crate) start_by: Time,
    /// The tip that the store held: events begin there.
    pub(crate) opened: Tip,
}

impl Mode {
    /// A node that has just opened its store, and goes on the network.
    pub(crate) const fn new(opened: Tip, start_by: Time) -> Self {
        Self {
            net: true,
            no_network: false,
            no_mining: false,
            read_only: false,
            stopping: false,
            started: false,
            start_by,
            opened,
        }
    }
}
