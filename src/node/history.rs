//! The lines that were typed at a prompt, in the file `history` of the data folder.
//!
//! Promises: the file is opened as every other file of the folder; it stays below [`FILE_MAX_BYTES`]; a history that cannot
//! be read or written is no reason not to start.
//! Elsewhere: what a prompt does with it (`console::prompt`).
//! Spec: `proto-notes/store.md`, "Folders".

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::console::input::LINE_MAX_BYTES;
use crate::console::prompt::{HISTORY_MAX, History};
use crate::store::files::{self, Access, Durable, Owner};

/// The file's name.
const FILE: &str = "history";
/// The most bytes of the file: the longest lines that a prompt remembers, twice; then the older half is dropped.
const FILE_MAX_BYTES: usize = 2 * HISTORY_MAX * LINE_MAX_BYTES;
/// Begins the file: in this form a backslash is written twice. rustyline wrote it too.
const FORM: &str = "#V2";

/// The history file of a folder.
pub(super) struct HistoryFile(PathBuf);

impl HistoryFile {
    /// That of this folder.
    pub(super) fn of(folder: &Path) -> Self {
        Self(folder.join(FILE))
    }

    fn read(&self) -> io::Result<Vec<String>> {
        let limit = u64::try_from(FILE_MAX_BYTES).unwrap_or(u64::MAX);
        let bytes = files::read_start(&self.0, limit, Owner::Me)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let newest = lines.len().saturating_sub(HISTORY_MAX);
        let lines: Vec<String> = lines[newest..].iter().map(|line| line.replace("\\\\", "\\")).collect();
        if newest > HISTORY_MAX || bytes.len() > FILE_MAX_BYTES / 2 {
            let kept: String = lines.iter().map(|line| written(line)).collect();
            files::replace(&self.0, format!("{FORM}\n{kept}").as_bytes(), Durable::No)?;
        }
        Ok(lines)
    }

    fn append(&self, line: &str) -> io::Result<()> {
        let (mut file, is_new) = files::open_or_create(&self.0, Access::Append, Owner::Me)?;
        if file.metadata()?.len() > u64::try_from(FILE_MAX_BYTES).unwrap_or(u64::MAX) {
            return Ok(());
        }
        let form = if is_new { format!("{FORM}\n") } else { String::new() };
        // At once: another prompt of the same node may write too.
        file.write_all(format!("{form}{}", written(line)).as_bytes())
    }
}

fn written(line: &str) -> String {
    format!("{}\n", line.replace('\\', "\\\\"))
}

impl History for HistoryFile {
    fn lines(&mut self) -> Vec<String> {
        self.read().unwrap_or_else(|error| {
            tracing::debug!(%error, "the history is not read");
            Vec::new()
        })
    }

    fn keep(&mut self, line: &str) {
        if let Err(error) = self.append(line) {
            tracing::debug!(%error, "the line is not kept in the history");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_back_in_their_order_and_old_ones_leave() {
        let folder = tempfile::tempdir().unwrap();
        let mut history = HistoryFile::of(folder.path());
        assert!(history.lines().is_empty());
        history.keep("dial a\\b");
        history.keep("mine");
        assert_eq!(history.lines(), ["dial a\\b", "mine"]);
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text, "#V2\ndial a\\\\b\nmine\n");
        for number in 0..2 * HISTORY_MAX {
            history.keep(&format!("balance n{number}"));
        }
        assert_eq!(history.lines().len(), HISTORY_MAX);
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(text.lines().count(), HISTORY_MAX + 1);
        assert_eq!(
            history.lines().last().unwrap(),
            &format!("balance n{}", 2 * HISTORY_MAX - 1)
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_its_place_is_neither_read_nor_written() {
        let folder = tempfile::tempdir().unwrap();
        let precious = folder.path().join("precious");
        std::fs::write(&precious, "text\n").unwrap();
        std::os::unix::fs::symlink(&precious, folder.path().join(FILE)).unwrap();
        let mut history = HistoryFile::of(folder.path());
        assert!(history.lines().is_empty());
        history.keep("mine");
        assert_eq!(std::fs::read_to_string(&precious).unwrap(), "text\n");
    }

    #[test]
    fn a_file_that_is_too_large_gets_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let text = vec![b'x'; FILE_MAX_BYTES + 1];
        std::fs::write(&path, &text).unwrap();
        HistoryFile::of(folder.path()).keep("mine");
        assert_eq!(std::fs::read(&path).unwrap().len(), text.len());
    }
}
