// The parts of the page that look at no page: bytes, state, layout. They are tried here without a browser.
//
// Promises: the parts are those that are served; random histories come from a seed that a failure prints.

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
const ELEMENTS = { block: 9, flag: 3, chip: 4, rest: 11 + 1 + 14 * 3 + 2 };
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
