//! Vectors of what names a network on the wire: protocols, topics, the ids of gossip messages.

use libp2p::gossipsub::Message;
use serde_json::json;

use crate::chain::NetworkParams;
use crate::chain::tests::vectors::hold;
use crate::net::behaviour::{message_id, protocol_version, topic};
use crate::wire::Topic;

#[test]
fn gossip_vectors_hold() {
    let network = NetworkParams::dev().network_id();
    let message = |kind, data: &[u8]| {
        let topic = topic(&network, kind);
        let message = Message {
            source: None,
            data: data.to_vec(),
            sequence_number: None,
            topic: topic.hash(),
        };
        let id = hex::encode(message_id(&message).0);
        json!({"topic": topic.to_string(), "data": hex::encode(data), "id": id})
    };
    // Its id is the hash of the header, whatever follows.
    let block = [&NetworkParams::dev().genesis().to_bytes()[..], b"lanchain"].concat();
    let made = json!({
        "network_id": network,
        "protocol_version": protocol_version(&network),
        "messages": [message(Topic::Transactions, b"lanchain"), message(Topic::Blocks, b"lanchain"), message(Topic::Blocks, b""), message(Topic::Blocks, &block)],
    });
    hold("gossip.json", &made);
}
