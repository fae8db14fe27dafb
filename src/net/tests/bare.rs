//! A peer below all libraries but the handshake's: it writes and reads yamux frames itself, right or wrong.

use std::io;
use std::iter::{Once, once};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::io::{Cursor, ReadHalf, WriteHalf};
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::transport::{DialOpts, PortUse, Transport};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use libp2p::core::{Endpoint, upgrade};
use libp2p::{identity, noise};
use tokio::sync::mpsc;

use super::Address;
use super::raw::{FromHost, line};

/// The kinds of yamux frames.
pub(super) const DATA: u8 = 0;
pub(super) const WINDOW_UPDATE: u8 = 1;
pub(super) const PING: u8 = 2;
/// The flags of yamux frames.
pub(super) const SYN: u16 = 1;
pub(super) const ACK: u16 = 2;

/// The bytes of a connection after the handshake.
trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Socket for T {}
type Bytes = Box<dyn Socket>;

/// A yamux frame that was received.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u16,
    pub(super) stream: u32,
    /// The length of the body, the credit, or the value of a ping.
    pub(super) length: u32,
}

/// A connection on which the test itself writes yamux frames.
pub(super) struct Bare {
    to: WriteHalf<Bytes>,
    from: ReadHalf<Bytes>,
}

impl Bare {
    /// Connects and sends nothing else.
    pub(super) async fn connect(seed: u8, to: &Address) -> Self {
        let key = identity::Keypair::ed25519_from_bytes([seed.wrapping_add(100); 32]).unwrap();
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let mut transport = FromHost(None)
            .upgrade(upgrade::Version::V1)
            .authenticate(noise::Config::new(&key).unwrap())
            .multiplex(Take(sender));
        let (role, port_use) = (Endpoint::Dialer, PortUse::New);
        let dial = transport.dial(to.as_str().parse().unwrap(), DialOpts { role, port_use });
        dial.unwrap().await.unwrap();
        let bytes = receiver.recv().await.expect("the upgrade hands the socket over");
        let (from, to) = bytes.split();
        Self { to, from }
    }

    /// Writes a frame whose length field has the given value, whatever the body is.
    pub(super) async fn write(&mut self, (kind, flags): (u8, u16), stream: u32, length: u32, body: &[u8]) -> bool {
        let mut frame = vec![0, kind];
        frame.extend(flags.to_be_bytes());
        frame.extend(stream.to_be_bytes());
        frame.extend(length.to_be_bytes());
        frame.extend(body);
        self.to.write_all(&frame).await.is_ok() && self.to.flush().await.is_ok()
    }

    /// Sends bytes on a stream.
    pub(super) async fn data(&mut self, flags: u16, stream: u32, body: &[u8]) -> bool {
        let length = u32::try_from(body.len()).unwrap();
        self.write((DATA, flags), stream, length, body).await
    }

    /// Opens a stream and proposes a protocol on it, without waiting for the answer.
    pub(super) async fn propose(&mut self, stream: u32, protocol: &str) -> bool {
        let hello = [line("/multistream/1.0.0"), line(protocol)].concat();
        self.data(SYN, stream, &hello).await
    }

    /// The next frame and its body; none at the end of the connection.
    pub(super) async fn read(&mut self) -> Option<(Frame, Vec<u8>)> {
        let mut head = [0; 12];
        self.from.read_exact(&mut head).await.ok()?;
        let word = |at: usize| u32::from_be_bytes(*head[at..].first_chunk().unwrap());
        let frame = Frame {
            kind: head[1],
            flags: u16::from_be_bytes([head[2], head[3]]),
            stream: word(4),
            length: word(8),
        };
        let length = if frame.kind == DATA { frame.length } else { 0 };
        let mut body = vec![0; usize::try_from(length).unwrap()];
        self.from.read_exact(&mut body).await.ok()?;
        Some((frame, body))
    }
}

/// An upgrade that returns the bytes of the connection instead of multiplexing them.
#[derive(Clone)]
struct Take(mpsc::UnboundedSender<Bytes>);

impl UpgradeInfo for Take {
    type Info = &'static str;
    type InfoIter = Once<&'static str>;

    fn protocol_info(&self) -> Self::InfoIter {
        once("/yamux/1.0.0")
    }
}

impl<C: Socket + 'static> InboundConnectionUpgrade<C> for Take {
    type Output = Nothing;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Nothing>>;

    fn upgrade_inbound(self, bytes: C, info: Self::Info) -> Self::Future {
        self.upgrade_outbound(bytes, info)
    }
}

impl<C: Socket + 'static> OutboundConnectionUpgrade<C> for Take {
    type Output = Nothing;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Nothing>>;

    fn upgrade_outbound(self, bytes: C, _: Self::Info) -> Self::Future {
        let _ = self.0.send(Box::new(bytes));
        Box::pin(async { Ok(Nothing) })
    }
}

/// What libp2p gets: a connection without streams.
struct Nothing;

impl StreamMuxer for Nothing {
    type Substream = Cursor<Vec<u8>>;
    type Error = io::Error;

    fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
        Poll::Pending
    }

    fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
        Poll::Pending
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Poll::Pending
    }
}
