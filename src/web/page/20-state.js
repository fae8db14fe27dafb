// The reducer: what the page knows, as a function of the node's events and of what was read once.
//
// Promises: `reduce` looks at its two arguments alone (no page, no clock, no request), so that the same events give the
// same picture, live and in a replay; every map is bounded; a stretch of events that is told twice does no harm.
// Answers of reads come as events whose names begin with `@`, with `asked`: the last event known when they were asked.
// In this part `s` is the state and `e` the event.

/** Two branches of the length that fits on the widest screen, many times over. */
const BLOCKS_MAX = 600;
/** More than a screen can show; a class has some hundred. */
const TXS_MAX = 1500;
const NAMES_MAX = 2000;
const NEWS_MAX = 40;
/** Blocks whose payments are read one by one; of more at once the pool is read instead. */
const WANTED_MAX = 4;

function newState() {
  return {
    run: '',
    seq: 0,
    time: 0,
    status: null,
    tip: '',
    alone: false,
    sync: null,
    reorg: null,
    stats: null,
    accounts: null,
    blocks: new Map(),
    txs: new Map(),
    peers: new Map(),
    owners: new Map(),
    names: new Map(),
    people: new Set(),
    news: [],
    wanted: [],
  };
}

/** Sets a value and forgets the oldest above the limit. */
function keep(map, key, value, limit) {
  map.set(key, value);
  if (map.size > limit) map.delete(map.keys().next().value);
}

/** The key behind an account: a name's owner as far as it is known, else the account itself. */
function personOf(s, account) {
  return s.owners.get(account) ?? account;
}

/** What a person is called: the name that it says, else the end of the key. */
function nameOf(s, account) {
  const id = personOf(s, account ?? '?');
  const peer = s.peers.get(id);
  if (id === s.status?.peer_id && s.status.name) return s.status.name;
  return peer?.name ? peer.name + (peer.name_taken ? '?' : '') : (s.names.get(id) ?? short(id));
}

/** The account of a node that its user knows: the name that the chain proves, else that of the key. */
function accountOf(s, id) {
  if (id === s.status?.peer_id) return s.status.account;
  const peer = s.peers.get(id);
  return peer?.name_proven ? peer.name : id;
}

/** The end of a key, as the prompt writes it; names stay as they are. */
function short(id) {
  return id.length > 40 ? `…${id.slice(-8)}` : id;
}

function learnOwner(s, name, id) {
  if (name && id && name.length < 40) keep(s.owners, name, id, NAMES_MAX);
}

function meet(s, id) {
  if (id?.length > 40 && s.people.size < NAMES_MAX) s.people.add(id);
}

function putBlock(s, e, source) {
  const old = s.blocks.get(e.hash);
  s.blocks.delete(e.hash);
  keep(
    s.blocks,
    e.hash,
    {
      hash: e.hash,
      height: e.height,
      previous: e.previous_hash,
      miner: e.miner,
      time: e.block_time_ms ?? e.time_ms,
      bits: e.bits ?? old?.bits,
      count: e.transactions ?? old?.count,
      source: source ?? old?.source,
    },
    BLOCKS_MAX,
  );
  meet(s, personOf(s, e.miner));
}

/** Where a transaction is: `pool`, `block`, `gone` (with a reason), or between the two while a branch is replaced: `air`. */
function putTx(s, e, place, more) {
  const old = s.txs.get(e.txid) ?? {};
  const { kind = 'transfer', from = '?', to = '?', amount = 0 } = { ...old, ...e };
  keep(
    s.txs,
    e.txid,
    { back: old.back, txid: e.txid, kind, from, to, amount, place, ...more, seq: s.seq, time: s.time },
    TXS_MAX,
  );
}

/** A sentence of what happened: the key of the words and their values. */
function tell(s, tone, key, ...values) {
  s.news.push({ key, values, tone, time: s.time, seq: s.seq });
  if (s.news.length > NEWS_MAX) s.news.shift();
}

function putPeer(s, e, more) {
  const old = s.peers.get(e.peer_id) ?? { latency_ms: null, since: null };
  s.peers.set(e.peer_id, { ...old, ...e, ...more, id: e.peer_id });
  meet(s, e.peer_id);
  if (!e.name || e.name_taken) return;
  keep(s.names, e.peer_id, e.name, NAMES_MAX);
  if (e.name_proven) learnOwner(s, e.name, e.peer_id);
}

/** Marks the edge that brought a message. */
function pulse(s, e, kind) {
  const peer = s.peers.get(e.source);
  if (peer) peer.pulse = { seq: s.seq, kind };
}

const MEANING = {
  started(s, e) {
    s.status = e;
    s.tip = e.tip;
    meet(s, e.peer_id);
  },
  peer_found(s, e) {
    meet(s, e.peer_id);
  },
  peer_connected(s, e) {
    putPeer(s, e, { since: e.time_ms });
    s.alone = false;
    tell(s, 'peer', 'n_join', e.peer_id);
  },
  peer_named(s, e) {
    if (s.peers.has(e.peer_id)) putPeer(s, e);
  },
  peer_tip(s, { peer_id: id, height, tip }) {
    if (s.peers.has(id)) Object.assign(s.peers.get(id), { height, tip });
  },
  peer_disconnected(s, e) {
    tell(s, 'peer', 'n_leave', e.peer_id, e.reason);
    s.peers.delete(e.peer_id);
  },
  transaction_accepted(s, e) {
    putTx(s, e, 'pool', { signer: e.signer });
    learnOwner(s, e.from, e.signer);
    if (e.kind === 'claim' && !s.names.has(e.signer)) keep(s.names, e.signer, e.from, NAMES_MAX);
    meet(s, e.signer);
    pulse(s, e, 'tx');
    tell(s, 'tx', 'n_tx', e.txid);
  },
  transaction_rejected(s, e) {
    pulse(s, e, 'bad');
  },
  transaction_dropped(s, e) {
    putTx(s, e, 'gone', { why: e.message });
    tell(s, 'bad', 'n_drop', e.txid, e.message);
  },
  transactions_dropped(s, e) {
    tell(s, 'bad', 'n_drops', e.count);
  },
  payment_confirmed(s, e) {
    putTx(s, e, 'block', { block: activeAt(s, e.height)?.hash });
  },
  mined(s, e) {
    learnOwner(s, e.miner, s.status?.peer_id);
  },
  block_connected(s, e) {
    putBlock(s, e, e.source);
    s.tip = e.hash;
    pulse(s, e, 'block');
    tell(s, 'block', 'n_block', e.miner, e.height, e.transactions - 1);
    // Whose payments went in is read later; in a storm of blocks the pool is read instead.
    if (s.sync || s.wanted.length > WANTED_MAX) s.wanted = ['*'];
    else if (e.transactions > 1 && s.wanted[0] !== '*') s.wanted.push(e.hash);
  },
  block_disconnected(s, e) {
    putBlock(s, e);
    s.tip = e.previous_hash;
    // Whether its payments wait again, died, or are in the new branch too is told by the next events.
    for (const tx of s.txs.values())
      if (tx.block === e.hash && tx.place === 'block') Object.assign(tx, { place: 'air', back: e.hash });
  },
  block_stored(s, e) {
    putBlock(s, e, e.source);
    pulse(s, e, 'block');
    tell(s, 'side', 'n_side', e.miner, e.height);
  },
  block_rejected(s, e) {
    pulse(s, e, 'bad');
    tell(s, 'bad', 'n_bad', e.height ?? '?', e.message);
  },
  reorganized(s, e) {
    for (const txid of e.returned) putTx(s, { txid }, 'pool', { back: s.txs.get(txid)?.back ?? e.old_tip });
    for (const { txid, code } of e.dropped) putTx(s, { txid }, 'gone', { why: s.txs.get(txid)?.why ?? code });
    for (const tx of s.txs.values()) if (tx.place === 'air') tx.place = 'block';
    const winner = s.blocks.get(e.new_tip);
    s.reorg = s.seq;
    tell(
      s,
      'reorg',
      'n_reorg',
      winner?.miner,
      e.fork_height,
      e.depth,
      (winner?.height ?? 0) - e.fork_height,
      e.returned_count,
      e.dropped_count,
    );
  },
  sync_started(s, e) {
    s.sync = e;
  },
  sync_finished(s) {
    s.sync = null;
  },
  warning(s, e) {
    if (e.code === 'alone') s.alone = true;
    else tell(s, 'bad', e.message);
  },
  stopped(s) {
    s.peers.clear();
    tell(s, 'bad', 'n_stop');
  },
  '@status'(s, { data }) {
    s.status = data;
    meet(s, data.peer_id);
  },
  '@tree'(s, { data, asked }) {
    for (const facts of data.blocks.reverse()) putBlock(s, facts);
    if (asked === s.seq || !s.blocks.has(s.tip)) s.tip = data.tips[0].hash;
  },
  '@peers'(s, { data, asked }) {
    const listed = new Set(data.peers.map((peer) => peer.peer_id));
    // What events told since the question is newer than the answer.
    if (asked === s.seq) for (const id of s.peers.keys()) if (!listed.has(id)) s.peers.delete(id);
    for (const { height, tip, ...facts } of data.peers)
      putPeer(s, facts, asked === s.seq || !s.peers.has(facts.peer_id) ? { height, tip } : {});
    if (listed.size) s.alone = false;
  },
  '@pending'(s, { data, asked }) {
    const listed = new Set(data.transactions.map((facts) => facts.txid));
    for (const tx of s.txs.values())
      if (tx.place === 'pool' && !listed.has(tx.txid) && tx.seq <= asked)
        Object.assign(tx, { place: 'block', block: null });
    for (const facts of data.transactions.slice(0, TXS_MAX)) {
      const old = s.txs.get(facts.txid);
      if (!old || old.seq <= asked) putTx(s, facts, 'pool');
    }
  },
  '@block'(s, { data }) {
    const block = s.blocks.get(data.hash);
    if (block) block.count = data.transactions.length;
    if (activeAt(s, data.height)?.hash !== data.hash) return;
    for (const facts of data.transactions.slice(1)) putTx(s, facts, 'block', { block: data.hash });
  },
  '@chain'(s, { data }) {
    for (const facts of data.blocks.reverse()) {
      putBlock(s, { ...facts, transactions: facts.transactions.length });
      MEANING['@block'](s, { data: facts });
    }
  },
  '@stats'(s, { data }) {
    s.stats = data;
    for (const { account, owner } of data.miners) learnOwner(s, account, owner);
  },
  '@accounts'(s, { data }) {
    s.accounts = [...new Map([...data.accounts, ...data.own].map((entry) => [entry.account, entry])).values()];
    for (const { account, owner } of s.accounts) learnOwner(s, account, owner);
  },
};
MEANING.attached = MEANING.started;
MEANING.sync_progress = MEANING.sync_started;

/** The active chain from the tip down, as far as it is known. */
function* activeChain(s) {
  for (let block = s.blocks.get(s.tip); block; block = s.blocks.get(block.previous)) yield block;
}

function activeAt(s, height) {
  for (const block of activeChain(s)) if (block.height <= height) return block.height === height ? block : null;
  return null;
}

/** The newest blocks of the active chain, oldest first. */
function newest(s, count) {
  const found = [];
  for (const block of activeChain(s)) if (found.push(block) >= count) break;
  return found.reverse();
}

/** Takes one event in. The state is changed in place and given back. */
function reduce(s, e) {
  if (e.seq) Object.assign(s, { run: e.run, seq: e.seq, time: e.time_ms });
  if (Object.hasOwn(MEANING, e.event)) MEANING[e.event](s, e);
  return s;
}
