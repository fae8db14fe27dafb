//! Connections: how many, how long, and how they end.
//!
//! Promises: at most [`HERE_MAX`] connections from this machine and [`ELSEWHERE_MAX`] from others; a request that is not
//! there within [`Setup::request_max`] ends its connection, and so does a reader that takes nothing for [`UNREAD_MAX`]; all runs on
//! one thread of its own, so that no flood of requests delays the network.
//! Elsewhere: what is answered (`web::routes`).
//! Spec: `proto-notes/web.md`, "Limits".

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::extract::Extension;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::guard::{Guard, Line};
use super::ring::Ring;
use super::routes::{App, routes};
use super::setup::Setup;
use crate::threads;

/// Connections from this machine. A browser opens six for each tab in front.
const HERE_MAX: usize = 32;
/// Connections from all others: a stream for each of a class, and their questions.
const ELSEWHERE_MAX: usize = 80;
/// Connections from one other address: what one browser opens.
const ADDRESS_MAX: usize = 8;
/// The largest head of a request, and what a connection holds of an answer.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// How long bytes may lie in the system unread. A reader that is paused that long connects again.
const UNREAD_MAX: Duration = Duration::from_secs(30);
/// After a failure to take a connection in: the system is short of something, for a while.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);
/// How long open connections have to end at the stop.
const STOP_MAX: Duration = Duration::from_secs(1);

/// A server that runs.
pub struct Server {
    address: SocketAddr,
    ring: Arc<Ring>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Starts serving; `failed` hears of a panic that ends it.
    ///
    /// # Errors
    /// The system's, if it gives no thread.
    pub fn start(setup: Setup, failed: impl FnOnce(&str) + Send + 'static) -> io::Result<Self> {
        let address = setup.listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stops) = watch::channel(false);
        let ring = Arc::clone(&setup.ring);
        let guard = Guard {
            port: address.port(),
            token: setup.token,
            hosts: setup.hosts,
        };
        let request_max = setup.request_max;
        let app = Arc::new(App::new(guard, (setup.ring, setup.commands), request_max));
        let listener = setup.listener;
        let body = move || {
            let served = runtime.block_on(async {
                let listener = TcpListener::from_std(listener)?;
                serve(&listener, (&routes(app), request_max), stops).await;
                Ok::<_, io::Error>(())
            });
            if let Err(error) = served {
                tracing::error!(%error, "the page cannot be served");
            }
        };
        let thread = threads::spawn("web", body, failed)?;
        Ok(Self {
            address,
            ring,
            stop,
            thread: Some(thread),
        })
    }

    /// The address on which it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends the streams behind the last event, and then all connections.
    pub fn stop(mut self) {
        self.ring.close();
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a watched thread ends without a panic");
        }
    }
}

async fn serve(listener: &TcpListener, (routes, request_max): (&Router, Duration), mut stops: watch::Receiver<bool>) {
    let doors = Arc::new(Doors::default());
    let ended = watch::Sender::new(());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stops.changed() => break,
        };
        let Ok((stream, peer)) = accepted else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let Ok(local) = stream.local_addr() else { continue };
        let line = Line { local, peer };
        let Some(place) = Place::take(&doors, line) else {
            refuse(&stream);
            continue;
        };
        let (routes, stops, alive) = (routes.clone(), stops.clone(), ended.subscribe());
        tokio::spawn(async move {
            converse(stream, (routes.layer(Extension(line)), request_max), stops).await;
            drop((place, alive));
        });
    }
    // Whoever does not end in time is cut off with the runtime.
    let _ = timeout(STOP_MAX, ended.closed()).await;
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, (routes, request_max): (Router, Duration), mut stops: watch::Receiver<bool>) {
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNREAD_MAX));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(request_max)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
    let mut served = pin!(served);
    tokio::select! {
        // What a stranger sends wrong is answered or cut off, and no news.
        _ = served.as_mut() => return,
        _ = stops.changed() => served.as_mut().graceful_shutdown(),
    }
    let _ = served.await;
}

/// Says that there are too many, to whom it may reach, and closes.
fn refuse(stream: &TcpStream) {
    let _ = stream.try_write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
}

/// The connections that are open.
#[derive(Debug, Default)]
struct Doors {
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    here: usize,
    elsewhere: BTreeMap<IpAddr, usize>,
}

/// A place among the connections; free when it is dropped.
#[derive(Debug)]
struct Place {
    doors: Arc<Doors>,
    line: Line,
}

impl Place {
    /// A place for a connection; none if there are too many.
    fn take(doors: &Arc<Doors>, line: Line) -> Option<Self> {
        let mut open = doors.open.lock().unwrap_or_else(PoisonError::into_inner);
        if line.is_here() {
            if open.here >= HERE_MAX {
                return None;
            }
            open.here += 1;
        } else {
            let all: usize = open.elsewhere.values().sum();
            let of_address = open.elsewhere.entry(line.peer.ip()).or_default();
            if all >= ELSEWHERE_MAX || *of_address >= ADDRESS_MAX {
                return None;
            }
            *of_address += 1;
        }
        Some(Self {
            doors: Arc::clone(doors),
            line,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.doors.open.lock().unwrap_or_else(PoisonError::into_inner);
        if self.line.is_here() {
            open.here -= 1;
        } else if let Some(count) = open.elsewhere.get_mut(&self.line.peer.ip()) {
            *count -= 1;
            if *count == 0 {
                open.elsewhere.remove(&self.line.peer.ip());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(peer: &str) -> Line {
        Line {
            local: SocketAddr::from(([192, 168, 1, 5], 8645)),
            peer: SocketAddr::new(peer.parse().expect("an address"), 40_000),
        }
    }

    #[test]
    fn places_are_bounded_for_this_machine_for_each_address_and_for_all_others() {
        let doors = Arc::new(Doors::default());
        let take = |peer: &str| Place::take(&doors, line(peer));
        let here: Vec<_> = (0..HERE_MAX).map(|_| take("127.0.0.1").expect("room")).collect();
        assert!(take("127.0.0.1").is_none() && take("192.168.1.5").is_none());
        let one: Vec<_> = (0..ADDRESS_MAX).map(|_| take("192.168.1.9").expect("room")).collect();
        assert!(take("192.168.1.9").is_none());
        let others: Vec<_> = (ADDRESS_MAX..ELSEWHERE_MAX)
            .map(|number| take(&format!("10.0.{}.{}", number / 8, number % 8)).expect("room"))
            .collect();
        assert!(take("10.9.9.9").is_none());
        // A place that becomes free is taken again.
        drop(one);
        assert!(take("10.9.9.9").is_some());
        drop(here);
        assert!(take("127.0.0.1").is_some());
        drop(others);
        let open = doors.open.lock().expect("whole");
        assert!(open.elsewhere.is_empty() && open.here == 0, "{open:?}");
    }
}
