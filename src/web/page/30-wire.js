// The wire to the node: token, reads, commands, and one stream of events for all tabs of the browser.
//
// Promises: every event reaches `live` once and in order, or everything is read anew; a tab that is not seen holds no
// stream; what a storm of blocks makes stale is read once, when it is over; nothing is asked of another host.
// Elsewhere: what events mean (`20-state.js`). Spec: `proto-notes/web.md`.

/** Blocks within this time of each other are one storm, and nothing is read before its end … */
const CALM_MS = 400;
/** … unless it goes on and on: then once in this time. */
const STORM_MS = 20000;
/** Costly answers are not asked for more often than this. */
const COSTLY_MS = 5000;
const RETRY_MS = [300, 1000, 2000, 4000];

const READS = {
  status: ['status'], tree: ['tree', '60'], peers: ['peers'], pending: ['pending'],
  chain: ['chain', '8'], stats: ['stats', '100'], accounts: ['accounts'],
};
const COSTLY = new Set(['stats', 'accounts', 'chain', 'status']);

const wire = {
  live: newState(), token: takeToken(), readOnly: true, up: false, known: false,
  source: null, tries: 0, release: null, waiting: null, channel: null,
  needs: new Map(), readAt: {}, blockAt: -1e9, burst: 0, reading: false, requests: 0,
  onChange() {},
};

/** The token stands in the fragment of the address that the node prints; the address bar need not show it. */
function takeToken() {
  const found = location.hash.match(/^#t=([\w-]+)$/);
  if (found) {
    sessionStorage.setItem('token', found[1]);
    history.replaceState(null, '', `${location.pathname}${location.search}#/`);
  }
  return sessionStorage.getItem('token');
}

/** One request; gives the answer's object, also that of a refusal, and null where nobody answers. */
async function request(path, body) {
  const headers = wire.token ? { authorization: `Bearer ${wire.token}` } : {};
  if (body) headers['content-type'] = 'application/json';
  wire.requests += 1;
  try {
    const answer = await fetch(path, { method: body ? 'POST' : 'GET', headers, body: body && JSON.stringify(body) });
    if (answer.status === 401) wire.token = null;
    return await answer.json();
  } catch {
    return null;
  }
}

/** The `data` of a read, or an object with `error`. */
function read(...words) {
  return request(`/api/${words.map(encodeURIComponent).join('/')}`);
}

/** Gives a command as typed at the prompt; the whole reply comes back. */
function give(command) {
  return request('/api/command', { command });
}

/** Whether commands can be given from here. */
function mayAct() {
  return !wire.readOnly && !!wire.token;
}

/** Takes what the stream brings, in this tab or in the one that leads. */
function arrive(kind, data) {
  const { live } = wire;
  const facts = data && JSON.parse(data);
  if (kind === 'down') wire.up = false;
  if (kind === 'hello') greet(facts);
  if (kind === 'reset') startAgain(facts);
  if (kind === 'event') take(live, facts);
  wire.onChange();
}

function greet(hello) {
  wire.up = true;
  wire.tries = 0;
  wire.readOnly = hello.read_only;
  const gap = hello.run !== wire.live.run || (hello.seq > wire.live.seq && !wire.source);
  if (!wire.known || gap) startAgain(hello);
}

/** Another run of the node, or events that are gone: what was drawn stays until the answers are here. */
function startAgain({ run, seq }) {
  const { live } = wire;
  if (live.run !== run) {
    live.peers.clear();
    live.stopped = false;
    live.alone = false;
    live.sync = null;
  }
  Object.assign(live, { run, seq });
  const first = !wire.known;
  wire.known = true;
  need('status', 'tree', 'peers', 'pending', 'stats', 'accounts', 'chain');
  if (first) readNow();
}

function take(live, event) {
  if (event.run === live.run && event.seq <= live.seq) return;
  if (wire.known && (event.run !== live.run || event.seq > live.seq + 1)) startAgain(event);
  reduce(live, event);
  const { event: name } = event;
  if (name === 'block_connected') countBlock();
  if (name === 'block_connected' || name === 'block_disconnected') need('stats', 'accounts');
  if (name === 'reorganized' || name === 'transactions_dropped') need('pending');
  if (name === 'peer_connected') need('peers');
  if (name === 'mined' || name === 'sync_finished') need('status');
  if (name === 'started') need('tree', 'pending');
}

function countBlock() {
  const now = performance.now();
  wire.burst = now - wire.blockAt < CALM_MS ? wire.burst + 1 : 0;
  wire.blockAt = now;
}

/** Whether so many blocks come at once that nothing is read in between. */
function inStorm() {
  return !!wire.live.sync || (wire.burst > 8 && performance.now() - wire.blockAt < CALM_MS);
}

function need(...names) {
  for (const name of names) if (!wire.needs.has(name)) wire.needs.set(name, performance.now());
}

/** Called twice a second: reads what is due. */
function readDue() {
  if (!wire.up || wire.reading) return;
  const now = performance.now();
  if (wire.live.wanted[0] === '*') {
    wire.live.wanted = [];
    need('pending');
  }
  const calm = !inStorm();
  const due = [...wire.needs].some(([name, since]) => isDue(name, now, calm ? since : since + STORM_MS));
  if (due) readNow();
}

function isDue(name, now, from) {
  const gap = COSTLY.has(name) ? COSTLY_MS : 0;
  return now >= from && now - (wire.readAt[name] ?? -1e9) >= gap;
}

async function readNow() {
  if (wire.reading) return;
  wire.reading = true;
  const now = performance.now();
  const names = [...wire.needs.keys()].filter((name) => isDue(name, now, 0));
  for (const name of names) wire.needs.delete(name);
  await Promise.all(names.map((name) => readOne(name)));
  wire.reading = false;
}

async function readOne(name) {
  const { live } = wire;
  // An empty chain has nothing to count.
  if (COSTLY.has(name) && name !== 'status' && !(live.status?.height > 0)) return;
  wire.readAt[name] = performance.now();
  const asked = live.seq;
  const data = await read(...READS[name]);
  if (!data) wire.needs.set(name, performance.now());
  else if (!data.error) reduce(live, { event: `@${name}`, data, asked });
  if (name === 'status' && live.status?.height > 0) need('stats', 'accounts', 'chain');
  wire.onChange();
}

/** Reads the payments of the blocks that just came, so that they are seen to go in. */
async function readWanted() {
  const { live } = wire;
  if (live.wanted.length === 0 || live.wanted[0] === '*' || wire.readingBlock) return;
  if (inStorm()) {
    live.wanted = ['*'];
    return;
  }
  wire.readingBlock = true;
  const data = await read('block', live.wanted.shift());
  wire.readingBlock = false;
  if (data && !data.error) reduce(live, { event: '@block', data });
  wire.onChange();
}

/** One tab leads: it alone holds the stream, and hands on what comes. Where a browser has no locks, each tab that is seen has its own. */
function follow() {
  if (document.hidden) return rest();
  if (wire.source || wire.waiting) return undefined;
  if (!navigator.locks || !window.BroadcastChannel) return openStream();
  wire.channel ??= new BroadcastChannel('events');
  wire.channel.onmessage = ({ data: [kind, data] }) => {
    if (kind === 'who') announce();
    else if (!wire.source) arrive(kind, data);
  };
  wire.waiting = new AbortController();
  const lead = () => new Promise((done) => {
    wire.release = done;
    openStream();
  });
  navigator.locks.request('events', { signal: wire.waiting.signal }, lead).catch(() => {});
  wire.channel.postMessage(['who']);
  return undefined;
}

/** Tells a tab that was opened later where the stream is. */
function announce() {
  const { run, seq } = wire.live;
  if (wire.source && wire.up) wire.channel.postMessage(['hello', JSON.stringify({ run, seq, read_only: wire.readOnly })]);
}

/** Holds no stream while nobody looks. */
function rest() {
  wire.source?.close();
  wire.source = null;
  wire.release?.();
  wire.release = null;
  wire.waiting?.abort();
  wire.waiting = null;
}

function openStream() {
  const { run, seq } = wire.live;
  const source = new EventSource(wire.known ? `/events?last=${run}-${seq}` : '/events');
  const pass = (kind) => ({ data }) => {
    wire.channel?.postMessage([kind, data]);
    arrive(kind, data);
  };
  wire.source = source;
  source.onmessage = pass('event');
  source.addEventListener('hello', pass('hello'));
  source.addEventListener('reset', pass('reset'));
  source.onerror = () => {
    source.close();
    if (wire.source !== source) return;
    pass('down')({});
    const pause = RETRY_MS[Math.min(wire.tries, RETRY_MS.length - 1)];
    wire.tries += 1;
    setTimeout(() => wire.source === source && openStream(), pause);
  };
}
