// Where everything stands on the stage: a pure function of what is known and of the size of the stage.
//
// Promises: heights from left to right, the active branch in one straight row, branches that lost below it, what waits to
// the right of the tip (below it on a narrow screen); never more items than the limits, whatever the chain's length.
// All places are in units of which a block is 100 high. In this part `s` is the state and `m` the measures.

const BLOCK_H = 100;
/** The middle of the row of the active branch, and how far below it each next row is. */
const ROW = 162;
const LANE = 114;
const ACTIVE_MAX = 12;
const SIDE_MAX = 10;
const FLAGS_MAX = 22;
const FLAG_STEP = 25;
/** Names above one block, before a second column begins. */
const FLAG_ROWS = 4;
const CHIPS_MAX = 10;
const CHIP_STEP = 31;
const DEAD_STEP = 50;
/** How long a payment that was refused is shown, by the node's clock. */
const GONE_MS = 60e3;

/** The measures that follow from the stage's size in pixels. */
function measure(pixelsWide, pixelsHigh) {
  const narrow = pixelsWide < 700;
  // Two rows below the chain, or one where that would be too small to be read.
  const rows = narrow ? 710 : pixelsHigh < 400 ? 334 : 440;
  const unit = Math.max(0.64, Math.min(pixelsHigh / rows, pixelsWide / (narrow ? 370 : 840), 1.9));
  const [width, height] = [pixelsWide / unit, pixelsHigh / unit];
  // A telephone shows five narrow blocks, so that a fork is seen there too.
  const [blockW, pitch] = narrow ? [76, 88] : [112, 146];
  const x = narrow ? 8 : width - Math.min(width * 0.36, 378) - 10;
  const y = narrow ? height * 0.62 : ROW - BLOCK_H / 2;
  return {
    unit,
    width,
    height,
    narrow,
    blockW,
    pitch,
    tipX: (narrow ? width - 8 : x - 46) - blockW / 2,
    box: { x, y, width: width - x - 10, height: height - y - 10 },
  };
}

/** Puts each block of the lost branches into the first lane that is free at its height. */
function lanesOf(side) {
  const lanes = new Map();
  const ends = [];
  for (const { hash, height, previous } of side) {
    let lane = lanes.get(previous);
    if (!lane || ends[lane] >= height) for (lane = 1; ends[lane] >= height; lane += 1);
    ends[lane] = height;
    lanes.set(hash, lane);
  }
  return lanes;
}

/** Who stands on which block: this node on the tip, peers where they say. */
function standing(s) {
  const on = new Map();
  const nodes = [{ id: s.status?.peer_id, tip: s.tip, height: s.blocks.get(s.tip)?.height }, ...s.peers.values()];
  for (const { id, tip, height } of nodes)
    if (id && tip) on.set(tip, { height, ids: [...(on.get(tip)?.ids ?? []), id] });
  return on;
}

/** The blocks on the stage with their places. */
function placeBlocks(s, m, top, on) {
  const x = (height) => m.tipX + (height - top) * m.pitch;
  const seen = ({ height }) => x(height) > -m.blockW && x(height) < (m.narrow ? m.width : m.box.x);
  const chain = [];
  for (const block of activeChain(s)) if (x(chain[chain.push(block) - 1].height) < -m.pitch) break;
  const ghosts = [...on]
    .map(([hash, { height }]) => ({ hash, height, ghost: true }))
    .filter(({ hash, height }) => !s.blocks.has(hash) && height <= chain[0]?.height);
  const side = [...s.blocks.values()]
    .filter((block) => !chain.includes(block))
    .concat(ghosts)
    .filter(seen);
  const lanes = lanesOf(side.sort((a, b) => a.height - b.height || (a.hash < b.hash ? -1 : 1)));
  const bottom = (m.narrow ? m.box.y : m.height) - BLOCK_H / 2;
  const lost = side.filter(({ hash }) => ROW + lanes.get(hash) * LANE <= bottom).slice(-SIDE_MAX);
  return chain
    .filter(seen)
    .slice(0, ACTIVE_MAX)
    .concat(lost)
    .map((block) => {
      const lane = lanes.get(block.hash) ?? 0;
      return { key: block.hash, block, lane, x: x(block.height), y: ROW + lane * LANE };
    });
}

/** The names of nodes: above the active branch, below the others; who stands out of sight is named at the edge. */
function placeFlags(m, blocks, top, on) {
  const flags = [];
  let out = 0;
  for (const [hash, { height, ids }] of on) {
    const place = blocks.get(hash);
    ids.forEach((key, index) => {
      const [row, column] = [index % FLAG_ROWS, Math.floor(index / FLAG_ROWS)];
      const flag = { key, edge: '' };
      if (!place)
        Object.assign(flag, {
          edge: height > top ? `${height} → ` : `← ${height} `,
          x: height > top && !m.narrow ? m.width : 0,
          y: 16 + FLAG_STEP * out++,
        });
      else if (place.lane) Object.assign(flag, { x: place.x + (index - (ids.length - 1) / 2) * 66, y: place.y + 55 });
      else
        Object.assign(flag, {
          x: place.x + column * (m.narrow ? -1 : 1) * (m.blockW + 6),
          y: place.y - 69 - row * FLAG_STEP,
        });
      flags.push(flag);
    });
  }
  return flags.slice(0, FLAGS_MAX);
}

/** What waits, in rows inside the next block, and what was refused lately, in a tray of its own below it. */
function placeChips(s, { box }) {
  const all = [...s.txs.values()];
  const waiting = all.filter((tx) => tx.place === 'pool');
  const gone = all.filter((tx) => tx.place === 'gone' && tx.time > s.time - GONE_MS);
  const dead = gone.slice(-Math.max(1, Math.min(3, Math.floor((box.height - 150) / 60))));
  const trayHeight = dead.length && dead.length * DEAD_STEP + 32;
  const tray = { ...box, y: box.y + box.height - trayHeight, height: trayHeight };
  const next = { ...box, height: box.height - (trayHeight && trayHeight + 12) };
  const rows = (around) => Math.max(1, Math.min(CHIPS_MAX - 3, Math.floor((next.height - around) / CHIP_STEP)));
  // Where not all fit, the last line says how many more there are.
  const fits = waiting.slice(0, waiting.length > rows(54) ? rows(78) : rows(54));
  const at = (start, step) => (tx, index) => ({ key: tx.txid, tx, x: box.x + 10, y: start + index * step });
  const chips = [...fits.map(at(box.y + 68, CHIP_STEP)), ...dead.map(at(tray.y + 46, DEAD_STEP))];
  return { chips, next, tray, count: waiting.length, more: waiting.length - fits.length };
}

/** The block that took a payment which does not wait any more, if it is on the stage. */
function flightOf(s, blocks, txid) {
  const { place, block } = s.txs.get(txid) ?? {};
  return place === 'block' && blocks.get(block ?? s.tip);
}

/** Everything that the stage shows; `pan` is how many heights the view was moved back. */
function layout(s, width, height, pan) {
  const m = measure(width, height);
  const top = (s.blocks.get(s.tip)?.height ?? 0) - pan;
  const on = standing(s);
  const list = placeBlocks(s, m, top, on);
  const blocks = new Map(list.map((place) => [place.key, place]));
  return { m, top, on, list, blocks, flags: placeFlags(m, blocks, top, on), ...placeChips(s, m) };
}
