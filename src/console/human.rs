//! Replies in words for people, in the field's words.
//!
//! Promises: a control character from a peer is never written. Elsewhere: events (`console::narrate`).
//! Spec: `proto-notes/events.md`, "In words".

use super::look::Look;
use super::zone::Zone;
mod accounts;

use self::accounts::{accounts_reply, balance_reply, whoami_reply};
use crate::contract::{
    BanView, BlockView, CommandError, FoundBy, NameStanding, NodeStatus, PeerView, Reply, TxStatus, TxView,
};
use crate::types::text::is_deceptive;
use crate::types::{AccountName, WallTime};
use core::fmt::Write;

/// How many digits of a hash people see; 16 zero bits leave 8 digits that differ.
const HASH_DIGITS: usize = 12;
/// How many characters of a PeerId people see, from its end, because all begin with `12D3KooW`.
const PEER_DIGITS: usize = 8;
/// The length of a PeerId in characters.
pub(super) const PEER_ID_CHARS: usize = 52;
/// The most characters of a peer's text that people see.
const FOREIGN_MAX: usize = 200;

/// The text with all characters replaced that would move the cursor, or hide or reorder others.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_deceptive(c) {
            safe.extend(c.escape_unicode());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// Makes a text that a peer chose safe: it is escaped and cut to a few lines.
pub(super) fn foreign(text: &str) -> String {
    escape(&text.chars().take(FOREIGN_MAX).collect::<String>())
}

/// The first digits of a hash.
pub(super) fn short(hash: &impl ToString) -> String {
    hash.to_string().chars().take(HASH_DIGITS).collect()
}

/// The last characters of a PeerId.
pub(super) fn short_peer(peer: &str) -> String {
    let safe = foreign(peer);
    let count = safe.chars().count();
    if count <= PEER_DIGITS {
        return safe;
    }
    format!("…{}", safe.chars().skip(count - PEER_DIGITS).collect::<String>())
}

/// Writes a name that a peer gave itself; all such names go through here. A name that another key owns gets a `?`.
pub(super) fn self_named(name: &str, standing: NameStanding) -> String {
    let name = foreign(name);
    match standing {
        NameStanding::Proven | NameStanding::Said => name,
        NameStanding::Taken => format!("{name}?"),
    }
}

/// A name in a list, in parentheses and with a `?` if it is not proven.
fn listed(name: Option<&AccountName>, is_proven: bool) -> String {
    match name {
        Some(name) if is_proven => self_named(name.as_str(), NameStanding::Proven),
        Some(name) => format!("({})", self_named(name.as_str(), NameStanding::Taken)),
        None => "-".to_owned(),
    }
}

/// An address without the PeerId at its end, because the PeerId is shown beside it.
pub(super) fn place(address: &str) -> String {
    foreign(address.split("/p2p/").next().unwrap_or(address))
}

/// Shortens a PeerId and leaves a name as it is.
pub(super) fn short_account(account: &str) -> String {
    if account.len() > crate::types::account::NAME_MAX_BYTES {
        short_peer(account)
    } else {
        foreign(account)
    }
}

pub(super) fn coins(count: impl Into<i128>) -> String {
    let count = count.into();
    if count == 1 {
        "1 coin".to_owned()
    } else {
        format!("{count} coins")
    }
}

/// A text with its PeerIds cut as people read them.
pub(super) fn with_short_ids(text: &str) -> String {
    let cut = |word: &str| {
        let id = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        if id.len() == PEER_ID_CHARS && id.starts_with("12D3KooW") {
            word.replace(id, &short_peer(id))
        } else {
            word.to_owned()
        }
    };
    text.split(' ').map(cut).collect::<Vec<_>>().join(" ")
}

/// A number with its noun: "1 block", "2 blocks".
pub(super) fn many(count: impl TryInto<u64>, what: &str) -> String {
    let count: u64 = count.try_into().unwrap_or(u64::MAX);
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// An error: what is wrong and what the user can type. Input that is not a terminal also gets the number of its line.
#[must_use]
pub fn human_error(line: Option<u64>, error: &CommandError) -> String {
    let message = escape(&with_short_ids(&error.message));
    let hint = escape(&error.hint);
    line.map_or_else(
        || format!("error: {message}\nhint: {hint}"),
        |line| format!("error: line {line}: {message}\nhint: {hint}"),
    )
}

/// The reply of `help` in words.
#[must_use]
pub fn human_help(text: &str) -> String {
    text.to_owned()
}

/// The most mined blocks that are shown in full; more of them get one line each.
const WHOLE_BLOCKS_MAX: usize = 3;

/// The reply of a command in words, with times by the clock of a zone.
#[must_use]
pub fn human_reply(reply: &Reply, zone: Zone) -> String {
    let text = match reply {
        Reply::Tx {
            tx,
            message,
            notice,
            lessons,
            ..
        } => tx_reply(tx, message, notice.iter().chain(lessons)),
        Reply::Mined { .. } => mined_reply(reply, zone),
        Reply::Mining { mining: true } => "mining goes on until `mine off`\n".to_owned(),
        Reply::Mining { mining: false } => "mining is off\n".to_owned(),
        Reply::Chain { length, blocks, .. } => chain_reply(*length, blocks, zone),
        Reply::Block(block) => block_text(block, zone),
        Reply::Transaction { .. } => transaction_reply(reply, zone),
        Reply::Pending { transactions, seen } => pending_reply(transactions, seen, zone),
        Reply::Balance { .. } => balance_reply(reply),
        Reply::Whoami { .. } => whoami_reply(reply),
        Reply::Accounts { total, shown, .. } => accounts_reply(*total, shown),
        Reply::Peers { peers, banned } => peers_reply(peers, banned),
        Reply::Tree { .. }
        | Reply::History(_)
        | Reply::BlockExplained(_)
        | Reply::TransactionExplained(_)
        | Reply::Tampered(_)
        | Reply::Stats(_)
        | Reply::PeerActed(_)
        | Reply::Diagnosis(_) => super::draw::reply(
            reply,
            Look {
                zone,
                ..Look::default()
            },
        ),
        Reply::Dialled { .. } | Reply::Invited { .. } => by_hand_reply(reply),
        Reply::Resolved { .. } => resolved_reply(reply),
        Reply::Rewound {
            message, height, tip, ..
        } => format!("{}\n  height {height}, hash {}\n", foreign(message), short(tip)),
        Reply::Status(status) => status_reply(status),
        Reply::Net { net: true } => "the net is on: looking for peers\n".to_owned(),
        Reply::Net { net: false } => "the net is off: no connections until `net on`\n".to_owned(),
        Reply::Waited { waited_ms } => format!("waited {waited_ms} ms\n"),
    };
    text.trim_end_matches('\n').to_owned()
}

/// The replies of the commands that join nodes by hand.
fn by_hand_reply(reply: &Reply) -> String {
    match reply {
        Reply::Dialled {
            peer_id,
            address,
            message,
        } => {
            let (peer, address) = (short_peer(peer_id), foreign(address));
            format!("{}\n  {peer} at {address}\n", foreign(message))
        }
        Reply::Invited {
            ticket,
            network,
            addresses,
            message,
        } => {
            let places: Vec<String> = addresses.iter().map(|address| foreign(address)).collect();
            format!("{ticket}\n  {network}, at {}\n  {message}\n", places.join(" and "))
        }
        _ => String::new(),
    }
}

fn resolved_reply(reply: &Reply) -> String {
    let Reply::Resolved {
        asked,
        message,
        notice,
        height,
        tip,
        ..
    } = reply
    else {
        return String::new();
    };
    let mut text = format!("{}\n  height {height}, hash {}\n", foreign(message), short(tip));
    if *asked > 0 {
        line(&mut text, format_args!("  {} asked", many(*asked, "peer")));
    }
    if let Some(notice) = notice {
        line(&mut text, format_args!("  {}", foreign(notice)));
    }
    text
}

fn line(text: &mut String, what: core::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to memory does not fail");
    text.push('\n');
}

/// What a transaction does, in one line.
fn description(tx: &TxView) -> String {
    let from = short_account(&tx.from);
    let to = tx
        .to
        .as_ref()
        .map(|to| short_account(&to.to_string()))
        .unwrap_or_default();
    match tx.kind {
        "claim" => format!("{from} is claimed"),
        "reward" => format!("reward: {} from 0 to {to}", coins(tx.amount)),
        _ => format!("{from} pays {to} {}", coins(tx.amount)),
    }
}

fn tx_reply<'a>(tx: &TxView, message: &str, notes: impl Iterator<Item = &'a String>) -> String {
    let mut text = foreign(message) + "\n";
    line(&mut text, format_args!("  {}", description(tx)));
    line(&mut text, format_args!("  transaction {}", tx.txid));
    for note in notes {
        line(&mut text, format_args!("  {}", escape(&with_short_ids(note))));
    }
    text
}

fn block_text(block: &BlockView, zone: Zone) -> String {
    let mut text = String::new();
    let branch = if block.active { "" } else { "   (side branch)" };
    line(
        &mut text,
        format_args!("  height {}   nonce {}{branch}", block.height, block.nonce),
    );
    line(&mut text, format_args!("  time {}", zone.exact(block.time_ms)));
    line(&mut text, format_args!("  hash {}", block.hash));
    line(&mut text, format_args!("  previous_hash {}", block.previous_hash));
    if let Some(miner) = &block.miner {
        line(
            &mut text,
            format_args!("  mined by {}", short_account(&miner.to_string())),
        );
    }
    line(
        &mut text,
        format_args!("  {}", many(block.transactions.len(), "transaction")),
    );
    for tx in &block.transactions {
        line(&mut text, format_args!("    {}  {}", short(&tx.txid), description(tx)));
    }
    text
}

fn mined_reply(reply: &Reply, zone: Zone) -> String {
    let Reply::Mined {
        message, blocks, rest, ..
    } = reply
    else {
        return String::new();
    };
    let mut text = foreign(message) + "\n";
    blocks
        .iter()
        .for_each(|block| text.push_str(&human_block(reply, block, zone)));
    if rest.is_empty() {
        text.push_str(&blocks_end(reply));
    }
    text
}

/// One block of a reply that contains blocks, with its time by the clock of a zone.
#[must_use]
pub fn human_block(reply: &Reply, block: &BlockView, zone: Zone) -> String {
    match reply {
        Reply::Mined { blocks, rest, .. } if blocks.len() + rest.len() <= WHOLE_BLOCKS_MAX => block_text(block, zone),
        _ => block_line(block, zone),
    }
}

/// The text after the last block of a reply.
#[must_use]
pub fn blocks_end(reply: &Reply) -> String {
    let mut text = String::new();
    if let Reply::Mined {
        count, blocks, rest, ..
    } = reply
    {
        let shown = u32::try_from(blocks.len() + rest.len()).unwrap_or(u32::MAX);
        if shown < *count {
            line(
                &mut text,
                format_args!("  the last {shown} of {}", many(*count, "block")),
            );
        }
    }
    text
}

fn chain_reply(length: u64, blocks: &[BlockView], zone: Zone) -> String {
    let mut text = format!("length {length}\n");
    blocks.iter().for_each(|block| text.push_str(&block_line(block, zone)));
    text
}

/// A block in one line.
fn block_line(block: &BlockView, zone: Zone) -> String {
    let (hash, count) = (short(&block.hash), block.transactions.len());
    let (height, time) = (block.height, zone.minute(block.time_ms));
    let miner = block
        .miner
        .as_ref()
        .map_or_else(String::new, |miner| short_account(&miner.to_string()));
    format!("  {height:>6}  {time}  mined by {miner:<12}  {count:>4} tx  hash {hash}\n")
}

fn transaction_reply(reply: &Reply, zone: Zone) -> String {
    let Reply::Transaction {
        tx,
        status,
        reason,
        height,
        block_hash,
        confirmations,
        proof,
        known_to_neighbour,
        time_ms,
    } = reply
    else {
        return String::new();
    };
    let mut text = format!("{}\n  transaction {}\n", description(tx), tx.txid);
    let time = time_ms.map(|time| zone.exact(time)).unwrap_or_default();
    match status {
        TxStatus::Pending if *known_to_neighbour == Some(false) => {
            line(
                &mut text,
                format_args!("  waits for a block since {time}; no neighbour has it yet"),
            );
        }
        TxStatus::Pending => line(&mut text, format_args!("  waits for a block since {time}")),
        TxStatus::Dropped => {
            let reason = reason.as_deref().map(foreign).unwrap_or_default();
            line(&mut text, format_args!("  dropped: {reason}"));
        }
        TxStatus::Confirmed => {
            let number = height.map(|height| height.to_string()).unwrap_or_default();
            let hash = block_hash.map(|hash| short(&hash)).unwrap_or_default();
            let depth = many(confirmations.unwrap_or_default(), "confirmation");
            line(&mut text, format_args!("  in block {number}, hash {hash}, {depth}"));
            line(&mut text, format_args!("  time {time}"));
            let steps = proof.as_ref().map_or(0, Vec::len);
            line(
                &mut text,
                format_args!("  its place is proven by {}", many(steps, "hash")),
            );
        }
    }
    text
}

fn pending_reply(transactions: &[TxView], seen: &[WallTime], zone: Zone) -> String {
    let mut text = many(transactions.len(), "transaction") + " waiting\n";
    for (tx, seen) in transactions.iter().zip(seen) {
        let (since, txid) = (zone.minute(*seen), short(&tx.txid));
        line(&mut text, format_args!("  {since}  {txid}  {}", description(tx)));
    }
    text
}

fn peers_reply(peers: &[PeerView], banned: &[BanView]) -> String {
    let mut text = many(peers.len(), "peer") + "\n";
    for peer in peers {
        let name = listed(peer.name.as_ref(), peer.name_proven);
        let latency = peer.latency_ms.map_or_else(String::new, |ms| format!("  {ms} ms"));
        let (id, address) = (short_peer(&peer.peer_id), place(&peer.address));
        line(
            &mut text,
            format_args!(
                "  {name:<16}  {id}  height {:>6}  {}{latency}\n    {address}",
                peer.height,
                found_by(peer.found_by)
            ),
        );
    }
    for ban in banned {
        let name = listed(ban.name.as_ref(), ban.name_proven);
        let (id, minutes) = (short_peer(&ban.peer_id), ban.left_ms.div_ceil(60_000));
        line(&mut text, format_args!("  {name:<16}  {id}  banned for {minutes} min"));
    }
    text
}

fn status_reply(status: &NodeStatus) -> String {
    let mut text = banner(status);
    text.push('\n');
    line(
        &mut text,
        format_args!("  {}, {} pending", many(status.peers, "peer"), status.pending),
    );
    line(&mut text, format_args!("  {}", difficulty_words(status)));
    let mining = match (status.mining, status.hash_rate) {
        (true, _) => "on",
        (false, 0) => "off",
        (false, _) => "until `mine N` has its blocks",
    };
    line(
        &mut text,
        format_args!("  mining {mining}, {} hashes a second", status.hash_rate),
    );
    let net = if status.net { "on" } else { "off" };
    let sync = if status.syncing { ", syncing" } else { "" };
    line(&mut text, format_args!("  net {net}{sync}"));
    text
}

/// The difficulty, and how often a block comes: "difficulty 16.0 zero bits, 65536 hashes a block; one every 10 s is aimed at".
fn difficulty_words(status: &NodeStatus) -> String {
    let doublings = f64::from(status.bits.0) / f64::from(status.halflife_ms.max(1));
    let (hashes, rate) = (doublings.exp2(), status.hash_rate);
    let mut text = format!("difficulty {doublings:.1} zero bits, {hashes:.0} hashes a block");
    if rate > 0 {
        let seconds = hashes / f64::from(u32::try_from(rate).unwrap_or(u32::MAX));
        text.push_str(&format!(", {} at this rate", span(seconds)));
    }
    if let Some(spacing_ms) = status.spacing_ms {
        text.push_str(&format!("; a block every {} s is aimed at", spacing_ms / 1_000));
    }
    text
}

/// A time in seconds for people.
fn span(seconds: f64) -> String {
    match seconds {
        ..1.0 => "less than a second".to_owned(),
        ..120.0 => format!("{seconds:.0} s"),
        ..7_200.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.0} h", seconds / 3_600.0),
    }
}

/// The state of the node at its start: its identity, its addresses and its data folder.
#[must_use]
pub fn banner(status: &NodeStatus) -> String {
    let name = status
        .name
        .as_ref()
        .map_or_else(|| "a node without a name".to_owned(), ToString::to_string);
    let mut text = format!("lanchain: {name} on the network {}\n", escape(&status.network));
    line(&mut text, format_args!("  id {}", escape(&status.peer_id)));
    line(&mut text, format_args!("  folder {}", escape(&status.data_dir)));
    line(
        &mut text,
        format_args!("  height {}, hash {}", status.height, short(&status.tip)),
    );
    line(
        &mut text,
        format_args!("  rewards go to {}", short_account(&status.account.to_string())),
    );
    for address in &status.addresses {
        // The PeerId is left out, because the text shows it above.
        line(&mut text, format_args!("  listening on {}", place(address)));
    }
    if let Some(web) = &status.web {
        line(&mut text, format_args!("  page {}", escape(web)));
    }
    text.trim_end_matches('\n').to_owned()
}

/// The progress of mining: the hash rate, and the average time for a block; none before the rate is known.
#[must_use]
pub fn search(status: &NodeStatus, halflife_ms: u32) -> Option<String> {
    if status.hash_rate == 0 || halflife_ms == 0 {
        return None;
    }
    let attempts = (f64::from(status.bits.0) / f64::from(halflife_ms)).exp2();
    // A rate above 32 bits is more than a single machine can have.
    let seconds = attempts / f64::from(u32::try_from(status.hash_rate).unwrap_or(u32::MAX));
    let expected = match seconds {
        ..1.0 => "within a second".to_owned(),
        _ => format!("every {}", span(seconds)),
    };
    let rate = status.hash_rate;
    Some(format!(
        "mining: {rate} hashes a second, a block is expected {expected}"
    ))
}

pub(super) const fn found_by(by: FoundBy) -> &'static str {
    match by {
        FoundBy::Mdns => "found by multicast DNS",
        FoundBy::Sibling => "found on this machine",
        FoundBy::Manual => "added by hand",
        FoundBy::Remembered => "known from before",
        FoundBy::Inbound => "it called us",
        FoundBy::Told => "told by a neighbour",
    }
}

#[cfg(test)]
#[path = "human_tests.rs"]
mod tests;
