//! The table of all commands, from which help, usage, completion and "did you mean" come.
//!
//! Spec: `proto-notes/events.md`, "Commands".

use super::look::COLUMNS_DEFAULT;

/// The description of a command for the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandHelp {
    /// The word of the command in the contract.
    pub word: &'static str,
    /// Other words for the same command.
    pub aliases: &'static [&'static str],
    /// The syntax of the command, with its word first.
    pub usage: &'static str,
    /// The heading under which the overview lists it.
    pub group: &'static str,
    /// One line for the overview.
    pub summary: &'static str,
    /// All other information for `help COMMAND`.
    pub details: &'static str,
    /// Lines that can be typed exactly like this; the first is the hint of most errors.
    pub examples: &'static [&'static str],
}

/// The narrowest terminal, in columns, that shows the overview in two columns.
const TWO_COLUMNS_MIN: usize = 70;

const LEDGER: &str = "Paying";
const MINING: &str = "Mining";
const CHAIN: &str = "Looking at the chain";
const NETWORK: &str = "The network";
const CONSOLE: &str = "This console";

/// All commands, in the order of the overview.
pub const COMMANDS: [CommandHelp; 30] = [
    CommandHelp {
        word: "tx",
        aliases: &[],
        usage: "tx FROM TO AMOUNT",
        group: LEDGER,
        summary: "pay: sign a transaction and tell everybody",
        details: "FROM is me, or a name that this node owns or that nobody owns yet: the first key that signs for a \
                  name owns it. TO is a name, a PeerId, or me. AMOUNT is a whole number from 1 to 9007199254740991.",
        examples: &["tx alice bob 5", "tx me bob 1"],
    },
    CommandHelp {
        word: "claim",
        aliases: &[],
        usage: "claim NAME",
        group: LEDGER,
        summary: "make a free name this node's own",
        details: "A name has 1 to 32 of a-z, 0-9, _ and -, and starts with a letter. It is yours once a block holds \
                  the claim.",
        examples: &["claim alice"],
    },
    CommandHelp {
        word: "balance",
        aliases: &[],
        usage: "balance [ACCOUNT]",
        group: LEDGER,
        summary: "what an account owns or owes; alone: the account that rewards go to",
        details: "ACCOUNT is a name, a PeerId, or me (this node's key account). The pending balance is what it will be once every waiting \
                  transaction is in a block.",
        examples: &["balance", "balance alice"],
    },
    CommandHelp {
        word: "accounts",
        aliases: &[],
        usage: "accounts",
        group: LEDGER,
        summary: "accounts with balance and owner: this node's own, then the richest",
        details: "At most 1,000. With --json all own ones, and the first 1,000 by name.",
        examples: &["accounts"],
    },
    CommandHelp {
        word: "pending",
        aliases: &[],
        usage: "pending",
        group: LEDGER,
        summary: "transactions that wait for a block",
        details: "In the order in which the next block takes them.",
        examples: &["pending"],
    },
    CommandHelp {
        word: "transaction",
        aliases: &[],
        usage: "transaction TXID",
        group: LEDGER,
        summary: "where a transaction is, and the proof that a block holds it",
        details: "TXID is the 64 hex digits that tx answered, or at least the first 4 while no other begins so.",
        examples: &["transaction 0000000000000000000000000000000000000000000000000000000000000000"],
    },
    CommandHelp {
        word: "mine",
        aliases: &[],
        usage: "mine [N] | mine on | mine off",
        group: MINING,
        summary: "forge N blocks (default 1), or mine on and on",
        details: "N is a whole number from 1 to 10000. The command ends when this node itself has found N blocks; \
                  each pays its miner the reward of the network (1 coin unless a network file says otherwise).",
        examples: &["mine", "mine 3", "mine on", "mine off"],
    },
    CommandHelp {
        word: "chain",
        aliases: &[],
        usage: "chain [N]",
        group: CHAIN,
        summary: "the newest N blocks (default 10) and the length",
        details: "N is a whole number from 1 to 1000.",
        examples: &["chain", "chain 3"],
    },
    CommandHelp {
        word: "block",
        aliases: &[],
        usage: "block HEIGHT|HASH",
        group: CHAIN,
        summary: "one block",
        details: "Only digits are a height of the active chain, unless four or more of them begin with a 0; a hash, or at \
                  least its first 4 digits, also finds blocks of side branches.",
        examples: &["block 0"],
    },
    CommandHelp {
        word: "tree",
        aliases: &[],
        usage: "tree [N]",
        group: CHAIN,
        summary: "draw all branches, the active one first",
        details: "N is how many branches are shown, 1 to 1000, default 10. Each block shows its index, its hash, who found it and the \
                  work that it adds.",
        examples: &["tree", "tree 3"],
    },
    CommandHelp {
        word: "explain",
        aliases: &[],
        usage: "explain block HEIGHT|HASH | explain transaction TXID",
        group: CHAIN,
        summary: "byte by byte: what is hashed, what is signed, the way to the root",
        details: "A block: its 96 header bytes, what each means, the hash, and the target that it met. A transaction: its \
                  bytes, what the signature covers, and the merkle path, hashed step by step.",
        examples: &["explain block 1", "explain block 0", "explain transaction abcd"],
    },
    CommandHelp {
        word: "tamper",
        aliases: &[],
        usage: "tamper HEIGHT",
        group: CHAIN,
        summary: "change copies of a block and see which rule refuses each",
        details: "The copies live in a sandbox: nothing is kept and nothing is sent.",
        examples: &["tamper 1"],
    },
    CommandHelp {
        word: "stats",
        aliases: &[],
        usage: "stats [N]",
        group: CHAIN,
        summary: "block times, difficulty, who found what, who owns most",
        details: "Of the newest N blocks, 1 to 1000, default 100.",
        examples: &["stats", "stats 20"],
    },
    CommandHelp {
        word: "peers",
        aliases: &[],
        usage: "peers",
        group: NETWORK,
        summary: "the connected nodes",
        details: "A name in brackets with a question mark is what the node says of itself; the chain does not prove \
                  it.",
        examples: &["peers"],
    },
    CommandHelp {
        word: "dial",
        aliases: &["register"],
        usage: "dial ADDRESS",
        group: NETWORK,
        summary: "add a node by hand (also: register)",
        details: "ADDRESS is an IP address or the name of a host, with :PORT behind it (without: 4141), or a multiaddr, \
                  with or without /p2p/PEER_ID. Nodes of the same network find each other without this.",
        examples: &[
            "dial 192.168.1.5",
            "dial my-laptop.local:4141",
            "dial /ip4/192.168.1.5/tcp/4141",
        ],
    },
    CommandHelp {
        word: "invite",
        aliases: &[],
        usage: "invite",
        group: NETWORK,
        summary: "a ticket with which another node joins this one",
        details: "The ticket says which network this is and where this node listens. It works as long as the node runs \
                  at the same address.",
        examples: &["invite"],
    },
    CommandHelp {
        word: "join",
        aliases: &[],
        usage: "join TICKET",
        group: NETWORK,
        summary: "connect to the node whose ticket this is",
        details: "TICKET is what `invite` answered there, in upper or lower case. A node on another network is started \
                  with --join TICKET instead.",
        examples: &["join aebwyylov6bfx3qxqsyuyi7lrfgqqyvokp6upms37fdo7imcluvo3xiykvcqcbgavaaqoebnlrmue3q"],
    },
    CommandHelp {
        word: "resolve",
        aliases: &[],
        usage: "resolve",
        group: NETWORK,
        summary: "ask every peer now for a chain with more work",
        details: "This happens by itself all the time; resolve asks at once and answers when done.",
        examples: &["resolve"],
    },
    CommandHelp {
        word: "rewind",
        aliases: &[],
        usage: "rewind",
        group: NETWORK,
        summary: "take off and delete own blocks from the future, after a clock was put right",
        details: "Back to the newest block that is not from the future, 512 blocks at most. Their payments wait again and are \
                  never signed anew. Who still has the blocks may bring them back when their time comes.",
        examples: &["rewind"],
    },
    CommandHelp {
        word: "drop",
        aliases: &[],
        usage: "drop PEER",
        group: NETWORK,
        summary: "close the connections to a node; it may come back at once",
        details: "PEER is a name or the last characters of a PeerId, both as peers shows them, or a whole PeerId.",
        examples: &["drop ben"],
    },
    CommandHelp {
        word: "ban",
        aliases: &[],
        usage: "ban PEER [MINUTES]",
        group: NETWORK,
        summary: "refuse a node for a while (default 60 min)",
        details: "MINUTES is a whole number from 1 to 1440. Bans are forgotten at the stop; peers shows them.",
        examples: &["ban ben", "ban ben 5"],
    },
    CommandHelp {
        word: "unban",
        aliases: &[],
        usage: "unban PEER",
        group: NETWORK,
        summary: "no longer refuse a node",
        details: "",
        examples: &["unban ben"],
    },
    CommandHelp {
        word: "doctor",
        aliases: &[],
        usage: "doctor",
        group: NETWORK,
        summary: "why nobody is seen: interfaces, multicast, clocks, what to type",
        details: "",
        examples: &["doctor"],
    },
    CommandHelp {
        word: "net",
        aliases: &[],
        usage: "net on | net off",
        group: NETWORK,
        summary: "pull the cable, or plug it in",
        details: "Mine on two nodes with the net off, then switch it on: the chain with more work wins.",
        examples: &["net off", "net on"],
    },
    CommandHelp {
        word: "status",
        aliases: &[],
        usage: "status",
        group: NETWORK,
        summary: "this node: address, height, work, peers, folder",
        details: "",
        examples: &["status"],
    },
    CommandHelp {
        word: "wait",
        aliases: &[],
        usage: "wait peers N | height N | synced | confirmed TXID [SECONDS]",
        group: CONSOLE,
        summary: "wait for something, at most SECONDS (default 60)",
        details: "SECONDS is a whole number from 0 to 86400.",
        examples: &["wait peers 1", "wait height 3 30", "wait synced"],
    },
    CommandHelp {
        word: "watch",
        aliases: &[],
        usage: "watch [gossip] [blocks] [peers] | watch all | watch off",
        group: CONSOLE,
        summary: "which events are told in words; alone: what is told now",
        details: "Warnings are always told. With --json all events are told whatever is watched.",
        examples: &["watch", "watch blocks", "watch gossip peers", "watch all", "watch off"],
    },
    CommandHelp {
        word: "log",
        aliases: &[],
        usage: "log LEVEL",
        group: CONSOLE,
        summary: "how much the log says: off, error, warn, info, debug, trace",
        details: "",
        examples: &["log debug", "log info"],
    },
    CommandHelp {
        word: "help",
        aliases: &[],
        usage: "help [COMMAND]",
        group: CONSOLE,
        summary: "this list, or one command in detail",
        details: "",
        examples: &["help", "help tx"],
    },
    CommandHelp {
        word: "quit",
        aliases: &[],
        usage: "quit",
        group: CONSOLE,
        summary: "stop the node",
        details: "",
        examples: &["quit"],
    },
];

/// Words that people try, each with the command that they mean.
const SYNONYMS: [(&str, &str); 14] = [
    ("exit", "quit"),
    ("stop", "quit"),
    ("bye", "quit"),
    ("q", "quit"),
    ("?", "help"),
    ("h", "help"),
    ("send", "tx"),
    ("pay", "tx"),
    ("transfer", "tx"),
    ("transactions", "pending"),
    ("mempool", "pending"),
    ("nodes", "peers"),
    ("connect", "dial"),
    ("info", "status"),
];

/// The command for a word in lower case, which may be an alias.
#[must_use]
pub fn find(word: &str) -> Option<&'static CommandHelp> {
    COMMANDS
        .iter()
        .find(|command| command.word == word || command.aliases.contains(&word))
}

/// Up to this length, a word counts as a mistyped other word only if one letter differs.
const SHORT_WORD: usize = 3;

/// The command that the user may have meant by an unknown word in lower case; none if nothing is near.
#[must_use]
pub fn did_you_mean(word: &str) -> Option<&'static str> {
    if let Some((_, meant)) = SYNONYMS.iter().find(|(typed, _)| *typed == word) {
        return Some(meant);
    }
    // Longer words are not mistyped commands; the limit also bounds the work on hostile input.
    let letters = word.chars().count();
    if letters > 16 {
        return None;
    }
    let words = COMMANDS
        .iter()
        .flat_map(|command| core::iter::once(command.word).chain(command.aliases.iter().copied()));
    words
        // The distance counts inserted, removed and replaced letters, and swapped neighbours.
        .map(|known| (strsim::osa_distance(word, known), known))
        .filter(|(distance, known)| *distance <= known.len() / 3 + usize::from(known.len() < 5))
        .filter(|(distance, known)| *distance < known.len())
        // If two of three letters differ, the match is a guess, not a typing mistake.
        .filter(|(distance, _)| *distance <= 1 || letters > SHORT_WORD)
        // Letters are left out more often than added, so of two words at the same distance the longer one is chosen.
        .min_by_key(|(distance, known)| (*distance, core::cmp::Reverse(known.len()), *known))
        .map(|(_, known)| known)
}

/// The text of `help`: all commands in their groups, in two columns.
#[must_use]
pub fn overview() -> String {
    overview_in(COLUMNS_DEFAULT)
}

/// The text of `help` for a terminal of this width. In a narrow one the summary is below its command.
#[must_use]
pub fn overview_in(columns: usize) -> String {
    let mut text = String::new();
    for group in [LEDGER, MINING, CHAIN, NETWORK, CONSOLE] {
        text.push_str(group);
        text.push('\n');
        for command in COMMANDS.iter().filter(|command| command.group == group) {
            let (usage, summary) = (command.usage, command.summary);
            text.push_str(&if columns < TWO_COLUMNS_MIN {
                format!("  {usage}\n        {summary}\n")
            } else if usage.len() > 30 {
                format!("  {usage}\n  {:<30}  {summary}\n", "")
            } else {
                format!("  {usage:<30}  {summary}\n")
            });
        }
        text.push('\n');
    }
    text.push_str("Try: tx alice bob 5, then mine, then balance bob. More of one: help COMMAND");
    text
}

/// The values that the typed command still needs, shown while the user types; none if the line is not a command yet.
#[must_use]
pub fn argument_hint(line: &str) -> Option<String> {
    let mut typed = line.split_whitespace();
    let command = find(&typed.next()?.to_ascii_lowercase())?;
    let is_open = !line.ends_with(char::is_whitespace);
    let usage = command.usage.split(" | ").next()?;
    let rest: Vec<&str> = usage.split(' ').skip(1 + typed.count()).collect();
    if rest.is_empty() {
        return None;
    }
    let space = if is_open { " " } else { "" };
    Some(format!("{space}{}", rest.join(" ")))
}

/// The text of `help COMMAND`; none if the word is unknown.
#[must_use]
pub fn of_command(word: &str) -> Option<String> {
    let command = find(word)?;
    let mut text = format!("usage: {}\n  {}", command.usage, command.summary);
    if !command.details.is_empty() {
        text.push_str("\n  ");
        text.push_str(command.details);
    }
    for example in command.examples {
        text.push_str("\nexample: ");
        text.push_str(example);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::parse::parse_line;

    #[test]
    fn a_narrow_list_says_the_same_below_each_other() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&overview_in(50)), words(&overview()));
        assert!(
            overview_in(50).contains("  mine [N] | mine on | mine off\n        forge"),
            "{}",
            overview_in(50)
        );
        assert!(overview_in(70).contains("  mine [N] | mine on | mine off   forge"));
    }

    #[test]
    fn every_example_can_be_typed() {
        for command in &COMMANDS {
            assert!(!command.examples.is_empty(), "{}", command.word);
            for example in command.examples {
                assert!(matches!(parse_line(example), Ok(Some(_))), "{example}");
                assert!(example.starts_with(command.word), "{example}");
            }
        }
    }

    #[test]
    fn slips_of_the_finger_are_understood() {
        let cases = [
            ("minee", "mine"),
            ("mien", "mine"),
            ("balence", "balance"),
            ("chian", "chain"),
            ("staus", "status"),
            ("tz", "tx"),
            ("regster", "register"),
            ("exit", "quit"),
            ("send", "tx"),
        ];
        for (typed, meant) in cases {
            assert_eq!(did_you_mean(typed), Some(meant), "{typed}");
        }
        for typed in ["xyzzy", "", "aaaaaaaaaaaaaaaaaaaaaaaaaaaa", "\u{1b}[2J"] {
            assert_eq!(did_you_mean(typed), None, "{typed}");
        }
    }

    #[test]
    fn the_values_that_are_missing_are_hinted() {
        let hints = [
            ("tx", Some(" FROM TO AMOUNT")),
            ("tx ", Some("FROM TO AMOUNT")),
            ("TX alice bob", Some(" AMOUNT")),
            ("tx alice bob 5", None),
            ("explain block", Some(" HEIGHT|HASH")),
            ("status", None),
            ("xyzzy", None),
            ("", None),
        ];
        for (line, hint) in hints {
            assert_eq!(argument_hint(line).as_deref(), hint, "{line}");
        }
    }

    #[test]
    fn the_overview_names_every_command() {
        let text = overview();
        for command in &COMMANDS {
            assert!(text.contains(command.usage), "{}", command.word);
        }
    }
}
