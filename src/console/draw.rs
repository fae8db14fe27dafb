//! Replies that need room or colour: explanations byte by byte, the sandbox, statistics, the doctor.
//!
//! Promises: no line is wider than the terminal, except for single words; a stranger's text is escaped.
//! Elsewhere: the tree (`console::graph`), all other replies (`console::human`).
//! Spec: `proto-notes/events.md`, "In words".

use super::graph;
use super::history;
use super::human::{self, coins, foreign, many, self_named, short, short_account, short_peer};
use super::look::{COLUMNS_MIN, Look, padded};
use super::persons::{Person, in_parts, persons};

use crate::contract::{
    BlockExplained, Diagnosis, Growth, Inclusion, LayoutPart, Multicast, NameStanding, PeerActed, Reply, Side, Stats,
    Tampered, TxExplained,
};

/// The width of the column for names in a layout.
const NAME_COLUMNS: usize = 13;
/// The columns before the bytes of a layout, which hold its range and its name.
const BYTES_AT: usize = 24;
/// The characters of a sparkline, the lowest bar first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The characters of a sparkline in ASCII.
const PLAIN_BARS: [char; 8] = ['_', '.', '-', ':', '=', '+', '*', '#'];
/// The width of the column for the name of an interface; on Windows it can be 以太网.
const INTERFACE_COLUMNS: usize = 12;
/// The width of the bar that shows a share.
const SHARE_COLUMNS: u64 = 20;

/// The reply of a command, drawn for a terminal.
#[must_use]
pub fn reply(reply: &Reply, look: Look) -> String {
    match reply {
        Reply::Tree { tips, blocks } => graph::tree(tips, blocks, look),
        Reply::BlockExplained(told) => block(told, look),
        Reply::TransactionExplained(told) => transaction(told, look),
        Reply::Tampered(told) => tampered(told, look),
        Reply::Stats(told) => stats(told, look),
        Reply::PeerActed(told) => peer_acted(told, look),
        Reply::Diagnosis(told) => diagnosis(told, look),
        Reply::History(view) => history::words(view, look),
        other => human::human_reply(other, look.zone),
    }
}

/// A text that is built line by line.
struct Page {
    look: Look,
    lines: Vec<String>,
}

impl Page {
    fn new(look: Look, title: &str) -> Self {
        Self {
            look,
            lines: vec![look.bold(title)],
        }
    }

    fn say(&mut self, indent: &str, text: &str) {
        self.lines.push(self.look.fold(indent, text));
    }

    fn grey(&mut self, indent: &str, text: &str) {
        self.lines.push(self.look.grey(&self.look.fold(indent, text)));
    }

    /// Adds a line in green or red.
    fn verdict(&mut self, is_good: bool, text: &str) {
        let text = self.look.fold("  ", text);
        self.lines.push(if is_good {
            self.look.green(&text)
        } else {
            self.look.red(&text)
        });
    }

    /// Adds hex digits without spaces, cut at the width of the terminal.
    fn hex(&mut self, indent: &str, hex: &str) {
        for line in cut(hex, self.look.columns.saturating_sub(indent.len() + 1)) {
            self.lines.push(format!("{indent}{line}"));
        }
    }

    /// Adds a layout: for each part the range of bytes, its name, its bytes, and their meaning.
    fn parts(&mut self, parts: &[LayoutPart]) {
        let room = self.look.columns.saturating_sub(BYTES_AT + 1);
        for part in parts {
            let last = (part.offset + part.length).saturating_sub(1);
            let range = if last > part.offset {
                format!("{}-{last}", part.offset)
            } else {
                part.offset.to_string()
            };
            let mut head = format!("  {range:<7} {:<NAME_COLUMNS$} ", part.name);
            for line in cut(&part.hex, room) {
                self.lines.push(format!("{head}{line}"));
                head = " ".repeat(BYTES_AT);
            }
            if part.value != part.hex {
                let words = foreign(&part.value);
                let words: Vec<String> = words.split(' ').flat_map(|word| pieces(word, room)).collect();
                self.grey(&" ".repeat(BYTES_AT), &words.join(" "));
            }
        }
    }

    fn end(self) -> String {
        self.lines.join("\n")
    }
}

/// Cuts hex digits into lines of whole groups of four bytes.
fn cut(hex: &str, room: usize) -> Vec<String> {
    let width = (room.max(COLUMNS_MIN) / 8).max(1) * 8;
    let digits: Vec<char> = hex.chars().collect();
    digits.chunks(width).map(|line| line.iter().collect()).collect()
}

/// Cuts a word that is wider than its column into pieces.
fn pieces(word: &str, room: usize) -> Vec<String> {
    let letters: Vec<char> = word.chars().collect();
    letters
        .chunks(room.max(COLUMNS_MIN))
        .map(|piece| piece.iter().collect())
        .collect()
}

/// Millionths as a text in per cent.
fn percent(ppm: u64) -> String {
    format!("{}.{:02} %", ppm / 10_000, ppm % 10_000 / 100)
}

fn block(told: &BlockExplained, look: Look) -> String {
    let mut page = Page::new(
        look,
        &format!("block {}, {}", told.height, many(told.transactions, "transaction")),
    );
    page.say(
        "  ",
        "the header has 96 bytes; its hash covers every field of the block:",
    );
    page.parts(&told.parts);
    page.say("  ", "the hash is the SHA-256 of these bytes:");
    page.hex("    ", &told.hash.to_string());
    page.say("  ", "it must be below the target, which follows from the bits:");
    page.hex("    ", &told.target);
    match told.share_of_target_ppm {
        Some(share) => page.say(
            "  ",
            &format!(
                "met: {} zero bits are needed, it begins with {}; it is {} of the target",
                told.target_zero_bits,
                told.hash_zero_bits,
                percent(share)
            ),
        ),
        None => page.say(
            "  ",
            "the first block needs no proof of work: it is made of the network's parameters",
        ),
    }
    page.say(
        "  ",
        &format!("such a hash takes {} attempts on average", told.expected_attempts),
    );
    if let (Some(bits), Some(time)) = (told.parent_bits, told.parent_time_ms) {
        page.say(
            "  ",
            &format!(
                "the bits follow from the bits and the time of the parent ({bits}, {}) and from the own time",
                crate::types::time::utc(time)
            ),
        );
        let adds = told.adds_work.to_f64();
        page.say(
            "  ",
            &format!("it adds {adds:.0} to the work of its branch: the work that its parent's bits stand for"),
        );
    }
    if !told.active {
        page.grey("  ", "it stands on a side branch");
    }
    page.end()
}

fn transaction(told: &TxExplained, look: Look) -> String {
    let mut page = Page::new(look, &format!("{} {}", told.kind, short(&told.txid)));
    page.say("  ", "its bytes:");
    page.parts(&told.parts);
    if told.signed_parts.is_empty() {
        page.say("  ", "a reward is not signed: the proof of work of its block covers it");
    } else {
        page.say(
            "  ",
            "the signature covers other bytes: they name the network first, and end before the signature:",
        );
        page.parts(&told.signed_parts);
        match told.signature_valid {
            Some(true) => page.verdict(true, "the signature is valid for them and this key"),
            Some(false) | None => page.verdict(false, "the signature is not valid"),
        }
    }
    page.say(
        "  ",
        "its id, and leaf of the merkle tree, is the SHA-256 of 00 and its bytes:",
    );
    page.hex("    ", &told.txid.to_string());
    match &told.inclusion {
        Some(place) => path(&mut page, place),
        None => page.say(
            "  ",
            "no block of the active chain holds it, so there is no path to a root",
        ),
    }
    page.end()
}

fn path(page: &mut Page, place: &Inclusion) {
    let (index, count) = (place.index, many(place.transactions, "transaction"));
    page.say(
        "  ",
        &format!(
            "it is transaction {index} of {count} in block {}; the way to the root:",
            place.height
        ),
    );
    if place.path.is_empty() {
        page.say("    ", "it is alone there: the leaf is the root");
    }
    for (step, number) in place.path.iter().zip(1_u64..) {
        let (left, right) = match step.side {
            Side::Left => ("sibling", "so far"),
            Side::Right => ("so far", "sibling"),
        };
        page.say(
            "    ",
            &format!(
                "{number}. SHA-256(01, {left} {}, {right} {}) is",
                short(&step.left),
                short(&step.right)
            ),
        );
        page.hex("       ", &step.hash.to_string());
    }
    if place.root == place.merkle_root {
        page.verdict(true, "the root of the header: its proof of work covers it");
    } else {
        page.verdict(false, "not the root of the header");
    }
}

fn tampered(told: &Tampered, look: Look) -> String {
    let mut page = Page::new(look, &format!("copies of block {} {}", told.height, short(&told.hash)));
    for (change, number) in told.changes.iter().zip(1_u64..) {
        page.say("  ", &format!("{number}. {}", foreign(&change.change)));
        let verdict = match (&change.code, &change.message) {
            (Some(code), Some(message)) => page.look.red(
                &page
                    .look
                    .fold("     ", &format!("refused, {code}: {}", foreign(message))),
            ),
            _ => page.look.green("     accepted"),
        };
        page.lines.push(verdict);
        if let Some(with_work) = &change.with_work {
            let verdict = match (&with_work.code, &with_work.message) {
                (Some(code), Some(message)) => {
                    format!("with enough work it would be refused as {code}: {}", foreign(message))
                }
                _ => "with enough work it would be accepted".to_owned(),
            };
            page.say("     ", &verdict);
        }
        page.grey("     ", &change.lesson);
    }
    page.say("  ", &told.message);
    page.end()
}

/// A line of bars for values between their minimum and their maximum; it shows the last ones that fit.
fn sparkline(values: &[u32], look: Look) -> String {
    let room = look.columns.saturating_sub(4).max(COLUMNS_MIN);
    let shown = &values[values.len().saturating_sub(room)..];
    let (low, high) = (
        shown.iter().min().copied().unwrap_or(0),
        shown.iter().max().copied().unwrap_or(0),
    );
    let bars = if look.unicode { BARS } else { PLAIN_BARS };
    let bar = |value: &u32| {
        let level = u64::from(value - low) * 7 / u64::from(high - low).max(1);
        bars[usize::try_from(level).unwrap_or(7).min(7)]
    };
    shown.iter().map(bar).collect()
}

/// A time in seconds with one decimal: "4.2 s".
fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
}

/// The difficulty in doublings, from bits.
fn doublings(bits: u32, halflife_ms: u32) -> String {
    let halflife = u64::from(halflife_ms.max(1));
    let hundredths = u64::from(bits) * 100 / halflife;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn stats(told: &Stats, look: Look) -> String {
    let title = format!(
        "blocks {} to {}, {}",
        told.from_height,
        told.to_height,
        many(told.transactions, "transaction")
    );
    let mut page = Page::new(look, &title);
    match &told.intervals {
        Some(times) => page.say(
            "  ",
            &format!(
                "time between blocks: median {}, average {}, {} to {}; {}",
                seconds(times.median_ms),
                seconds(times.mean_ms),
                seconds(times.shortest_ms),
                seconds(times.longest_ms),
                match told.is_adjusting {
                    true => format!("the network aims at {}", seconds(told.spacing_ms)),
                    false => "this network stays at the lowest difficulty and aims at no time".to_owned(),
                }
            ),
        ),
        None => page.say(
            "  ",
            "there are fewer than two mined blocks, so there is no time between blocks yet",
        ),
    }
    let ends = (told.bits.iter().min().copied(), told.bits.iter().max().copied());
    if let (Some(low), Some(high)) = ends {
        let (low, high) = (doublings(low, told.halflife_ms), doublings(high, told.halflife_ms));
        if low == high {
            page.say("  ", &format!("difficulty: {low} zero bits"));
        } else {
            page.say("  ", &format!("difficulty, from {low} to {high} zero bits:"));
            page.lines.push(format!("  {}", sparkline(&told.bits, look)));
        }
    }
    mined_by(&mut page, told);
    growth(&mut page, &told.growth);
    if let Some(disk) = told.disk {
        let (chain, free) = (bytes_words(disk.chain_bytes), bytes_words(disk.free_bytes));
        page.say(
            "  ",
            &format!("the whole chain takes {chain} of the disk, {free} are free"),
        );
    }
    page.say(
        "  ",
        &format!("the richest ({}):", many(told.accounts_total, "account")),
    );
    let rich = told
        .richest
        .iter()
        .map(|view| (&view.account, view.owner.as_deref(), view.balance.unsigned_abs()));
    for Person { label, sum, parts } in persons(rich) {
        let owned = coins(sum);
        page.lines.push(format!("    {label:<16} {owned}{}", in_parts(&parts)));
    }
    page.end()
}

/// Who mined the blocks, each person once.
fn mined_by(page: &mut Page, told: &Stats) {
    let mined = told
        .miners
        .iter()
        .map(|miner| (&miner.account, miner.owner.as_deref(), miner.blocks));
    let mined = persons(mined);
    let merged = told.miners.len().saturating_sub(mined.len());
    let total = usize::try_from(told.miners_total)
        .unwrap_or(usize::MAX)
        .saturating_sub(merged);
    page.say("  ", &format!("mined by ({}):", many(total, "miner")));
    let found: u64 = told.miners.iter().map(|miner| miner.blocks).sum();
    for Person { label, sum, parts } in &mined {
        let length = usize::try_from(sum * SHARE_COLUMNS / found.max(1)).unwrap_or(0);
        let bar = (if page.look.unicode { "█" } else { "#" }).repeat(length.max(1));
        page.lines
            .push(format!("    {label:<16} {sum:>5} {bar}{}", in_parts(parts)));
    }
}

fn growth(page: &mut Page, told: &Growth) {
    let hourly = told
        .bytes_per_hour
        .map(|bytes| format!(", {} an hour", bytes_words(bytes)));
    page.say(
        "  ",
        &format!(
            "they have {}{}; most bytes in the newest blocks:",
            bytes_words(told.bytes),
            hourly.unwrap_or_default()
        ),
    );
    for filler in &told.fillers {
        let account = short_account(&filler.account.to_string());
        let what = many(filler.transactions, "transaction");
        page.lines
            .push(format!("    {account:<15} {:>10} in {what}", bytes_words(filler.bytes)));
    }
}

/// A number of bytes in the unit that people use.
fn bytes_words(bytes: u64) -> String {
    match bytes {
        0..10_240 => many(bytes, "byte"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1_024),
        10_485_760..10_737_418_240 => format!("{} MiB", bytes / 1_048_576),
        _ => format!("{} GiB", bytes / 1_073_741_824),
    }
}

fn peer_acted(told: &PeerActed, look: Look) -> String {
    let id = short_peer(&told.peer_id);
    let who = told.name.as_ref().map_or_else(
        || id.clone(),
        |name| {
            let standing = if told.name_taken {
                NameStanding::Taken
            } else {
                NameStanding::Said
            };
            format!("{} ({id})", self_named(name.as_str(), standing))
        },
    );
    look.fold("", &format!("{who}: {}", foreign(&told.message)))
}

fn diagnosis(told: &Diagnosis, look: Look) -> String {
    let mut page = Page::new(look, &format!("{} connected", many(told.peers, "peer")));
    page.say("  ", "interfaces:");
    for interface in &told.interfaces {
        let used = if interface.used {
            look.green("used   ")
        } else {
            look.grey("skipped")
        };
        let name = padded(&foreign(&interface.name), INTERFACE_COLUMNS);
        let ips = foreign(&interface.addresses.join(" "));
        page.lines
            .push(format!("    {used} {name} {ips}").trim_end().to_owned());
        if let Some(reason) = &interface.reason {
            page.grey("            ", &foreign(reason));
        }
    }
    for line in multicast(told) {
        page.say("  ", &line);
    }
    for failure in &told.failures {
        let who = failure
            .peer_id
            .as_deref()
            .map_or_else(|| "a node".to_owned(), short_peer);
        let place = failure.address.as_deref().map(foreign).unwrap_or_default();
        let what = if failure.other_network {
            "is no node of this network"
        } else {
            "was not reached"
        };
        page.say(
            "  ",
            &format!(
                "{who} at {place} {what}, {} ago: {}",
                seconds(failure.ago_ms),
                foreign(&failure.reason)
            ),
        );
    }
    match told.clock_ahead_ms {
        Some(ahead) => page.say(
            "  ",
            &format!(
                "the peers' clocks are {} {}",
                seconds(ahead.unsigned_abs()),
                if ahead < 0 { "behind" } else { "ahead" }
            ),
        ),
        None => page.say("  ", "clock: no peer to compare it with"),
    }
    if told.same_key {
        page.say("  ", "another node uses this node's key");
    }
    page.say("  ", "what to do:");
    for advice in &told.advice {
        page.say("    ", &foreign_line(advice));
    }
    page.end()
}

/// The lines about multicast: what was sent and what came back.
fn multicast(told: &Diagnosis) -> Vec<String> {
    if !told.discovery {
        return vec!["multicast: not asked for (--no-mdns)".to_owned()];
    }
    let on = |what: Multicast| {
        let interfaces = told.interfaces.iter().filter(|view| view.multicast == Some(what));
        interfaces
            .map(|view| foreign(&view.name))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let others = told.others_heard.unwrap_or(0);
    let spoke = match others {
        0 => "no other machine spoke".to_owned(),
        _ => format!("{} spoke", many(others, "other machine")),
    };
    let mut lines: Vec<String> = [
        (Multicast::Returned, "sent and heard again on"),
        (Multicast::Lost, "sent and not heard again on"),
        (Multicast::Refused, "could not be sent on"),
        (Multicast::Taken, "another program has the port on"),
    ]
    .into_iter()
    .map(|(what, words)| (words, on(what)))
    .filter(|(_, names)| !names.is_empty())
    .map(|(words, names)| format!("multicast: {words} {names}"))
    .collect();
    if told.others_heard.is_some() {
        lines.push(format!("multicast: {spoke}"));
    }
    if told.multicast_dropped > 0 {
        let times = many(told.multicast_dropped, "record");
        lines.push(format!(
            "multicast: {times} ignored, because their addresses are public and outside of the own networks"
        ));
    }
    lines.push(match told.multicast_ago_ms {
        None => "multicast: no node was heard".to_owned(),
        Some(ago) => format!("multicast: nodes were heard, the last {} ago", seconds(ago)),
    });
    lines
}

/// Escapes an advice. It may hold an address, so it is not cut as other foreign texts are.
fn foreign_line(text: &str) -> String {
    human::escape(text)
}

#[cfg(test)]
#[path = "draw_tests.rs"]
mod tests;
