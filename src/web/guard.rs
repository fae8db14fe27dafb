//! Who gets in: what a request must look like before anything is done for it.
//!
//! A page of another site, open in a browser on this machine, can send requests to any address that the machine reaches, and
//! can point a name of its own at such an address (DNS rebinding). So: the `Host` must be an address of this machine or
//! `localhost`, which nobody can rebind; what a browser sends for another site is refused by what the browser says of it;
//! commands need a token that only whoever sees the node's own output knows.
//!
//! Promises: pure; every request is judged before its body is read.
//! Elsewhere: limits in number and time (`web::server`), what is hidden in answers (`web::hidden`).
//! Spec: `proto-notes/web.md`, "Security".

use std::net::{IpAddr, SocketAddr};

use serde::Serialize;

/// A secret of 128 bits that a node makes at each start.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The token of these random bytes.
    #[must_use]
    pub fn new(random: [u8; 16]) -> Self {
        Self(hex::encode(random))
    }

    /// The token as it stands in the address of the page: 32 hex digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the token. The time that it takes says nothing about how much of it is right.
    fn is(&self, said: &str) -> bool {
        let differs = |(a, b): (u8, u8)| usize::from(a ^ b);
        let unlike: usize = self.0.bytes().zip(said.bytes()).map(differs).sum();
        said.len() == self.0.len() && unlike == 0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

/// The connection on which a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// The address of this side.
    pub local: SocketAddr,
    /// The address of the other side.
    pub peer: SocketAddr,
}

impl Line {
    /// Whether the other side is on this machine.
    #[must_use]
    pub fn is_here(self) -> bool {
        let (local, peer) = (self.local.ip().to_canonical(), self.peer.ip().to_canonical());
        peer.is_loopback() || peer == local
    }
}

/// What a request says before its body.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    /// It is a POST: it may change something.
    pub changes: bool,
    /// The path, without what stands behind a question mark.
    pub path: &'a str,
    /// `Host`, if there is exactly one.
    pub host: Option<&'a str>,
    /// The header `Origin`: the page that asks.
    pub origin: Option<&'a str>,
    /// The header `Sec-Fetch-Site`: whether that is this page.
    pub site: Option<&'a str>,
    /// The header `Authorization`, with the token.
    pub authorization: Option<&'a str>,
    /// The header `Content-Type` of the body.
    pub content_type: Option<&'a str>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The status of the answer.
    #[serde(skip)]
    pub status: u16,
    /// What is wrong, in `snake_case`.
    pub code: &'static str,
    /// What is wrong, in words.
    pub message: String,
    /// What the reader can do about it.
    pub hint: String,
}

impl Refused {
    /// A refusal with this status of HTTP.
    #[must_use]
    pub fn new(status: u16, code: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// For whom an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Visitor {
    /// Whether it is on this machine.
    pub is_here: bool,
    /// Whether it showed the token.
    pub knows_token: bool,
}

impl Visitor {
    /// Whether it may give commands.
    #[must_use]
    pub const fn may_command(self) -> bool {
        self.is_here && self.knows_token
    }
}

/// What the server knows when it judges a request.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The port on which the page is reached.
    pub port: u16,
    /// What opens the door for commands.
    pub token: Token,
    /// Names of hosts by which it may be called, besides addresses and `localhost`.
    pub hosts: Vec<String>,
}

impl Guard {
    /// Judges a request by its host, its origin and its token.
    ///
    /// # Errors
    /// [`Refused`], with the status: 421 for a host that is not this machine, 403 for a request of another site and for a
    /// command from another machine, 401 for a command without the token, 415 for one that is no JSON.
    pub fn judge(&self, line: Line, said: Said<'_>) -> Result<Visitor, Refused> {
        if !said.host.is_some_and(|host| self.is_this_host(line, host)) {
            return Err(self.misdirected(line));
        }
        let foreign = matches!(said.site, Some("cross-site" | "same-site"));
        if (foreign && said.path != "/") || !self.is_same_origin(said) {
            return Err(foreign_site());
        }
        let shown = said.authorization.and_then(|text| text.strip_prefix("Bearer "));
        let visitor = Visitor {
            is_here: line.is_here(),
            knows_token: shown.is_some_and(|shown| self.token.is(shown)),
        };
        if said.changes {
            Self::judge_command(visitor, said)?;
        }
        Ok(visitor)
    }

    fn judge_command(visitor: Visitor, said: Said<'_>) -> Result<(), Refused> {
        if !visitor.is_here {
            return Err(Refused::new(
                403,
                "read_only",
                "from another machine the page only shows: commands are given on the node's own machine",
                "open the page there, or use `lanchain attach` there",
            ));
        }
        if !visitor.knows_token {
            return Err(Refused::new(
                401,
                "no_token",
                "a command needs the token of this start of the node",
                "open the address that `web` shows at the node's prompt",
            ));
        }
        let media = said.content_type.unwrap_or("").split(';').next().unwrap_or("").trim();
        if !media.eq_ignore_ascii_case("application/json") {
            return Err(Refused::new(
                415,
                "not_json",
                "a command is sent as JSON",
                "send content-type: application/json",
            ));
        }
        Ok(())
    }

    /// `localhost`, an address of this machine at which the request came, or a name that the user allowed, with the port.
    fn is_this_host(&self, line: Line, host: &str) -> bool {
        let Some((name, port)) = split(host) else { return false };
        if port != self.port {
            return false;
        }
        let literal = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        if let Ok(address) = literal.parse::<IpAddr>() {
            let address = address.to_canonical();
            return address == line.local.ip().to_canonical() || (address.is_loopback() && line.is_here());
        }
        let is_name = |allowed: &String| allowed.eq_ignore_ascii_case(name);
        (name.eq_ignore_ascii_case("localhost") && line.is_here()) || self.hosts.iter().any(is_name)
    }

    /// Whether the origin, if there is one, is this page.
    fn is_same_origin(&self, said: Said<'_>) -> bool {
        said.origin.is_none_or(|origin| {
            let host = origin.strip_prefix("http://");
            host.zip(said.host)
                .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host))
        })
    }

    fn misdirected(&self, line: Line) -> Refused {
        let port = self.port;
        let url = if line.is_here() {
            format!("http://127.0.0.1:{port}/")
        } else {
            format!("http://{}/", SocketAddr::new(line.local.ip().to_canonical(), port))
        };
        Refused::new(
            421,
            "wrong_host",
            format!("this page is not served under that name; open {url}"),
            "start the node with --web-host NAME to allow a name",
        )
    }
}

fn foreign_site() -> Refused {
    Refused::new(
        403,
        "other_site",
        "a page of another site asked for this",
        "open the page itself in a tab of its own",
    )
}

/// The host and the port; without a port it is that of HTTP.
fn split(host: &str) -> Option<(&str, u16)> {
    let after_address = host.rfind(']').map_or(0, |at| at + 1);
    match host.get(after_address..)?.rfind(':') {
        Some(at) => {
            let (name, port) = host.split_at(after_address + at);
            let digits = &port[1..];
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse().ok().map(|port| (name, port)))?
        }
        None => Some((host, 80)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "Bearer 07070707070707070707070707070707";

    const GOOD: Said<'_> = Said {
        changes: true,
        path: "/api/command",
        host: Some("127.0.0.1:8645"),
        origin: Some("http://127.0.0.1:8645"),
        site: Some("same-origin"),
        authorization: Some(TOKEN),
        content_type: Some("application/json"),
    };

    const fn from_site<'a>(origin: Option<&'a str>, site: Option<&'a str>) -> Said<'a> {
        Said { origin, site, ..GOOD }
    }

    fn guard() -> Guard {
        Guard {
            port: 8645,
            token: Token::new([7; 16]),
            hosts: vec!["node.class.example".into()],
        }
    }

    fn from(local: &str, peer: &str) -> Line {
        Line {
            local: SocketAddr::new(local.parse().unwrap(), 8645),
            peer: SocketAddr::new(peer.parse().unwrap(), 40_000),
        }
    }

    fn here() -> Line {
        from("127.0.0.1", "127.0.0.1")
    }

    fn elsewhere() -> Line {
        from("192.168.1.5", "192.168.1.9")
    }

    fn status(line: Line, said: Said<'_>) -> u16 {
        guard().judge(line, said).map_or_else(|refused| refused.status, |_| 200)
    }

    #[test]
    fn only_addresses_of_this_machine_and_names_that_were_allowed_are_hosts() {
        let rows = [
            (here(), "127.0.0.1:8645", 200),
            (here(), "localhost:8645", 200),
            (here(), "LocalHost:8645", 200),
            (here(), "[::1]:8645", 200),
            (here(), "127.9.9.9:8645", 200),
            (here(), "node.class.example:8645", 200),
            (elsewhere(), "192.168.1.5:8645", 200),
            (
                from("::ffff:192.168.1.5", "::ffff:192.168.1.9"),
                "192.168.1.5:8645",
                200,
            ),
            (from("fd00::5", "fd00::9"), "[fd00::5]:8645", 200),
            (elsewhere(), "NODE.class.example:8645", 200),
            (here(), "127.0.0.1", 421),
            (here(), "127.0.0.1:80", 421),
            (here(), "127.0.0.1:08645x", 421),
            (here(), "127.0.0.1:", 421),
            (here(), "127.0.0.1:99999", 421),
            (here(), "evil.example:8645", 421),
            (here(), "localhost.evil.example:8645", 421),
            (here(), "127.0.0.1.evil.example:8645", 421),
            (here(), "evil.example", 421),
            (here(), "192.168.1.5:8645", 421),
            (here(), "0.0.0.0:8645", 421),
            (here(), "2130706433:8645", 421),
            (here(), "", 421),
            (elsewhere(), "localhost:8645", 421),
            (elsewhere(), "127.0.0.1:8645", 421),
            (elsewhere(), "10.0.0.1:8645", 421),
        ];
        for (line, host, wanted) in rows {
            let said = Said {
                path: "/",
                host: Some(host),
                ..Said::default()
            };
            assert_eq!(status(line, said), wanted, "{host} at {line:?}");
        }
        assert_eq!(
            status(
                here(),
                Said {
                    path: "/",
                    ..Said::default()
                }
            ),
            421,
            "no host"
        );
    }

    #[test]
    fn the_sentence_for_a_wrong_host_says_which_address_to_open() {
        let said = Said {
            path: "/",
            host: Some("evil.example"),
            ..Said::default()
        };
        let refused = guard().judge(here(), said).expect_err("another host");
        assert!(
            refused.message.contains("open http://127.0.0.1:8645/"),
            "{}",
            refused.message
        );
        let refused = guard().judge(elsewhere(), said).expect_err("another host");
        assert!(
            refused.message.contains("open http://192.168.1.5:8645/"),
            "{}",
            refused.message
        );
    }

    #[test]
    fn pages_of_other_sites_may_link_to_the_page_and_nothing_else() {
        let rows = [
            ("/", Some("cross-site"), None, 200),
            ("/", Some("none"), None, 200),
            ("/api/status", Some("same-origin"), None, 200),
            ("/api/status", None, None, 200),
            ("/api/status", Some("none"), None, 200),
            ("/api/status", None, Some("http://127.0.0.1:8645"), 200),
            ("/api/status", Some("cross-site"), None, 403),
            ("/api/tamper/1", Some("same-site"), None, 403),
            ("/events", Some("cross-site"), None, 403),
            ("/page.js", Some("cross-site"), None, 403),
            ("/events", None, Some("http://evil.example"), 403),
            ("/events", None, Some("null"), 403),
            ("/events", None, Some("https://127.0.0.1:8645"), 403),
            ("/events", None, Some("http://127.0.0.1:8646"), 403),
            ("/", None, Some("http://evil.example"), 403),
        ];
        for (path, site, origin, wanted) in rows {
            let said = Said {
                path,
                host: Some("127.0.0.1:8645"),
                site,
                origin,
                ..Said::default()
            };
            assert_eq!(status(here(), said), wanted, "{path} {site:?} {origin:?}");
        }
    }

    #[test]
    fn commands_need_the_token_json_and_this_machine() {
        assert_eq!(status(here(), GOOD), 200);
        let shown = |authorization| Said { authorization, ..GOOD };
        let sent = |content_type| Said { content_type, ..GOOD };
        let rows: [(Said<'_>, u16); 9] = [
            (shown(None), 401),
            (shown(Some("Bearer")), 401),
            (shown(Some("Bearer 07")), 401),
            (shown(Some("Bearer 07070707070707070707070707070708")), 401),
            (shown(Some("07070707070707070707070707070707")), 401),
            (sent(Some("text/plain")), 415),
            (sent(None), 415),
            (from_site(Some("http://evil.example"), None), 403),
            (from_site(None, Some("cross-site")), 403),
        ];
        for (said, wanted) in rows {
            assert_eq!(status(here(), said), wanted, "{said:?}");
        }
        assert_eq!(status(here(), sent(Some("application/json; charset=utf-8"))), 200);
        let away = Said {
            host: Some("192.168.1.5:8645"),
            ..from_site(None, None)
        };
        assert_eq!(
            status(elsewhere(), away),
            403,
            "the token of this machine is of no use elsewhere"
        );
        // The machine itself, by its own address.
        assert_eq!(status(from("192.168.1.5", "192.168.1.5"), away), 200);
    }

    #[test]
    fn a_token_is_never_printed_by_accident() {
        assert!(!format!("{:?}", guard()).contains("0707"));
    }
}
