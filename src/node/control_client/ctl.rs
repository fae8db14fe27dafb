//! `lanchain ctl`: one command for a running node.

use std::io::{self, BufReader};
use std::path::Path;

use super::lines::{ask, coloured, columns, copy_line, form, put, show};
use super::{Complaint, STATUS_FAILED, STATUS_USAGE};
use crate::cli::Args;
use crate::console::parse;
use crate::node::hello::Hello;

pub(super) fn run(args: &Args, folder: &Path, words: &[String]) -> Result<u8, Complaint> {
    let command = words.join(" ");
    if command.contains('\n') || parse::is_silent(&command) {
        return Err(Complaint {
            status: STATUS_USAGE,
            message: "ctl takes one command".into(),
            hint: "lanchain ctl status".into(),
        });
    }
    let hello = Hello {
        form: form(args),
        colour: coloured(args),
        columns: columns(),
        ..Hello::SILENT
    };
    if args.json {
        let stream = put(folder, hello, &command)?;
        return Ok(match copy_line(&mut BufReader::new(stream), &mut io::stdout().lock()) {
            Ok(Some(seen)) => seen.status(),
            Ok(None) => {
                eprintln!("error: the node went away before it answered");
                STATUS_FAILED
            }
            // Nobody reads any more.
            Err(_) => 0,
        });
    }
    match ask(folder, hello, &command)? {
        Some(line) => Ok(show(args, None, &line)),
        None => {
            eprintln!("error: the node went away before it answered");
            Ok(STATUS_FAILED)
        }
    }
}
