// The stage: blocks, branches, nodes and waiting payments as one drawing that moves.
//
// Promises: one element for each thing, kept while the thing is there, so that a change is seen as a movement: a branch
// that lost sinks, the new one rises, payments fly into blocks and back.
// Elsewhere: where things stand (`40-layout.js`), when it is drawn (`90-main.js`).

const stage = { pan: 0, top: null, reorg: 0, broken: null, drawnAt: 0, slowUntil: 0, pace: 0 };

/** Whoever asks the system for less motion sees things change at once. */
const CALM_EYES = matchMedia('(prefers-reduced-motion: reduce)');

/** The colour of a person, the same on every node's page. */
function colourOf(s, account) {
  if (!account) return 'var(--nobody)';
  let sum = 7;
  for (const letter of personOf(s, account)) sum = (sum * 33 + letter.charCodeAt(0)) % 9973;
  return `oklch(var(--person) ${(sum % 24) * 15})`;
}

function move(element, { x, y, scale = 1 }) {
  element.style.transform = `translate(${x.toFixed(1)}px,${y.toFixed(1)}px) scale(${scale})`;
}

/** Keeps one element for each item in a layer: makes it, dresses it, moves it, and lets it go. */
function keyed(layer, items, kind, dress, leave) {
  const box = $(layer);
  const parts = (box.parts ??= new Map());
  const keys = new Set(items.map((item) => item.key));
  for (const [key, element] of parts) {
    if (keys.has(key)) continue;
    parts.delete(key);
    if (leave) leave(element, key);
    else element.remove();
  }
  for (const item of items) {
    let element = parts.get(item.key);
    const fresh = !element;
    if (fresh) {
      parts.set(item.key, (element = h(kind)));
      box.append(element);
    }
    dress(element, item);
    move(element, item);
    if (fresh && item.from) enter(element, item.from);
  }
}

/** Lets an element be seen to come from a place. */
function enter(element, { x, y, scale = 1 }) {
  if (CALM_EYES.matches || !stage.pace) return;
  const start = { transform: `translate(${x}px,${y}px) scale(${scale})`, opacity: 0 };
  element.animate([start, {}], { duration: stage.pace * 1000, easing: 'cubic-bezier(.3,.8,.3,1)' });
}

/** Draws what changed. */
function drawStage(s) {
  const svg = $('stage');
  const { width, height } = svg.getBoundingClientRect();
  if (!width) return;
  const plan = layout(s, width, height, stage.pan);
  const { m } = plan;
  const jump = stage.top === null ? 99 : Math.abs(plan.top - stage.top);
  const replaced = s.reorg > stage.reorg && stage.top !== null;
  setPace(svg, jump, replaced);
  Object.assign(stage, { top: plan.top, reorg: s.reorg ?? 0 });
  set(svg, { viewBox: `0 0 ${width} ${height}` });
  const places = [...plan.blocks.values()];
  // The winners of a reorganisation rise from the row below; a new block comes out of the pool.
  for (const place of places) place.from = { x: place.x + (replaced ? 0 : m.pitch), y: replaced || place.lane ? m.row + m.h * 1.14 : place.y, scale: 0.5 };
  drawNext(s, plan);
  keyed('links', places, 'path', (path, place) => set(path, { class: `link ${kindOf(place)}`, d: linkTo(plan, place) }));
  keyed('blocks', places, 'svga', (g, place) => dressBlock(s, g, place, plan));
  keyed('flags', plan.flags, 'g', (g, flag) => dressFlag(s, g, flag, m));
  for (const chip of plan.chips) {
    const lost = plan.blocks.get(chip.tx.back);
    chip.from = lost ? { x: lost.x - m.w / 2, y: lost.y, scale: 0.4 } : { x: chip.x + 60, y: chip.y };
  }
  keyed('chips', plan.chips, 'svga', (g, chip) => dressChip(s, g, chip), (g, txid) => {
    const tx = s.txs.get(txid);
    const into = tx?.place === 'block' && plan.blocks.get(tx.block ?? s.tip);
    g.classList.add('leaving');
    if (into) move(g, { x: into.x - m.w * 0.3, y: into.y, scale: 0.3 });
    setTimeout(() => g.remove(), 900);
  });
}

/** How fast things move: slowly when a branch is replaced, hardly when blocks come in a row. */
function setPace(svg, jump, replaced) {
  const now = performance.now();
  const pace = jump > 8 ? 0 : replaced ? 1.5 : now - stage.drawnAt < 400 && jump ? 0.15 : 0.7;
  if (jump || replaced) stage.drawnAt = now;
  if (now > stage.slowUntil || !pace) stage.pace = pace;
  svg.style.setProperty('--move', `${stage.pace}s`);
  if (replaced) stage.slowUntil = now + 1600;
}

function kindOf({ block, lane }) {
  const { hash, height } = stage.broken ?? {};
  const fault = block.hash === hash ? ' changed' : !lane && block.height > height ? ' broken' : '';
  return (block.ghost ? 'ghost' : lane ? 'stale' : 'active') + fault;
}

/** The line to the block before, with its head there: a block names its parent. */
function linkTo({ m, blocks }, { block, x, y, scale }) {
  if (block.ghost || block.height === 0) return 'M0 0';
  const parent = blocks.get(block.previous) ?? { x: x - m.pitch, y, scale };
  const dx = (parent.x - x + (m.w / 2) * parent.scale) / scale;
  const dy = (parent.y - y) / scale;
  const from = -m.w / 2;
  const middle = (from + dx) / 2;
  return `M${from} 0${dy ? `C${middle} 0 ${middle} ${dy} ${dx} ${dy}` : `H${dx}`}m7 -5l-6 5l6 5`;
}

function dressBlock(s, g, place, { m, on }) {
  const { block, lane } = place;
  const { w, h: high } = m;
  const miner = block.ghost ? '?' : block.height === 0 ? t('genesis') : nameOf(s, block.miner);
  const here = on.get(block.hash)?.ids.map((id) => nameOf(s, id)).join(', ');
  const count = block.count && block.height ? payments(block.count - 1) : '';
  const label = t('lblock', block.height, miner, count, t(lane ? 'stale' : 'active'), here ? t('lhere', here) : '');
  set(g, { class: `block ${kindOf(place)}`, href: `#/block/${block.hash}`, 'aria-label': label, tabindex: block.hash === s.tip ? 0 : -1, 'data-hash': block.hash, 'data-height': block.height, 'data-lane': lane });
  const colour = colourOf(s, block.miner);
  refill(g, [label, w, colour], () => {
    const r = high * 0.11;
    const text = (kind, words, at, size) => h(`text.${kind}`, { x: -w / 2 + r, y: high * at, 'font-size': high * size }, fit(words, w - 2 * r, high * size * 1.06));
    const band = h('path.band', { d: `M${-w / 2} ${-high * 0.06}V${-high / 2 + r}q0 ${-r} ${r} ${-r}H${w / 2 - r}q${r} 0 ${r} ${r}V${-high * 0.06}Z` });
    band.style.fill = colour;
    return [
      h('rect.card', { x: -w / 2, y: -high / 2, width: w, height: high, rx: r }), band, text('number', block.height, -0.26, 0.24), text('miner', miner, -0.11, 0.125),
      text('hash', block.ghost ? t('unknown') : block.hash.slice(0, 12), 0.14, 0.115), text('count', count, 0.31, 0.115), coins(block.height ? block.count - 1 : 0, w, high),
    ];
  });
}

/** A row of coins, one for each payment, at most ten. */
function coins(count, w, high) {
  const r = high * 0.038;
  const coin = `a${r} ${r} 0 1 0 ${r * 2} 0a${r} ${r} 0 1 0 ${-r * 2} 0m${r * 2.7} 0`;
  return h('path.coins', { d: `M${-w / 2 + high * 0.11} ${high * 0.405}${coin.repeat(Math.min(count || 0, 10))}` });
}

/** The block to come: a dashed box around what waits. */
function drawNext(s, { m, top, count, more, moreY }) {
  const { box } = m;
  const size = Math.max(13, m.h * 0.15);
  const searching = !!s.status?.mining;
  set($('next'), { class: `${searching ? 'searching' : ''} ${s.blocks.get(s.tip)?.height > top && !m.narrow ? 'away' : ''}` });
  refill($('next'), [JSON.stringify(m), count, more, moreY, searching], () => [
    h('path.link', { d: m.narrow ? 'M0 0' : `M${box.x} ${m.row}H${m.tipX + m.w / 2}m7 -5l-6 5l6 5` }),
    h('rect.box', { x: box.x, y: box.y, width: Math.max(box.w, 40), height: Math.max(box.h, 40), rx: 12 }),
    h('text.title', { x: box.x + 12, y: box.y + size * 1.35, 'font-size': size }, fit(`${t('next')} · ${count ? payments(count) : t('empty')}`, box.w - 20, size)),
    h('text.note', { x: box.x + 12, y: box.y + size * 2.45, 'font-size': size * 0.8 }, m.narrow ? '' : t(searching ? 'searching' : 'notyet')),
    h('text.note', { x: box.x + 12, y: moreY, 'font-size': size * 0.8 }, more > 0 ? t('more', more) : ''),
  ]);
}

function dressFlag(s, g, flag, m) {
  const own = flag.key === s.status?.peer_id;
  const size = m.flag * 0.62;
  const name = own ? t('you', nameOf(s, flag.key)) : nameOf(s, flag.key);
  const words = fit({ behind: `← ${flag.height} `, ahead: `${flag.height} → `, '': '' }[flag.edge] + name, m.w * 1.2, size);
  const w = Math.max(m.flag * 1.6, (widthOf(words) + 1.4) * size);
  const half = w / 2 + 3;
  flag.x = Math.min(Math.max(flag.x, half), m.width - half);
  set(g, { class: own ? 'flag own' : 'flag', 'data-node': flag.key });
  g.style.setProperty('--c', colourOf(s, flag.key));
  refill(g, [words, w], () => [h('rect', { x: -w / 2, y: -m.flag / 2, width: w, height: m.flag, rx: m.flag / 2 }), h('text', { 'font-size': size, y: size * 0.35 }, words)]);
}

function dressChip(s, g, { tx, w, h: high }) {
  const dead = tx.place === 'gone';
  const words = dead ? `${inWords(s, tx)} ✗ ${tx.why}` : inWords(s, tx);
  const colour = colourOf(s, tx.from);
  set(g, { class: `chip ${dead ? 'dead' : tx.back ? 'back' : ''}`, href: `#/transaction/${tx.txid}`, 'aria-label': words, 'data-txid': tx.txid });
  refill(g, [words, w, colour], () => {
    const coin = h('circle', { cx: high / 2, r: high * 0.26 });
    coin.style.fill = colour;
    return [h('rect', { y: -high / 2, width: Math.max(w, 20), height: high, rx: high / 2 }), coin, h('text', { x: high, y: high * 0.2, 'font-size': high * 0.56 }, fit(words, w - high * 1.4, high * 0.56))];
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
  let from = null;
  svg.onwheel = (event) => {
    const by = event.deltaX || (event.shiftKey && event.deltaY);
    if (by) to(stage.pan - Math.sign(by));
  };
  svg.onpointerdown = (event) => { from = { x: event.clientX, pan: stage.pan }; };
  svg.onpointermove = (event) => {
    if (from && event.buttons) to(from.pan + (event.clientX - from.x) / measure(svg.clientWidth, svg.clientHeight).pitch);
  };
  svg.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const height = Number(document.activeElement.dataset.height) + by;
    const find = () => svg.querySelector(`[data-lane="0"][data-height="${height}"]`);
    if (!by) return;
    event.preventDefault();
    if (!find()) to(stage.pan - by);
    drawStage(shown());
    find()?.focus();
  };
  $('now').onclick = () => to(0);
}
