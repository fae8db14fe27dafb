//! Misdeeds and bans: what follows from them, and splits made by hand with `drop`, `ban` and `unban`.
//!
//! Promises: bans live in memory, end by themselves and are bounded.
//! Elsewhere: what is counted, and when it is enough (`parts::standing`). Spec: `proto-notes/events.md`, "Replies".

use super::io::NetOrder;
use super::machine::Engine;
use super::parts::dial;
use super::parts::standing::{self, Fault};
use crate::chain::ChainStore;
use crate::contract::{BanView, CommandError, PeerAct, PeerActed, PeerRef, PeerView, Reply};
use crate::types::{AccountName, BlockHash, Height, PeerId, Time, Work, count};

/// Candidates that are told when words fit several.
const SHOWN_MAX: usize = 3;

/// Whether what was typed means this peer: its whole PeerId, the end of it, or its name.
fn is_meant(wanted: &PeerRef, peer: &PeerId, name: Option<&AccountName>) -> bool {
    match wanted {
        PeerRef::Id(id) => id == peer,
        PeerRef::Text(text) => {
            let named = name.is_some_and(|name| name.as_str() == text.to_ascii_lowercase());
            named || peer.to_string().ends_with(text.as_str())
        }
    }
}

impl<S: ChainStore> Engine<S> {
    /// Notes a misdeed and carries out what follows.
    pub(super) fn punish(&mut self, id: PeerId, fault: Fault, reason: &str) {
        let voice = self.voice_of(&id);
        self.peers.standing.blame(self.clock.now(), (id, voice), fault, reason);
        self.pump_standing();
    }

    /// Carries out what follows from misdeeds and bans.
    pub(super) fn pump_standing(&mut self) {
        while let Some(order) = self.peers.standing.poll() {
            match order {
                standing::Order::Disconnect(peer) => self.out.order(NetOrder::Disconnect { peer }),
                standing::Order::Ban(peer) => {
                    self.peers.dialer.handle(self.clock.now(), dial::Fact::Forget(peer));
                    self.out.order(NetOrder::Ban { peer, banned: true });
                }
                standing::Order::Pardon(peer) => self.out.order(NetOrder::Ban { peer, banned: false }),
                standing::Order::Warn(code, message) => self.out.warn(code, message),
            }
        }
    }

    pub(super) fn show_peers(&self) -> Reply {
        let mut peers: Vec<PeerView> = self
            .peers
            .links
            .known()
            .map(|(id, peer)| {
                let name = peer.name();
                let status = peer.status.as_ref();
                PeerView {
                    peer_id: id.to_string(),
                    name_proven: name.as_ref().is_some_and(|name| self.is_name_proven(id, name)),
                    name,
                    address: peer.address.with_peer(id),
                    height: Height::new(status.map_or(0, |status| status.height)),
                    tip: status.map_or(BlockHash::ZERO, |status| BlockHash::new(status.tip)),
                    work: status.map_or(Work::ZERO, |status| Work::from_be_bytes(status.work)),
                    latency_ms: peer.latency_ms,
                    found_by: peer.found_by,
                    connected_ms: self.clock.now().ms().saturating_sub(peer.since.ms()),
                    version: peer.version.clone(),
                }
            })
            .collect();
        peers.sort_by(|a, b| a.peer_id.cmp(&b.peer_id));
        Reply::Peers {
            peers,
            banned: self.bans(),
        }
    }

    /// How many peers are connected and known.
    pub(super) fn known_peers(&self) -> u64 {
        count(self.peers.links.known().count())
    }

    pub(super) fn act_on_peer(&mut self, wanted: &PeerRef, act: PeerAct) -> Result<Reply, CommandError> {
        let (peer, name) = self.find_peer(wanted, act)?;
        let message = match act {
            PeerAct::Drop => {
                self.out.order(NetOrder::Disconnect { peer });
                "the connections are closed; both nodes connect again by themselves, `ban` keeps them apart".to_owned()
            }
            PeerAct::Ban { minutes } => {
                let until = self.after(u64::from(minutes).saturating_mul(60_000));
                self.peers.standing.ban(self.clock.now(), peer, name.clone(), until);
                self.pump_standing();
                format!("this node refuses it for {minutes} min, or until `unban`")
            }
            PeerAct::Unban => {
                self.peers.standing.unban(peer);
                self.pump_standing();
                "it may connect again, and is dialled when it is found".to_owned()
            }
        };
        Ok(Reply::PeerActed(PeerActed {
            peer_id: peer.to_string(),
            name_taken: name.as_ref().is_some_and(|name| self.is_name_taken(&peer, name)),
            name,
            banned_ms: match act {
                PeerAct::Ban { minutes } => Some(u64::from(minutes).saturating_mul(60_000)),
                PeerAct::Drop | PeerAct::Unban => None,
            },
            message,
        }))
    }

    /// The one peer that is meant, of those that the act can be done to.
    fn find_peer(&self, wanted: &PeerRef, act: PeerAct) -> Result<(PeerId, Option<AccountName>), CommandError> {
        let found: Vec<(PeerId, Option<AccountName>)> = match act {
            PeerAct::Unban => self
                .peers
                .standing
                .banned(self.clock.now())
                .map(|(id, name, _)| (*id, name.cloned()))
                .filter(|(id, name)| is_meant(wanted, id, name.as_ref()))
                .collect(),
            PeerAct::Drop | PeerAct::Ban { .. } => self
                .peers
                .links
                .iter()
                .map(|(id, peer)| (*id, peer.name()))
                .filter(|(id, name)| is_meant(wanted, id, name.as_ref()))
                .collect(),
        };
        match (found.as_slice(), wanted, act) {
            ([one], _, _) => Ok(one.clone()),
            // A peer that is not there now can be refused all the same.
            ([], PeerRef::Id(id), PeerAct::Ban { .. }) if *id != self.node.peer_id => Ok((*id, None)),
            ([], _, PeerAct::Unban) => Err(CommandError::new("unknown_peer", "no such node is banned", "peers")),
            ([], _, _) => Err(CommandError::new(
                "unknown_peer",
                "no such node is connected; a name, a PeerId or its last characters mean one",
                "peers",
            )),
            ([first, ..], _, _) => {
                let shown: Vec<String> = found.iter().take(SHOWN_MAX).map(|(id, _)| id.to_string()).collect();
                let word = match act {
                    PeerAct::Drop => "drop",
                    PeerAct::Ban { .. } => "ban",
                    PeerAct::Unban => "unban",
                };
                Err(CommandError::new(
                    "ambiguous",
                    format!("more than one node is meant: {}", shown.join(", ")),
                    format!("{word} {}", first.0),
                ))
            }
        }
    }

    /// Refused nodes, as `peers` shows them.
    pub(super) fn bans(&self) -> Vec<BanView> {
        let view = |(id, name, until): (&PeerId, Option<&AccountName>, Time)| BanView {
            peer_id: id.to_string(),
            name: name.cloned(),
            name_proven: name.is_some_and(|name| self.is_name_proven(id, name)),
            left_ms: until.since(self.clock.now()),
        };
        self.peers.standing.banned(self.clock.now()).map(view).collect()
    }
}
