//! `--web` and `--web-host`: where the page is served, and under which names.
//!
//! Spec: `proto-notes/web.md`, "Starting".

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The port of the page if the address names none.
const PORT: u16 = 8645;
/// The longest name of a host.
const HOST_MAX_BYTES: usize = 253;

/// Where the page is to be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebWish {
    /// On the loopback address, at the usual port or the next free one.
    Default,
    /// At exactly this address; one that is taken ends the start.
    At(SocketAddr),
}

/// What `--web` or its variable said; a variable may say no.
#[derive(Clone, Copy, Debug)]
pub(super) struct MayWeb(pub(super) Option<WebWish>);

/// Reads the value of `--web`.
pub(super) fn wish(text: &str) -> Result<MayWeb, String> {
    let at = |ip, port| Ok(MayWeb(Some(WebWish::At(SocketAddr::new(ip, port)))));
    match text.to_ascii_lowercase().as_str() {
        "" | "on" | "true" | "yes" | "1" => return Ok(MayWeb(Some(WebWish::Default))),
        "off" | "false" | "no" | "0" => return Ok(MayWeb(None)),
        "localhost" => return at(IpAddr::V4(Ipv4Addr::LOCALHOST), PORT),
        _ => {}
    }
    if let Ok(port) = text.trim_start_matches(':').parse::<u16>() {
        return at(IpAddr::V4(Ipv4Addr::LOCALHOST), port);
    }
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Ok(MayWeb(Some(WebWish::At(address))));
    }
    let literal = text.trim_start_matches('[').trim_end_matches(']');
    match literal.parse::<IpAddr>() {
        Ok(ip) => at(ip, PORT),
        Err(_) => Err("it is no address to serve a page at; it looks like 127.0.0.1:8645, 0.0.0.0 or 9000".into()),
    }
}

/// Reads a name of a host.
pub(super) fn host(text: &str) -> Result<String, String> {
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let is_host = text.len() <= HOST_MAX_BYTES && text.split('.').all(is_part);
    let is_address = text.parse::<IpAddr>().is_ok();
    if is_host && !is_address {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("it is no name of a host without a port; it looks like my-laptop.local".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_is_an_address_a_port_or_a_word() {
        let at = |text: &str| Some(WebWish::At(text.parse().expect("an address")));
        for (text, wanted) in [
            ("on", Some(WebWish::Default)),
            ("1", Some(WebWish::Default)),
            ("", Some(WebWish::Default)),
            ("off", None),
            ("0", None),
            ("9000", at("127.0.0.1:9000")),
            (":9000", at("127.0.0.1:9000")),
            ("localhost", at("127.0.0.1:8645")),
            ("0.0.0.0", at("0.0.0.0:8645")),
            ("192.168.1.5:80", at("192.168.1.5:80")),
            ("[::1]", at("[::1]:8645")),
            ("::", at("[::]:8645")),
            ("[::1]:9000", at("[::1]:9000")),
        ] {
            assert_eq!(wish(text).expect(text).0, wanted, "{text}");
        }
        for text in [
            "my-laptop.local",
            "127.0.0.1:99999",
            "70000",
            "http://127.0.0.1",
            "127.0.0.1:",
        ] {
            assert!(wish(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_is_a_name_without_a_port() {
        assert_eq!(host("My-Laptop.local").as_deref(), Ok("my-laptop.local"));
        for text in ["", "a b", "host:80", "http://host", "host/", "10.0.0.1", "a..b", "*"] {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
