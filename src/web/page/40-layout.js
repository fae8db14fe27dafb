// Where everything stands on the stage: a pure function of what is known and of the size of the stage.
//
// Promises: heights from left to right, the active branch in one straight row, branches that lost below it, the tip in the
// middle, what waits to the right of it (below on a narrow screen); never more items than the limits, whatever the chain's
// length. In this part `s` is the state and `m` the measures.

const ACTIVE_MAX = 12;
const SIDE_MAX = 10;
const LANES_MAX = 3;
const FLAGS_MAX = 26;
const CHIPS_MAX = 10;
/** Blocks that lost are drawn smaller. */
const STALE_SCALE = 0.84;
/** How long a payment that died is shown beside those that wait, by the node's clock. */
const GONE_MS = 60e3;

/** The measures that follow from the stage's width and height. */
function measure(width, height) {
  const narrow = width < 700;
  const room = narrow ? height * 0.62 : height;
  const size = Math.max(64, Math.min(room / 4.4, width / (narrow ? 3.7 : 8.4), 190));
  const [w, pitch, row] = [size * 1.26, size * 1.64, size * 1.62];
  const tipX = narrow ? width - w * 0.62 - 8 : Math.round(width * 0.56);
  const x = narrow ? 8 : tipX + w / 2 + pitch * 0.3;
  const y = narrow ? room + 8 : row - size / 2;
  return { width, narrow, w, h: size, pitch, row, tipX, flag: Math.max(19, size * 0.22), box: { x, y, w: width - x - 10, h: height - y - 10 } };
}

/** Puts each block of the lost branches into the first lane that is free at its height. */
function lanesOf(side) {
  const lanes = new Map();
  const ends = [];
  for (const block of side) {
    let lane = lanes.get(block.previous);
    if (!lane || ends[lane] >= block.height) for (lane = 1; ends[lane] >= block.height; lane += 1);
    ends[lane] = block.height;
    lanes.set(block.hash, lane);
  }
  return lanes;
}

/** Who stands on which block: this node on the tip, peers where they say. */
function standing(s) {
  const on = new Map();
  const tip = s.blocks.get(s.tip);
  const nodes = [...s.peers.values()];
  if (s.status && tip) nodes.unshift({ id: s.status.peer_id, tip: s.tip, height: tip.height });
  for (const { id, tip: hash, height } of nodes) if (hash) on.set(hash, { height, ids: [...(on.get(hash)?.ids ?? []), id] });
  return on;
}

/** The blocks on the stage with their places. */
function placeBlocks(s, m, top, on) {
  const x = (height) => m.tipX + (height - top) * m.pitch;
  const seen = ({ height }) => x(height) > -m.w * 0.6 && x(height) < (m.narrow ? m.width + m.w : m.box.x);
  const chain = [];
  for (const block of activeChain(s)) if (x(chain[chain.push(block) - 1].height) < -m.pitch) break;
  const onChain = new Set(chain);
  const ghosts = [...on].filter(([hash, { height }]) => !s.blocks.has(hash) && height <= s.blocks.get(s.tip).height);
  const side = [...[...s.blocks.values()].filter((block) => !onChain.has(block)), ...ghosts.map(([hash, { height }]) => ({ hash, height, ghost: true }))];
  side.sort((a, b) => a.height - b.height || (a.hash < b.hash ? -1 : 1));
  const lanes = lanesOf(side);
  const lost = side.filter((block) => seen(block) && lanes.get(block.hash) < LANES_MAX).slice(-SIDE_MAX);
  return [...chain.filter(seen).slice(0, ACTIVE_MAX), ...lost].map((block) => {
    const lane = lanes.get(block.hash) ?? 0;
    return { key: block.hash, block, lane, x: x(block.height), y: m.row + lane * m.h * 1.14, scale: lane ? STALE_SCALE : 1 };
  });
}

/** The names of nodes: above the active branch, below the others; who stands out of sight is named at the edge. */
function placeFlags(m, blocks, top, on) {
  const flags = [];
  const step = m.flag + 3;
  const rows = Math.max(2, Math.floor((m.row - m.h / 2 - 10) / step));
  let out = 0;
  for (const [hash, { height, ids }] of on) {
    const place = blocks.get(hash);
    ids.forEach((id, index) => {
      const [up, column] = [index % rows, Math.floor(index / rows)];
      const flag = { key: id, height, edge: place ? '' : height > top ? 'ahead' : 'behind' };
      if (!place) Object.assign(flag, { x: flag.edge === 'ahead' ? m.width : 0, y: 16 + step * out++ });
      else if (place.lane) Object.assign(flag, { x: place.x, y: place.y + m.h * 0.42 + 5 + m.flag / 2 + up * step });
      else Object.assign(flag, { x: place.x + column * (m.w + 6), y: place.y - m.h / 2 - 8 - m.flag / 2 - up * step });
      if (flags.length < FLAGS_MAX) flags.push(flag);
    });
  }
  return flags;
}

/** What waits, in rows inside the next block, and below it what died lately. */
function placeChips(s, m) {
  const all = [...s.txs.values()];
  const waiting = all.filter((tx) => tx.place === 'pool');
  const gone = all.filter((tx) => tx.place === 'gone' && tx.time > s.time - GONE_MS);
  const h = Math.max(22, m.flag * 1.15);
  const head = m.narrow ? 34 : m.h * 0.5;
  const rows = Math.max(2, Math.min(CHIPS_MAX, Math.floor((m.box.h - head - 22) / (h + 5))));
  const dead = gone.slice(-Math.max(1, Math.min(3, rows - waiting.length)));
  const fits = waiting.slice(0, rows - dead.length);
  const y = (index) => m.box.y + head + index * (h + 5) + h / 2;
  const chips = [...fits, ...dead].map((tx, index) => ({ key: tx.txid, tx, x: m.box.x + 10, y: y(index), w: m.box.w - 20, h }));
  return { chips, count: waiting.length, more: waiting.length - fits.length, moreY: y(chips.length) };
}

/** Everything that the stage shows; `pan` is how many heights the view was moved back. */
function layout(s, width, height, pan) {
  const m = measure(width, height);
  const top = (s.blocks.get(s.tip)?.height ?? 0) - pan;
  const on = standing(s);
  const list = s.blocks.has(s.tip) ? placeBlocks(s, m, top, on) : [];
  const blocks = new Map(list.map((place) => [place.key, place]));
  return { m, top, on, blocks, flags: placeFlags(m, blocks, top, on), ...placeChips(s, m) };
}
