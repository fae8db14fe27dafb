//! Worlds of full blocks: thirty-five of them to fetch, or to replace as many others, with turns that take their time and
//! links that carry so many bytes. A block here has fewer payments than a full one; work and bytes are scaled, so that it
//! takes as long: 57 ms to check on an idle core, five times as long on a busy one.
//!
//! Promises: the blocks are made once for a process, and are the same in every run.

use std::sync::OnceLock;

use lanchain::chain::{Block, Header, NetworkParams, Reward, Transaction, merkle};
use lanchain::testing::blocks::prove;
use lanchain::types::{Account, AccountName, Amount, SecretKey, WallTime};

use crate::dice::Dice;
use crate::history::Past;
use crate::plan::{NodePlan, Pace};
use crate::store::Kind;

/// The longer branch.
const LONG: usize = 35;
/// The other branch: all of it is replaced.
const OTHER: usize = 34;
/// Payers of a block; each pays twice. A full block has seventeen times as many payments.
const PAYERS: u64 = 60;
/// 57 ms for a block on an idle core, and on a busy one.
const PAYMENT_US: [u64; 3] = [480, 480, 2_400];
/// 100 Mbit/s, and a bad wireless link, scaled to these blocks.
const BYTES_PER_MS: [u64; 3] = [560, 560, 90];
const APART_MS: u64 = 10_000;

/// Who has what, and what it takes.
pub(crate) fn deal(dice: &mut Dice, nodes: &mut [NodePlan]) -> Pace {
    for (index, node) in nodes.iter_mut().enumerate() {
        node.past = match index {
            0 => Past::Full(LONG),
            1 => Past::OtherFull,
            _ if dice.chance(300) => Past::Full(dice.index(1, LONG)),
            _ => Past::Nothing,
        };
        node.store = Kind::Memory;
    }
    Pace {
        payment_us: *dice.pick(&PAYMENT_US),
        bytes_per_ms: *dice.pick(&BYTES_PER_MS),
    }
}

pub(crate) fn long(length: usize) -> Vec<Block> {
    static MADE: OnceLock<Vec<Block>> = OnceLock::new();
    MADE.get_or_init(|| branch(LONG, 1))[..length].to_vec()
}

pub(crate) fn other() -> Vec<Block> {
    static MADE: OnceLock<Vec<Block>> = OnceLock::new();
    MADE.get_or_init(|| branch(OTHER, 2)).clone()
}

fn branch(length: usize, owner: u8) -> Vec<Block> {
    let params = NetworkParams::lan();
    let mut blocks: Vec<Block> = Vec::new();
    for number in 0..length {
        let parent = blocks
            .last()
            .map_or_else(|| params.genesis(), |block| block.header.clone());
        blocks.push(block(&params, &parent, number, owner));
    }
    blocks
}

fn block(params: &NetworkParams, parent: &Header, number: usize, owner: u8) -> Block {
    let height = parent.height.next();
    let key = SecretKey::from_seed([owner; 32]);
    let name = |text: &str| Account::Name(AccountName::new(text).expect("a name"));
    let to = Account::Key(key.public());
    let mut transactions = vec![Transaction::Reward(Reward { to, height })];
    let first = u64::try_from(number).expect("a small number") * 2;
    for payer in 0..PAYERS {
        for sequence in [first, first + 1] {
            let parties = (name(&format!("payer-{owner}-{payer}")), name("till"), None);
            let payment = Transaction::transfer(&params.network_id(), &key, parties, Amount::ONE, sequence);
            transactions.push(payment.expect("a payment"));
        }
    }
    let ids: Vec<_> = transactions.iter().map(Transaction::txid).collect();
    let time = WallTime::from_ms(parent.time.ms() + APART_MS);
    let header = Header {
        previous: parent.hash(),
        merkle_root: merkle::root(&ids),
        version: 1,
        bits: params.required_bits(parent, time),
        height,
        time,
        nonce: 0,
    };
    Block {
        header: prove(params, header),
        transactions,
    }
}
