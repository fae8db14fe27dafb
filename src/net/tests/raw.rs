//! A foreign implementation, hostile or merely different: the connection is made with libp2p, everything above it is
//! spoken byte by byte.

use std::future::{Pending, poll_fn};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{AsyncReadExt, AsyncWriteExt};
use libp2p::core::muxing::{StreamMuxerBox, StreamMuxerExt, SubstreamBox};
use libp2p::core::transport::{DialOpts, ListenerId, PortUse, Transport, TransportError, TransportEvent};
use libp2p::core::{Endpoint, upgrade};
use libp2p::{Multiaddr, PeerId, identity, noise, tcp, yamux};
use tokio::sync::{Notify, mpsc, oneshot};

use super::super::behaviour::protocol_version;
use super::{Address, NETWORK};

pub(super) const IDENTIFY: &str = "/ipfs/id/1.0.0";
pub(super) const PING: &str = "/ipfs/ping/1.0.0";

/// The behaviour of a foreign peer.
#[derive(Clone)]
pub(super) struct Manner {
    /// The protocol version in its identify; none if it does not speak identify.
    pub(super) version: Option<String>,
    /// The name of its program in identify.
    pub(super) agent: String,
    /// The gossip protocol that it speaks, if any.
    pub(super) gossip: Option<&'static str>,
    /// Its response to requests; none if it does not speak the sync protocol.
    pub(super) answer: Option<Vec<u8>>,
    /// Whether it speaks ping.
    pub(super) pings: bool,
    /// A protocol that it lists in identify, beside ping's.
    pub(super) lists: Option<&'static str>,
    /// Until this fires, it neither reads gossip nor declines it.
    pub(super) reads_when: Option<Arc<Notify>>,
}

impl Default for Manner {
    /// An ordinary peer without sync.
    fn default() -> Self {
        Self {
            version: Some(protocol_version(&NETWORK)),
            agent: "another/1.0".into(),
            gossip: Some("/meshsub/1.1.0"),
            answer: None,
            pings: true,
            lists: None,
            reads_when: None,
        }
    }
}

impl Manner {
    /// Waits until it may read gossip or decline it.
    async fn waits(&self) {
        if let Some(told) = &self.reads_when {
            told.notified().await;
            told.notify_one();
        }
    }
}

/// A TCP transport that dials from a chosen address.
pub(super) struct FromHost(pub(super) Option<IpAddr>);

impl Transport for FromHost {
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
        let (from, to) = (self.0, super::crowd::socket_address(&to.to_string()));
        Ok(Box::pin(async move {
            let socket = tokio::net::TcpSocket::new_v4()?;
            if let Some(from) = from {
                socket.bind((from, 0).into())?;
            }
            socket.connect(to).await.map(tcp::tokio::TcpStream)
        }))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Poll::Pending
    }
}

pub(super) struct Foreign {
    pub(super) peer: PeerId,
    open: mpsc::Sender<oneshot::Sender<SubstreamBox>>,
    /// All gossip frames that arrived, without their length.
    pub(super) heard: mpsc::Receiver<Vec<u8>>,
}

pub(super) fn sync_protocol() -> String {
    format!("/lanchain/{NETWORK}/sync/1")
}

impl Foreign {
    /// Connects, from the given host or from any. None if the connection was refused.
    pub(super) async fn connect(seed: u8, to: &Address, host: Option<&str>, manner: Manner) -> Option<Self> {
        let mut secret = [100; 32];
        secret[0] = seed;
        let key = identity::Keypair::ed25519_from_bytes(secret).unwrap();
        let host = host.map(|host| host.parse().unwrap());
        let mut transport = FromHost(host)
            .upgrade(upgrade::Version::V1)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(yamux::Config::default());
        let (role, port_use) = (Endpoint::Dialer, PortUse::New);
        let dial = transport.dial(to.as_str().parse().unwrap(), DialOpts { role, port_use });
        let (_, muxer) = dial.unwrap().await.ok()?;
        let muxer = StreamMuxerBox::new(muxer);
        let (open, orders) = mpsc::channel(600);
        let (incoming, streams) = mpsc::channel(64);
        let (tell, heard) = mpsc::channel(256);
        tokio::spawn(drive(muxer, orders, incoming));
        tokio::spawn(serve(streams, manner, key.public(), tell));
        let peer = key.public().to_peer_id();
        Some(Self { peer, open, heard })
    }

    /// A new stream on which nothing was sent yet.
    pub(super) async fn stream(&self) -> Option<SubstreamBox> {
        let (send, receive) = oneshot::channel();
        self.open.send(send).await.ok()?;
        receive.await.ok()
    }

    /// A stream of a protocol; none if the other side does not speak it.
    pub(super) async fn speak(&self, protocol: &str) -> Option<SubstreamBox> {
        let mut stream = self.stream().await?;
        let hello = [line("/multistream/1.0.0"), line(protocol)].concat();
        stream.write_all(&hello).await.ok()?;
        stream.flush().await.ok()?;
        assert_eq!(read_line(&mut stream).await?, "/multistream/1.0.0");
        (read_line(&mut stream).await? == protocol).then_some(stream)
    }

    /// Sends a request and closes its direction; returns all bytes up to the end of the other one.
    pub(super) async fn ask(&self, request: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.speak(&sync_protocol()).await?;
        stream.write_all(request).await.ok()?;
        stream.close().await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Whether the connection is still open.
    pub(super) async fn is_connected(&self) -> bool {
        self.speak(PING).await.is_some()
    }

    /// Waits for a frame of gossip that holds these bytes.
    pub(super) async fn hears(&mut self, bytes: &[u8]) -> bool {
        while let Some(frame) = self.heard.recv().await {
            if frame.windows(bytes.len()).any(|part| part == bytes) {
                return true;
            }
        }
        false
    }

    /// Waits until the other side has closed the connection.
    pub(super) async fn closed(&self) {
        while !self.open.is_closed() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
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
                    let _ = incoming.try_send(stream);
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
            if waiting.is_some() {
                match muxer.poll_outbound_unpin(cx) {
                    Poll::Ready(Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(stream)) => {
                        let _ = waiting.take().unwrap().send(stream);
                        idle = false;
                    }
                    Poll::Pending => {}
                }
            }
            if idle {
                return Poll::Pending;
            }
        }
    })
    .await;
}

async fn serve(
    mut streams: mpsc::Receiver<SubstreamBox>,
    manner: Manner,
    key: identity::PublicKey,
    tell: mpsc::Sender<Vec<u8>>,
) {
    while let Some(stream) = streams.recv().await {
        tokio::spawn(serve_one(stream, manner.clone(), key.clone(), tell.clone()));
    }
}

async fn serve_one(
    mut stream: SubstreamBox,
    manner: Manner,
    key: identity::PublicKey,
    tell: mpsc::Sender<Vec<u8>>,
) -> Option<()> {
    read_line(&mut stream).await?;
    stream.write_all(&line("/multistream/1.0.0")).await.ok()?;
    loop {
        let wanted = read_line(&mut stream).await?;
        let speaks = match wanted.as_str() {
            IDENTIFY => manner.version.is_some(),
            PING => manner.pings,
            other if other == sync_protocol() => manner.answer.is_some(),
            other => manner.gossip == Some(other),
        };
        if !speaks && wanted.starts_with("/meshsub/") {
            manner.waits().await;
        }
        stream
            .write_all(&line(if speaks { &wanted } else { "na" }))
            .await
            .ok()?;
        stream.flush().await.ok()?;
        if !speaks {
            continue;
        }
        match wanted.as_str() {
            IDENTIFY => {
                let message = identify(&key, &manner);
                stream.write_all(&framed(&message)).await.ok()?;
                stream.close().await.ok()?;
                return Some(());
            }
            PING => loop {
                let mut ping = [0; 32];
                stream.read_exact(&mut ping).await.ok()?;
                stream.write_all(&ping).await.ok()?;
                stream.flush().await.ok()?;
            },
            other if other == sync_protocol() => {
                stream.read_to_end(&mut Vec::new()).await.ok()?;
                stream.write_all(&manner.answer.unwrap()).await.ok()?;
                stream.close().await.ok()?;
                return Some(());
            }
            _ => loop {
                manner.waits().await;
                let length = read_varint(&mut stream).await?;
                let mut frame = vec![0; length];
                stream.read_exact(&mut frame).await.ok()?;
                tell.send(frame).await.ok()?;
            },
        }
    }
}

async fn read_varint(stream: &mut SubstreamBox) -> Option<usize> {
    let (mut value, mut shift) = (0, 0);
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.ok()?;
        value |= usize::from(byte[0] & 0x7f) << shift;
        shift += 7;
        if byte[0] < 0x80 {
            return Some(value);
        }
    }
}

async fn read_line(stream: &mut SubstreamBox) -> Option<String> {
    let length = read_varint(stream).await?;
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).await.ok()?;
    Some(String::from_utf8(bytes).unwrap().trim_end().to_owned())
}

pub(super) fn line(text: &str) -> Vec<u8> {
    framed(format!("{text}\n").as_bytes())
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap();
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// Bytes with their length in front.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    [varint(u64::try_from(bytes.len()).unwrap()), bytes.to_vec()].concat()
}

/// A protobuf field of bytes.
pub(super) fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], framed(bytes)].concat()
}

/// A protobuf field of a number.
pub(super) fn number(number: u8, value: u64) -> Vec<u8> {
    [vec![number << 3], varint(value)].concat()
}

fn identify(key: &identity::PublicKey, manner: &Manner) -> Vec<u8> {
    let listed = manner.lists.map(|protocol| field(3, protocol.as_bytes()));
    [
        field(1, &key.encode_protobuf()),
        field(3, PING.as_bytes()),
        listed.unwrap_or_default(),
        field(5, manner.version.as_deref().unwrap_or_default().as_bytes()),
        field(6, manner.agent.as_bytes()),
    ]
    .concat()
}
