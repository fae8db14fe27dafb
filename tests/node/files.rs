//! Folders that somebody prepared, that lie on odd disks, or that may only be read.
//!
//! Promises: a process that hangs is ended and fails the test; a disk without permissions is feigned by a small library of
//! the test's own that is loaded into the node.
//! Spec: `proto-notes/store.md`, "Folders", "Files", "Private".

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::harness::{Node, QUIET, QUIET_JSON, binary};
use crate::namespace::{Interfaces, within};

/// Seconds after which a process counts as hung.
const HANGS: &str = "60";

/// Runs the program on a folder to its end, at most for a minute; the input is empty.
fn run_on(folder: &Path, words: &[&str], library: Option<&Path>) -> Output {
    let program = binary();
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", HANGS]).arg(program.get_program());
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    command.arg("--data-dir").arg(folder).args(words);
    command.stdin(Stdio::null());
    if let Some(library) = library {
        command.env("LD_PRELOAD", library);
    }
    command.output().expect("timeout is there")
}

fn start(folder: &Path) -> Output {
    run_on(folder, &QUIET, None)
}

fn tool(folder: &Path, words: &[&str]) -> Output {
    run_on(folder, &[&["--network", "dev"], words].concat(), None)
}

/// It ended with 3 and these words.
fn refused(output: &Output, words: &str) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(words) && text.contains("hint: "), "{words}: {text}");
    text
}

fn succeeded(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    text
}

fn used_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    succeeded(&run_on(
        folder.path(),
        &[&QUIET[..], &["--exec", "mine 2"]].concat(),
        None,
    ));
    folder
}

fn make_pipe(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status();
    assert!(status.is_ok_and(|status| status.success()), "mkfifo {path:?}");
}

#[test]
fn adv_t22_links_and_pipes_in_a_prepared_folder_destroy_nothing_and_hang_nothing() {
    let folder = used_folder();
    let at = |name: &str| folder.path().join(name);
    let (kept, precious) = (at("kept"), at("precious"));
    fs::write(&precious, "text").expect("written");
    for name in ["lock", "key", "network", "chain.redb"] {
        fs::rename(at(name), &kept).expect("it is there");
        symlink(&precious, at(name)).expect("a link");
        refused(&start(folder.path()), "it is a symbolic link");
        assert_eq!(fs::read(&precious).expect("a file"), b"text", "{name}");
        fs::remove_file(at(name)).expect("a link");
        make_pipe(&at(name));
        refused(&start(folder.path()), "it is a named pipe");
        fs::rename(&kept, at(name)).expect("it is there");
    }
    for name in ["port", "addresses", "history"] {
        fs::remove_file(at(name)).unwrap_or_default();
        make_pipe(&at(name));
    }
    // A copy made of second names: what is written here would change the copy.
    fs::hard_link(at("chain.redb"), &kept).expect("a second name");
    refused(&start(folder.path()), "2 names");
    fs::remove_file(&kept).expect("it is there");
    succeeded(&start(folder.path()));
}

#[test]
fn adv_t22_every_file_of_a_folder_is_its_owners_alone() {
    let folder = used_folder();
    for name in ["lock", "key", "network", "chain.redb", "port"] {
        let mode = fs::metadata(folder.path().join(name)).expect(name).permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).expect("its owner may");
    let text = refused(&start(folder.path()), "everybody on this machine can write");
    assert!(text.contains("chmod go-w"), "{text}");
    succeeded(&run_on(
        folder.path(),
        &[&QUIET[..], &["--allow-exposed-folder"]].concat(),
        None,
    ));
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o775)).expect("its owner may");
    let text = succeeded(&start(folder.path()));
    assert!(text.contains("members of its group can write"), "{text}");
}

/// Shows every file as open to all, as FAT, shared folders and the Windows disks of WSL do.
const SHOWING_ALL_OPEN: &str = "
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/stat.h>
int statx(int folder, const char *path, int flags, unsigned mask, struct statx *found) {
    int (*real)(int, const char *, int, unsigned, struct statx *) = dlsym(RTLD_NEXT, \"statx\");
    int result = real(folder, path, flags, mask, found);
    if (result == 0) found->stx_mode |= 0777;
    return result;
}
";

/// Builds the library; none where no C compiler is, or where programs load none.
fn library(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("open.c"), folder.join("open.so"));
    fs::write(&source, SHOWING_ALL_OPEN).expect("a file");
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl");
    let is_made = compiler.status().is_ok_and(|status| status.success());
    (is_made && cfg!(target_env = "gnu")).then_some(library)
}

#[test]
fn adv_k12_a_disk_without_permissions_is_told_before_a_key_is_made_and_can_be_accepted() {
    let scratch = tempfile::tempdir().expect("a folder");
    let Some(library) = library(scratch.path()) else {
        return eprintln!("SKIPPED: there is no C compiler (cc) here, a disk without permissions was NOT tested");
    };
    let library = Some(&*library);
    let (folder, copy) = (scratch.path().join("node"), scratch.path().join("copy"));
    let accepting = |words: &[&str]| run_on(&folder, &[words, &["--allow-exposed-folder"]].concat(), library);
    let text = refused(&run_on(&folder, &QUIET, library), "keeps no permissions");
    assert!(
        text.contains("chmod changes nothing") && text.contains("--allow-exposed-folder"),
        "{text}"
    );
    assert!(!folder.exists(), "no key was made, and nothing else");

    succeeded(&accepting(&[&QUIET[..], &["--exec", "mine"]].concat()));
    refused(&run_on(&folder, &QUIET, library), "keeps no permissions");
    let dev = ["--network", "dev"];
    let copy_name = copy.to_str().expect("UTF-8");
    let export = [&dev[..], &["key", "export", copy_name]].concat();
    refused(&run_on(&folder, &export, library), "chmod changes nothing");
    assert!(!copy.exists());
    succeeded(&accepting(&export));
    let other = scratch.path().join("other");
    let import = [&dev[..], &["key", "import", copy_name]].concat();
    refused(&run_on(&other, &import, library), "lanchain key import - < FILE");
    assert!(!other.exists());
    succeeded(&run_on(
        &other,
        &[&import[..], &["--allow-exposed-folder"]].concat(),
        library,
    ));
    assert_eq!(
        fs::read(other.join("key")).expect("a key"),
        fs::read(folder.join("key")).expect("a key")
    );
}

#[test]
fn adv_t23_a_copy_on_a_read_only_disk_is_verified_exported_and_its_key_taken_along() {
    within(
        "files::adv_t23_a_copy_on_a_read_only_disk_is_verified_exported_and_its_key_taken_along",
        Interfaces::Loopback,
        || {
            let disk = tempfile::tempdir().expect("a folder");
            let folder = disk.path().join("copy");
            let mount = |words: &[&str]| {
                let status = Command::new("mount").args(words).arg(disk.path()).status();
                assert!(status.is_ok_and(|status| status.success()), "mount {words:?}");
            };
            mount(&["-t", "tmpfs", "-o", "size=16m", "tmpfs"]);
            // Ended as by a power cut: redb has something to repair.
            let mut node = Node::in_folder(&folder);
            node.ok("mine 3");
            node.kill();
            mount(&["-o", "remount,ro"]);
            succeeded(&tool(&folder, &["verify"]));
            let exported = tool(&folder, &["export"]);
            succeeded(&exported);
            assert_eq!(String::from_utf8_lossy(&exported.stdout).lines().count(), 4);
            succeeded(&tool(&folder, &["key", "export", "-"]));
            refused(&start(&folder), "Read-only");
            let status = Command::new("umount").arg(disk.path()).status();
            assert!(status.is_ok_and(|status| status.success()), "umount");
        },
    );
}

/// Starts a node from a shell that has set its limits so.
fn with_limits(shell: &str) -> Node {
    let program = binary();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{shell}; exec \"$@\""), "sh"]);
    command.arg(program.get_program()).args(QUIET_JSON);
    for (name, _) in program.get_envs() {
        command.env_remove(name);
    }
    Node::spawn(command)
}

/// The soft and the hard limit of a process.
fn limits(node: &Node, name: &str) -> (String, String) {
    let limits = fs::read_to_string(format!("/proc/{}/limits", node.pid())).expect("Linux");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .expect("a limit");
    let mut figures = line.split_whitespace().map(str::to_owned);
    (figures.next().expect("a figure"), figures.next().expect("a figure"))
}

#[test]
fn adv_k13_a_node_leaves_no_core_dump() {
    let node = with_limits("ulimit -S -c $(ulimit -H -c)");
    let (soft, hard) = limits(&node, "Max core file size");
    assert!(soft == hard && (soft == "1" || soft == "0"), "{soft} {hard}");
    assert!(node.stop().success());
}

#[test]
fn adv_p18_the_limit_of_open_files_is_raised_and_too_little_is_told() {
    let mut node = with_limits("ulimit -S -n 64");
    let (soft, _) = limits(&node, "Max open files");
    assert_eq!(soft, "512");
    assert_eq!(node.log_count("ulimit -n 512"), 0);
    node.ok("mine");
    assert!(node.stop().success());

    let mut node = with_limits("ulimit -n 64");
    node.wait_log("this process may open 64 files and connections");
    node.ok("mine");
    assert!(node.stop().success());
}
