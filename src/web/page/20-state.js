// The reducer: what the page knows, as a function of the node's events and of what was read once.
//
// Promises: `reduce` looks at its two arguments alone (no page, no clock, no request), so that the same events give the
// same picture, live and in a replay; every map is bounded; a stretch of events that is told twice does no harm.
// Answers of reads come as events whose names begin with `@`, with `asked`: the last event known when it was asked.

/** Two branches of the length that fits on the widest screen, many times over. */
const BLOCKS_MAX = 600;
/** More than a screen can show; a class has some hundred. */
const TRANSACTIONS_MAX = 1500;
const NAMES_MAX = 2000;
const NEWS_MAX = 40;
/** Blocks whose payments are read one by one; of more at once the pool is read instead. */
const WANTED_MAX = 4;

function newState() {
  return {
    run: '', seq: 0, time: 0, status: null, tip: '', alone: false, stopped: false, sync: null,
    blocks: new Map(), transactions: new Map(), peers: new Map(), banned: [],
    owners: new Map(), names: new Map(), people: new Set(),
    news: [], reorganized: null, wanted: [], stats: null, accounts: null,
  };
}

/** Sets a value and forgets the oldest ones above the limit. */
function keep(map, key, value, limit) {
  map.delete(key);
  map.set(key, value);
  if (map.size > limit) map.delete(map.keys().next().value);
}

/** The key behind an account: a name's owner as far as it is known, else the account itself. */
function personOf(state, account) {
  return state.owners.get(account) ?? account;
}

/** What a person is called: the proven name, else the one it says, else the end of the key. */
function nameOf(state, id) {
  const person = personOf(state, id ?? '');
  if (person === state.status?.peer_id && state.status.name) return state.status.name;
  const peer = state.peers.get(person);
  if (peer?.name) return peer.taken ? `${peer.name}?` : peer.name;
  return state.names.get(person) ?? short(person);
}

/** The end of a key, as the prompt writes it; names stay as they are. */
function short(id) {
  return id.length > 40 ? `…${id.slice(-8)}` : id;
}

function learnOwner(state, name, person) {
  if (!name || name.length > 32 || !person) return;
  keep(state.owners, name, person, NAMES_MAX);
}

function putBlock(state, facts, more) {
  const old = state.blocks.get(facts.hash);
  const block = {
    hash: facts.hash, height: facts.height, previous: facts.previous_hash, miner: facts.miner,
    time: facts.block_time_ms ?? facts.time_ms, bits: facts.bits ?? old?.bits, work: facts.work,
    count: facts.transactions ?? old?.count ?? null, source: old?.source ?? null, ...more,
  };
  keep(state.blocks, block.hash, block, BLOCKS_MAX);
  if (block.miner) seePerson(state, personOf(state, block.miner));
  return block;
}

function seePerson(state, person) {
  if (person.length > 40 && state.people.size < NAMES_MAX) state.people.add(person);
}

function putTransaction(state, facts, change) {
  const old = state.transactions.get(facts.txid);
  const entry = {
    txid: facts.txid, kind: facts.kind ?? old?.kind ?? 'transfer', from: facts.from ?? old?.from, to: facts.to ?? old?.to,
    amount: facts.amount ?? old?.amount ?? 0, place: 'pool', block: null, back: old?.back ?? null, code: null, message: null,
    ...change, seq: state.seq, time: state.time,
  };
  if (old && state.transactions.size <= TRANSACTIONS_MAX) state.transactions.set(entry.txid, entry);
  else keep(state.transactions, entry.txid, entry, TRANSACTIONS_MAX);
}

function tell(state, key, values, tone) {
  state.news.push({ key, values, tone, time: state.time, seq: state.seq });
  if (state.news.length > NEWS_MAX) state.news.shift();
}

const MEANING = {
  started(state, event) {
    if (state.run !== event.run) state.stopped = false;
    state.status = event;
    state.tip = event.tip;
    seePerson(state, event.peer_id);
  },
  attached(state, event) {
    MEANING.started(state, event);
  },
  peer_found(state, event) {
    seePerson(state, event.peer_id);
  },
  peer_connected(state, event) {
    const old = state.peers.get(event.peer_id);
    state.peers.set(event.peer_id, {
      id: event.peer_id, name: event.name, proven: event.name_proven, taken: event.name_taken, address: event.address,
      found: event.found_by, since: event.time_ms, height: old?.height ?? null, tip: old?.tip ?? null, latency: null, pulse: 0,
    });
    namePeer(state, event);
    state.alone = false;
    tell(state, 'n_join', [event.peer_id], 'peer');
  },
  peer_named(state, event) {
    const peer = state.peers.get(event.peer_id);
    if (peer) Object.assign(peer, { name: event.name, proven: event.name_proven, taken: event.name_taken });
    namePeer(state, event);
  },
  peer_tip(state, event) {
    const peer = state.peers.get(event.peer_id);
    if (peer) Object.assign(peer, { height: event.height, tip: event.tip });
  },
  peer_disconnected(state, event) {
    tell(state, 'n_leave', [event.peer_id, event.reason], 'peer');
    state.peers.delete(event.peer_id);
  },
  transaction_accepted(state, event) {
    const back = state.transactions.get(event.txid)?.block ?? null;
    putTransaction(state, event, { signer: event.signer, back });
    learnOwner(state, event.from, event.signer);
    seePerson(state, event.signer);
    pulse(state, event.source, 'tx');
    if (event.kind === 'claim') tell(state, 'n_claim', [event.from], 'tx');
    else tell(state, 'n_tx', [event.from, event.to, event.amount], 'tx');
  },
  transaction_rejected(state, event) {
    pulse(state, event.source, 'bad');
  },
  transaction_dropped(state, event) {
    const { code, message } = event;
    putTransaction(state, event, { place: 'gone', code, message });
    tell(state, 'n_drop', [event.txid, message], 'bad');
  },
  transactions_dropped(state, event) {
    tell(state, 'n_drops', [event.count], 'bad');
  },
  payment_confirmed(state, event) {
    putTransaction(state, event, { place: 'block', block: activeAt(state, event.height)?.hash ?? null });
  },
  payment_unconfirmed() {},
  mined(state, event) {
    learnOwner(state, event.miner, state.status?.peer_id);
    putBlock(state, event, { source: 'local' });
  },
  block_connected(state, event) {
    const block = putBlock(state, event, { source: event.source });
    state.tip = block.hash;
    if (state.status) Object.assign(state.status, { height: event.height, tip: event.hash, bits: event.bits });
    pulse(state, event.source, 'block');
    if (event.transactions > 1) want(state, block.hash);
    tell(state, 'n_block', [event.height, event.miner, event.transactions - 1], 'block');
  },
  block_disconnected(state, event) {
    putBlock(state, event);
    state.tip = event.previous_hash;
    // Whether they wait again, died, or are in the new branch too is told by the next events.
    for (const entry of state.transactions.values()) {
      if (entry.place === 'block' && entry.block === event.hash) Object.assign(entry, { place: 'air', back: event.hash, seq: state.seq });
    }
  },
  block_stored(state, event) {
    putBlock(state, event, { source: event.source });
    pulse(state, event.source, 'block');
    tell(state, 'n_stored', [event.height, event.miner], 'side');
  },
  block_rejected(state, event) {
    pulse(state, event.source, 'bad');
    tell(state, 'n_reject', [event.height ?? '?', event.message], 'bad');
  },
  reorganized(state, event) {
    for (const txid of event.returned) putTransaction(state, { txid }, { back: state.transactions.get(txid)?.back ?? event.old_tip });
    for (const { txid, code } of event.dropped) {
      const { message } = state.transactions.get(txid) ?? {};
      putTransaction(state, { txid }, { place: 'gone', code, message: message ?? code });
    }
    for (const entry of state.transactions.values()) if (entry.place === 'air') entry.place = 'block';
    const height = state.blocks.get(event.new_tip)?.height ?? event.fork_height;
    state.reorganized = { seq: state.seq, time: state.time, fork: event.fork_height };
    // `block_stored` of the winners says less than this sentence.
    state.news = state.news.filter((line) => line.tone !== 'side' || line.time < state.time - 1000);
    tell(state, 'n_reorg', [event.fork_height, event.depth, height - event.fork_height, event.returned_count, event.dropped_count], 'reorg');
  },
  sync_started(state, event) {
    state.sync = event;
  },
  sync_progress(state, event) {
    state.sync = event;
  },
  sync_finished(state) {
    state.sync = null;
  },
  warning(state, event) {
    if (event.code === 'alone') state.alone = true;
    tell(state, 'n_warn', [event.message], 'bad');
  },
  stopped(state) {
    state.stopped = true;
    state.peers.clear();
    tell(state, 'n_stop', [], 'bad');
  },
  '@status'(state, event) {
    // What events told since the question is newer than the answer.
    const { height, tip, bits } = state.status ?? {};
    state.status = event.data;
    if (event.asked < state.seq && height !== undefined) Object.assign(state.status, { height, tip, bits });
    seePerson(state, event.data.peer_id);
  },
  '@tree'(state, event) {
    for (const facts of [...event.data.blocks].reverse()) putBlock(state, facts);
    if (event.asked === state.seq || !state.tip) state.tip = event.data.tips[0].hash;
  },
  '@peers'(state, event) {
    const listed = new Set(event.data.peers.map((peer) => peer.peer_id));
    if (event.asked === state.seq) for (const id of state.peers.keys()) if (!listed.has(id)) state.peers.delete(id);
    for (const facts of event.data.peers) {
      const old = state.peers.get(facts.peer_id);
      const fresh = event.asked === state.seq || !old;
      state.peers.set(facts.peer_id, {
        since: null, pulse: 0, taken: false, ...old, id: facts.peer_id, name: facts.name, proven: facts.name_proven,
        address: facts.address, found: facts.found_by, latency: facts.latency_ms, version: facts.version ?? facts.agent ?? null,
        height: fresh ? facts.height : old.height, tip: fresh ? facts.tip : old.tip,
      });
      namePeer(state, facts);
    }
    if (listed.size > 0) state.alone = false;
  },
  '@pending'(state, event) {
    const listed = new Map(event.data.transactions.map((facts) => [facts.txid, facts]));
    for (const entry of state.transactions.values()) {
      if (entry.place === 'pool' && !listed.has(entry.txid) && entry.seq <= event.asked) Object.assign(entry, { place: 'block', block: null });
    }
    for (const facts of [...listed.values()].slice(0, TRANSACTIONS_MAX)) {
      const old = state.transactions.get(facts.txid);
      if (!old || (old.place !== 'pool' && old.seq <= event.asked)) putTransaction(state, facts, {});
      else Object.assign(old, { from: facts.from, to: facts.to, amount: facts.amount, kind: facts.kind });
    }
  },
  '@block'(state, event) {
    const { hash, transactions } = event.data;
    const block = state.blocks.get(hash);
    if (block) block.count = transactions.length;
    const on = isActive(state, hash);
    for (const facts of transactions.slice(1)) {
      if (on) putTransaction(state, facts, { place: 'block', block: hash });
      if (facts.kind === 'claim') learnOwner(state, facts.from, state.transactions.get(facts.txid)?.signer);
    }
  },
  '@chain'(state, event) {
    for (const facts of [...event.data.blocks].reverse()) {
      putBlock(state, { ...facts, transactions: facts.transactions.length });
      MEANING['@block'](state, { data: facts });
    }
  },
  '@stats'(state, event) {
    state.stats = event.data;
    for (const miner of event.data.miners) learnOwner(state, miner.account, miner.owner);
  },
  '@accounts'(state, event) {
    state.accounts = event.data;
    for (const entry of [...event.data.accounts, ...event.data.own]) learnOwner(state, entry.account, entry.owner);
  },
};

function namePeer(state, facts) {
  seePerson(state, facts.peer_id);
  if (!facts.name || facts.name_taken) return;
  keep(state.names, facts.peer_id, facts.name, NAMES_MAX);
  if (facts.name_proven) learnOwner(state, facts.name, facts.peer_id);
}

/** Marks the edge that brought a message. */
function pulse(state, source, kind) {
  const peer = state.peers.get(source);
  if (peer) Object.assign(peer, { pulse: state.seq, pulseKind: kind });
}

/** Asks for the payments of a block, or, when blocks come in a storm, for none of them. */
function want(state, hash) {
  if (state.sync || state.wanted.length >= WANTED_MAX) state.wanted = ['*'];
  else if (state.wanted[0] !== '*') state.wanted.push(hash);
}

/** The active chain from the tip down, as far as it is known. */
function* activeChain(state) {
  let block = state.blocks.get(state.tip);
  while (block) {
    yield block;
    block = state.blocks.get(block.previous);
  }
}

function activeAt(state, height) {
  for (const block of activeChain(state)) if (block.height <= height) return block.height === height ? block : null;
  return null;
}

function isActive(state, hash) {
  const block = state.blocks.get(hash);
  return !!block && activeAt(state, block.height)?.hash === hash;
}

/** Takes one event in. The state is changed in place and given back. */
function reduce(state, event) {
  if (event.seq) Object.assign(state, { run: event.run, seq: event.seq, time: event.time_ms });
  if (Object.hasOwn(MEANING, event.event)) MEANING[event.event](state, event);
  return state;
}
