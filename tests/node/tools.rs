//! Work on a data folder without a node: export, import, verify, key, paths, completions, the manual page.
//!
//! Spec: `proto-notes/events.md`, "Tasks".

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Node, run};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// Runs a task with `--network dev` on a folder.
fn tool(folder: &Path, words: &[&str], input: &str) -> Output {
    let folder = folder.to_str().expect("text");
    run(["--network", "dev", "--data-dir", folder].iter().chain(words), input)
}

/// What a task with `--json` said of itself, and its status.
fn json(folder: &Path, words: &[&str], input: &str) -> (Value, Option<i32>) {
    let output = tool(folder, &[&["--json"], words].concat(), input);
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    (value, output.status.code())
}

/// A folder with some blocks and a payment, and its status.
fn chain(folder: &Path) -> Value {
    let mut node = Node::in_folder(folder);
    node.ok("tx alice bob 5");
    node.ok("claim carol");
    node.ok("mine 4");
    let status = node.ok("status");
    assert!(node.stop().success());
    status
}

#[test]
fn an_exported_chain_is_imported_verified_and_exported_again_byte_for_byte() {
    let home = tempfile::tempdir().expect("a folder");
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    let status = chain(&first);
    let file = home.path().join("blocks.jsonl");
    let name = file.to_str().expect("text");
    let (exported, code) = json(&first, &["export", name], "");
    assert_eq!((code, &exported["data"]["blocks"]), (Some(0), &5.into()), "{exported}");
    let lines = fs::read_to_string(&file).expect("written");
    let genesis: Value = serde_json::from_str(lines.lines().next().expect("a line")).expect("JSON");
    assert_eq!((&genesis["height"], &genesis["active"]), (&0.into(), &true.into()));

    let again = tool(&first, &["export", name], "");
    assert_eq!(again.status.code(), Some(1), "no file is overwritten: {again:?}");
    let (imported, code) = json(&second, &["import", name], "");
    assert_eq!(code, Some(0), "{imported}");
    assert_eq!(
        (&imported["data"]["added"], &imported["data"]["known"]),
        (&4.into(), &1.into())
    );
    assert_eq!(imported["data"]["tip"], status["tip"]);
    for folder in [&first, &second] {
        let (verified, code) = json(folder, &["verify"], "");
        assert_eq!(
            (code, &verified["data"]["tip"]),
            (Some(0), &status["tip"]),
            "{verified}"
        );
    }
    assert_eq!(text(&tool(&second, &["export"], "").stdout), lines);
    let (known, _) = json(&second, &["import", "-"], &lines);
    assert_eq!(
        (&known["data"]["added"], &known["data"]["known"]),
        (&0.into(), &5.into())
    );

    let mut node = Node::in_folder(&second);
    assert_eq!(node.ok("status")["tip"], status["tip"]);
    assert_eq!(node.ok("balance bob")["balance"], 5);
    assert!(node.stop().success());
}

#[test]
fn import_stops_at_the_first_invalid_block_with_its_line_and_code_and_keeps_what_stood_before() {
    let home = tempfile::tempdir().expect("a folder");
    let first = home.path().join("first");
    chain(&first);
    let lines: Vec<String> = text(&tool(&first, &["export"], "").stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    let changed = |line: usize, key: &str, change: &dyn Fn(&str) -> String| {
        let mut lines = lines.clone();
        let mut value: Value = serde_json::from_str(&lines[line]).expect("JSON");
        // The bytes alone, so that the rules must find it.
        let raws: Vec<Value> = value["transactions"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|tx| serde_json::json!({ "raw": tx["raw"] }))
            .collect();
        value = serde_json::json!({ "header": value["header"], "transactions": raws });
        value[key] = change(value[key].as_str().expect("text")).into();
        lines[line] = value.to_string();
        lines.join("\n")
    };
    let nonce = |header: &str| format!("{}{}", &header[..190], if header.ends_with('0') { "11" } else { "00" });
    let time = |header: &str| format!("{}ffff{}", &header[..160], &header[164..]);
    let cases = [
        (changed(3, "header", &nonce), "bad_proof_of_work", 4),
        (changed(3, "header", &time), "bad_proof_of_work", 4),
        (
            changed(3, "header", &|header| header[2..].to_owned()),
            "bad_argument",
            4,
        ),
        ([&lines[..1], &lines[2..]].concat().join("\n"), "unknown_parent", 2),
        (
            format!("{}\nnonsense\n{}", lines[..2].join("\n"), lines[2]),
            "bad_argument",
            3,
        ),
        (
            format!("{}\n\n{{\"header\":\"00\"}}", lines[..3].join("\n")),
            "bad_argument",
            5,
        ),
    ];
    for (number, (input, code, line)) in cases.iter().enumerate() {
        let folder = home.path().join(format!("case-{number}"));
        let (reply, status) = json(&folder, &["import", "-"], input);
        assert_eq!(status, Some(1), "{reply}");
        assert_eq!(
            (&reply["error"]["code"], &reply["line"]),
            (&(*code).into(), &(*line).into()),
            "{reply}"
        );
        let (verified, _) = json(&folder, &["verify"], "");
        let kept = line - 2 - u64::from(number == 5);
        assert_eq!(verified["data"]["height"], kept, "{verified}");
    }
    let spoiled = lines[2].replace("\"raw\":\"", "\"raw\":\"ff");
    let (reply, _) = json(
        &home.path().join("raw"),
        &["import", "-"],
        &format!("{}\n{}\n{spoiled}", lines[0], lines[1]),
    );
    assert_eq!((&reply["ok"], &reply["line"]), (&false.into(), &3.into()), "{reply}");
}

#[test]
fn an_edited_field_of_an_export_is_refused_by_its_key_also_where_the_blocks_are_known() {
    let home = tempfile::tempdir().expect("a folder");
    let first = home.path().join("first");
    let mut node = Node::in_folder(&first);
    node.ok("mine");
    node.ok("tx alice bob 5");
    node.ok("mine");
    assert!(node.stop().success());
    let lines: Vec<String> = text(&tool(&first, &["export"], "").stdout)
        .lines()
        .map(str::to_owned)
        .collect();
    let edited = |line: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        assert!(lines[line].contains(from), "{lines:?}");
        lines[line] = lines[line].replacen(from, to, 1);
        lines.join("\n")
    };
    let amount = edited(2, "\"amount\":5", "\"amount\":6");
    let said = "line 3, block 2: amount is 6, its bytes say 5";
    let fresh = home.path().join("fresh");
    for (folder, words) in [
        (&fresh, &["import", "-"][..]),
        (&first, &["import", "-"]),
        (&home.path().join("none"), &["verify", "-"]),
    ] {
        let output = tool(folder, words, &amount);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains(&format!("error: {said}")), "{output:?}");
    }
    assert!(!home.path().join("none").exists(), "verify FILE needs no folder");
    let (kept, _) = json(&fresh, &["verify"], "");
    assert_eq!(kept["data"]["height"], 1, "the block before it is kept: {kept}");
    let genesis = edited(0, "\"version\":1", "\"version\":2");
    let (reply, code) = json(&first, &["import", "-"], &genesis);
    let error = &reply["error"];
    assert_eq!(
        (code, &error["code"], &reply["line"]),
        (Some(1), &"field_differs".into(), &1.into()),
        "{reply}"
    );

    // A known header with other transactions, whose fields say what their bytes say, is not the known block.
    let mut value: Value = serde_json::from_str(&lines[2]).expect("JSON");
    value["transactions"].as_array_mut().expect("a list").pop();
    let input = [lines[0].clone(), lines[1].clone(), value.to_string()].join("\n");
    let (reply, code) = json(&first, &["import", "-"], &input);
    assert_eq!(
        (code, &reply["error"]["code"]),
        (Some(1), &"bad_merkle_root".into()),
        "{reply}"
    );
    let (whole, code) = json(&home.path().join("none"), &["verify", "-"], &lines.join("\n"));
    assert_eq!((code, &whole["data"]["blocks"]), (Some(0), &3.into()), "{whole}");
}

#[test]
fn blocks_of_another_network_are_refused_at_the_genesis_block() {
    let home = tempfile::tempdir().expect("a folder");
    let first = home.path().join("first");
    chain(&first);
    let lines = text(&tool(&first, &["export"], "").stdout);
    let other = home.path().join("other");
    let args = [
        "--network",
        "lan",
        "--json",
        "import",
        "-",
        "--data-dir",
        other.to_str().expect("text"),
    ];
    let output = run(args, &lines);
    let reply: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&reply["error"]["code"], &reply["line"]),
        (&"other_network".into(), &1.into()),
        "{reply}"
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_folder_that_a_node_holds_or_that_is_not_there_is_refused_with_3() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("held");
    let node = Node::in_folder(&folder);
    for words in [&["export"][..], &["import", "-"], &["verify"]] {
        let (reply, code) = json(&folder, words, "");
        assert_eq!((code, &reply["error"]["code"]), (Some(3), &"in_use".into()), "{reply}");
        assert!(
            reply["error"]["hint"].as_str().expect("a hint").contains("quit"),
            "{reply}"
        );
    }
    assert!(node.stop().success());
    let nowhere = home.path().join("nowhere");
    for words in [&["export"][..], &["verify"], &["key", "show"], &["key", "export", "-"]] {
        let (reply, code) = json(&nowhere, words, "");
        assert_eq!(
            (code, &reply["error"]["code"]),
            (Some(3), &"no_folder".into()),
            "{reply}"
        );
    }
    assert!(!nowhere.exists());
}

#[cfg(unix)]
#[test]
fn blocks_come_through_a_pipe_and_behind_a_byte_order_mark_and_utf_16_is_named() {
    let home = tempfile::tempdir().expect("a folder");
    let first = home.path().join("first");
    chain(&first);
    let lines = text(&tool(&first, &["export"], "").stdout);
    let marked = format!("\u{feff}{lines}");
    let pipe = home.path().join("pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .is_ok_and(|status| status.success())
    );
    let writer = std::thread::spawn({
        let (pipe, marked) = (pipe.clone(), marked.clone());
        move || fs::write(pipe, marked).expect("somebody reads")
    });
    let (reply, code) = json(
        &home.path().join("second"),
        &["import", pipe.to_str().expect("text")],
        "",
    );
    assert_eq!((code, &reply["data"]["added"]), (Some(0), &4.into()), "{reply}");
    writer.join().expect("all was read");
    let (reply, _) = json(&home.path().join("third"), &["import", "-"], &marked);
    assert_eq!(reply["data"]["added"], 4, "{reply}");

    let file = home.path().join("utf16");
    let utf16: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(&file, &utf16).expect("written");
    let (reply, code) = json(
        &home.path().join("fourth"),
        &["import", file.to_str().expect("text")],
        "",
    );
    let message = reply["error"]["message"].as_str().expect("text");
    assert!(code == Some(1) && message.contains("UTF-16"), "{reply}");

    let key = format!("\u{feff}{}", "07".repeat(32));
    let (reply, code) = json(&home.path().join("fifth"), &["key", "import", "-"], &key);
    assert_eq!(code, Some(0), "{reply}");
    let utf16: Vec<u8> = key.encode_utf16().flat_map(u16::to_le_bytes).collect();
    crate::harness::write_private(&file, &utf16);
    let (reply, code) = json(
        &home.path().join("sixth"),
        &["key", "import", file.to_str().expect("text")],
        "",
    );
    let error = &reply["error"];
    assert!(
        code == Some(1) && error["message"].as_str().expect("text").contains("UTF-16"),
        "{reply}"
    );
    assert!(
        !error["hint"].as_str().expect("text").contains("restore the folder"),
        "{reply}"
    );
    for words in [&["import", "/"][..], &["key", "import", "/"]] {
        let (reply, _) = json(&home.path().join("seventh"), words, "");
        assert!(
            reply["error"]["message"].as_str().expect("text").contains("a folder"),
            "{reply}"
        );
    }
}

#[test]
fn verify_says_what_is_damaged() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("node");
    chain(&folder);
    let file = folder.join("chain.redb");
    let mut bytes = fs::read(&file).expect("a chain");
    let name = b"\x01bob";
    // Old pages hold it too.
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(name)).collect();
    assert!(!places.is_empty(), "the ledger names bob");
    places.iter().for_each(|at| bytes[at + 1] = b'x');
    fs::write(&file, bytes).expect("written");
    let (reply, code) = json(&folder, &["verify"], "");
    assert_eq!((code, &reply["error"]["code"]), (Some(3), &"damaged".into()), "{reply}");
}

#[cfg(unix)]
#[test]
fn a_repaired_folder_has_its_blocks_and_its_own_waiting_payments() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("folder");
    chain(&folder);
    let mut node = Node::in_folder(&folder);
    let txid = node.ok("tx alice dora 2")["txid"].clone();
    let status = node.ok("status");
    assert!(node.stop().success());
    let inode = || std::os::unix::fs::MetadataExt::ino(&fs::metadata(folder.join("chain.redb")).expect("there"));
    let before = inode();
    let (repaired, code) = json(&folder, &["verify", "--repair"], "");
    assert_eq!((code, &repaired["data"]["own"]), (Some(0), &1.into()), "{repaired}");
    assert_eq!(repaired["data"]["tip"], status["tip"]);
    assert_ne!(inode(), before, "the file that was made anew is the one in use");
    assert_eq!(json(&folder, &["verify"], "").1, Some(0));
    let mut node = Node::in_folder(&folder);
    assert_eq!(node.ok("pending")["transactions"][0]["txid"], txid);
    assert_eq!(node.ok("status")["tip"], status["tip"]);
}

#[test]
fn a_key_moves_to_a_new_folder_and_never_replaces_one() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().expect("a folder");
    let (first, second) = (home.path().join("first"), home.path().join("second"));
    let status = chain(&first);
    let (shown, _) = json(&first, &["key", "show"], "");
    assert_eq!(shown["data"]["peer_id"], status["peer_id"]);
    let secret = fs::read_to_string(first.join("key")).expect("a key");
    assert!(!shown.to_string().contains(secret.trim()), "the secret is not shown");

    let file = home.path().join("copy");
    let name = file.to_str().expect("text");
    let exported = tool(&first, &["key", "export", name], "");
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    assert!(text(&exported.stderr).contains("warning"), "{exported:?}");
    assert!(!text(&exported.stdout).contains(secret.trim()));
    assert_eq!(fs::read_to_string(&file).expect("written"), secret);
    assert_eq!(
        fs::metadata(&file).expect("written").permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(tool(&first, &["key", "export", name], "").status.code(), Some(1));
    assert_eq!(text(&tool(&first, &["key", "export", "-"], "").stdout), secret);

    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("own file");
    let (reply, code) = json(&second, &["key", "import", name], "");
    assert_eq!(
        (code, &reply["error"]["code"]),
        (Some(3), &"exposed_key".into()),
        "{reply}"
    );
    assert!(!second.exists());
    let (reply, code) = json(&second, &["key", "import", "-"], &secret);
    assert_eq!(code, Some(0), "{reply}");
    let (reply, code) = json(&second, &["key", "import", "-"], &"0".repeat(64));
    assert_eq!(
        (code, &reply["error"]["code"]),
        (Some(3), &"key_exists".into()),
        "{reply}"
    );
    assert_eq!(fs::read_to_string(second.join("key")).expect("a key"), secret);
    let (reply, code) = json(&home.path().join("third"), &["key", "import", "-"], "no key");
    assert_eq!(
        (code, &reply["error"]["code"]),
        (Some(1), &"bad_argument".into()),
        "{reply}"
    );
    assert_eq!(
        tool(&second, &["key", "import", secret.trim(), secret.trim()], "")
            .status
            .code(),
        Some(2)
    );

    let mut node = Node::in_folder(&second);
    assert_eq!(node.ok("status")["peer_id"], status["peer_id"]);
    assert!(node.stop().success());
}

#[test]
fn paths_name_the_folder_and_whether_a_node_runs_in_it() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("node");
    let node = Node::in_folder(&folder);
    let (held, _) = json(&folder, &["paths"], "");
    let entry = held["data"]["folders"][0].clone();
    assert_eq!(
        (&entry["running"], &entry["pid"]),
        (&true.into(), &node.pid().into()),
        "{held}"
    );
    assert!(node.stop().success());
    let (free, _) = json(&folder, &["paths"], "");
    assert_eq!(free["data"]["folders"][0]["running"], false, "{free}");
}

#[test]
fn completions_and_manual_page_know_the_tasks_and_flags() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(["completions", shell], "");
        let script = text(&output.stdout);
        assert!(
            output.status.success() && script.contains("attach") && script.contains("data-dir"),
            "{shell}"
        );
    }
    let page = text(&run(["man"], "").stdout);
    assert!(
        page.contains(".TH lanchain 1") && page.contains("lanchain\\-import"),
        "{page}"
    );
    let page = text(&run(["man", "ctl"], "").stdout);
    assert!(
        page.contains(".TH lanchain\\-ctl 1") || page.contains(".TH lanchain-ctl 1"),
        "{page}"
    );
    assert_eq!(run(["man", "nonsense"], "").status.code(), Some(2));
    assert_eq!(run(["completions", "tcsh"], "").status.code(), Some(2));
}
