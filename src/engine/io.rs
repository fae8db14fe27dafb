//! The engine's inputs and outputs. Nothing here holds a channel, a closure or a lock.

mod errand;

use core::net::IpAddr;

pub use errand::{BodyCheck, Errand, Outcome};

use super::parts::room::Room;
use super::parts::standing::Fault;
use crate::chain::{self, Batch, Header};
use crate::contract::{
    Command, CommandError, DialFailure, Direction, DisconnectReason, Event, FoundBy, Reply, Stranger,
};
use crate::types::prefix::Prefix;
use crate::types::{Address, PeerId, Target, Time, WallTime};
use crate::wire::{Request, Response, Topic};

/// A fact that the shell tells.
#[derive(Clone, Debug)]
pub enum Input {
    /// A user asks. The reply carries the same id.
    Command {
        /// Chosen by the console; never used twice.
        id: u64,
        /// What is asked, with its arguments.
        command: Command,
    },
    /// The user gave up waiting: the running command ends with `interrupted`.
    Cancel {
        /// The id that the command came with.
        id: u64,
    },
    /// Something that the network saw or received.
    Net(NetFact),
    /// Something that the miner found or measured.
    Miner(MinerFact),
    /// Something that the disk did, or failed to do.
    Store(StoreFact),
    /// Work that was ordered by [`Output::Errand`] is done.
    Done {
        /// The id of the command that the work is for.
        id: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// Bodies that left with [`Output::Check`] were checked.
    Checked {
        /// The number that they left with.
        number: u64,
        /// A verdict on each of them.
        verdicts: Vec<chain::Verdict>,
    },
    /// A part of the node that runs by itself has ended, or runs again.
    Part(PartFact),
    /// The wall clock, told at the start, every few seconds, and when it jumps.
    Clock(WallTime),
    /// Everything that the network read before this time and that ends a request was handed over: no answer of before
    /// lies unread on our side. Changes nothing else, so that it may come before every fact.
    Heard(Time),
    /// Time has come to what `next_wakeup` said, and nothing that the network read waits to be handed over.
    Tick,
    /// The node is about to stop: hand fresh announcements over, stop mining.
    Stop,
}

/// What of the node runs by itself, outside the engine, and can end while the rest goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The network: connections, gossip, requests.
    Network,
    /// Discovery by multicast DNS.
    Discovery,
    /// The search for other nodes of this machine.
    Siblings,
    /// One of the threads that search for nonces.
    Mining,
    /// The door for `ctl` and `attach`.
    Control,
    /// The page and its server.
    Web,
    /// What hears the system's signals.
    Signals,
    /// What folds rows of the log.
    Folding,
}

/// What became of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartFact {
    /// It has failed. Of the network, every connection, dial and request has ended with it.
    Ended {
        /// The part that has ended.
        part: Part,
        /// The error's message, for people.
        reason: String,
        /// After how many milliseconds it is started anew; none: it stays off.
        again_ms: Option<u64>,
    },
    /// It was started anew.
    Started {
        /// The part that runs again.
        part: Part,
    },
}

/// What the network reports.
#[derive(Clone, Debug)]
pub enum NetFact {
    /// The node listens here now (real port, no `/p2p/`).
    Listening(Address),
    /// The node no longer listens here.
    NotListening(Address),
    /// The networks that this machine's interfaces are in; the whole list, each time it is another one.
    Networks(Vec<Prefix>),
    /// Discovery was told of nodes outside private ranges and the own networks, which are not dialled.
    Elsewhere {
        /// How often so far.
        count: u64,
        /// Who said so last.
        source: IpAddr,
    },
    /// Discovery saw a peer, or (with [`FoundBy::Inbound`]) a peer that calls in listens here by its own word, on the host
    /// from which it called; that comes before its `Connected`.
    Found {
        /// The peer that was found.
        peer: PeerId,
        /// Where it can be dialled.
        address: Address,
        /// What named it: discovery, a user, the store or a peer.
        by: FoundBy,
        /// Where the record came from, if it came over the network.
        from: Option<IpAddr>,
    },
    /// The first connection to a peer of this network and version stands (identify has confirmed both).
    Connected {
        /// The peer at the other end.
        peer: PeerId,
        /// The remote address; for inbound ones its listen address if it told one.
        address: Address,
        /// Which of the two nodes dialled.
        direction: Direction,
    },
    /// What program a connected peer says it is.
    Agent {
        /// The peer that says so.
        peer: PeerId,
        /// Its words, cut and escaped.
        agent: String,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// The peer whose last connection has ended.
        peer: PeerId,
        /// Why it ended, as far as this node can tell.
        reason: DisconnectReason,
    },
    /// A dial ended without a connection. `peer` is none if the address named none.
    DialFailed {
        /// The peer that was dialled; none if only an address was known.
        peer: Option<PeerId>,
        /// The addresses that were tried.
        addresses: Vec<Address>,
        /// Why none of them led to the peer.
        reason: DialFailure,
        /// It answered as one of these: not to be dialled again for an hour.
        stranger: Option<Stranger>,
    },
    /// A gossip message that waits for its verdict.
    Gossip {
        /// Names the message in the verdict.
        token: u64,
        /// The neighbour that forwarded the message.
        peer: PeerId,
        /// The topic that the message belongs to.
        topic: Topic,
        /// The message as it came, not decoded yet.
        bytes: Vec<u8>,
    },
    /// A peer's request; it is answered with the same token.
    Request {
        /// Names the request in the answer.
        token: u64,
        /// The peer that asks.
        peer: PeerId,
        /// What it wants to know.
        request: Request,
    },
    /// The end of an own request: the answer, or none after a failure of any kind.
    Response {
        /// The id given in the order.
        id: u64,
        /// The peer that was asked.
        peer: PeerId,
        /// Its answer; none if the request failed.
        response: Option<Response>,
    },
    /// A peer broke the protocol below the engine: bytes that cannot be decoded, streams without end.
    Malformed {
        /// The peer that sent it.
        peer: PeerId,
        /// How bad that is.
        fault: Fault,
        /// What is wrong with it, for people.
        reason: String,
    },
    /// The network or discovery has failed, or runs again.
    Part(PartFact),
    /// A ping came back.
    Latency {
        /// The peer that answered a ping.
        peer: PeerId,
        /// After how many milliseconds.
        ms: u64,
    },
}

/// What the miner reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinerFact {
    /// A nonce that meets the job's target.
    Found {
        /// The job whose nonce was found.
        job: u64,
        /// The nonce with which the header's hash meets the target.
        nonce: u64,
    },
    /// The job's nonces are used up.
    Exhausted {
        /// The job that has no nonce left.
        job: u64,
    },
    /// Attempts a second, of all threads together.
    Rate(u64),
}

/// What the disk reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreFact {
    /// Every batch up to this id is on disk.
    Committed {
        /// The batch's number; every batch before it is written too.
        id: u64,
    },
    /// A batch could not be written; nothing of it is on disk. The node is read-only until the store was reopened.
    Failed {
        /// Why, in the system's words.
        reason: String,
    },
    /// The store was reopened and checked: state must be read anew.
    Reopened,
    /// How much room there is; told at the start, then when it changes.
    Room(Room),
}

/// An order that the shell carries out.
#[derive(Clone, Debug)]
pub enum Output {
    /// An order to the network.
    Net(NetOrder),
    /// An order to the miner.
    Miner(MinerOrder),
    /// To the disk. What stands behind waits, except what is immediate.
    Commit(Batch),
    /// Something that the user is told.
    Event(Event),
    /// Work for a command; [`Input::Done`] with the same id is its end.
    Errand {
        /// The id of the command that the work is for.
        id: u64,
        /// What is to be done.
        errand: Errand,
    },
    /// Check bodies beside the engine; [`Input::Checked`] with the same number is the end of it.
    Check(BodyCheck),
    /// The end of a command.
    Reply {
        /// The id that the command came with.
        id: u64,
        /// What was asked for, or why it is refused.
        result: Result<Reply, CommandError>,
    },
}

impl Output {
    /// Whether this order reveals nothing that a crash could make us forget, so that it never waits for a disk.
    #[must_use]
    pub const fn is_immediate(&self) -> bool {
        match self {
            Self::Net(order) => match order {
                NetOrder::Verdict { .. }
                | NetOrder::Request { .. }
                | NetOrder::Dial { .. }
                | NetOrder::Disconnect { .. }
                | NetOrder::Ban { .. }
                | NetOrder::Protect { .. }
                | NetOrder::Enable(_) => true,
                NetOrder::Publish { .. } | NetOrder::Answer { .. } => false,
            },
            Self::Miner(_)
            | Self::Check(_)
            | Self::Errand {
                errand: Errand::Look { .. },
                ..
            } => true,
            // What is read is told: it must have been written.
            Self::Errand {
                errand: Errand::Read(_),
                ..
            }
            | Self::Commit(_)
            | Self::Event(_)
            | Self::Reply { .. } => false,
        }
    }
}

/// What becomes of a gossip message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is valid: neighbours get it.
    Accept,
    /// The sender could have known better: do not forward, count against it.
    Reject,
    /// Do not forward, nobody's fault.
    Ignore,
}

/// Orders to the network.
#[derive(Clone, Debug)]
pub enum NetOrder {
    /// Connect to a peer, from a new port. Ends in `Connected` or `DialFailed`.
    Dial {
        /// Who; none if unknown.
        peer: Option<PeerId>,
        /// The addresses to try.
        addresses: Vec<Address>,
    },
    /// Close every connection to a peer.
    Disconnect {
        /// The peer whose connections are closed.
        peer: PeerId,
    },
    /// Close and refuse a peer from now on, or no longer.
    Ban {
        /// The peer that is banned or pardoned.
        peer: PeerId,
        /// True: refuse. False: allow again.
        banned: bool,
    },
    /// This connected peer was named by a user: it keeps its place when strangers crowd in.
    Protect {
        /// The peer whose connection stays when others make room.
        peer: PeerId,
    },
    /// Hand a message to the neighbours by gossip.
    Publish {
        /// The topic that it belongs to.
        topic: Topic,
        /// The message as it is encoded.
        bytes: Vec<u8>,
    },
    /// Answer a gossip message's question for a verdict.
    Verdict {
        /// The message that is judged.
        token: u64,
        /// What becomes of it.
        verdict: Verdict,
    },
    /// Ask a peer. Ends in one `Response`.
    Request {
        /// Comes back with the response.
        id: u64,
        /// The peer that is asked.
        peer: PeerId,
        /// What it is asked.
        request: Request,
    },
    /// Answer a peer's request.
    Answer {
        /// The request that is answered.
        token: u64,
        /// What the peer is told.
        response: Response,
    },
    /// Plug the cable in or pull it: listen and discover, or close everything.
    Enable(bool),
}

/// Orders to the miner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MinerOrder {
    /// Replace whatever is searched.
    Mine {
        /// Comes back with the nonce.
        job: u64,
        /// The header with nonce 0.
        header: Header,
        /// What the hash must stay below.
        target: Target,
        /// A pause before the search, in milliseconds (mining policy).
        delay_ms: u64,
    },
    /// End the search, and wait for the next job.
    Stop,
}
