//! The rule by itself, then two ends that follow it while pings, closes and handshakes cross each other.

use super::*;
use crate::types::rng::Rng;

const BOTH: [Direction; 2] = [Direction::In, Direction::Out];

fn pair() -> (PeerId, PeerId) {
    let (a, b) = (PeerId::random(), PeerId::random());
    if a < b { (a, b) } else { (b, a) }
}

fn id(number: usize) -> ConnectionId {
    ConnectionId::new_unchecked(number)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// Connections 0, 1 and so on, with these directions and ages.
fn links(start: Instant, made: &[(Direction, u64)]) -> BTreeMap<ConnectionId, Link> {
    let made = made.iter().enumerate();
    made.map(|(number, (direction, at))| (id(number), Link::new(*direction, Multiaddr::empty(), start + ms(*at))))
        .collect()
}

#[test]
fn a_peer_that_comes_back_loses_its_older_connection_at_once_whoever_dialled() {
    let (small, large) = pair();
    let start = Instant::now();
    for (ends, first, second) in [(small, large), (large, small)]
        .into_iter()
        .flat_map(|ends| BOTH.map(|first| BOTH.map(|second| (ends, first, second))))
        .flatten()
    {
        let links = links(start, &[(first, 0), (second, 1_001)]);
        let now = start + ms(1_001);
        let ended = spare((&ends.0, &ends.1), &links, &mut Returns::default(), now);
        assert_eq!(ended, Some(id(0)), "{first:?} {second:?}");
    }
}

#[test]
fn both_ends_of_a_mutual_dial_keep_the_connection_of_the_smaller_peer_id() {
    let (small, large) = pair();
    let start = Instant::now();
    let decided = start + SPARE_AFTER + ms(400);
    // Connection 0 is the smaller PeerId's, whichever was made first.
    for (by_small, by_large) in [(0, 400), (400, 0)] {
        let mut at_small = links(start, &[(Direction::Out, by_small), (Direction::In, by_large)]);
        let mut at_large = links(start, &[(Direction::In, by_small), (Direction::Out, by_large)]);
        for (ends, links) in [((&small, &large), &mut at_small), ((&large, &small), &mut at_large)] {
            links.values_mut().for_each(|link| link.heard = start + ms(450));
            assert_eq!(spare(ends, links, &mut Returns::default(), decided - ms(1)), None);
            assert_eq!(spare(ends, links, &mut Returns::default(), decided), Some(id(1)));
        }
    }
}

#[test]
fn a_connection_that_answered_no_ping_never_wins() {
    let (small, large) = pair();
    let start = Instant::now();
    for ends in [(&small, &large), (&large, &small)] {
        for dead in 0..2 {
            for directions in [BOTH, [Direction::Out, Direction::In], [Direction::Out; 2]] {
                let mut links = links(start, &[(directions[0], 0), (directions[1], 300)]);
                // The older one may have lived until the younger one stood.
                links.get_mut(&id(0)).unwrap().heard = start + ms(200);
                links.get_mut(&id(1 - dead)).unwrap().heard = start + ms(310);
                let proven = start + ms(300) + PROOF_WITHIN;
                let mut returns = Returns::default();
                assert_eq!(spare(ends, &links, &mut returns, proven - ms(1)), None);
                assert_eq!(spare(ends, &links, &mut returns, proven), Some(id(dead)));
            }
        }
    }
}

#[test]
fn who_dials_twice_within_a_second_is_taken_at_its_younger_word_and_ends_nothing_itself_at_once() {
    let (small, large) = pair();
    let start = Instant::now();
    for ends in [(&small, &large), (&large, &small)] {
        let at = |direction| links(start, &[(direction, 0), (direction, 500)]);
        let now = start + ms(500);
        let mut returns = Returns::default();
        assert_eq!(spare(ends, &at(Direction::In), &mut returns, now), Some(id(0)));
        assert_eq!(spare(ends, &at(Direction::Out), &mut returns, now), None);
        assert_eq!(
            spare(ends, &at(Direction::Out), &mut returns, now + PROOF_WITHIN),
            Some(id(0))
        );
    }
}

#[test]
fn a_connection_that_is_being_closed_counts_no_more() {
    let (small, large) = pair();
    let start = Instant::now();
    let mut links = links(start, &[(Direction::In, 0), (Direction::In, 2_000)]);
    links.get_mut(&id(0)).unwrap().ending = true;
    let ended = spare((&small, &large), &links, &mut Returns::default(), start + ms(60_000));
    assert_eq!(ended, None);
}

/// Two machines with one key: each dials a second after it was disconnected, and both answer all pings.
#[test]
fn adv_k11_two_machines_with_one_key_do_not_take_turns_in_throwing_each_other_out() {
    let (small, large) = pair();
    let start = Instant::now();
    let mut returns = Returns::default();
    let mut kept = Link::new(Direction::In, Multiaddr::empty(), start);
    let (mut since, mut exchanges, mut now) = (start, 0, start);
    for _ in 0..100 {
        now += ms(1_500);
        let came = Link::new(Direction::In, Multiaddr::empty(), now);
        let mut pair = BTreeMap::from([(id(0), kept.clone()), (id(1), came)]);
        let ended = loop {
            if let Some(ended) = spare((&small, &large), &pair, &mut returns, now) {
                break ended;
            }
            now += ms(100);
            for link in pair.values_mut() {
                let age = now - link.since;
                if age.as_millis().is_multiple_of(5_000) {
                    link.heard = now;
                }
            }
        };
        let stays = if ended == id(0) { id(1) } else { id(0) };
        exchanges += usize::from(ended == id(0));
        kept = pair.remove(&stays).unwrap();
        since = kept.since;
    }
    assert_eq!(exchanges, 2, "in {:?}", now - start);
    assert_eq!(since, start + ms(3_000), "the machine of the second exchange stays");
}

/// One machine that is killed and comes back again and again is let in each time, if later: its old connection is dead.
#[test]
fn a_peer_that_comes_back_three_times_in_a_minute_is_let_in_when_its_old_connection_has_proven_dead() {
    let (small, large) = pair();
    let start = Instant::now();
    let mut returns = Returns::default();
    let mut kept = Link::new(Direction::In, Multiaddr::empty(), start);
    for (number, wait) in [0, 0, 10_000, 10_000].into_iter().enumerate() {
        let came = start + ms(12_000) * u32::try_from(number + 1).unwrap();
        let mut young = Link::new(Direction::In, Multiaddr::empty(), came);
        young.heard = came + ms(1);
        let pair = BTreeMap::from([(id(0), kept), (id(1), young.clone())]);
        let mut asked = |after| spare((&small, &large), &pair, &mut returns, came + ms(after));
        if wait > 0 {
            assert_eq!(asked(wait - 1), None);
        }
        assert_eq!(asked(wait), Some(id(0)), "return {number}");
        kept = young;
    }
}

/// An event in the model, at one end, for one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happens {
    Stands,
    Ping,
    Answer,
    Closed,
    Tick,
}

struct End {
    peer: PeerId,
    links: BTreeMap<ConnectionId, Link>,
    returns: Returns,
}

/// The state of the model: two ends, two connections, and the messages under way.
struct Model {
    rng: Rng,
    start: Instant,
    ends: [End; 2],
    /// A connection that carries nothing.
    dead: Option<usize>,
    agenda: std::collections::BTreeSet<(u64, u64, usize, usize, Happens)>,
    count: u64,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut peers = [PeerId::random(), PeerId::random()];
        peers.sort();
        if rng.below(2) == 0 {
            peers.reverse();
        }
        let end = |peer| End {
            peer,
            links: BTreeMap::new(),
            returns: Returns::default(),
        };
        let mut model = Self {
            rng,
            start: Instant::now(),
            ends: peers.map(end),
            dead: None,
            agenda: std::collections::BTreeSet::new(),
            count: 0,
        };
        model.draw();
        model
    }

    /// Connection 0 is dialled by end 0 and connection 1 by end 1, in any order and up to three seconds apart. In one of
    /// three worlds one of them is dead; perhaps one end does not even know of it, as it was started anew.
    fn draw(&mut self) {
        let mut made = [self.rng.below(3_000), self.rng.below(3_000)];
        if self.rng.below(2) == 0 {
            made[1] = made[0] + self.rng.below(300);
        }
        if self.rng.below(3) == 0 {
            let older = usize::from(made[1] < made[0]);
            let are_mutual = made[0].abs_diff(made[1]) < 700;
            let younger_may_be = are_mutual && self.rng.below(2) == 0;
            self.dead = Some(if younger_may_be { 1 - older } else { older });
        }
        let unknown_at = self.rng.below(3);
        for (link, at) in made.into_iter().enumerate() {
            for end in 0..2 {
                let is_unknown = self.dead == Some(link) && u64::try_from(end) == Ok(unknown_at);
                let late = self.rng.below(200);
                if !is_unknown {
                    self.add(at + late, end, link, Happens::Stands);
                }
            }
        }
        for end in 0..2 {
            let first = self.rng.below(100);
            self.add(first, end, 0, Happens::Tick);
        }
    }

    fn add(&mut self, at: u64, end: usize, link: usize, happens: Happens) {
        // Of two things at one instant either may come first.
        let order = self.rng.next_u64();
        self.agenda.insert((at, order, end, link, happens));
    }

    fn run(&mut self, until: u64) {
        while let Some((at, _, end, link, happens)) = self.agenda.pop_first() {
            if at > until {
                return;
            }
            self.happens(at, end, link, happens);
        }
    }

    fn happens(&mut self, at: u64, end: usize, link: usize, happens: Happens) {
        let now = self.start + ms(at);
        let lives = self.dead != Some(link) && self.ends[1 - end].links.contains_key(&id(link));
        let delay = self.rng.below(400);
        let is_known = self.ends[end].links.contains_key(&id(link));
        match happens {
            Happens::Stands => {
                let direction = if end == link { Direction::Out } else { Direction::In };
                let made = Link::new(direction, Multiaddr::empty(), now);
                self.ends[end].links.insert(id(link), made);
                self.add(at, end, link, Happens::Ping);
                self.decide(at, end);
            }
            Happens::Ping if lives => self.add(at + delay, end, link, Happens::Answer),
            // The other end does not know of it yet.
            Happens::Ping if is_known && self.dead != Some(link) => self.add(at + 20, end, link, Happens::Ping),
            Happens::Answer if is_known => {
                self.ends[end].links.get_mut(&id(link)).unwrap().heard = now;
                self.add(at + 5_000, end, link, Happens::Ping);
            }
            Happens::Closed => drop(self.ends[end].links.remove(&id(link))),
            Happens::Tick => {
                self.decide(at, end);
                self.add(at + 100, end, link, Happens::Tick);
            }
            Happens::Ping | Happens::Answer => {}
        }
    }

    fn decide(&mut self, at: u64, end: usize) {
        let (local, remote) = (self.ends[end].peer, self.ends[1 - end].peer);
        let one = &mut self.ends[end];
        let now = self.start + ms(at);
        let Some(ended) = spare((&local, &remote), &one.links, &mut one.returns, now) else {
            return;
        };
        one.links.get_mut(&ended).unwrap().ending = true;
        self.count += 1;
        let link = usize::from(ended == id(1));
        let (here, there) = (self.rng.below(300), self.rng.below(400));
        self.add(at + here, end, link, Happens::Closed);
        if self.dead != Some(link) {
            self.add(at + there, 1 - end, link, Happens::Closed);
        }
    }
}

#[test]
fn adv_w28_a_thousand_mutual_dials_in_every_order_end_with_one_living_connection_at_both_ends() {
    for seed in 0..1_000 {
        let mut model = Model::new(seed);
        model.run(30_000);
        let left = model
            .ends
            .each_ref()
            .map(|end| end.links.keys().copied().collect::<Vec<_>>());
        assert_eq!(left[0], left[1], "seed {seed}");
        assert_eq!(left[0].len(), 1, "seed {seed}: {left:?}");
        let dead = model.dead.map(id);
        assert_ne!(left[0].first().copied(), dead, "seed {seed}");
        assert!(model.count <= 2, "seed {seed}: {} were ended", model.count);
    }
}
