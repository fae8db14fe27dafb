//! Counts the streams that a peer has open on a connection, ends the connection of one who opens too many, and bounds
//! the time that an end takes.
//!
//! Yamux alone only tells such a peer to go away, and goes on with one who does not listen. It closes a connection after
//! all bytes have left, which is never if the other end is dead.
//! Promises: at most [`STREAMS_IN_MAX`] streams of a peer's are open on a connection; one more ends it, and so do
//! [`CROWDING_MAX`] that come one after the other while [`STREAMS_CROWDED`] wait; the cause says so; a connection that is closed has ended after [`CLOSE_PATIENCE`].
//! Elsewhere: what that costs the peer (`net::swarm::events`).
//! Spec: `proto-notes/gossip.md`, "Connection".

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{AsyncRead, AsyncWrite, Future};
use libp2p::core::UpgradeInfo;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p::yamux;
use tokio::time::{Sleep, sleep};

use super::breach::Ending;
use super::broken::Broken;

/// Streams that a peer may have open. Honest ones use eight: four requests, gossip, ping, identify twice.
pub(super) const STREAMS_IN_MAX: usize = 32;
/// From so many open streams on a peer is crowding: requests beyond are dropped by the library.
const STREAMS_CROWDED: usize = 16;
/// How often a peer may open one more in a crowd, without ever leaving the crowd, before its connection ends.
const CROWDING_MAX: usize = 64;
/// What the windows of a connection's streams may grow by, together: two megabytes in time over a second of delay. A peer
/// can feign any delay by answering late, and then leave unread, or fill, whatever it was given.
pub(super) const WINDOW_GROWTH_BYTES: usize = 1024 * 1024;
/// Yamux lets windows grow up to a gigabyte less a first window for each stream that may be open, and libp2p lets a
/// program choose that number alone. So it is the one that leaves the growth above; streams are counted here.
const STREAMS_MAX: usize = (1024 * 1024 * 1024 - WINDOW_GROWTH_BYTES) / (256 * 1024);
/// How long a connection may take to hand over what it still has when it is closed. A living peer reads it within some
/// milliseconds, and sync brings what gets lost; to a dead one it would stand until TCP gives up, a quarter of an hour.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_millis(300);

/// Yamux that counts.
#[derive(Clone, Debug)]
pub(super) struct Upgrade(yamux::Config);

impl Default for Upgrade {
    fn default() -> Self {
        let mut config = yamux::Config::default();
        config.set_max_num_streams(STREAMS_MAX);
        Self(config)
    }
}

impl UpgradeInfo for Upgrade {
    type Info = <yamux::Config as UpgradeInfo>::Info;
    type InfoIter = <yamux::Config as UpgradeInfo>::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> InboundConnectionUpgrade<C> for Upgrade {
    type Output = Counting<yamux::Muxer<Ending<C>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        let made = self.0.upgrade_inbound(Ending::new(socket), info);
        Box::pin(async { made.await.map(Counting::new).map_err(io::Error::other) })
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Upgrade {
    type Output = Counting<yamux::Muxer<Ending<C>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        let made = self.0.upgrade_outbound(Ending::new(socket), info);
        Box::pin(async { made.await.map(Counting::new).map_err(io::Error::other) })
    }
}

/// A connection whose inbound streams are counted.
#[derive(Debug)]
pub(super) struct Counting<M> {
    inner: M,
    open: Arc<AtomicUsize>,
    /// Streams that came into a crowd since there was none.
    crowding: usize,
    /// Runs once the connection is being closed.
    closing: Option<Pin<Box<Sleep>>>,
}

impl<M> Counting<M> {
    fn new(inner: M) -> Self {
        Self {
            inner,
            open: Arc::default(),
            crowding: 0,
            closing: None,
        }
    }
}

/// One stream; an inbound one is counted until it is dropped.
#[derive(Debug)]
pub(super) struct Counted<S> {
    inner: S,
    count: Option<Arc<AtomicUsize>>,
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        if let Some(count) = &self.count {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for Counting<M>
where
    M::Substream: Unpin,
    Broken: From<M::Error>,
{
    type Substream = Counted<M::Substream>;
    type Error = Broken;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, Broken>> {
        let inner = ready!(Pin::new(&mut self.inner).poll_inbound(cx)).map_err(Broken::from)?;
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        self.crowding = if before < STREAMS_CROWDED { 0 } else { self.crowding + 1 };
        let count = Some(Arc::clone(&self.open));
        let stream = Counted { inner, count };
        Poll::Ready(if before < STREAMS_IN_MAX && self.crowding <= CROWDING_MAX {
            Ok(stream)
        } else {
            Err(Broken::flood())
        })
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Self::Substream, Broken>> {
        let inner = ready!(Pin::new(&mut self.inner).poll_outbound(cx)).map_err(Broken::from)?;
        Poll::Ready(Ok(Counted { inner, count: None }))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.inner).poll_close(cx) {
            return Poll::Ready(closed.map_err(Broken::from));
        }
        let limit = self.closing.get_or_insert_with(|| Box::pin(sleep(CLOSE_PATIENCE)));
        limit.as_mut().poll(cx).map(Ok)
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Broken>> {
        Pin::new(&mut self.inner).poll(cx).map_err(Broken::from)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::io::Cursor;
    use tokio::time::timeout;

    use super::*;

    /// A connection to a dead peer: what it still has to send is never taken.
    struct Stuck;

    impl StreamMuxer for Stuck {
        type Substream = Cursor<Vec<u8>>;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<Self::Substream>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn closing_a_connection_whose_peer_takes_nothing_ends_all_the_same() {
        let mut connection = Counting::new(Stuck);
        let closed = poll_fn(|cx| Pin::new(&mut connection).poll_close(cx));
        let patience = CLOSE_PATIENCE + Duration::from_secs(30);
        timeout(patience, closed).await.expect("it ends").unwrap();
    }
}
