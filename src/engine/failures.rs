//! Parts of the node that run by themselves and have failed: what the user is told, and how the engine goes on.
//!
//! Promises: each failure and each new start is told once, with what still works; when the network has failed, every
//! connection, dial and request of it has ended for the engine too.
//! Elsewhere: who notices (`threads`, `net`), when a part is started anew (`net`); writer and engine, without which a
//! node cannot go on (`node`).
//! Spec: `proto-notes/events.md`, "Parts that fail".

use super::io::{NetOrder, Part, PartFact};
use super::machine::Engine;
use super::parts::dial::Fact;
use super::parts::runs::Happened;
use crate::chain::ChainStore;
use crate::contract::CommandError;
use crate::types::PeerId;

impl<S: ChainStore> Engine<S> {
    pub(super) fn on_part(&mut self, fact: PartFact) {
        match fact {
            PartFact::Ended { part, reason, again_ms } => {
                match part {
                    Part::Network => self.network_failed(),
                    Part::Mining => self.mining_failed(),
                    Part::Discovery | Part::Siblings | Part::Control | Part::Web | Part::Signals | Part::Folding => {}
                }
                let (what, rest) = (what_failed(part), what_works(part));
                let next = what_comes(part, again_ms);
                self.out
                    .warn("part_failed", format!("{what} failed: {reason}; {rest}; {next}"));
            }
            PartFact::Started { part } => {
                if part == Part::Network {
                    self.network_is_back();
                }
                self.out
                    .warn("part_restarted", format!("{} runs again", what_failed(part)));
            }
        }
    }

    /// Its task is gone, and with it all that it knew.
    fn network_failed(&mut self) {
        self.mode.no_network = true;
        let peers: Vec<PeerId> = self.peers.links.ids();
        for peer in peers {
            self.on_disconnected(peer, "the network part of this node failed".into());
        }
        self.runs
            .handle(Happened::NetworkFailed("the network part of this node failed"));
        self.peers.links.listens_nowhere();
        self.peers.dialer.handle(self.clock.now(), Fact::Enable(false));
    }

    /// A new task, which knows nobody.
    fn network_is_back(&mut self) {
        self.mode.no_network = false;
        let banned: Vec<PeerId> = self
            .peers
            .standing
            .banned(self.clock.now())
            .map(|(id, ..)| *id)
            .collect();
        for peer in banned {
            self.out.order(NetOrder::Ban { peer, banned: true });
        }
        self.peers.dialer.handle(self.clock.now(), Fact::Enable(self.mode.net));
    }

    fn mining_failed(&mut self) {
        self.mode.no_mining = true;
        self.mining.turn(false);
        self.fail_mining_runs(&mining_failed());
    }
}

/// The refusal of `mine` when a mining thread has failed.
pub(super) fn mining_failed() -> CommandError {
    CommandError::new(
        "internal",
        "a mining thread of this node failed: start the node again to mine",
        "quit",
    )
}

const fn what_failed(part: Part) -> &'static str {
    match part {
        Part::Network => "the network part of this node",
        Part::Discovery => "discovery by multicast DNS",
        Part::Siblings => "the search for other nodes of this machine",
        Part::Mining => "a mining thread",
        Part::Control => "the door for `lanchain ctl` and `attach`",
        Part::Web => "the page of this node",
        Part::Signals => "what hears the system's signals",
        Part::Folding => "what folds long rows of the log",
    }
}

const fn what_works(part: Part) -> &'static str {
    match part {
        Part::Network => "every connection is closed, payments and blocks are still made here and sent later",
        Part::Discovery => "connected nodes stay, and `dial` and --peer find others",
        Part::Siblings => "multicast DNS, `dial` and --peer still find them",
        Part::Mining => "mining is off, everything else works",
        Part::Control | Part::Web => "the prompt and the network work",
        Part::Signals => "that signal is lost, everything else works",
        Part::Folding => "everything else works, and later lines are told",
    }
}

fn what_comes(part: Part, again_ms: Option<u64>) -> String {
    match (part, again_ms) {
        (_, Some(ms)) => format!("it is started again in {} s", ms.div_ceil(1_000)),
        (Part::Network | Part::Discovery, None) => {
            "it failed too often and stays off: stop this node and start it again".into()
        }
        (Part::Signals, None) => "the next signal is heard".into(),
        (Part::Folding, None) => "the next long row is folded".into(),
        (Part::Siblings | Part::Mining | Part::Control | Part::Web, None) => {
            "to have it again, stop this node and start it again".into()
        }
    }
}
