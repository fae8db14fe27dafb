//! What a node checks of what strangers send, against named yardsticks: `cargo bench --bench verification`.
//!
//! Headers and merkle trees against `sha2` alone on the same number of bytes, signatures in a batch against one
//! after the other with `ed25519-zebra`, and the parts of a full block beside the whole.
//! `cargo bench --bench verification -- quick` takes seconds and is for a look only.

use core::sync::atomic::{AtomicBool, AtomicU64};
use lanchain::chain::ledger::{Accounts, Ledger};
use lanchain::chain::{AccountState, Block, Header, NetworkParams, Reward, StoreError, Transaction, merkle};
use lanchain::miner::MiningWork;
use lanchain::miner::bench::{Contender, compare};
use lanchain::miner::kernel::Kernel;
use lanchain::miner::many::hash_many;
use lanchain::miner::search::{SearchOutcome, search};
use lanchain::types::key::{SecretKey, verify_batch};
use lanchain::types::{Account, AccountName, Amount, MerkleRoot, PublicKey, Signature};
use sha2::{Digest, Sha256};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Headers of a chain: as many as one answer holds.
const HEADERS: usize = 512;

/// Transactions of a full block, reward included.
const TRANSACTIONS: usize = 4_096;

/// People who pay in that block, each with a key and a name.
const PAYERS: u8 = 64;

fn main() {
    let quick = std::env::args().any(|argument| argument == "quick");
    let time = if quick {
        (3, Duration::from_millis(50))
    } else {
        (9, Duration::from_millis(400))
    };
    let params = NetworkParams::dev();
    let block = full_block(&params);
    headers(&params, time);
    transactions(&params, &block, time.0);
}

/// Prints each rate, and as a multiple of the first one's.
fn show(what: &str, contenders: &[Contender<'_>], (turns, turn): (usize, Duration)) {
    let rates = compare(contenders, turns, turn);
    println!("{what}: median of {turns} turns of {} ms", turn.as_millis());
    for ((name, _), rate) in contenders.iter().zip(&rates) {
        println!(
            "  {name:<44} {rate:>11} a second {:>8.3} x",
            float(*rate) / float(rates[0])
        );
    }
}

fn headers(params: &NetworkParams, time: (usize, Duration)) {
    let chain = chain_of_headers(params);
    let bytes: Vec<_> = chain.iter().map(Header::to_bytes).collect();
    let pairs: Vec<_> = chain.windows(2).collect();
    let digest = endless(&bytes, |bytes| {
        black_box(Sha256::digest(bytes));
    });
    let hash = endless(&chain, |header| {
        black_box(header.hash());
    });
    let check = endless(&pairs, |pair| {
        pair[1].check_after(&pair[0], params).expect("a good chain")
    });
    let contenders: [Contender<'_>; 3] = [
        ("sha2 on the 96 bytes", Box::new(digest)),
        ("Header::hash", Box::new(hash)),
        ("Header::check_after (two hashes)", Box::new(check)),
    ];
    show("headers", &contenders, time);
    many("headers of 96 bytes, a page of 512 at a time", &bytes, time);
    many(
        "nodes of the merkle tree, a layer of 2,048 at a time",
        &[[1_u8; 65]; 2_048],
        time,
    );
}

/// Every kernel of this processor on many messages, against `sha2` on one after the other.
fn many<const N: usize>(what: &str, messages: &[[u8; N]], time: (usize, Duration)) {
    let name = |kernel: Kernel| {
        if kernel == Kernel::Portable {
            "sha2, one after the other"
        } else {
            kernel.name()
        }
    };
    let in_lanes = |kernel: &Kernel| !matches!(kernel, Kernel::ShaNi | Kernel::Aarch64);
    let contenders: Vec<Contender<'_>> = Kernel::available()
        .filter(in_lanes)
        .map(|kernel| {
            let act: Box<dyn Fn(u64)> = Box::new(move |count| {
                let mut left = usize::try_from(count).expect("a small count");
                while left > 0 {
                    let part = left.min(messages.len());
                    black_box(hash_many(kernel, black_box(&messages[..part])));
                    left -= part;
                }
            });
            (name(kernel), act)
        })
        .collect();
    show(what, &contenders, time);
    println!("  chosen: {}", name(lanchain::miner::many::kernel()));
}

fn transactions(params: &NetworkParams, block: &Block, turns: usize) {
    let network = params.network_id();
    let leaves = block.txids();
    let signed = block.transactions.iter();
    let items: Vec<_> = signed.filter_map(|tx| tx.signature_item(&network)).collect();
    let bytes = block.to_bytes();
    let secret = [7; 32];
    let one_by_one = || {
        let good = |(key, message, signature): &(PublicKey, Vec<u8>, Signature)| key.verify(message, signature);
        assert!(items.iter().all(good));
    };
    let ledger = || {
        let mut ledger = Ledger::new(params, &Nobody);
        ledger.apply_block(block).expect("everyone has credit");
        black_box(ledger.finish());
    };
    let nodes = || {
        for _ in 1..TRANSACTIONS {
            black_box(Sha256::digest(black_box(&[1_u8; 65])));
        }
    };
    let fastest = lanchain::miner::many::chosen();
    let parts: [Part<'_>; 8] = [
        ("signatures, one after the other", &one_by_one),
        ("signatures, one batch", &|| assert!(verify_batch(&secret, &items))),
        ("Block::check: ids, tree, signatures", &|| {
            block.check(params, &secret).expect("a good block");
        }),
        ("Block::from_bytes", &|| {
            black_box(Block::from_bytes(&bytes).expect("a good block"));
        }),
        ("ledger", &ledger),
        ("merkle::root", &|| {
            black_box(merkle::root(black_box(&leaves)));
        }),
        ("merkle::root_with the chosen kernel", &|| {
            black_box(merkle::root_with(black_box(&leaves), &fastest));
        }),
        ("sha2 on 65 bytes, 4,095 times", &nodes),
    ];
    show_times("a block of 4,096 transactions", &parts, turns);
}

/// A named action.
type Part<'a> = (&'a str, &'a dyn Fn());

/// Prints the median time of each action, taken in turn, and how many times it goes into the first one's.
fn show_times(what: &str, parts: &[Part<'_>], turns: usize) {
    let mut times = vec![Vec::with_capacity(turns); parts.len()];
    for _ in 0..turns {
        for ((_, act), times) in parts.iter().zip(&mut times) {
            let begun = Instant::now();
            act();
            times.push(begun.elapsed());
        }
    }
    println!("{what}: median of {turns} turns");
    let medians: Vec<_> = times.iter_mut().map(|times| median(times)).collect();
    for ((name, _), time) in parts.iter().zip(&medians) {
        let ratio = medians[0].as_secs_f64() / time.as_secs_f64();
        println!("  {name:<44} {:>11.3} ms {ratio:>8.2} x", time.as_secs_f64() * 1e3);
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// An action on one item after the other, from the front again when they end.
fn endless<'a, T>(items: &'a [T], act: impl Fn(&T) + 'a) -> impl Fn(u64) + 'a {
    move |mut count| {
        for item in items.iter().cycle() {
            if count == 0 {
                return;
            }
            count -= 1;
            act(black_box(item));
        }
    }
}

/// Accounts of a chain that has only its genesis.
struct Nobody;

impl Accounts for Nobody {
    fn account(&self, _: &Account) -> Result<Option<AccountState>, StoreError> {
        Ok(None)
    }
}

/// Headers that meet every rule, from the genesis on.
fn chain_of_headers(params: &NetworkParams) -> Vec<Header> {
    let mut chain = vec![params.genesis()];
    while chain.len() < HEADERS {
        let parent = &chain[chain.len() - 1];
        chain.push(mined(child(params, parent, MerkleRoot::ZERO), params));
    }
    chain
}

fn child(params: &NetworkParams, parent: &Header, merkle_root: MerkleRoot) -> Header {
    Header {
        previous: parent.hash(),
        merkle_root,
        version: 1,
        bits: params.required_bits(parent, parent.time),
        height: parent.height.next(),
        time: parent.time,
        nonce: 0,
    }
}

fn mined(mut header: Header, params: &NetworkParams) -> Header {
    let target = header.bits.target(params.halflife_ms).expect("bits of the rules");
    let work = MiningWork {
        header: header.to_bytes(),
        limit: *target.as_bytes(),
    };
    let (cancel, attempts) = (AtomicBool::new(false), AtomicU64::new(0));
    let SearchOutcome::Found(nonce) = search(&work, 0..=u64::MAX, &cancel, &attempts) else {
        unreachable!("the space is far larger than the work");
    };
    header.nonce = nonce;
    header
}

/// A block as full as the rules allow: everyone pays the same account in turn.
fn full_block(params: &NetworkParams) -> Block {
    let network = params.network_id();
    let name = |text: String| Account::Name(AccountName::new(&text).expect("a good name"));
    let payers: Vec<_> = (0..PAYERS)
        .map(|number| (SecretKey::from_seed([number; 32]), name(format!("payer-{number}"))))
        .collect();
    let genesis = params.genesis();
    let reward = Reward {
        to: name("miner".into()),
        height: genesis.height.next(),
    };
    let one = Amount::new(1).expect("an amount");
    let pay = |index: usize| {
        let (key, from) = &payers[index % payers.len()];
        let sequence = u64::try_from(index / payers.len()).expect("small");
        let way = (from.clone(), name("shop".into()), None);
        Transaction::transfer(&network, key, way, one, sequence).expect("a good form")
    };
    let mut transactions = vec![Transaction::Reward(reward)];
    transactions.extend((1..TRANSACTIONS).map(|number| pay(number - 1)));
    let header = child(params, &genesis, MerkleRoot::ZERO);
    let mut block = Block { header, transactions };
    block.header.merkle_root = merkle::root(&block.txids());
    block
}

/// For ratios; rates here stay below 2^32.
fn float(rate: u64) -> f64 {
    f64::from(u32::try_from(rate).unwrap_or(u32::MAX))
}
