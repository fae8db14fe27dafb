//! What is remembered between two facts of the disk.
//!
//! Elsewhere: what follows from those facts (`disk`), the steps of a long switch (`advance`).

use super::own::OwnWaiting;
use super::room::RoomWatch;
use crate::contract::{CommandError, DiskView, Source};
use crate::pool::Rebuild;
use crate::types::Time;

/// What is remembered between two facts of the disk.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    /// When the next step of a long switch is due; none: once something happens.
    pub(crate) switch_due: Option<Time>,
    /// Who brought the block that a long switch leads to.
    pub(crate) switch_source: Option<Source>,
    /// The pool of the tip that a long switch leads to.
    pub(crate) prepared: Option<(Rebuild, OwnWaiting)>,
    /// A rotten store was told of: nothing is written until the next start.
    pub(crate) damage_told: bool,
    /// Whether there is room for blocks.
    pub(crate) room: RoomWatch,
}

impl Storage {
    /// What `stats` says of the disk; none where the system does not tell.
    pub(crate) fn disk_view(&self) -> Option<DiskView> {
        self.room.last().map(|room| DiskView {
            chain_bytes: room.used,
            free_bytes: room.free,
        })
    }
}

/// The refusal of `mine` while the disk has too little room.
pub(crate) fn disk_low() -> CommandError {
    CommandError::new(
        "disk_low",
        "the disk of the data folder is nearly full: what is left is kept for this node's own payments",
        "stats",
    )
}
