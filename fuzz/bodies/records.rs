//! Keys and values of the chain file: what decodes encodes to the same bytes, and what is wrong is "damaged".

use super::bytes::Bytes;
use super::naive;
use crate::chain::StoreError;
use crate::store::records;
use crate::testing::twin::layout;
use crate::types::{BlockHash, PublicKey};

/// An error must be of the kind that a bad record is.
fn damaged<T>(read: Result<T, StoreError>) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(StoreError::Damaged(reason)) => {
            assert!(!reason.is_empty());
            None
        }
        Err(error @ (StoreError::Full | StoreError::Io(_))) => panic!("no disk is near: {error}"),
    }
}

pub(super) fn records(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let way = bytes.u8() % 10;
    let rest = bytes.rest();
    match way {
        0 => block(rest),
        1 => account_key(rest),
        2 => state(rest),
        3 => {
            let state = damaged(records::beside_bytes(rest)).map(|state| state.map(records::state));
            if let Some(None | Some(Ok(_))) = state {
                let state = state.flatten().transpose().unwrap();
                assert_eq!(records::beside_value(state.as_ref()), rest);
            }
        }
        4 => {
            let mark = damaged(records::mark(rest));
            assert_eq!(mark.is_some(), rest.len() == 40);
            assert!(mark.is_none_or(|(height, hash)| records::mark_value(height, &hash) == rest));
        }
        5 => {
            let height = damaged(records::height(rest));
            assert_eq!(
                height.map(records::height_key).as_ref().map(|key| &key[..]),
                (rest.len() == 8).then_some(rest)
            );
        }
        6 => {
            let own = damaged(records::own(rest));
            assert_eq!(own.is_some(), rest.len() >= 8);
            assert!(own.is_none_or(|(number, bytes)| records::own_value(number, &bytes) == rest));
        }
        7 => peer(rest),
        8 => old_spot(rest),
        _ => prefix(rest),
    }
}

fn block(rest: &[u8]) {
    let hash = BlockHash::new(naive::sha256(&rest[..rest.len().min(96)]));
    let read = damaged(records::block(&hash, rest));
    assert_eq!(read.is_some(), rest.len() == 136);
    if let Some(block) = read {
        assert_eq!(records::block_value(&block), rest);
        assert!(damaged(records::block(&BlockHash::ZERO, rest)).is_none());
    }
    let read = damaged(records::hash("hash", rest));
    assert_eq!(read.as_ref().map(|hash| &hash[..]), (rest.len() == 32).then_some(rest));
}

fn account_key(rest: &[u8]) {
    let read = damaged(records::account(rest));
    let fits = match rest.split_first() {
        Some((1, name)) => layout::is_name(name),
        Some((2, key)) => layout::is_key(key),
        Some(_) | None => false,
    };
    assert_eq!(read.is_some(), fits);
    if let Some(account) = read {
        assert_eq!(records::account_key(&account), rest);
    }
}

fn state(rest: &[u8]) {
    let read = damaged(records::state(rest));
    let fits = match rest.get(16..).and_then(<[u8]>::split_first) {
        Some((0, [])) => true,
        Some((1, key)) => layout::is_key(key),
        Some(_) | None => false,
    };
    assert_eq!(read.is_some(), fits);
    if let Some(state) = read {
        assert_eq!(records::state_value(&state), rest);
    }
}

fn peer(rest: &[u8]) {
    let mut bytes = Bytes::new(rest);
    let key = bytes.string();
    let value = bytes.rest();
    if let Some((peer, addresses)) = damaged(records::peer(key, value)) {
        assert_eq!(peer.to_bytes(), key);
        // Addresses are kept in their shortest form; that one is read as it is.
        let written = records::addresses_value(&addresses);
        assert_eq!(records::peer(key, &written), Ok((peer, addresses)));
        if let Ok(key) = PublicKey::from_peer_id(&peer) {
            assert_eq!(key.peer_id(), peer);
        }
    }
}

/// As an earlier version wrote it.
fn old_spot(rest: &[u8]) {
    let (key, value) = rest.split_at(rest.len().saturating_sub(12));
    let read = damaged(records::old_spot(key, value));
    assert_eq!(read.is_some(), rest.len() == 52);
    if let Some(spot) = read {
        assert_eq!(&spot.block[..], &key[32..]);
        let place = spot.place;
        assert_eq!(
            [&place.height.get().to_be_bytes()[..], &place.index.to_be_bytes()].concat(),
            value
        );
    }
}

fn prefix(rest: &[u8]) {
    let text = String::from_utf8_lossy(rest);
    let range = records::prefix_range(&text);
    let fits = text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert_eq!(range.is_some(), fits, "{text:?}");
    if let Some((first, last)) = range {
        let text = text.to_ascii_lowercase();
        assert!(first <= last && hex::encode(first).starts_with(&text) && hex::encode(last).starts_with(&text));
    }
}
