// The stage: blocks, branches, nodes and waiting payments as one drawing that moves.
//
// Promises: one element for each thing, kept while the thing is there, so that a change is seen as a movement: a branch
// that lost sinks, the new one rises, payments fly into blocks and back.
// Elsewhere: where things stand (`40-layout.js`), when it is drawn (`90-main.js`).

const stage = { pan: 0, top: null, reorg: 0, broken: null, focused: null, drawnAt: 0, slowUntil: 0, pace: 0, step: 1 };

/** Whoever asks the system for less motion sees things change at once. */
const CALM_EYES = matchMedia('(prefers-reduced-motion: reduce)');
const LEAVING_MS = 900;

/** Brown, then green to pink, each well apart from the next: neither red (refused) nor orange (payments). */
const HUES = [60, 140, 165, 190, 215, 240, 262, 284, 306, 328, 348];

/** The colour of a person, the same on every node's page. */
function colourOf(s, account) {
  if (!account) return 'var(--nobody)';
  let sum = 7;
  for (const letter of personOf(s, account)) sum = (sum * 33 + letter.charCodeAt(0)) % 9973;
  return `oklch(var(--person) ${HUES[sum % HUES.length]})`;
}

function placed({ x, y, scale = 1 }) {
  return `translate(${x}px,${y}px) scale(${scale})`;
}

/** Keeps one element for each item in a layer: makes it, dresses it, moves it, and lets it go. */
function keyed(layer, items, kind, dress, leave = (element) => element.remove()) {
  const box = $(layer);
  const parts = (box.parts ??= new Map());
  const keys = new Set(items.map((item) => item.key));
  for (const [key, element] of parts) if (!keys.has(key) && parts.delete(key)) leave(element, key);
  for (const item of items) {
    const old = parts.get(item.key);
    const element = old ?? h(kind);
    if (!old) box.append(element);
    parts.set(item.key, element);
    dress(element, item);
    element.style.transform = placed(item);
    if (!old && item.from && stage.pace && !CALM_EYES.matches)
      element.animate([{ transform: placed(item.from), opacity: 0 }, {}], {
        duration: stage.pace * 1000,
        easing: 'ease-out',
      });
  }
}

/** Draws what changed. */
function drawStage(s) {
  const svg = $('stage');
  const { width, height } = svg.getBoundingClientRect();
  if (width < 200) return;
  const plan = layout(s, width, height, stage.pan);
  const { m, list, blocks } = plan;
  const replaced = s.reorg > stage.reorg;
  setPace(svg, Math.abs(plan.top - (stage.top ?? Infinity)), replaced);
  Object.assign(stage, { top: plan.top, reorg: s.reorg, step: m.pitch * m.unit });
  set(svg, { viewBox: `0 0 ${m.width} ${m.height}` });
  // The winners of a reorganisation rise from the row below; a new block comes out of the pool.
  for (const place of list)
    place.from =
      replaced || place.lane
        ? { x: place.x, y: ROW + LANE, scale: 0.5 }
        : { x: place.x + m.pitch, y: place.y, scale: 0.5 };
  for (const chip of plan.chips) chip.from = blocks.get(chip.tx.back) ?? { x: chip.x + 60, y: chip.y };
  drawNext(s, plan);
  keyed('links', list, 'path', (path, place) =>
    set(path, { class: `link ${kindOf(place)}`, d: linkTo(plan, place) }),
  );
  keyed('blocks', list, 'svga', (g, place) => dressBlock(s, g, place, plan));
  keyed('flags', plan.flags, 'svga', (g, flag) => dressFlag(s, g, flag, m));
  keyed(
    'chips',
    plan.chips,
    'svga',
    (g, chip) => dressChip(s, g, chip, m.box.width - 20),
    (g, txid) => {
      const into = flightOf(s, blocks, txid);
      g.classList.add('leaving');
      if (into) g.style.transform = placed({ x: into.x - 40, y: into.y, scale: 0.3 });
      setTimeout(() => g.remove(), LEAVING_MS);
    },
  );
}

/** How fast things move: slowly when a branch is replaced, hardly when blocks come in a row, not at all over a long way. */
function setPace(svg, jump, replaced) {
  const now = performance.now();
  const pace = jump > 8 ? 0 : replaced ? 1.5 : jump && now - stage.drawnAt < 400 ? 0.15 : 0.7;
  if (jump || replaced) stage.drawnAt = now;
  if (now > stage.slowUntil || !pace) stage.pace = pace;
  if (replaced) stage.slowUntil = now + 1600;
  svg.style.setProperty('--move', `${stage.pace}s`);
}

function kindOf({ block, lane }) {
  const { hash, height } = stage.broken ?? {};
  const fault = block.hash === hash ? ' changed' : !lane && block.height > height ? ' broken' : '';
  return (block.ghost ? 'ghost' : lane ? 'stale' : 'active') + fault;
}

/** The line to the block before, with its head there: a block names its parent. */
function linkTo({ m, blocks }, { block, x, y }) {
  if (!block.previous || !block.height) return 'M0 0';
  const parent = blocks.get(block.previous) ?? { x: x - m.pitch, y };
  const half = m.blockW / 2;
  const [dx, dy] = [parent.x - x + half, parent.y - y];
  const middle = (dx - half) / 2;
  return `M${-half} 0${dy ? `C${middle} 0 ${middle} ${dy} ${dx} ${dy}` : `H${dx}`}m7 -5l-6 5l6 5`;
}

function dressBlock(s, g, place, { on, m: { blockW, narrow } }) {
  const { hash, height, miner, count, ghost } = place.block;
  const name = ghost ? '?' : height ? nameOf(s, miner) : t('genesis');
  const here = on
    .get(hash)
    ?.ids.map((id) => nameOf(s, id))
    .join(', ');
  const paid = count && height ? payments(count - 1) : '';
  const label = [t('block', height), name, paid, t(place.lane ? 'stale' : 'active'), here && t('lhere', here)]
    .filter(Boolean)
    .join(', ');
  const colour = colourOf(s, miner);
  set(g, {
    class: `block ${kindOf(place)}`,
    href: `#/block/${hash}`,
    'aria-label': label,
    tabindex: hash === s.tip ? 0 : -1,
    'data-hash': hash,
    'data-height': height,
    'data-lane': place.lane,
  });
  refill(g, [label, colour, blockW], () => {
    const [x, inner] = [-blockW / 2, blockW - 16];
    const text = (kind, y, words, size) => h(`text.${kind}`, { x: x + 9, y }, fit(words, inner, size));
    const band = h('path', { class: 'band', d: `M${x} -6v-33q0-11 11-11h${blockW - 22}q11 0 11 11v33Z` });
    band.style.fill = colour;
    const coin = 'a4 4 0 1 0 8 0a4 4 0 1 0 -8 0m10.5 0';
    return [
      h('rect.card', { x, y: -50, width: blockW, height: BLOCK_H, rx: 11 }),
      band,
      text('number', -26, height, 24),
      text('miner', -11, name, 12.5),
      text('hash', 14, ghost ? t('unknown') : hash.slice(0, 8), 12.5),
      text('count', 31, narrow ? '' : paid, 12),
      h('path.coins', { d: `M${x + 9} 40.5${coin.repeat(Math.min(paid && count - 1, Math.floor(inner / 10.5)))}` }),
    ];
  });
}

/** The block to come: a dashed box around what waits; and the tray of what was refused. */
function drawNext(s, { m, top, next, tray, count, more }) {
  const { x, y, width, height } = next;
  const searching = s.status?.mining ? 'searching' : 'notyet';
  const away = s.blocks.get(s.tip)?.height > top && !m.narrow;
  set($('next'), { class: `${searching} ${away ? 'away' : ''}` });
  refill($('next'), [JSON.stringify([m, tray]), count, more, searching], () => [
    h('path.link', { d: m.narrow ? 'M0 0' : `M${x} ${ROW}H${m.tipX + m.blockW / 2}m7 -5l-6 5l6 5` }),
    h('rect.box', { ...next, rx: 12 }),
    h(
      'text.title',
      { x: x + 12, y: y + 22 },
      fit(`${t('next')} · ${count ? payments(count) : t('empty')}`, width - 20, 16),
    ),
    h('text.note', { x: x + 12, y: y + 41 }, t(searching)),
    h('text.note', { x: x + 12, y: y + height - 10 }, more > 0 ? t('more', more) : ''),
    ...(tray.height
      ? [h('rect.tray', { ...tray, rx: 12 }), h('text.title.bad', { x: x + 12, y: tray.y + 22 }, fit(t('tray'), width - 20, 16))]
      : []),
  ]);
}

function dressFlag(s, g, flag, m) {
  const own = flag.key === s.status?.peer_id;
  const name = nameOf(s, flag.key);
  const words = fit(flag.edge + (own ? t('you', name) : name), 150, 14);
  const width = (widthOf(words) + 1.4) * 14;
  flag.x = Math.min(Math.max(flag.x, width / 2 + 3), m.width - width / 2 - 3);
  set(g, {
    class: own ? 'flag own' : 'flag',
    href: `#/account/${accountOf(s, flag.key)}`,
    tabindex: -1,
    'data-node': flag.key,
  });
  g.style.setProperty('--c', colourOf(s, flag.key));
  refill(g, words, () => [h('rect', { x: -width / 2, y: -11, width, height: 22, rx: 11 }), h('text', { y: 5 }, words)]);
}

function dressChip(s, g, { tx }, width) {
  const dead = tx.place === 'gone';
  const words = inWords(s, tx);
  const why = dead ? `✗ ${withNames(s, tx.why)}` : '';
  const colour = colourOf(s, tx.from);
  set(g, {
    class: `chip ${dead ? 'dead' : tx.back ? 'back' : ''}`,
    href: `#/transaction/${tx.txid}`,
    'aria-label': `${words} ${why}`,
    'data-txid': tx.txid,
  });
  refill(g, [words, why, width, colour], () => {
    const coin = h('circle', { cx: 13, r: 7 });
    coin.style.fill = colour;
    const text = (y, line) => h('text', { x: 27, y }, fit(line, width - 36, 15));
    return [
      h('rect', { y: -13, width, height: dead ? 44 : 26, rx: 13 }),
      coin,
      text(5, words),
      ...(dead ? [text(24, why)] : []),
    ];
  });
}

/** Looks back along the chain: by wheel, by hand, and by the arrow keys. */
function startStage() {
  const svg = $('stage');
  svg.append(...['next', 'links', 'blocks', 'flags', 'chips'].map((id) => h('g', { id })));
  const to = (pan) => {
    stage.pan = Math.max(0, Math.min(Math.round(pan), shown().blocks.get(shown().tip)?.height ?? 0, BLOCKS_MAX));
    ask();
  };
  svg.addEventListener('focusin', ({ target }) => {
    stage.focused = target.getAttribute('href');
  });
  let from = null;
  svg.onwheel = (event) => {
    const by = event.deltaX || (event.shiftKey && event.deltaY);
    if (by) to(stage.pan - Math.sign(by));
  };
  svg.onpointerdown = (event) => {
    from = { x: event.clientX, pan: stage.pan };
  };
  svg.onpointermove = (event) => {
    if (from && event.buttons) to(from.pan + (event.clientX - from.x) / stage.step);
  };
  svg.onkeydown = (event) => {
    const [by, down] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key] ?? [];
    const { dataset } = document.activeElement;
    if (by === undefined || !dataset.height) return;
    event.preventDefault();
    const height = Number(dataset.height) + by;
    const at = `[data-height="${height}"]`;
    // Along a branch, else back to the active one.
    const find = () =>
      svg.querySelector(`${at}[data-lane="${Number(dataset.lane) + down}"]`) ?? svg.querySelector(`${at}[data-lane="0"]`);
    if (!find()) to(stage.pan - by);
    drawStage(shown());
    find()?.focus();
  };
  $('now').onclick = () => to(0);
}
