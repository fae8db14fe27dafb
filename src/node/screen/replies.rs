//! How replies are shown at the node's own console.
//!
//! Spec: `proto-notes/events.md`, "Replies".

use super::{Reader, Screen};
use crate::console::help;
use crate::console::output::{DETAILED_LINES_A_SECOND, Done, LINES_A_SECOND, LineEnd};
use crate::console::render::{self, HelpReply, QuitReply};
use crate::console::watch::{Telling, telling_text};
use crate::contract::{CommandError, Reply, WebReply};

impl Screen {
    /// Shows a reply; `done` is called when it is written.
    pub fn reply(&self, line: u64, word: Option<&str>, result: &Result<Reply, CommandError>, done: Done) {
        match (self.reader, result) {
            (Reader::Program, _) => self.out.must(render::json_reply(line, word, result), Some(done)),
            (_, Ok(reply)) => {
                let text = render::drawn_reply(reply, self.look());
                self.out().must(self.fitted(text), Some(done));
            }
            (_, Err(error)) => {
                let number = (!self.is_prompt()).then_some(line);
                let text = self.look().error(&self.fitted(render::human_error(number, error)));
                self.log_sink().must(text, Some(done));
            }
        }
        self.answered();
    }

    /// Writes a piece of a reply's line for programs; `done` is called when it is written.
    pub(in crate::node) fn piece(&self, text: String, end: LineEnd, done: Done) {
        self.out.piece(text, end, done);
    }

    /// Shows a reply that is put into words already.
    pub(in crate::node) fn words(&self, text: String, done: Done) {
        self.out().must(self.fitted(text), Some(done));
        self.answered();
    }

    /// Shows the help.
    pub fn help(&self, line: u64, word: Option<&str>, about: Option<&str>, done: Done) {
        let overview = || match self.reader {
            Reader::Prompt => help::overview_in(self.look().columns),
            Reader::Program | Reader::Pipes => help::overview(),
        };
        let text = about.and_then(help::of_command).unwrap_or_else(overview);
        let text = match self.reader {
            Reader::Program => render::json_reply(line, word, &Ok(HelpReply { text })),
            Reader::Pipes | Reader::Prompt => self.fitted(render::human_help(&text)),
        };
        self.out().must(text, Some(done));
        self.answered();
    }

    /// Shows where the page is.
    pub fn page(&self, line: u64, word: Option<&str>, result: &Result<WebReply, CommandError>, done: Done) {
        match (self.reader, result) {
            (Reader::Program, _) => self.out.must(render::json_reply(line, word, result), Some(done)),
            // A picture is not to be broken into lines.
            (_, Ok(reply)) => self.out().must(render::where_it_is(reply, self.look()), Some(done)),
            (_, Err(error)) => {
                let number = (!self.is_prompt()).then_some(line);
                let text = self.look().error(&self.fitted(render::human_error(number, error)));
                self.log_sink().must(text, Some(done));
            }
        }
        self.answered();
    }

    /// Confirms `quit`.
    pub fn quit(&self, line: u64, word: Option<&str>, done: Done) {
        match self.reader {
            Reader::Program => {
                let reply = render::json_reply(line, word, &Ok(QuitReply::default()));
                self.out.must(reply, Some(done));
            }
            Reader::Pipes | Reader::Prompt => done(),
        }
        self.answered();
    }

    /// Carries out `watch` or `log` and answers.
    pub fn switch(&self, line: u64, word: Option<&str>, telling: &Telling, done: Done) {
        let reply = self.switches.switch(telling);
        self.log_sink().set_pace(pace_of(&reply.log));
        let text = match self.reader {
            Reader::Program => render::json_reply(line, word, &Ok(reply)),
            Reader::Pipes | Reader::Prompt => telling_text(&reply),
        };
        self.out().must(text, Some(done));
        self.answered();
    }
}

/// Lines of the log a second in the long run: whoever asks for details gets them.
pub(super) fn pace_of(level: &str) -> u32 {
    let is_detailed = ["debug", "trace"].iter().any(|word| level.contains(word));
    if is_detailed {
        DETAILED_LINES_A_SECOND
    } else {
        LINES_A_SECOND
    }
}
