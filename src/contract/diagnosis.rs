//! The reply of `doctor`. The field names are those of the JSON contract.
//!
//! Elsewhere: the judgement (`inspect::doctor`). Spec: `proto-notes/events.md`, "Replies".

use serde::Serialize;

/// A network interface in the reply of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct InterfaceView {
    pub name: String,
    pub addresses: Vec<String>,
    /// Whether others can find and reach this node through it.
    pub used: bool,
    /// Why not, or what is special about it; null if there is nothing to say.
    pub reason: Option<String>,
    /// What is known about multicast on it; null if no question was to be sent.
    pub multicast: Option<Multicast>,
}

/// How an interface handles multicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Multicast {
    /// The interface does not carry multicast.
    None,
    /// A question was sent, and this machine received it back.
    Returned,
    /// A question was sent, but this machine did not receive it back.
    Lost,
    /// The system refused to send the question.
    Refused,
    /// Another program uses the port of multicast DNS and does not share it.
    Taken,
}

/// A failed dial: a node that could not be reached, or one that is not of this network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct FailureView {
    pub peer_id: Option<String>,
    pub address: Option<String>,
    pub reason: String,
    /// Whether a program that speaks libp2p answered, but is of another network or is not lanchain.
    pub other_network: bool,
    pub ago_ms: u64,
}

/// The reply of `doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Diagnosis {
    pub peers: u64,
    pub net: bool,
    pub discovery: bool,
    pub interfaces: Vec<InterfaceView>,
    /// How many times multicast DNS named a node of any program, repetitions included.
    pub multicast_heard: u64,
    pub multicast_ago_ms: Option<u64>,
    /// How many of these were at public addresses outside the own networks, which are not dialled.
    pub multicast_dropped: u64,
    /// The other machines that sent multicast DNS after this one asked; null if it did not ask.
    pub others_heard: Option<u64>,
    pub failures: Vec<FailureView>,
    pub same_key: bool,
    /// The address of the other node with this key, if multicast DNS told it.
    pub same_key_at: Option<String>,
    /// The median of how far the peers' clocks are ahead of this one, in milliseconds.
    pub clock_ahead_ms: Option<i64>,
    /// The line to type at another node to reach this one.
    pub dial: Option<String>,
    /// The advice to the user, the most helpful sentence first.
    pub advice: Vec<String>,
}
