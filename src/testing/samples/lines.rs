//! The samples as lines: each reply for each of its commands, each event.

use super::{events, replies, stamp, status};
use crate::console::json::{HelpReply, QuitReply, attached, events_dropped, json_event, json_reply};
use crate::console::watch::TellingReply;
use crate::contract::{CommandError, Reply, WebReply};

/// The commands that such a reply answers.
fn words(reply: &Reply) -> &'static [&'static str] {
    match reply {
        Reply::Tx { .. } => &["tx", "claim"],
        Reply::Mined { .. } | Reply::Mining { .. } => &["mine"],
        Reply::Chain { .. } => &["chain"],
        Reply::Block(_) => &["block"],
        Reply::Transaction { .. } => &["transaction"],
        Reply::Pending { .. } => &["pending"],
        Reply::Balance { .. } => &["balance"],
        Reply::Whoami { .. } => &["whoami"],
        Reply::History(_) => &["history"],
        Reply::Accounts { .. } => &["accounts"],
        Reply::Tree { .. } => &["tree"],
        Reply::Peers { .. } => &["peers"],
        Reply::Dialled { .. } => &["dial", "join"],
        Reply::Invited { .. } => &["invite"],
        Reply::Resolved { .. } => &["resolve"],
        Reply::Rewound { .. } => &["rewind"],
        Reply::Status(_) => &["status"],
        Reply::Net { .. } => &["net"],
        Reply::Waited { .. } => &["wait"],
        Reply::BlockExplained(_) | Reply::TransactionExplained(_) => &["explain"],
        Reply::Tampered(_) => &["tamper"],
        Reply::Stats(_) => &["stats"],
        Reply::PeerActed(_) => &["drop", "ban", "unban"],
        Reply::Diagnosis(_) => &["doctor"],
    }
}

/// The lines of all of it; those of tasks on a data folder are the tasks' own.
pub fn lines() -> Vec<String> {
    let mut lines = Vec::new();
    for reply in replies() {
        for word in words(&reply) {
            lines.push(json_reply(1, Some(word), &Ok(reply.clone())));
        }
    }
    let telling = |watching| TellingReply {
        watching,
        log: "info".into(),
    };
    for word in ["watch", "log"] {
        lines.push(json_reply(
            1,
            Some(word),
            &Ok(telling(vec!["gossip", "blocks", "peers"])),
        ));
    }
    let page = WebReply {
        web: "http://127.0.0.1:8645/#t=00".into(),
        elsewhere: vec!["http://192.168.1.7:8645/".into()],
    };
    lines.push(json_reply(1, Some("web"), &Ok(page)));
    lines.push(json_reply(1, Some("help"), &Ok(HelpReply { text: "a\nb".into() })));
    for word in ["quit", "detach"] {
        lines.push(json_reply(1, Some(word), &Ok(QuitReply {})));
    }
    let refused = CommandError::new("overdraft", "a \"b\"\n\u{1b}", "mine");
    lines.push(json_reply::<Reply>(4, None, &Err(refused)));
    lines.extend(events().iter().map(|event| json_event(event, stamp(5, 1))));
    lines.push(attached(&status(), stamp(5, 1)));
    lines.push(events_dropped(12, stamp(5, 13)));
    lines
}
