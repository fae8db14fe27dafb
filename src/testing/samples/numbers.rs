//! The numbers of `stats`, each of them once.

use super::{id, owners};
use crate::contract::{DiskView, FillerView, Growth, Intervals, MinerView, Stats};
use crate::testing::keys::account;
use crate::types::Height;

pub fn stats() -> Stats {
    Stats {
        from_height: Height::new(1),
        to_height: Height::new(3),
        transactions: 3,
        spacing_ms: 1_000,
        is_adjusting: true,
        halflife_ms: 1_000,
        intervals: Some(Intervals::default()),
        bits: vec![1],
        miners: vec![
            MinerView {
                account: account("ben"),
                owner: Some(id()),
                blocks: 1,
            },
            MinerView {
                account: account("zoe"),
                owner: None,
                blocks: 1,
            },
        ],
        miners_total: 1,
        richest: owners(),
        accounts_total: 1,
        growth: Growth {
            bytes: 1,
            bytes_per_hour: Some(1),
            fillers: vec![FillerView {
                account: account("ben"),
                transactions: 1,
                bytes: 1,
            }],
        },
        disk: Some(DiskView {
            chain_bytes: 1,
            free_bytes: 1,
        }),
    }
}
