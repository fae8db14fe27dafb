//! What a user can ask of the engine; the console parses lines into these.

use crate::types::ticket::Ticket;
use crate::types::{Account, AccountName, Address, Amount, BlockHash, Height, PeerId, Txid};

/// An account as typed: `me` is the node's own key account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountRef {
    /// The node's key account.
    Me,
    /// A name or a key.
    Account(Account),
}

/// A block as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockRef {
    /// Only digits, the first no 0 but in 0 itself: a height of the active chain.
    Height(Height),
    /// A whole hash.
    Hash(BlockHash),
    /// A prefix of at least 4 lower-case hex digits.
    Prefix(String),
}

/// A transaction as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxRef {
    /// A whole id.
    Id(Txid),
    /// A prefix of at least 4 lower-case hex digits.
    Prefix(String),
}

impl From<Txid> for TxRef {
    fn from(txid: Txid) -> Self {
        Self::Id(txid)
    }
}

/// A peer as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRef {
    /// A whole PeerId.
    Id(PeerId),
    /// The end of one, or a name.
    Text(String),
}

/// What is done to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAct {
    /// `drop`: close its connections.
    Drop,
    /// `ban`: and refuse it.
    Ban {
        /// For so long, 1 to 1,440.
        minutes: u32,
    },
    /// `unban`: no longer refuse it.
    Unban,
}

/// The forms of `mine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MineCommand {
    /// `mine [N]`: until this node found N blocks, 1 to 10,000.
    Count(u32),
    /// `mine on`.
    On,
    /// `mine off`.
    Off,
}

/// What `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// At least this many peers with known status; 0: none.
    Peers(u32),
    /// An active tip at least this high.
    Height(Height),
    /// At least one peer, no sync running, no connected peer with more work.
    Synced,
    /// The transaction is in the active chain.
    Confirmed(Txid),
}

/// A command. `help` and `quit` are answered by the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `tx FROM TO AMOUNT`
    Tx {
        /// Who pays.
        from: AccountRef,
        /// Who is paid.
        to: AccountRef,
        /// How much.
        amount: Amount,
    },
    /// `claim NAME`
    Claim(AccountName),
    /// `mine [N]`, `mine on|off`
    Mine(MineCommand),
    /// `chain [N]`
    Chain(u32),
    /// `block HEIGHT|HASH`
    Block(BlockRef),
    /// `transaction TXID`
    Transaction(TxRef),
    /// `pending`
    Pending,
    /// `balance [ACCOUNT]`; none: where rewards go.
    Balance(Option<AccountRef>),
    /// `accounts`
    Accounts,
    /// `tree [N]`
    Tree(u32),
    /// `peers`
    Peers,
    /// `dial ADDRESS`
    Dial {
        /// Where.
        address: Address,
        /// Who, if the address said so.
        peer: Option<PeerId>,
    },
    /// `invite`
    Invite,
    /// `join TICKET`
    Join(Box<Ticket>),
    /// `resolve`
    Resolve,
    /// `rewind`
    Rewind,
    /// `status`
    Status,
    /// `net on|off`
    Net(bool),
    /// `explain block HEIGHT|HASH`
    ExplainBlock(BlockRef),
    /// `explain transaction TXID`
    ExplainTransaction(TxRef),
    /// `tamper HEIGHT`
    Tamper(Height),
    /// `stats [N]`
    Stats(u32),
    /// `drop PEER`, `ban PEER [MINUTES]`, `unban PEER`
    Peer {
        /// Whom.
        peer: PeerRef,
        /// What.
        act: PeerAct,
    },
    /// `doctor`: what the node sees of the machine and its networks, and what it makes of that.
    Doctor,
    /// `wait CONDITION [SECONDS]`
    Wait {
        /// For what.
        condition: Condition,
        /// How long, in seconds, 0 to 86,400.
        seconds: u32,
    },
}
