//! Looks up host names that a user typed. Each dial looks them up again, because a name may lead elsewhere by then.
//!
//! Promises: at most two threads, however slow the system's look-up is; an answer or a failure within [`PATIENCE`]; no
//! cache. Elsewhere: which names may be typed (`types::typed`).
//! Spec: `proto-notes/discovery.md`, "Addresses".

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::threads::{self, panic_point};
use crate::types::Address;

/// The most threads for look-ups; the system's look-up cannot be cancelled, only abandoned.
const THREADS_MAX: usize = 2;
/// The longest wait for a look-up.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 4;

/// The result of a look-up.
#[derive(Debug)]
pub(super) struct Answer {
    /// The number that the caller gave to the look-up.
    pub(super) id: u64,
    /// The addresses of the names; empty if there are none.
    pub(super) addresses: Vec<Address>,
}

/// The most answers that wait to be read: as many as there are threads. A further one waits in its thread.
const ANSWERS_MAX: usize = THREADS_MAX;

/// Looks up names on threads of its own.
#[derive(Debug)]
pub(super) struct NameLookup {
    busy: Arc<AtomicUsize>,
    answers: mpsc::Sender<Answer>,
}

impl NameLookup {
    /// The look-up, and the receiver of its answers, one for each accepted request.
    pub(super) fn new() -> (Self, mpsc::Receiver<Answer>) {
        let (answers, receiver) = mpsc::channel(ANSWERS_MAX);
        let busy = Arc::default();
        (Self { busy, answers }, receiver)
    }

    /// Looks up all names of a dial. False means that every thread is busy and no answer will come.
    pub(super) fn look_up(&self, id: u64, names: Vec<Address>) -> bool {
        if self.busy.fetch_add(1, Ordering::SeqCst) >= THREADS_MAX {
            self.busy.fetch_sub(1, Ordering::SeqCst);
            return false;
        }
        let (busy, answers) = (ThreadSlot(Arc::clone(&self.busy)), self.answers.clone());
        let unanswered = self.answers.clone();
        let work = move || {
            panic_point("names");
            let mut addresses: Vec<Address> = names.iter().flat_map(resolve).collect();
            addresses.truncate(ADDRESSES_MAX);
            drop(busy);
            answers.blocking_send(Answer { id, addresses }).unwrap_or_default();
        };
        // If the thread cannot start, the dial ends as if the name did not exist.
        let failed = move |_: &str| {
            let addresses = Vec::new();
            unanswered.blocking_send(Answer { id, addresses }).unwrap_or_default();
        };
        threads::spawn("names", work, failed).is_ok()
    }
}

/// One of the places for threads, which becomes free however the thread ends.
struct ThreadSlot(Arc<AtomicUsize>);

impl Drop for ThreadSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The addresses of a name, IPv4 first.
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

    /// `localhost` in every spelling is read without a look-up, so the test writes it as a multiaddr.
    #[tokio::test]
    async fn a_name_is_looked_up_and_one_that_nobody_has_leads_nowhere() {
        let (names, mut answers) = NameLookup::new();
        assert!(names.look_up(1, vec![name("/dns4/localhost/tcp/7")]));
        let answer = answers.recv().await.unwrap();
        let texts: Vec<&str> = answer.addresses.iter().map(Address::as_str).collect();
        assert_eq!((answer.id, texts), (1, vec!["/ip4/127.0.0.1/tcp/7"]));
    }

    #[test]
    fn two_look_ups_at_most_are_under_way() {
        let (names, _answers) = NameLookup::new();
        names.busy.store(THREADS_MAX, Ordering::SeqCst);
        assert!(!names.look_up(1, vec![name("/dns4/localhost/tcp/7")]));
        assert_eq!(names.busy.load(Ordering::SeqCst), THREADS_MAX);
        drop(ThreadSlot(Arc::clone(&names.busy)));
        assert_eq!(names.busy.load(Ordering::SeqCst), THREADS_MAX - 1);
    }
}
