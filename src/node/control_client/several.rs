//! Which of several running nodes: what each says of itself, and the flag that chooses it.
//!
//! Promises: a node that does not answer holds nobody up for longer than [`PATIENCE`].
//! Elsewhere: finding them (`store::places`), asking one (`lines`).

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::lines::put;
use super::{Complaint, STATUS_NO_NODE};
use crate::cli::{Args, shell_word};
use crate::node::hello::Hello;

/// How long one node is waited for; it answers in milliseconds unless it is starting.
const PATIENCE: Duration = Duration::from_millis(500);
/// The most nodes that are listed.
const LISTED_MAX: usize = 32;
/// The most bytes of an answer that are read.
const ANSWER_MAX_BYTES: u64 = 64 * 1024;

/// The list of the nodes, to choose from.
pub(super) fn told(args: &Args, folders: &[PathBuf]) -> Complaint {
    let rows: Vec<_> = (1..)
        .zip(folders.iter().take(LISTED_MAX))
        .map(|(number, folder)| row(number, folder, status(folder).as_ref()))
        .collect();
    let first = folders.first().map(|folder| flag(folder)).unwrap_or_default();
    let task = match &args.task {
        Some(crate::cli::Task::Attach { .. }) => "attach",
        _ => "ctl",
    };
    let command = if task == "ctl" { " COMMAND" } else { "" };
    Complaint {
        status: STATUS_NO_NODE,
        message: format!("{} nodes of this network run\n{}", folders.len(), rows.join("\n")),
        hint: format!("choose one: lanchain {task}{} {first}{command}", args.network_flag()),
    }
}

/// What a node says of itself.
fn status(folder: &Path) -> Option<Value> {
    let stream = put(folder, Hello::SILENT, "status").ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_MAX_BYTES))
        .read_line(&mut line)
        .ok()?;
    let reply: Value = serde_json::from_str(&line).ok()?;
    reply.get("data").cloned()
}

fn row(number: usize, folder: &Path, status: Option<&Value>) -> String {
    let flag = flag(folder);
    let Some(status) = status else {
        return format!("  {number}. it does not answer yet  {flag}");
    };
    let name = status["name"].as_str().unwrap_or("no name");
    let port = status["addresses"][0].as_str().and_then(port).unwrap_or("none");
    let height = status["height"].to_string();
    format!("  {number}. {name:<16}  port {port:<5}  height {height:<7}  {flag}")
}

/// The port in a multiaddr.
fn port(address: &str) -> Option<&str> {
    address.split("/tcp/").nth(1)?.split('/').next()
}

/// The flag that chooses the node in a folder of the data directory.
fn flag(folder: &Path) -> String {
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    format!("--name {}", shell_word(&name.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_told_with_number_name_port_height_and_the_flag_that_chooses_it() {
        let status = serde_json::json!({
            "name": "anna", "height": 12, "addresses": ["/ip4/10.0.0.1/tcp/4141/p2p/12D3KooW"],
        });
        let folder = Path::new("/home/a/.local/share/lanchain/lan-1/anna");
        assert_eq!(
            row(2, folder, Some(&status)),
            "  2. anna              port 4141   height 12       --name anna"
        );
        let silent = serde_json::json!({ "name": null, "height": 0, "addresses": [] });
        assert_eq!(
            row(1, Path::new("/x/node"), Some(&silent)),
            "  1. no name           port none   height 0        --name node"
        );
        assert!(row(1, folder, None).ends_with("--name anna"));
    }
}
