//! A peer that only listens: when the next header is forwarded to it.

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use lanchain::chain::NetworkParams;
use lanchain::engine::{NetFact, NetOrder, Verdict};
use lanchain::net::{NetConfig, start};
use lanchain::testing::statuses::empty;
use lanchain::types::{Address, SecretKey};
use lanchain::wire::{Request, Response, Topic};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

/// The peer; it ends with its runtime.
pub(crate) struct Ear {
    heard: Receiver<Instant>,
    _runtime: Runtime,
}

impl Ear {
    /// Listens to the node at this address.
    pub(crate) fn at(address: &str) -> Self {
        let network = NetworkParams::dev();
        let runtime = Runtime::new().expect("a runtime");
        let (tell, heard) = sync_channel(1_024);
        let (order, orders) = mpsc::channel(64);
        let config = NetConfig {
            key: SecretKey::from_seed([77; 32]),
            network_id: network.network_id(),
            listen: vec!["/ip4/127.0.0.1/tcp/0".parse().expect("an address")],
            port: 0,
            bind: Vec::new(),
            mdns: false,
        };
        let own = order.clone();
        let genesis = *network.genesis().hash().as_bytes();
        #[expect(clippy::result_large_err, reason = "the form that the network part asks for")]
        let sink = Box::new(move |_, fact| {
            let answer = match fact {
                NetFact::Gossip { token, topic, .. } => {
                    if topic == Topic::Blocks {
                        tell.try_send(Instant::now()).unwrap_or_default();
                    }
                    let verdict = Verdict::Ignore;
                    Some(NetOrder::Verdict { token, verdict })
                }
                NetFact::Request { token, request, .. } => {
                    let response = match request {
                        Request::Status(_) => Response::Status(empty(genesis, 0)),
                        _ => Response::Busy,
                    };
                    Some(NetOrder::Answer { token, response })
                }
                _ => None,
            };
            answer.map(|answer| own.try_send(answer));
            Ok(())
        });
        runtime
            .block_on(async { start(&config, orders, sink) })
            .expect("it starts");
        let (address, peer) = Address::parse(address).expect("an address");
        let dial = NetOrder::Dial {
            peer,
            addresses: vec![address],
        };
        order.blocking_send(dial).expect("the network runs");
        Self {
            heard,
            _runtime: runtime,
        }
    }

    /// Forgets what came until now.
    pub(crate) fn forget(&self) {
        while self.heard.try_recv().is_ok() {}
    }

    /// When the next header came; none if it does not come in a second.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.heard.recv_timeout(Duration::from_secs(1)).ok()
    }
}
