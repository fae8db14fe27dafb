//! The advice of the doctor: one sentence for each cause that keeps nodes apart.
//!
//! Promises: pure; each sentence says what is wrong and what helps.
//! Elsewhere: the facts (`inspect::doctor`), the reasons of failed dials (`contract::reasons`).
//! Spec: `proto-notes/events.md`, "Replies".

use super::doctor::{FailedDial, LINK_LOCAL, Scene};
use crate::contract::surroundings::special;
use crate::contract::{Cause, Diagnosis, InterfaceView, Multicast, Stranger};
use crate::types::Address;

/// The advice that follows from the facts, the most helpful first.
pub(super) fn advice(diagnosis: &Diagnosis, scene: &Scene<'_>) -> Vec<String> {
    if !diagnosis.net {
        // All other findings follow from this one.
        return vec!["the net is off: type `net on`".to_owned()];
    }
    let mut advice = Vec::new();
    let mut say = |text: String| advice.push(text);
    if diagnosis.same_key {
        let place = diagnosis.same_key_at.as_ref().map(|place| format!(" at {place}"));
        say(format!(
            "another node uses this node's key{}, and neither sees the other: stop one of them, and start it in an empty \
             folder with --data-dir DIR",
            place.unwrap_or_default()
        ));
    }
    scene.clock_advice.into_iter().map(ToOwned::to_owned).for_each(&mut say);
    let is_used = |view: &&InterfaceView| view.used;
    if let Some(reason) = &scene.surroundings.failure {
        say(format!("the interfaces could not be listed: {reason}"));
    } else if !diagnosis.interfaces.iter().any(|view| is_used(&view)) {
        let siblings = "; nodes of this machine are found all the same";
        let siblings = if diagnosis.discovery { siblings } else { "" };
        say(format!(
            "no interface leads to other machines: connect to a network{siblings}"
        ));
    }
    if let Some(ipv6) = link_local_only(diagnosis) {
        say(ipv6.to_owned());
    }
    if let Some(dropped) = dropped(diagnosis, scene) {
        say(dropped);
    }
    if diagnosis.peers > 0 {
        say(format!("{} connected: type `peers`", many_peers(diagnosis.peers)));
        if scene.is_heard && hears_nobody(diagnosis) {
            say(DEAF.to_owned());
        }
        return advice;
    }
    let is_isolated = is_isolated(diagnosis, scene);
    if is_isolated {
        say(ISOLATED.to_owned());
    }
    strangers(scene.failures).into_iter().for_each(&mut say);
    if !diagnosis.discovery {
        say("this node does not look for others: start it without --no-mdns".to_owned());
    } else if let Some(blocked) = blocked(diagnosis) {
        say(blocked.to_owned());
    } else if diagnosis.multicast_heard == 0
        && !diagnosis.same_key
        && !is_isolated
        && diagnosis.interfaces.iter().any(|view| view.used)
    {
        say(silence(diagnosis).to_owned());
    }
    if let Some(dial) = &diagnosis.dial {
        say(format!("join by hand, type at another node: {dial}"));
    }
    advice
}

/// The subject of a sentence: "1 peer is", "2 peers are".
fn many_peers(count: u64) -> String {
    if count == 1 {
        "1 peer is".to_owned()
    } else {
        format!("{count} peers are")
    }
}

/// The advice if others find this node but it finds none, because multicast passes in one direction only.
const DEAF: &str = "the other nodes hear this machine's multicast and it does not hear theirs: let UDP port 5353 in through the \
                    firewall here (sudo ufw allow 5353/udp, or sudo firewall-cmd --add-service=mdns)";
/// The advice if nothing passes between the machines of this network.
const ISOLATED: &str = "this network keeps its machines apart: neither multicast nor a dial passes between them, so every node here \
                        is alone (guest Wi-Fi does that, as \"client isolation\"): use a cable, another Wi-Fi, or the hotspot of one \
                        of the machines";

/// Whether multicast returns to this machine, but nothing comes from others.
fn hears_nobody(diagnosis: &Diagnosis) -> bool {
    diagnosis.multicast_heard == 0 && diagnosis.others_heard == Some(0) && is_any(diagnosis, Multicast::Returned)
}

/// Whether machines of the own network answer neither multicast nor a dial, not even with a refusal.
fn is_isolated(diagnosis: &Diagnosis, scene: &Scene<'_>) -> bool {
    let is_near = |failure: &FailedDial| {
        let ip = failure.address.as_ref().and_then(Address::ip);
        ip.is_some_and(|ip| scene.networks.iter().any(|own| own.contains(ip)))
    };
    let is_silent = |failure: &FailedDial| matches!(failure.reason.cause(), Cause::Silence | Cause::NoRoute);
    let mut near = scene.failures.iter().filter(|failure| is_near(failure)).peekable();
    hears_nobody(diagnosis)
        && near.peek().is_some()
        && near.all(|failure| failure.stranger.is_none() && is_silent(failure))
}

/// The advice if nodes were named at addresses that are not dialled.
fn dropped(diagnosis: &Diagnosis, scene: &Scene<'_>) -> Option<String> {
    let (count, source) = scene.elsewhere?;
    (count > 0 && diagnosis.peers == 0).then(|| {
        format!(
            "multicast DNS named nodes at public addresses outside this machine's own networks ({source} was the last), and such \
             ones are not dialled by themselves: give the machines one network with one netmask, or dial them by hand"
        )
    })
}

/// The advice if an interface has no address that can be dialled.
fn link_local_only(diagnosis: &Diagnosis) -> Option<&'static str> {
    let mut views = diagnosis.interfaces.iter();
    let is_other = diagnosis.interfaces.iter().any(|view| view.used);
    let is_there = views.any(|view| view.reason.as_deref() == Some(LINK_LOCAL));
    (is_there && !is_other).then_some(
        "this network gives link-local IPv6 addresses only (fe80::…), which cannot be dialled: give the machines IPv4 addresses, or \
         IPv6 addresses of one prefix (fd00::/8 or global)",
    )
}

/// A sentence for each cause among the dials that failed or that strangers answered.
fn strangers(failures: &[FailedDial]) -> Vec<String> {
    let any = |stranger: Stranger| failures.iter().any(|failure| failure.stranger == Some(stranger));
    let unreached = || failures.iter().filter(|failure| failure.stranger.is_none());
    let mut told = Vec::new();
    if any(Stranger::Network) {
        let text = "nodes of another network answer: start every node with the same --network and the same version";
        told.push(text.to_owned());
    } else if any(Stranger::Program) && unreached().next().is_none() {
        let text =
            "other libp2p programs answer, and no lanchain node is among them: start one there with the same --network";
        told.push(text.to_owned());
    }
    for cause in [
        Cause::OtherKey,
        Cause::NoName,
        Cause::Refused,
        Cause::Closed,
        Cause::NoRoute,
        Cause::Silence,
    ] {
        let first = unreached().find(|failure| failure.reason.cause() == cause);
        told.extend(first.map(|failure| unreached_because(cause, failure)));
    }
    told
}

fn unreached_because(cause: Cause, failure: &FailedDial) -> String {
    let place = failure.address.as_ref().map_or("an address", Address::as_str);
    match cause {
        Cause::OtherKey => format!(
            "another node than expected is at {place}, with a key of its own: it was set up anew, or the address is another \
             machine's now; dial it without /p2p/ and what stands behind"
        ),
        Cause::NoName => format!(
            "the name in {place} leads nowhere: look for a mistake in it, or dial the IP address (names that end in .local need \
             Avahi or Bonjour on both machines)"
        ),
        Cause::Refused => format!(
            "a machine answers at {place} and refuses: no node listens on that port, so take the one that `status` shows there; if \
             it is the same, let their TCP port in through the firewall there (sudo ufw allow PORT/tcp)"
        ),
        Cause::Closed => format!(
            "a node at {place} hangs up at once: it has no room for more (32 others have called it), or it has banned this one \
             (`peers` there shows whom); have it dial this node, or try another"
        ),
        Cause::NoRoute => format!(
            "no way leads to {place}: it is in another network, or the machine is off; put both into one network"
        ),
        Cause::Silence => format!(
            "nothing comes back from {place}: let their TCP port in through the firewall there (it stands behind /tcp/: sudo ufw \
             allow PORT/tcp), or have them dial this node"
        ),
    }
}

/// Whether multicast had this fate on an interface in use. Container bridges and tunnels count only if there is no
/// other interface, because a packet that returns there says nothing about the LAN.
fn is_any(diagnosis: &Diagnosis, what: Multicast) -> bool {
    let used = || diagnosis.interfaces.iter().filter(|view| view.used);
    let is_plain = |view: &&InterfaceView| special(&view.name).is_none();
    let has_plain = used().any(|view| is_plain(&view));
    used().any(|view| view.multicast == Some(what) && (!has_plain || is_plain(&view)))
}

/// The advice if something stops this machine's own multicast, whatever it receives from others.
fn blocked(diagnosis: &Diagnosis) -> Option<&'static str> {
    if is_any(diagnosis, Multicast::Returned) {
        None
    } else if is_any(diagnosis, Multicast::Taken) {
        Some(
            "another program has UDP port 5353 for itself, so nodes on other machines are not found by themselves: end it \
             (sudo ss -ulpn names it), or let it share the port (avahi: disallow-other-stacks=no), or join by hand",
        )
    } else if is_any(diagnosis, Multicast::Lost) {
        Some(
            "multicast that this machine sends does not come back: let UDP port 5353 in through the firewall here (sudo ufw \
             allow 5353/udp, or sudo firewall-cmd --add-service=mdns)",
        )
    } else if is_any(diagnosis, Multicast::Refused) {
        Some(
            "this machine sends no multicast: let UDP port 5353 out through the firewall here (sudo ufw allow out 5353/udp), \
             or use another interface",
        )
    } else {
        None
    }
}

/// Why multicast DNS has not named any node.
fn silence(diagnosis: &Diagnosis) -> &'static str {
    let others = diagnosis.others_heard.unwrap_or(0);
    let carries = |view: &InterfaceView| view.used && view.multicast != Some(Multicast::None);
    if !diagnosis.interfaces.iter().any(carries) {
        "no interface here carries multicast, so nodes on other machines are not found by themselves: join by hand"
    } else if is_any(diagnosis, Multicast::Returned) && others > 0 {
        "multicast works, and other machines speak, but no node is among them: start one there with the same --network"
    } else if is_any(diagnosis, Multicast::Returned) {
        "multicast leaves this machine and nobody answers: start a node on another machine; if one runs there, the Wi-Fi or \
         a switch drops multicast (guest networks do): use a cable or another Wi-Fi, or join by hand"
    } else {
        "no multicast was heard: start a node on another machine; if one runs there, the Wi-Fi or a firewall drops it (guest \
         networks do; UDP port 5353): let it through, or join by hand"
    }
}
