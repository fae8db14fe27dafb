//! The thread that writes batches: all that are queued go into one transaction of the database.
//!
//! Promises: batches reach the disk in order or not at all; after a failure nothing is written until the engine knows
//! of it and the store was reopened; the engine hears how much room the disk has.
//! Elsewhere: the database (`store`), what waits for it (`node::outbox`).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::inbox::Inbox;
use super::outbox::IN_FLIGHT_MAX;
use crate::chain::{Batch, StoreError};
use crate::engine::{Room, StoreFact};
use crate::threads::{self, panic_point};

/// Between two attempts to reopen a store: a disk that fills up or comes back does so in seconds.
const REOPEN_EVERY: Duration = Duration::from_secs(3);

/// How often the room of a disk is looked at to which nothing is written: others fill it too.
const MEASURE_EVERY: Duration = Duration::from_secs(3);
/// After a write the engine hears of a change of so many bytes: a quarter of a usual block.
const TOLD_BYTES: u64 = 64 * 1024;

/// What the writer needs of a store.
pub trait Disk: Send + 'static {
    /// Writes the batches in one durable step, or nothing of them.
    ///
    /// # Errors
    /// [`StoreError`] if nothing was written.
    fn commit(&mut self, batches: &[Batch]) -> Result<(), StoreError>;

    /// Opens the store anew and checks it.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be used yet.
    fn reopen(&mut self) -> Result<(), StoreError>;

    /// How much room there is; none if the system does not tell.
    fn room(&self) -> Option<Room>;

    /// Prepares a quick next start, after the last write before a clean stop. Nothing is lost without it.
    fn finish(&mut self) {}
}

/// Jobs that wait for the disk: all that the outbox lets be in flight, and one to go on after a failure. So nobody waits here.
const JOBS_MAX: usize = IN_FLIGHT_MAX + 1;

/// What the writer is told.
enum Job {
    Write(Box<Batch>),
    /// The engine knows of the failure: what comes now is built on what the disk has.
    Resume,
}

/// The engine's end of the writer.
pub struct Writer {
    jobs: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread. It tells the inbox what became of each batch. `failed` is called with the message of a panic
    /// that ends it; nothing is written from then on.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn start(
        disk: impl Disk,
        inbox: Arc<Inbox>,
        failed: impl FnOnce(&str) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = sync_channel(JOBS_MAX);
        let lost = Arc::clone(&inbox);
        let body = move || run(disk, &queue, &inbox);
        let thread = threads::spawn("writer", body, move |reason| {
            failed(reason);
            // Whoever waits for the disk has waited enough.
            lost.push_disk(StoreFact::Failed {
                reason: format!("the writer failed: {reason}"),
            });
        })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
        })
    }

    /// Queues a batch.
    pub fn write(&self, batch: Batch) {
        self.send(Job::Write(Box::new(batch)));
    }

    /// After a failure: the engine has dropped what was not written.
    pub fn resume(&self) {
        self.send(Job::Resume);
    }

    fn send(&self, job: Job) {
        // A writer that is gone has failed, and the engine hears of that.
        if let Some(jobs) = &self.jobs {
            jobs.send(job).unwrap_or_default();
        }
    }
}

impl Drop for Writer {
    /// Waits until all that was queued is written.
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a watched thread ends without a panic");
        }
    }
}

/// Tells the engine of the disk's room.
#[derive(Default)]
struct Gauge {
    told: Option<Room>,
}

impl Gauge {
    /// Tells a change of at least so many bytes.
    fn tell(&mut self, disk: &impl Disk, inbox: &Inbox, least: u64) {
        let Some(room) = disk.room() else { return };
        let is_news = self.told.is_none_or(|told| {
            let change = told.free.abs_diff(room.free).max(told.used.abs_diff(room.used));
            change >= least || told.size != room.size
        });
        if is_news {
            self.told = Some(room);
            inbox.push_disk(StoreFact::Room(room));
        }
    }
}

fn run(mut disk: impl Disk, queue: &Receiver<Job>, inbox: &Inbox) {
    let mut gauge = Gauge::default();
    gauge.tell(&disk, inbox, 1);
    loop {
        let job = match queue.recv_timeout(MEASURE_EVERY) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                gauge.tell(&disk, inbox, 1);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => {
                disk.finish();
                return;
            }
        };
        let batches: Vec<Batch> = std::iter::once(job)
            .chain(queue.try_iter())
            .filter_map(batch_of)
            .collect();
        let Some(id) = batches.last().map(|batch| batch.id) else {
            continue;
        };
        panic_point("writer");
        match disk.commit(&batches) {
            Ok(()) => {
                inbox.push_disk(StoreFact::Committed { id });
                gauge.tell(&disk, inbox, TOLD_BYTES);
            }
            Err(error) => {
                tracing::error!(target: "store", %error, "a write failed: read-only until the store is reopened");
                inbox.push_disk(StoreFact::Failed {
                    reason: error.to_string(),
                });
                if !recover(&mut disk, queue) {
                    return;
                }
                // First, lest the disk is filled at once.
                gauge.tell(&disk, inbox, 1);
                inbox.push_disk(StoreFact::Reopened);
            }
        }
    }
}

fn batch_of(job: Job) -> Option<Batch> {
    match job {
        Job::Write(batch) => Some(*batch),
        Job::Resume => None,
    }
}

/// Drops what was queued before the engine heard of the failure, then reopens. False when the node stops.
fn recover(disk: &mut impl Disk, queue: &Receiver<Job>) -> bool {
    loop {
        match queue.recv() {
            Ok(Job::Resume) => break,
            Ok(Job::Write(_)) => {}
            Err(_) => return false,
        }
    }
    loop {
        match disk.reopen() {
            Ok(()) => return true,
            Err(error) => tracing::debug!(target: "store", %error, "the store cannot be reopened yet"),
        }
        // Nothing is written meanwhile: a batch that comes all the same is built on nothing.
        match queue.recv_timeout(REOPEN_EVERY) {
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::super::inbox::{Lanes, Taken};
    use super::*;
    use crate::engine::Input;

    const LONG: Duration = Duration::from_secs(20);

    /// Refuses the writes and reopenings that its script names, in order.
    struct Script {
        refuse: Vec<bool>,
        written: Sender<u64>,
        /// What the next measurements find, the last of them first.
        room: Option<std::sync::Mutex<Vec<Room>>>,
    }

    impl Disk for Script {
        fn commit(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
            if self.refuse.pop().unwrap_or(false) {
                return Err(StoreError::Io("no space left".into()));
            }
            for batch in batches {
                self.written.send(batch.id).unwrap();
            }
            Ok(())
        }

        fn reopen(&mut self) -> Result<(), StoreError> {
            Ok(())
        }

        fn room(&self) -> Option<Room> {
            self.room.as_ref()?.lock().unwrap().pop()
        }
    }

    #[test]
    fn a_clean_stop_finishes_the_disk_after_the_last_write() {
        struct Finished(Sender<u64>);
        impl Disk for Finished {
            fn commit(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
                batches.iter().for_each(|batch| self.0.send(batch.id).unwrap());
                Ok(())
            }

            fn reopen(&mut self) -> Result<(), StoreError> {
                Ok(())
            }

            fn room(&self) -> Option<Room> {
                None
            }

            fn finish(&mut self) {
                self.0.send(0).unwrap();
            }
        }
        let (done, seen) = channel();
        let writer = Writer::start(Finished(done), Arc::new(Inbox::default()), |_| {}).unwrap();
        writer.write(batch(1));
        writer.write(batch(2));
        drop(writer);
        assert_eq!(seen.iter().collect::<Vec<_>>(), [1, 2, 0]);
    }

    fn start(refuse: Vec<bool>) -> (Writer, Arc<Inbox>, Receiver<u64>) {
        let inbox = Arc::new(Inbox::default());
        let (written, seen) = channel();
        let script = Script {
            refuse,
            written,
            room: None,
        };
        let writer = Writer::start(script, Arc::clone(&inbox), |_| {}).unwrap();
        (writer, inbox, seen)
    }

    fn batch(id: u64) -> Batch {
        Batch { id, ..Batch::default() }
    }

    fn next_fact(inbox: &Inbox) -> StoreFact {
        match inbox.take(Lanes::DiskOnly, LONG) {
            Taken::Input(Input::Store(fact)) => fact,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn batches_are_written_in_order_and_acknowledged() {
        let (writer, inbox, seen) = start(Vec::new());
        for id in 1..=5 {
            writer.write(batch(id));
        }
        while next_fact(&inbox) != (StoreFact::Committed { id: 5 }) {}
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn after_a_failure_nothing_is_written_until_the_engine_knows() {
        let (writer, inbox, seen) = start(vec![true]);
        writer.write(batch(1));
        assert!(matches!(next_fact(&inbox), StoreFact::Failed { .. }));
        writer.write(batch(2));
        writer.resume();
        assert_eq!(next_fact(&inbox), StoreFact::Reopened);
        writer.write(batch(3));
        assert_eq!(next_fact(&inbox), StoreFact::Committed { id: 3 });
        assert_eq!(seen.try_iter().collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn room_is_told_at_the_start_after_writes_that_change_it_and_before_a_reopened_store() {
        let free = |free: u64| Room {
            free,
            size: 1 << 30,
            used: 7,
        };
        let start = free(1 << 29);
        // A few bytes are no news after a write.
        let measured = [start, free(start.free - 9), free(start.free - TOLD_BYTES), free(12)];
        let inbox = Arc::new(Inbox::default());
        let (written, _seen) = channel();
        let script = Script {
            refuse: vec![true, false, false],
            written,
            room: Some(std::sync::Mutex::new(measured.into_iter().rev().collect())),
        };
        let writer = Writer::start(script, Arc::clone(&inbox), |_| {}).unwrap();
        assert_eq!(next_fact(&inbox), StoreFact::Room(start));
        for id in [1, 2] {
            writer.write(batch(id));
            assert_eq!(next_fact(&inbox), StoreFact::Committed { id });
        }
        assert_eq!(next_fact(&inbox), StoreFact::Room(free(start.free - TOLD_BYTES)));
        writer.write(batch(3));
        assert!(matches!(next_fact(&inbox), StoreFact::Failed { .. }));
        writer.resume();
        assert_eq!(next_fact(&inbox), StoreFact::Room(free(12)));
        assert_eq!(next_fact(&inbox), StoreFact::Reopened);
    }
}
