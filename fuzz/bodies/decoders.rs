//! What is hashed or signed: decoded by this crate and by a twin, and encoded again.

use super::bytes::Bytes;
use super::naive;
use crate::chain::header::HEADER_BYTES;
use crate::chain::{Block, BlockError, Header, NetworkParams, Transaction};
use crate::testing::twin::layout;
use crate::types::key::{PublicKey, verify_batch};
use crate::types::layout::Reader;
use crate::types::{Account, AccountName, SecretKey, Signature, WallTime};

pub(super) fn header(input: &[u8]) {
    let mut reader = Reader::new(input);
    let Ok(header) = Header::read(&mut reader) else {
        assert!(input.len() < HEADER_BYTES);
        return;
    };
    assert_eq!(reader.rest().len(), input.len() - HEADER_BYTES);
    let bytes = header.to_bytes();
    assert_eq!(bytes, input[..HEADER_BYTES]);
    assert_eq!(Header::from_bytes(&bytes), header);
    assert_eq!(*header.hash().as_bytes(), naive::sha256(&bytes));
    assert_eq!(header.nonce.to_be_bytes(), input[88..96]);
    // What follows is a parent: a header that passes beside it passes each rule alone.
    let mut rest = Bytes::new(reader.rest());
    let params = if rest.one_in(2) {
        NetworkParams::lan()
    } else {
        NetworkParams::dev()
    };
    let mut parent = Header::from_bytes(&rest.array());
    if rest.one_in(2) {
        parent = params.genesis();
    }
    let mut child = header;
    if rest.one_in(2) {
        child.previous = parent.hash();
        child.height = parent.height.next();
        child.version = 1;
    }
    if rest.one_in(2) {
        child.time = parent.time.after_ms(rest.u32().into());
        child.bits = params.required_bits(&parent, child.time);
    }
    let said = child.check_after(&parent, &params).map_err(|error| error.code());
    // At the end of the range of heights a child has its parent's: no chain reaches it.
    if parent.height.get() < u64::MAX {
        assert_eq!(said, expected_of(&child, &parent, &params));
    }
    let (clock, ahead) = (WallTime::from_ms(rest.u64()), child.time.ms());
    assert_eq!(
        child.check_clock(clock).is_ok(),
        ahead <= clock.ms().saturating_add(120_000)
    );
}

/// The rules in their order (`proto-notes/consensus.md`, "Header rules").
fn expected_of(child: &Header, parent: &Header, params: &NetworkParams) -> Result<(), &'static str> {
    let met = |target: crate::types::Target| naive::sha256(&child.to_bytes()) < *target.as_bytes();
    match child.bits.target(params.halflife_ms) {
        _ if child.version != 1 => Err("bad_version"),
        _ if *child.previous.as_bytes() != naive::sha256(&parent.to_bytes()) => Err("not_linked"),
        _ if child.height.get() != parent.height.get() + 1 => Err("bad_height"),
        _ if child.time < parent.time => Err("time_too_old"),
        _ if child.bits != params.required_bits(parent, child.time) => Err("bad_target"),
        None => Err("bad_target"),
        Some(target) => met(target).then_some(()).ok_or("bad_proof_of_work"),
    }
}

pub(super) fn transaction(input: &[u8]) {
    let mut reader = Reader::new(input);
    let read = Transaction::read(&mut reader);
    let size = input.len() - reader.rest().len();
    assert_eq!(
        read.as_ref().ok().map(|_| size),
        layout::first_transaction(input).ok().map(|tx| tx.raw().len()),
        "{read:?}"
    );
    assert_eq!(
        Transaction::from_bytes(input).is_ok(),
        read.is_ok() && size == input.len()
    );
    match read {
        Ok(transaction) => {
            let bytes = transaction.to_bytes();
            assert_eq!(bytes, input[..size]);
            assert_eq!(
                *transaction.txid().as_bytes(),
                naive::sha256(&[&[0], &bytes[..]].concat())
            );
            check_signed(&transaction, &bytes);
        }
        Err(error) => assert!(!error.code().is_empty() && !error.to_string().is_empty()),
    }
}

/// What is signed names the network and covers everything before the signature.
fn check_signed(transaction: &Transaction, bytes: &[u8]) {
    let network = NetworkParams::dev().network_id();
    let Some((key, message, signature)) = transaction.signature_item(&network) else {
        assert!(transaction.signer().is_none() && transaction.sequence().is_none());
        return;
    };
    let (unsigned, last) = bytes.split_at(bytes.len() - 64);
    assert_eq!(signature.0, last);
    let expected = [b"lanchain transaction 1\n", &network.as_bytes()[..], unsigned].concat();
    assert_eq!(message, expected);
    assert_eq!(transaction.signer(), Some(key));
    assert_eq!(
        transaction.check_signature(&network).is_ok(),
        key.verify(&message, &signature)
    );
}

pub(super) fn block(input: &[u8]) {
    let read = Block::from_bytes(input);
    let parts = layout::parse_block(input);
    assert_eq!(read.is_ok(), parts.is_ok(), "{:?}", read.err());
    let (Ok(block), Ok(parts)) = (read, parts) else {
        return;
    };
    assert_eq!(block.to_bytes(), input);
    assert_eq!(Block::header_of(input).as_ref(), Ok(&block.header));
    assert_eq!(*block.hash().as_bytes(), naive::sha256(&input[..96]));
    let leaves: Vec<[u8; 32]> = parts
        .iter()
        .map(|part| naive::sha256(&[&[0], part.raw()].concat()))
        .collect();
    let ids: Vec<[u8; 32]> = block.txids().iter().map(|id| *id.as_bytes()).collect();
    assert_eq!(ids, leaves);
    let root_fits = *block.header.merkle_root.as_bytes() == layout::merkle_root(&leaves);
    let checked = block.check(&NetworkParams::dev(), &[9; 32]);
    assert_eq!(matches!(checked, Err(BlockError::BadMerkleRoot { .. })), !root_fits);
}

pub(super) fn account(input: &[u8]) {
    let mut reader = Reader::new(input);
    let read = Account::read(&mut reader);
    let size = input.len() - reader.rest().len();
    assert_eq!(
        read.as_ref().ok().map(|_| size),
        layout::account_size(input),
        "{read:?}"
    );
    if let Ok(account) = read {
        let mut bytes = Vec::new();
        account.write(&mut bytes);
        assert_eq!(bytes, input[..size]);
        if let Account::Key(key) = account {
            assert_eq!(PublicKey::from_peer_id(&key.peer_id()), Ok(key));
            assert!(account.to_string().starts_with("12D3KooW"));
        }
    }
    let text = String::from_utf8_lossy(input);
    let named = AccountName::new(&text);
    assert_eq!(named.is_ok(), layout::is_name(text.as_bytes()), "{named:?}");
    if let Ok(peer) = text.trim().parse::<crate::types::PeerId>()
        && let Ok(key) = PublicKey::from_peer_id(&peer)
    {
        assert_eq!(key.peer_id(), peer);
    }
}

pub(super) fn gossip_block(input: &[u8]) {
    let Ok(mut block) = Block::from_bytes(input) else {
        return;
    };
    let params = NetworkParams::dev();
    let network = params.network_id();
    block.header.merkle_root = crate::chain::merkle::root(&block.txids());
    let checked = block.check(&params, &[5; 32]);
    let rewards = block
        .transactions
        .iter()
        .filter(|tx| matches!(tx, Transaction::Reward(_)))
        .count();
    let first_fits = match block.transactions.first() {
        Some(Transaction::Reward(reward)) => reward.height == block.header.height,
        Some(Transaction::Transfer(_) | Transaction::Claim(_)) | None => false,
    };
    let signed = block.transactions.iter().all(|tx| tx.check_signature(&network).is_ok());
    assert_eq!(checked.is_ok(), rewards == 1 && first_fits && signed, "{checked:?}");
    // Another secret gives the same verdict.
    assert_eq!(block.check(&params, &[6; 32]), checked);
}

/// Small keys and messages, some of them signed well, some spoilt: alone and together the verdicts agree.
pub(super) fn signature(input: &[u8]) {
    let mut bytes = Bytes::new(input);
    let mut items: Vec<(PublicKey, Vec<u8>, Signature)> = Vec::new();
    while !bytes.is_empty() && items.len() < 6 {
        let way = bytes.u8();
        let secret = SecretKey::from_seed([way % 4; 32]);
        let message = bytes.take(usize::from(way / 16)).to_vec();
        let mut signature = secret.sign(&message);
        let mut key = secret.public();
        match way % 8 {
            // As it is.
            0..=3 => {}
            4 => signature.0[usize::from(bytes.u8()) % 64] ^= bytes.u8(),
            5 => signature = Signature(bytes.array()),
            6 => {
                let raw: [u8; 32] = bytes.array();
                let parsed = PublicKey::from_bytes(raw);
                assert_eq!(parsed.is_ok(), layout::is_key(&raw), "{parsed:?}");
                key = parsed.unwrap_or(key);
            }
            // A point of small order as R: the cofactor removes it, so both ways must say the same.
            _ => {
                signature.0[..32].fill(0);
                signature.0[0] = bytes.u8() % 2;
            }
        }
        items.push((key, message, signature));
    }
    let alone = items
        .iter()
        .all(|(key, message, signature)| key.verify(message, signature));
    for secret in [[1; 32], [2; 32]] {
        assert_eq!(verify_batch(&secret, &items), alone, "{items:?}");
    }
}
