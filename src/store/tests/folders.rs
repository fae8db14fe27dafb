//! Folders: slots, locks, refusals, keys, siblings.

use std::fs;
use std::sync::Barrier;
use std::thread;

use super::*;
use crate::chain::ChainStore;
use crate::store::folder::check_network_file;
use crate::store::{Folder, FolderChoice, OpenError, Reading, RedbStore, Trust};

fn dir(path: &Path) -> FolderChoice {
    FolderChoice::Dir(path.to_path_buf())
}

#[test]
fn a_new_folder_is_complete_and_keeps_its_key_and_port() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let params = NetworkParams::dev();
    let folder = Folder::open(dir(&path), &params, Trust::Private).unwrap();
    let key = folder.secret_key().public();
    assert_eq!(
        (folder.path(), folder.is_temp(), folder.last_port()),
        (&*path, false, None)
    );
    folder.set_last_port(4001).unwrap();
    let store = RedbStore::open(&folder.chain_path(), &params).unwrap();
    assert_eq!(store.tip().unwrap().1, genesis_hash(&params));
    drop((store, folder));

    let folder = Folder::open(dir(&path), &params, Trust::Private).unwrap();
    assert_eq!(folder.secret_key().public(), key);
    assert_eq!(folder.last_port(), Some(4001));
    let network = fs::read_to_string(path.join("network")).unwrap();
    assert_eq!(network, format!("lanchain 2\ndev\n{}\n", params.network_id()));
}

#[cfg(unix)]
#[test]
fn a_new_folder_and_its_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("new");
    let _folder = Folder::open(dir(&path), &NetworkParams::dev(), Trust::Private).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("key")), 0o600);
}

#[test]
fn eight_nodes_started_at_once_take_eight_slots() {
    let data = tempfile::tempdir().unwrap();
    let params = NetworkParams::built_in("dev:room").unwrap();
    let barrier = Barrier::new(8);
    let open = || {
        barrier.wait();
        Folder::open_slot(data.path(), None, &params, Trust::Private).unwrap()
    };
    let folders: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut names: Vec<_> = folders.iter().map(|folder| folder.path().to_path_buf()).collect();
    names.sort();
    let id = params.network_id().to_string();
    let parent = data.path().join("lanchain").join(format!("dev-room-{}", &id[..8]));
    let mut expected = vec![parent.join("node")];
    expected.extend((2..=8).map(|number| parent.join(format!("node-{number}"))));
    assert_eq!(names, expected);

    drop(folders);
    let folder = Folder::open_slot(data.path(), None, &params, Trust::Private).unwrap();
    assert_eq!(folder.path(), expected[0]);
}

#[test]
fn a_folder_in_use_is_refused_with_its_name_and_process() {
    let data = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let folder = Folder::open_slot(data.path(), Some("anna"), &params, Trust::Private).unwrap();
    let before = snapshot(data.path());
    let error = Folder::open_slot(data.path(), Some("anna"), &params, Trust::Private).unwrap_err();
    let expected = OpenError::InUse {
        path: folder.path().to_path_buf(),
        pid: Some(std::process::id()),
    };
    assert_eq!(error, expected);
    assert!(error.to_string().contains("anna"));
    assert_eq!(snapshot(data.path()), before);
}

#[test]
fn a_slot_name_never_leaves_its_folder() {
    let data = tempfile::tempdir().unwrap();
    for bad in ["..", "../x", "a/b", "/tmp", "", "A", "0", "me"] {
        let error = Folder::open_slot(data.path(), Some(bad), &NetworkParams::dev(), Trust::Private).unwrap_err();
        assert_eq!(error, OpenError::BadName(bad.to_owned()));
    }
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

/// Breaks a complete folder, expects the refusal, and that it changes nothing.
fn refused(network: &NetworkParams, code: &str, damage: impl FnOnce(&Path)) -> OpenError {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("node");
    drop(Folder::open(dir(&path), &NetworkParams::dev(), Trust::Private).unwrap());
    damage(&path);
    let before = snapshot(parent.path());
    let error = Folder::open(dir(&path), network, Trust::Private).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    assert_eq!(snapshot(parent.path()), before);
    error
}

/// Fuzzing found the control characters of a foreign `network` file in the error that a terminal shows.
#[test]
fn what_a_network_file_says_cannot_move_the_cursor() {
    for text in [
        "lanchain 1\n\u{1b}[31mlan\nab\u{7}cd\n",
        "lanchain 1\na\u{202e}b\n\u{85}\u{9b}31m\n",
    ] {
        let error = check_network_file(Path::new("folder"), text.as_bytes(), &NetworkParams::dev()).unwrap_err();
        assert_eq!(error.code(), "other_network");
        let shown = format!("{error} {}", error.hint());
        assert!(
            !shown.contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{shown:?}"
        );
    }
}

#[test]
fn another_networks_folder_is_refused_and_not_changed() {
    let error = refused(&NetworkParams::coin(), "other_network", |_| {});
    assert!(error.hint().contains("--network dev"));
    refused(&NetworkParams::coin(), "other_network", |path| {
        fs::remove_file(path.join("lock")).unwrap();
    });
    // Without the note of the network the chain file itself says it.
    refused(&NetworkParams::coin(), "other_network", |path| {
        fs::remove_file(path.join("network")).unwrap();
    });
}

#[test]
fn a_newer_folder_is_refused_and_not_changed() {
    refused(&NetworkParams::dev(), "newer_format", |path| {
        fs::write(path.join("network"), "lanchain 3\nwhatever comes\n").unwrap();
    });
}

#[test]
fn a_folder_with_a_missing_or_broken_file_is_refused_and_not_changed() {
    for file in ["chain.redb", "key"] {
        let error = refused(&NetworkParams::dev(), "damaged", |path| {
            fs::remove_file(path.join(file)).unwrap();
        });
        assert!(error.to_string().contains(file));
    }
    for file in ["chain.redb", "key", "network"] {
        for content in [&b""[..], b"rubbish", &[0; 9000]] {
            refused(&NetworkParams::dev(), "damaged", |path| {
                fs::write(path.join(file), content).unwrap();
            });
        }
    }
}

#[cfg(unix)]
#[test]
fn a_folder_whose_key_others_can_read_is_refused_and_not_changed() {
    use std::os::unix::fs::PermissionsExt;
    refused(&NetworkParams::dev(), "exposed_key", |path| {
        fs::set_permissions(path.join("key"), fs::Permissions::from_mode(0o644)).unwrap();
    });
}

#[test]
fn a_file_in_place_of_a_folder_is_refused_and_not_changed() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "text").unwrap();
    let before = snapshot(parent.path());
    for path in [file.clone(), file.join("x/y")] {
        let error = Folder::open(dir(&path), &NetworkParams::dev(), Trust::Private).unwrap_err();
        assert_eq!(error.code(), "denied", "{error}");
    }
    assert_eq!(snapshot(parent.path()), before);
}

#[test]
fn a_folder_whose_making_was_interrupted_is_completed() {
    let parent = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    for missing in [
        &["network"][..],
        &["network", "key"],
        &["network", "key", "chain.redb"],
        &["network", "chain.redb"],
    ] {
        let path = parent
            .path()
            .join(missing.len().to_string() + missing[missing.len() - 1]);
        let key = Folder::open(dir(&path), &params, Trust::Private)
            .unwrap()
            .secret_key()
            .public();
        for file in missing {
            fs::remove_file(path.join(file)).unwrap();
        }
        fs::write(path.join("chain.new"), "half").unwrap();
        fs::write(path.join("key.new"), "half").unwrap();
        let folder = Folder::open(dir(&path), &params, Trust::Private).unwrap();
        assert_eq!(folder.secret_key().public() == key, !missing.contains(&"key"));
        RedbStore::open(&folder.chain_path(), &params).unwrap();
    }
}

#[test]
fn a_key_in_an_otherwise_empty_folder_is_taken_over() {
    let parent = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let (old, new) = (parent.path().join("old"), parent.path().join("new"));
    let key = Folder::open(dir(&old), &params, Trust::Private)
        .unwrap()
        .secret_key()
        .public();
    fs::create_dir(&new).unwrap();
    fs::copy(old.join("key"), new.join("key")).unwrap();
    assert_eq!(
        Folder::open(dir(&new), &params, Trust::Private)
            .unwrap()
            .secret_key()
            .public(),
        key
    );
}

#[test]
fn a_temporary_folder_is_removed_with_all_that_is_in_it() {
    let params = NetworkParams::dev();
    let folder = Folder::open(FolderChoice::Temp, &params, Trust::Private).unwrap();
    let other = Folder::open(FolderChoice::Temp, &params, Trust::Private).unwrap();
    assert!(folder.is_temp());
    assert_ne!(folder.path(), other.path());
    let path = folder.path().to_path_buf();
    folder.set_address(Some(&["/ip4/127.0.0.1/tcp/1".into()])).unwrap();
    assert!(folder.siblings().is_empty());
    drop(folder);
    assert!(!path.exists() && other.path().exists());
}

#[test]
fn siblings_are_the_running_nodes_of_the_same_network() {
    let data = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let open = |name, params| Folder::open_slot(data.path(), Some(name), params, Trust::Private).unwrap();
    let (anna, ben, carl) = (open("anna", &params), open("ben", &params), open("carl", &params));
    let stranger = open("dora", &NetworkParams::coin());
    let address = |port: u16| format!("/ip4/127.0.0.1/tcp/{port}");
    let key = |folder: &Folder| folder.secret_key().public().peer_id();
    anna.set_address(Some(&[address(1)])).unwrap();
    ben.set_address(Some(&[address(2), format!("{}/p2p/{}", address(3), key(&ben))]))
        .unwrap();
    stranger.set_address(Some(&[address(4)])).unwrap();

    let siblings = anna.siblings();
    let texts: Vec<_> = siblings[0].1.iter().map(ToString::to_string).collect();
    assert_eq!((siblings.len(), siblings[0].0), (1, key(&ben)));
    assert_eq!(texts, [address(2), address(3)]);
    assert_eq!(carl.siblings().len(), 2);

    ben.set_address(None).unwrap();
    assert!(anna.siblings().is_empty());
    drop(anna);
    assert!(carl.siblings().is_empty());
}

#[test]
fn an_address_file_that_a_crash_left_behind_is_no_sibling() {
    let data = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let anna = Folder::open_slot(data.path(), Some("anna"), &params, Trust::Private).unwrap();
    let ben = Folder::open_slot(data.path(), Some("ben"), &params, Trust::Private).unwrap();
    let left = ben.path().join("addresses");
    drop(ben);
    fs::write(
        &left,
        format!("{}\n/ip4/127.0.0.1/tcp/1\n", secret(1).public().peer_id()),
    )
    .unwrap();
    assert!(anna.siblings().is_empty());
    assert!(!left.exists());
}

#[test]
fn an_address_file_of_any_content_costs_little() {
    let data = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let anna = Folder::open_slot(data.path(), Some("anna"), &params, Trust::Private).unwrap();
    let ben = Folder::open_slot(data.path(), Some("ben"), &params, Trust::Private).unwrap();
    let many = vec!["/ip4/127.0.0.1/tcp/1".to_owned(); 10_000];
    ben.set_address(Some(&many)).unwrap();
    assert!(fs::metadata(ben.path().join("addresses")).unwrap().len() <= 4096);
    assert!(anna.siblings()[0].1.len() > 100);
    for content in [vec![0xff; 10_000], b"\n\n\n".to_vec(), b"12D3KooW\n".to_vec()] {
        fs::write(ben.path().join("addresses"), content).unwrap();
        assert!(anna.siblings().is_empty());
    }
}

#[test]
fn a_used_chain_without_key_and_network_is_damaged_and_gets_no_new_identity() {
    let parent = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let path = parent.path().join("node");
    let folder = Folder::open(dir(&path), &params, Trust::Private).unwrap();
    let store = RedbStore::open(&folder.chain_path(), &params).unwrap();
    store.commit(&[connect(&chain(&params, 1)[0])]).unwrap();
    drop((store, folder));
    fs::remove_file(path.join("network")).unwrap();
    fs::rename(path.join("key"), parent.path().join("copy")).unwrap();
    let before = snapshot(parent.path());
    let error = Folder::open(dir(&path), &params, Trust::Private).unwrap_err();
    assert_eq!(error.code(), "damaged");
    assert!(
        error.to_string().contains("key") && error.hint().contains("key import"),
        "{error}"
    );
    assert_eq!(snapshot(parent.path()), before);
    fs::rename(parent.path().join("copy"), path.join("key")).unwrap();
    Folder::open(dir(&path), &params, Trust::Private).unwrap();
}

#[test]
fn a_file_called_lock_that_is_no_lock_is_not_overwritten() {
    refused(&NetworkParams::dev(), "damaged", |path| {
        fs::write(path.join("lock"), "dependencies of another program: 1, 2, 3\n").unwrap();
    });
}

#[test]
fn a_folder_is_read_while_no_node_holds_it_and_nothing_in_it_changes() {
    let parent = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let path = parent.path().join("node");
    let folder = Folder::open(dir(&path), &params, Trust::Private).unwrap();
    let store = RedbStore::open(&folder.chain_path(), &params).unwrap();
    store.commit(&[connect(&chain(&params, 1)[0])]).unwrap();
    assert_eq!(Reading::open(&path, &params).map(|_| ()).unwrap_err().code(), "in_use");
    drop((store, folder));
    let before = snapshot(parent.path());
    let (store, reading) = Reading::open(&path, &params).unwrap();
    assert_eq!(store.tip().unwrap().0, GENESIS.next());
    let error = Folder::open(dir(&path), &params, Trust::Private).unwrap_err();
    assert_eq!(error.code(), "in_use");
    drop((store, reading));
    assert_eq!(snapshot(parent.path()), before);
    let error = Reading::open(&path, &NetworkParams::coin()).map(|_| ()).unwrap_err();
    assert_eq!(error.code(), "other_network");
    // A copy without the lock is read too.
    fs::remove_file(path.join("lock")).unwrap();
    drop(Reading::open(&path, &params).unwrap());
    assert!(!path.join("lock").exists());
}

#[cfg(unix)]
#[test]
fn pipes_and_links_in_the_place_of_a_siblings_files_are_no_sibling_and_hang_nobody() {
    let data = tempfile::tempdir().unwrap();
    let params = NetworkParams::dev();
    let open = |name| Folder::open_slot(data.path(), Some(name), &params, Trust::Private).unwrap();
    let (anna, ben) = (open("anna"), open("ben"));
    ben.set_address(Some(&["/ip4/127.0.0.1/tcp/1".into()])).unwrap();
    assert_eq!(anna.siblings().len(), 1);
    let file = ben.path().join("addresses");
    let kept = ben.path().join("kept");
    fs::rename(&file, &kept).unwrap();
    std::os::unix::fs::symlink(&kept, &file).unwrap();
    assert!(anna.siblings().is_empty());
    fs::remove_file(&file).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&file).status();
    assert!(made.unwrap().success());
    assert!(anna.siblings().is_empty());
    // The stop removes it.
    drop(ben);
    assert!(!file.exists());
}
