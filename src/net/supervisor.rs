//! Keeps the network's task running: a task that fails is started anew.
//!
//! Promises: the engine hears of every failure, and of every start after it; orders that come between the two are
//! dropped, and tokens of the task before are unknown to the next; after too many failures in an hour the network stays
//! off, and the node goes on without it.
//! Spec: `proto-notes/events.md`, "Parts that fail".

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::restarts::Restarts;
use super::swarm::Task;
use super::{FactSink, NetConfig, NetError};
use crate::engine::{NetFact, NetOrder, Part, PartFact};
use crate::threads;

/// Between two attempts to hand the engine a fact that must arrive.
const RETRY: Duration = Duration::from_millis(20);
/// The tokens of one task: more than it can ever give.
const TOKENS_A_TASK: u64 = 1 << 40;

/// What outlives a task. Whoever runs holds it.
pub(super) struct Lasting {
    /// The engine's orders.
    pub(super) orders: mpsc::Receiver<NetOrder>,
    /// Whether the user wants the network on.
    pub(super) enabled: bool,
    /// How many tasks there were before.
    generation: u64,
}

impl Lasting {
    /// The first token of this task: none of another task's is like it.
    pub(super) const fn first_token(&self) -> u64 {
        self.generation.saturating_mul(TOKENS_A_TASK)
    }

    /// Drops orders for a while, or until they end: then it is false.
    async fn ignore_orders(&mut self, pause: Duration) -> bool {
        let end = tokio::time::sleep(pause);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return true,
                order = self.orders.recv() => match order {
                    Some(NetOrder::Enable(on)) => self.enabled = on,
                    Some(_) => {}
                    None => return false,
                },
            }
        }
    }
}

/// The way to the engine, which every task uses in turn.
struct Facts {
    sink: Mutex<FactSink>,
    /// Where the last task listened: other nodes know that port.
    port: AtomicU16,
}

impl Facts {
    #[expect(clippy::result_large_err, reason = "a refused fact goes back to the network")]
    fn offer(&self, read: Instant, fact: NetFact) -> Result<(), NetFact> {
        if let NetFact::Listening(address) = &fact
            && let Some(port) = address.tcp_port()
        {
            self.port.store(port, Ordering::Relaxed);
        }
        (self.sink.lock().unwrap_or_else(PoisonError::into_inner))(read, fact)
    }
}

/// What starts the network's tasks, one after the other.
pub(super) struct Supervisor {
    config: NetConfig,
    lasting: Arc<tokio::sync::Mutex<Lasting>>,
    facts: Arc<Facts>,
    restarts: Restarts,
}

impl Supervisor {
    /// Makes the first task; gives it back with what watches over it.
    ///
    /// # Errors
    /// [`NetError`] if the task cannot listen or be set up.
    pub(super) fn new(
        config: NetConfig,
        orders: mpsc::Receiver<NetOrder>,
        sink: FactSink,
    ) -> Result<(Self, Task), NetError> {
        let lasting = Lasting {
            orders,
            enabled: true,
            generation: 0,
        };
        let facts = Facts {
            sink: Mutex::new(sink),
            port: AtomicU16::new(config.port),
        };
        let supervisor = Self {
            config,
            lasting: Arc::new(tokio::sync::Mutex::new(lasting)),
            facts: Arc::new(facts),
            restarts: Restarts::default(),
        };
        let lasting = Arc::clone(&supervisor.lasting);
        let free = lasting.try_lock_owned().expect("nobody else has it yet");
        let task = supervisor.task(free)?;
        Ok((supervisor, task))
    }

    fn task(&self, lasting: OwnedMutexGuard<Lasting>) -> Result<Task, NetError> {
        let facts = Arc::clone(&self.facts);
        #[expect(clippy::result_large_err, reason = "a refused fact goes back to the network")]
        let sink = Box::new(move |read, fact| facts.offer(read, fact));
        Task::new(&self.config, lasting, sink)
    }

    /// Runs until the orders end. If it fails itself, that is told, and the network is off.
    pub(super) async fn run_watched(self, first: Task) {
        let facts = Arc::clone(&self.facts);
        let Err(panic) = AssertUnwindSafe(self.run(first)).catch_unwind().await else {
            return;
        };
        let ended = PartFact::Ended {
            part: Part::Network,
            reason: threads::message_of(&*panic),
            again_ms: None,
        };
        while facts.offer(Instant::now(), NetFact::Part(ended.clone())).is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }

    /// Runs until the orders end.
    async fn run(mut self, first: Task) {
        let mut next: Result<Task, NetError> = Ok(first);
        loop {
            let reason = match next {
                Ok(task) => match tokio::spawn(task.run()).await {
                    Ok(()) => return,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => threads::message_of(&*panic),
                        // The runtime ends.
                        Err(_) => return,
                    },
                },
                Err(error) => error.to_string(),
            };
            match self.start_anew(reason).await {
                Some(started) => next = started,
                None => return,
            }
        }
    }

    /// Tells the failure, waits, and starts the next task. None: there is none to come.
    async fn start_anew(&mut self, reason: String) -> Option<Result<Task, NetError>> {
        let mut lasting = Arc::clone(&self.lasting).lock_owned().await;
        lasting.generation += 1;
        let pause = self.restarts.next(Instant::now());
        let again_ms = pause.map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        let part = Part::Network;
        let ended = PartFact::Ended { part, reason, again_ms };
        if !self.tell(&mut lasting, ended).await {
            return None;
        }
        let Some(pause) = pause else {
            while lasting.ignore_orders(Duration::from_secs(3_600)).await {}
            return None;
        };
        if !lasting.ignore_orders(pause).await || !self.tell(&mut lasting, PartFact::Started { part }).await {
            return None;
        }
        // What the engine orders from here on waits for the task.
        self.config.port = self.facts.port.load(Ordering::Relaxed);
        let started = self.task(lasting);
        if matches!(started, Err(NetError::PortInUse { .. })) {
            self.config.port = 0;
            return Some(self.task(Arc::clone(&self.lasting).lock_owned().await));
        }
        Some(started)
    }

    /// Tells a fact that must arrive; drops orders while it waits for that. False: the orders ended meanwhile.
    async fn tell(&self, lasting: &mut Lasting, fact: PartFact) -> bool {
        let mut fact = self.facts.offer(Instant::now(), NetFact::Part(fact)).err();
        while let Some(refused) = fact.take() {
            if !lasting.ignore_orders(RETRY).await {
                return false;
            }
            fact = self.facts.offer(Instant::now(), refused).err();
        }
        true
    }
}
