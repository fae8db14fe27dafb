//! A server on loopback, asked by hand: what it answers, what it refuses, and that nobody holds it up.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::*;
use crate::contract::{CommandError, RunId};

/// How long a condition is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
const TOKEN: &str = "07070707070707070707070707070707";

/// A node that answers by the word of the line.
#[derive(Default)]
struct Node {
    lines: Mutex<Vec<String>>,
    running: Arc<AtomicUsize>,
    cancelled: Arc<AtomicUsize>,
    /// Commands that do not end by themselves: their senders.
    open: Mutex<Vec<mpsc::Sender<Piece>>>,
}

/// Counts a cancellation when it is dropped.
struct Cancels(Arc<AtomicUsize>, Arc<AtomicUsize>);

impl Drop for Cancels {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        self.1.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Commands for Node {
    fn begin(&self, line: &str, form: Form) -> Result<Running, CommandError> {
        self.lines.lock().unwrap().push(line.to_owned());
        self.running.fetch_add(1, Ordering::SeqCst);
        let (to, pieces) = mpsc::channel(PIECES_AHEAD);
        let word = line.split(' ').next().unwrap_or("");
        match word {
            "mine" | "wait" | "tamper" => self.open.lock().unwrap().push(to),
            "chain" => {
                std::thread::spawn(move || {
                    let mut given = to.blocking_send(Piece::Done("[".into()));
                    for _ in 0..200 {
                        given = given.and_then(|()| to.blocking_send(Piece::More("x".repeat(65_536))));
                    }
                    let _ = given.and_then(|()| to.blocking_send(Piece::More("]".into())));
                });
            }
            "stats" => {
                let _ = to.try_send(Piece::Done("[1".into()));
                std::thread::spawn(move || to.blocking_send(Piece::Broken));
            }
            "tx" => {
                let error = CommandError::new("overdraft", "alice owns 0 coins", "mine");
                let _ = to.try_send(Piece::Refused(r#"{"ok":false}"#.into(), error));
            }
            "block" | "balance" => {
                let _ = to.try_send(Piece::Done("{}".into()));
            }
            _ => {
                let text =
                    format!(r#"{{"form":"{form:?}","data_dir":"/home/anna","addresses":["a"],"web":"{TOKEN}"}}"#);
                let _ = to.try_send(Piece::Done(text));
            }
        }
        let cancels = Cancels(Arc::clone(&self.cancelled), Arc::clone(&self.running));
        Ok(Running {
            pieces,
            cancels: Box::new(cancels),
        })
    }
}

struct Site {
    node: Arc<Node>,
    ring: Arc<Ring>,
    server: Server,
}

impl Site {
    fn open() -> Self {
        Self::patient(REQUEST_MAX)
    }

    fn patient(request_max: Duration) -> Self {
        let (node, ring) = (Arc::new(Node::default()), Arc::new(Ring::new(RunId::new([7; 8]), 0)));
        let setup = Setup {
            listener: bind("127.0.0.1:0".parse().unwrap()).unwrap(),
            token: Token::new([7; 16]),
            hosts: Vec::new(),
            ring: Arc::clone(&ring),
            commands: node.clone(),
            request_max,
        };
        let server = Server::start(setup, |reason| panic!("{reason}")).unwrap();
        Self { node, ring, server }
    }

    fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// A connection on which this was sent.
    fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    }

    fn get(&self, path: &str) -> TcpStream {
        let host = self.address();
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        ))
    }

    fn post(&self, body: &str, headers: &str) -> TcpStream {
        let (host, length) = (self.address(), body.len());
        self.send(&format!(
            "POST /api/command HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        ))
    }

    fn command(&self, line: &str) -> TcpStream {
        let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n");
        self.post(&serde_json::json!({ "command": line }).to_string(), &headers)
    }
}

/// All that a connection says until it ends.
fn read(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock, "no end within {PATIENCE:?}"),
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn status(answer: &str) -> u16 {
    let digits = answer
        .split(' ')
        .nth(1)
        .unwrap_or_else(|| panic!("no status: {answer:?}"));
    digits.parse().unwrap()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_path_has_its_answer_and_every_answer_its_headers() {
    let site = Site::open();
    for (path, wanted) in [
        ("/", 200),
        ("/page.js", 200),
        ("/page.css", 200),
        ("/api/status", 200),
        ("/api/block/1", 200),
        ("/nothing", 404),
        ("/api", 404),
        ("/api/quit", 404),
        ("/api/mine", 405),
        ("/api/command", 405),
        ("/page/", 404),
        ("/..", 404),
    ] {
        let answer = read(site.get(path));
        assert_eq!(status(&answer), wanted, "{path}: {answer}");
        for header in [
            "content-security-policy: default-src 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
        ] {
            assert!(answer.contains(header), "{path}: {answer}");
        }
        let kept = if path.starts_with("/page.") || path == "/" {
            "no-cache"
        } else {
            "no-store"
        };
        assert!(answer.contains(&format!("cache-control: {kept}")), "{path}: {answer}");
        assert!(
            !answer.contains("access-control-") && !answer.contains(TOKEN),
            "{path}: {answer}"
        );
    }
    // Words of a path may be written with escapes, and are words all the same.
    assert_eq!(status(&read(site.get("/api/balance/%61lice"))), 200);
    assert_eq!(site.node.lines.lock().unwrap().last().unwrap(), "balance alice");
    site.server.stop();
}

#[test]
fn a_browser_that_has_a_file_is_not_sent_it_again() {
    let site = Site::open();
    let answer = read(site.get("/page.js"));
    let tag = answer
        .lines()
        .find_map(|line| line.strip_prefix("etag: "))
        .expect("a tag");
    let host = site.address();
    let again = site.send(&format!(
        "GET /page.js HTTP/1.1\r\nHost: {host}\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n"
    ));
    let again = read(again);
    assert_eq!(status(&again), 304);
    assert!(again.ends_with("\r\n\r\n"), "{again}");
    site.server.stop();
}

#[test]
fn a_command_gets_its_reply_and_a_refused_one_422() {
    let site = Site::open();
    let answer = read(site.command("claim bob"));
    assert_eq!(status(&answer), 200);
    assert!(answer.contains(r#""form":"Reply""#), "{answer}");
    assert_eq!(status(&read(site.command("tx alice bob 5"))), 422);
    assert_eq!(status(&read(site.command("quit"))), 403);
    let json = "Content-Type: application/json\r\n";
    let body = r#"{"command":"net off"}"#;
    for (headers, wanted) in [
        (json.to_owned(), 401),
        (format!("{json}Authorization: Bearer {}\r\n", "0".repeat(32)), 401),
        (
            format!("{json}Authorization: Bearer {TOKEN}\r\nOrigin: http://evil.example\r\n"),
            403,
        ),
        (
            format!("{json}Authorization: Bearer {TOKEN}\r\nSec-Fetch-Site: cross-site\r\n"),
            403,
        ),
        (
            format!("Content-Type: text/plain\r\nAuthorization: Bearer {TOKEN}\r\n"),
            415,
        ),
        (
            format!("{json}Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
            401,
        ),
    ] {
        assert_eq!(status(&read(site.post(body, &headers))), wanted, "{headers}");
    }
    assert!(
        !site.node.lines.lock().unwrap().contains(&"net off".to_owned()),
        "none of them came through"
    );
    site.server.stop();
}

#[test]
fn a_request_for_another_host_or_two_learns_which_address_to_open() {
    let site = Site::open();
    let port = site.address().port();
    for head in [
        "GET / HTTP/1.1\r\nHost: evil.example\r\n".to_owned(),
        format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n"),
        format!("GET http://evil.example/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"),
        "GET / HTTP/1.0\r\n".to_owned(),
    ] {
        let answer = read(site.send(&format!("{head}Connection: close\r\n\r\n")));
        assert_eq!(status(&answer), 421, "{head}: {answer}");
        assert!(answer.contains(&format!("open http://127.0.0.1:{port}/")), "{answer}");
    }
    site.server.stop();
}

#[test]
fn what_is_too_large_or_too_late_is_refused() {
    let site = Site::patient(Duration::from_millis(300));
    let host = site.address();
    let large = "x".repeat(20 * 1024);
    let answer = read(site.send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\nX: {large}\r\n\r\n")));
    assert_eq!(status(&answer), 431, "{answer}");
    let answer = read(site.command(&"x".repeat(9 * 1024)));
    assert_eq!(status(&answer), 413, "{answer}");
    // The head does not come; the connection ends.
    assert_eq!(read(site.send("GET / HTTP/1.1\r\nHost")), "");
    // The body does not come.
    let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 100\r\n");
    let answer = read(site.send(&format!(
        "POST /api/command HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n{{"
    )));
    assert_eq!(status(&answer), 408, "{answer}");
    // A connection that asks nothing more is closed.
    let answer = read(site.send(&format!("GET /page.css HTTP/1.1\r\nHost: {host}\r\n\r\n")));
    assert_eq!(status(&answer), 200);
    site.server.stop();
}

#[test]
fn a_command_that_nobody_waits_for_any_more_is_cancelled() {
    let site = Site::open();
    let waiting = site.command("mine 10");
    until("it runs", || site.node.running.load(Ordering::SeqCst) == 1);
    assert_eq!(site.node.cancelled.load(Ordering::SeqCst), 0);
    drop(waiting);
    until("it is cancelled", || site.node.cancelled.load(Ordering::SeqCst) == 1);
    site.server.stop();
}

#[test]
fn a_slow_reader_holds_up_nobody_else_and_not_for_ever() {
    let site = Site::open();
    // 13 MB, of which it reads nothing.
    let _slow = site.get("/api/chain/10");
    until("it has begun", || site.node.running.load(Ordering::SeqCst) == 1);
    for _ in 0..20 {
        assert_eq!(status(&read(site.get("/api/status"))), 200);
    }
    let whole = read(site.get("/api/chain/10"));
    assert!(
        whole.len() > 200 * 65_536 && whole.ends_with("\r\n0\r\n\r\n"),
        "{} bytes",
        whole.len()
    );
    site.server.stop();
}

#[test]
fn an_answer_that_ends_too_early_is_seen_to_do_so() {
    let site = Site::open();
    let answer = read(site.get("/api/stats"));
    // The connection may end before anything of it was sent.
    assert!(answer.is_empty() || answer.contains("[1"), "{answer:?}");
    assert!(!answer.ends_with("0\r\n\r\n"), "{answer:?}");
    site.server.stop();
}

#[test]
fn costly_reads_take_turns_two_at_a_time() {
    let site = Site::open();
    let _readers: Vec<TcpStream> = (1..=5)
        .map(|number| site.get(&format!("/api/tamper/{number}")))
        .collect();
    until("two run", || site.node.running.load(Ordering::SeqCst) == 2);
    // Whatever is not costly passes them.
    assert_eq!(status(&read(site.get("/api/status"))), 200);
    assert_eq!(site.node.open.lock().unwrap().len(), 2);
    let first = site.node.open.lock().unwrap().remove(0);
    first.blocking_send(Piece::Done("[]".into())).unwrap();
    drop(first);
    until("the third has its turn", || site.node.open.lock().unwrap().len() == 2);
    site.server.stop();
}

#[test]
fn streams_are_replayed_bounded_and_end_with_the_node() {
    let site = Site::open();
    site.ring.add(1, r#"{"event":"mined"}"#.into());
    let streams: Vec<TcpStream> = (0..16).map(|_| site.get("/events?ring")).collect();
    // Each has begun: its place is taken.
    let mut begun = streams.iter().map(|stream| {
        let mut text = vec![0; 200];
        let mut stream = stream;
        let length = stream.read(&mut text).unwrap();
        String::from_utf8_lossy(&text[..length]).into_owned()
    });
    assert!(begun.all(|text| text.starts_with("HTTP/1.1 200")));
    assert_eq!(status(&read(site.get("/events"))), 503);
    site.ring.add(2, r#"{"event":"stopped"}"#.into());
    let asked = Instant::now();
    site.server.stop();
    assert!(asked.elapsed() < PATIENCE);
    for stream in streams {
        let text = read(stream);
        assert!(
            text.contains("id: 0707070707070707-1\n") && text.contains(r#"data: {"event":"stopped"}"#),
            "{text}"
        );
        assert!(text.ends_with("\r\n0\r\n\r\n"), "the stream ends whole: {text}");
    }
}

#[test]
fn a_reader_of_events_that_reads_nothing_gets_a_reset_and_holds_up_no_event() {
    let site = Site::open();
    let mut slow = site.get("/events");
    let mut first = [0; 20];
    slow.read_exact(&mut first).unwrap();
    // More than the ring and all buffers between hold.
    let line = "x".repeat(4_000);
    (1..=8_000).for_each(|number| site.ring.add(number, line.clone()));
    let mut text = String::new();
    let mut buffer = vec![0; 65_536];
    while !text.contains("event: reset") {
        let length = slow.read(&mut buffer).unwrap();
        assert_ne!(length, 0, "the stream ended");
        text.push_str(&String::from_utf8_lossy(&buffer[..length]));
    }
    assert_eq!(text.matches("event: reset").count(), 1);
    site.server.stop();
}

#[test]
fn too_many_connections_are_refused_and_those_before_them_served() {
    let site = Site::open();
    let idle: Vec<TcpStream> = (0..32).map(|_| TcpStream::connect(site.address()).unwrap()).collect();
    until("the next one is refused", || {
        let answer = read(site.get("/api/status"));
        answer.is_empty() || status(&answer) == 503
    });
    drop(idle);
    until("there is room again", || {
        let answer = read(site.get("/api/status"));
        !answer.is_empty() && status(&answer) == 200
    });
    site.server.stop();
}

#[test]
fn many_clients_are_served_at_once() {
    let site = Site::open();
    let address = site.address();
    let ask = move || {
        for _ in 0..25 {
            let mut stream = TcpStream::connect(address).unwrap();
            let text = format!("GET /api/status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            stream.write_all(text.as_bytes()).unwrap();
            assert_eq!(status(&read(stream)), 200);
        }
    };
    let clients: Vec<_> = (0..8).map(|_| std::thread::spawn(ask)).collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    assert_eq!(site.node.lines.lock().unwrap().len(), 200);
    site.server.stop();
}

#[test]
fn the_default_address_moves_on_when_it_is_taken_and_a_given_one_does_not() {
    let first = bind_default().unwrap();
    let second = bind_default().unwrap();
    let (first, second) = (first.local_addr().unwrap(), second.local_addr().unwrap());
    assert!(first.ip().is_loopback() && first.port() >= PORT && second.port() > first.port());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    assert_eq!(
        bind(taken.local_addr().unwrap()).unwrap_err().kind(),
        ErrorKind::AddrInUse
    );
}
