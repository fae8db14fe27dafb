//! Commands as requests: which may come, and how their replies become answers.
//!
//! Promises: the parser is the one of all doors; what only an owner at the node's own console may do is refused; costly
//! reads run [`COSTLY_MAX`] at a time.
//! Elsewhere: how a command is carried out (`web::Commands`).
//! Spec: `proto-notes/web.md`, "Routes".

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures::stream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::guard::{Refused, Visitor};
use super::hidden;
use super::setup::{Commands, Form, Piece, Running};
use crate::console::Line;
use crate::console::input::LINE_MAX_BYTES;
use crate::console::parse::parse_line;
use crate::contract::{Command, CommandError, Refusal};

/// Costly reads at a time, over all connections.
pub(super) const COSTLY_MAX: usize = 2;

/// A command that may be carried out.
#[derive(Debug)]
pub(super) struct Asked {
    line: String,
    form: Form,
    is_costly: bool,
    /// Its answer may hold what not everybody may see.
    is_private: bool,
}

impl Asked {
    /// A question from the path behind `/api/`: its parts are the words of the line.
    ///
    /// # Errors
    /// [`Refused`] if it is no command, or none that only reads.
    pub(super) fn by_path(path: &str, visitor: Visitor) -> Result<Self, Refused> {
        let line = path.split('/').collect::<Vec<_>>().join(" ");
        let command = parsed(&line).map_err(|error| refused(&error))?;
        if !command.only_reads() {
            return Err(Refused::new(
                405,
                "not_here",
                "that command changes something: it is sent to /api/command",
                "POST /api/command with {\"command\": \"…\"}",
            ));
        }
        // It names the machine's networks and their addresses throughout.
        if command == Command::Doctor && !visitor.is_here {
            return Err(Refused::new(
                403,
                "read_only",
                "what `doctor` finds is for this machine",
                "ask it at the node's prompt",
            ));
        }
        Ok(Self::new(line, &command, Form::Data))
    }

    /// A command from the body of a request: `{"command": "tx alice bob 5"}`.
    ///
    /// # Errors
    /// [`Refused`] if the body is none such, or the command is not for pages. A line that is no command is one that is
    /// refused: it gets a reply.
    pub(super) fn by_body(body: &[u8]) -> Result<Self, Refused> {
        let value: serde_json::Value = serde_json::from_slice(body).map_err(|_| no_command())?;
        let line = value
            .get("command")
            .and_then(|line| line.as_str())
            .ok_or_else(no_command)?;
        if line.chars().any(char::is_control) {
            return Err(Refused::new(
                400,
                "bad_argument",
                "a command is one line",
                "send one command at a time",
            ));
        }
        match parse_line(line) {
            Ok(None) => Err(no_command()),
            Ok(Some(Line::Engine(command))) if is_for_pages(&command) => {
                Ok(Self::new(line.into(), &command, Form::Reply))
            }
            Ok(Some(Line::Help(_))) | Err(_) => Ok(Self {
                line: line.into(),
                form: Form::Reply,
                is_costly: false,
                is_private: false,
            }),
            Ok(Some(Line::Engine(_) | Line::Quit | Line::Telling(_) | Line::Web)) => Err(Refused::new(
                403,
                "not_here",
                "that command is for the node's own prompt, not for a page",
                "type it at the node's prompt, or use `lanchain ctl`",
            )),
        }
    }

    fn new(line: String, command: &Command, form: Form) -> Self {
        Self {
            line,
            form,
            is_costly: is_costly(command),
            is_private: matches!(
                command,
                Command::Status | Command::Peers | Command::Dial { .. } | Command::Doctor
            ),
        }
    }

    /// Has it carried out.
    pub(super) async fn answer(
        self,
        commands: &dyn Commands,
        (costly, piece_max): (&Arc<Semaphore>, Duration),
        visitor: Visitor,
    ) -> Response {
        let place = match self.is_costly {
            true => costly.clone().acquire_owned().await.ok(),
            false => None,
        };
        let begun = commands.begin(&self.line, self.form);
        let mut running = match begun {
            Ok(running) => running,
            Err(error) => return failed(503, &error),
        };
        let (status, first) = match running.pieces.recv().await {
            Some(Piece::Done(text)) => (StatusCode::OK, text),
            Some(Piece::Refused(text, error)) => (status_of(self.form, &error), text),
            // The node stopped, or a thread failed: that is told elsewhere.
            Some(Piece::More(_) | Piece::Broken) | None => return failed(503, &stopped()),
        };
        if self.is_private {
            let text = hidden::for_visitor(&first, visitor);
            return json(status, Body::from(text));
        }
        json(status, rest_of(first, (running, place), piece_max))
    }
}

/// The body of an answer: each piece is taken when the reader has taken the one before.
fn rest_of(first: String, held: (Running, Option<OwnedSemaphorePermit>), piece_max: Duration) -> Body {
    Body::from_stream(stream::unfold(
        (Some(first), held),
        move |(first, mut held)| async move {
            if let Some(first) = first {
                return Some((Ok(Bytes::from(first)), (None, held)));
            }
            match timeout(piece_max, held.0.pieces.recv()).await {
                Ok(Some(Piece::More(text))) => Some((Ok(Bytes::from(text)), (None, held))),
                Ok(None) => None,
                // A chunked body without its end: the reader sees that something is missing.
                Ok(Some(Piece::Broken | Piece::Done(_) | Piece::Refused(..))) | Err(_) => {
                    let error = std::io::Error::other("the answer ends before its end");
                    Some((Err(error), (None, held)))
                }
            }
        },
    ))
}

fn json(status: StatusCode, body: Body) -> Response {
    let media = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    (status, [media], body).into_response()
}

/// The answer for an error of a command.
fn failed(status: u16, error: &CommandError) -> Response {
    Refused::new(status, error.code, error.message.clone(), error.hint.clone()).into_response()
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_REQUEST);
        json(status, Body::from(serde_json::json!({ "error": self }).to_string()))
    }
}

fn refused(error: &CommandError) -> Refused {
    let status = status_of(Form::Data, error).as_u16();
    Refused::new(status, error.code, error.message.clone(), error.hint.clone())
}

/// The status for a refused command: 422 with a reply; as data, what the code means in HTTP.
fn status_of(form: Form, error: &CommandError) -> StatusCode {
    match form {
        Form::Reply => StatusCode::UNPROCESSABLE_ENTITY,
        Form::Data if error.code.starts_with("unknown_") => StatusCode::NOT_FOUND,
        Form::Data if error.code == "internal" => StatusCode::INTERNAL_SERVER_ERROR,
        Form::Data if error.refusal() == Refusal::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
        Form::Data => StatusCode::BAD_REQUEST,
    }
}

fn stopped() -> CommandError {
    CommandError::new("interrupted", "the node stops", "start it again")
}

fn no_command() -> Refused {
    Refused::new(
        400,
        "bad_argument",
        "the body is no command",
        "send {\"command\": \"tx alice bob 5\"}",
    )
}

/// A line that is a command for the engine.
fn parsed(line: &str) -> Result<Command, CommandError> {
    if line.len() > LINE_MAX_BYTES {
        return Err(crate::console::parse::line_too_long());
    }
    match parse_line(line)? {
        Some(Line::Engine(command)) => Ok(command),
        Some(Line::Help(_) | Line::Quit | Line::Telling(_) | Line::Web) | None => Err(CommandError::new(
            "unknown_command",
            "there is no such question",
            "/api/status",
        )),
    }
}

/// What `/api/command` carries out besides: nothing that ends the node, bans, undoes, or reads a ticket.
fn is_for_pages(command: &Command) -> bool {
    use crate::contract::PeerAct;
    match command {
        Command::Tx { .. }
        | Command::Claim(_)
        | Command::Mine(_)
        | Command::Net(_)
        | Command::Dial { .. }
        | Command::Wait { .. }
        | Command::Resolve
        | Command::Peer { act: PeerAct::Drop, .. } => true,
        Command::Peer {
            act: PeerAct::Ban { .. } | PeerAct::Unban,
            ..
        }
        | Command::Invite
        | Command::Join(_)
        | Command::Rewind => false,
        other => other.only_reads(),
    }
}

/// What reads much of the chain.
fn is_costly(command: &Command) -> bool {
    matches!(
        command,
        Command::Chain(_)
            | Command::Stats(_)
            | Command::Tamper(_)
            | Command::ExplainBlock(_)
            | Command::ExplainTransaction(_)
            | Command::Accounts
            | Command::Whoami
            | Command::Balance(None)
            | Command::History { .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::help::COMMANDS;

    const HERE: Visitor = Visitor {
        is_here: true,
        knows_token: true,
    };
    const AWAY: Visitor = Visitor {
        is_here: false,
        knows_token: false,
    };

    fn body(line: &str) -> Result<Asked, Refused> {
        Asked::by_body(serde_json::json!({ "command": line }).to_string().as_bytes())
    }

    #[test]
    fn questions_are_paths_and_everything_else_is_refused_there() {
        let hash = "ab".repeat(32);
        let good = [
            "status",
            "peers",
            "tree",
            "tree/50",
            "chain/20",
            "block/7",
            "block/latest",
            "pending",
            "accounts",
            "balance",
            "balance/alice",
            "history",
            "history/alice/5",
            "stats",
            "explain/block/7",
            "tamper/7",
            "doctor",
            "whoami",
        ];
        for path in good {
            assert!(Asked::by_path(path, HERE).is_ok(), "{path}");
        }
        assert!(Asked::by_path(&format!("transaction/{hash}"), HERE).is_ok());
        for (path, status) in [
            ("", 404),
            ("quit", 404),
            ("help", 404),
            ("watch", 404),
            ("nonsense", 404),
            ("mine", 405),
            ("tx/a/b/1", 405),
            ("net/off", 405),
            ("invite", 405),
            ("rewind", 405),
            ("block", 400),
            ("block/x", 400),
            ("tree/0", 400),
            ("web", 404),
        ] {
            assert_eq!(
                Asked::by_path(path, HERE)
                    .map_err(|refused| refused.status)
                    .unwrap_err(),
                status,
                "{path}"
            );
        }
        assert_eq!(Asked::by_path("doctor", AWAY).unwrap_err().status, 403);
    }

    #[test]
    fn every_example_of_the_help_is_either_for_pages_or_refused_by_name() {
        let refused = [
            "ban", "unban", "invite", "join", "rewind", "quit", "watch", "log", "web",
        ];
        for command in COMMANDS {
            for example in command.examples {
                let asked = body(example);
                let is_refused = refused.contains(&command.word);
                assert_eq!(asked.is_err(), is_refused, "{example}");
                if let Err(error) = asked {
                    assert_eq!((error.status, error.code), (403, "not_here"), "{example}");
                }
            }
        }
    }

    #[test]
    fn a_body_is_one_command_as_json() {
        for text in [
            "",
            "{}",
            "[]",
            "\"mine\"",
            r#"{"command":5}"#,
            r#"{"command":""}"#,
            r##"{"command":"# mine"}"##,
            r#"{"command":"mine\nquit"}"#,
            r#"{"command":"mine\u0003"}"#,
            "{\"command\":\"mine\"",
        ] {
            let refused = Asked::by_body(text.as_bytes()).expect_err(text);
            assert_eq!((refused.status, refused.code), (400, "bad_argument"), "{text}");
        }
        // What is no command gets its reply from a session, as at every door.
        assert!(body("nonsense").is_ok() && body("tx alice").is_ok());
    }

    #[test]
    fn costly_reads_are_named() {
        let is_costly = |line: &str| body(line).expect("for pages").is_costly;
        for line in [
            "chain 5",
            "stats",
            "tamper 1",
            "explain block 1",
            "accounts",
            "history",
            "whoami",
            "balance",
        ] {
            assert!(is_costly(line), "{line}");
        }
        for line in [
            "status",
            "peers",
            "tree",
            "pending",
            "mine",
            "tx alice bob 5",
            "balance alice",
            "block 1",
        ] {
            assert!(!is_costly(line), "{line}");
        }
    }
}
