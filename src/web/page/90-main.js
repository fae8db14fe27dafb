// The beginning: ties wire, state and views together, and draws at most once a frame.
//
// Promises: what a view throws is told in the console and stops no other view; `data-last` of the body is the last event
// that is drawn, `data-lag` how many milliseconds that took since the node told it.

/** The newest lags, of which `data-lag95` is the 95th percentile. */
const LAGS_MAX = 200;
const TICK_MS = 500;
/** How often what no event tells is read: hash rate and latencies. */
const POLL_MS = 5e3;
/** A screen reader is told the newest sentence no more often than this. */
const SPEAK_MS = 5e3;

const frame = { asked: false, lags: [], drawn: 0 };

/** Asks for a picture; many askings before the next frame make one. */
function ask() {
  if (!frame.asked) requestAnimationFrame(drawAll);
  frame.asked = true;
}

function drawAll() {
  frame.asked = false;
  const state = shown();
  const replaying = state !== wire.live;
  for (const view of [drawFigures, drawCaption, drawStage]) guarded(view, state);
  // In a storm of blocks nobody reads lists; the tick draws them when it is over.
  if (replaying || !inStorm()) for (const view of [drawScore, drawTold, drawPlots, drawNews]) guarded(view, state);
  for (const view of [drawNotices, drawControls]) guarded(view, wire.live.seq ? state : wire.live, replaying);
  markDrawn(state, replaying);
  if (!replaying) readWanted();
  if (!state.alone) wire.doctor = null;
  else if (!wire.doctor && !wire.readOnly) readDoctor();
}

function guarded(view, ...values) {
  try {
    view(...values);
  } catch (error) {
    console.error(error);
  }
}

/** Leaves behind, for tests and for whoever is curious, what was drawn and how fast. */
function markDrawn(state, replaying) {
  const { dataset } = document.body;
  const { run, seq, tip, time, blocks } = state;
  Object.assign(dataset, {
    last: `${run}-${seq}`,
    tip,
    height: blocks.get(tip)?.height ?? '',
    up: wire.up,
    requests: wire.requests,
  });
  if (blocks.size) dataset.ready ??= Math.round(performance.now());
  if (replaying || seq === frame.drawn || !time) return;
  const { lags } = frame;
  frame.drawn = seq;
  lags.push(Date.now() - time);
  if (lags.length > LAGS_MAX) lags.shift();
  dataset.lag = lags.at(-1);
  dataset.lag95 = lags.toSorted((a, b) => a - b)[Math.floor(lags.length * 0.95)];
}

/** Why nobody is seen, in the node's words. */
async function readDoctor() {
  wire.doctor = {};
  wire.doctor = await read('doctor');
  ask();
}

function start() {
  document.body.classList.toggle('show', new URLSearchParams(location.search).has('show'));
  translatePage();
  startStage();
  startControls();
  startReplayControls();
  $('language').onclick = () => {
    language = language === 'zh' ? 'en' : 'zh';
    remembered('localStorage', 'language', language);
    translatePage();
    openSheet();
  };
  addEventListener('hashchange', openSheet);
  addEventListener('resize', ask);
  addEventListener('pagehide', rest);
  addEventListener('pageshow', follow);
  document.addEventListener('visibilitychange', follow);
  addEventListener('keydown', ({ key }) => {
    if (key === 'Escape') location.hash = '#/';
  });
  setInterval(() => readDue() && ask(), TICK_MS);
  setInterval(() => say($('spoken'), $('caption').textContent), SPEAK_MS);
  setInterval(() => wire.up && !inStorm() && need('status', 'peers'), POLL_MS);
  follow();
  openSheet();
}

start();
