//! The stream format of requests and answers: one message up to the end of the stream, size-capped.
//!
//! Promises: memory taken grows with the bytes received and ends at the cap; nothing is decoded here, so that what
//! cannot be decoded reaches the swarm task together with the name of its sender.
//! Elsewhere: what the bytes mean (`wire`), who may ask how much (`net::exchange`).
//! Spec: `proto-notes/sync.md`, "Messages".

use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{StreamProtocol, request_response};

use crate::wire::{REQUEST_MAX_BYTES, RESPONSE_MAX_BYTES};

/// What a stream held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Raw {
    /// Everything up to its end.
    Whole(Vec<u8>),
    /// More than a message may have; the rest was not read.
    TooLong,
}

/// Reads and writes whole streams.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Codec;

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, limit: usize) -> io::Result<Raw> {
    let mut bytes = Vec::new();
    let cap = u64::try_from(limit).expect("a cap of megabytes fits 64 bits") + 1;
    io.take(cap).read_to_end(&mut bytes).await?;
    Ok(if bytes.len() > limit {
        Raw::TooLong
    } else {
        Raw::Whole(bytes)
    })
}

async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, raw: Raw) -> io::Result<()> {
    match raw {
        Raw::Whole(bytes) => io.write_all(&bytes).await,
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
        read(io, REQUEST_MAX_BYTES).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Raw>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, RESPONSE_MAX_BYTES).await
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Raw) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, request).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, response: Raw) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, response).await
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    #[test]
    fn a_stream_of_the_cap_is_read_whole() {
        let bytes = vec![7; REQUEST_MAX_BYTES];
        let read = block_on(read(&mut Cursor::new(&bytes), REQUEST_MAX_BYTES)).unwrap();
        assert_eq!(read, Raw::Whole(bytes));
    }

    #[test]
    fn a_stream_that_does_not_end_is_cut_at_the_cap() {
        let read = block_on(read(&mut futures::io::repeat(1), REQUEST_MAX_BYTES)).unwrap();
        assert_eq!(read, Raw::TooLong);
    }
}
