//! Tests of whole processes: the real binary, real pipes, real sockets inside network namespaces.
//!
//! Promises: no test touches the network of the machine; waiting always has a deadline and a condition.

#[cfg(target_os = "linux")]
mod addresses;
#[cfg(target_os = "linux")]
mod attach;
#[cfg(target_os = "linux")]
mod branches;
mod contract;
#[cfg(unix)]
mod control;
mod crash;
mod discovery;
mod disk;
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(target_os = "linux")]
mod files;
mod fork;
mod harness;
mod hints;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod locks;
#[cfg(target_os = "linux")]
mod long_chain;
#[cfg(target_os = "linux")]
mod mdns_port;
#[cfg(target_os = "linux")]
mod memory;
#[cfg(target_os = "linux")]
mod mtu;
mod namespace;
mod parts;
mod pools;
#[cfg(target_os = "linux")]
mod pty;
#[cfg(target_os = "linux")]
mod roaming;
mod schema;
mod start;
mod stops;
#[cfg(target_os = "linux")]
mod switches;
#[cfg(target_os = "linux")]
mod terminal;
mod tools;
#[cfg(target_os = "linux")]
mod transcript;
#[cfg(target_os = "linux")]
mod transcripts;
#[cfg(target_os = "linux")]
mod vt;
mod web;
#[cfg(target_os = "linux")]
mod window;
