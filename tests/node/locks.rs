//! Disks that hold no data folder: without locks, or without room.
//!
//! Promises: locks are refused by a small library of the test's own that is loaded into the node; disks are memory of a
//! mount namespace.
//! Spec: `proto-notes/store.md`, "Folders".

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{QUIET, binary, run};
use crate::namespace::{Interfaces, within};

/// Refuses locks as a network disk does that has no service for them.
const REFUSING: &str = "
#include <errno.h>
int flock(int file, int operation) { (void)file; (void)operation; errno = ENOLCK; return -1; }
";

/// Builds the library; none where no C compiler is, or where programs load none.
fn refusing_library(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("refuse.c"), folder.join("refuse.so"));
    std::fs::write(&source, REFUSING).expect("a file");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let is_made = compiler.status().is_ok_and(|status| status.success());
    (is_made && cfg!(target_env = "gnu")).then_some(library)
}

/// Runs a node to its end on a system whose locks are refused by this library.
fn run_without_locks<I: AsRef<OsStr>>(library: &Path, temp: &Path, args: impl IntoIterator<Item = I>) -> Output {
    let mut command = binary();
    command.args(args).env("LD_PRELOAD", library);
    command
        .env("TMPDIR", temp)
        .env("HOME", temp)
        .env("XDG_DATA_HOME", temp.join("data"));
    command.stdin(Stdio::null()).output().expect("the binary starts")
}

/// A node on this folder that finds nobody.
fn quiet_on(folder: &Path) -> impl Iterator<Item = &OsStr> {
    let folder = [OsStr::new("--data-dir"), folder.as_os_str()];
    QUIET.iter().map(OsStr::new).chain(folder)
}

/// Every file below a folder, with its size and a hash of its content.
fn content(folder: &Path) -> BTreeMap<PathBuf, (usize, u64)> {
    let mut found = BTreeMap::new();
    let entries = std::fs::read_dir(folder).expect("a folder");
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            found.extend(content(&path));
            found.insert(path, (0, 0));
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            let mut hasher = DefaultHasher::new();
            hasher.write(&bytes);
            found.insert(path, (bytes.len(), hasher.finish()));
        }
    }
    found
}

/// The words of a refusal with exit status 3, before anything was written to standard output.
fn refusal(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(output.stdout.is_empty(), "{text}");
    assert!(text.contains("hint: "), "{text}");
    text
}

#[test]
fn adv_t15_a_disk_without_locks_is_refused_with_its_remedy_and_left_as_it_was() {
    let scratch = tempfile::tempdir().expect("a folder");
    let Some(library) = refusing_library(scratch.path()) else {
        return eprintln!("SKIPPED: there is no C compiler (cc) here, a disk without locks was NOT tested");
    };
    let temp = scratch.path().join("temp");
    std::fs::create_dir(&temp).expect("a folder");
    let old = temp.join("old");
    assert!(run(quiet_on(&old), "mine\n").status.success());
    let before = content(&temp);
    for folder in [old, temp.join("new").join("below")] {
        let text = refusal(&run_without_locks(&library, &temp, quiet_on(&folder)));
        assert!(text.contains("no file locks on this disk"), "{text}");
        assert!(text.contains(folder.to_str().expect("UTF-8")), "{text}");
        assert!(text.contains("--data-dir DIR"), "{text}");
        assert!(!text.contains("no-lock") && !text.contains("in use"), "{text}");
        assert_eq!(content(&temp), before, "nothing is changed and nothing new is left");
    }
    let slot = refusal(&run_without_locks(&library, &temp, QUIET));
    assert!(
        slot.contains("no file locks on this disk"),
        "one slot is like the other: {slot}"
    );
    refusal(&run_without_locks(&library, &temp, QUIET.iter().chain(&["--temp"])));
    assert_eq!(content(&temp), before, "nothing is changed and nothing new is left");
    let way_round = run(["--no-lock", "--temp"], "");
    assert_eq!(way_round.status.code(), Some(2), "there is no way round the lock");
}

/// Mounts memory with so much room, or gives what is mounted more.
fn mount(options: &str, folder: &Path) {
    let mut command = Command::new("mount");
    command.args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder);
    assert!(
        command.status().is_ok_and(|status| status.success()),
        "mount -o {options}"
    );
}

fn unmount(folder: &Path) {
    let status = Command::new("umount").arg(folder).status();
    assert!(status.is_ok_and(|status| status.success()), "umount");
}

#[test]
fn adv_t15_a_start_on_a_full_disk_says_so_and_succeeds_when_there_is_room() {
    within(
        "locks::adv_t15_a_start_on_a_full_disk_says_so_and_succeeds_when_there_is_room",
        Interfaces::Loopback,
        || {
            let disk = tempfile::tempdir().expect("a folder");
            let data = disk.path().join("data");
            // No room for the folder, for the chain, for the key, for the last of the files.
            for room in ["size=4k,nr_inodes=1", "size=4k", "size=60k", "size=64k"] {
                mount(room, disk.path());
                let text = refusal(&run(quiet_on(&data), "status\n"));
                assert!(text.contains("the disk is full"), "{room}: {text}");
                assert!(text.contains(data.to_str().expect("UTF-8")), "{room}: {text}");
                assert!(text.contains("make room"), "{room}: {text}");
                assert_eq!(content(disk.path()), BTreeMap::new(), "{room}: nothing is left");
                mount("remount,size=16m,nr_inodes=1000", disk.path());
                let output = run(quiet_on(&data), "mine\n");
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{room}: {text}");
                unmount(disk.path());
            }
        },
    );
}

#[test]
fn adv_t15_a_chain_on_a_full_disk_is_read_and_goes_on_when_there_is_room() {
    within(
        "locks::adv_t15_a_chain_on_a_full_disk_is_read_and_goes_on_when_there_is_room",
        Interfaces::Loopback,
        || {
            let disk = tempfile::tempdir().expect("a folder");
            mount("size=4m", disk.path());
            let data = disk.path().join("data");
            assert!(run(quiet_on(&data), "mine 3\n").status.success());
            let filler = disk.path().join("filler");
            // Stops at the first byte that does not fit.
            std::fs::write(&filler, vec![1; 8 * 1024 * 1024]).expect_err("the disk is full");
            for (input, owned) in [("balance\n", "owns 3 coins"), ("mine\nbalance\n", "owns 4 coins")] {
                let output = run(quiet_on(&data), input);
                let told = String::from_utf8_lossy(&output.stdout);
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success() && told.contains(owned), "{told}{text}");
                std::fs::remove_file(&filler).unwrap_or_default();
            }
        },
    );
}
