//! Looks up the names of hosts that a user typed: anew at each dial, since a name may lead elsewhere by then.
//!
//! Promises: two threads at most, however slow the system's own look-up is; an answer or a failure within
//! [`PATIENCE`]; nothing is kept. Elsewhere: what may be typed (`types::typed`).
//! Spec: `proto-notes/discovery.md`, "Addresses".

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::threads::{self, panic_point};
use crate::types::Address;

/// Threads that look up: the system's own look-up cannot be ended, only left behind.
const THREADS_MAX: usize = 2;
/// How long a look-up is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;

/// The end of a look-up.
#[derive(Debug)]
pub(super) struct Answer {
    /// Which one.
    pub(super) id: u64,
    /// Where the names lead; empty if they lead nowhere.
    pub(super) addresses: Vec<Address>,
}

/// Answers that wait to be read: as many as there are threads. One more waits in its thread.
const ANSWERS_MAX: usize = THREADS_MAX;

/// Gives addresses for names.
#[derive(Debug)]
pub(super) struct Names {
    busy: Arc<AtomicUsize>,
    answers: mpsc::Sender<Answer>,
}

impl Names {
    /// Answers come out of the other end, as many as were asked for.
    pub(super) fn new() -> (Self, mpsc::Receiver<Answer>) {
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let busy = Arc::default();
        (Self { busy, answers }, receiver)
    }

    /// Looks up all names of a dial. False: every thread is busy, there will be no answer.
    pub(super) fn look_up(&self, id: u64, names: Vec<Address>) -> bool {
        if self.busy.fetch_add(1, Ordering::SeqCst) >= THREADS_MAX {
            self.busy.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        let (busy, answers) = (Place(Arc::clone(&self.busy)), self.answers.clone());
        let unanswered = self.answers.clone();
        let work = move || {
            panic_point("names");
            let mut addresses: Vec<Address> = names.iter().flat_map(resolve).collect();
            addresses.truncate(ADDRESSES_MAX);
            drop(busy);
            answers.blocking_send(Answer { id, addresses }).unwrap_or_default();
        };
        // The dial that waits ends: the name leads nowhere.
        let failed = move |_: &str| {
            let addresses = Vec::new();
            unanswered.blocking_send(Answer { id, addresses }).unwrap_or_default();
        };
        threads::spawn("names", work, failed).is_ok()
    }
}

/// A thread's place, free again however the thread ends.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Where a name leads, IPv4 first.
fn resolve(name: &Address) -> Vec<Address> {
    let mut parts = name.as_str().split('/').skip(1);
    let (Some(kind), Some(host), Some(port)) = (parts.next(), parts.next(), parts.nth(1)) else {
        return Vec::new();
    };
    let Ok(port) = port.parse::<u16>() else {
        return Vec::new();
    };
    let fits = |socket: &SocketAddr| match socket.ip() {
        IpAddr::V4(ip) => kind != "dns6" && !ip.is_unspecified(),
        IpAddr::V6(ip) => kind != "dns4" && !ip.is_unspecified() && !ip.is_unicast_link_local(),
    };
    let found = (host, port).to_socket_addrs().into_iter().flatten().filter(fits);
    let mut ips: Vec<IpAddr> = found.map(|socket| socket.ip()).collect();
    ips.sort_by_key(IpAddr::is_ipv6);
    ips.dedup();
    ips.into_iter().filter_map(|ip| name.at_ip(ip)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Address {
        Address::parse_typed(text).unwrap().0
    }

    /// `localhost` in every spelling is read without a look-up, so it is written as a multiaddr here.
    #[tokio::test]
    async fn a_name_is_looked_up_and_one_that_nobody_has_leads_nowhere() {
        let (names, mut answers) = Names::new();
        assert!(names.look_up(1, vec![name("/dns4/localhost/tcp/7")]));
        let answer = answers.recv().await.unwrap();
        let texts: Vec<&str> = answer.addresses.iter().map(Address::as_str).collect();
        assert_eq!((answer.id, texts), (1, vec!["/ip4/127.0.0.1/tcp/7"]));
    }

    #[test]
    fn two_look_ups_at_most_are_under_way() {
        let (names, _answers) = Names::new();
        names.busy.store(THREADS_MAX, Ordering::SeqCst);
        assert!(!names.look_up(1, vec![name("/dns4/localhost/tcp/7")]));
        assert_eq!(names.busy.load(Ordering::SeqCst), THREADS_MAX);
        drop(Place(Arc::clone(&names.busy)));
        assert_eq!(names.busy.load(Ordering::SeqCst), THREADS_MAX - 1);
    }
}
