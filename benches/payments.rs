//! What full blocks cost a node that receives them: `cargo bench --bench payments`.
//!
//! The stages of a received block on chains of full blocks, against a naive twin that decompresses every key again and
//! checks one signature after the other with `ed25519-zebra`. Payments a second of CPU time of one thread, so that other
//! work on the machine counts little.
//!
//! `cargo bench --bench payments -- write ring 200 FILE` writes such a chain as the lines of an export, to be timed with
//! `lanchain import FILE` and `lanchain verify`. `ring`: 2,000 people pay the next one in each block, so keys return.
//! `fresh`: each payment has a key of its own.

use core::sync::atomic::{AtomicBool, AtomicU64};
use std::io::{BufWriter, Write};
use std::time::Duration;

use lanchain::chain::memory_store::MemoryStore;
use lanchain::chain::params::BLOCK_MAX_TRANSACTIONS;
use lanchain::chain::{Block, BodyRules, Chain, Header, NetworkParams, Reward, Transaction, merkle};
use lanchain::miner::MiningWork;
use lanchain::miner::search::{SearchOutcome, search};
use lanchain::pool::mempool::POOL_MAX_TRANSACTIONS;
use lanchain::pool::{Mempool, Origin};
use lanchain::types::hash::HashMany;
use lanchain::types::key::SecretKey;
use lanchain::types::{Account, AccountName, Amount, PublicKey, Voice, WallTime};

/// Payments in each block.
const PAYMENTS: usize = 2_000;

/// The pause between two blocks, in milliseconds: what the network aims at, so that the work stays small.
const SPACING_MS: u64 = 4_000;

/// Blocks that are checked in one turn of the benchmark.
const BLOCKS: usize = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|text| text != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["write", kind, count, file] => {
            let count = count.parse().expect("a number of blocks");
            write(kind, count, file).expect("the file can be written");
        }
        ["templates"] => templates(9),
        ["quick"] => {
            measure(3);
            templates(3);
        }
        _ => {
            measure(9);
            templates(9);
        }
    }
}

/// Times the choice of the next block's payments from a full pool.
fn templates(turns: usize) {
    let mut ring = Payments::new("ring");
    let (blocks, clock) = (ring.params.clone(), ring.parent.time);
    let mut chain = Chain::open(blocks, MemoryStore::new(&ring.params), [7; 32]).expect("a new chain");
    let first = ring.next_block();
    let clock = WallTime::from_ms(clock.ms() + first.header.time.ms());
    chain.accept(first, clock).expect("a good block");
    let mut pool = Mempool::new();
    let voice = Voice::Network([1, 2, 3, 4]);
    for round in 0..POOL_MAX_TRANSACTIONS / PAYMENTS {
        for payment in (0..PAYMENTS).map(|index| ring.payment(index)) {
            let origin = if round == 0 { Origin::Own } else { Origin::Peer(voice) };
            pool.add_checked(&chain, payment, origin).expect("a good payment");
        }
        ring.height += 1;
    }
    let to = name("miner".into());
    let mut times: Vec<Duration> = (0..turns)
        .map(|_| {
            let begun = now();
            assert_eq!(pool.next_block(&chain, &to).len(), BLOCK_MAX_TRANSACTIONS - 1);
            now().saturating_sub(begun)
        })
        .collect();
    println!("a template with {} waiting: {:?}", pool.len(), median(&mut times));
}

/// Times the stages for both kinds of chains.
fn measure(turns: usize) {
    for kind in ["ring", "fresh"] {
        let mut chain = Payments::new(kind);
        // The first blocks make the accounts.
        let blocks: Vec<Block> = (0..=BLOCKS).map(|_| chain.next_block()).skip(1).collect();
        let bytes: Vec<Vec<u8>> = blocks.iter().map(Block::to_bytes).collect();
        let (params, secret) = (NetworkParams::dev(), [7; 32]);
        let network = params.network_id();
        let naive = || {
            for block in &blocks {
                for item in block.transactions.iter().filter_map(|tx| tx.signature_item(&network)) {
                    let (key, message, signature) = item;
                    assert!(zebra(&key, &message, &signature.0), "a good signature");
                }
            }
        };
        let read = || {
            for bytes in &bytes {
                Block::from_bytes(bytes).expect("a good block");
            }
        };
        let check = || {
            for block in &blocks {
                block.check(&params, &secret).expect("a good block");
            }
        };
        let both = || {
            read();
            check();
        };
        let hashed: Vec<_> = blocks.iter().map(Block::hash).zip(bytes.iter().cloned()).collect();
        let rules = BodyRules::new(&params, secret, HashMany::default());
        let together = || {
            let verdicts = rules.read_and_check(hashed.clone());
            assert!(verdicts.iter().all(|verdict| verdict.good().is_ok()));
        };
        let parts: [(&str, &dyn Fn()); 5] = [
            ("naive twin: single signatures, no cache", &naive),
            ("Block::from_bytes", &read),
            ("Block::check: ids, tree, signatures", &check),
            ("read and check", &both),
            ("BodyRules::read_and_check, blocks together", &together),
        ];
        show(kind, &parts, turns);
    }
}

/// One signature, with nothing that was computed before.
fn zebra(key: &PublicKey, message: &[u8], signature: &[u8; 64]) -> bool {
    ed25519_zebra::VerificationKey::try_from(*key.as_bytes())
        .is_ok_and(|key| key.verify(&ed25519_zebra::Signature::from(*signature), message).is_ok())
}

/// The CPU time of this thread so far.
#[cfg(unix)]
fn now() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("a time since the start");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("less than a second"))
}

/// The time since the start, where there is no other.
#[cfg(not(unix))]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

/// Prints the median of each part, payments a second, and how many times it goes into the first one's.
fn show(kind: &str, parts: &[(&str, &dyn Fn())], turns: usize) {
    println!("{kind}: {BLOCKS} blocks of {PAYMENTS} payments, median of {turns} turns");
    let mut times = vec![Vec::with_capacity(turns); parts.len()];
    for _ in 0..turns {
        for ((_, act), times) in parts.iter().zip(&mut times) {
            let begun = now();
            act();
            times.push(now().saturating_sub(begun));
        }
    }
    let medians: Vec<Duration> = times.iter_mut().map(|times| median(times)).collect();
    let payments = f64::from(u32::try_from(BLOCKS * PAYMENTS).expect("small"));
    for ((name, _), time) in parts.iter().zip(&medians) {
        let (rate, ratio) = (
            payments / time.as_secs_f64(),
            medians[0].as_secs_f64() / time.as_secs_f64(),
        );
        println!("  {name:<44} {rate:>11.0} a second {ratio:>8.2} x");
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Writes a chain as the lines that `lanchain import` reads.
fn write(kind: &str, count: usize, file: &str) -> std::io::Result<()> {
    let mut out = BufWriter::new(std::fs::File::create(file)?);
    let mut chain = Payments::new(kind);
    for _ in 0..count {
        let block = chain.next_block();
        write!(
            out,
            "{{\"header\":\"{}\",\"transactions\":[",
            hex::encode(block.header.to_bytes())
        )?;
        for (index, transaction) in block.transactions.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(out, "{comma}{{\"raw\":\"{}\"}}", hex::encode(transaction.to_bytes()))?;
        }
        writeln!(out, "]}}")?;
    }
    out.flush()
}

/// A chain of full blocks in the making.
struct Payments {
    params: NetworkParams,
    parent: Header,
    /// Blocks made so far.
    height: usize,
    /// The people of the ring; none if each payment has a key of its own.
    ring: Vec<(SecretKey, PublicKey, Account)>,
}

impl Payments {
    fn new(kind: &str) -> Self {
        let params = NetworkParams::dev();
        let people = match kind {
            "ring" => PAYMENTS,
            "fresh" => 0,
            other => panic!("{other}: ring or fresh"),
        };
        Self {
            parent: params.genesis(),
            params,
            height: 0,
            ring: (0..people).map(|number| person('p', number)).collect(),
        }
    }

    /// The payment at this place of the next block.
    fn payment(&self, index: usize) -> Transaction {
        let network = self.params.network_id();
        let one = Amount::new(1).expect("an amount");
        let pay = |(key, _, from): &(SecretKey, PublicKey, Account), to: Account, owner, sequence: usize| {
            let sequence = u64::try_from(sequence).expect("small");
            Transaction::transfer(&network, key, (from.clone(), to, owner), one, sequence).expect("a good form")
        };
        if self.ring.is_empty() {
            let payer = person('f', self.height * PAYMENTS + index);
            return pay(&payer, name("shop".into()), None, 0);
        }
        let (_, key, payee) = &self.ring[(index + 1) % PAYMENTS];
        // In the first block the next one has not paid yet, so nobody owns the name; but the first one has.
        let owner = (self.height > 0 || index + 1 == PAYMENTS).then_some(*key);
        pay(&self.ring[index], payee.clone(), owner, self.height)
    }

    fn next_block(&mut self) -> Block {
        let height = self.parent.height.next();
        let mut transactions = vec![Transaction::Reward(Reward {
            to: name("miner".into()),
            height,
        })];
        transactions.extend((0..PAYMENTS).map(|index| self.payment(index)));
        let time = WallTime::from_ms(self.parent.time.ms() + SPACING_MS);
        let header = Header {
            previous: self.parent.hash(),
            merkle_root: lanchain::types::MerkleRoot::ZERO,
            version: 1,
            bits: self.params.required_bits(&self.parent, time),
            height,
            time,
            nonce: 0,
        };
        let mut block = Block { header, transactions };
        block.header.merkle_root = merkle::root(&block.txids());
        block.header.nonce = nonce(&self.params, &block.header);
        self.parent = block.header.clone();
        self.height += 1;
        block
    }
}

fn name(text: String) -> Account {
    Account::Name(AccountName::new(&text).expect("a good name"))
}

/// Somebody with a key and a name.
fn person(kind: char, number: usize) -> (SecretKey, PublicKey, Account) {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_be_bytes());
    seed[8] = u8::try_from(kind).expect("a letter of one byte");
    let key = SecretKey::from_seed(seed);
    let public = key.public();
    (key, public, name(format!("{kind}{number:06}")))
}

fn nonce(params: &NetworkParams, header: &Header) -> u64 {
    let target = header.bits.target(params.halflife_ms).expect("bits of the rules");
    let work = MiningWork {
        header: header.to_bytes(),
        limit: *target.as_bytes(),
    };
    let (cancel, attempts) = (AtomicBool::new(false), AtomicU64::new(0));
    let SearchOutcome::Found(nonce) = search(&work, 0..=u64::MAX, &cancel, &attempts) else {
        unreachable!("the space is far larger than the work");
    };
    nonce
}
