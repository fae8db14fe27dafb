//! The stream format of requests and responses: one message up to the end of the stream, with a limit on its size.
//!
//! Promises: memory grows only with the bytes received and stops at the limit; the limit for a response depends on the
//! kind of its request. Nothing is decoded here, so that the swarm task knows the sender of what cannot be decoded.
//! Elsewhere: the meaning of the bytes (`wire`), how many requests a peer may make (`net::exchange`).
//! Spec: `proto-notes/sync.md`, "Messages".

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};
use tokio::time::timeout;

use crate::chain::header::HEADER_BYTES;
use crate::chain::params::{BLOCK_MAX_BYTES, TRANSACTION_MAX_BYTES};
use crate::types::address::ADDRESS_MAX_BYTES;
use crate::wire::message::{PEER_ADDRESSES_MAX, PEERS_MAX};
use crate::wire::{HEADERS_MAX, REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES};

/// Bytes of a response that are written at a time, so that the progress of its reader is known.
const STEP_BYTES: usize = 16 * 1024;

/// Bytes that are read at a time; each waiting stream holds a buffer of this size.
const READ_BYTES: usize = 4 * 1024;
/// How long a stream may make no progress before it is given up. A stream with progress may go on up to the library's
/// limit, so that a long message also reaches a slow peer.
const STILL_MAX: Duration = Duration::from_secs(20);

/// A count of the bytes of a response that the connection has taken or brought so far. Clones share the count.
#[derive(Clone, Debug, Default)]
pub(super) struct ByteCount(Arc<AtomicUsize>);

impl ByteCount {
    fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The number of bytes so far.
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl PartialEq for ByteCount {
    /// Two counts always count as equal, so that progress does not make equal messages differ.
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ByteCount {}

/// The content of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// All bytes up to its end.
    Whole(Vec<u8>),
    /// A request to be written, or a response, with the count that follows the progress of the response.
    Watched(Vec<u8>, ByteCount),
    /// The message is longer than its limit; the rest was not read.
    TooLong,
}

/// Reads and writes whole streams. libp2p clones it for each stream, so it can remember the request of that stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Codec {
    answer_max: usize,
    answer: ByteCount,
}

/// Bytes around the lists of a response: kind, counts, and room for fields of a later version.
const ENVELOPE_BYTES: usize = 4 * 1024;

/// The largest encoding of one reported peer: a key, and the texts of its addresses with their lengths.
const TOLD_PEER_MAX_BYTES: usize = 32 + 8 + PEER_ADDRESSES_MAX * (8 + ADDRESS_MAX_BYTES);

/// The largest response to a request, by the kind of the request. Without it, each of many peers could answer the
/// smallest request with two megabytes that never end.
fn answer_max(request: &[u8]) -> usize {
    let kind = request.first_chunk::<4>().map(|kind| u32::from_le_bytes(*kind));
    let hashes = request.len().saturating_sub(12) / 32;
    match kind {
        Some(0) => ENVELOPE_BYTES,
        Some(1) => ENVELOPE_BYTES + HEADERS_MAX * HEADER_BYTES,
        Some(2) => RESPONSE_MAX_BYTES.min(ENVELOPE_BYTES + hashes * BLOCK_MAX_BYTES),
        Some(5) => {
            let positions = request.len().saturating_sub(44) / 2;
            RESPONSE_MAX_BYTES.min(ENVELOPE_BYTES + positions * (8 + TRANSACTION_MAX_BYTES))
        }
        Some(4) => ENVELOPE_BYTES + PEERS_MAX * TOLD_PEER_MAX_BYTES,
        Some(_) | None => RESPONSE_MAX_BYTES,
    }
}

/// Runs one step of a stream, and fails if the step takes too long.
async fn moving<T>(still_max: Duration, step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let done = timeout(still_max, step).await;
    done.unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "the stream stands still")))
}

async fn read<T: AsyncRead + Unpin + Send>(
    io: &mut T,
    limit: usize,
    still_max: Duration,
    moved: &ByteCount,
) -> io::Result<Raw> {
    let mut bytes = Vec::new();
    let mut step = vec![0; READ_BYTES];
    loop {
        let count = moving(still_max, io.read(&mut step)).await?;
        if count == 0 {
            return Ok(Raw::Whole(bytes));
        }
        moved.add(count);
        bytes.extend_from_slice(&step[..count]);
        if bytes.len() > limit {
            return Ok(Raw::TooLong);
        }
    }
}

async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, raw: Raw, still_max: Duration) -> io::Result<()> {
    match raw {
        Raw::Whole(bytes) => moving(still_max, io.write_all(&bytes)).await,
        Raw::Watched(bytes, moved) => {
            for step in bytes.chunks(STEP_BYTES) {
                moving(still_max, io.write_all(step)).await?;
                moved.add(step.len());
            }
            Ok(())
        }
        Raw::TooLong => Err(io::Error::new(io::ErrorKind::InvalidInput, "message over its cap")),
    }
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Raw;
    type Response = Raw;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Raw>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, REQUEST_MAX_BYTES, STILL_MAX, &ByteCount::default()).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Raw>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, self.answer_max, STILL_MAX, &self.answer).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Raw) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        if let Raw::Whole(bytes) | Raw::Watched(bytes, _) = &request {
            self.answer_max = answer_max(bytes);
        }
        // Only the bytes of the response count: that this node has written a request proves nothing about the peer.
        let request = match request {
            Raw::Watched(bytes, answer) => {
                self.answer = answer;
                Raw::Whole(bytes)
            }
            other => other,
        };
        write(io, request, STILL_MAX).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Raw) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, response, STILL_MAX).await
    }
}

#[cfg(test)]
mod tests {
    use futures::io::Cursor;

    use super::*;
    use crate::wire::{Request, Response, Status, ToldPeer};

    #[test]
    fn adv_w14_the_longest_answer_of_each_kind_fits_and_no_other_is_read_to_its_end() {
        let status = Status {
            tip: [1; 32],
            height: u64::MAX,
            work: [1; 32],
            name: "n".repeat(32),
            clock_ms: 1,
            instance: 1,
            pool_count: 1,
            pool_digest: 1,
        };
        let hashes = |count| Request::GetBlocks {
            hashes: vec![[1; 32]; count],
        };
        let longest = [
            (Request::Status(status.clone()), Response::Status(status)),
            (
                Request::GetHeaders {
                    locator: vec![[1; 32]; 32],
                },
                Response::Headers(vec![[1; HEADER_BYTES]; HEADERS_MAX]),
            ),
            (hashes(1), Response::Blocks(vec![vec![1; BLOCK_MAX_BYTES]])),
            (hashes(16), Response::Blocks(vec![vec![1; 130_000]; 16])),
            (hashes(256), Response::Blocks(vec![vec![1; 8_000]; 256])),
            (
                Request::GetPeers,
                Response::Peers(vec![
                    ToldPeer {
                        key: [1; 32],
                        addresses: vec!["a".repeat(255); 4],
                    };
                    32
                ]),
            ),
            (
                Request::GetPending { after: [0; 32] },
                Response::Pending(vec![vec![1; 512]; 1_024]),
            ),
            (
                Request::GetTransactions {
                    block: [1; 32],
                    positions: vec![1; 3],
                },
                Response::Transactions(vec![vec![1; 512]; 3]),
            ),
        ];
        for (request, response) in longest {
            let (request, response) = (request.encode(), response.encode());
            let max = answer_max(&request);
            assert!(response.len() <= max, "{} > {max}", response.len());
            assert!(max <= RESPONSE_MAX_BYTES);
        }
        let max = answer_max(&Request::GetHeaders { locator: Vec::new() }.encode());
        assert!(max < 64 * 1024, "{max}");
        assert!(answer_max(&Request::GetPeers.encode()) < 64 * 1024);
        let three = Request::GetTransactions {
            block: [1; 32],
            positions: vec![1; 3],
        };
        assert!(answer_max(&three.encode()) < 6 * 1024);
        assert!(answer_max(&hashes(1).encode()) < BLOCK_MAX_BYTES + 8 * 1024);
    }

    #[tokio::test]
    async fn a_stream_of_the_cap_is_read_whole() {
        let bytes = vec![7; REQUEST_MAX_BYTES];
        let read = read(
            &mut Cursor::new(&bytes),
            REQUEST_MAX_BYTES,
            STILL_MAX,
            &ByteCount::default(),
        )
        .await;
        assert_eq!(read.unwrap(), Raw::Whole(bytes));
    }

    #[tokio::test]
    async fn a_stream_that_does_not_end_is_cut_at_the_cap() {
        let read = read(
            &mut futures::io::repeat(1),
            REQUEST_MAX_BYTES,
            STILL_MAX,
            &ByteCount::default(),
        )
        .await;
        assert_eq!(read.unwrap(), Raw::TooLong);
    }

    /// A reader that gives one byte after each pause, `left` times in all; then it ends, or it waits for ever.
    struct Drip {
        left: usize,
        ends: bool,
        pause: std::pin::Pin<Box<tokio::time::Sleep>>,
    }

    const PAUSE: Duration = Duration::from_millis(20);

    impl Drip {
        fn new(left: usize, ends: bool) -> Self {
            let pause = Box::pin(tokio::time::sleep(PAUSE));
            Self { left, ends, pause }
        }
    }

    impl AsyncRead for Drip {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
            buf: &mut [u8],
        ) -> std::task::Poll<io::Result<usize>> {
            std::task::ready!(self.pause.as_mut().poll(cx));
            if self.left == 0 {
                return if self.ends {
                    std::task::Poll::Ready(Ok(0))
                } else {
                    std::task::Poll::Pending
                };
            }
            self.left -= 1;
            buf[0] = 7;
            self.pause = Box::pin(tokio::time::sleep(PAUSE));
            std::task::Poll::Ready(Ok(1))
        }
    }

    #[tokio::test]
    async fn what_comes_slowly_is_read_to_its_end_and_what_stands_still_is_given_up() {
        let still_max = PAUSE * 50;
        let slow = read(
            &mut Drip::new(75, true),
            REQUEST_MAX_BYTES,
            still_max,
            &ByteCount::default(),
        )
        .await;
        assert_eq!(
            slow.unwrap(),
            Raw::Whole(vec![7; 75]),
            "in longer than it may stand still"
        );
        let still = read(
            &mut Drip::new(3, false),
            REQUEST_MAX_BYTES,
            still_max,
            &ByteCount::default(),
        )
        .await;
        assert_eq!(still.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn only_bytes_of_the_answer_count_as_moved() {
        use request_response::Codec as _;

        let protocol = StreamProtocol::new("/test");
        let (mut codec, moved) = (Codec::default(), ByteCount::default());
        let request = Raw::Watched(vec![7; 100], moved.clone());
        let mut wire = Cursor::new(Vec::new());
        codec.write_request(&protocol, &mut wire, request).await.unwrap();
        assert_eq!(moved.bytes(), 0, "writing says nothing of the peer");
        let read = codec.read_response(&protocol, &mut Drip::new(3, true)).await;
        assert_eq!((read.unwrap(), moved.bytes()), (Raw::Whole(vec![7; 3]), 3));
    }
}
