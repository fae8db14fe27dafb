//! Own payments on their way to gossip: what is made within some milliseconds leaves in one message.
//!
//! Promises: a single payment leaves at once; messages hold what the wire allows and keep the order in which the payments
//! were made; all are handed out, when their time comes or when the node stops.
//! Elsewhere: that they stand behind the commit (`machine`), what nobody heard of (`unheard`).
//! Spec: `proto-notes/gossip.md`, "Messages".

use std::collections::VecDeque;

use crate::types::{Time, Txid};
use crate::wire::message::{GOSSIP_TX_MAX_BYTES, GOSSIP_TX_MAX_COUNT, encode_transactions};

/// The pause between two messages of own payments. A script pays several hundred times a second, and a neighbour's queue
/// for gossip holds few messages.
const PAUSE_MS: u64 = 20;
/// A list's count, and each element's length, on the wire.
const LENGTH_BYTES: usize = 8;

/// Own payments that are to be announced.
#[derive(Debug)]
pub(super) struct Gather {
    waiting: VecDeque<(Txid, Vec<u8>)>,
    /// No message leaves before this time.
    not_before: Time,
}

impl Gather {
    pub(super) const fn new(now: Time) -> Self {
        Self {
            waiting: VecDeque::new(),
            not_before: now,
        }
    }

    /// A payment was made.
    pub(super) fn add(&mut self, txid: Txid, bytes: Vec<u8>) {
        self.waiting.push_back((txid, bytes));
    }

    /// When the next message is due.
    pub(super) fn next_wakeup(&self) -> Option<Time> {
        (!self.waiting.is_empty()).then_some(self.not_before)
    }

    /// The messages that are due, without what need not be announced any more.
    pub(super) fn take_due(&mut self, now: Time, is_wanted: impl Fn(&Txid) -> bool) -> Vec<Vec<u8>> {
        if self.waiting.is_empty() || self.not_before > now {
            return Vec::new();
        }
        self.not_before = now.after_ms(PAUSE_MS);
        self.take_all(is_wanted)
    }

    /// All of them, due or not.
    pub(super) fn take_all(&mut self, is_wanted: impl Fn(&Txid) -> bool) -> Vec<Vec<u8>> {
        let mut messages = Vec::new();
        let (mut list, mut size) = (Vec::new(), LENGTH_BYTES);
        for (txid, bytes) in self.waiting.drain(..) {
            if !is_wanted(&txid) {
                continue;
            }
            let more = LENGTH_BYTES + bytes.len();
            if list.len() >= GOSSIP_TX_MAX_COUNT || size + more > GOSSIP_TX_MAX_BYTES {
                messages.push(encode_transactions(&list));
                (list, size) = (Vec::new(), LENGTH_BYTES);
            }
            size += more;
            list.push(bytes);
        }
        if !list.is_empty() {
            messages.push(encode_transactions(&list));
        }
        messages
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::message::decode_transactions;

    fn txid(number: usize) -> Txid {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        Txid::new(bytes)
    }

    /// How many are in each message.
    fn counts(messages: &[Vec<u8>]) -> Vec<usize> {
        let count = |bytes: &Vec<u8>| decode_transactions(bytes).unwrap().len();
        messages.iter().map(count).collect()
    }

    #[test]
    fn the_first_payment_leaves_at_once_and_those_that_follow_leave_together() {
        let at = Time::from_ms;
        let mut gather = Gather::new(at(5));
        assert_eq!(gather.next_wakeup(), None);
        gather.add(txid(1), vec![1; 200]);
        assert_eq!(gather.next_wakeup(), Some(at(5)));
        assert_eq!(counts(&gather.take_due(at(100), |_| true)), [1]);
        for number in 2..5 {
            gather.add(txid(number), vec![1; 200]);
            assert!(gather.take_due(at(101), |_| true).is_empty());
        }
        assert_eq!(gather.next_wakeup(), Some(at(120)));
        assert_eq!(counts(&gather.take_due(at(120), |_| true)), [3]);
        assert_eq!(
            (gather.next_wakeup(), gather.take_due(at(500), |_| true)),
            (None, Vec::new())
        );
    }

    #[test]
    fn a_message_holds_128_payments_and_64_kib_at_most_and_they_keep_their_order() {
        let mut gather = Gather::new(Time::from_ms(0));
        for number in 0..300_usize {
            gather.add(txid(number), number.to_be_bytes().to_vec());
        }
        let messages = gather.take_all(|_| true);
        assert_eq!(counts(&messages), [128, 128, 44]);
        let all: Vec<Vec<u8>> = messages
            .iter()
            .flat_map(|bytes| decode_transactions(bytes).unwrap())
            .collect();
        assert!(all.is_sorted());
        // The longest transactions there may be.
        (0..130).for_each(|number| gather.add(txid(number), vec![7; 512]));
        let messages = gather.take_all(|_| true);
        assert_eq!(counts(&messages), [126, 4]);
    }

    #[test]
    fn what_left_the_pool_meanwhile_is_not_announced() {
        let mut gather = Gather::new(Time::from_ms(0));
        (0..3).for_each(|number| gather.add(txid(number), vec![7; 100]));
        assert_eq!(counts(&gather.take_due(Time::from_ms(0), |id| *id != txid(1))), [2]);
        gather.add(txid(3), vec![7; 100]);
        assert!(gather.take_all(|_| false).is_empty());
    }
}
