//! The lanchain node: arguments, logging, run, exit code.

use std::process::ExitCode;
use std::sync::mpsc::channel;

use clap::Parser;
use lanchain::cli::Options;
use lanchain::node::{self, screen::Screen};
use tracing_subscriber::EnvFilter;

/// Wrong usage, as clap reports it too.
const STATUS_USAGE: u8 = 2;
/// The system gave no thread.
const STATUS_FAILED: u8 = 1;

fn main() -> ExitCode {
    let options = Options::parse();
    let Ok(filter) = EnvFilter::try_new(&options.log) else {
        eprintln!("error: \"{}\" is no log specification", options.log);
        eprintln!("hint: --log info, --log debug, or --log net=debug,info");
        return ExitCode::from(STATUS_USAGE);
    };
    let messages = channel();
    let screen = match Screen::open(&options, messages.0.clone()) {
        Ok(screen) => screen,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(STATUS_FAILED);
        }
    };
    let log = screen.log();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(screen.is_coloured())
        .with_writer(move || log.clone())
        .init();
    ExitCode::from(node::run(&options, &screen, messages))
}
