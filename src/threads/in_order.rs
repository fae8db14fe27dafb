//! Work on several threads, with results in the order in which the work was given.
//!
//! Promises: as many threads as the machine has cores, at most [`THREADS_MAX`]; each job is done once; a panic in a job
//! goes on in the thread that takes its result; where the system gives no thread, the work is done by whoever gives it.
//! Elsewhere: how much may be given before results are taken is up to the owner, who knows how large a job is.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, Result as Ended, available_parallelism};

/// The most threads: whoever takes the results is the next limit.
pub const THREADS_MAX: usize = 8;

/// Jobs that wait for a thread; then whoever gives one waits.
const WAITING_MAX: usize = 16;

/// What is done with each job.
type Work<J, R> = Arc<dyn Fn(J) -> R + Send + Sync>;

/// A job, and where its result goes.
type Ordered<J, R> = (J, SyncSender<Ended<R>>);

/// The threads, and the results that were not taken yet.
pub struct InOrder<J, R> {
    work: Work<J, R>,
    /// None where there is no thread.
    jobs: Option<SyncSender<Ordered<J, R>>>,
    pending: VecDeque<Receiver<Ended<R>>>,
    threads: Vec<JoinHandle<()>>,
}

impl<J: Send + 'static, R: Send + 'static> InOrder<J, R> {
    /// Starts the threads, which do this with each job.
    pub fn start(name: &str, work: impl Fn(J) -> R + Send + Sync + 'static) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self::with_threads(cores.min(THREADS_MAX), name, work)
    }

    /// Starts as many threads; with none, [`InOrder::give`] does the work itself.
    pub fn with_threads(count: usize, name: &str, work: impl Fn(J) -> R + Send + Sync + 'static) -> Self {
        let work: Work<J, R> = Arc::new(work);
        let (jobs, next) = sync_channel::<Ordered<J, R>>(WAITING_MAX);
        let next = Arc::new(Mutex::new(next));
        let thread = |_| {
            let (work, next) = (Arc::clone(&work), Arc::clone(&next));
            Builder::new().name(name.into()).spawn(move || serve(&work, &next)).ok()
        };
        let threads: Vec<_> = (0..count).filter_map(thread).collect();
        Self {
            work,
            jobs: (!threads.is_empty()).then_some(jobs),
            pending: VecDeque::new(),
            threads,
        }
    }

    /// Hands a job to the threads; waits while many wait for one already.
    pub fn give(&mut self, job: J) {
        let (done, result) = sync_channel(1);
        self.pending.push_back(result);
        let unserved = match &self.jobs {
            Some(jobs) => jobs.send((job, done)).err().map(|unsent| unsent.0),
            None => Some((job, done)),
        };
        if let Some((job, done)) = unserved {
            // The receiver is at the end of the list.
            let _ = done.send(Ok((self.work)(job)));
        }
    }

    /// The result of the oldest job whose result was not taken yet, once it is there; none if all were taken.
    pub fn take(&mut self) -> Option<R> {
        let result = self.pending.pop_front()?;
        match result.recv() {
            Ok(Ok(result)) => Some(result),
            Ok(Err(panic)) => resume_unwind(panic),
            Err(_) => unreachable!("a thread sends a result for each job"),
        }
    }

    /// How many jobs have results that were not taken yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}

impl<J, R> Drop for InOrder<J, R> {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // It has caught every panic of its jobs.
            let _ = thread.join();
        }
    }
}

/// Does jobs until no more can come.
fn serve<J, R>(work: &Work<J, R>, next: &Mutex<Receiver<Ordered<J, R>>>) {
    loop {
        let job = next.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((job, done)) = job else { return };
        let result = catch_unwind(AssertUnwindSafe(|| work(job)));
        // Nobody takes it if the owner is gone.
        let _ = done.send(result);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs_also_without_a_thread() {
        for threads in [0, 1, 3] {
            // The first job ends last: it waits for the third one.
            let (tell, told) = sync_channel::<()>(1);
            let told = Mutex::new(told);
            let mut pool = InOrder::with_threads(threads, "test", move |job: u32| {
                match (threads, job) {
                    (3, 0) => told.lock().unwrap().recv().unwrap(),
                    (3, 2) => tell.send(()).unwrap(),
                    (_, _) => {}
                }
                job * 10
            });
            (0..20).for_each(|job| pool.give(job));
            assert_eq!(pool.pending(), 20);
            let taken: Vec<u32> = core::iter::from_fn(|| pool.take()).collect();
            assert_eq!(taken, (0..20).map(|job| job * 10).collect::<Vec<_>>());
            assert_eq!((pool.pending(), pool.take()), (0, None));
        }
    }

    #[test]
    fn a_panic_in_a_job_reaches_who_takes_its_result_and_the_other_jobs_go_on() {
        let mut pool = InOrder::with_threads(1, "test", |job: u32| {
            assert_ne!(job, 1, "a job that fails");
            job
        });
        (0..3).for_each(|job| pool.give(job));
        assert_eq!(pool.take(), Some(0));
        let panicked = catch_unwind(AssertUnwindSafe(|| pool.take())).unwrap_err();
        assert!(crate::threads::message_of(&*panicked).contains("a job that fails"));
        assert_eq!(pool.take(), Some(2));
    }
}
