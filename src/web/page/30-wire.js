// The wire to the node: token, reads, commands, and one stream of events for all tabs of the browser.
//
// Promises: every event reaches `live` once and in order, or everything is read anew; a tab that is not seen holds no
// stream; what a storm of blocks makes stale is read once, when it is over; nothing is asked of another host.
// Elsewhere: what events mean (`20-state.js`). Spec: `proto-notes/web.md`.

/** Blocks within this time of each other are one storm, and nothing is read before its end … */
const CALM_MS = 400;
/** … unless it goes on and on: then once in this time. */
const STORM_MS = 20e3;
/** Costly answers are not asked for more often than this. */
const COSTLY_MS = 5e3;
const RETRY_MS = [300, 1e3, 2e3, 4e3];

const READS = {
  status: 'status',
  tree: 'tree/60',
  peers: 'peers',
  pending: 'pending',
  chain: 'chain/12',
  stats: 'stats/100',
  accounts: 'accounts',
};
const COSTLY = ['chain', 'stats', 'accounts'];

const wire = {
  live: newState(),
  token: takeToken(),
  readOnly: true,
  up: false,
  known: false,
  source: null,
  tries: 0,
  release: null,
  waiting: null,
  channel: null,
  needs: new Map(),
  readAt: {},
  blockAt: 0,
  burst: 0,
  busy: false,
  readingBlock: false,
  requests: 0,
  doctor: null,
};

/** The token stands in the fragment of the address that the node prints; the address bar need not show it. */
function takeToken() {
  const [, token] = location.hash.match(/^#t=([\w-]+)$/) ?? [];
  if (token) history.replaceState(null, '', `${location.pathname}${location.search}#/`);
  return remembered('sessionStorage', 'token', token);
}

/** One request; gives the answer's object, also that of a refusal, and an error of its own where nobody answers. */
async function request(path, command) {
  const headers = wire.token ? { authorization: `Bearer ${wire.token}` } : {};
  wire.requests += 1;
  try {
    const post = command && {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ command }),
    };
    const answer = await fetch(path, post ?? { headers });
    if (answer.status === 401) wire.token = null;
    return await answer.json();
  } catch {
    return { error: { code: 'no_node', message: t('down'), hint: '' } };
  }
}

/** The `data` of a read, or an object with `error`. */
function read(...words) {
  return request(`/api/${words.map(encodeURIComponent).join('/')}`);
}

/** Whether commands can be given from here. */
function mayAct() {
  return !wire.readOnly && !!wire.token;
}

/** Takes what the stream brings, in this tab or in the one that leads. */
function arrive(kind, data) {
  const facts = data && JSON.parse(data);
  if (kind === 'down') wire.up = false;
  if (kind === 'hello') {
    Object.assign(wire, { up: true, tries: 0, readOnly: facts.read_only });
    if (!wire.known || (!wire.source && (facts.run !== wire.live.run || facts.seq > wire.live.seq))) startAgain(facts);
  }
  if (kind === 'reset') startAgain(facts);
  if (kind === 'event') take(facts);
  ask();
}

/** Another run of the node, or events that are gone: what was drawn stays until the answers are here. */
function startAgain({ run, seq }) {
  const { live } = wire;
  if (live.run !== run) live.peers.clear();
  Object.assign(live, { run, seq, sync: null, wanted: [] });
  need(...Object.keys(READS));
  if (!wire.known) readDue();
  wire.known = true;
}

function take(event) {
  const { live } = wire;
  if (event.run === live.run && event.seq <= live.seq) return;
  if (event.run !== live.run || event.seq > live.seq + 1) startAgain(event);
  reduce(live, event);
  if (event.event === 'block_connected') {
    const now = performance.now();
    wire.burst = now - wire.blockAt < CALM_MS ? wire.burst + 1 : 0;
    wire.blockAt = now;
    need('stats', 'accounts');
  }
  if (event.event === 'reorganized' || event.event === 'transactions_dropped') need('pending');
  if (event.event === 'peer_connected') need('peers');
  if (event.event === 'mined') need('status');
}

/** Whether so many blocks come at once that nothing is read in between. */
function inStorm() {
  return !!wire.live.sync || (wire.burst > 8 && performance.now() - wire.blockAt < CALM_MS);
}

function need(...names) {
  for (const name of names) if (!wire.needs.has(name)) wire.needs.set(name, performance.now());
}

/** Called twice a second, and where somebody waits: reads what is due. */
async function readDue() {
  const { live, needs } = wire;
  const now = performance.now();
  const due = (name) => now - (wire.readAt[name] ?? -1e9) > (COSTLY.includes(name) ? COSTLY_MS : 300);
  if (!wire.up || wire.busy || (inStorm() && ![...needs.values()].some((since) => now - since > STORM_MS))) return;
  if (live.wanted[0] === '*') {
    live.wanted = [];
    need('pending');
  }
  wire.busy = true;
  const names = [...needs.keys()].filter(due);
  for (const name of names) needs.delete(name);
  // Costly ones come when the status is known: an empty chain has nothing to count.
  await Promise.all(names.filter((name) => !COSTLY.includes(name)).map(readOne));
  if (live.blocks.get(live.tip)?.height > 0)
    await Promise.all(names.filter((name) => COSTLY.includes(name)).map(readOne));
  wire.busy = false;
}

async function readOne(name) {
  const asked = wire.live.seq;
  wire.readAt[name] = performance.now();
  const data = await request(`/api/${READS[name]}`);
  // What the network lost is asked for again; what the node refuses is not.
  if (data.error) return data.error.code === 'no_node' && need(name);
  // The reducer has no clock: since when a peer is connected follows from how long.
  for (const peer of name === 'peers' ? data.peers : []) peer.since = Date.now() - peer.connected_ms;
  reduce(wire.live, { event: `@${name}`, data, asked });
  return ask();
}

/** Reads the payments of the blocks that just came, so that they are seen to go in. */
async function readWanted() {
  const { live } = wire;
  if (live.wanted.length === 0 || live.wanted[0] === '*' || wire.readingBlock) return;
  if (inStorm()) live.wanted = ['*'];
  else {
    wire.readingBlock = true;
    const data = await read('block', live.wanted.shift());
    wire.readingBlock = false;
    if (data.error) live.wanted = ['*'];
    else reduce(live, { event: '@block', data });
    ask();
  }
}

/** One tab leads: it alone holds the stream, and hands on what comes. Without locks (no https) each tab that is seen has its own. */
function follow() {
  if (document.hidden) rest();
  else if (wire.source || wire.waiting) return;
  else if (!navigator.locks) openStream();
  else {
    wire.channel ??= new BroadcastChannel('events');
    wire.channel.onmessage = ({ data: [kind, data] }) => {
      if (kind === 'lead') wire.channel.postMessage(['who']);
      else if (kind === 'who') announce();
      else if (!wire.source) arrive(kind, data);
    };
    wire.waiting = new AbortController();
    const lead = () =>
      new Promise((done) => {
        wire.release = done;
        wire.channel.postMessage(['lead']);
        openStream();
      });
    navigator.locks.request('events', { signal: wire.waiting.signal }, lead).catch(() => {});
    wire.channel.postMessage(['who']);
  }
}

/** Tells a tab that was opened later where the stream is. */
function announce() {
  const { run, seq } = wire.live;
  if (wire.source && wire.up)
    wire.channel.postMessage(['hello', JSON.stringify({ run, seq, read_only: wire.readOnly })]);
}

/** Holds no stream while nobody looks. */
function rest() {
  wire.source?.close();
  wire.release?.();
  wire.waiting?.abort();
  wire.source = wire.release = wire.waiting = null;
}

function openStream() {
  const { run, seq } = wire.live;
  const source = new EventSource(wire.known ? `/events?last=${run}-${seq}` : '/events');
  const pass =
    (kind) =>
    ({ data }) => {
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
    setTimeout(() => wire.source === source && openStream(), RETRY_MS[Math.min(wire.tries, 3)]);
    wire.tries += 1;
  };
}
