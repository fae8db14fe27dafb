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
    /// One line that says what it does.
    pub summary: &'static str,
    /// All other information for `help COMMAND`.
    pub details: &'static str,
    /// Lines that can be typed exactly like this.
    pub examples: &'static [&'static str],
}

/// The narrowest terminal, in columns, that shows the overview in two columns.
const TWO_COLUMNS_MIN: usize = 70;

/// The most columns of a usage in the overview.
const USAGE_COLUMNS: usize = 33;

/// The overview: a heading, or words of commands, how they are typed, and what they do. With the line below it, it fits a
/// terminal of 80 columns and 24 rows.
const ROWS: [(&[&str], &str, &str); 22] = [
    (&[], "Paying", ""),
    (
        &["tx"],
        "tx FROM TO AMOUNT",
        "pay: sign a transaction and tell everybody",
    ),
    (&["claim"], "claim NAME", "make a free name this node's own"),
    (&["balance"], "balance [ACCOUNT]", "what an account owns or owes"),
    (
        &["whoami", "history", "accounts"],
        "whoami, history, accounts",
        "this node; payments of one; all accounts",
    ),
    (
        &["pending", "transaction"],
        "pending, transaction TXID",
        "what waits; where a transaction is",
    ),
    (&[], "Mining", ""),
    (
        &["mine"],
        "mine [N], mine on, mine off",
        "mine N blocks (1); go on and on; stop",
    ),
    (&[], "The chain", ""),
    (
        &["chain", "block"],
        "chain [N], block HEIGHT|HASH",
        "the newest N blocks (default 10); one block",
    ),
    (
        &["tree", "stats"],
        "tree [N], stats [N]",
        "all branches; times, difficulty, miners",
    ),
    (
        &["explain", "tamper"],
        "explain KIND ID, tamper HEIGHT",
        "byte by byte; which rule refuses a change",
    ),
    (&[], "The network", ""),
    (
        &["status", "peers", "doctor"],
        "status, peers, doctor",
        "this node; its peers; why nobody is seen",
    ),
    (
        &["dial", "invite", "join"],
        "dial ADDRESS, invite, join TICKET",
        "connect by hand, or by a ticket",
    ),
    (&["net"], "net off, net on", "pull the cable; plug it in"),
    (
        &["resolve", "rewind"],
        "resolve, rewind",
        "ask for more work; undo future blocks",
    ),
    (
        &["drop", "ban", "unban"],
        "drop PEER, ban PEER, unban PEER",
        "close a connection; keep a node away",
    ),
    (&[], "This console", ""),
    (
        &["watch", "log", "web"],
        "watch TOPICS, log LEVEL, web",
        "events shown; what is logged; the page",
    ),
    (
        &["wait"],
        "wait CONDITION [SECONDS]",
        "wait for peers, a height, or a confirmation",
    ),
    (
        &["help", "quit"],
        "help [COMMAND], help names, quit",
        "more about one command; stop the node",
    ),
];

/// What `help` also explains, besides commands.
const TOPICS: [(&str, &str); 1] = [(
    "names",
    "names, keys and PeerIds\n  \
     Key: each node makes one key when its folder is made. The key signs, and nobody else can sign with it.\n  \
     PeerId: the public key as text, 12D3KooW… It is the node's address in the network, and its key account in the \
     ledger. Lists show its last 8 characters.\n  \
     Name: a short account such as alice. The first key that signs for a name in a block owns it (claim NAME, or the \
     first payment from it). One key can own many names; a name has one owner.\n  \
     me: the account that this node's rewards go to: its name once the chain says that the name is its own, else its \
     key account.\nexample: claim alice\nexample: balance alice",
)];

/// All commands, in the order of the overview.
pub const COMMANDS: [CommandHelp; 33] = [
    CommandHelp {
        word: "tx",
        aliases: &[],
        usage: "tx FROM TO AMOUNT",
        summary: "pay: sign a transaction and tell everybody",
        details: "FROM is me, or a name that this node owns or that nobody owns yet: the first key that signs for a \
                  name owns it. TO is a name, a PeerId, or me. AMOUNT is a whole number from 1 to 9007199254740991: \
                  count in cents if you need parts of a coin.",
        examples: &["tx me bob 5", "tx alice bob 5"],
    },
    CommandHelp {
        word: "claim",
        aliases: &[],
        usage: "claim NAME",
        summary: "make a free name this node's own",
        details: "A name has 1 to 32 of a-z, 0-9, _ and -, and starts with a letter. It is yours once a block holds \
                  the claim.",
        examples: &["claim alice"],
    },
    CommandHelp {
        word: "balance",
        aliases: &[],
        usage: "balance [ACCOUNT]",
        summary: "what an account owns or owes; alone: all that this node owns",
        details: "ACCOUNT is a name, a PeerId, or me. The pending balance is what it will be once every waiting \
                  transaction is in a block.",
        examples: &["balance", "balance alice"],
    },
    CommandHelp {
        word: "whoami",
        aliases: &["wallet"],
        usage: "whoami",
        summary: "this node's name, key and accounts (also: wallet)",
        details: "Rewards go to the name once the chain says that it is this node's own, until then to the key account.",
        examples: &["whoami"],
    },
    CommandHelp {
        word: "history",
        aliases: &[],
        usage: "history [ACCOUNT] [N]",
        summary: "payments, rewards and claims, with the balance after each; alone: all that is yours",
        details: "ACCOUNT is a name, a PeerId, or me (this node's key account); without it, this node's key account and all \
                  its names are taken together. N is how many of the newest are shown, 1 to 1000, default 20. Times are \
                  local: that of the block, or when this node first saw a transaction that waits.",
        examples: &["history", "history alice", "history alice 50"],
    },
    CommandHelp {
        word: "accounts",
        aliases: &[],
        usage: "accounts",
        summary: "accounts with balance and owner: this node's own, then the richest",
        details: "At most 1,000. With --json all own ones, and the first 1,000 by name.",
        examples: &["accounts"],
    },
    CommandHelp {
        word: "pending",
        aliases: &[],
        usage: "pending",
        summary: "transactions that wait for a block",
        details: "In the order in which the next block takes them.",
        examples: &["pending"],
    },
    CommandHelp {
        word: "transaction",
        aliases: &[],
        usage: "transaction TXID",
        summary: "where a transaction is, and the merkle proof that its block holds it",
        details: "TXID is the 64 hex digits that tx answered, or at least the first 4 while no other begins so.",
        examples: &["transaction 0000000000000000000000000000000000000000000000000000000000000000"],
    },
    CommandHelp {
        word: "mine",
        aliases: &[],
        usage: "mine [N] | mine on | mine off",
        summary: "mine N blocks (default 1), or mine on and on",
        details: "N is a whole number from 1 to 10000. The command ends when this node itself has mined N blocks; \
                  `mine off` and Ctrl-C end it earlier. Each block pays its miner the reward of the network (1 coin unless a network file says otherwise).",
        examples: &["mine", "mine 3", "mine on", "mine off"],
    },
    CommandHelp {
        word: "chain",
        aliases: &[],
        usage: "chain [N]",
        summary: "the newest N blocks (default 10) and the length",
        details: "N is a whole number from 1 to 1000, or all: the newest 1,000.",
        examples: &["chain", "chain 3", "chain all"],
    },
    CommandHelp {
        word: "block",
        aliases: &[],
        usage: "block HEIGHT|HASH",
        summary: "one block",
        details: "Only digits are a height of the active chain, unless four or more of them begin with a 0; a hash, or at \
                  least its first 4 digits, also finds blocks of side branches. latest is the newest block.",
        examples: &["block 0", "block latest"],
    },
    CommandHelp {
        word: "tree",
        aliases: &[],
        usage: "tree [N]",
        summary: "draw all branches, the active one first",
        details: "N is how many branches are shown, 1 to 1000, default 10. Each block shows its height, its hash, its miner and the \
                  work that it adds.",
        examples: &["tree", "tree 3"],
    },
    CommandHelp {
        word: "explain",
        aliases: &[],
        usage: "explain block HEIGHT|HASH | explain transaction TXID",
        summary: "byte by byte: what is hashed, what is signed, the way to the root",
        details: "A block: its 96 header bytes, what each means, the hash, and the target that it met. A transaction: its \
                  bytes, what the signature covers, and the merkle path, hashed step by step.",
        examples: &["explain block 1", "explain block 0", "explain transaction abcd"],
    },
    CommandHelp {
        word: "tamper",
        aliases: &[],
        usage: "tamper HEIGHT",
        summary: "change copies of a block and see which rule refuses each",
        details: "The copies live in a sandbox: nothing is kept and nothing is sent.",
        examples: &["tamper 1"],
    },
    CommandHelp {
        word: "stats",
        aliases: &[],
        usage: "stats [N]",
        summary: "block times, difficulty, who mined what, who owns most",
        details: "Of the newest N blocks, 1 to 1000, default 100.",
        examples: &["stats", "stats 20"],
    },
    CommandHelp {
        word: "peers",
        aliases: &[],
        usage: "peers",
        summary: "the connected nodes",
        details: "A name in brackets with a question mark is what the node says of itself; the chain does not prove \
                  it.",
        examples: &["peers"],
    },
    CommandHelp {
        word: "dial",
        aliases: &["register"],
        usage: "dial ADDRESS",
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
        summary: "a ticket with which another node joins this one",
        details: "The ticket says which network this is and where this node listens. It works as long as the node runs \
                  at the same address.",
        examples: &["invite"],
    },
    CommandHelp {
        word: "join",
        aliases: &[],
        usage: "join TICKET",
        summary: "connect to the node whose ticket this is",
        details: "TICKET is what `invite` answered there, in upper or lower case. A node on another network is started \
                  with --join TICKET instead.",
        examples: &["join aebwyylov6bfx3qxqsyuyi7lrfgqqyvokp6upms37fdo7imcluvo3xiykvcqcbgavaaqoebnlrmue3q"],
    },
    CommandHelp {
        word: "resolve",
        aliases: &[],
        usage: "resolve",
        summary: "ask every peer now for a chain with more work",
        details: "This happens by itself all the time; resolve asks at once and answers when done.",
        examples: &["resolve"],
    },
    CommandHelp {
        word: "rewind",
        aliases: &[],
        usage: "rewind",
        summary: "take off and delete own blocks from the future, after a clock was put right",
        details: "Back to the newest block that is not from the future, 512 blocks at most. Their payments wait again and are \
                  never signed anew. Who still has the blocks may bring them back when their time comes.",
        examples: &["rewind"],
    },
    CommandHelp {
        word: "drop",
        aliases: &[],
        usage: "drop PEER",
        summary: "close the connections to a node; it may come back at once",
        details: "PEER is a name or the last characters of a PeerId, both as peers shows them, or a whole PeerId.",
        examples: &["drop ben"],
    },
    CommandHelp {
        word: "ban",
        aliases: &[],
        usage: "ban PEER [MINUTES]",
        summary: "refuse a node for a while (default 60 min)",
        details: "MINUTES is a whole number from 1 to 1440. Bans are forgotten at the stop; peers shows them.",
        examples: &["ban ben", "ban ben 5"],
    },
    CommandHelp {
        word: "unban",
        aliases: &[],
        usage: "unban PEER",
        summary: "no longer refuse a node",
        details: "",
        examples: &["unban ben"],
    },
    CommandHelp {
        word: "doctor",
        aliases: &[],
        usage: "doctor",
        summary: "why nobody is seen: interfaces, multicast, clocks, what to type",
        details: "",
        examples: &["doctor"],
    },
    CommandHelp {
        word: "net",
        aliases: &[],
        usage: "net on | net off",
        summary: "pull the cable, or plug it in",
        details: "Mine on two nodes with the net off, then switch it on: the chain with more work wins.",
        examples: &["net off", "net on"],
    },
    CommandHelp {
        word: "status",
        aliases: &[],
        usage: "status",
        summary: "this node: address, height, work, peers, folder",
        details: "",
        examples: &["status"],
    },
    CommandHelp {
        word: "wait",
        aliases: &[],
        usage: "wait peers N | height N | synced | confirmed TXID [SECONDS]",
        summary: "wait for something, at most SECONDS (default 60)",
        details: "SECONDS is a whole number from 0 to 86400.",
        examples: &["wait peers 1", "wait height 3 30", "wait synced"],
    },
    CommandHelp {
        word: "watch",
        aliases: &[],
        usage: "watch [gossip] [blocks] [peers] | watch all | watch off",
        summary: "which events are shown in words; alone: what is shown now",
        details: "Warnings are always shown. With --json all events are written, whatever is watched.",
        examples: &["watch", "watch blocks", "watch gossip peers", "watch all", "watch off"],
    },
    CommandHelp {
        word: "log",
        aliases: &[],
        usage: "log LEVEL",
        summary: "how much the log says: off, error, warn, info, debug, trace",
        details: "",
        examples: &["log debug", "log info"],
    },
    CommandHelp {
        word: "web",
        aliases: &[],
        usage: "web",
        summary: "where the page of this node is: the chain as a picture, in a browser",
        details: "The page is started if it is off. Its address holds a token, with which the page may give commands: show it \
                  to nobody who must not pay with this node's accounts. With --web 0.0.0.0 others can look, without a token.",
        examples: &["web"],
    },
    CommandHelp {
        word: "help",
        aliases: &[],
        usage: "help [COMMAND]",
        summary: "this list, or one command in detail",
        details: "",
        examples: &["help", "help tx"],
    },
    CommandHelp {
        word: "quit",
        aliases: &["exit"],
        usage: "quit",
        summary: "stop the node",
        details: "",
        examples: &["quit"],
    },
];

/// Words that people try, each with the command that they mean.
const SYNONYMS: [(&str, &str); 13] = [
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
    for (words, usage, summary) in ROWS {
        text.push_str(&if words.is_empty() {
            format!("{usage}\n")
        } else if columns < TWO_COLUMNS_MIN {
            format!("  {usage}\n        {summary}\n")
        } else {
            format!("  {usage:<USAGE_COLUMNS$} {summary}\n")
        });
    }
    text.push_str("Try: tx me bob 5, then mine, then balance bob. More: help tx");
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

/// The canonical word of a command or topic that `help` explains.
#[must_use]
pub fn explained(word: &str) -> Option<&'static str> {
    let topic = TOPICS.iter().find(|(topic, _)| *topic == word).map(|(topic, _)| *topic);
    topic.or_else(|| find(word).map(|command| command.word))
}

/// The text of `help COMMAND`; none if the word is unknown.
#[must_use]
pub fn of_command(word: &str) -> Option<String> {
    if let Some((_, text)) = TOPICS.iter().find(|(topic, _)| *topic == word) {
        return Some((*text).to_owned());
    }
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

impl CommandHelp {
    /// The line to type after a mistake: an example that works on every node, else the help for the command.
    #[must_use]
    pub fn hint(&self) -> String {
        match self.word {
            "tx" | "claim" | "transaction" | "explain" | "tamper" | "dial" | "join" | "rewind" | "drop" | "ban"
            | "unban" | "net" | "quit" => format!("help {}", self.word),
            _ => self
                .examples
                .first()
                .map_or_else(|| format!("help {}", self.word), |example| (*example).to_owned()),
        }
    }
}

#[cfg(test)]
#[path = "help_tests.rs"]
mod tests;
