//! Replies with more blocks than one turn of the engine reads: shown block by block, as one line.
//!
//! Promises: the line is that of any reply; in JSON one block of it is held at a time; a line that ends before its reply does
//! is no JSON.
//! Elsewhere: when the next block is asked for (`node::session`), how much one turn reads (`inspect::blocks`), lines in
//! pieces (`console::output`).
//! Spec: `proto-notes/events.md`, "Replies".

use super::session::ReplyPart;
use crate::console::look::Look;
use crate::console::output::LineEnd;
use crate::console::render;
use crate::contract::{CommandError, Refusal, Reply};
/// A part as a piece of the reply's line in JSON.
pub(super) fn line_of((line, word): (u64, Option<&str>), part: &ReplyPart) -> (String, LineEnd) {
    match part {
        ReplyPart::Open(reply) => {
            let open = render::open_reply(line, word, reply).expect("what has further blocks ends with blocks");
            (open, LineEnd::Later)
        }
        ReplyPart::Block { view, is_last: false } => (render::further_block(view), LineEnd::Later),
        ReplyPart::Block { view, is_last: true } => {
            let last = render::further_block(view) + render::close_reply();
            (last, LineEnd::Here)
        }
        ReplyPart::Broken(error) => {
            if error.refusal() != Refusal::Interrupted {
                tracing::error!(target: "node", code = error.code, "a reply ends before its last block: {}", error.message);
            }
            (String::new(), LineEnd::Here)
        }
    }
}

/// A long reply in words, as far as it has come: a line for each block, or a few whole ones.
#[derive(Default)]
pub(super) struct Collected(Option<(Reply, String)>);

impl Collected {
    /// Adds a part; gives the whole text with the last one, or why there is none.
    pub(super) fn add(&mut self, part: ReplyPart, look: Look) -> Option<Result<String, CommandError>> {
        match part {
            ReplyPart::Open(reply) => {
                let text = render::drawn_reply(&reply, look) + "\n";
                self.0 = Some((*reply, text));
                None
            }
            ReplyPart::Block { view, is_last } => {
                let (reply, text) = self.0.as_mut()?;
                text.push_str(&render::human_block(reply, &view, look.zone));
                if !is_last {
                    return None;
                }
                text.push_str(&render::blocks_end(reply));
                // Whoever shows it ends the line.
                text.truncate(text.trim_end().len());
                self.0.take().map(|(_, text)| Ok(text))
            }
            ReplyPart::Broken(error) => {
                self.0 = None;
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::BlockView;
    use crate::types::{BlockHash, Height};

    fn hash(number: u8) -> BlockHash {
        BlockHash::new([number; 32])
    }

    fn view(number: u8) -> BlockView {
        BlockView {
            hash: hash(number),
            height: Height::new(number.into()),
            previous_hash: hash(number - 1),
            ..crate::testing::samples::block()
        }
    }

    fn chain(shown: &[u8], rest: &[u8]) -> Reply {
        Reply::Chain {
            length: 5,
            blocks: shown.iter().map(|number| view(*number)).collect(),
            rest: rest.iter().map(|number| hash(*number)).collect(),
        }
    }

    /// The reply as it comes: open, then block by block.
    fn parts(reply: Reply, rest: &[u8]) -> Vec<ReplyPart> {
        let block = |(at, number): (usize, &u8)| ReplyPart::Block {
            view: Box::new(view(*number)),
            is_last: at + 1 == rest.len(),
        };
        let mut parts = vec![ReplyPart::Open(Box::new(reply))];
        parts.extend(rest.iter().enumerate().map(block));
        parts
    }

    fn in_words(parts: Vec<ReplyPart>) -> Vec<Option<Result<String, CommandError>>> {
        let mut collected = Collected::default();
        let add = |part| collected.add(part, Look::default());
        parts.into_iter().map(add).collect()
    }

    fn lost() -> CommandError {
        CommandError {
            code: "unknown_block",
            message: "m".into(),
            hint: "h".into(),
        }
    }

    #[test]
    fn a_long_reply_is_the_line_of_the_whole_one() {
        let rest = [3, 2, 1];
        let pieces: Vec<(String, LineEnd)> = parts(chain(&[4], &rest), &rest)
            .iter()
            .map(|part| line_of((3, Some("chain")), part))
            .collect();
        let ends: Vec<LineEnd> = pieces.iter().map(|(_, end)| *end).collect();
        assert_eq!(ends, [LineEnd::Later, LineEnd::Later, LineEnd::Later, LineEnd::Here]);
        let line: String = pieces.into_iter().map(|(text, _)| text).collect();
        let whole = render::json_reply(3, Some("chain"), &Ok(chain(&[4, 3, 2, 1], &[])));
        assert_eq!(line, whole);

        let mut words = in_words(parts(chain(&[4], &rest), &rest));
        let whole = render::drawn_reply(&chain(&[4, 3, 2, 1], &[]), Look::default());
        assert_eq!(words.pop(), Some(Some(Ok(whole))));
        assert_eq!(words, [None, None, None], "nothing is shown before all is there");
    }

    #[test]
    fn a_line_that_ends_before_its_reply_is_no_json_and_in_words_a_failure() {
        let cut = || {
            let mut cut = parts(chain(&[4], &[3, 2, 1]), &[3, 2, 1]);
            cut.truncate(2);
            cut.push(ReplyPart::Broken(lost()));
            cut
        };
        let pieces = cut().into_iter().map(|part| line_of((3, Some("chain")), &part));
        let pieces: Vec<(String, LineEnd)> = pieces.collect();
        assert_eq!(pieces.last().map(|(_, end)| *end), Some(LineEnd::Here));
        let line: String = pieces.into_iter().map(|(text, _)| text).collect();
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_err(), "{line}");
        assert_eq!(in_words(cut()).pop(), Some(Some(Err(lost()))));
    }

    #[test]
    fn many_found_blocks_are_told_in_words_as_if_they_had_come_at_once() {
        let mined = |shown: &[u8], rest: &[u8], count| Reply::Mined {
            message: "New Block Forged".into(),
            count,
            blocks: shown.iter().map(|number| view(*number)).collect(),
            rest: rest.iter().map(|number| hash(*number)).collect(),
        };
        for (all, count) in [(&[1, 2, 3][..], 3), (&[1, 2, 3, 4, 5][..], 9)] {
            let said = in_words(parts(mined(&all[..1], &all[1..], count), &all[1..])).pop();
            let wanted = render::drawn_reply(&mined(all, &[], count), Look::default());
            assert_eq!(said, Some(Some(Ok(wanted))));
        }
    }
}
