// The sheet beside the stage: a block byte by byte, the way of a payment, an account; each has an address (`#/block/…`).
//
// Promises: what is claimed to be computed in this page is computed here, from the node's bytes; a changed copy never
// leaves the page.
// Elsewhere: hashing (`10-bytes.js`). Spec of the bytes: `proto-notes/encoding.md`.

/** Headers that are tried between two frames when a block is mined again. */
const TRIES_A_SLICE = 4000;
/** A page does some 100,000 attempts a second; harder than this is left to the node. */
const TRIES_MAX = 2 ** 21;
const BEHIND_MAX = 4;
const ROWS_MAX = 50;
/** A transfer ends with amount, sequence (8 bytes each), public key (32) and signature (64). */
const AMOUNT_FROM_END = 112;

let sheetTurn = 0;

/** Shows what the address names. */
async function openSheet() {
  const [, kind, id] = location.hash.match(/^#\/(block|transaction|account)\/(\S+)$/) ?? [];
  const turn = (sheetTurn += 1);
  stage.broken = null;
  $('sheet').hidden = !kind;
  document.body.classList.toggle('with-sheet', !!kind);
  ask();
  // The keyboard goes back to where it was: following a link takes the focus away.
  if (!kind) {
    drawStage(shown());
    return $('stage').querySelector(`[href="${stage.focused}"]`)?.focus();
  }
  const [title, ...parts] = await { block: blockSheet, transaction: paymentSheet, account: accountSheet }[kind](
    decodeURIComponent(id),
  );
  if (turn !== sheetTurn) return undefined;
  say($('sheet-title'), title);
  $('sheet-body').replaceChildren(...parts);
  return $('sheet').focus({ preventScroll: true });
}

function failure({ error }) {
  return [error.code, h('p.bad', error.message), h('p.dim', error.hint)];
}

function verdict(good, ...words) {
  return h(good ? 'p.good' : 'p.bad', ...words);
}

// A block.

async function blockSheet(id) {
  const [block, explained] = await Promise.all([read('block', id), read('explain', 'block', id)]);
  if (block.error) return failure(block);
  const s = wire.live;
  const raws = block.transactions.map((facts) => fromHex(facts.raw));
  const view = { block, explained, header: fromHex(block.header), raws, note: h('p', { role: 'status' }) };
  for (const part of ['grid.bytes', 'hash', 'behind']) view[part.split('.')[0]] = h(`div.${part.split('.').pop()}`);
  // What stands behind the block is looked at too.
  const tip = s.blocks.get(s.tip)?.height ?? 0;
  if (block.active && !$('blocks').parts?.has(block.hash)) stage.pan = Math.max(0, tip - block.height - 2);
  const child = [...s.blocks.values()].find((other) => other.previous === block.hash);
  const button = (words, action) => {
    const element = h('button', { id: words }, t(words));
    element.onclick = action;
    return element;
  };
  const verdicts = h('ol');
  refreshBlock(view);
  const parts = [
    h(
      'nav',
      block.height ? link('block', block.previous_hash, `← ${block.height - 1}`) : '',
      ' ',
      child ? link('block', child.hash, `${child.height} →`) : '',
    ),
    h(
      'p',
      block.height ? t('by', nameOf(s, block.miner), clock(block.time_ms)) : t('genesis'),
      ' · ',
      t(block.active ? 'active' : 'stale'),
    ),
    h('h3', t('bytes')),
    view.grid,
    h('h3', t('hashis')),
    view.hash,
  ];
  if (block.height === 0) return [t('block', 0), ...parts];
  return [
    t('block', block.height),
    ...parts,
    h('h3', t('change')),
    h('div.fields', numberFields(view)),
    h('h3', t('inblock')),
    h('ul', paymentFields(view)),
    h(
      'p',
      button('again', () => mineAgain(view)),
      ' ',
      button('undo', openSheet),
    ),
    view.note,
    h('h3', t('behind')),
    view.behind,
    h('h3', t('verdicts')),
    button('ask', () => askTamper(block.height, verdicts)),
    verdicts,
  ];
}

/** A field for a whole number that stands at a place in bytes; the page is computed anew with each change. */
function numberField(bytes, offset, length, attributes, changed) {
  const number = new DataView(bytes.buffer, offset, length);
  const input = h('input', {
    inputmode: 'numeric',
    ...attributes,
    value: length === 8 ? number.getBigUint64(0) : number.getUint32(0),
  });
  input.oninput = () => {
    const value = BigInt(input.value.replace(/\D/g, '') || 0);
    if (length === 8) number.setBigUint64(0, value);
    else number.setUint32(0, Number(value & 0xffffffffn));
    changed();
  };
  return input;
}

function numberFields(view) {
  const parts = view.explained.parts.filter((part) => part.length <= 8 && part.name !== 'version');
  return parts.map(({ name, offset, length }) =>
    h(
      `label.p-${name}`,
      t(name),
      numberField(view.header, offset, length, { 'data-part': name }, () => refreshBlock(view)),
    ),
  );
}

function paymentFields(view) {
  return view.block.transactions.slice(0, ROWS_MAX).map((facts, index) => {
    const raw = view.raws[index];
    const changed = () => {
      view.header.set(merkleRoot(view.raws.map(leafHash)), 32);
      refreshBlock(view);
    };
    const field =
      facts.kind === 'transfer'
        ? numberField(
            raw,
            raw.length - AMOUNT_FROM_END,
            8,
            { size: 4, 'data-amount': index, 'aria-label': t('coins') },
            changed,
          )
        : '';
    return h('li', link('transaction', facts.txid, inWords(wire.live, facts)), ' ', field);
  });
}

/** Computes the hash anew and shows what it does to the block and to those behind it. */
function refreshBlock(view) {
  const { block, explained, header } = view;
  const hash = toHex(sha256(header));
  const same = hash === block.hash;
  const good = hash < explained.target;
  view.grid.replaceChildren(
    ...explained.parts.map(({ name, offset, length, hex }) => {
      const now = toHex(header.subarray(offset, offset + length));
      return h(
        `span.p-${name}.${now === hex ? 'same' : 'bad'}`,
        h('b', t(name)),
        h('code', now.replace(/..\B/g, '$& ')),
      );
    }),
  );
  const zeros = hash.match(/^0*/)[0];
  const work = [
    h('p.dim', t('mustbe', `${explained.target.slice(0, 24)}…`)),
    verdict(good, t(good ? 'good' : 'bad', zeroBits(hash), explained.target_zero_bits)),
  ];
  view.hash.replaceChildren(
    h('code', { 'data-computed': hash }, h(good ? 'b.good' : 'b.bad', zeros), hash.slice(zeros.length)),
    ...(block.height ? work : []),
    verdict(same, t(same ? 'same' : 'differs')),
  );
  stage.broken = same ? null : { hash: block.hash, height: block.active ? block.height : Infinity };
  const behind = newest(wire.live, BLOCKS_MAX)
    .filter((other) => other.height > block.height)
    .slice(0, BEHIND_MAX);
  view.behind.replaceChildren(
    ...behind.map((other) =>
      verdict(
        same,
        h('b', other.height),
        ` ${t('previous_hash')} `,
        h('code', other.previous.slice(0, 16)),
        same ? ' ✓' : ' ✗',
      ),
    ),
  );
  ask();
}

/** Searches another nonce, in slices, so that the page stays alive. */
function mineAgain(view) {
  const { header, note, explained } = view;
  if (explained.expected_attempts > TRIES_MAX) return say(note, t('toohard', grouped(explained.expected_attempts)));
  const nonce = new DataView(header.buffer, 88, 8);
  let tries = 0;
  const slice = () => {
    const end = tries + TRIES_A_SLICE;
    let hash = 'f';
    while (tries < end && hash >= explained.target) {
      nonce.setBigUint64(0, BigInt((tries += 1)));
      const found = sha256(header);
      hash = found[0] ? 'f' : toHex(found);
    }
    say(note, `${tries} …`);
    if (hash >= explained.target) return note.isConnected && requestAnimationFrame(slice);
    const unsigned = view.raws.some((raw, index) => toHex(raw) !== view.block.transactions[index].raw);
    say(note, t('mined', tries, unsigned ? t('unsigned') : ''));
    $('sheet').querySelector('[data-part="nonce"]').value = tries;
    return refreshBlock(view);
  };
  return slice();
}

async function askTamper(height, list) {
  const answer = await read('tamper', String(height));
  list.replaceChildren(
    ...(answer.error
      ? failure(answer).slice(1)
      : answer.changes.map(({ change, accepted, code, message, lesson }) =>
          h(
            'li',
            h('b', change),
            verdict(accepted, accepted ? t('accepted') : `✗ ${code}: ${message}`),
            h('p.dim', lesson),
          ),
        )),
  );
}

// A payment.

async function paymentSheet(id) {
  const [facts, explained] = await Promise.all([read('transaction', id), read('explain', 'transaction', id)]);
  if (facts.error) return failure(facts);
  const s = wire.live;
  const way = [verdict(true, `● ${t('s_wait')}`)];
  if (facts.status === 'confirmed')
    way.push(
      verdict(true, '● ', link('block', facts.block_hash, t('s_block', facts.height))),
      verdict(true, `● ${t('s_conf', facts.confirmations)}`),
    );
  if (facts.status === 'dropped') way.push(verdict(false, `✗ ${facts.reason}`));
  const accounts = [facts.from, facts.to]
    .filter((account) => account?.length > 1)
    .map((account) => link('account', account, person(s, account)));
  return [
    inWords(s, facts),
    h(
      'p',
      accounts.flatMap((account, index) => [index ? ' → ' : '', account]),
    ),
    h('p', h('code', facts.txid)),
    h('div', { 'data-status': facts.status }, way),
    ...(explained.inclusion ? merkleSteps(facts, explained.inclusion) : []),
  ];
}

/** The way to the root, each step computed here from the two hashes below it. */
function merkleSteps(facts, inclusion) {
  let hash = leafHash(fromHex(facts.raw));
  const item = (...words) => h('li', ...words, ' ', h('code', toHex(hash).slice(0, 24)));
  const items = [item(t('leaf'))];
  for (const step of inclusion.path) {
    const sibling = fromHex(step[step.side]);
    hash = step.side === 'left' ? nodeHash(sibling, hash) : nodeHash(hash, sibling);
    items.push(item(t(`step_${step.side}`), ' ', h('code.dim', toHex(sibling).slice(0, 12)), ' →'));
  }
  const good = toHex(hash) === inclusion.merkle_root;
  return [h('h3', t('way')), h('ol', { 'data-proven': good }, items), verdict(good, t(good ? 'rootgood' : 'rootbad'))];
}

// An account.

async function accountSheet(id) {
  const [facts, history] = await Promise.all([read('balance', id), read('history', id, String(ROWS_MAX))]);
  if (facts.error) return failure(facts);
  const s = wire.live;
  const entries = history.entries ?? [];
  return [
    t('account', accountName(s, facts.account)),
    h(facts.balance < 0 ? 'p.big.bad' : 'p.big', `${money(facts.balance)} ${t('coins')}`),
    h('p.dim', facts.pending === facts.balance ? '' : t('withpool', money(facts.pending))),
    h('p', ...(facts.owner ? [t('owner'), ' ', person(s, facts.owner)] : [t('free')])),
    h(
      'table',
      entries.map(({ change, balance, ...entry }) =>
        row(
          link('transaction', entry.txid, inWords(s, entry)),
          h(change < 0 ? 'td.n.bad' : 'td.n.good', change < 0 ? `−${-change}` : `+${change}`),
          h('td.n', money(balance)),
          entry.block_hash ? link('block', entry.block_hash, entry.height) : '…',
        ),
      ),
    ),
  ];
}
