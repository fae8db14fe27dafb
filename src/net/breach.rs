//! Ends a connection whose peer broke yamux's rules.
//!
//! Yamux answers a violation with a `GoAway` frame, drops the frame that violated its rules, and goes on reading for
//! ever.
//! Promises: after this node has sent a `GoAway`, nothing more is read, so that the connection ends.
//! Elsewhere: the limit on streams, which is our own rule (`net::streams`).
//! Spec: `proto-notes/gossip.md`, "Connection".

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures::{AsyncRead, AsyncWrite};

/// A yamux frame begins with version, kind, flags, stream and length, 12 bytes; only data frames have a body.
const HEAD_BYTES: usize = 12;
const DATA: u8 = 0;
const GO_AWAY: u8 = 3;

/// A socket below yamux, which inspects the frames that yamux writes.
#[derive(Debug)]
pub(super) struct EndAfterGoAway<C> {
    socket: C,
    frames: Frames,
}

impl<C> EndAfterGoAway<C> {
    /// Wraps a socket to which nothing was written yet.
    pub(super) const fn new(socket: C) -> Self {
        let frames = Frames {
            head: [0; HEAD_BYTES],
            known: 0,
            body: 0,
            has_said_goodbye: false,
        };
        Self { socket, frames }
    }
}

/// The position of the last written byte within its frame.
#[derive(Debug)]
struct Frames {
    head: [u8; HEAD_BYTES],
    /// How many bytes of the frame's head are known.
    known: usize,
    /// How many bytes of the frame's body are still to come.
    body: usize,
    has_said_goodbye: bool,
}

impl Frames {
    fn wrote(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped = self.body.min(bytes.len());
            self.body -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD_BYTES - self.known).min(bytes.len());
            self.head[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            bytes = &bytes[taken..];
            if self.known == HEAD_BYTES {
                self.known = 0;
                self.read_head();
            }
        }
    }

    fn read_head(&mut self) {
        let [.., a, b, c, d] = self.head;
        match self.head[1] {
            DATA => self.body = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX),
            GO_AWAY => self.has_said_goodbye = true,
            _ => {}
        }
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for EndAfterGoAway<C> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.frames.has_said_goodbye {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the peer broke the rules of yamux");
            return Poll::Ready(Err(error));
        }
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for EndAfterGoAway<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.socket).poll_write(cx, buf))?;
        self.frames.wrote(&buf[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;
    use futures::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn frame(kind: u8, length: u32, body: &[u8]) -> Vec<u8> {
        [&[0, kind, 0, 0, 0, 0, 0, 1], &length.to_be_bytes()[..], body].concat()
    }

    #[test]
    fn after_a_goodbye_nothing_is_read_however_its_bytes_were_cut() {
        // A body that looks like a `GoAway`, a window update whose number is not a length, and a ping.
        let harmless = [
            frame(DATA, 36, &[GO_AWAY; 36]),
            frame(1, 1_000_000, &[]),
            frame(2, 5, &[]),
        ]
        .concat();
        for step in [1, 5, 11, 12, 13, 100] {
            let mut socket = EndAfterGoAway::new(Cursor::new(vec![0; 300]));
            for part in harmless.chunks(step) {
                block_on(socket.write_all(part)).unwrap();
            }
            assert_eq!(block_on(socket.read(&mut [0; 1])).unwrap(), 1, "{step}");
            for part in frame(GO_AWAY, 1, &[]).chunks(step) {
                block_on(socket.write_all(part)).unwrap();
            }
            assert!(block_on(socket.read(&mut [0; 1])).is_err(), "{step}");
        }
    }
}
