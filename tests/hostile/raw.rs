//! A connection whose handshake libp2p makes and on which all above it is spoken byte by byte: what the node's own
//! network part would never say.
//!
//! Promises: it reads what it is told and believes nothing; whatever the other side does, it ends with its connection.

use std::future::{Pending, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{AsyncReadExt, AsyncWriteExt};
use lanchain::chain::NetworkParams;
use lanchain::types::{Address, SecretKey};
use lanchain::wire::{Request, Response};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, Transport, TransportError, TransportEvent};
use libp2p::core::{Endpoint, upgrade};
use libp2p::{Multiaddr, identity, noise, tcp, yamux};
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::{liar, now_ms, say};

const IDENTIFY: &str = "/ipfs/id/1.0.0";
const PING: &str = "/ipfs/ping/1.0.0";
/// How long a connection may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Addresses that an ordinary peer tells.
const FEW: u8 = 1;

/// What it answers to a question about blocks.
#[derive(Clone, Debug, Default)]
pub(crate) enum Answer {
    /// It has nothing.
    #[default]
    Nothing,
    /// A byte a second.
    Slowly,
    /// These bytes, whatever was asked, where it stands too.
    Bytes(Vec<u8>),
}

/// How it behaves when it is spoken to.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) network: NetworkParams,
    pub(crate) number: u64,
    /// How long it keeps its identity to itself.
    pub(crate) identify_after: Duration,
    /// Addresses that it says it listens on.
    pub(crate) addresses: u8,
    /// It claims a long chain.
    pub(crate) claims_work: bool,
    pub(crate) answer: Answer,
}

impl Manner {
    pub(crate) fn of(network: &NetworkParams, number: u64) -> Self {
        Self {
            network: network.clone(),
            number,
            identify_after: Duration::ZERO,
            addresses: FEW,
            claims_work: false,
            answer: Answer::default(),
        }
    }

    pub(crate) fn sync_protocol(&self) -> String {
        format!("/lanchain/{}/sync/1", self.network.network_id())
    }
}

/// TCP, and nothing around it.
struct Plain;

impl Transport for Plain {
    type Output = tcp::tokio::TcpStream;
    type Error = std::io::Error;
    type ListenerUpgrade = Pending<std::io::Result<Self::Output>>;
    type Dial = BoxFuture<'static, std::io::Result<Self::Output>>;

    fn listen_on(&mut self, _: ListenerId, address: Multiaddr) -> Result<(), TransportError<Self::Error>> {
        Err(TransportError::MultiaddrNotSupported(address))
    }

    fn remove_listener(&mut self, _: ListenerId) -> bool {
        false
    }

    fn dial(&mut self, to: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<Self::Error>> {
        let socket = Address::parse(&to.to_string())
            .ok()
            .and_then(|(address, _)| address.tcp());
        let socket = socket.ok_or(TransportError::MultiaddrNotSupported(to))?;
        Ok(Box::pin(async move {
            let stream = tokio::net::TcpStream::connect(socket).await?;
            Ok(tcp::tokio::TcpStream(stream))
        }))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Poll::Pending
    }
}

/// A connection to a node.
pub(crate) struct Connection {
    open: mpsc::Sender<oneshot::Sender<SubstreamBox>>,
}

impl Connection {
    /// Connects; none if the connection was refused.
    pub(crate) async fn make(to: &Address, key: &SecretKey, manner: Manner) -> Option<Self> {
        let mut seed = *key.seed();
        let key = identity::Keypair::ed25519_from_bytes(&mut seed).ok()?;
        let mut transport = Plain
            .upgrade(upgrade::Version::V1)
            .authenticate(noise::Config::new(&key).ok()?)
            .multiplex(yamux::Config::default());
        let (role, port_use) = (Endpoint::Dialer, PortUse::New);
        let dial = transport.dial(to.as_str().parse().ok()?, DialOpts { role, port_use });
        let (_, muxer) = timeout(HANDSHAKE, dial.ok()?).await.ok()?.ok()?;
        let (open, orders) = mpsc::channel(64);
        let (incoming, streams) = mpsc::channel(64);
        tokio::spawn(drive(StreamMuxerBox::new(muxer), orders, incoming));
        tokio::spawn(serve(streams, manner, key.public()));
        Some(Self { open })
    }

    /// A stream on which nothing was said yet.
    pub(crate) async fn stream(&self) -> Option<SubstreamBox> {
        let (send, receive) = oneshot::channel();
        self.open.send(send).await.ok()?;
        receive.await.ok()
    }

    /// A stream of a protocol; none if the other side does not speak it.
    pub(crate) async fn speak(&self, protocol: &str) -> Option<SubstreamBox> {
        let mut stream = self.stream().await?;
        let hello = [line("/multistream/1.0.0"), line(protocol)].concat();
        stream.write_all(&hello).await.ok()?;
        stream.flush().await.ok()?;
        read_line(&mut stream).await?;
        (read_line(&mut stream).await? == protocol).then_some(stream)
    }

    /// Sends a request and closes its direction; gives everything up to the end of the other one.
    pub(crate) async fn ask(&self, protocol: &str, request: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.speak(protocol).await?;
        stream.write_all(request).await.ok()?;
        stream.close().await.ok()?;
        let mut answer = Vec::new();
        let reads = stream.take(4 * 1024 * 1024).read_to_end(&mut answer).await;
        reads.is_ok().then_some(answer)
    }

    /// Whether the other side closes the connection until then.
    pub(crate) async fn is_closed_until(&self, end: Instant) -> bool {
        while Instant::now() < end && !self.open.is_closed() {
            sleep(Duration::from_millis(20)).await;
        }
        self.open.is_closed()
    }
}

/// Keeps a connection going until it is closed by either side.
async fn drive(
    mut muxer: StreamMuxerBox,
    mut orders: mpsc::Receiver<oneshot::Sender<SubstreamBox>>,
    incoming: mpsc::Sender<SubstreamBox>,
) {
    let mut waiting: Option<oneshot::Sender<SubstreamBox>> = None;
    poll_fn(move |cx| {
        loop {
            let mut idle = true;
            match muxer.poll_unpin(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(_)) => idle = false,
                Poll::Pending => {}
            }
            match muxer.poll_inbound_unpin(cx) {
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(stream)) => {
                    // A stream that finds no place is dropped: the other side sees it closed.
                    incoming.try_send(stream).unwrap_or_default();
                    idle = false;
                }
                Poll::Pending => {}
            }
            if waiting.is_none() {
                match orders.poll_recv(cx) {
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Ready(order) => waiting = order,
                    Poll::Pending => {}
                }
            }
            if let Some(order) = waiting.take() {
                match muxer.poll_outbound_unpin(cx) {
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(stream)) => {
                        drop(order.send(stream));
                        idle = false;
                    }
                    Poll::Pending => waiting = Some(order),
                }
            }
            if idle {
                return Poll::Pending;
            }
        }
    })
    .await;
}

async fn serve(mut streams: mpsc::Receiver<SubstreamBox>, manner: Manner, key: identity::PublicKey) {
    while let Some(stream) = streams.recv().await {
        tokio::spawn(serve_one(stream, manner.clone(), key.clone()));
    }
}

async fn serve_one(mut stream: SubstreamBox, manner: Manner, key: identity::PublicKey) -> Option<()> {
    let sync = manner.sync_protocol();
    read_line(&mut stream).await?;
    stream.write_all(&line("/multistream/1.0.0")).await.ok()?;
    let wanted = loop {
        let wanted = read_line(&mut stream).await?;
        let speaks = wanted == IDENTIFY || wanted == PING || wanted == sync;
        let reply = if speaks { wanted.as_str() } else { "na" };
        stream.write_all(&line(reply)).await.ok()?;
        stream.flush().await.ok()?;
        if speaks {
            break wanted;
        }
    };
    match wanted.as_str() {
        IDENTIFY => {
            sleep(manner.identify_after).await;
            stream.write_all(&framed(&identify(&key, &manner))).await.ok()?;
            stream.close().await.ok()
        }
        PING => loop {
            let mut ping = [0; 32];
            stream.read_exact(&mut ping).await.ok()?;
            stream.write_all(&ping).await.ok()?;
            stream.flush().await.ok()?;
        },
        _ => answer(stream, &manner).await,
    }
}

async fn answer(mut stream: SubstreamBox, manner: &Manner) -> Option<()> {
    let mut question = Vec::new();
    (&mut stream).take(64 * 1024).read_to_end(&mut question).await.ok()?;
    let question = Request::decode(&question).ok()?;
    let standing = || liar::status(&manner.network, manner.number, manner.claims_work, now_ms());
    let bytes = match (&manner.answer, question) {
        (Answer::Bytes(bytes), _) => bytes.clone(),
        (_, Request::Status(_)) => Response::Status(standing()).encode(),
        (Answer::Nothing, Request::GetHeaders { .. }) => Response::Headers(Vec::new()).encode(),
        (Answer::Nothing, Request::GetBlocks { .. }) => Response::Blocks(Vec::new()).encode(),
        (Answer::Nothing, Request::GetPending { .. }) => Response::Pending(Vec::new()).encode(),
        (Answer::Nothing, Request::GetPeers) => Response::Peers(Vec::new()).encode(),
        (Answer::Nothing, Request::GetTransactions { .. }) => Response::Transactions(Vec::new()).encode(),
        (Answer::Slowly, _) => {
            say("asked", json!({ "identity": manner.number }));
            // As the beginning of an answer full of headers.
            let bytes = Response::Headers(vec![[1; 96]; 512]).encode();
            for byte in bytes {
                stream.write_all(&[byte]).await.ok()?;
                stream.flush().await.ok()?;
                sleep(Duration::from_secs(1)).await;
            }
            return Some(());
        }
    };
    stream.write_all(&bytes).await.ok()?;
    stream.close().await.ok()
}

async fn read_varint(stream: &mut SubstreamBox) -> Option<usize> {
    let (mut value, mut shift) = (0, 0);
    while shift < 28 {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.ok()?;
        value |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            return Some(value);
        }
    }
    None
}

async fn read_line(stream: &mut SubstreamBox) -> Option<String> {
    let length = read_varint(stream).await?;
    let mut bytes = vec![0; length.min(1_024)];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

fn line(text: &str) -> Vec<u8> {
    framed(format!("{text}\n").as_bytes())
}

/// A number as protobuf writes it.
pub(crate) fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or(0);
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Bytes with their length in front.
fn framed(bytes: &[u8]) -> Vec<u8> {
    [varint(u64::try_from(bytes.len()).unwrap_or(0)), bytes.to_vec()].concat()
}

/// A protobuf field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], framed(bytes)].concat()
}

fn identify(key: &identity::PublicKey, manner: &Manner) -> Vec<u8> {
    let version = format!("/lanchain/{}/1", manner.network.network_id());
    let addresses = (0..manner.addresses).flat_map(|number| {
        let address: Multiaddr = format!("/ip4/10.77.1.{number}/tcp/4141").parse().expect("an address");
        field(2, &address.to_vec())
    });
    [
        field(1, &key.encode_protobuf()),
        addresses.collect(),
        field(3, PING.as_bytes()),
        field(3, manner.sync_protocol().as_bytes()),
        field(5, version.as_bytes()),
        field(6, b"hostile/1.0"),
    ]
    .concat()
}
