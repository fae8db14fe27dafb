//! Bodies that are checked beside the engine: which ones leave for it, and where their verdicts go.
//!
//! Promises: bodies leave in the order in which they are needed; at most [`AHEAD_BYTES`] of a candidate are under way or
//! wait with their verdicts; a verdict goes to the very bytes that were checked, or nowhere.
//! Elsewhere: the checks (`chain::checks`), who makes them (`node::checker`), what a verdict leads to (`engine::advance`).
//! Spec: `proto-notes/sync.md`, "Bodies".

use super::candidate::{Arrived, Content};
use super::{Phase, Sync, Syncs};
use crate::chain::Verdict;
use crate::types::BlockHash;

/// Smaller bodies are checked in the turn that takes them: handing some twenty payments over costs as much as their
/// signatures.
const ASIDE_MIN_BYTES: usize = 4 * 1024;
/// Bodies of a candidate that are under way or wait with their verdicts, in bytes: enough to keep every thread busy.
const AHEAD_BYTES: usize = 4 * 1024 * 1024;
/// Bodies that are checked together, in bytes: the keys of a few full blocks are added up.
const GROUP_BYTES: usize = 1024 * 1024;

/// Bodies that leave together, by a number.
pub(crate) type Group = (u64, Vec<(BlockHash, Vec<u8>)>);

impl Syncs {
    /// The next bodies that are to be checked beside the engine; their verdicts come with [`Syncs::checked`].
    pub(crate) fn next_group(&mut self) -> Option<Group> {
        let number = self.groups;
        let fetching = self.candidates.iter_mut().filter(|sync| sync.phase == Phase::Bodies);
        let group = fetching
            .map(|sync| sync.take_group(number))
            .find(|group| !group.is_empty())?;
        self.groups = number.wrapping_add(1);
        Some((number, group))
    }

    /// A group was checked.
    pub(crate) fn checked(&mut self, number: u64, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            let hash = verdict.block();
            let waiting = self.candidates.iter_mut().find_map(|sync| {
                let index = sync.index.get(&hash)?;
                let body = sync.bodies.get_mut(index)?;
                matches!(body.content, Content::UnderWay(under_way) if under_way == number).then_some(body)
            });
            if let Some(body) = waiting {
                body.content = Content::Checked(Box::new(verdict));
            }
        }
    }
}

impl Sync {
    /// Takes the bytes of the next bodies that may leave.
    fn take_group(&mut self, number: u64) -> Vec<(BlockHash, Vec<u8>)> {
        let away = |body: &&Arrived| !matches!(body.content, Content::Bytes(_));
        let mut ahead: usize = self.bodies.values().filter(away).map(|body| body.size).sum();
        let (mut group, mut bytes) = (Vec::new(), 0);
        for body in self.bodies.values_mut() {
            if ahead >= AHEAD_BYTES || bytes >= GROUP_BYTES {
                break;
            }
            if body.size < ASIDE_MIN_BYTES || !matches!(body.content, Content::Bytes(_)) {
                continue;
            }
            ahead += body.size;
            bytes += body.size;
            if let Content::Bytes(taken) = core::mem::replace(&mut body.content, Content::UnderWay(number)) {
                group.push((body.received.hash(), taken));
            }
        }
        group
    }
}
