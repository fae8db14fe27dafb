//! What peers claim and which headers they show: whom it moves, and what a lie costs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::kit::mine;
use super::sync::{branch, branches, gossip, orphan};
use super::world::World;
use crate::chain::{Block, Header, NetworkParams, Transaction};
use crate::contract::{Command, Event, Reply};
use crate::engine::{Input, NetFact, Verdict};
use crate::testing::blocks::whole;
use crate::testing::statuses::boast;
use crate::types::{Account, AccountName, Amount, BlockHash, SecretKey};
use crate::wire::{Request, Response, Status};

/// What a stranger was asked.
#[derive(Default)]
pub(super) struct Asked {
    pub(super) headers: Cell<u32>,
    pub(super) blocks: Cell<u32>,
}

/// Lets a node tell a lie of itself, and answer for headers what `show` says; none: the truth.
pub(super) fn stranger(
    world: &mut World,
    node: usize,
    lie: Option<Status>,
    mut show: impl FnMut(u32, &[[u8; 32]]) -> Option<Vec<[u8; 96]>> + 'static,
) -> Rc<Asked> {
    let asked = Rc::new(Asked::default());
    let seen = Rc::clone(&asked);
    world.nodes[node].lie = lie;
    world.nodes[node].script = Some(Box::new(move |request| match request {
        Request::GetHeaders { locator } => {
            seen.headers.set(seen.headers.get() + 1);
            show(seen.headers.get(), locator).map(Response::Headers)
        }
        Request::GetBlocks { .. } => {
            seen.blocks.set(seen.blocks.get() + 1);
            None
        }
        Request::Status(_) | Request::GetPending { .. } | Request::GetPeers | Request::GetTransactions { .. } => None,
    }));
    asked
}

/// Why peers were banned by node 0.
pub(super) fn bans(world: &World) -> String {
    let told = world.nodes[0].events.iter().filter_map(|event| match event {
        Event::Warning {
            code: "peer_banned",
            message,
        } => Some(message.as_str()),
        _ => None,
    });
    told.collect::<Vec<_>>().join("\n")
}

/// A payment that no ledger allows.
pub(super) fn overdraft(params: &NetworkParams) -> Transaction {
    let name = |text| Account::Name(AccountName::new(text).unwrap());
    let parties = (name("eve"), name("bob"), None);
    let amount = Amount::new(5_000).unwrap();
    Transaction::transfer(
        &params.network_id(),
        &SecretKey::from_seed([50; 32]),
        parties,
        amount,
        0,
    )
    .unwrap()
}

fn tell_status(world: &mut World, status: Status) {
    let fact = NetFact::Request {
        token: u64::MAX,
        peer: world.nodes[1].peer,
        request: Request::Status(status),
    };
    world.tell(0, Input::Net(fact));
}

fn resolve(world: &mut World) -> (bool, String) {
    match world.ask(0, Command::Resolve).unwrap() {
        Reply::Resolved { replaced, message, .. } => (replaced, message),
        other => panic!("{other:?}"),
    }
}

#[test]
fn ancestor_fault_claimed_work_is_not_believed() {
    let mut world = World::new(3);
    world.mine(0, 2);
    let mut lie = boast(7, world.now.ms());
    (lie.height, lie.work) = (1_000_000, [0xff; 32]);
    // What it can show is one real block, lighter than what is here.
    let light = branch(&world.params.genesis(), 3, 1)[0].header.to_bytes();
    let asked = stranger(&mut world, 1, Some(lie), move |_, _| Some(vec![light]));
    let tip = world.tip(0);
    world.link(0, 1);
    world.run(50_000);
    assert_eq!(
        (asked.headers.get(), asked.blocks.get()),
        (1, 0),
        "asked once to show it"
    );
    let status = world.nodes[0].engine.status();
    assert_eq!((status.tip, status.syncing, status.peers), (tip, false, 1));
    assert_eq!(resolve(&mut world), (false, "Our chain is authoritative".to_owned()));
    assert_eq!(
        (asked.headers.get(), asked.blocks.get()),
        (2, 0),
        "the user wants it asked again"
    );
    assert_eq!(world.peers(0), 0, "the second lie ends the connection");
    let moved = |event: &Event| {
        matches!(
            event,
            Event::SyncStarted { .. } | Event::BlockStored { .. } | Event::Reorganized { .. }
        )
    };
    assert_eq!((world.tip(0), world.count(0, moved)), (tip, 0));
    world.mine(2, 4);
    world.link(0, 2);
    world.until(10_000, |world| world.height(0) == 4);
}

#[test]
fn a_claim_that_proved_empty_is_asked_about_again_after_a_minute() {
    let mut world = World::new(2);
    let lie = boast(7, world.now.ms());
    let asked = stranger(&mut world, 1, Some(lie), |_, _| Some(Vec::new()));
    world.link(0, 1);
    world.run(59_000);
    assert_eq!((asked.headers.get(), world.peers(0)), (1, 1));
    // It would dial again at once.
    world.cut.insert((0, 1));
    world.run(3_000);
    assert_eq!((asked.headers.get(), world.peers(0)), (2, 0));
}

#[test]
fn a_new_claim_is_followed_at_once_though_the_last_one_led_nowhere() {
    let mut world = World::new(2);
    let lie = boast(7, world.now.ms());
    let asked = stranger(&mut world, 1, Some(lie), |_, _| Some(Vec::new()));
    world.nodes[0].deaf = true;
    world.link(0, 1);
    world.run(1_000);
    assert_eq!((asked.headers.get(), world.peers(0)), (1, 1));
    (world.nodes[1].lie, world.nodes[1].script) = (None, None);
    world.mine(1, 3);
    world.until(10_000, |world| world.height(0) == 3);
}

#[test]
fn adv_s11_three_empty_pages_in_a_row_end_the_connection_whatever_is_claimed_meanwhile() {
    let mut world = World::new(2);
    world.mine(0, 2);
    // The third page holds something: the count begins anew.
    let light = branch(&world.params.genesis(), 3, 1)[0].header.to_bytes();
    let asked = stranger(&mut world, 1, None, move |page, _| {
        Some(if page == 3 { vec![light] } else { Vec::new() })
    });
    world.link(0, 1);
    world.run(100);
    for page in 1..=6 {
        assert_eq!(world.peers(0), 1, "before page {page}");
        let [first, second] = [2 * page, 2 * page + 1].map(|tip| boast(u8::try_from(tip).unwrap(), world.now.ms()));
        tell_status(&mut world, first);
        assert_eq!(asked.headers.get(), page);
        // Before the answer: so the first claim is not known to be a lie, and costs nothing by itself.
        tell_status(&mut world, second);
        world.run(10);
    }
    assert_eq!(world.peers(0), 0, "{:?}", world.nodes[0].log);
    assert_eq!(bans(&world), "");
}

#[test]
fn adv_s09_s10_a_page_that_breaks_a_rule_is_refused_whole_and_its_sender_banned() {
    let (dev, lan) = (NetworkParams::dev(), NetworkParams::lan());
    let ours: Vec<Header> = branch(&dev.genesis(), 1, 3)
        .into_iter()
        .map(|block| block.header)
        .collect();
    let other = branch(&dev.genesis(), 2, 1)[0].header.clone();
    let unproven = Header {
        nonce: ours[1].nonce + 1,
        ..ours[1].clone()
    };
    let long = orphan(&lan, (101, 1_000_000, 0)).header;
    let cases = [
        (
            &dev,
            vec![ours[0].clone(), ours[1].clone(), other],
            "do not follow each other",
        ),
        (&dev, vec![ours[0].clone(), ours[2].clone()], "do not follow each other"),
        (&dev, vec![ours[1].clone()], "follow nothing that was asked for"),
        (&dev, vec![ours[0].clone(), unproven], "does not meet the target"),
        (&lan, vec![long], "at most 100 blocks"),
    ];
    for (params, page, words) in cases {
        let mut world = World::with(2, params.clone(), |_| {});
        let page: Vec<[u8; 96]> = page.iter().map(Header::to_bytes).collect();
        let lie = boast(7, world.now.ms());
        let asked = stranger(&mut world, 1, Some(lie), move |_, _| Some(page.clone()));
        world.link(0, 1);
        world.run(1_000);
        assert!(bans(&world).contains(words), "{words}: {}", bans(&world));
        assert_eq!((asked.headers.get(), asked.blocks.get()), (1, 0), "{words}");
        assert_eq!((world.height(0), world.peers(0)), (0, 0), "{words}");
    }
}

#[test]
fn adv_s25_nothing_is_fetched_of_a_branch_over_a_block_that_is_known_to_be_invalid() {
    for (claimed, pages) in [(0, 0), (1, 1)] {
        let mut world = World::new(3);
        let bad = mine(
            &world.params,
            &world.params.genesis(),
            10,
            1,
            vec![overdraft(&world.params)],
        );
        let child = mine(&world.params, &bad.header, 10, 1, Vec::new());
        world.link(0, 1);
        world.run(100);
        assert_eq!(gossip(&mut world, whole(&bad)), Verdict::Accept, "its header is right");
        world.run(10);
        let mut lie = boast(7, world.now.ms());
        lie.tip = *[&bad, &child][claimed].hash().as_bytes();
        let page = vec![bad.header.to_bytes(), child.header.to_bytes()];
        let asked = stranger(&mut world, 2, Some(lie), move |_, _| Some(page.clone()));
        world.link(0, 2);
        world.run(1_000);
        assert_eq!((asked.headers.get(), asked.blocks.get()), (pages, 0));
        assert_eq!(bans(&world).contains("which is invalid"), pages > 0);
        // The claim of an invalid tip alone is what a newcomer could repeat.
        assert_eq!(world.peers(0), 1 + u64::from(pages == 0));
    }
}

#[test]
fn who_has_less_or_what_is_stored_here_is_not_asked() {
    let mut world = World::new(2);
    world.mine(0, 2);
    let mut lie = boast(7, world.now.ms());
    lie.tip = *world.tip(0).as_bytes();
    let mut less = boast(8, world.now.ms());
    less.work = [0; 32];
    less.work[29] = 1;
    for status in [lie, less] {
        let asked = stranger(&mut world, 1, Some(status), |_, _| None);
        world.link(0, 1);
        world.run(15_000);
        assert_eq!((asked.headers.get(), world.peers(0)), (0, 1));
        world.unlink(0, 1);
    }
}

#[test]
fn what_was_fetched_of_a_long_branch_is_not_lost_with_its_source() {
    let [shared, left, right] = branches();
    let mut world = World::new(3);
    // The first page of the other branch alone is no better: it must be measured.
    world.give(0, &[&shared[..], left].concat());
    for node in 1..3 {
        world.give(node, &[&shared[..], right].concat());
    }
    world.nodes[0].engine.sync.headers_kept_max = 512;
    let first = stranger(&mut world, 1, None, |_, _| None);
    let stands_on: Rc<RefCell<Vec<BlockHash>>> = Rc::default();
    let seen = Rc::clone(&stands_on);
    stranger(&mut world, 2, None, move |_, locator| {
        seen.borrow_mut().push(BlockHash::new(locator[0]));
        None
    });
    world.link(0, 1);
    world.until(1_000, |_| first.headers.get() == 1);
    // The first page is on its way, the second will not come.
    world.nodes[1].mute = true;
    world.link(0, 2);
    world.until(1_000, |world| first.headers.get() == 2 && world.peers(0) == 2);
    assert_eq!(*stands_on.borrow(), []);
    world.split(0, 1);
    world.until(500, |_| !stands_on.borrow().is_empty());
    let place = |list: &[Block]| list.iter().position(|block| block.hash() == stands_on.borrow()[0]);
    let places = [&shared[..], left, right].map(place);
    // The last of the first page, which began behind genesis: ten shared blocks, and 502 others.
    assert_eq!(places, [None, None, Some(501)], "it goes on where the first one left");
    let tip = world.tip(2);
    world.until(20_000, |world| world.tip(0) == tip);
}
