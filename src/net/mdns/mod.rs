//! Multicast DNS as libp2p uses it: packets, when to speak, what to believe, and the sockets.
//!
//! Promises: bounded work and memory whatever a packet holds; `packet`, `schedule` and `records` touch no socket.
//! Elsewhere: the thread that runs it (`net::discovery`), whom of the found to dial (`engine::dial`).
//! Spec: `proto-notes/discovery.md`, "Multicast DNS".

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzz;
pub(super) mod packet;
pub(super) mod records;
pub(super) mod schedule;
pub(super) mod socket;
