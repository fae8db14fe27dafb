//! Whole chains as files: `proto-notes/vectors/chains/` holds blocks in the order in which they come, what a node says
//! to each, and where that ends. Another implementation can replay them.
//!
//! `LANCHAIN_WRITE_VECTORS=1 cargo test vectors` writes them anew after a deliberate change of the rules.
//! Spec: `proto-notes/README.md`, "Chains".

mod curve;
mod forks;
mod forms;
mod ledger;
mod parameters;
mod script;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::Value;

use crate::chain::memory_store::MemoryStore;
use crate::chain::{Chain, NetworkParams};
use crate::types::WallTime;
use script::{end, offer};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("proto-notes/vectors/chains")
}

/// Every chain by the name of its file.
fn made() -> Vec<(String, Value)> {
    let all = [
        ledger::chains(),
        forks::chains(),
        forms::chains(),
        curve::chains(),
        parameters::chains(),
    ]
    .concat();
    let names: BTreeSet<_> = all.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), all.len(), "two chains have the same name");
    all
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("\"{key}\" is a text"))
}

/// The bytes of a step: hex digits, followed by zeros if a block is too long to be written out.
fn bytes_of(step: &Value) -> Vec<u8> {
    let mut bytes = hex::decode(text(step, "block")).unwrap();
    let zeros = step["zeros_behind"].as_u64().unwrap_or(0);
    bytes.resize(bytes.len() + usize::try_from(zeros).unwrap(), 0);
    bytes
}

fn replay(name: &str, file: &Value) {
    let params: NetworkParams = serde_json::from_value(file["network"].clone()).unwrap();
    assert_eq!(params.network_id().to_string(), text(file, "network_id"), "{name}");
    let clock = WallTime::from_ms(file["clock_ms"].as_u64().unwrap());
    let mut chain = Chain::open(params.clone(), MemoryStore::new(&params), [7; 32]).unwrap();
    for (number, step) in file["steps"].as_array().unwrap().iter().enumerate() {
        let said = offer(&mut chain, &bytes_of(step), clock);
        assert_eq!(said, text(step, "result"), "{name}, step {number}");
    }
    assert_eq!(end(&chain), file["end"], "{name}");
}

#[test]
fn chain_files_replay_as_they_say() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        replay(&path.display().to_string(), &serde_json::from_str(&text).unwrap());
        count += 1;
    }
    assert!(count >= 40, "only {count} chains");
}

/// Writes the files, or compares them with the output of the generator.
#[test]
fn chain_vectors_hold() {
    let made = made();
    let names: BTreeSet<String> = made.iter().map(|(name, _)| format!("{name}.json")).collect();
    if std::env::var_os("LANCHAIN_WRITE_VECTORS").is_some() {
        fs::create_dir_all(folder()).unwrap();
        for (name, value) in &made {
            fs::write(folder().join(format!("{name}.json")), format!("{value:#}\n")).unwrap();
        }
    }
    for (name, value) in &made {
        let kept = fs::read_to_string(folder().join(format!("{name}.json"))).unwrap();
        let kept: Value = serde_json::from_str(&kept).unwrap();
        assert_eq!(&kept, value, "{name} differs from what the code makes");
    }
    let file_name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let found: BTreeSet<String> = fs::read_dir(folder())
        .unwrap()
        .map(|entry| file_name(entry.unwrap()))
        .collect();
    assert_eq!(found, names);
}
