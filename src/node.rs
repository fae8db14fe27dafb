//! The node: the one place where the parts meet.
//!
//! ```text
//! stdin ─> session ─ commands ─> inbox ─> engine thread ─ batches ─> writer thread ─> disk
//!             ^                    ^        │   │   └── searches ──> miner threads
//!             └──── replies ───────│────────┘   └────── orders ────> swarm (tokio)
//!                                  └──────── facts of all of these
//! ```
//!
//! Promises: every channel is bounded; nobody waits for the console; what is acknowledged is on disk; the exit status
//! says how it went.
//! Elsewhere: decisions (`engine`), the command line (`cli`).
//! Spec: `proto-notes/events.md`.

#[cfg_attr(not(unix), allow(dead_code, reason = "no side door there yet"))]
mod chain_file;
pub mod checker;
mod client_words;
pub mod clock;
#[cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "no side door there yet"))]
pub mod control;
#[cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "no side door there yet"))]
pub mod control_client;
#[cfg_attr(not(unix), allow(dead_code, unused_imports, reason = "no side door there yet"))]
mod control_session;
mod control_socket;
#[cfg_attr(not(unix), allow(dead_code, reason = "no side door there yet"))]
mod drive;
pub mod engine_thread;
pub mod errands;
mod hangup;
mod hearers;
#[cfg_attr(not(unix), allow(dead_code, reason = "no side door there yet"))]
mod hello;
mod history;
pub mod housekeeper;
mod identities;
pub mod inbox;
mod long_reply;
pub mod mailbox;
mod open_files;
pub mod outbox;
#[cfg(feature = "web")]
mod page;
#[cfg(not(feature = "web"))]
#[path = "node/no_page.rs"]
mod page;
#[cfg(feature = "web")]
mod page_session;
pub mod probe;
pub mod reader;
pub mod screen;
mod second;
pub mod session;
mod signals;
pub mod surroundings;
pub mod telling;
mod view;
pub mod writer;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use multiaddr::Multiaddr;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::chain::{Batch, ChainStore, StoreError};
use crate::cli::{Args, DataFolder};
use crate::console::complete::NAMES_MAX;
use crate::contract::{Event, EventStamp};
use crate::engine::{Config, Engine, Input, MinerFact, NetOrder, Part, Room};
use crate::miner::pool::{Pool, PoolEvent};
use crate::net::{NetConfig, NetError, NetHandle};
use crate::store::error::{TOO_MANY_FILES, is_too_many_files};
use crate::store::older::{self, Older};
use crate::store::{Folder, FolderChoice, OpenError, RedbStore};
use crate::types::typed::USUAL_PORT;
use crate::types::{Address, Height, PeerId};
use checker::Checker;
use clock::Clock;
use control::{CONSOLE, Control, Hub, ReplyTo};
use drive::Driver;
use engine_thread::{Delivery, Wiring};
use errands::Errands;
use hearers::Hearers;
use housekeeper::{Neighbourhood, Notices};
use inbox::Inbox;
use mailbox::Mailbox;
use page::Page;
use screen::Screen;
use session::{CANCEL_MAX, In, Rules, Session};
use view::ConsoleView;
use writer::{Disk, Writer};

/// Orders that may wait for the network. It takes them as fast as it turns, so a full queue means a busy machine.
const NET_ORDERS_MAX: usize = 1_024;
/// Threads of the network: one for the swarm, one for discovery and signals.
const NET_THREADS: usize = 2;
/// How long the last words wait for a reader that reads nothing. A pause is forgiven; twice this, for both outputs, and the
/// stop itself stay below the 10 s after which supervisors kill.
const LAST_WORDS_MAX: Duration = Duration::from_secs(4);

/// Why a node cannot start.
#[derive(Debug)]
enum StartError {
    /// A node that runs already is meant.
    Beside {
        message: String,
        hint: String,
    },
    Folder(OpenError),
    Store(StoreError),
    Net(NetError),
    System(std::io::Error),
}

impl StartError {
    /// The exit status of the contract.
    const fn status(&self) -> u8 {
        match self {
            Self::Beside { .. } | Self::Folder(_) | Self::Store(_) => 3,
            Self::Net(_) => 4,
            Self::System(_) => 1,
        }
    }

    fn message_and_hint(&self) -> (String, String) {
        match self {
            Self::Beside { message, hint } => (message.clone(), hint.clone()),
            Self::Folder(error) => (error.to_string(), error.hint()),
            Self::Store(error) => (error.to_string(), "choose another folder with --data-dir DIR".into()),
            Self::Net(error) => (error.to_string(), error.hint().into()),
            Self::System(error) if is_too_many_files(error) => {
                ("too many files are open".into(), TOO_MANY_FILES.into())
            }
            Self::System(error) => (error.to_string(), "close other programs and start again".into()),
        }
    }
}

impl From<std::io::Error> for StartError {
    fn from(error: std::io::Error) -> Self {
        Self::System(error)
    }
}

/// Runs a node until it is stopped; gives the exit status. Errors before the start are told on the screen's log side.
#[must_use]
pub fn run(args: &Args, screen: &Screen, mailbox: &Mailbox) -> u8 {
    let node = match Node::start(args, screen, mailbox) {
        Ok(node) => node,
        Err(error) => {
            let (message, hint) = error.message_and_hint();
            screen.complain(&message, &hint);
            return error.status();
        }
    };
    let status = screen.status(node.converse(args, screen, mailbox));
    let (runtime, control, ears) = node.stop(args);
    ears.event(&Event::Stopped { exit_status: status });
    ears.page.stop();
    control.end();
    screen.finish(LAST_WORDS_MAX);
    // Signals were heard until here: a second SIGINT ends the wait for the last words.
    runtime.shutdown_background();
    screen.status(status)
}

/// All that runs besides the session.
struct Node {
    /// Dropped last: a temporary folder is removed then.
    folder: Arc<Folder>,
    runtime: Runtime,
    net: NetHandle,
    engine: JoinHandle<()>,
    housekeeper: Option<JoinHandle<()>>,
    notices: Arc<Notices>,
    inbox: Arc<Inbox>,
    leaving: Arc<AtomicBool>,
    control: Control,
    ears: Ears,
}

impl Node {
    fn start(args: &Args, screen: &Screen, mailbox: &Mailbox) -> Result<Self, StartError> {
        if let Some(warning) = open_files::raise_limit() {
            tracing::warn!(target: "node", "{warning}");
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(NET_THREADS)
            .thread_name("net")
            .enable_all()
            .build()?;
        // First of all: a stop that comes while the chain is opened is no kill.
        let leaving = Arc::new(AtomicBool::new(false));
        let inbox = Arc::new(Inbox::default());
        signals::listen(&runtime, mailbox, &leaving, (screen, &inbox));
        screen.switches().watched_by(folding_lost(&inbox));
        let warnings: Vec<_> = second::look(args)?.into_iter().collect();
        let folder = Folder::open(folder_choice(args), &args.network, args.trust).map_err(StartError::Folder)?;
        if let Some(warning) = folder.warning() {
            tracing::warn!(target: "store", "{warning}");
        }
        let folder = Arc::new(folder);
        let store = chain_file::open(&folder.chain_path(), &args.network).map_err(StartError::Folder)?;
        offer_accounts(screen, &store)?;
        let clock = Clock::start();
        let mut config = engine_config(args, (&folder, &store), warnings)?;
        config.start_warnings.extend(chain_file::warning(&store));
        let page = Arc::new(Page::bind(
            args.web,
            &args.web_hosts,
            (screen.run(), config.data_dir.clone()),
        )?);
        config.start_warnings.extend(page.warning());
        let engine = Engine::new(config, store.clone(), clock.now(), clock::wall()).map_err(StartError::Store)?;
        let (net, orders) = start_net(args, &folder, &inbox, &runtime)?;
        let (housekeeper, notices) = start_housekeeper(args, &folder, &inbox)?;
        let hub = hub(args, screen, (mailbox, &page));
        page.serve(&hub, &inbox)?;
        let ears = Ears {
            screen: screen.clone(),
            sessions: Arc::clone(&hub),
            page,
            hearers: Hearers::default(),
            last: Arc::default(),
        };
        let wiring = Wiring {
            writer: Writer::start(store, Arc::clone(&inbox), broken("writer", &ears))?,
            net: orders,
            miner: start_miner(args, &inbox),
            deliver: deliver(ears.clone()),
            notices: Arc::clone(&notices),
            clock,
            inbox: Arc::clone(&inbox),
            checker: Checker::start(Arc::clone(&inbox), broken_often("check", &ears)),
            errands: Errands::new(engine.peer_id(), args.discovery, mining_threads(args)),
        };
        let engine = engine_thread::start(engine, wiring, broken("engine", &ears))?;
        let control = Control::open(folder.path(), &hub, &inbox);
        Ok(Self {
            folder,
            runtime,
            net,
            engine,
            housekeeper: Some(housekeeper),
            notices,
            inbox,
            leaving,
            control,
            ears,
        })
    }

    /// Reads and answers until the input ends or somebody stops the node.
    fn converse(&self, args: &Args, screen: &Screen, mailbox: &Mailbox) -> u8 {
        let broken = broken("reader of commands", &self.ears);
        let driver = Driver {
            number: CONSOLE,
            mailbox: mailbox.clone(),
            more: reader::start(args, (screen, &self.ears), self.folder.path(), mailbox.clone(), broken),
            inbox: Arc::clone(&self.inbox),
            node: mailbox.clone(),
        };
        let mut session = Session::of_console(Rules {
            daemon: args.daemon,
            strict: args.strict,
            prompt: screen.is_prompt(),
            tells_searches: !screen.is_for_programs(),
            answers_aside: screen.is_prompt(),
            ahead: 1,
            may_detach: false,
            grace: CANCEL_MAX,
        });
        let mut view = ConsoleView::new(screen.clone(), Arc::clone(&self.ears.page), args.network.halflife_ms);
        driver.run(&mut session, &mut view);
        let status = session.status();
        self.leaving.store(true, Ordering::SeqCst);
        self.control.close();
        status
    }

    /// Announces what is fresh, writes what is queued, closes everything but the ears for signals and for clients' last
    /// words.
    fn stop(mut self, args: &Args) -> (Runtime, Control, Ears) {
        self.inbox.push(Input::Stop);
        self.engine.join().expect("a watched thread ends without a panic");
        self.notices.end();
        if let Some(housekeeper) = self.housekeeper.take() {
            housekeeper.join().expect("a watched thread ends without a panic");
        }
        self.runtime.block_on(self.net.stopped());
        if let Some(warning) = self.ears.hearers.unheard(!self.folder.is_temp()) {
            self.ears.event(&warning);
        }
        if let Some(folder) = Arc::into_inner(self.folder) {
            folder.give_back(&args.network);
        }
        (self.runtime, self.control, self.ears)
    }
}

fn start_housekeeper(
    args: &Args,
    folder: &Arc<Folder>,
    inbox: &Arc<Inbox>,
) -> Result<(JoinHandle<()>, Arc<Notices>), StartError> {
    let notices = Arc::new(Notices::default());
    let place = Place {
        folder: Arc::clone(folder),
        seen: args.discovery,
    };
    let housekeeper = housekeeper::start(place, Arc::clone(&notices), Arc::clone(inbox))?;
    Ok((housekeeper, notices))
}

/// A prompt completes the accounts of the chain.
fn offer_accounts(screen: &Screen, store: &RedbStore) -> Result<(), StartError> {
    if screen.is_prompt() {
        let (_, accounts) = store.accounts(NAMES_MAX).map_err(StartError::Store)?;
        let names = screen.names();
        accounts
            .iter()
            .for_each(|(account, _)| names.see_account(&account.to_string()));
    }
    Ok(())
}

fn folder_choice(args: &Args) -> FolderChoice {
    match &args.folder {
        DataFolder::Dir(folder) => FolderChoice::Dir(folder.clone()),
        DataFolder::Temp => FolderChoice::Temp,
        DataFolder::Slot => FolderChoice::Slot {
            name: args.name.as_ref().map(ToString::to_string),
        },
    }
}

/// The earlier version's folder, told until this one's chain begins. Folders chosen by hand have none beside them.
fn older_folder(args: &Args, folder: &Folder, store: &RedbStore) -> Option<Older> {
    let is_new = store.tip().is_ok_and(|(height, _)| height == Height::GENESIS);
    let is_slot = matches!(args.folder, DataFolder::Slot);
    (is_slot && is_new).then(|| older::find(folder.path(), folder.secret_key(), &args.network))?
}

/// `warnings` are told at the start, each with its code.
fn engine_config(
    args: &Args,
    (folder, store): (&Folder, &RedbStore),
    warnings: Vec<(&'static str, String)>,
) -> Result<Config, StartError> {
    let older = older_folder(args, folder, store);
    let mut others = identities::others(args, &folder.secret_key().public());
    identities::look_up(&mut others, store).map_err(StartError::Store)?;
    if let Some(others) = identities::sentence(&others).filter(|_| matches!(args.folder, DataFolder::Slot)) {
        tracing::info!(target: "node", "{others}");
    }
    Ok(Config {
        params: args.network.clone(),
        key: folder.secret_key().clone(),
        name: args.name.clone(),
        seed: u64::from_ne_bytes(random()?),
        secret: random()?,
        hash_many: crate::miner::many::chosen(),
        instance: u64::from_ne_bytes(random()?),
        data_dir: folder.path().display().to_string(),
        peer_clock: args.peer_clock.clone(),
        mine: args.mine,
        start_warnings: older
            .into_iter()
            .map(|older| ("older_folder", older.sentence()))
            .chain(warnings)
            .collect(),
        keys_here: others.iter().map(|other| (other.key, other.told(args))).collect(),
        exchange: args.exchange,
        manual_peers: args.peers.clone(),
        limits: crate::engine::Limits::default(),
    })
}

fn random<const SIZE: usize>() -> Result<[u8; SIZE], StartError> {
    let mut bytes = [0; SIZE];
    getrandom::fill(&mut bytes).map_err(|error| StartError::System(std::io::Error::other(error.to_string())))?;
    Ok(bytes)
}

/// Listens on the wanted port; without one on the folder's last, on the usual one, or on any: the first that is free.
fn start_net(
    args: &Args,
    folder: &Folder,
    inbox: &Arc<Inbox>,
    runtime: &Runtime,
) -> Result<(NetHandle, mpsc::Sender<NetOrder>), StartError> {
    let _entered = runtime.enter();
    let start = |port| {
        let (orders, queue) = mpsc::channel(NET_ORDERS_MAX);
        let config = NetConfig {
            key: folder.secret_key().clone(),
            network_id: args.network.network_id(),
            listen: multiaddrs(&args.listen),
            port,
            bind: args.bind.clone(),
            mdns: args.discovery,
        };
        let facts = Arc::clone(inbox);
        #[expect(clippy::result_large_err, reason = "a refused fact goes back to the network")]
        let sink: crate::net::FactSink = Box::new(move |read, fact| facts.push_read(read, fact));
        let handle = crate::net::start(&config, queue, sink)?;
        Ok((handle, orders))
    };
    let may_choose = args.port == 0 && args.listen.is_empty();
    let choices = [folder.last_port(), Some(USUAL_PORT)].into_iter().flatten();
    for port in choices.filter(|_| may_choose) {
        match start(port) {
            Err(NetError::PortInUse { .. }) => {}
            started => return started.map_err(StartError::Net),
        }
    }
    start(args.port).map_err(StartError::Net)
}

fn multiaddrs(addresses: &[Address]) -> Vec<Multiaddr> {
    let read = |address: &Address| address.as_str().parse().expect("an address is a multiaddr");
    addresses.iter().map(read).collect()
}

/// All cores but one mine: the machine stays usable, and peers are answered.
fn mining_threads(args: &Args) -> usize {
    let spare = || std::thread::available_parallelism().map_or(1, |cores| cores.get().saturating_sub(1).max(1));
    args.threads.map_or_else(spare, NonZeroUsize::get)
}

fn start_miner(args: &Args, inbox: &Arc<Inbox>) -> Pool {
    let inbox = Arc::clone(inbox);
    let on_event = move |event| match event {
        PoolEvent::Found { job, nonce } => inbox.push(Input::Miner(MinerFact::Found { job, nonce })),
        PoolEvent::Exhausted { job } => inbox.push(Input::Miner(MinerFact::Exhausted { job })),
        PoolEvent::Failed(reason) => inbox.failed(Part::Mining, &reason),
    };
    Pool::start(mining_threads(args), Box::new(on_event))
}

/// Who hears of what happens: the user, the sessions.
#[derive(Clone)]
struct Ears {
    screen: Screen,
    sessions: Arc<Hub>,
    page: Arc<Page>,
    hearers: Hearers,
    /// The number of the last event. It stays locked while an event is handed on, so that all get them in one order.
    last: Arc<Mutex<u64>>,
}

impl Ears {
    fn event(&self, event: &Event) {
        self.hearers.event(event);
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last += 1;
        let stamp = EventStamp {
            time_ms: clock::wall().ms(),
            run: self.screen.run(),
            seq: *last,
        };
        self.page.event(event, stamp);
        let named = self.naming_page(event);
        let event = named.as_ref().unwrap_or(event);
        self.screen.event(event, stamp);
        self.sessions.event(event, stamp);
    }

    /// The start with the address of the page, for those who may know the token.
    fn naming_page(&self, event: &Event) -> Option<Event> {
        let Event::Started(status) = event else { return None };
        let mut status = status.clone();
        status.web = self.page.url();
        Some(Event::Started(status))
    }
}

/// Where the replies of all sessions go; the console is the first of them.
fn hub(args: &Args, screen: &Screen, (mailbox, page): (&Mailbox, &Arc<Page>)) -> Arc<Hub> {
    let console = ReplyTo {
        mailbox: mailbox.clone(),
        tells: screen.reply_tells().clone(),
    };
    let halflife_ms = args.network.halflife_ms;
    let page = Arc::clone(page);
    Arc::new(Hub::new(
        screen.switches().clone(),
        console,
        halflife_ms,
        (screen.run(), page),
    ))
}

/// What is done when a part without which a node cannot go on has failed: that is told, and the node stops.
fn broken(part: &'static str, ears: &Ears) -> impl FnOnce(&str) + Send + use<> {
    let ears = ears.clone();
    move |reason| {
        let message = format!(
            "the {part} of this node failed: {reason}; the node stops; what it acknowledged is on disk: start it again"
        );
        let code = "part_failed";
        ears.event(&Event::Warning { code, message });
        ears.sessions.tell_console(In::Failed);
    }
}

/// The same for a part of several threads, each of which may fail.
fn broken_often(part: &'static str, ears: &Ears) -> impl Fn(&str) + Clone + Send + use<> {
    let ears = ears.clone();
    move |reason| broken(part, &ears)(reason)
}

/// Events go to the screen and to clients, replies to the sessions whose they are, which write them behind the events that came
/// before.
fn deliver(ears: Ears) -> Box<dyn Fn(Delivery) + Send> {
    Box::new(move |delivery| match delivery {
        Delivery::Event(event) => {
            ears.event(&event);
            if matches!(event, Event::Started(_)) {
                ears.sessions.tell_console(In::Started);
            }
        }
        Delivery::Reply { id, result } => ears.sessions.reply(id, Box::new(result)),
    })
}

impl Disk for RedbStore {
    fn commit(&mut self, batches: &[Batch]) -> Result<(), StoreError> {
        Self::commit(self, batches)
    }

    fn reopen(&mut self) -> Result<(), StoreError> {
        Self::reopen(self).map_err(|error| StoreError::Io(error.to_string()))
    }

    fn room(&self) -> Option<Room> {
        Self::room(self).map(|(used, free, size)| Room { used, free, size })
    }

    fn finish(&mut self) {
        if let Err(error) = self.write_indexes() {
            tracing::debug!(target: "store", %error, "the next start makes what is left of the indexes");
        }
    }
}

/// The data folder as the housekeeper sees it.
struct Place {
    folder: Arc<Folder>,
    /// False with `--no-mdns`: neither shown nor looking.
    seen: bool,
}

impl Neighbourhood for Place {
    fn show(&self, addresses: Option<&[Address]>) {
        if let Some(port) = addresses.into_iter().flatten().find_map(Address::tcp_port) {
            note_failure(self.folder.set_last_port(port));
        }
        if self.seen {
            let texts: Option<Vec<String>> = addresses.map(|list| list.iter().map(ToString::to_string).collect());
            note_failure(self.folder.set_address(texts.as_deref()));
        }
    }

    fn look(&self) -> Vec<(PeerId, Vec<Address>)> {
        if self.seen { self.folder.siblings() } else { Vec::new() }
    }
}

/// The node lives without: it takes another port, or is found in another way.
fn note_failure(result: std::io::Result<()>) {
    if let Err(error) = result {
        tracing::debug!(target: "store", %error, "the data folder cannot be written");
    }
}

/// Tells that a thread which folds rows has failed.
fn folding_lost(inbox: &Arc<Inbox>) -> telling::Lost {
    let inbox = Arc::clone(inbox);
    Box::new(move |reason| inbox.failed(Part::Folding, reason))
}
