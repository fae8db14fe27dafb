//! The commands that a user can give to the engine; the console parses lines into these.

use crate::types::ticket::Ticket;
use crate::types::{Account, AccountName, Address, Amount, BlockHash, Height, PeerId, Txid};

/// An account as the user typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountRef {
    /// `me`, which is the key account of this node.
    Me,
    /// A name or a PeerId, which stands for its key account.
    Account(Account),
}

/// A block as the user typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockRef {
    /// `latest`: the newest block of the active chain, whichever that is when the command is carried out.
    Latest,
    /// A word of digits without a leading zero: the height of an active block.
    Height(Height),
    /// A whole hash, 64 hex digits.
    Hash(BlockHash),
    /// The beginning of a hash, at least 4 lower-case hex digits.
    Prefix(String),
}

/// A transaction as the user typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxRef {
    /// A whole id, 64 hex digits.
    Id(Txid),
    /// The beginning of an id, at least 4 lower-case hex digits.
    Prefix(String),
}

impl From<Txid> for TxRef {
    fn from(txid: Txid) -> Self {
        Self::Id(txid)
    }
}

/// A peer as the user typed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerRef {
    /// A whole PeerId, which need not be connected.
    Id(PeerId),
    /// The end of a PeerId, or a name; it must fit a known peer.
    Text(String),
}

/// The action of a command on a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerAct {
    /// `drop`: closes the connections to the peer.
    Drop,
    /// `ban`: closes the connections and refuses new ones for a while.
    Ban {
        /// The length of the ban in minutes, 1 to 1,440.
        minutes: u32,
    },
    /// `unban`: ends a ban.
    Unban,
}

/// The variants of `mine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MineCommand {
    /// `mine [N]`: mines until this node has found N blocks, 1 to 10,000.
    Count(u32),
    /// `mine on`: mines until it is switched off.
    On,
    /// `mine off`: stops mining.
    Off,
}

/// The condition that `wait` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// At least this many connected peers with a known status; 0 means none at all.
    Peers(u32),
    /// The active tip is at least this high.
    Height(Height),
    /// There is at least one peer, no sync is running, and no connected peer has more work.
    Synced,
    /// The transaction is in the active chain.
    Confirmed(Txid),
}

/// A command for the engine. The console itself answers `help` and `quit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// `tx FROM TO AMOUNT`: pays coins.
    Tx {
        /// The account that pays.
        from: AccountRef,
        /// The account that is paid.
        to: AccountRef,
        /// The coins to pay.
        amount: Amount,
    },
    /// `claim NAME`: registers a name for this node's key.
    Claim(AccountName),
    /// `mine [N]`, `mine on|off`: starts or stops mining.
    Mine(MineCommand),
    /// `chain [N]`: shows the newest N blocks of the active chain.
    Chain(u32),
    /// `block HEIGHT|HASH`: shows a block.
    Block(BlockRef),
    /// `transaction TXID`: shows a transaction and where it is.
    Transaction(TxRef),
    /// `pending`: lists the waiting transactions.
    Pending,
    /// `balance [ACCOUNT]`: shows a balance; none means the account that gets rewards.
    Balance(Option<AccountRef>),
    /// `whoami`: this node's name, key and accounts.
    Whoami,
    /// `history [ACCOUNT] [N]`: lists the newest N transactions of an account.
    History {
        /// The account; none means all that this node owns.
        account: Option<AccountRef>,
        /// The most transactions to list, 1 to 1,000.
        limit: u32,
    },
    /// `accounts`: lists accounts and their balances.
    Accounts,
    /// `tree [N]`: draws the block tree with its N best tips.
    Tree(u32),
    /// `peers`: lists connected and banned peers.
    Peers,
    /// `dial ADDRESS`: connects to a node.
    Dial {
        /// The address to connect to.
        address: Address,
        /// The node that must be there; none if the address named no PeerId.
        peer: Option<PeerId>,
    },
    /// `invite`: makes a ticket for other nodes.
    Invite,
    /// `join TICKET`: connects to the node that made the ticket.
    Join(Box<Ticket>),
    /// `resolve`: switches to the best chain of the peers.
    Resolve,
    /// `rewind`: removes own blocks whose time lies too far in the future.
    Rewind,
    /// `status`: shows the state of this node.
    Status,
    /// `net on|off`: switches the network of this node.
    Net(bool),
    /// `explain block HEIGHT|HASH`: explains a block byte by byte.
    ExplainBlock(BlockRef),
    /// `explain transaction TXID`: explains a transaction byte by byte.
    ExplainTransaction(TxRef),
    /// `tamper HEIGHT`: changes copies of a block and shows which rule refuses each.
    Tamper(Height),
    /// `stats [N]`: shows statistics of the last N blocks.
    Stats(u32),
    /// `drop PEER`, `ban PEER [MINUTES]`, `unban PEER`: acts on a peer.
    Peer {
        /// The peer to act on.
        peer: PeerRef,
        /// What to do with the peer.
        act: PeerAct,
    },
    /// `doctor`: explains why no peer is found, from what the node sees of the machine and its networks.
    Doctor,
    /// `wait CONDITION [SECONDS]`: waits until a condition holds.
    Wait {
        /// The condition to wait for.
        condition: Condition,
        /// The longest wait in seconds, 0 to 86,400.
        seconds: u32,
    },
}

impl Command {
    /// Whether the command changes nothing and hands out nothing that is secret.
    #[must_use]
    pub const fn only_reads(&self) -> bool {
        match self {
            Self::Chain(_)
            | Self::Block(_)
            | Self::Transaction(_)
            | Self::Pending
            | Self::Balance(_)
            | Self::Whoami
            | Self::History { .. }
            | Self::Accounts
            | Self::Tree(_)
            | Self::Peers
            | Self::Status
            | Self::ExplainBlock(_)
            | Self::ExplainTransaction(_)
            | Self::Tamper(_)
            | Self::Stats(_)
            | Self::Doctor => true,
            Self::Tx { .. }
            | Self::Claim(_)
            | Self::Mine(_)
            | Self::Dial { .. }
            | Self::Invite
            | Self::Join(_)
            | Self::Resolve
            | Self::Rewind
            | Self::Net(_)
            | Self::Peer { .. }
            | Self::Wait { .. } => false,
        }
    }
}
