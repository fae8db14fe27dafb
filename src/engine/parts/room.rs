//! Whether the disk has room for more blocks.
//!
//! Promises: pure; what it says changes only with a measurement, and not to and fro around one number of bytes.
//! Elsewhere: who measures (`node::writer`), what stops meanwhile (`engine::disk`).
//! Spec: `proto-notes/store.md`, "Room".

/// The most that is kept free for the node's own writes: what may wait for the disk, with what a database adds to it.
pub(crate) const KEPT_MAX_BYTES: u64 = 64 * 1024 * 1024;
/// Of a smaller disk this part is kept: one in so many bytes.
const KEPT_SHARE: u64 = 16;
/// Blocks are taken again when so many times that is free.
const ENOUGH_TIMES: u64 = 2;

/// What was measured of a disk, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// What the chain takes on it, by the blocks of the file system: a file may be longer than that.
    pub used: u64,
    /// What this user may still write.
    pub free: u64,
    /// The size of the whole disk.
    pub size: u64,
}

impl Room {
    /// What is kept free for the node's own writes.
    #[must_use]
    pub const fn kept(&self) -> u64 {
        let share = self.size / KEPT_SHARE;
        if share < KEPT_MAX_BYTES { share } else { KEPT_MAX_BYTES }
    }
}

/// What a measurement changed about taking blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Too little is left for blocks.
    Low,
    /// There is enough again.
    Enough,
}

/// Judges the measurements of a disk, one after the other.
#[derive(Debug, Default)]
pub(crate) struct RoomWatch {
    last: Option<Room>,
    low: bool,
}

impl RoomWatch {
    /// Takes a measurement; tells if blocks are taken or refused from here on, other than before it.
    pub(crate) const fn handle(&mut self, room: Room) -> Option<Change> {
        self.last = Some(room);
        let kept = room.kept();
        let low = if self.low {
            room.free < kept.saturating_mul(ENOUGH_TIMES)
        } else {
            room.free < kept
        };
        if low == self.low {
            return None;
        }
        self.low = low;
        Some(if low { Change::Low } else { Change::Enough })
    }

    /// Whether no more blocks should be taken. Without a measurement nothing is known against them.
    pub(crate) const fn is_low(&self) -> bool {
        self.low
    }

    /// What the disk was like when it was last measured.
    pub(crate) const fn last(&self) -> Option<Room> {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn what_is_kept_is_64_mib_or_a_sixteenth_of_a_small_disk() {
        let kept = |size: u64| {
            Room {
                size,
                ..Room::default()
            }
            .kept()
        };
        assert_eq!(kept(100 * 1024 * MIB), 64 * MIB);
        assert_eq!(kept(1024 * MIB), 64 * MIB);
        assert_eq!(kept(32 * MIB), 2 * MIB);
        assert_eq!(kept(0), 0);
    }

    #[test]
    fn each_measurement_changes_what_it_should_and_nothing_at_the_edges() {
        use Change::{Enough, Low};
        let table = [
            (65, None, false),
            (64, None, false),
            (63, Some(Low), true),
            (64, None, true),
            (0, None, true),
            (127, None, true),
            (128, Some(Enough), false),
            (64, None, false),
            (1, Some(Low), true),
        ];
        let mut watch = RoomWatch::default();
        assert!(!watch.is_low());
        assert_eq!(watch.last(), None);
        for (free, change, low) in table {
            let room = Room {
                used: 5,
                free: free * MIB,
                size: 1024 * MIB,
            };
            assert_eq!(watch.handle(room), change, "{free}");
            assert_eq!(watch.is_low(), low, "{free}");
            assert_eq!(watch.last(), Some(room));
        }
    }

    #[test]
    fn a_disk_that_tells_no_size_stops_nothing() {
        let mut watch = RoomWatch::default();
        assert_eq!(watch.handle(Room::default()), None);
        assert!(!watch.is_low());
    }
}
