//! Bodies of the fuzz targets: each takes any bytes, and panics exactly when the code under test breaks a promise.
//!
//! Promises: no clock, no entropy, no network; the same bytes do the same. `cargo test` runs every body over the
//! committed corpus and over seeded mutations of it; the crate in `fuzz/` runs them under libFuzzer.
//! Three kinds: decoders (what decodes encodes to the same bytes), twins (a second, naive implementation agrees) and
//! scripts (bytes are steps; a plain model agrees after each).
//! Elsewhere: how to run them (`fuzz/README.md`); the second implementations that they compare with and the disk
//! (`testing`).

#![allow(clippy::unwrap_used, reason = "a fuzz body is a test: it ends where it cannot go on")]

mod bytes;
mod chain;
mod console;
mod decoders;
mod disk;
mod engine;
mod kernels;
mod ledger;
mod limits;
mod mempool;
mod messages;
mod naive;
mod numbers;
mod overlay;
mod records;
mod texts;
mod world;

#[cfg(test)]
mod tests;

/// Makes a public function of each target, and the list of them all.
macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident => $body:path;)*) => {
        $($(#[$doc])* pub fn $name(input: &[u8]) { $body(input); })*

        /// Every target by name; each has a folder in `fuzz/corpus` and a file in `fuzz/src/bin`.
        pub const TARGETS: &[(&str, fn(&[u8]))] = &[$((stringify!($name), $name)),*];
    };
}

targets! {
    /// Headers against a twin; the rules of a header beside its parent.
    header => decoders::header;
    /// Transactions against a twin.
    transaction => decoders::transaction;
    /// Blocks against a twin; the header read first is the block's.
    block => decoders::block;
    /// Accounts and names against a twin.
    account => decoders::account;
    /// Gossiped blocks as they are judged: bytes, root, reward, signatures alone and in a batch.
    gossip_block => decoders::gossip_block;
    /// Signatures alone and in batches.
    signature => decoders::signature;
    /// SHA-256 against a twin.
    sha256 => numbers::sha256;
    /// The merkle tree against a twin; every proof leads to the root.
    merkle => numbers::merkle;
    /// Bits, steps, targets and work against big integers.
    target => numbers::target;
    /// Sums, order and bytes of work against big integers.
    work => numbers::work;
    /// Nonce searches of every kernel against SHA-256.
    kernels => kernels::kernels_agree;
    /// Requests.
    request => messages::request;
    /// Answers.
    response => messages::response;
    /// Gossiped blocks.
    compact_block => messages::compact_block;
    /// Gossiped lists of transactions.
    gossip_transactions => messages::transactions;
    /// Keys and values of every table of the chain file.
    records => records::records;
    /// The key file.
    key_file => texts::key_file;
    /// The address file.
    address_file => texts::address_file;
    /// The `network` file of a data folder.
    network_file => texts::network_file;
    /// Network files in TOML.
    network_toml => texts::network_toml;
    /// Multiaddrs and `HOST:PORT`.
    address => texts::address;
    /// Packets of multicast DNS, and what of them is believed.
    mdns => crate::net::fuzz::mdns;
    /// A typed line.
    console_line => console::line;
    /// Lines of any input, in any pieces, against a twin.
    console_input => console::input;
    /// What peers and users wrote, shown on a terminal.
    console_words => console::words;
    /// Transactions and their undoing against a ledger of plain maps.
    ledger => ledger::ledger;
    /// Blocks in any order, with crashes, against the best of all valid branches.
    chain => chain::chain;
    /// The pool between blocks and reorganisations, against its written rules.
    mempool => mempool::mempool;
    /// Token buckets against a model; scores and bans against their written lengths.
    rate_limits => limits::rate_limits;
    /// Layers of uncommitted changes against plain maps.
    overlay => overlay::overlay;
    /// The store on a disk that fails and loses power, against the store in memory.
    store => disk::store;
    /// A whole engine, told anything: every question ends once, and it never spins.
    engine => engine::engine;
}
