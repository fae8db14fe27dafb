// Where everything stands on the stage: a pure function of what is known and of the size of the stage.
//
// Promises: heights from left to right, the active branch in one straight row, branches that lost below it, the tip in the
// middle, what waits to the right of it (below on a narrow screen); never more items than the limits, whatever the chain's length.

const ACTIVE_MAX = 14;
const SIDE_MAX = 8;
const LANES_MAX = 3;
const FLAGS_MAX = 26;
const CHIPS_MAX = 10;
/** How long a payment that died is shown beside those that wait, in milliseconds of the node's time. */
const GONE_MS = 60000;

/** The measures that follow from the stage's width and height. */
function measure(width, height) {
  const narrow = width < 700;
  const room = narrow ? height * 0.66 : height;
  const size = Math.max(64, Math.min(room / 4.1, width / (narrow ? 3.9 : 8.4), 190));
  const block = { w: size * 1.26, h: size };
  const pitch = block.w * 1.3;
  const flag = Math.max(19, size * 0.22);
  const row = size * 1.72;
  const tipX = narrow ? width - block.w * 0.62 - 8 : Math.round(width * 0.56);
  const lane = Math.min(size * 1.42, (room - row - size * 0.55) / 2);
  const pool = narrow
    ? { x: 8, y: room + 8, w: width - 16, h: height - room - 16 }
    : { x: tipX + block.w * 0.5 + pitch * 0.3, y: row - size * 0.62, h: height - row + size * 0.62 - 10 };
  pool.w ??= width - pool.x - 12;
  return { width, height, narrow, block, pitch, flag, row, lane, tipX, pool };
}

/** Puts each block of the lost branches into the first lane that is free at its height. */
function lanesOf(side) {
  const lanes = new Map();
  const ends = [];
  for (const block of side) {
    let lane = lanes.get(block.previous);
    if (!lane || ends[lane] >= block.height) {
      lane = 1;
      while ((ends[lane] ?? -1) >= block.height) lane += 1;
    }
    ends[lane] = block.height;
    lanes.set(block.hash, lane);
  }
  return lanes;
}

/** Who stands on which block: this node on the tip, peers where they say. */
function standing(state) {
  const on = new Map();
  const put = (hash, id, height) => {
    if (!on.has(hash)) on.set(hash, { height, ids: [] });
    on.get(hash).ids.push(id);
  };
  const tip = state.blocks.get(state.tip);
  if (state.status && tip) put(state.tip, state.status.peer_id, tip.height);
  for (const peer of state.peers.values()) if (peer.tip) put(peer.tip, peer.id, peer.height);
  return on;
}

/** The blocks on the stage with their places; `pan` is how many heights the view was moved back. */
function placeBlocks(state, m, pan) {
  const tip = state.blocks.get(state.tip);
  if (!tip) return { blocks: [], places: new Map(), top: 0 };
  const top = tip.height - pan;
  const x = (height) => m.tipX + (height - top) * m.pitch;
  const seen = (height) => x(height) > -m.block.w * 0.6 && x(height) < (m.narrow ? m.width + m.block.w : m.pool.x);
  const active = [];
  const onChain = new Set();
  for (const block of activeChain(state)) {
    if (x(block.height) < -m.pitch) break;
    onChain.add(block.hash);
    if (seen(block.height)) active.push(block);
  }
  const side = [...state.blocks.values()].filter((block) => !onChain.has(block.hash) && seen(block.height) && block.height <= tip.height + 1);
  for (const [hash, { height }] of standing(state)) {
    if (state.blocks.has(hash) || !(height <= tip.height) || !seen(height)) continue;
    side.push({ hash, height, previous: '', miner: null, ghost: true });
  }
  side.sort((a, b) => a.height - b.height || (a.hash < b.hash ? -1 : 1));
  const lanes = lanesOf(side);
  const shown = side.filter((block) => lanes.get(block.hash) < LANES_MAX).slice(-SIDE_MAX);
  const places = new Map();
  for (const block of active.slice(0, ACTIVE_MAX)) places.set(block.hash, { block, lane: 0, x: x(block.height), y: m.row });
  for (const block of shown) {
    const lane = lanes.get(block.hash);
    places.set(block.hash, { block, lane, x: x(block.height), y: m.row + lane * m.lane });
  }
  return { places, top, x };
}

/** The names of nodes: above the active branch, below the others; who stands out of sight is named at the edge. */
function placeFlags(state, m, places, top) {
  const flags = [];
  const rows = Math.max(2, Math.floor((m.row - m.block.h / 2 - 26) / (m.flag + 3)));
  let left = 0;
  for (const [hash, { height, ids }] of standing(state)) {
    const place = places.get(hash);
    const edge = place ? null : height > top ? 'ahead' : 'behind';
    ids.forEach((id, index) => {
      if (flags.length >= FLAGS_MAX) return;
      const column = Math.floor(index / rows);
      const step = (index % rows) * (m.flag + 3);
      if (edge) {
        const at = { x: edge === 'ahead' ? m.width - m.block.w * 0.6 : m.block.w * 0.6, y: 16 + left * (m.flag + 3) };
        left += 1;
        flags.push({ id, edge, height, ...at });
      } else if (place.lane === 0) {
        flags.push({ id, x: place.x + column * (m.block.w + 6), y: place.y - m.block.h / 2 - 8 - m.flag / 2 - step });
      } else {
        flags.push({ id, x: place.x, y: place.y + m.block.h * 0.42 + 4 + m.flag / 2 + step * 0.8 });
      }
    });
  }
  return flags;
}

/** What waits, in rows inside the next block, and below it what died lately. */
function placeChips(state, m) {
  const waiting = [];
  const gone = [];
  let count = 0;
  for (const entry of state.transactions.values()) {
    if (entry.place === 'pool') {
      count += 1;
      waiting.push(entry);
    } else if (entry.place === 'gone' && entry.time > state.time - GONE_MS) gone.push(entry);
  }
  const high = Math.max(22, m.flag * 1.15);
  const head = m.narrow ? 34 : m.block.h * 0.5;
  const rows = Math.max(1, Math.min(CHIPS_MAX, Math.floor((m.pool.h - head - 22) / (high + 5))));
  const dead = gone.slice(-Math.min(3, Math.max(1, rows - waiting.length)));
  const fits = waiting.slice(0, Math.max(1, rows - dead.length));
  const chips = [...fits, ...dead].map((entry, index) => ({
    entry, x: m.pool.x + 10, y: m.pool.y + head + index * (high + 5) + high / 2, w: m.pool.w - 20, h: high,
  }));
  return { chips, count, more: count - fits.length, moreY: m.pool.y + head + chips.length * (high + 5) + 12 };
}

/** Everything that the stage shows. */
function layout(state, width, height, pan) {
  const m = measure(width, height);
  const { places, top, x } = placeBlocks(state, m, pan);
  return { m, places, top, x, flags: placeFlags(state, m, places, top), pool: placeChips(state, m) };
}
