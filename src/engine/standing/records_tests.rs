//! What is remembered of those who misbehaved.

use crate::engine::peers::{Consequence, Fault, Peers, RECORDS_MAX};
use crate::types::{PeerId, Time};

fn id(number: usize) -> PeerId {
    let mut key = [3; 32];
    key[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    // Any 32 bytes in an identity multihash will do here.
    PeerId::from_bytes(&[&[0, 0x24, 8, 1, 0x12, 0x20][..], &key].concat()).unwrap()
}

fn at(ms: usize) -> Time {
    Time::from_ms(u64::try_from(ms).unwrap())
}

#[test]
fn a_flood_of_strangers_misdeeds_ends_no_ban() {
    let mut peers = Peers::new();
    for banned in [0, 1] {
        assert_eq!(peers.punish(at(banned), id(banned), Fault::Fatal), Consequence::Ban);
    }
    for number in 2..RECORDS_MAX + 100 {
        peers.punish(at(number), id(number), Fault::Mid);
    }
    assert!((0..2).all(|banned| peers.is_banned(at(RECORDS_MAX + 100), &id(banned))));
    // The oldest records made room, the newest are there: a second mistake ends the connection.
    let newest = RECORDS_MAX + 99;
    let now = at(newest);
    assert_eq!(peers.punish(now, id(newest), Fault::Mid), Consequence::Disconnect);
    assert_eq!(peers.punish(now, id(2), Fault::Mid), Consequence::Keep);
}

#[test]
fn the_fifth_mistake_within_ten_minutes_is_a_ban_after_which_all_is_forgiven() {
    let mut peers = Peers::new();
    use Consequence::{Ban, Disconnect, Keep};
    for consequence in [Keep, Disconnect, Disconnect, Disconnect, Ban] {
        assert_eq!(peers.punish(at(5), id(1), Fault::Mid), consequence);
    }
    let later = at(5 + 3_600_000);
    assert!(!peers.is_banned(later, &id(1)));
    assert_eq!(peers.punish(later, id(1), Fault::Mid), Keep);
}
