//! Draws the block tree: one row for each block, the active branch in the first column, like `git log --graph`.
//!
//! Promises: each block of the reply has a row, a parent below its children; the lines are plain ASCII, so they look
//! the same in every terminal. Elsewhere: the choice of the blocks (`inspect::tree`).

use super::human::{many, short, short_account};
use super::look::Look;
use crate::contract::{TipView, TreeBlock};
use crate::types::BlockHash;

/// The most branches that are drawn side by side; the others are only counted.
const LANES_MAX: usize = 12;
/// The width of the column for the miner's name.
const MINER_COLUMNS: usize = 12;

/// For each column, the next block below that it waits for; none if the column is free.
type Columns = Vec<Option<BlockHash>>;

/// The reply of `tree` as a drawing.
#[must_use]
pub fn tree(tips: &[TipView], blocks: &[TreeBlock], look: Look) -> String {
    let mut lanes: Columns = tips
        .iter()
        .find(|tip| tip.active)
        .map(|tip| Some(tip.hash))
        .into_iter()
        .collect();
    let mut rows: Vec<String> = Vec::new();
    let mut undrawn = 0_usize;
    for block in blocks {
        let Some(lane) = lane_of(&mut lanes, block, &mut rows) else {
            undrawn += 1;
            continue;
        };
        rows.push(row(&lanes, lane, block, look));
        lanes[lane] = block.below;
        if block.skipped > 0 {
            let text = format!("{} {} more", marks(&lanes, lane, ":"), block.skipped);
            rows.push(look.grey(&text));
        }
        while lanes.last() == Some(&None) {
            lanes.pop();
        }
    }
    if undrawn > 0 {
        rows.push(format!("  and {} of more branches", many(undrawn, "block")));
    }
    let stale = tips.iter().filter(|tip| !tip.active).count();
    rows.push(look.grey(&format!(
        "* active, o stale ({})",
        many(stale, "stale branch").replace("branchs", "branches")
    )));
    rows.join("\n")
}

/// The column of a block. All columns that wait for this block join here; a tip opens a new one.
fn lane_of(lanes: &mut Columns, block: &TreeBlock, rows: &mut Vec<String>) -> Option<usize> {
    let waiting: Vec<usize> = (0..lanes.len())
        .filter(|lane| lanes[*lane] == Some(block.hash))
        .collect();
    let Some((first, others)) = waiting.split_first() else {
        if let Some(free) = (1..lanes.len()).find(|lane| lanes[*lane].is_none()) {
            lanes[free] = Some(block.hash);
            return Some(free);
        }
        if lanes.len() >= LANES_MAX {
            return None;
        }
        lanes.push(Some(block.hash));
        return Some(lanes.len() - 1);
    };
    for lane in others.iter().rev() {
        rows.push(joint(lanes, *first, *lane));
        lanes[*lane] = None;
    }
    while lanes.last() == Some(&None) {
        lanes.pop();
    }
    Some(*first)
}

/// The marks of a row: a sign in one column, bars in the others.
fn marks(lanes: &Columns, lane: usize, sign: &str) -> String {
    let marks: Vec<&str> = lanes
        .iter()
        .enumerate()
        .map(|(at, waits)| match waits {
            _ if at == lane => sign,
            Some(_) => "|",
            None => " ",
        })
        .collect();
    marks.join(" ").trim_end().to_owned()
}

/// The row in which a column joins another to its left: `|/` or `|_|/`.
fn joint(lanes: &Columns, into: usize, from: usize) -> String {
    let mut text = String::new();
    for (at, waits) in lanes.iter().enumerate() {
        text.push(match waits {
            _ if at == from => ' ',
            Some(_) => '|',
            None if at > into && at < from => '_',
            None => ' ',
        });
        text.push(match at {
            _ if at + 1 == from => '/',
            _ if at >= into && at + 1 < from => '_',
            _ => ' ',
        });
    }
    text.trim_end().to_owned()
}

fn row(lanes: &Columns, lane: usize, block: &TreeBlock, look: Look) -> String {
    let sign = if block.active { "*" } else { "o" };
    let miner = block
        .miner
        .as_ref()
        .map_or_else(|| "-".to_owned(), |miner| short_account(&miner.to_string()));
    let miner: String = miner.chars().take(MINER_COLUMNS).collect();
    let text = format!(
        "{} {:>4} {} {miner:<MINER_COLUMNS$} +{:.0}",
        marks(lanes, lane, sign),
        block.height,
        short(&block.hash),
        block.adds_work.to_f64(),
    );
    if block.active { text } else { look.grey(&text) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::keys::account;
    use crate::testing::samples;
    use crate::types::{Height, Work};

    fn hash(byte: u8) -> BlockHash {
        BlockHash::new([byte; 32])
    }

    fn block(byte: u8, height: u64, active: bool, below: Option<u8>, skipped: u64) -> TreeBlock {
        let mut work = [0; 32];
        work[29] = 1;
        TreeBlock {
            hash: hash(byte),
            height: Height::new(height),
            adds_work: Work::from_be_bytes(work),
            active,
            miner: Some(account(if active { "ben" } else { "anna" })),
            below: below.map(hash),
            skipped,
            ..samples::tree_block()
        }
    }

    fn tip(byte: u8, height: u64, active: bool) -> TipView {
        TipView {
            hash: hash(byte),
            height: Height::new(height),
            active,
            fork_height: Height::new(1),
            ..samples::tip()
        }
    }

    #[test]
    fn a_fork_is_drawn_with_the_active_branch_first_and_joins_where_it_parted() {
        let blocks = [
            block(0xa9, 9, true, Some(0xa3), 5),
            block(0xa3, 3, true, Some(0xa2), 0),
            block(0xb3, 3, false, Some(0xb2), 0),
            block(0xa2, 2, true, Some(0xa1), 0),
            block(0xb2, 2, false, Some(0xa1), 0),
            block(0xc2, 2, false, Some(0xa1), 0),
            block(0xa1, 1, true, None, 0),
        ];
        let tips = [tip(0xa9, 9, true), tip(0xb3, 3, false), tip(0xc2, 2, false)];
        let drawn = tree(&tips, &blocks, Look::default());
        let wanted = "\
*    9 a9a9a9a9a9a9 ben          +65536
: 5 more
*    3 a3a3a3a3a3a3 ben          +65536
| o    3 b3b3b3b3b3b3 anna         +65536
* |    2 a2a2a2a2a2a2 ben          +65536
| o    2 b2b2b2b2b2b2 anna         +65536
| | o    2 c2c2c2c2c2c2 anna         +65536
|_|/
|/
*    1 a1a1a1a1a1a1 ben          +65536
* active, o stale (2 stale branches)";
        assert_eq!(drawn, wanted);
        let grey = tree(
            &tips,
            &blocks,
            Look {
                colour: true,
                ..Look::default()
            },
        );
        assert!(grey.contains("\x1b[90m| o    3 b3"), "{grey}");
    }

    #[test]
    fn more_branches_than_columns_are_counted() {
        let mut blocks = vec![block(1, 2, true, Some(0), 0)];
        blocks.extend((10..40).map(|byte| block(byte, 2, false, Some(0), 0)));
        blocks.push(block(0, 1, true, None, 0));
        let drawn = tree(&[tip(1, 2, true)], &blocks, Look::default());
        assert!(drawn.contains("and 19 blocks of more branches"), "{drawn}");
        assert!(drawn.lines().all(|line| line.chars().count() < 80), "{drawn}");
    }
}
