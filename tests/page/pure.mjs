// The parts of the page that look at no page: bytes, state, layout. They are tried here without a browser; wire and drawing
// loop with stubs in place of one.
//
// Promises: the parts are those that are served; random histories come from a seed that a failure prints; no clock runs.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.resolve(import.meta.dirname, '../..');
const source = (name) => readFileSync(path.join(ROOT, 'src/web/page', name), 'utf8');
const names = [
  'newState',
  'reduce',
  'layout',
  'sha256',
  'toHex',
  'fromHex',
  'merkleRoot',
  'nameOf',
  'activeAt',
  'flightOf',
  'zeroBits',
  'BLOCKS_MAX',
  'TXS_MAX',
  'NEWS_MAX',
  'NAMES_MAX',
];
const parts = ['10-bytes.js', '20-state.js', '40-layout.js'].map(source).join('');
const page = new Function(`${parts}; return { ${names.join(', ')} };`)();
const { newState, reduce, layout } = page;

/** Elements that each thing on the stage has at most, and what stands there always; the ring of peers; the plots. */
const ELEMENTS = { block: 9, flag: 3, chip: 4, rest: 13 + 1 + 14 * 3 + 2 };
const ELEMENTS_MAX = 400;
const ANNA = `12D3KooW${'a'.repeat(44)}`;
const BEN = `12D3KooW${'b'.repeat(44)}`;

/** A node's history: each event gets the next number. */
function history() {
  const state = newState();
  let seq = 0;
  const tell = (event, facts = {}) =>
    reduce(state, { event, run: 'aa', seq: (seq += 1), time_ms: 1000 * seq, ...facts });
  tell('started', { peer_id: ANNA, name: 'anna', height: 0, tip: 'g', bits: 1, halflife_ms: 1 });
  return { state, tell, seq: () => seq };
}

const block = (hash, height, previous, more = {}) => ({
  hash,
  height,
  previous_hash: previous,
  miner: 'anna',
  block_time_ms: height,
  bits: 1,
  transactions: 1,
  source: 'local',
  ...more,
});
const payment = (txid, more = {}) => ({
  txid,
  kind: 'transfer',
  from: 'alice',
  to: 'bob',
  amount: 5,
  signer: ANNA,
  source: 'local',
  ...more,
});

/** Numbers from 0 to 1 that a seed repeats. */
function random(seed) {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

const VIEWS = ['Figures', 'Caption', 'Stage', 'Score', 'Told', 'Plots', 'News', 'Notices', 'Controls'];

/** Wire and drawing loop where fetch, frames, views and the clock are stubs; `did` is what they were asked for. */
function stubBrowser() {
  const did = { now: 0, asked: [], drawn: [], frames: [] };
  const stubs = {
    performance: { now: () => did.now },
    location: { hash: '', pathname: '/', search: '' },
    remembered: () => null,
    t: (key) => key,
    document: { body: { dataset: {} } },
    requestAnimationFrame: (draw) => did.frames.push(draw),
    fetch: async (where) => {
      did.asked.push(where);
      if (did.lost) throw new TypeError('network changed');
      return { status: 200, json: async () => ({ error: { code: 'stub' } }) };
    },
    ...Object.fromEntries(VIEWS.map((view) => [`draw${view}`, () => did.drawn.push(view)])),
  };
  const code = ['20-state.js', '30-wire.js', '90-main.js'].map(source).join('').replace(/\nstart\(\);\s*$/, '');
  const body = `${code}; function shown() { return wire.live; } return { wire, arrive, readDue };`;
  const loop = new Function(...Object.keys(stubs), body)(...Object.values(stubs));
  return {
    did,
    ...loop,
    /** The next frame, and then the tick. */
    async turn() {
      for (const draw of did.frames.splice(0)) draw();
      await loop.readDue();
      await new Promise(setImmediate);
    },
    forget: () => Object.assign(did, { asked: [], drawn: [] }),
  };
}

const cases = [];
const test = (name, body) => cases.push([name, body]);

test('hashes, zero bits and merkle roots are those of everybody else', () => {
  for (const length of [0, 1, 55, 56, 63, 64, 65, 96, 119, 120, 500]) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 7) % 256);
    assert.equal(page.toHex(page.sha256(bytes)), createHash('sha256').update(bytes).digest('hex'));
  }
  const vectors = JSON.parse(readFileSync(path.join(ROOT, 'proto-notes/vectors/merkle.json')));
  for (const { leaves, root } of vectors) assert.equal(page.toHex(page.merkleRoot(leaves.map(page.fromHex))), root);
  assert.deepEqual(['0000', '0fff', '8000', '0001'].map(page.zeroBits), [16, 4, 0, 15]);
});

test('a reorganisation moves the tip, brings payments back and lets others die', () => {
  const { state, tell } = history();
  tell('transaction_accepted', payment('back'));
  tell('transaction_accepted', payment('dies'));
  tell('transaction_accepted', payment('both'));
  tell('block_connected', block('a1', 1, 'g', { transactions: 4 }));
  assert.deepEqual(state.wanted, ['a1'], 'its payments are asked for');
  reduce(state, {
    event: '@block',
    data: {
      hash: 'a1',
      height: 1,
      transactions: [{ txid: 'reward' }, ...['back', 'dies', 'both'].map((txid) => payment(txid))],
    },
  });
  assert.equal(state.txs.get('back').block, 'a1');
  tell('block_disconnected', block('a1', 1, 'g'));
  assert.equal(state.tip, 'g');
  tell('block_connected', block('b1', 1, 'g', { miner: 'ben' }));
  tell('block_connected', block('b2', 2, 'b1', { miner: 'ben' }));
  tell('reorganized', {
    depth: 1,
    fork_height: 0,
    old_tip: 'a1',
    new_tip: 'b2',
    returned: ['back'],
    returned_count: 1,
    dropped: [{ txid: 'dies', code: 'not_owner' }],
    dropped_count: 1,
  });
  const { txs } = state;
  assert.deepEqual([txs.get('back').place, txs.get('back').back, txs.get('back').amount], ['pool', 'a1', 5]);
  assert.deepEqual([txs.get('dies').place, txs.get('dies').why], ['gone', 'not_owner']);
  assert.equal(txs.get('both').place, 'block');
  assert.equal(page.activeAt(state, 1).hash, 'b1');
  const { blocks, chips } = layout(state, 1280, 500, 0);
  assert.deepEqual([blocks.get('a1').lane, blocks.get('b1').lane], [1, 0]);
  assert.deepEqual(
    chips.map(({ key }) => key),
    ['back', 'dies'],
  );
});

test('an answer that is older than an event does not undo it', () => {
  const { state, tell, seq } = history();
  const asked = seq();
  tell('transaction_accepted', payment('new'));
  tell('block_connected', block('a1', 1, 'g'));
  reduce(state, { event: '@pending', asked, data: { transactions: [] } });
  reduce(state, { event: '@tree', asked, data: { tips: [{ hash: 'g' }], blocks: [block('g', 0, 'x')] } });
  assert.equal(state.txs.get('new').place, 'pool');
  assert.equal(state.tip, 'a1');
  reduce(state, { event: '@pending', asked: seq(), data: { transactions: [] } });
  assert.equal(state.txs.get('new').place, 'block');
});

test('many blocks at once have the pool read, not each of them', () => {
  const { state, tell } = history();
  for (let height = 1; height <= 9; height += 1)
    tell('block_connected', block(`a${height}`, height, height > 1 ? `a${height - 1}` : 'g', { transactions: 3 }));
  assert.deepEqual(state.wanted, ['*']);
});

test('in a storm of blocks nothing is read and no list drawn; both are done when it is over, or after 20 s', async () => {
  const { did, wire, arrive, turn, forget } = stubBrowser();
  arrive('hello', JSON.stringify({ run: 'aa', seq: 0, read_only: true }));
  await turn();
  did.now = 10_000;
  let height = 0;
  const storm = async (blocks) => {
    for (let count = 0; count < blocks; count += 1) {
      did.now += 100;
      height += 1;
      const facts = block(`a${height}`, height, height > 1 ? `a${height - 1}` : 'g', { transactions: 3 });
      arrive('event', JSON.stringify({ event: 'block_connected', run: 'aa', seq: height, time_ms: height, ...facts }));
      await turn();
    }
  };
  await storm(1);
  assert.ok(did.asked.includes('/api/block/a1'), 'of one block the payments are read');
  await storm(11);
  forget();
  await storm(20);
  assert.deepEqual(did.asked, [], 'nothing is read');
  assert.deepEqual([...new Set(did.drawn)].sort(), ['Caption', 'Controls', 'Figures', 'Notices', 'Stage']);
  did.now += 5500;
  forget();
  await turn();
  arrive('event', JSON.stringify({ event: 'mined', run: 'aa', seq: height + 1, time_ms: 1 }));
  await turn();
  const times = (where) => did.asked.filter((one) => one === where).length;
  for (const where of ['/api/pending', '/api/stats/100', '/api/accounts']) assert.equal(times(where), 1, where);
  for (const view of VIEWS) assert.ok(did.drawn.includes(view), view);
  height += 1;
  await storm(12);
  forget();
  await storm(210);
  assert.equal(times('/api/stats/100'), 1, 'a storm without an end is read from every 20 s');
  arrive('event', JSON.stringify({ event: 'sync_started', run: 'aa', seq: height + 1, time_ms: 1 }));
  did.now += 1000;
  forget();
  await turn();
  assert.ok(wire.live.sync && !did.drawn.includes('News'), 'a sync is a storm');
});

test('what the network lost is asked for again, what the node refuses is not', async () => {
  const { did, arrive, turn, forget } = stubBrowser();
  did.lost = true;
  arrive('hello', JSON.stringify({ run: 'aa', seq: 0, read_only: true }));
  await turn();
  assert.ok(did.asked.includes('/api/tree/60'));
  for (const lost of [true, false]) {
    Object.assign(did, { lost, now: did.now + 1000 });
    forget();
    await turn();
    assert.ok(did.asked.includes('/api/tree/60') && did.asked.includes('/api/pending'), `${did.asked}`);
  }
  did.now += 1000;
  forget();
  await turn();
  assert.deepEqual(did.asked, []);
});

test('the doctor is asked when a node is alone, but not from another machine, where he does not answer', async () => {
  for (const readOnly of [true, false]) {
    const { did, arrive, turn } = stubBrowser();
    arrive('hello', JSON.stringify({ run: 'aa', seq: 0, read_only: readOnly }));
    arrive('event', JSON.stringify({ event: 'warning', code: 'alone', run: 'aa', seq: 1, time_ms: 1 }));
    await turn();
    assert.equal(did.asked.includes('/api/doctor'), !readOnly);
  }
});

test('the newest ten blocks that lost are on the stage, within three rows', () => {
  const { state, tell } = history();
  const lost = [];
  for (let height = 1; height <= 8; height += 1) {
    tell('block_connected', block(`a${height}`, height, height > 1 ? `a${height - 1}` : 'g'));
    for (const side of ['x', 'y']) {
      tell('block_stored', block(`${side}${height}`, height, height > 1 ? `${side}${height - 1}` : 'g'));
      lost.push(`${side}${height}`);
    }
  }
  const { list } = layout(state, 3840, 1000, 0);
  const drawn = list.filter(({ lane }) => lane > 0);
  assert.deepEqual(
    drawn.map(({ key }) => key),
    lost.slice(-10),
  );
  assert.deepEqual([...new Set(drawn.map(({ lane }) => lane))].sort(), [1, 2]);
});

test('a payment flies into the block that took it, and what was refused flies nowhere', () => {
  const { state, tell } = history();
  for (const txid of ['one', 'read', 'dies']) tell('transaction_accepted', payment(txid));
  tell('transaction_dropped', { ...payment('dies'), message: 'no' });
  tell('block_connected', block('a1', 1, 'g', { transactions: 2 }));
  reduce(state, {
    event: '@block',
    data: { hash: 'a1', height: 1, transactions: [{ txid: 'reward' }, payment('one')] },
  });
  tell('block_connected', block('a2', 2, 'a1', { transactions: 2 }));
  reduce(state, { event: '@pending', asked: 9, data: { transactions: [] } });
  const { blocks } = layout(state, 1280, 500, 0);
  assert.equal(page.flightOf(state, blocks, 'one'), blocks.get('a1'));
  assert.equal(page.flightOf(state, blocks, 'read'), blocks.get('a2'), 'the newest, if it is not known which');
  for (const txid of ['dies', 'unknown']) assert.ok(!page.flightOf(state, blocks, txid));
});

test('a refused payment stands in a tray of its own, outside the next block, and on every screen a fork is seen', () => {
  const { state, tell } = history();
  for (let height = 1; height <= 4; height += 1)
    tell('block_connected', block(`a${height}`, height, height > 1 ? `a${height - 1}` : 'g'));
  tell('block_stored', block('b2', 2, 'a1'));
  for (let count = 0; count < 30; count += 1) tell('transaction_accepted', payment(`t${count}`));
  for (const [width, high] of [
    [320, 560],
    [1280, 430],
    [3840, 1000],
  ]) {
    assert.equal(layout(state, width, high, 0).tray.height, 0);
    tell('transaction_dropped', { ...payment('t0'), message: 'no' });
    const { m, blocks, chips, next, tray, more } = layout(state, width, high, 0);
    assert.ok(next.y + next.height < tray.y && tray.y + tray.height <= m.height, `${width} px`);
    const dead = chips.filter(({ tx }) => tx.place === 'gone');
    assert.deepEqual([dead.length, more], [1, 29 - (chips.length - 1)]);
    assert.ok(dead[0].y > tray.y && dead[0].y < tray.y + tray.height);
    for (const { y } of chips.slice(0, -1)) assert.ok(y > next.y && y < next.y + next.height);
    for (const hash of ['a1', 'b2', 'a4']) {
      const { x } = blocks.get(hash);
      assert.ok(x > 0 && x < m.width, `${width} px: ${hash} is seen`);
    }
    tell('transaction_accepted', payment('t0'));
  }
});

test('a person has one name for all accounts, a name that another holds is doubted', () => {
  const { state, tell } = history();
  tell('peer_connected', { peer_id: BEN, name: 'ben', name_proven: true, name_taken: false });
  tell('transaction_accepted', payment('x', { from: 'shop', signer: BEN }));
  assert.deepEqual(
    ['shop', 'ben', BEN, 'nobody'].map((account) => page.nameOf(state, account)),
    ['ben', 'ben', 'ben', 'nobody'],
  );
  tell('peer_named', { peer_id: BEN, name: 'ben', name_proven: false, name_taken: true });
  assert.equal(page.nameOf(state, BEN), 'ben?');
});

test('unknown events, absent keys and a stretch told twice do no harm', () => {
  const { state, tell } = history();
  tell('something_new', { hash: 1 });
  tell('toString');
  tell('peer_tip', { peer_id: BEN, height: 3, tip: 'z' });
  tell('peer_disconnected', { peer_id: BEN, reason: 'x' });
  for (let time = 0; time < 2; time += 1) {
    tell('block_connected', block('a1', 1, 'g'));
    tell('block_disconnected', block('a1', 1, 'g'));
    tell('block_connected', block('b1', 1, 'g'));
  }
  assert.equal(state.tip, 'b1');
});

test('whatever happens, the maps are bounded and the stage has at most 400 elements', () => {
  for (let seed = 1; seed <= 8; seed += 1) {
    const next = random(seed * 7919);
    const pick = (count) => Math.floor(next() * count);
    const { state, tell } = history();
    const known = ['g'];
    const heights = new Map([['g', 0]]);
    for (let step = 0; step < 4000; step += 1) {
      const previous = known[Math.max(0, known.length - 1 - pick(next() < 0.9 ? 1 : 6))];
      const hash = `h${step}`;
      const height = heights.get(previous) + 1;
      if (next() < 0.5) {
        known.push(hash);
        heights.set(hash, height);
        tell(
          next() < 0.8 ? 'block_connected' : 'block_stored',
          block(hash, height, previous, { transactions: 1 + pick(20) }),
        );
      } else if (next() < 0.6) tell('transaction_accepted', payment(`t${step}`, { from: `n${step}` }));
      else if (next() < 0.5) tell('transaction_dropped', { ...payment(`t${step}`), message: 'no' });
      else {
        const id = `12D3KooW${String(pick(60)).padEnd(44, 'x')}`;
        tell('peer_connected', { peer_id: id, name: null });
        tell('peer_tip', { peer_id: id, height: pick(height + 5), tip: next() < 0.8 ? previous : `u${step}` });
      }
      if (step % 50 > 0) continue;
      for (const [width, high] of [
        [320, 560],
        [1280, 430],
        [3840, 1000],
      ]) {
        const { blocks, flags, chips } = layout(state, width, high, pick(3));
        const elements =
          blocks.size * ELEMENTS.block + flags.length * ELEMENTS.flag + chips.length * ELEMENTS.chip + ELEMENTS.rest;
        assert.ok(elements <= ELEMENTS_MAX, `seed ${seed}, step ${step}, ${width} px: ${elements} elements`);
        const spots = new Set([...blocks.values()].map(({ x, y }) => `${x} ${y}`));
        assert.equal(spots.size, blocks.size, `seed ${seed}, step ${step}: no two blocks in one place`);
      }
    }
    assert.ok(
      state.blocks.size <= page.BLOCKS_MAX &&
        state.txs.size <= page.TXS_MAX &&
        state.news.length <= page.NEWS_MAX &&
        state.owners.size <= page.NAMES_MAX &&
        state.people.size <= page.NAMES_MAX,
      `seed ${seed}`,
    );
  }
});

export { cases };
