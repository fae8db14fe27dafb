//! Counts the open streams of a peer on each connection, ends the connection of a peer that opens too many, and limits
//! the time for closing a connection.
//!
//! Yamux alone only tells such a peer to go away, and continues if the peer ignores that. It closes a connection after
//! all bytes were sent, which never happens if the other end is dead.
//! Promises: a peer has at most [`STREAMS_IN_MAX`] open streams on a connection. One more ends the connection, and so
//! do [`CROWDING_MAX`] streams opened one after another while [`STREAMS_CROWDED`] are open; the error says so. A
//! connection that is being closed ends after [`CLOSE_PATIENCE`] at the latest.
//! Elsewhere: the penalty for the peer (`net::swarm::events`).
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

use super::breach::EndAfterGoAway;
use super::broken::Broken;

/// The most streams that a peer may have open. Honest peers use eight: four requests, gossip, ping, and identify twice.
pub(super) const STREAMS_IN_MAX: usize = 32;
/// From this number of open streams on, a peer is crowding; the library drops requests beyond it.
const STREAMS_CROWDED: usize = 16;
/// How many more streams a crowding peer may open, without a pause in the crowding, before its connection ends.
const CROWDING_MAX: usize = 64;
/// How much the windows of one connection's streams may grow together, in bytes: two megabytes in time over a second of
/// delay. A peer can fake any delay by answering late, and then leave the granted bytes unread, or fill them.
pub(super) const WINDOW_GROWTH_BYTES: usize = 1024 * 1024;
/// Yamux lets windows grow up to a gigabyte minus a first window for each allowed stream, and libp2p lets a program
/// choose only the number of streams. So this number leaves exactly the growth above; the streams themselves are
/// counted here.
const STREAMS_MAX: usize = (1024 * 1024 * 1024 - WINDOW_GROWTH_BYTES) / (256 * 1024);
/// How long a connection that is being closed may take to send its last bytes. A live peer reads them within
/// milliseconds, and sync repairs a loss; with a dead peer the connection would stay until TCP gives up, a quarter of
/// an hour.
pub(super) const CLOSE_PATIENCE: Duration = Duration::from_millis(300);

/// The yamux upgrade whose connections count their streams.
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
    type Output = Counting<yamux::Muxer<EndAfterGoAway<C>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_inbound(self, socket: C, info: Self::Info) -> Self::Future {
        let made = self.0.upgrade_inbound(EndAfterGoAway::new(socket), info);
        Box::pin(async { made.await.map(Counting::new).map_err(io::Error::other) })
    }
}

impl<C: AsyncRead + AsyncWrite + Send + Unpin + 'static> OutboundConnectionUpgrade<C> for Upgrade {
    type Output = Counting<yamux::Muxer<EndAfterGoAway<C>>>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Output>>;

    fn upgrade_outbound(self, socket: C, info: Self::Info) -> Self::Future {
        let made = self.0.upgrade_outbound(EndAfterGoAway::new(socket), info);
        Box::pin(async { made.await.map(Counting::new).map_err(io::Error::other) })
    }
}

/// A connection whose inbound streams are counted.
#[derive(Debug)]
pub(super) struct Counting<M> {
    inner: M,
    open: Arc<AtomicUsize>,
    /// Streams that were opened while the peer was crowding, since it last was not.
    crowding: usize,
    /// The time limit for closing; set once the connection is being closed.
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

/// A stream; an inbound one is counted until it is dropped.
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

    /// A connection to a dead peer: its remaining bytes are never taken.
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
