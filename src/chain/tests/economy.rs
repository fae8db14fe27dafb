//! What miners can gain, and how the difficulty follows them: the real rules for bits and weights, searches that are
//! drawn instead of made. Rows L22, L23 and L30 of the catalogue (`proto-notes/threats.md`).
//!
//! Time goes in steps of a quarter of a second; blocks are everywhere at once. Every run is fixed by its seed.

use crate::chain::{Header, NetworkParams};
use crate::types::rng::Rng;
use crate::types::{BlockHash, Height, MerkleRoot, WallTime, Work};

const STEP_MS: u64 = 250;

/// A number in [0, 1).
fn uniform(rng: &mut Rng) -> f64 {
    let draw = u32::try_from(rng.next_u64() >> 32).unwrap();
    f64::from(draw) / 4_294_967_296.0
}

/// The probability that the attempts of one step meet the bits, at this number of attempts per millisecond.
fn chance(params: &NetworkParams, rate: f64, header: &Header) -> f64 {
    let expected = (f64::from(header.bits.0) / f64::from(params.halflife_ms)).exp2();
    let step = f64::from(u32::try_from(STEP_MS).unwrap());
    1.0 - (-rate * step / expected).exp()
}

/// What a miner looks for at a time that it stamps.
fn child(params: &NetworkParams, parent: &Header, stamp: u64, nonce: u64) -> Header {
    let time = WallTime::from_ms(stamp).max(parent.time);
    Header {
        previous: parent.hash(),
        merkle_root: MerkleRoot::ZERO,
        version: 1,
        bits: params.required_bits(parent, time),
        height: parent.height.next(),
        time,
        nonce,
    }
}

/// A chain that everybody mines on: each miner with its rate and the way it stamps.
struct Line {
    params: NetworkParams,
    now: u64,
    tip: Header,
    rng: Rng,
}

type Stamp = fn(now: u64, parent: u64) -> u64;

impl Line {
    fn new(seed: u64) -> Self {
        let params = NetworkParams::lan();
        let tip = params.genesis();
        Self {
            now: tip.time.ms() + 1_000_000,
            tip,
            rng: Rng::new(seed),
            params,
        }
    }

    fn run(&mut self, blocks: usize, miners: &[(f64, Stamp)]) {
        for _ in 0..blocks {
            self.next(miners);
        }
    }

    /// Runs to the next block and returns its miner.
    fn next(&mut self, miners: &[(f64, Stamp)]) -> usize {
        loop {
            self.now += STEP_MS;
            for (miner, (rate, stamp)) in miners.iter().enumerate() {
                let nonce = self.rng.next_u64();
                let header = child(&self.params, &self.tip, stamp(self.now, self.tip.time.ms()), nonce);
                if uniform(&mut self.rng) < chance(&self.params, *rate, &header) {
                    self.tip = header;
                    return miner;
                }
            }
        }
    }
}

const fn honest(now: u64, _: u64) -> u64 {
    now
}

const fn parents(_: u64, parent: u64) -> u64 {
    parent
}

const fn ahead(now: u64, _: u64) -> u64 {
    now + 120_000
}

fn share(part: usize, whole: usize) -> f64 {
    f64::from(u32::try_from(part).unwrap()) / f64::from(u32::try_from(whole).unwrap())
}

#[test]
fn adv_l22_a_miner_who_stamps_wrongly_neither_speeds_the_chain_up_nor_gains_four_points() {
    const BLOCKS: usize = 6_000;
    let ways: [Stamp; 3] = [honest, parents, ahead];
    for (number, stamp) in ways.into_iter().enumerate() {
        let mut line = Line::new(40 + u64::try_from(number).unwrap());
        let miners: [(f64, Stamp); 2] = [(700.0, honest), (300.0, stamp)];
        line.run(200, &miners);
        let begun = line.now;
        let found = (0..BLOCKS).filter(|_| line.next(&miners) == 1).count();
        let spacing = (line.now - begun) / u64::try_from(BLOCKS).unwrap();
        assert!(
            (9_000..=11_000).contains(&spacing),
            "way {number}: {spacing} ms a block"
        );
        let share = share(found, BLOCKS);
        assert!(
            share < 0.34,
            "way {number}: {share} of the blocks with 0.3 of the power"
        );
        assert!(
            line.tip.bits > crate::types::Bits::floor(line.params.halflife_ms),
            "above the floor"
        );
    }
}

#[test]
fn adv_l23_a_network_whose_power_falls_to_a_hundredth_goes_on_within_five_minutes() {
    let mut waits: Vec<u64> = Vec::new();
    for seed in 0..60 {
        let mut line = Line::new(seed);
        line.run(40, &[(100.0, honest)]);
        line.run(120, &[(10_000.0, honest)]);
        let left = line.now;
        line.next(&[(100.0, honest)]);
        waits.push(line.now - left);
        // And the next twenty come at about their pace.
        let begun = line.now;
        line.run(20, &[(100.0, honest)]);
        assert!(line.now - begun < 20 * 90_000, "{} ms for twenty", line.now - begun);
    }
    waits.sort_unstable();
    assert!(waits[waits.len() / 2] <= 300_000, "{waits:?}");
}

/// A block of a race.
#[derive(Clone)]
struct Placed {
    header: Header,
    hash: BlockHash,
    work: Work,
    parent: usize,
    own: bool,
}

/// A tree that an honest majority and one other miner build.
struct Race {
    params: NetworkParams,
    now: u64,
    blocks: Vec<Placed>,
    /// The best public block.
    public: usize,
    rng: Rng,
}

impl Race {
    fn new(seed: u64) -> Self {
        let params = NetworkParams::lan();
        let header = params.genesis();
        let genesis = Placed {
            hash: header.hash(),
            work: Work::ZERO,
            parent: 0,
            own: false,
            header,
        };
        Self {
            now: genesis.header.time.ms() + 1_000_000,
            blocks: vec![genesis],
            public: 0,
            rng: Rng::new(seed),
            params,
        }
    }

    fn better(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.blocks[one], &self.blocks[other]);
        one.work > other.work || (one.work == other.work && one.hash < other.hash)
    }

    /// A search of one step on a parent; the new block if it was lucky.
    fn search(&mut self, parent: usize, rate: f64, own: bool, stamp: u64) -> Option<usize> {
        let above = self.blocks[parent].clone();
        let header = child(&self.params, &above.header, stamp, self.rng.next_u64());
        if uniform(&mut self.rng) >= chance(&self.params, rate, &header) {
            return None;
        }
        let work = above.work.plus(Header::weight(&above.header, &self.params));
        self.blocks.push(Placed {
            hash: header.hash(),
            header,
            work,
            parent,
            own,
        });
        Some(self.blocks.len() - 1)
    }

    fn publish(&mut self, block: usize) {
        if self.better(block, self.public) {
            self.public = block;
        }
    }

    /// The other miner's part of the public chain between two heights.
    fn share(&self) -> f64 {
        let (mut own, mut all, mut at) = (0, 0, self.public);
        while at != 0 && self.blocks[at].header.height > Height::new(200) {
            own += usize::from(self.blocks[at].own);
            all += 1;
            at = self.blocks[at].parent;
        }
        share(own, all)
    }

    fn height(&self) -> u64 {
        self.blocks[self.public].header.height.get()
    }

    /// The block of the private branch that has at least the work of the public one.
    fn up_to(&self, private: usize, work: Work) -> usize {
        let mut at = private;
        while self.blocks[self.blocks[at].parent].work >= work {
            at = self.blocks[at].parent;
        }
        at
    }
}

/// Eyal and Sirer: keep found blocks back, show them when the others come near.
fn selfish(power: f64, seed: u64) -> f64 {
    let mut race = Race::new(seed);
    let mut private = 0;
    while race.height() < 4_200 {
        race.now += STEP_MS;
        let now = race.now;
        if let Some(block) = race.search(private, power * 1_000.0, true, now) {
            let tied = race.blocks[private].work == race.blocks[race.public].work && private != race.public;
            private = block;
            if tied {
                race.publish(private);
            }
        }
        if let Some(block) = race.search(race.public, (1.0 - power) * 1_000.0, false, now) {
            let before = race.blocks[private].work;
            race.publish(block);
            let work = race.blocks[race.public].work;
            if before < work {
                private = race.public;
            } else {
                let next = race.blocks[private].parent;
                let all = race.blocks[next].work <= work;
                let shown = if all { private } else { race.up_to(private, work) };
                race.publish(shown);
            }
        }
    }
    race.share()
}

/// Looks only for another block beside the tip, stamped as early as the rules allow.
fn sibling(power: f64, seed: u64) -> f64 {
    let mut race = Race::new(seed);
    while race.height() < 4_200 {
        race.now += STEP_MS;
        let (now, public) = (race.now, race.public);
        let tip = race.blocks[public].clone();
        // Its own block at the tip is left alone.
        let (parent, stamp) = if tip.own { (public, now) } else { (tip.parent, 0) };
        if let Some(block) = race.search(parent, power * 1_000.0, true, stamp) {
            race.publish(block);
        }
        if let Some(block) = race.search(race.public, (1.0 - power) * 1_000.0, false, now) {
            race.publish(block);
        }
    }
    race.share()
}

/// The share that selfish mining gets if half of the ties are won (Eyal and Sirer, 2014, equation 8).
fn expected(power: f64) -> f64 {
    let rest = 1.0 - power;
    let upper = power * rest * rest * (4.0 * power + 0.5 * (1.0 - 2.0 * power)) - power.powi(3);
    upper / (1.0 - power * (1.0 + (2.0 - power) * power))
}

#[test]
fn adv_l30_selfish_miners_gain_what_first_principles_say_and_no_more() {
    for power in [0.3, 0.4] {
        let shares: Vec<f64> = (0..3).map(|seed| selfish(power, seed)).collect();
        let mean = shares.iter().sum::<f64>() / 3.0;
        assert!(
            (mean - expected(power)).abs() < 0.03,
            "{power}: {shares:?}, expected {}",
            expected(power)
        );
    }
}

#[test]
fn adv_l30_a_miner_of_siblings_gains_nothing() {
    let shares: Vec<f64> = (0..3).map(|seed| sibling(0.3, seed)).collect();
    let mean = shares.iter().sum::<f64>() / 3.0;
    assert!(mean < 0.33, "{shares:?} with 0.3 of the power");
}
