//! Small files and addresses: what people or other nodes may have written.

use std::path::Path;

use super::naive;
use crate::chain::{NetworkParams, Recipients};
use crate::store::folder::check_network_file;
use crate::store::{addresses, key};
use crate::testing::twin::layout;
use crate::types::address::ADDRESS_MAX_BYTES;
use crate::types::text::without_mark;
use crate::types::{Address, Height, PublicKey, SecretKey, WallTime};

pub(super) fn key_file(input: &[u8]) {
    let read = key::parse(input);
    let digits = without_mark(input).trim_ascii();
    let fits = digits.len() == 64 && digits.iter().all(u8::is_ascii_hexdigit);
    assert_eq!(read.is_ok(), fits);
    if let Ok(secret) = read {
        let written = hex::encode(*secret.seed());
        assert_eq!(written.as_bytes(), digits.to_ascii_lowercase());
        let public: PublicKey = secret.public();
        assert_eq!(PublicKey::from_bytes(*public.as_bytes()), Ok(public));
        assert!(public.verify(b"x", &secret.sign(b"x")));
        assert!(!format!("{secret:?}").contains(&written));
    }
}

pub(super) fn address_file(input: &[u8]) {
    let Some((peer, list)) = addresses::parse(input) else {
        return;
    };
    let text = core::str::from_utf8(input).unwrap();
    assert!(list.len() < text.lines().count());
    // What was read is read again from what a node would write of it.
    let lines: String = list
        .iter()
        .map(|address| format!("{}\n", address.with_peer(&peer)))
        .collect();
    assert_eq!(
        addresses::parse(format!("{peer}\n{lines}").as_bytes()),
        Some((peer, list))
    );
}

pub(super) fn network_file(input: &[u8]) {
    let params = NetworkParams::dev();
    let folder = Path::new("folder");
    let said = check_network_file(folder, input, &params);
    let text = String::from_utf8_lossy(input);
    let lines: Vec<&str> = text.lines().collect();
    let id = params.network_id().to_string();
    let format = lines.first().and_then(|line| line.strip_prefix("lanchain "));
    let code = match (format.map(str::parse::<u32>), lines.as_slice()) {
        (Some(Ok(3..)), _) => "newer_format",
        (Some(Ok(1..)), [_, _, third, ..]) if *third == id => "",
        (Some(Ok(1..)), [_, _, _, ..]) => "other_network",
        (_, _) => "damaged",
    };
    match said {
        Ok(()) => assert_eq!(code, ""),
        Err(error) => {
            assert_eq!(error.code(), code, "{error}");
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
    }
}

pub(super) fn network_toml(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let params = match NetworkParams::from_toml(&text) {
        Ok(params) => params,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!((100..=86_400_000).contains(&params.spacing_ms));
    assert!((1_000..=17_970_574).contains(&params.halflife_ms));
    assert!(params.credit_limit <= 1_000_000 && params.genesis_time_ms < 1 << 53);
    // Names of networks follow the rule of accounts, without reserved words.
    let is_word = |text: &str| layout::is_name(text.as_bytes()) || ["me", "coinbase"].contains(&text);
    assert!(is_word(&params.name) && (params.salt.is_empty() || is_word(&params.salt)));
    let word = |value: String| value.to_lowercase();
    let written = format!(
        "name = \"{}\"\nsalt = \"{}\"\nspacing_ms = {}\nhalflife_ms = {}\ncredit_limit = {}\ndifficulty = \"{}\"\n\
         recipients = \"{}\"\ngenesis_time_ms = {}\n\
         block_bytes_max = {}\nnew_accounts_max = {}\nreward = {}\n",
        params.name,
        params.salt,
        params.spacing_ms,
        params.halflife_ms,
        params.credit_limit,
        word(format!("{:?}", params.difficulty)),
        word(format!("{:?}", params.recipients)),
        params.genesis_time_ms,
        params.block_bytes_max,
        params.new_accounts_max,
        params.reward,
    );
    assert_eq!(NetworkParams::from_toml(&written), Ok(params.clone()));
    let bytes = params.canonical_bytes();
    assert_eq!(
        bytes.len(),
        19 + 2 + params.name.len() + params.salt.len() + 8 + 4 + 8 + 1 + 1 + 4 * 8
    );
    let genesis = params.genesis();
    assert_eq!(*genesis.previous.as_bytes(), naive::sha256(&bytes));
    assert_eq!(*params.network_id().as_bytes(), naive::sha256(&genesis.to_bytes()));
    assert_eq!(
        (genesis.height, genesis.time),
        (Height::GENESIS, WallTime::from_ms(params.genesis_time_ms))
    );
    // The rules can be applied: there is a target at the floor, and bits for any time.
    assert!(genesis.bits.target(params.halflife_ms).is_some());
    for time in [0, params.genesis_time_ms, u64::MAX] {
        let bits = params.required_bits(&genesis, WallTime::from_ms(time));
        assert!(bits >= genesis.bits);
    }
    let other = NetworkParams {
        recipients: match params.recipients {
            Recipients::Anyone => Recipients::Owned,
            Recipients::Owned => Recipients::Anyone,
        },
        ..params.clone()
    };
    assert_ne!(other.network_id(), params.network_id());
}

pub(super) fn address(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let listening = Address::parse_listen(&text);
    match Address::parse(&text) {
        Ok((address, peer)) => {
            assert!(address.as_str().len() <= ADDRESS_MAX_BYTES);
            assert_eq!(Address::parse(address.as_str()), Ok((address.clone(), None)));
            let whole = address.with_peer(&peer.unwrap_or_else(|| SecretKey::from_seed([1; 32]).public().peer_id()));
            assert!(whole.starts_with(address.as_str()));
            let (again, named) = Address::parse(&whole).unwrap();
            assert_eq!(again, address);
            assert!(peer.is_none_or(|peer| named == Some(peer)));
            assert!(!address.is_loopback() || address.is_private());
            assert!(!has_port_0(&address));
            assert_eq!(listening.is_ok(), peer.is_none() && address.ip().is_some());
            assert!(!address.as_str().contains(char::is_control), "{address:?}");
        }
        Err(error) => {
            assert!(error.0.chars().count() <= 64);
            // Only a port of 0 is listened on and not dialled.
            assert!(listening.is_err() || listening.is_ok_and(|address| has_port_0(&address)));
        }
    }
}

fn has_port_0(address: &Address) -> bool {
    address.as_str().ends_with("/0") || address.as_str().ends_with("/0/quic-v1")
}
