// The sheet beside the stage: a block byte by byte, the way of a payment, an account; each has an address (`#/block/…`).
//
// Promises: what is claimed to be computed in this page is computed here, from the node's bytes; a changed copy never
// leaves the page.
// Elsewhere: hashing (`10-bytes.js`). Spec of the bytes: `proto-notes/encoding.md`.

/** Headers that are tried between two frames when a block is mined again. */
const TRIES_A_SLICE = 6000;
/** A page does about a million attempts a second; harder than this is left to the node. */
const TRIES_MAX = 2 ** 23;
const BEHIND_MAX = 4;

let sheetTurn = 0;

/** Shows what the address names. */
async function openSheet() {
  const [, kind, id] = location.hash.match(/^#\/(block|transaction|account)\/(.+)$/) ?? [];
  const sheet = byId('sheet');
  const turn = (sheetTurn += 1);
  stage.broken = null;
  wire.onChange();
  sheet.hidden = !kind;
  document.body.classList.toggle('with-sheet', !!kind);
  if (!kind) return;
  const body = byId('sheet-body');
  byId('sheet-title').textContent = t('reading');
  const [title, ...parts] = await { block: blockSheet, transaction: paymentSheet, account: accountSheet }[kind](decodeURIComponent(id));
  if (turn !== sheetTurn) return;
  byId('sheet-title').textContent = clean(title);
  body.replaceChildren(...parts);
  body.dataset.shows = id;
  sheet.focus({ preventScroll: true });
}

function failure(answer) {
  return [answer?.error?.code ?? '?', make('p', { class: 'bad' }, answer?.error?.message ?? t('down')), make('p', { class: 'dim' }, answer?.error?.hint ?? '')];
}

function mono(words, kind = '') {
  return make('code', { class: kind }, words);
}

// A block.

async function blockSheet(id) {
  const [block, explained] = await Promise.all([read('block', id), read('explain', 'block', id)]);
  if (!block || block.error || !explained || explained.error) return failure(block?.error ? block : explained);
  const copy = { block, explained, header: fromHex(block.header), raws: block.transactions.map((facts) => fromHex(facts.raw)) };
  copy.was = { header: copy.header.slice(), raws: copy.raws.map((raw) => raw.slice()) };
  const state = wire.live;
  const around = make('nav', {}, ...(block.height > 0 ? [link('block', block.previous_hash, t('older', block.height - 1))] : []), ' ');
  const child = [...state.blocks.values()].find((other) => other.previous === block.hash);
  if (child) around.append(link('block', child.hash, t('newer', child.height)));
  const view = { copy, grid: make('div', { class: 'bytes' }), fields: make('div', { class: 'fields' }), verdict: make('div', { class: 'verdict' }), behind: make('ol', { class: 'behind' }), paid: make('ul', { class: 'paid' }), note: make('p', { role: 'status' }) };
  fillFields(view);
  fillPayments(view, state);
  refreshBlock(view);
  const again = make('button', { id: 'again' }, t('again'));
  const undo = make('button', { class: 'quiet' }, t('undo'));
  const ask = make('button', { id: 'tamper' }, t('tamper'));
  const verdicts = make('ol', { class: 'verdicts' });
  again.onclick = () => mineAgain(view);
  undo.onclick = () => openSheet();
  ask.onclick = () => askTamper(block.height, verdicts);
  const behind = block.height === 0 || !child ? [] : [make('h3', {}, t('behind')), view.behind];
  return [
    t('block', block.height), around,
    make('p', {}, block.height ? t('by', nameOf(state, block.miner), clock(block.time_ms)) : t('genesis'), ' · ', t(block.active ? 'lactive' : 'lstale')),
    make('h3', {}, t('bytes')), view.grid, make('h3', {}, t('change')), view.fields, make('h3', {}, t('hashis')), view.verdict,
    make('p', {}, again, ' ', undo), view.note, ...behind, make('h3', {}, t('inblock')), view.paid,
    ...(block.active && block.height > 0 ? [make('h3', {}, t('verdicts')), ask, verdicts] : []),
  ];
}

/** Fields for what can be changed by hand: whole numbers of the header. */
function fillFields(view) {
  const { copy, fields } = view;
  for (const part of copy.explained.parts) {
    if (part.length > 8) continue;
    const number = new DataView(copy.header.buffer, part.offset, part.length);
    const input = make('input', { 'data-part': part.name, inputmode: 'numeric', value: part.length === 8 ? number.getBigUint64(0) : number.getUint32(0) });
    input.oninput = () => {
      const value = BigInt(input.value.replace(/\D/g, '') || 0);
      if (part.length === 8) number.setBigUint64(0, BigInt.asUintN(64, value));
      else number.setUint32(0, Number(BigInt.asUintN(32, value)));
      refreshBlock(view);
    };
    fields.append(make('label', { class: `p-${part.name}` }, t(`p_${part.name}`), input));
  }
}

/** The payments, their amounts as fields: the amount stands 112 bytes before a transfer's end. */
function fillPayments(view, state) {
  view.copy.block.transactions.slice(0, 40).forEach((facts, index) => {
    const words = facts.kind === 'transfer' ? [person(state, facts.from), ' → ', person(state, facts.to), ' '] : [inWords({ ...facts, to: facts.to && nameOf(state, facts.to) })];
    const item = make('li', {}, ...words);
    if (facts.kind === 'transfer') {
      const input = make('input', { inputmode: 'numeric', value: facts.amount, size: 5, 'data-amount': index, 'aria-label': t('amount') });
      input.oninput = () => {
        const raw = view.copy.raws[index];
        new DataView(raw.buffer).setBigUint64(raw.length - 112, BigInt.asUintN(64, BigInt(input.value.replace(/\D/g, '') || 0)));
        const root = merkleRoot(view.copy.raws.map(leafHash));
        view.copy.header.set(root, 32);
        refreshBlock(view);
      };
      item.append(input);
    }
    item.append(' ', make('a', { href: `#/transaction/${facts.txid}`, class: 'mono' }, facts.txid.slice(0, 12)));
    view.paid.append(item);
  });
}

/** Computes the hash anew and shows what it does to the block and to those behind it. */
function refreshBlock(view) {
  const { copy, grid, verdict, behind } = view;
  const { block, explained } = copy;
  const hash = toHex(sha256(copy.header));
  const same = hash === block.hash;
  const good = block.height === 0 || hash < explained.target;
  grid.replaceChildren(...explained.parts.map((part) => {
    const now = toHex(copy.header.subarray(part.offset, part.offset + part.length));
    const was = toHex(copy.was.header.subarray(part.offset, part.offset + part.length));
    return make('span', { class: `p-${part.name}${now === was ? '' : ' changed'}`, title: t(`p_${part.name}`) }, make('b', {}, t(`p_${part.name}`)), mono(now.match(/../g).join(' ')));
  }));
  const zeros = zeroBits(hash);
  const lead = Math.floor(zeros / 4);
  const digits = make('code', { class: good ? 'hash' : 'hash bad', 'data-computed': hash }, make('b', {}, hash.slice(0, lead)), hash.slice(lead));
  const work = block.height === 0 ? [] : [make('p', { class: 'dim' }, t('mustbe'), ' ', mono(explained.target)), make('p', { class: good ? 'good' : 'bad' }, t(good ? 'good' : 'bad', zeros, explained.target_zero_bits))];
  verdict.replaceChildren(digits, ...work, make('p', { class: same ? 'good' : 'bad' }, t(same ? 'same' : 'differs')));
  stage.broken = same ? null : { hash: block.hash, height: block.active ? block.height : Infinity };
  behind.replaceChildren(...chainBehind(block, hash));
  wire.onChange();
}

/** The next blocks, each with the hash that it names as its parent's. */
function chainBehind(block, hash) {
  const found = newest(wire.live, BLOCKS_MAX).filter((other) => other.height > block.height).slice(0, BEHIND_MAX);
  let broken = block.hash !== hash;
  return found.map((other) => {
    const words = [make('b', {}, other.height), ` ${t('p_previous_hash')} `, mono(other.previous.slice(0, 12)), broken ? ' ✗' : ' ✓'];
    return make('li', { class: broken ? 'bad' : 'good' }, ...words);
  });
}

/** Searches another nonce, in slices, so that the page stays alive. */
function mineAgain(view) {
  const { copy, note } = view;
  const { target, expected_attempts: expected } = copy.explained;
  if (expected > TRIES_MAX) return say(note, t('toohard', amount(expected, '')));
  const nonce = new DataView(copy.header.buffer, 88, 8);
  let tries = 0;
  const slice = () => {
    if (!note.isConnected) return;
    for (let i = 0; i < TRIES_A_SLICE; i += 1) {
      tries += 1;
      nonce.setBigUint64(0, BigInt(tries));
      const hash = sha256(copy.header);
      if (hash[0] > 0 || toHex(hash) >= target) continue;
      const input = view.fields.querySelector('[data-part="nonce"]');
      input.value = String(tries);
      const unsigned = copy.raws.some((raw, index) => toHex(raw) !== toHex(copy.was.raws[index]));
      say(note, t('mined', tries, unsigned ? t('unsigned') : ''));
      refreshBlock(view);
      return;
    }
    say(note, `${tries} …`);
    requestAnimationFrame(slice);
  };
  slice();
  return undefined;
}

async function askTamper(height, list) {
  list.replaceChildren(make('li', {}, t('reading')));
  const answer = await read('tamper', String(height));
  if (!answer || answer.error) return list.replaceChildren(make('li', { class: 'bad' }, answer?.error?.message ?? t('down')));
  return list.replaceChildren(...answer.changes.map((change) => make('li', {}, make('b', {}, change.change), make('p', { class: change.accepted ? 'good' : 'bad' }, change.accepted ? t('accepted') : t('refused', change.code), change.message ? `: ${change.message}` : ''), make('p', { class: 'dim' }, change.lesson))));
}

// A payment.

async function paymentSheet(id) {
  const [facts, explained] = await Promise.all([read('transaction', id), read('explain', 'transaction', id)]);
  if (!facts || facts.error) return failure(facts);
  const state = wire.live;
  const way = [make('li', { class: 'good' }, t('s_wait'))];
  if (facts.status === 'confirmed') {
    way.push(make('li', { class: 'good' }, make('a', { href: `#/block/${facts.block_hash}` }, t('s_block', facts.height))));
    way.push(make('li', { class: 'good', 'data-confirmations': facts.confirmations }, facts.confirmations === 1 ? t('s_conf1') : t('s_conf', facts.confirmations)));
  } else if (facts.status === 'dropped') way.push(make('li', { class: 'bad' }, t('s_drop', facts.reason)));
  const parts = explained && !explained.error ? explained.parts : [];
  return [
    inWords(facts),
    make('p', {}, facts.kind === 'transfer' ? make('a', { href: `#/account/${facts.from}` }, person(state, facts.from)) : '', facts.to ? ' → ' : '', facts.to ? make('a', { href: `#/account/${facts.to}` }, person(state, facts.to)) : ''),
    make('p', {}, mono(facts.txid, 'wrap')),
    make('ol', { class: 'way', 'data-status': facts.status }, ...way),
    ...(explained?.inclusion ? merkleSteps(facts, explained.inclusion) : []),
    make('table', {}, ...parts.map((part) => make('tr', {}, make('th', {}, part.name), make('td', {}, mono(part.value, 'wrap'))))),
  ];
}

/** The way to the root, each step computed here from the two hashes below it. */
function merkleSteps(facts, inclusion) {
  let hash = leafHash(fromHex(facts.raw));
  const item = (words, ...more) => make('li', {}, `${words} `, ...more, mono(toHex(hash).slice(0, 24)));
  const items = [item(t('leaf'))];
  for (const step of inclusion.path) {
    const sibling = fromHex(step[step.side]);
    hash = step.side === 'left' ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
    items.push(item(t('step', t(step.side)), mono(toHex(sibling).slice(0, 12), 'dim'), ' → '));
  }
  const good = toHex(hash) === inclusion.merkle_root;
  return [make('h3', {}, t('pathtitle')), make('ol', { class: 'merkle', 'data-proven': good }, ...items), make('p', { class: good ? 'good' : 'bad' }, t(good ? 'rootgood' : 'rootbad'))];
}

// An account.

async function accountSheet(id) {
  const [facts, history] = await Promise.all([read('balance', id), read('history', id, '50')]);
  if (!facts || facts.error) return failure(facts);
  const state = wire.live;
  const rows = history?.entries ?? [];
  return [
    t('account', short(facts.account)),
    make('p', { class: facts.balance < 0 ? 'big bad' : 'big', 'data-balance': facts.balance }, t(facts.balance < 0 ? 'owes' : 'owns', Math.abs(facts.balance))),
    make('p', { class: 'dim' }, facts.pending === facts.balance ? '' : t('withpool', facts.pending)),
    make('p', {}, facts.owner ? make('span', {}, t('owner', ''), person(state, facts.owner)) : t('free')),
    make('h3', {}, t('history')),
    make('table', {}, ...rows.map((row) => make('tr', {}, make('td', {}, link('transaction', row.txid, inWords(row))), make('td', { class: row.change < 0 ? 'n bad' : 'n good' }, row.change > 0 ? `+${row.change}` : row.change), make('td', { class: 'n' }, row.balance), make('td', {}, row.height === null ? t('pending') : make('a', { href: `#/block/${row.block_hash}` }, row.height))))),
  ];
}
