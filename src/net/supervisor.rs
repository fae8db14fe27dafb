//! Keeps the network's task running: a task that fails is restarted.
//!
//! Promises: the engine learns of every failure and of every restart. Orders between the two are dropped, and the next
//! task does not know tokens of the previous one. After too many failures in an hour the network stays off, and the
//! node goes on without it.
//! Spec: `proto-notes/events.md`, "Parts that fail".

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::sync::{OwnedMutexGuard, mpsc};

use super::restarts::Restarts;
use super::swarm::NetTask;
use super::{FactSink, NetConfig, NetError};
use crate::engine::{NetFact, NetOrder, Part, PartFact};
use crate::threads;

/// The pause between two attempts to pass a fact that must arrive to the engine.
const RETRY: Duration = Duration::from_millis(20);
/// The number of tokens reserved for one task: more than it can ever use.
const TOKENS_A_TASK: u64 = 1 << 40;

/// State that survives a restart of the task; the running task holds it.
pub(super) struct CarriedState {
    /// The receiver of the engine's orders.
    pub(super) orders: mpsc::Receiver<NetOrder>,
    /// Whether the user wants the network on.
    pub(super) enabled: bool,
    /// The number of tasks before this one.
    generation: u64,
}

impl CarriedState {
    /// The first token of this task; tokens of different tasks never overlap.
    pub(super) const fn first_token(&self) -> u64 {
        self.generation.saturating_mul(TOKENS_A_TASK)
    }

    /// Drops orders for a while; returns false if the orders ended.
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

/// The way to the engine, which the tasks use one after another.
struct Facts {
    sink: Mutex<FactSink>,
    /// The port of the last task; the next one listens there again, because other nodes know it.
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

/// Starts the network's tasks, one after another.
pub(super) struct Supervisor {
    config: NetConfig,
    lasting: Arc<tokio::sync::Mutex<CarriedState>>,
    facts: Arc<Facts>,
    restarts: Restarts,
}

impl Supervisor {
    /// Makes the first task; returns the supervisor and the task.
    ///
    /// # Errors
    /// [`NetError`] if the task cannot listen or cannot be set up.
    pub(super) fn new(
        config: NetConfig,
        orders: mpsc::Receiver<NetOrder>,
        sink: FactSink,
    ) -> Result<(Self, NetTask), NetError> {
        let lasting = CarriedState {
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

    fn task(&self, lasting: OwnedMutexGuard<CarriedState>) -> Result<NetTask, NetError> {
        let facts = Arc::clone(&self.facts);
        #[expect(clippy::result_large_err, reason = "a refused fact goes back to the network")]
        let sink = Box::new(move |read, fact| facts.offer(read, fact));
        NetTask::new(&self.config, lasting, sink)
    }

    /// Runs until the orders end. If the supervisor itself fails, the engine is told, and the network is off.
    pub(super) async fn run_watched(self, first: NetTask) {
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

    /// Runs the tasks until the orders end.
    async fn run(mut self, first: NetTask) {
        let mut next: Result<NetTask, NetError> = Ok(first);
        loop {
            let reason = match next {
                Ok(task) => match tokio::spawn(task.run()).await {
                    Ok(()) => return,
                    Err(error) => match error.try_into_panic() {
                        Ok(panic) => threads::message_of(&*panic),
                        // The runtime is shutting down.
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

    /// Reports the failure, waits, and starts the next task. None means that no task follows.
    async fn start_anew(&mut self, reason: String) -> Option<Result<NetTask, NetError>> {
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
        // From here on, orders of the engine wait for the new task.
        self.config.port = self.facts.port.load(Ordering::Relaxed);
        let started = self.task(lasting);
        if matches!(started, Err(NetError::PortInUse { .. })) {
            self.config.port = 0;
            return Some(self.task(Arc::clone(&self.lasting).lock_owned().await));
        }
        Some(started)
    }

    /// Reports a fact that must arrive, and drops orders while it waits. False means that the orders ended meanwhile.
    async fn tell(&self, lasting: &mut CarriedState, fact: PartFact) -> bool {
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
