//! The page of a node: whether it is served, where, and what it hears.
//!
//! Promises: without a wish nothing listens; the address with the token goes to whoever may command this node, and into no
//! answer over HTTP.
//! Elsewhere: serving (`web`), the sessions of its commands (`node::page_session`).
//! Spec: `proto-notes/web.md`.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::StartError;
use super::control::Hub;
use super::inbox::Inbox;
use super::page_session::HubCommands;
use crate::cli::WebWish;
use crate::console::render;
use crate::contract::{CommandError, Event, EventStamp, RunId, WebReply};
use crate::engine::Part;
use crate::net::NetError;
use crate::web::{self, Ring, Server, Setup, Token, hidden};

/// Addresses of this machine that are shown to others: more interfaces than people plug cables into.
const ELSEWHERE_MAX: usize = 4;

/// The page of this node.
pub(super) struct Page {
    run: RunId,
    token: Token,
    hosts: Vec<String>,
    data_dir: String,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bound at the start, and not yet served.
    listener: Option<TcpListener>,
    address: Option<SocketAddr>,
    ring: Option<Arc<Ring>>,
    server: Option<Server>,
    /// What a page that is switched on later needs.
    parts: Option<(Arc<Hub>, Arc<Inbox>)>,
    /// The number of the node's last event.
    last: u64,
    stopped: bool,
}

impl Page {
    /// A page as it was wished for; it listens, and answers from [`Page::serve`] on.
    ///
    /// # Errors
    /// [`StartError::Net`] if the address that was asked for cannot be listened on.
    pub(super) fn bind(
        wish: Option<WebWish>,
        hosts: &[String],
        (run, data_dir): (RunId, String),
    ) -> Result<Self, StartError> {
        let listener = match wish {
            None => None,
            Some(WebWish::Default) => Some(web::bind_default().map_err(|error| refused(None, &error))?),
            Some(WebWish::At(address)) => Some(web::bind(address).map_err(|error| refused(Some(address), &error))?),
        };
        let state = State {
            address: listener.as_ref().map(TcpListener::local_addr).transpose()?,
            ring: listener.is_some().then(|| Arc::new(Ring::new(run, 0))),
            listener,
            ..State::default()
        };
        Ok(Self {
            run,
            token: Token::new(super::random()?),
            hosts: hosts.to_vec(),
            data_dir,
            state: Mutex::new(state),
        })
    }

    /// What the start warns of: that others reach the page.
    pub(super) fn warning(&self) -> Option<(&'static str, String)> {
        let address = self.state().address?;
        (!address.ip().to_canonical().is_loopback()).then(|| {
            let message = format!(
                "everybody who reaches {address} can read the page of this node: who pays whom, and the names of its peers; \
                 commands are taken from this machine alone"
            );
            ("web_exposed", message)
        })
    }

    /// Answers from now on, if it is on. `hub` is where commands go.
    pub(super) fn serve(&self, hub: &Arc<Hub>, inbox: &Arc<Inbox>) -> Result<(), StartError> {
        let mut state = self.state();
        state.parts = Some((Arc::clone(hub), Arc::clone(inbox)));
        match state.listener.take() {
            Some(listener) => self.start(&mut state, listener).map_err(StartError::System),
            None => Ok(()),
        }
    }

    fn start(&self, state: &mut State, listener: TcpListener) -> std::io::Result<()> {
        let Some((hub, inbox)) = &state.parts else {
            return Ok(());
        };
        let (run, last) = (self.run, state.last);
        let ring = Arc::clone(state.ring.get_or_insert_with(|| Arc::new(Ring::new(run, last))));
        let setup = Setup {
            listener,
            token: self.token.clone(),
            hosts: self.hosts.clone(),
            ring,
            commands: Arc::new(HubCommands {
                hub: Arc::clone(hub),
                inbox: Arc::clone(inbox),
            }),
            request_max: web::REQUEST_MAX,
        };
        let lost = Arc::clone(inbox);
        let server = Server::start(setup, move |reason| lost.failed(Part::Web, reason))?;
        state.address = Some(server.address());
        state.server = Some(server);
        Ok(())
    }

    /// `web`: where the page is; it is started if it is off.
    pub(super) fn open(&self) -> Result<WebReply, CommandError> {
        let mut state = self.state();
        if state.server.is_none() && !state.stopped {
            let started = web::bind_default().and_then(|listener| self.start(&mut state, listener));
            started.map_err(|error| {
                let message = format!("the page cannot be served: {error}");
                CommandError::new("unavailable", message, "start the node again with --web 127.0.0.1:PORT")
            })?;
        }
        let address = state
            .address
            .ok_or_else(|| CommandError::new("interrupted", "the node stops", "start it again"))?;
        Ok(WebReply {
            web: self.url_at(address),
            elsewhere: elsewhere(address),
        })
    }

    /// The address with the token; none if nothing is served.
    pub(super) fn url(&self) -> Option<String> {
        self.state().address.map(|address| self.url_at(address))
    }

    fn url_at(&self, address: SocketAddr) -> String {
        let ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            // Both kinds of addresses reach it.
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
            ip => ip,
        };
        format!(
            "http://{}/#t={}",
            SocketAddr::new(ip, address.port()),
            self.token.as_str()
        )
    }

    /// An event of the node, for all streams.
    pub(super) fn event(&self, event: &Event, stamp: EventStamp) {
        let ring = {
            let mut state = self.state();
            state.last = stamp.seq;
            state.ring.clone()
        };
        let Some(ring) = ring else { return };
        let json = match event {
            Event::Warning { code, message } => {
                let message = message.replace(&self.data_dir, "its folder");
                render::json_event(&Event::Warning { code, message }, stamp)
            }
            other => render::json_event(other, stamp),
        };
        ring.add(stamp.seq, hidden::for_stream(json));
    }

    /// Ends the streams behind the last event, and the server.
    pub(super) fn stop(&self) {
        let server = {
            let mut state = self.state();
            state.stopped = true;
            // The hub holds this page, and the page the hub.
            state.parts = None;
            (state.listener, state.address) = (None, None);
            state.server.take()
        };
        if let Some(server) = server {
            server.stop();
        }
    }

    /// Each change leaves it whole, so a panic elsewhere harms nothing here.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn refused(address: Option<SocketAddr>, error: &std::io::Error) -> StartError {
    let place = address.map_or_else(|| format!("127.0.0.1:{}", web::PORT), |address| address.to_string());
    StartError::Net(NetError::Page {
        address: place,
        reason: error.to_string(),
    })
}

/// The addresses by which others reach a page that listens here, those of IPv4 first.
fn elsewhere(address: SocketAddr) -> Vec<String> {
    let port = address.port();
    let ip = address.ip().to_canonical();
    let mut found: Vec<IpAddr> = match ip {
        _ if ip.is_loopback() => Vec::new(),
        _ if ip.is_unspecified() => if_addrs::get_if_addrs()
            .unwrap_or_default()
            .into_iter()
            .map(|interface| interface.ip())
            .filter(|found| !found.is_loopback() && !is_link_local(*found) && (found.is_ipv4() || ip.is_ipv6()))
            .collect(),
        _ => vec![ip],
    };
    found.sort_by_key(IpAddr::is_ipv6);
    found.truncate(ELSEWHERE_MAX);
    let url = |ip: IpAddr| format!("http://{}/", SocketAddr::new(ip, port));
    found.into_iter().map(url).collect()
}

const fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
impl Page {
    /// One that is off.
    pub(super) fn off() -> Self {
        Self::bind(None, &[], (RunId::new([0; 8]), String::new())).unwrap_or_else(|_| panic!("nothing to refuse"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_the_page_is_one_that_a_browser_here_can_open() {
        let page = Page::off();
        let token = page.token.as_str().to_owned();
        for (at, wanted) in [
            ("127.0.0.1:8645", "http://127.0.0.1:8645/"),
            ("0.0.0.0:9000", "http://127.0.0.1:9000/"),
            ("[::]:9000", "http://127.0.0.1:9000/"),
            ("[::1]:9000", "http://[::1]:9000/"),
            ("192.168.1.5:9000", "http://192.168.1.5:9000/"),
        ] {
            assert_eq!(
                page.url_at(at.parse().expect("an address")),
                format!("{wanted}#t={token}")
            );
        }
    }

    #[test]
    fn a_page_on_loopback_is_reached_by_nobody_else_and_others_are_named_without_the_token() {
        assert!(elsewhere("127.0.0.1:1".parse().expect("an address")).is_empty());
        assert!(elsewhere("[::1]:1".parse().expect("an address")).is_empty());
        let one = elsewhere("192.168.1.5:9000".parse().expect("an address"));
        assert_eq!(one, ["http://192.168.1.5:9000/"]);
    }
}
