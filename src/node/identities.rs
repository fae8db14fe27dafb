//! The other identities of a network on this machine: each folder has a key, and with it names and coins.
//!
//! Promises: nothing in another folder is changed or locked; the work is bounded.
//! Elsewhere: finding folders (`store::places`), what is said of a key that owns a name (`engine::naming`).
//! Spec: `proto-notes/events.md`, "Command line".

use std::path::Path;

use crate::chain::{ChainStore, StoreError};
use crate::cli::{Args, shell_word};
use crate::store::folder::SLOT;
use crate::store::{FoundFolder, places};
use crate::types::{Account, PublicKey};

/// The most folders that are looked at: more than one machine has for one network.
const IDENTITIES_MAX: usize = 32;
/// The most accounts that are looked at to tell what they own: a tenth of a second.
const ACCOUNTS_MAX: usize = 20_000;
/// The most that are listed at the start.
const LISTED_MAX: usize = 8;

/// The identity in another folder.
pub(super) struct Identity {
    pub(super) key: PublicKey,
    folder: FoundFolder,
    holding: Holding,
}

/// What a key owns in the chain of this node, as far as it is known here.
#[derive(Default)]
struct Holding {
    names: Vec<String>,
    coins: i128,
}

impl Holding {
    /// "; owns anna, alice: 12 coins"; empty if there is nothing.
    fn sentence(&self) -> String {
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).take(LISTED_MAX).collect();
        let more = self.names.len().saturating_sub(LISTED_MAX);
        let more = (more > 0).then(|| format!("{more} more names"));
        names.extend(more.as_deref());
        let coins = match self.coins {
            0 => None,
            1 => Some("1 coin".to_owned()),
            owed if owed < 0 => Some(format!("{owed} coins")),
            coins => Some(format!("{coins} coins")),
        };
        match (names.is_empty(), coins) {
            (true, None) => String::new(),
            (true, Some(coins)) => format!("; owns {coins}"),
            (false, None) => format!("; owns {}", names.join(", ")),
            (false, Some(coins)) => format!("; owns {} and {coins}", names.join(", ")),
        }
    }
}

/// Adds what each identity owns in this chain. Of very many names the first are looked at: a start is waited for.
pub(super) fn look_up(others: &mut [Identity], store: &impl ChainStore) -> Result<(), StoreError> {
    if others.is_empty() {
        return Ok(());
    }
    let (_, accounts) = store.accounts(ACCOUNTS_MAX)?;
    for (account, state) in &accounts {
        let identity = others.iter_mut().find(|identity| Some(identity.key) == state.owner);
        if let (Some(identity), Account::Name(name)) = (identity, account) {
            identity.holding.names.push(name.to_string());
            identity.holding.coins += i128::from(state.balance);
        }
    }
    for identity in others {
        let of_key = store.account(&Account::Key(identity.key))?;
        identity.holding.coins += of_key.map_or(0, |state| i128::from(state.balance));
    }
    Ok(())
}

/// The identities of this network in the user's data directory, without the own one.
pub(super) fn others(args: &Args, own: &PublicKey) -> Vec<Identity> {
    let Ok(data_dir) = places::data_dir() else {
        return Vec::new();
    };
    let folders = places::slots(&places::folder_of(&data_dir, &args.network));
    let read = |folder: FoundFolder| {
        let key = places::read_key(&folder.path, args.trust).ok()?.public();
        Some(Identity {
            key,
            folder,
            holding: Holding::default(),
        })
    };
    let found = folders.into_iter().take(IDENTITIES_MAX).filter_map(read);
    found.filter(|identity| identity.key != *own).collect()
}

impl Identity {
    /// Where the key is, and the line that reaches its node.
    pub(super) fn told(&self, args: &Args) -> String {
        let name = name_of(&self.folder.path);
        let (line, does) = match self.folder.running {
            true => (
                format!("lanchain attach{} --name {name}", args.network_flag()),
                "reaches",
            ),
            false => (start_line(&self.folder.path, args), "starts"),
        };
        format!("it is in the folder {name} here: `{line}` {does} its node")
    }

    fn short(&self) -> String {
        let id = self.key.peer_id().to_string();
        let from = id.len().saturating_sub(8);
        let runs = if self.folder.running { ", running" } else { "" };
        let owns = self.holding.sentence();
        format!("{} (…{}{runs}{owns})", name_of(&self.folder.path), &id[from..])
    }
}

/// The line that starts a node in a folder. The first slot is taken without a flag; `--name` would claim a name for it.
fn start_line(path: &Path, args: &Args) -> String {
    let (name, network) = (name_of(path), args.network_flag());
    if name == SLOT {
        return format!("lanchain{network}");
    }
    if name.starts_with(&format!("{SLOT}-")) {
        return format!(
            "lanchain{network} --data-dir {}",
            shell_word(&path.display().to_string())
        );
    }
    format!("lanchain{network} --name {name}")
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| shell_word(&name.to_string_lossy()))
        .unwrap_or_default()
}

/// The other identities in one sentence; none if there are none.
pub(super) fn sentence(others: &[Identity]) -> Option<String> {
    let mut list: Vec<_> = others.iter().take(LISTED_MAX).map(Identity::short).collect();
    match others.len().saturating_sub(LISTED_MAX) {
        0 => {}
        more => list.push(format!("{more} more")),
    }
    let what = if others.len() == 1 {
        "another identity"
    } else {
        "other identities"
    };
    (!list.is_empty()).then(|| format!("{what} of this network on this machine: {}", list.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SecretKey;

    fn identity(seed: u8, name: &str, running: bool) -> Identity {
        Identity {
            key: SecretKey::from_seed([seed; 32]).public(),
            folder: FoundFolder {
                path: Path::new("/home/a b").join(name),
                running,
                pid: None,
            },
            holding: Holding::default(),
        }
    }

    #[test]
    fn each_identity_is_told_with_the_line_that_reaches_it() {
        let args = |line: &[&str]| Args::read([&["lanchain"], line].concat()).unwrap();
        let (plain, dev) = (args(&[]), args(&["--network", "dev"]));
        for (name, running, args, wanted) in [
            ("anna", false, &plain, "`lanchain --name anna` starts"),
            ("anna", false, &dev, "`lanchain --network dev --name anna` starts"),
            (
                "anna",
                true,
                &dev,
                "`lanchain attach --network dev --name anna` reaches",
            ),
            ("node", false, &plain, "`lanchain` starts"),
            (
                "node-2",
                false,
                &plain,
                "`lanchain --data-dir '/home/a b/node-2'` starts",
            ),
            ("node-2", true, &plain, "`lanchain attach --name node-2` reaches"),
        ] {
            let told = identity(1, name, running).told(args);
            assert!(told.contains(wanted), "{told}");
        }
    }

    #[test]
    fn the_start_lists_a_few_and_counts_the_others() {
        assert_eq!(sentence(&[]), None);
        let one = sentence(&[identity(1, "node", true)]).unwrap();
        assert!(
            one.starts_with("another identity of this network on this machine: node (…"),
            "{one}"
        );
        assert!(one.ends_with(", running)"), "{one}");
        let mut rich = identity(1, "anna", false);
        rich.holding = Holding {
            names: vec!["alice".into(), "anna".into()],
            coins: 12,
        };
        let one = sentence(&[rich]).unwrap();
        assert!(one.ends_with("; owns alice, anna and 12 coins)"), "{one}");
        let many: Vec<_> = (0..10).map(|seed| identity(seed, "x", false)).collect();
        assert!(sentence(&many).unwrap().ends_with(", 2 more"));
    }
}
