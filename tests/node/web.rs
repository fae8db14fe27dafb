//! The page of a real node: where it is served, who may command there, and that it goes with the node.
//!
//! Elsewhere: each refusal and limit (`web` in the library), the page in a browser (`tests/page/`).
//! Spec: `proto-notes/web.md`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::harness::{Node, PATIENCE, QUIET_JSON, run};

/// A node with a page at a port that the system chose.
fn served() -> (Node, Site) {
    let node = Node::alone_with(&["--web", "127.0.0.1:0"]);
    let started = node.wait_event("started", |_| true);
    let site = Site::read(started["web"].as_str().expect("an address"));
    (node, site)
}

struct Site {
    host: String,
    token: String,
}

impl Site {
    fn read(url: &str) -> Self {
        let (host, token) = url
            .trim_start_matches("http://")
            .split_once("/#t=")
            .expect("an address with a token");
        Self {
            host: host.into(),
            token: token.into(),
        }
    }

    fn send(&self, text: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.host).expect("it is served");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.write_all(text.as_bytes()).expect("it reads");
        stream
    }

    /// Asks with further lines in the head; gives the status and the body.
    fn ask(&self, method: &str, path: &str, (more, body): (&str, &str)) -> (u16, String) {
        let host = &self.host;
        let length = body.len();
        let mut stream = self.send(&format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {length}\r\n{more}\r\n{body}"
        ));
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        (status, body.into())
    }

    fn get(&self, path: &str) -> (u16, String) {
        self.ask("GET", path, ("", ""))
    }

    fn head_of_commands(&self) -> String {
        format!(
            "Authorization: Bearer {}\r\nContent-Type: application/json\r\n",
            self.token
        )
    }

    fn command(&self, line: &str) -> (u16, Value) {
        let body = serde_json::json!({ "command": line }).to_string();
        let (status, body) = self.ask("POST", "/api/command", (&self.head_of_commands(), &body));
        (status, serde_json::from_str(&body).expect("JSON"))
    }

    /// The stream of events: each as its data.
    fn events(&self) -> impl Iterator<Item = Value> + use<> {
        let host = &self.host;
        let stream = self.send(&format!("GET /events?ring HTTP/1.0\r\nHost: {host}\r\n\r\n"));
        let lines = BufReader::new(stream)
            .lines()
            .map(|line| line.expect("the node answers in time"));
        lines.filter_map(|line| {
            line.strip_prefix("data: ")
                .map(|data| serde_json::from_str(data).expect("JSON"))
        })
    }
}

#[test]
fn the_page_of_a_node_commands_it_and_hears_its_events() {
    let (mut node, site) = served();
    let mut events = site.events();
    assert_eq!(events.next().expect("a greeting")["read_only"], false);
    let (status, reply) = site.command("tx alice bob 5");
    assert_eq!((status, &reply["ok"]), (200, &Value::Bool(true)), "{reply}");
    let txid = reply["data"]["txid"].clone();
    assert_eq!(site.command("mine").0, 200);
    let (status, reply) = site.command("tx alice bob 0");
    assert_eq!((status, &reply["error"]["code"]), (422, &"bad_amount".into()));
    assert_eq!(site.command("quit").0, 403);
    // The node's own console heard the same, and its state is the one that the page asks for.
    node.wait_event("block_connected", |event| event["height"] == 1);
    let wanted = |event: &Value| event["event"] == "transaction_accepted" && event["txid"] == txid;
    assert!(events.any(|event| wanted(&event)));
    let (status, block) = site.get("/api/block/1");
    let block: Value = serde_json::from_str(&block).expect("JSON");
    assert_eq!((status, &block), (200, &node.ok("block 1")));
    assert_eq!(site.get("/api/block/99").0, 404);
    assert!(node.stop().success());
    assert_eq!(events.last().expect("the last event")["event"], "stopped");
}

#[test]
fn no_answer_over_http_holds_the_token_and_paths_are_for_those_who_have_it() {
    let (mut node, site) = served();
    let folder = node.ok("status")["data_dir"].as_str().expect("a folder").to_owned();
    assert_eq!(node.ok("web")["web"], format!("http://{}/#t={}", site.host, site.token));
    assert!(node.ok("status")["web"].is_string(), "on its own output it is told");
    for path in ["/", "/page.js", "/api/status", "/api/peers", "/api/whoami"] {
        let (status, body) = site.get(path);
        assert_eq!(status, 200, "{path}");
        assert!(!body.contains(&site.token) && !body.contains(&folder), "{path}: {body}");
    }
    let (_, body) = site.ask("GET", "/api/status", (&site.head_of_commands(), ""));
    assert!(body.contains(&folder) && !body.contains(&site.token), "{body}");
    let mut events = site.events();
    let started = events
        .find(|event| event["event"] == "started")
        .expect("the first event");
    assert!(started["web"].is_null() && started["data_dir"].is_null(), "{started}");
    assert!(node.stop().success());
    assert!(events.all(|event| !event.to_string().contains(&site.token)));
}

#[test]
fn a_command_whose_page_is_closed_is_cancelled() {
    let (mut node, site) = served();
    let body = r#"{"command":"wait height 5000 86400"}"#;
    let (host, length) = (&site.host, body.len());
    let head = site.head_of_commands();
    let waiting = site.send(&format!(
        "POST /api/command HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{head}\r\n{body}"
    ));
    let mining = r#"{"command":"mine 10000"}"#;
    let length = mining.len();
    let page = site.send(&format!(
        "POST /api/command HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{head}\r\n{mining}"
    ));
    node.wait_event("mined", |event| event["height"] == 2);
    drop((page, waiting));
    // Only one `mine` runs at a time: this one is answered when the other has ended.
    let mined = node.ok("mine 1");
    assert_eq!(mined["count"], 1);
    assert!(node.stop().success());
}

#[test]
fn a_page_is_off_until_it_is_asked_for_and_a_given_address_that_is_taken_ends_the_start_with_4() {
    let mut first = Node::alone();
    assert!(first.ok("status")["web"].is_null());
    let url = first.ok("web")["web"].as_str().expect("an address").to_owned();
    assert_eq!(first.ok("status")["web"], url.as_str());
    let site = Site::read(&url);
    assert_eq!(site.get("/").0, 200);
    // A page that was switched on late knows the number of the last event.
    first.ok("mine");
    let greeting = site.events().next().expect("a greeting");
    assert!(greeting["seq"].as_u64().expect("a number") >= 1, "{greeting}");
    let taken = run([&QUIET_JSON[..], &["--web", &site.host]].concat(), "");
    assert_eq!(taken.status.code(), Some(4), "{taken:?}");
    let words = String::from_utf8_lossy(&taken.stderr);
    assert!(words.contains(&site.host) && words.contains("hint: "), "{words}");
    // Without an address the next port is taken.
    let second = Node::alone_with(&["--web"]);
    let moved = second.wait_event("started", |_| true)["web"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert_ne!(Site::read(&moved).host, site.host);
    assert!(second.stop().success() && first.stop().success());
}

#[test]
fn the_log_of_a_service_has_no_token() {
    let output = run(
        [
            "--network",
            "dev",
            "--temp",
            "--no-mdns",
            "--listen",
            "127.0.0.1:0",
            "--web",
            "127.0.0.1:0",
        ],
        "",
    );
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(
        words.contains("  page http://127.0.0.1:") && words.contains("lanchain ctl web"),
        "{words}"
    );
    assert!(!words.contains("#t="), "{words}");
}
