//! What the screen tells while the node runs: topics, folded rows, the level of the log and who reads it along.
//!
//! Promises: a row that was folded is told at most a pause and a half after it ended.
//! Elsewhere: which events belong to a row (`console::watch`).

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use super::clock::wall;
use crate::console::look;
use crate::console::output::LogWriter;
use crate::console::watch::{FOLD_PAUSE_MS, LineVerdict, Telling, TellingReply, Watch};
use crate::contract::Event;
use crate::threads::{self, panic_point};

/// How often it is asked whether a storm is over.
const ASK_EVERY: Duration = Duration::from_millis(FOLD_PAUSE_MS / 2);

/// Changes the level of the log; false if it could not.
pub type SetLevel = Box<dyn Fn(&str) -> bool + Send>;

/// Hears why a thread that folds has failed.
pub type Lost = Box<dyn Fn(&str) + Send + Sync>;

/// Takes a line of the log. It must not log.
pub type Follow = Box<dyn Fn(&str) + Send>;

/// The level of the log and the way to change it.
#[derive(Default)]
struct Log {
    level: String,
    set: Option<SetLevel>,
}

/// The switches; cheap to clone.
#[derive(Clone, Default)]
pub struct Switches {
    watch: Arc<Mutex<Watch>>,
    log: Arc<Mutex<Log>>,
    /// Sessions elsewhere that read the log along.
    followers: Arc<Mutex<BTreeMap<u64, Follow>>>,
    /// A thread waits for the end of a storm.
    waits: Arc<AtomicBool>,
    /// Who hears of its failure.
    lost: Arc<OnceLock<Lost>>,
}

impl Switches {
    fn watch(&self) -> MutexGuard<'_, Watch> {
        self.watch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Those of a session elsewhere, with topics and rows of its own.
    #[must_use]
    pub fn of_session(&self) -> Self {
        Self {
            lost: Arc::clone(&self.lost),
            ..Self::default()
        }
    }

    /// Who is to hear that a thread which folds has failed: the first one named.
    pub fn watched_by(&self, lost: Lost) {
        let _ = self.lost.set(lost);
    }

    /// Tells how the log's level is changed.
    pub fn control_log(&self, level: &str, set: SetLevel) {
        *self.log() = Log {
            level: level.to_owned(),
            set: Some(set),
        };
    }

    fn followers(&self) -> MutexGuard<'_, BTreeMap<u64, Follow>> {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a session gets the lines of the log, too.
    pub fn follow_log(&self, session: u64, follow: Follow) {
        self.followers().insert(session, follow);
    }

    /// Whether it does.
    #[must_use]
    pub fn follows_log(&self, session: u64) -> bool {
        self.followers().contains_key(&session)
    }

    /// No more.
    pub fn leave_log(&self, session: u64) {
        self.followers().remove(&session);
    }

    /// Carries out `watch` or `log`.
    #[must_use]
    pub fn switch(&self, telling: &Telling) -> TellingReply {
        match telling {
            Telling::Ask => {}
            Telling::Watch(topics) => self.watch().set(topics),
            Telling::Log(level) => {
                let mut log = self.log();
                if log.set.as_ref().is_some_and(|set| set(level)) {
                    (*level).clone_into(&mut log.level);
                }
            }
        }
        let watching = self.watch().words();
        TellingReply {
            watching,
            log: self.log().level.clone(),
        }
    }

    /// Judges an event. While a row is folded, `tell` gets its last line when it is over.
    #[must_use]
    pub fn judge(&self, event: &Event, tell: impl Fn(String) + Send + 'static) -> LineVerdict {
        let verdict = self.watch().judge(event, wall().ms());
        if verdict.folding && !self.waits.swap(true, Ordering::SeqCst) {
            let (switches, broken) = (self.clone(), self.clone());
            let failed = move |reason: &str| {
                broken.waits.store(false, Ordering::SeqCst);
                if let Some(lost) = broken.lost.get() {
                    lost(reason);
                }
            };
            let started = threads::spawn("fold", move || switches.wait_for_the_end(&tell), failed);
            if started.is_err() {
                // No thread now: the next event of another kind ends the row.
                self.waits.store(false, Ordering::SeqCst);
            }
        }
        verdict
    }

    fn wait_for_the_end(&self, tell: &impl Fn(String)) {
        loop {
            std::thread::sleep(ASK_EVERY);
            panic_point("fold");
            let mut watch = self.watch();
            if let Some(line) = watch.pause(wall().ms()) {
                tell(line);
            }
            if !watch.is_folding() {
                self.waits.store(false, Ordering::SeqCst);
                return;
            }
        }
    }
}

/// Takes the lines of the log: for the node's own reader, and for sessions that read it along.
pub struct LogLines {
    /// The node's own reader.
    pub own: LogWriter,
    /// Who else.
    pub switches: Switches,
}

impl Write for LogLines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let followers = self.switches.followers();
        if !followers.is_empty() {
            // Colours are those of the node's terminal.
            let line = look::without_colour(String::from_utf8_lossy(bytes).trim_end_matches('\n'));
            followers.values().for_each(|follow| follow(&line));
        }
        drop(followers);
        self.own.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.own.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::samples::facts;
    use crate::types::{BlockHash, Height};
    use std::sync::mpsc::channel;

    #[test]
    fn the_size_of_a_storm_is_told_when_it_is_over() {
        let switches = Switches::default();
        let (lines, told) = channel();
        let event = Event::BlockDisconnected {
            block: facts(BlockHash::ZERO, Height::new(1)),
        };
        let shown = (0..50)
            .filter(|_| {
                let lines = lines.clone();
                switches
                    .judge(&event, move |line| lines.send(line).unwrap_or_default())
                    .told
            })
            .count();
        // A machine under load may take a break within the storm: what is told and folded is all there was.
        let line = told.recv_timeout(Duration::from_secs(30)).expect("the storm ends");
        let folded: usize = line
            .split(' ')
            .nth(1)
            .and_then(|word| word.parse().ok())
            .expect("a count");
        assert!(shown >= 12 && shown + folded <= 50, "{shown} {line}");
    }

    #[test]
    fn a_thread_that_fails_while_it_folds_is_told_and_the_next_row_is_folded() {
        let switches = Switches::default();
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let lost = move |reason: &str| tell.lock().unwrap().send(reason.to_owned()).unwrap();
        switches.watched_by(Box::new(lost));
        let event = Event::BlockDisconnected {
            block: facts(BlockHash::ZERO, Height::new(1)),
        };
        for _ in 0..20 {
            let _ = switches.judge(&event, |line| panic!("no place for {line}"));
        }
        let reason = told.recv_timeout(Duration::from_secs(30)).expect("it is told");
        assert!(reason.starts_with("no place for"), "{reason}");
        assert!(!switches.waits.load(Ordering::SeqCst), "another may wait");
    }

    #[test]
    fn the_level_changes_only_if_the_log_agrees() {
        let switches = Switches::default();
        switches.control_log("info", Box::new(|level| level == "debug"));
        assert_eq!(switches.switch(&Telling::Log("debug")).log, "debug");
        assert_eq!(switches.switch(&Telling::Log("trace")).log, "debug");
        assert_eq!(
            switches.switch(&Telling::Watch(Vec::new())).watching,
            Vec::<&str>::new()
        );
    }
}
