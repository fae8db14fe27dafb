//! The meaning of errors from the network libraries, found beneath their wrappers.
//!
//! Promises: it decides by the types of errors and the system's error kinds, never by their text; the text is passed on
//! unchanged.
//! Elsewhere: the consequences of a failed dial (`contract::reasons`), the counting of streams (`net::streams`).

use std::error::Error;
use std::io;

use libp2p::core::transport::timeout::TransportTimeoutError;
use libp2p::swarm::ConnectionError;
use libp2p::{TransportError, noise, yamux};
use thiserror::Error as ThisError;

use crate::contract::{DialFailure, DisconnectReason};

/// An error of a socket. The library's outer layers hide an error of the system, but show the cause of any other error;
/// this wrapper makes the system's error such a cause.
#[derive(Debug, ThisError)]
#[error("{0}")]
pub(super) struct OfSocket(#[source] pub io::Error);

/// Converts an error of a whole dial, whose time may be over. The library's own type for a timeout contains the type of
/// the whole transport, which cannot be written down where it is needed.
pub(super) fn of_dial<E: Error + Send + Sync + 'static>(error: TransportTimeoutError<E>) -> io::Error {
    match error {
        TransportTimeoutError::Timeout => io::ErrorKind::TimedOut.into(),
        other => io::Error::other(other),
    }
}

/// How a connection ended with an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Break {
    /// The peer opened too many streams.
    StreamFlood,
    /// The peer closed the connection.
    Closed,
    /// The connection was reset: the peer went away without closing it.
    Reset,
    /// Any other reason; it has no meaning for a user.
    Other,
}

/// The error that ended a connection: the kind of end, and the library's text.
#[derive(Debug, ThisError)]
#[error("{words}")]
pub(super) struct Broken {
    how: Break,
    words: String,
}

impl Broken {
    pub(super) fn flood() -> Self {
        Self {
            how: Break::StreamFlood,
            words: "the peer opened too many streams".to_owned(),
        }
    }
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self {
            how: causes(&error).find_map(break_of).unwrap_or(Break::Other),
            words: error.to_string(),
        }
    }
}

impl From<yamux::Error> for Broken {
    fn from(error: yamux::Error) -> Self {
        // The library's type does not show the cause; converted to an error of the system it does, but with another
        // text.
        let words = error.to_string();
        Self {
            words,
            ..Self::from(io::Error::from(error))
        }
    }
}

/// An error and its causes. Errors of the system do not show what they wrap in `source`.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let next = |error: &&'a (dyn Error + 'static)| -> Option<&'a (dyn Error + 'static)> {
        match (*error).downcast_ref::<io::Error>() {
            Some(system) => system.get_ref().map(|inner| -> &(dyn Error + 'static) { inner }),
            None => (*error).source(),
        }
    };
    core::iter::successors(Some(error), next)
}

/// The system's kind of an error; none if it is not an error of the system.
fn kind_of(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let of_handshake = |error: &noise::Error| match error {
        noise::Error::Io(system) => Some(system.kind()),
        _ => None,
    };
    let system = error.downcast_ref::<io::Error>().map(io::Error::kind);
    system.or_else(|| error.downcast_ref::<noise::Error>().and_then(of_handshake))
}

fn break_of(error: &(dyn Error + 'static)) -> Option<Break> {
    if let Some(multiplexer) = error.downcast_ref::<::yamux::ConnectionError>() {
        return matches!(multiplexer, ::yamux::ConnectionError::Closed).then_some(Break::Closed);
    }
    match kind_of(error)? {
        io::ErrorKind::UnexpectedEof => Some(Break::Closed),
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Some(Break::Reset),
        _ => None,
    }
}

/// How a connection ended, by the error that the swarm reports.
pub(super) fn break_by(error: &ConnectionError) -> Break {
    let broken = causes(error).find_map(|cause| cause.downcast_ref::<Broken>());
    broken.map_or(Break::Other, |broken| broken.how)
}

/// The reason of a lost connection for the engine's events.
pub(super) fn disconnect_reason(error: &ConnectionError) -> DisconnectReason {
    let words = error.to_string();
    match break_by(error) {
        Break::Closed => DisconnectReason::Closed(words),
        Break::Reset => DisconnectReason::Reset(words),
        Break::StreamFlood | Break::Other => DisconnectReason::Broken(words),
    }
}

/// Why an address could not be dialled, by the error of the transport.
pub(super) fn dial_failure(error: &TransportError<io::Error>) -> DialFailure {
    let known = causes(error).filter_map(kind_of).find_map(|kind| match kind {
        io::ErrorKind::ConnectionRefused => Some(DialFailure::Refused),
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => Some(DialFailure::NoRoute),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
            Some(DialFailure::Closed)
        }
        io::ErrorKind::TimedOut => Some(DialFailure::Silence),
        _ => None,
    });
    known.unwrap_or_else(|| {
        let text = innermost(error);
        of_quic(&text).unwrap_or(DialFailure::Other(text))
    })
}

/// The text of the innermost cause.
fn innermost(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The meaning of an error from its text, for QUIC, whose library gives no error kinds.
fn of_quic(text: &str) -> Option<DialFailure> {
    const WORDS: [(&str, DialFailure); 3] = [
        ("refused", DialFailure::Refused),
        ("reset by peer", DialFailure::Closed),
        ("timed out", DialFailure::Silence),
    ];
    let mut known = WORDS.into_iter().filter(|_| cfg!(feature = "quic"));
    known.find_map(|(words, meaning)| text.contains(words).then_some(meaning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use io::ErrorKind;

    /// A layer of the library, which hides the error that it wraps and shows the cause of that error.
    #[derive(Debug, ThisError)]
    enum Layer {
        #[error(transparent)]
        Dial(OfSocket),
        #[error("the handshake: {0}")]
        Handshake(#[source] noise::Error),
    }

    /// Wraps an error as the swarm reports it: each layer wraps it, and the outermost is an error of the system.
    fn told(error: TransportTimeoutError<Layer>) -> TransportError<io::Error> {
        TransportError::Other(io::Error::other(of_dial(error)))
    }

    #[test]
    fn a_failed_dial_is_known_by_the_systems_kind_whatever_wraps_it() {
        for (kind, failure) in [
            (ErrorKind::ConnectionRefused, DialFailure::Refused),
            (ErrorKind::HostUnreachable, DialFailure::NoRoute),
            (ErrorKind::NetworkUnreachable, DialFailure::NoRoute),
            (ErrorKind::ConnectionReset, DialFailure::Closed),
            (ErrorKind::UnexpectedEof, DialFailure::Closed),
            (ErrorKind::BrokenPipe, DialFailure::Closed),
            (ErrorKind::TimedOut, DialFailure::Silence),
        ] {
            let dialled = Layer::Dial(OfSocket(kind.into()));
            let shaken = Layer::Handshake(noise::Error::Io(kind.into()));
            for error in [dialled, shaken] {
                let error = told(TransportTimeoutError::Other(error));
                assert_eq!(dial_failure(&error), failure, "{error:?}");
            }
        }
    }

    #[test]
    fn a_dial_whose_time_is_over_found_nobody() {
        assert_eq!(
            dial_failure(&told(TransportTimeoutError::Timeout)),
            DialFailure::Silence
        );
    }

    #[test]
    fn what_is_not_known_keeps_the_librarys_words() {
        let bad = Layer::Handshake(noise::Error::BadSignature);
        let words = noise::Error::BadSignature.to_string();
        let failure = dial_failure(&told(TransportTimeoutError::Other(bad)));
        assert_eq!(failure, DialFailure::Other(words));
    }

    #[test]
    fn the_end_of_a_connection_is_known_by_its_kind_and_told_in_the_librarys_words() {
        // The box around every multiplexer wraps the error, before the swarm reports it.
        let reason = |error: io::Error| disconnect_reason(&ConnectionError::IO(io::Error::other(Broken::from(error))));
        let words = |error: &str| format!("Connection error: I/O error: {error}");
        let end = ErrorKind::UnexpectedEof;
        assert_eq!(
            reason(end.into()),
            DisconnectReason::Closed(words("unexpected end of file"))
        );
        let end = io::Error::other(::yamux::ConnectionError::Closed);
        assert_eq!(reason(end), DisconnectReason::Closed(words("connection is closed")));
        for kind in [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe] {
            let end = io::Error::other(::yamux::ConnectionError::Io(kind.into()));
            let expected = words(&end.to_string());
            assert_eq!(reason(end), DisconnectReason::Reset(expected));
        }
        let end = io::Error::other(::yamux::ConnectionError::TooManyStreams);
        let expected = words("maximum number of streams reached");
        assert_eq!(reason(end), DisconnectReason::Broken(expected));
        let idle = ConnectionError::KeepAliveTimeout;
        assert_eq!(disconnect_reason(&idle), DisconnectReason::Broken(idle.to_string()));
    }

    #[test]
    fn a_flood_of_streams_is_told_from_every_other_end() {
        let flood = ConnectionError::IO(io::Error::other(Broken::flood()));
        assert_eq!(break_by(&flood), Break::StreamFlood);
        let named = io::Error::other("the peer opened too many streams");
        assert_eq!(break_by(&ConnectionError::IO(named)), Break::Other);
    }
}
