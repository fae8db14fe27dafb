//! The program's knowledge of itself: its folders, completions for shells, the manual page.

use std::path::{Path, PathBuf};

use clap_complete::Shell;
use serde::Serialize;

use super::folder::choice;
use super::{Failure, Finding, STATUS_USAGE, print};
use crate::cli::{self, Args};
use crate::console::help::COMMANDS;
use crate::store::{FolderChoice, FoundFolder, places};

/// The paths of the data folders, for the reply of `paths`.
#[derive(Serialize)]
pub(super) struct Paths {
    pub(super) data_dir: Option<PathBuf>,
    pub(super) network: String,
    pub(super) network_id: String,
    pub(super) network_dir: Option<PathBuf>,
    pub(super) folders: Vec<FolderView>,
}

#[derive(Serialize)]
pub(super) struct FolderView {
    pub(super) path: PathBuf,
    pub(super) running: bool,
    pub(super) pid: Option<u32>,
}

impl From<FoundFolder> for FolderView {
    fn from(place: FoundFolder) -> Self {
        Self {
            path: place.path,
            running: place.running,
            pid: place.pid,
        }
    }
}

impl Finding for Paths {
    fn words(&self) -> String {
        let shown = |path: &Option<PathBuf>| {
            path.as_deref()
                .map_or("-".into(), |path: &Path| path.display().to_string())
        };
        let mut text = format!(
            "data directory  {}\nnetwork         {} (id {})\nits folders in  {}\n",
            shown(&self.data_dir),
            self.network,
            self.network_id.get(..8).unwrap_or_default(),
            shown(&self.network_dir),
        );
        for folder in &self.folders {
            let state = match (folder.running, folder.pid) {
                (true, Some(pid)) => format!("a node runs in it, process {pid}"),
                (true, None) => "a node runs in it".to_owned(),
                (false, _) => "free".to_owned(),
            };
            text.push_str(&format!("  {}  {state}\n", folder.path.display()));
        }
        if self.folders.is_empty() {
            text.push_str("  none yet\n");
        }
        text
    }
}

/// The folders of the network, or only the one that the user named.
pub(super) fn paths(args: &Args) -> Result<Option<Paths>, Failure> {
    let (data_dir, network_dir, folders) = match choice(args) {
        FolderChoice::Dir(path) => (None, None, vec![places::place(path)]),
        FolderChoice::Temp | FolderChoice::Slot { .. } => {
            let data_dir = places::data_dir()?;
            let network_dir = places::folder_of(&data_dir, &args.network);
            let mut folders = places::slots(&network_dir);
            if let Some(name) = &args.name {
                folders.retain(|place| place.path.ends_with(name.as_str()));
            }
            (Some(data_dir), Some(network_dir), folders)
        }
    };
    Ok(Some(Paths {
        data_dir,
        network: args.network.label(),
        network_id: args.network.network_id().to_string(),
        network_dir,
        folders: folders.into_iter().map(FolderView::from).collect(),
    }))
}

/// Prints the completions for a shell; returns the exit status.
pub(super) fn completions(shell: Shell) -> u8 {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "lanchain", &mut text);
    print(&String::from_utf8_lossy(&text))
}

/// Prints the manual page of the program or of one task; returns the exit status.
pub(super) fn man(task: Option<&str>) -> u8 {
    let mut command = cli::command();
    command.build();
    let page = match task {
        None => Some(command.clone()),
        Some(word) => command.find_subcommand(word).cloned(),
    };
    let Some(page) = page else {
        eprintln!("error: there is no task of this name\nhint: lanchain --help");
        return STATUS_USAGE;
    };
    // The page of `lanchain ctl` is called lanchain-ctl.
    let name = page.get_display_name().unwrap_or(page.get_name()).replace(' ', "-");
    let mut text = Vec::new();
    if let Err(error) = clap_mangen::Man::new(page).title(name).render(&mut text) {
        eprintln!("error: {error}");
        return super::STATUS_FAILED;
    }
    // The words of the prompt are what `ctl` and `attach` take too.
    if matches!(task, None | Some("ctl" | "attach")) {
        text.extend_from_slice(prompt_words().as_bytes());
    }
    print(&String::from_utf8_lossy(&text))
}

/// The words of the prompt as a section of the manual page.
fn prompt_words() -> String {
    let safe = |text: &str| text.replace('\\', "\\\\").replace('-', "\\-");
    let mut section = ".SH COMMANDS OF THE PROMPT\n".to_owned();
    for command in &COMMANDS {
        let also = match command.aliases {
            [] => String::new(),
            aliases => format!(" (also {})", aliases.join(", ")),
        };
        section.push_str(&format!(
            ".TP\n\\fB{}\\fR{}\n{}\n",
            safe(command.usage),
            safe(&also),
            safe(command.summary)
        ));
    }
    section
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_page_lists_every_word_of_the_prompt() {
        let section = prompt_words();
        for command in &COMMANDS {
            assert!(section.contains(&format!(".TP\n\\fB{}", command.word)), "{section}");
            for alias in command.aliases {
                assert!(section.contains(alias), "{alias}");
            }
        }
        let starts = section.lines().filter(|line| line.starts_with('.'));
        assert_eq!(starts.count(), 1 + COMMANDS.len(), "no other line is an order to roff");
    }
}
