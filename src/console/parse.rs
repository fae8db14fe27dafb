//! Parses a typed line into a command, or into an error that says what is wrong and what to type instead.
//!
//! Promises: pure; the hint of each error is a line that parses; no value is guessed.
//! Spec: `proto-notes/events.md`, "Reading" and "Codes".

use super::help;
use super::watch::Telling;
use crate::contract::{AccountRef, BlockRef, Command, CommandError, Condition, MineCommand};
use crate::types::ticket::Ticket;
use crate::types::{Account, AccountName, Address, Amount, BlockHash, Height, PeerId, PublicKey, Txid};

/// The most blocks for one `mine`; at the lowest difficulty they take a minute or two.
pub const MINE_MAX: u64 = 10_000;
/// The most blocks for one `chain`, tips for one `tree` and transactions for one `history`: what a terminal can scroll back.
pub const LIST_MAX: u64 = 1_000;
/// The number of blocks or tips for `chain` and `tree` without a number.
pub const LIST_DEFAULT: u32 = 10;
/// The number of transactions for `history` without a number: they fit a terminal of 24 rows.
pub const HISTORY_DEFAULT: u32 = 20;
/// The longest `wait` in seconds: a day.
pub const WAIT_MAX_SECONDS: u64 = 86_400;
/// The length of a `wait` without a number, in seconds.
pub const WAIT_DEFAULT_SECONDS: u32 = 60;
/// The shortest prefix of a hash that is accepted, in hex digits.
pub const PREFIX_MIN: usize = 4;
/// The most characters of the typed text that an error repeats.
pub const ECHO_MAX: usize = 32;

/// A command for the engine, or a command that the console answers itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// A command for the engine.
    Engine(Command),
    /// `help`, or `help COMMAND` with the canonical word.
    Help(Option<String>),
    /// `quit` stops the node or ends the session.
    Quit,
    /// `watch` or `log`, which change what is written while the node runs.
    Telling(Telling),
    /// `web` says where the page is, and starts it if it is off.
    Web,
}

/// Parses a line; none if it is blank or a comment.
///
/// # Errors
/// [`CommandError`] with an error code of the contract.
pub fn parse_line(line: &str) -> Result<Option<Line>, CommandError> {
    if is_silent(line) {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let Some(first) = words.next() else {
        return Ok(None);
    };
    let folded = first.to_ascii_lowercase();
    let values: Vec<&str> = words.collect();
    let command = help::find(&folded).ok_or_else(|| unknown(first, &folded, &values))?;
    ValueReader { command, values }.read().map(Some)
}

/// Whether a line is blank or a comment: it is counted, but gets no reply.
#[must_use]
pub fn is_silent(line: &str) -> bool {
    let text = line.trim_start();
    text.is_empty() || text.starts_with('#')
}

/// The canonical word of a line, or the first 32 characters of an unknown word; none if the line is blank.
#[must_use]
pub fn canonical_word(line: &str) -> Option<String> {
    let first = line.split_whitespace().next()?;
    let known = help::find(&first.to_ascii_lowercase());
    Some(known.map_or_else(|| echo(first), |command| command.word.to_owned()))
}

/// The first 32 characters of a typed word.
fn echo(word: &str) -> String {
    word.chars().take(ECHO_MAX).collect()
}

fn error(code: &'static str, message: String, hint: impl Into<String>) -> CommandError {
    CommandError {
        code,
        message,
        hint: hint.into(),
    }
}

/// The longest corrected line that is offered as a hint, in bytes; a longer one does not help.
const CORRECTED_MAX_BYTES: usize = 128;

fn unknown(typed: &str, folded: &str, values: &[&str]) -> CommandError {
    let typed = echo(typed);
    match help::did_you_mean(folded) {
        Some(meant) => error(
            "unknown_command",
            format!("unknown command \"{typed}\"; did you mean {meant}?"),
            corrected(meant, values),
        ),
        None => error("unknown_command", format!("unknown command \"{typed}\""), "help"),
    }
}

/// The typed line with the corrected word if that is a valid command, otherwise the `help` for that word.
fn corrected(meant: &str, values: &[&str]) -> String {
    let line = [&[meant], values].concat().join(" ");
    let fits = line.len() <= CORRECTED_MAX_BYTES;
    if fits && matches!(parse_line(&line), Ok(Some(_))) {
        line
    } else {
        format!("help {meant}")
    }
}

/// The error for a line with more than 4,096 bytes.
#[must_use]
pub fn line_too_long() -> CommandError {
    let max = super::input::LINE_MAX_BYTES;
    error(
        "line_too_long",
        format!("the line has more than {max} bytes; it was skipped"),
        "help",
    )
}

/// The error for a line that is not UTF-8.
#[must_use]
pub fn not_utf8() -> CommandError {
    error("bad_argument", "the line is not UTF-8 text".to_owned(), "help")
}

/// The error for each line of an input in UTF-16.
#[must_use]
pub fn utf16() -> CommandError {
    let message = "the input is UTF-16 text: save it as UTF-8, or pass it through iconv -f UTF-16 -t UTF-8";
    error("bad_argument", message.to_owned(), "help")
}

/// Parses a number: digits only, without a leading zero.
fn number(word: &str) -> Option<u64> {
    let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = word.len() > 1 && word.starts_with('0');
    (digits && !leading_zero).then(|| word.parse().ok()).flatten()
}

/// The values of a command, with the checks on them.
struct ValueReader<'a> {
    command: &'static help::CommandHelp,
    values: Vec<&'a str>,
}

impl<'a> ValueReader<'a> {
    fn read(&self) -> Result<Line, CommandError> {
        let command = match self.command.word {
            "help" => return self.help(),
            "quit" => {
                self.none()?;
                return Ok(Line::Quit);
            }
            "watch" => return self.watch(),
            "web" => return self.none().map(|()| Line::Web),
            "log" => return self.log(),
            "tx" => self.tx()?,
            "claim" => self.claim()?,
            "balance" => Command::Balance(self.optional()?.map(|word| self.account(word)).transpose()?),
            "whoami" => self.plain(Command::Whoami)?,
            "history" => self.history()?,
            "accounts" => self.plain(Command::Accounts)?,
            "pending" => self.plain(Command::Pending)?,
            "transaction" => Command::Transaction(self.tx_ref(self.one()?)?),
            "explain" => self.explain()?,
            "tamper" => self.tamper()?,
            "stats" => self.stats()?,
            "drop" | "ban" | "unban" => self.peer_act()?,
            "doctor" => self.plain(Command::Doctor)?,
            "mine" => Command::Mine(self.mine()?),
            "chain" => Command::Chain(self.list()?),
            "block" => Command::Block(self.block(self.one()?)?),
            "tree" => Command::Tree(self.list()?),
            "peers" => self.plain(Command::Peers)?,
            "dial" => self.dial()?,
            "invite" => self.plain(Command::Invite)?,
            "join" => self.join()?,
            "resolve" => self.plain(Command::Resolve)?,
            "rewind" => self.plain(Command::Rewind)?,
            "net" => Command::Net(self.net()?),
            "status" => self.plain(Command::Status)?,
            "wait" => self.wait()?,
            other => unreachable!("the table of commands has no \"{other}\""),
        };
        Ok(Line::Engine(command))
    }

    // Checks on the number of values.

    fn missing(&self) -> CommandError {
        let message = format!("Missing values; usage: {}", self.command.usage);
        error("missing_values", message, self.command.hint())
    }

    fn too_many(&self) -> CommandError {
        let message = format!("too many values; usage: {}", self.command.usage);
        error("too_many_values", message, self.command.hint())
    }

    fn bad(&self, code: &'static str, message: String) -> CommandError {
        error(code, message, self.command.hint())
    }

    fn exactly<const N: usize>(&self) -> Result<[&'a str; N], CommandError> {
        match <[&'a str; N]>::try_from(self.values.as_slice()) {
            Ok(values) => Ok(values),
            Err(_) if self.values.len() < N => Err(self.missing()),
            Err(_) => Err(self.too_many()),
        }
    }

    fn none(&self) -> Result<(), CommandError> {
        self.exactly::<0>().map(|_| ())
    }

    fn plain(&self, command: Command) -> Result<Command, CommandError> {
        self.none().map(|()| command)
    }

    fn one(&self) -> Result<&'a str, CommandError> {
        self.exactly::<1>().map(|[value]| value)
    }

    fn optional(&self) -> Result<Option<&'a str>, CommandError> {
        match self.values.as_slice() {
            [] => Ok(None),
            [value] => Ok(Some(value)),
            _ => Err(self.too_many()),
        }
    }

    // Checks on single values.

    fn number(&self, what: &str, word: &str, from: u64, to: u64) -> Result<u64, CommandError> {
        number(word).filter(|value| (from..=to).contains(value)).ok_or_else(|| {
            let word = echo(word);
            self.bad(
                "bad_argument",
                format!("{what} is \"{word}\"; it must be a whole number from {from} to {to}, digits only"),
            )
        })
    }

    fn small(&self, what: &str, word: &str, from: u64, to: u64) -> Result<u32, CommandError> {
        let value = self.number(what, word, from, to)?;
        Ok(u32::try_from(value).expect("every range of a small number ends below 2^32"))
    }

    fn name(&self, word: &str) -> Result<AccountName, CommandError> {
        AccountName::new(&word.to_ascii_lowercase()).map_err(|reason| {
            let message = format!("\"{}\" is no name: {reason}", echo(word));
            self.bad("bad_name", message)
        })
    }

    /// Parses an account: a name in any case, `me`, or an exact PeerId.
    fn account(&self, word: &str) -> Result<AccountRef, CommandError> {
        if word.eq_ignore_ascii_case("me") {
            return Ok(AccountRef::Me);
        }
        // A name has at most 32 bytes, and the PeerId of an Ed25519 key has more.
        if word.len() > crate::types::account::NAME_MAX_BYTES
            && let Ok(peer) = word.parse::<PeerId>()
        {
            return match PublicKey::from_peer_id(&peer) {
                Ok(key) => Ok(AccountRef::Account(Account::Key(key))),
                Err(reason) => Err(self.bad("bad_name", format!("\"{}\" is no account: {reason}", echo(word)))),
            };
        }
        self.name(word).map(|name| AccountRef::Account(Account::Name(name)))
    }

    fn txid(&self, word: &str) -> Result<Txid, CommandError> {
        Txid::from_hex(word).ok_or_else(|| {
            let message = format!("\"{}\" is no transaction id; it has 64 hex digits", echo(word));
            error("bad_argument", message, "pending")
        })
    }

    // Commands that take several kinds of values.

    fn tx(&self) -> Result<Command, CommandError> {
        let [from, to, amount] = self.exactly()?;
        Ok(Command::Tx {
            from: self.account(from)?,
            to: self.account(to)?,
            amount: self.amount(amount)?,
        })
    }

    /// A word of digits is a number, because every name begins with a letter.
    fn history(&self) -> Result<Command, CommandError> {
        let is_number = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
        let (account, limit) = match *self.values.as_slice() {
            [] => (None, None),
            [word] if is_number(word) => (None, Some(word)),
            [word] => (Some(word), None),
            [account, limit] => (Some(account), Some(limit)),
            [..] => return Err(self.too_many()),
        };
        let limit = limit.map(|word| self.small("the number", word, 1, LIST_MAX));
        Ok(Command::History {
            account: account.map(|word| self.account(word)).transpose()?,
            limit: limit.unwrap_or(Ok(HISTORY_DEFAULT))?,
        })
    }

    fn claim(&self) -> Result<Command, CommandError> {
        if let [_, _, ..] = self.values[..] {
            let mut error = self.too_many();
            error.message.push_str("; a name has no spaces, as alice-smith");
            return Err(error);
        }
        self.name(self.one()?).map(Command::Claim)
    }

    fn amount(&self, word: &str) -> Result<Amount, CommandError> {
        number(word).and_then(|value| Amount::new(value).ok()).ok_or_else(|| {
            let (word, max) = (echo(word), Amount::MAX);
            self.bad(
                "bad_amount",
                format!("the amount is \"{word}\"; it must be a whole number from 1 to {max}, digits only"),
            )
        })
    }

    fn mine(&self) -> Result<MineCommand, CommandError> {
        let Some(word) = self.optional()? else {
            return Ok(MineCommand::Count(1));
        };
        if word.eq_ignore_ascii_case("on") {
            Ok(MineCommand::On)
        } else if word.eq_ignore_ascii_case("off") {
            Ok(MineCommand::Off)
        } else {
            self.small("the number of blocks", word, 1, MINE_MAX)
                .map(MineCommand::Count)
        }
    }

    fn net(&self) -> Result<bool, CommandError> {
        let word = self.one()?;
        if word.eq_ignore_ascii_case("on") {
            Ok(true)
        } else if word.eq_ignore_ascii_case("off") {
            Ok(false)
        } else {
            Err(self.bad("bad_argument", format!("\"{}\" is neither on nor off", echo(word))))
        }
    }

    fn list(&self) -> Result<u32, CommandError> {
        match self.optional()? {
            None => Ok(LIST_DEFAULT),
            Some(word) if word.eq_ignore_ascii_case("all") => {
                self.small("the number", &LIST_MAX.to_string(), 1, LIST_MAX)
            }
            Some(word) => self.small("the number", word, 1, LIST_MAX),
        }
    }

    fn block(&self, word: &str) -> Result<BlockRef, CommandError> {
        if word.eq_ignore_ascii_case("latest") {
            return Ok(BlockRef::Latest);
        }
        if let Some(hash) = BlockHash::from_hex(word) {
            return Ok(BlockRef::Hash(hash));
        }
        let is_prefix = (PREFIX_MIN..64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        // A height has no leading zero, but a hash may have one, and some shortened hashes have no letter.
        let is_height = word.bytes().all(|byte| byte.is_ascii_digit()) && !(is_prefix && word.starts_with('0'));
        if is_height {
            return self
                .number("the height", word, 0, u64::MAX)
                .map(|height| BlockRef::Height(Height::new(height)));
        }
        if is_prefix {
            return Ok(BlockRef::Prefix(word.to_ascii_lowercase()));
        }
        let word = echo(word);
        Err(self.bad(
            "bad_argument",
            format!("\"{word}\" is neither a height nor a hash nor at least its first {PREFIX_MIN} hex digits"),
        ))
    }

    fn dial(&self) -> Result<Command, CommandError> {
        let word = self.one()?;
        let (address, peer) = Address::parse_typed(word).map_err(|reason| {
            let message = format!("\"{}\" cannot be dialled: {reason}", echo(word));
            self.bad("bad_address", message)
        })?;
        Ok(Command::Dial { address, peer })
    }

    fn join(&self) -> Result<Command, CommandError> {
        let ticket = self.one()?.parse::<Ticket>();
        let ticket = ticket.map_err(|reason| error("bad_ticket", reason.to_string(), "help join"))?;
        Ok(Command::Join(Box::new(ticket)))
    }

    fn wait(&self) -> Result<Command, CommandError> {
        let Some((kind, rest)) = self.values.split_first() else {
            return Err(self.missing());
        };
        let (condition, rest) = match kind.to_ascii_lowercase().as_str() {
            "synced" => (Condition::Synced, rest),
            kind @ ("peers" | "height" | "confirmed") => {
                let (word, rest) = rest.split_first().ok_or_else(|| self.missing())?;
                (self.condition(kind, word)?, rest)
            }
            _ => {
                let message = format!("\"{}\" is none of peers, height, synced, confirmed", echo(kind));
                return Err(self.bad("bad_argument", message));
            }
        };
        let seconds = match rest {
            [] => WAIT_DEFAULT_SECONDS,
            [word] => self.small("the number of seconds", word, 0, WAIT_MAX_SECONDS)?,
            _ => return Err(self.too_many()),
        };
        Ok(Command::Wait { condition, seconds })
    }

    fn condition(&self, kind: &str, word: &str) -> Result<Condition, CommandError> {
        match kind {
            "peers" => self
                .small("the number of peers", word, 0, u64::from(u32::MAX))
                .map(Condition::Peers),
            "height" => self
                .number("the height", word, 0, u64::MAX)
                .map(|height| Condition::Height(Height::new(height))),
            _ => self.txid(word).map(Condition::Confirmed),
        }
    }

    fn help(&self) -> Result<Line, CommandError> {
        let Some(word) = self.optional()? else {
            return Ok(Line::Help(None));
        };
        let folded = word.to_ascii_lowercase();
        let word = help::explained(&folded).ok_or_else(|| unknown(word, &folded, &[]))?;
        Ok(Line::Help(Some(word.to_owned())))
    }
}

mod visible;

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
