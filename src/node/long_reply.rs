//! Replies with more blocks than one turn of the engine reads: asked for and shown block by block.
//!
//! Promises: one line as of any reply, of which one block is held at a time; between two blocks everybody else has a turn.
//! Elsewhere: how much one turn reads (`inspect::blocks`), lines in pieces (`console::output`).
//! Spec: `proto-notes/events.md`, "Replies".

use crate::console::look::Look;
use crate::console::render;
use crate::contract::{BlockRef, BlockView, Command, CommandError, Refusal, Reply};
use crate::types::BlockHash;

/// What a session does for a long reply.
pub(super) trait Teller {
    /// Has the engine answer.
    fn ask(&mut self, command: Command) -> Result<Reply, CommandError>;
    /// Writes a piece of the line and waits until it is written; false if the rest is not waited for.
    fn say(&mut self, piece: String) -> bool;
}

/// The blocks of a reply that are still to be asked for.
pub(super) fn rest_of(reply: &Reply) -> &[BlockHash] {
    match reply {
        Reply::Chain { rest, .. } | Reply::Mined { rest, .. } => rest,
        _ => &[],
    }
}

/// Writes the line of a long reply in JSON but for its last piece: that comes back, with the code of the failure if the line
/// ends before the reply does.
pub(super) fn in_json(
    teller: &mut impl Teller,
    (line, word): (u64, Option<&str>),
    reply: &Reply,
) -> (String, Option<&'static str>) {
    let Some(open) = render::open_reply(line, word, reply) else {
        return (render::json_reply(line, word, &Ok(reply)), None);
    };
    let mut piece = open;
    for hash in rest_of(reply) {
        if !teller.say(piece) {
            return (String::new(), Some(Refusal::INTERRUPTED));
        }
        piece = match block(teller, reply, *hash) {
            Ok(view) => render::further_block(&view),
            Err(error) => {
                tracing::error!(target: "node", code = error.code, "a reply ends before its last block: {}", error.message);
                return (String::new(), Some(error.code));
            }
        };
    }
    piece.push_str(render::close_reply());
    (piece, None)
}

/// A long reply in words: a line for each block, or a few whole ones.
pub(super) fn in_words(teller: &mut impl Teller, reply: &Reply, look: Look) -> Result<String, CommandError> {
    let mut text = render::drawn_reply(reply, look);
    text.push('\n');
    for hash in rest_of(reply) {
        let view = block(teller, reply, *hash)?;
        text.push_str(&render::human_block(reply, &view));
    }
    text.push_str(&render::blocks_end(reply));
    // Whoever shows it ends the line.
    text.truncate(text.trim_end().len());
    Ok(text)
}

fn block(teller: &mut impl Teller, reply: &Reply, hash: BlockHash) -> Result<BlockView, CommandError> {
    match teller.ask(Command::Block(BlockRef::Hash(hash)))? {
        Reply::Block(mut view) => {
            // The reply is of the moment when it was asked for.
            view.active |= matches!(reply, Reply::Chain { .. });
            Ok(view)
        }
        other => unreachable!("a block was asked for: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Bits, Height, MerkleRoot, WallTime, Work};

    /// Knows blocks by their hashes; refuses what its script says.
    struct Script {
        said: Vec<String>,
        asked: u8,
        pieces_read: usize,
        lost: Option<u8>,
    }

    impl Teller for Script {
        fn ask(&mut self, command: Command) -> Result<Reply, CommandError> {
            let Command::Block(BlockRef::Hash(hash)) = command else {
                panic!("{command:?}");
            };
            self.asked += 1;
            if self.lost == Some(self.asked) {
                return Err(CommandError {
                    code: "unknown_block",
                    message: "m".into(),
                    hint: "h".into(),
                });
            }
            Ok(Reply::Block(view(hash.as_bytes()[0], false)))
        }

        fn say(&mut self, piece: String) -> bool {
            assert_eq!(usize::from(self.asked), self.said.len(), "one block is held at a time");
            self.said.push(piece);
            self.said.len() <= self.pieces_read
        }
    }

    fn hash(number: u8) -> BlockHash {
        BlockHash::new([number; 32])
    }

    fn view(number: u8, active: bool) -> BlockView {
        BlockView {
            hash: hash(number),
            height: Height::new(number.into()),
            previous_hash: hash(number - 1),
            merkle_root: MerkleRoot::new([0; 32]),
            version: 1,
            time_ms: WallTime::from_ms(5),
            bits: Bits(7),
            nonce: "9".into(),
            work: Work::ZERO,
            active,
            header: "00".into(),
            transactions: Vec::new(),
        }
    }

    fn chain(shown: &[u8], rest: &[u8]) -> Reply {
        Reply::Chain {
            length: 5,
            blocks: shown.iter().map(|number| view(*number, true)).collect(),
            rest: rest.iter().map(|number| hash(*number)).collect(),
        }
    }

    fn script(pieces_read: usize, lost: Option<u8>) -> Script {
        Script {
            said: Vec::new(),
            asked: 0,
            pieces_read,
            lost,
        }
    }

    #[test]
    fn a_long_reply_is_the_line_of_the_whole_one_with_one_block_held_at_a_time() {
        let mut teller = script(9, None);
        let (last, failure) = in_json(&mut teller, (3, Some("chain")), &chain(&[4], &[3, 2, 1]));
        assert_eq!(failure, None);
        assert_eq!(teller.said.len(), 3);
        let whole = render::json_reply(3, Some("chain"), &Ok(chain(&[4, 3, 2, 1], &[])));
        assert_eq!(teller.said.concat() + &last, whole);
        let words = in_words(&mut script(9, None), &chain(&[4], &[3, 2, 1]), Look::default()).unwrap();
        assert_eq!(words, render::drawn_reply(&chain(&[4, 3, 2, 1], &[]), Look::default()));
    }

    #[test]
    fn a_line_that_ends_before_its_reply_is_no_json_and_a_failure() {
        let cut = |mut teller: Script| {
            let (last, failure) = in_json(&mut teller, (3, Some("chain")), &chain(&[4], &[3, 2, 1]));
            let line = teller.said.concat() + &last;
            assert!(serde_json::from_str::<serde_json::Value>(&line).is_err(), "{line}");
            failure
        };
        assert_eq!(cut(script(9, Some(2))), Some("unknown_block"));
        assert_eq!(cut(script(1, None)), Some("interrupted"));
        let words = in_words(&mut script(9, Some(2)), &chain(&[4], &[3, 2]), Look::default());
        assert_eq!(words.unwrap_err().code, "unknown_block");
    }

    #[test]
    fn many_found_blocks_are_told_in_words_as_if_they_had_come_at_once() {
        let mined = |shown: &[u8], rest: &[u8], count| Reply::Mined {
            message: "New Block Forged".into(),
            count,
            blocks: shown.iter().map(|number| view(*number, true)).collect(),
            rest: rest.iter().map(|number| hash(*number)).collect(),
        };
        for (all, count) in [(&[1, 2, 3][..], 3), (&[1, 2, 3, 4, 5][..], 9)] {
            let said = in_words(
                &mut script(9, None),
                &mined(&all[..1], &all[1..], count),
                Look::default(),
            )
            .unwrap();
            let wanted = render::drawn_reply(&mined(all, &[], count), Look::default());
            assert_eq!(said.replace("   (side branch)", ""), wanted);
        }
    }
}
