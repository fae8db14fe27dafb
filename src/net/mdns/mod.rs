//! Multicast DNS as libp2p uses it: packets, the schedule of sending, the records that are believed, and the sockets.
//!
//! Promises: work and memory are bounded for any packet; `packet`, `schedule` and `records` touch no socket.
//! Elsewhere: the thread that runs it (`net::discovery`), which of the found nodes to dial (`engine::parts::dial`).
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

#[cfg(any(test, feature = "testing"))]
#[path = "../../../fuzz/bodies/mdns.rs"]
pub(crate) mod fuzz;
pub(super) mod packet;
pub(super) mod records;
pub(super) mod schedule;
pub(super) mod socket;
