// The stage: blocks, branches, nodes and waiting payments as one drawing that moves.
//
// Promises: one element for each thing, kept while the thing is there, so that a change is seen as a movement: a branch
// that lost sinks, the new one rises, payments fly into blocks and back. What strangers sent is text, never markup.
// Elsewhere: where things stand (`40-layout.js`), when it is drawn (`90-main.js`).

const SVG = 'http://www.w3.org/2000/svg';

const byId = (id) => document.getElementById(id);

const stage = {
  pan: 0, blocks: new Map(), flags: new Map(), chips: new Map(), layers: {}, top: null, reorganized: 0, broken: null, drawnAt: 0,
};

/** An SVG element with attributes, put into its parent. */
function draw(parent, name, attributes = {}) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent?.append(element);
  return element;
}

function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (element.getAttribute(key) !== String(value)) element.setAttribute(key, value);
  }
}

/** Text of the node or of strangers: what is not seen, or turns the order of letters, is shown as a mark. */
function clean(text) {
  return String(text ?? '').slice(0, 300).replace(/[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, '�');
}

function say(element, text) {
  const words = clean(text);
  if (element.textContent !== words) element.textContent = words;
}

/** Cuts a text to a width; a letter is about 0.57 of its size wide, a Chinese one as wide as it is high. */
function fit(text, width, size) {
  let left = width / size;
  const letters = [...clean(text)];
  for (let i = 0; i < letters.length; i += 1) {
    left -= letters[i] > '⺀' ? 1 : 0.57;
    if (left < 0) return `${letters.slice(0, Math.max(1, i - 1)).join('')}…`;
  }
  return letters.join('');
}

/** The colour of a person, the same on every node's page. */
function colourOf(state, account) {
  if (!account) return 'var(--nobody)';
  let sum = 7;
  for (const letter of personOf(state, account)) sum = (sum * 33 + letter.charCodeAt(0)) % 9973;
  return `oklch(var(--person) ${(sum % 24) * 15})`;
}

function startStage() {
  const svg = byId('stage');
  for (const name of ['next', 'blocks', 'flags', 'chips']) stage.layers[name] = draw(svg, 'g', { class: `l-${name}` });
  const { next } = stage.layers;
  stage.next = {
    link: draw(next, 'path', { class: 'link' }), box: draw(next, 'rect', { class: 'box', rx: 12 }),
    title: draw(next, 'text', { class: 'title' }), note: draw(next, 'text', { class: 'note' }), more: draw(next, 'text', { class: 'note' }),
  };
  panByHand(svg);
}

function move(element, x, y, scale = 1) {
  element.style.transform = `translate(${x.toFixed(1)}px,${y.toFixed(1)}px) scale(${scale})`;
}

/** Draws what changed. */
function drawStage(state) {
  const svg = byId('stage');
  const { width, height } = svg.getBoundingClientRect();
  if (width === 0) return;
  const plan = layout(state, width, height, stage.pan);
  const jump = stage.top === null ? 99 : Math.abs(plan.top - stage.top);
  const now = performance.now();
  const hurry = now - stage.drawnAt < 300 && jump > 0;
  const fresh = state.reorganized?.seq > stage.reorganized;
  const pace = jump > 8 ? 0 : fresh ? 1.5 : hurry ? 0.15 : 0.7;
  if (jump > 0 || fresh) stage.drawnAt = now;
  if (now - (stage.slowUntil ?? 0) > 0 || pace !== 0.7) svg.style.setProperty('--move', `${pace}s`);
  if (fresh) stage.slowUntil = now + 1600;
  stage.reorganized = state.reorganized?.seq ?? 0;
  stage.top = plan.top;
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  drawNext(state, plan);
  drawBlocks(state, plan, fresh, pace);
  drawFlags(state, plan);
  drawChips(state, plan);
}

/** Makes, changes and removes the elements of one kind so that they are those of the plan. */
function match(kind, items, make, change, leave = (part) => part.g.remove()) {
  const parts = stage[kind];
  for (const [key, part] of parts) {
    if (items.has(key)) continue;
    parts.delete(key);
    leave(part, key);
  }
  for (const [key, item] of items) {
    let part = parts.get(key);
    if (!part) parts.set(key, (part = make(item, key)));
    change(part, item, key);
  }
}

function drawBlocks(state, plan, fresh, pace) {
  const { m } = plan;
  const make = (place) => {
    const g = draw(stage.layers.blocks, 'a', { class: 'block', 'data-hash': place.block.hash });
    const part = { g, link: draw(g, 'path', { class: 'link' }), card: draw(g, 'rect', { class: 'card' }), band: draw(g, 'path', { class: 'band' }) };
    for (const name of ['number', 'miner', 'hash', 'count']) part[name] = draw(g, 'text', { class: name });
    part.coins = draw(g, 'path', { class: 'coins' });
    // The winners of a reorganisation rise from the row below; a new block comes out of the pool.
    if (pace > 0) enter(g, fresh ? place.x : place.x + m.pitch, fresh || place.lane > 0 ? m.row + m.lane : place.y);
    return part;
  };
  match('blocks', plan.places, make, (part, place) => {
    dressBlock(state, part, place, plan);
    move(part.g, place.x, place.y, place.lane > 0 ? 0.84 : 1);
  });
}

/** Starts an element at a place, so that it is seen to come from there. */
function enter(g, x, y, scale = 0.5) {
  g.style.transition = 'none';
  g.style.opacity = 0;
  move(g, x, y, scale);
  g.getBoundingClientRect();
  g.style.transition = '';
  g.style.opacity = '';
}

function dressBlock(state, part, { block, lane, x, y }, { m, places }) {
  const { w, h } = m.block;
  const broken = stage.broken && lane === 0 && block.height > stage.broken.height;
  const changed = stage.broken?.hash === block.hash;
  const miner = block.ghost ? '?' : block.height === 0 ? t('genesis') : nameOf(state, block.miner);
  const here = standing(state).get(block.hash)?.ids.map((id) => nameOf(state, id)) ?? [];
  const label = t('lblock', block.height, miner, block.count === null || block.count === undefined ? '' : payments(block.count - 1), t(lane ? 'lstale' : 'lactive'))
    + (here.length ? t('lstand', here.join(', ')) : '');
  const parent = places.get(block.previous);
  const dx = parent ? parent.x - x : -m.pitch;
  const dy = parent ? (parent.y - y) / (lane ? 0.84 : 1) : 0;
  const signature = [block.ghost, lane, miner, label, block.count, w, dx, dy, broken, changed, language, state.owners.get(block.miner)].join();
  if (part.signature === signature) return;
  part.signature = signature;
  const kind = block.ghost ? 'ghost' : lane ? 'stale' : 'active';
  set(part.g, {
    href: `#/block/${block.hash}`, class: `block ${kind}${broken ? ' broken' : ''}${changed ? ' changed' : ''}`,
    'aria-label': clean(label), 'data-height': block.height, 'data-lane': lane, 'data-miner': clean(miner), tabindex: block.hash === state.tip ? 0 : -1,
  });
  set(part.card, { x: -w / 2, y: -h / 2, width: w, height: h, rx: h * 0.11 });
  const r = h * 0.11;
  set(part.band, { d: `M${-w / 2} ${-h * 0.06}V${-h / 2 + r}q0 ${-r} ${r} ${-r}H${w / 2 - r}q${r} 0 ${r} ${r}V${-h * 0.06}Z` });
  part.band.style.fill = colourOf(state, block.miner);
  const text = (element, words, at, size, mono) => {
    set(element, { x: -w / 2 + h * 0.12, y: (h * at).toFixed(1), 'font-size': (h * size).toFixed(1) });
    say(element, fit(words, w - h * 0.2, h * size * (mono ? 1.08 : 1)));
  };
  text(part.number, String(block.height), -0.23, 0.24);
  text(part.miner, miner, -0.1, 0.135);
  text(part.hash, block.ghost ? t('unknown') : `${block.hash.slice(0, 12)}`, 0.14, 0.115, !block.ghost);
  text(part.count, block.height === 0 || block.count === null ? '' : payments(block.count - 1), 0.31, 0.115);
  set(part.coins, { d: coins(block.count ? block.count - 1 : 0, w, h) });
  // The line to the block before, with its head there: a block names its parent.
  const side = dx + w / 2;
  const half = (side - w / 2) / 2;
  const bend = dy === 0 || Math.abs(dx) > m.pitch * 1.1 ? `L${side} ${dy}` : `C${-w / 2 + half} 0 ${-w / 2 + half} ${dy} ${side} ${dy}`;
  set(part.link, { d: block.height === 0 || block.ghost ? 'M0 0' : `M${-w / 2} 0${bend}m7 -5l-6 5l6 5` });
}

/** A row of coins, one for each payment, at most ten. */
function coins(count, w, h) {
  const r = h * 0.038;
  let path = '';
  for (let i = 0; i < Math.min(count, 10); i += 1) path += `M${(-w / 2 + h * 0.12 + i * r * 2.7).toFixed(1)} ${(h * 0.405).toFixed(1)}a${r} ${r} 0 1 0 ${r * 2} 0a${r} ${r} 0 1 0 ${-r * 2} 0`;
  return path || 'M0 0';
}

/** The block to come: a dashed box around what waits. */
function drawNext(state, { m, pool, top }) {
  const { next } = stage;
  const live = state.blocks.get(state.tip)?.height === top;
  const size = Math.max(13, m.block.h * 0.15);
  stage.layers.next.classList.toggle('away', !live && !m.narrow);
  set(next.box, { x: m.pool.x, y: m.pool.y, width: Math.max(40, m.pool.w), height: Math.max(40, m.pool.h) });
  set(next.link, { d: m.narrow ? 'M0 0' : `M${m.pool.x} ${m.row}H${m.tipX + m.block.w / 2}m7 -5l-6 5l6 5` });
  set(next.title, { x: m.pool.x + 12, y: m.pool.y + size * 1.35, 'font-size': size });
  say(next.title, fit(`${t('next')} · ${pool.count ? payments(pool.count) : t('empty')}`, m.pool.w - 20, size));
  set(next.note, { x: m.pool.x + 12, y: m.pool.y + size * 2.45, 'font-size': size * 0.8 });
  const searching = state.status?.mining;
  say(next.note, m.narrow ? '' : fit(t(searching ? 'searching' : 'notyet'), m.pool.w - 20, size * 0.8));
  set(next.more, { x: m.pool.x + 12, y: pool.moreY, 'font-size': size * 0.8 });
  say(next.more, pool.more > 0 ? t('more', pool.more) : '');
  stage.layers.next.classList.toggle('searching', !!searching);
}

function drawFlags(state, { m, flags }) {
  const own = state.status?.peer_id;
  const make = (item) => {
    const g = draw(stage.layers.flags, 'g', { class: 'flag', 'data-node': item.id });
    enter(g, item.x, item.y - 20, 1);
    return { g, box: draw(g, 'rect'), text: draw(g, 'text') };
  };
  match('flags', new Map(flags.map((item) => [item.id, item])), make, (part, item) => {
    const size = m.flag * 0.62;
    const name = nameOf(state, item.id);
    const arrow = item.edge === 'behind' ? `← ${item.height} ` : item.edge === 'ahead' ? `${item.height} → ` : '';
    const words = fit(arrow + (item.id === own ? t('you', name) : name), m.block.w * 1.2, size);
    const w = Math.max(m.flag * 1.6, [...words].reduce((sum, c) => sum + (c > '⺀' ? 1 : 0.58), 1.5) * size);
    set(part.box, { x: -w / 2, y: -m.flag / 2, width: w, height: m.flag, rx: m.flag / 2 });
    set(part.text, { 'font-size': size.toFixed(1), y: (size * 0.35).toFixed(1) });
    say(part.text, words);
    set(part.g, { class: item.id === own ? 'flag own' : 'flag', 'data-on': state.peers.get(item.id)?.tip ?? state.tip });
    part.g.style.setProperty('--c', colourOf(state, item.id));
    const half = Math.min(w / 2 + 4, m.width / 2);
    move(part.g, Math.min(Math.max(item.x, half), m.width - half), item.y);
  });
}

function drawChips(state, { m, pool, places }) {
  const spot = (hash) => places.get(hash) ?? null;
  const make = ({ entry, x, y }) => {
    const g = draw(stage.layers.chips, 'a', { class: 'chip', href: `#/transaction/${entry.txid}`, 'data-txid': entry.txid });
    const part = { g, box: draw(g, 'rect'), coin: draw(g, 'circle'), text: draw(g, 'text') };
    // One that comes back flies out of the block that lost it.
    const from = entry.back && spot(entry.back);
    if (from) enter(g, from.x - m.block.w / 2, from.y, 0.4);
    else enter(g, x + 60, y, 1);
    return part;
  };
  const change = (part, { entry, x, y, w, h }) => {
    const size = h * 0.56;
    const dead = entry.place === 'gone';
    const words = dead ? `${inWords(entry)} ✗ ${entry.message ?? entry.code}` : inWords(entry);
    set(part.box, { y: -h / 2, width: Math.max(20, w), height: h, rx: h / 2 });
    set(part.coin, { cx: h / 2, r: h * 0.26 });
    part.coin.style.fill = dead ? '' : colourOf(state, entry.from);
    set(part.text, { x: h, y: (size * 0.36).toFixed(1), 'font-size': size.toFixed(1) });
    say(part.text, fit(words, w - h * 1.4, size));
    set(part.g, { class: dead ? 'chip dead' : entry.back ? 'chip back' : 'chip', 'data-state': entry.place, 'aria-label': clean(words), tabindex: -1 });
    move(part.g, x, y);
  };
  const leave = (part, txid) => {
    const entry = state.transactions.get(txid);
    const to = entry?.place === 'block' && spot(entry.block ?? state.tip);
    part.g.classList.add('leaving');
    if (to) move(part.g, to.x - m.block.w * 0.3, to.y, 0.3);
    setTimeout(() => part.g.remove(), 900);
  };
  match('chips', new Map(pool.chips.map((chip) => [chip.entry.txid, chip])), make, change, leave);
}

/** Looks back along the chain: by wheel, by hand, and by the arrow keys. */
function panByHand(svg) {
  let from = null;
  const to = (pan) => {
    const tip = wire.live.blocks.get(shown().tip)?.height ?? 0;
    const next = Math.max(0, Math.min(Math.round(pan), tip, BLOCKS_MAX));
    if (next === stage.pan) return;
    stage.pan = next;
    wire.onChange();
  };
  const pitch = () => measure(svg.clientWidth, svg.clientHeight).pitch;
  svg.addEventListener('wheel', (event) => {
    const by = event.deltaX || (event.shiftKey ? event.deltaY : 0);
    if (by === 0) return;
    event.preventDefault();
    to(stage.pan - Math.sign(by));
  }, { passive: false });
  svg.addEventListener('pointerdown', (event) => { from = { x: event.clientX, pan: stage.pan }; });
  svg.addEventListener('pointermove', (event) => {
    if (from && event.buttons) to(from.pan + (event.clientX - from.x) / pitch());
  });
  svg.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const here = Number(document.activeElement?.dataset.height ?? NaN);
    if (!by) return;
    event.preventDefault();
    const find = () => svg.querySelector(`[data-lane="0"][data-height="${here + by}"]`);
    if (!find()) to(stage.pan - by);
    drawStage(shown());
    find()?.focus();
  });
  byId('now').onclick = () => to(0);
}
