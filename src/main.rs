//! The lanchain node: arguments, logging, run, exit code.

use std::io::{IsTerminal, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;

use lanchain::cli::{Args, Task};
use lanchain::miner::bench::Report;
use lanchain::node::{self, mailbox::Mailbox, screen::Screen};
use lanchain::store::privacy;
use lanchain::tools;
use tracing_subscriber::EnvFilter;

/// The system gave no thread.
const STATUS_FAILED: u8 = 1;

/// Libraries are silent: a stranger can make them say the same line hundreds of times a second. What a peer does wrong is
/// counted where it is seen; `--log libp2p=debug` shows their lines all the same.
const QUIETER: &str = "libp2p=off,multistream_select=off,yamux=off,netlink=off,if_watch=off,quinn=off,rustls=off,\
    hickory=off";

fn main() -> ExitCode {
    // Before any key is read.
    privacy::forbid_core_dumps();
    let args = Args::from_process().unwrap_or_else(|error| error.exit());
    match &args.task {
        None => {}
        Some(Task::Bench) => return bench(&args),
        Some(task @ (Task::Ctl { .. } | Task::Attach { .. })) => {
            return ExitCode::from(node::control_client::run(&args, task));
        }
        Some(task) => return ExitCode::from(tools::run(&args, task)),
    }
    let mailbox = Mailbox::default();
    let screen = match Screen::open(&args, mailbox.clone()) {
        Ok(screen) => screen,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(STATUS_FAILED);
        }
    };
    let log = screen.clone();
    let filter = |level: &str| EnvFilter::new(format!("{QUIETER},{level}"));
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(screen.is_coloured())
        .with_writer(move || log.log())
        .with_env_filter(filter(&args.log))
        .with_filter_reloading();
    let reload = subscriber.reload_handle();
    subscriber.init();
    screen.control_log(&args.log, Box::new(move |level| reload.reload(filter(level)).is_ok()));
    ExitCode::from(node::run(&args, &screen, &mailbox))
}

/// Prints what this machine can mine.
fn bench(args: &Args) -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&args.log))
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let threads = args
        .threads
        .or_else(|| std::thread::available_parallelism().ok())
        .map_or(1, NonZeroUsize::get);
    let report = Report::measure(threads);
    let text = if args.json {
        format!("{}\n", report.to_json())
    } else {
        report.to_string()
    };
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(STATUS_FAILED)
        }
    }
}
