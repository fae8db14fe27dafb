//! What `doctor` answers. The fields are the words of the contract.
//!
//! Elsewhere: how it is judged (`inspect::doctor`). Spec: `proto-notes/events.md`, "Replies".

use serde::Serialize;

/// An interface in the answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct InterfaceView {
    pub name: String,
    pub addresses: Vec<String>,
    /// Whether others can find and reach this node there.
    pub used: bool,
    /// Why not, or what is special.
    pub reason: Option<String>,
    /// What is known of multicast there; null if nothing was to be sent.
    pub multicast: Option<Multicast>,
}

/// What an interface does with multicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Multicast {
    /// It carries none.
    None,
    /// A question was sent and came back.
    Returned,
    /// A question was sent and did not come back.
    Lost,
    /// The system did not take the question.
    Refused,
    /// Another program has the port for itself.
    Taken,
}

/// A node that could not be reached, or speaks another language.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct FailureView {
    pub peer_id: Option<String>,
    pub address: Option<String>,
    pub reason: String,
    /// It speaks libp2p, and is of another network or another program.
    pub other_network: bool,
    pub ago_ms: u64,
}

/// What `doctor` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the fields are the words of the contract")]
pub struct Diagnosis {
    pub peers: u64,
    pub net: bool,
    pub discovery: bool,
    pub interfaces: Vec<InterfaceView>,
    /// Nodes of any program named by multicast DNS, counted with repetitions.
    pub multicast_heard: u64,
    pub multicast_ago_ms: Option<u64>,
    /// Records that lie outside private ranges and the own networks: they are not dialled.
    pub multicast_dropped: u64,
    /// Other machines that spoke by multicast DNS when this one asked; none if it did not.
    pub others_heard: Option<u64>,
    pub failures: Vec<FailureView>,
    pub same_key: bool,
    /// Where, if multicast DNS told.
    pub same_key_at: Option<String>,
    /// How far the peers' clocks are ahead of this one, in the middle.
    pub clock_ahead_ms: Option<i64>,
    /// The line to type at another node.
    pub dial: Option<String>,
    /// What can be done, the most helpful first.
    pub advice: Vec<String>,
}
