//! What a peer may do so often, and what misdeeds cost: against the written numbers (`proto-notes/limits.md`).

use super::bytes::Bytes;
use super::world::key;
use crate::engine::standing::{Conducts, Consequence, Fault, Kind, Standing};
use crate::types::{PeerId, Time};

const KINDS: [(Kind, u128, u128); 6] = [
    (Kind::Status, 4, 40),
    (Kind::Headers, 20, 100),
    (Kind::Blocks, 25 * 1_024 * 1_024, 128 * 1_024 * 1_024),
    (Kind::Pending, 20, 100),
    (Kind::GossipBlock, 20, 200),
    (Kind::GossipTx, 500, 10_000),
];

/// Thousandths that are left, and since when.
struct Left {
    thousandths: u128,
    at: u64,
    granted: Vec<(u64, u128)>,
}

pub(super) fn rate_limits(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let start = Time::from_ms(bytes.u64() >> 1);
    let (peer, mut standing) = (key(0).public().peer_id(), Standing::default());
    standing.connected(start, peer);
    let full = KINDS.map(|(_, _, burst)| burst * 1_000);
    let mut left = full.map(|thousandths| Left {
        thousandths,
        at: start.ms(),
        granted: Vec::new(),
    });
    let mut court = Court {
        kept: Conducts::default(),
        records: Default::default(),
    };
    let mut now = start.ms();
    while !bytes.is_empty() {
        now = now.saturating_add(passed(&mut bytes));
        let way = bytes.u8();
        if way % 4 == 3 {
            court.judge(Time::from_ms(now), usize::from(way / 4) % 3, bytes.u8());
            continue;
        }
        let at = usize::from(way / 4) % KINDS.len();
        let (kind, rate, burst) = KINDS[at];
        let count = [1, 1, 16, u64::from(bytes.u8()), bytes.u64()][bytes.below(5)];
        let left = &mut left[at];
        let refill = u128::from(now - left.at) * rate;
        left.thousandths = (left.thousandths + refill).min(burst * 1_000);
        left.at = now;
        let fits = u128::from(count) * 1_000 <= left.thousandths;
        assert_eq!(
            standing.allows(Time::from_ms(now), &peer, kind, count),
            fits,
            "{kind:?} {count}"
        );
        if fits {
            left.thousandths -= u128::from(count) * 1_000;
            left.granted.push((now, u128::from(count)));
        }
        // Over any time that ends now no more than the burst and what the rate gives.
        let mut sum = 0;
        for (since, count) in left.granted.iter().rev() {
            sum += count;
            assert!(sum * 1_000 <= burst * 1_000 + u128::from(now - since) * rate);
        }
    }
}

/// Some milliseconds, some hours, sometimes a leap.
fn passed(bytes: &mut Bytes<'_>) -> u64 {
    let way = bytes.u8();
    match way % 8 {
        0..=3 => 0,
        4 | 5 => u64::from(bytes.u8()),
        6 => u64::from(bytes.u8()) * 300_000,
        _ => u64::from(bytes.u32()),
    }
}

#[derive(Clone, Default)]
struct Record {
    score: i64,
    at: Option<u64>,
    bans: usize,
    until: Option<u64>,
}

/// Scores of three peers as they are written down.
struct Court {
    kept: Conducts,
    records: [Record; 3],
}

impl Court {
    fn judge(&mut self, now: Time, who: usize, way: u8) {
        let id: PeerId = key(who).public().peer_id();
        let record = &mut self.records[who];
        let (fault, cost) = match way % 4 {
            0 => (Fault::Limit, 1),
            1 => (Fault::Mid, 10),
            2 => (Fault::Low, 20),
            _ => (Fault::Fatal, 100),
        };
        // Halved every ten minutes, towards zero.
        let halvings = (now.ms() - *record.at.get_or_insert(now.ms())) / 600_000;
        for _ in 0..halvings.min(40) {
            record.score /= 2;
        }
        if halvings > 0 {
            record.at = Some(now.ms());
        }
        if fault != Fault::Limit || record.score > -15 {
            record.score -= cost;
        }
        let expected = if record.score <= -50 {
            let hours = [1, 6, 24][record.bans.min(2)];
            record.until = Some(now.ms().saturating_add(hours * 3_600_000));
            record.bans += 1;
            record.score = 0;
            Consequence::Ban
        } else if fault == Fault::Low || (fault != Fault::Limit && record.score <= -20) {
            Consequence::Disconnect
        } else {
            Consequence::Keep
        };
        assert_eq!(self.kept.punish(now, id, fault), expected);
        assert_eq!(
            self.kept.is_banned(now, &id),
            record.until.is_some_and(|until| now.ms() < until)
        );
        if way >= 128 {
            let ended: Vec<PeerId> = self.kept.pardoned(now);
            for (number, record) in self.records.iter_mut().enumerate() {
                let ends = record.until.is_some_and(|until| until <= now.ms());
                assert_eq!(ended.contains(&key(number).public().peer_id()), ends);
                if ends {
                    record.until = None;
                }
            }
        }
        let next = self.records.iter().filter_map(|record| record.until).min();
        assert_eq!(self.kept.next_pardon().map(Time::ms), next);
    }
}
