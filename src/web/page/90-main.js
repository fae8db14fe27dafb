// The beginning: ties wire, state and views together, and draws at most once a frame.
//
// Promises: what a view throws is told in the console and stops no other view; `data-last` of the body is the last event
// that is drawn, `data-lag` how many milliseconds that took since the node told it.

/** The newest lags, of which `data-lag95` is the 95th percentile. */
const LAGS_MAX = 200;

const frame = { asked: false, lags: [], drawn: 0 };

/** Asks for a picture; many askings before the next frame make one. */
function ask() {
  if (frame.asked) return;
  frame.asked = true;
  requestAnimationFrame(drawAll);
}

function drawAll() {
  frame.asked = false;
  const state = shown();
  const replaying = replay.state !== null;
  const views = [drawFigures, drawCaption, drawStage, drawPool, drawScore, drawTold, drawPlots, drawNews, drawNotices, drawControls];
  for (const view of views) {
    try {
      view(state, view === drawControls ? replaying : wire.up, replaying);
    } catch (error) {
      console.error(error);
    }
  }
  document.body.classList.toggle('off', !wire.up && !replaying);
  byId('now').hidden = stage.pan === 0;
  markDrawn(state);
  if (!replaying) readWanted();
  if (wire.live.alone && !wire.live.doctor) readDoctor();
}

/** Leaves behind, for tests and for whoever is curious, what was drawn and how fast. */
function markDrawn(state) {
  const { dataset } = document.body;
  dataset.last = `${state.run}-${state.seq}`;
  dataset.height = state.blocks.get(state.tip)?.height ?? '';
  dataset.tip = state.tip;
  dataset.up = wire.up;
  dataset.requests = wire.requests;
  if (state !== wire.live || state.seq === frame.drawn || !state.time) return;
  frame.drawn = state.seq;
  frame.lags.push(Date.now() - state.time);
  if (frame.lags.length > LAGS_MAX) frame.lags.shift();
  dataset.lag = frame.lags.at(-1);
  dataset.lag95 = [...frame.lags].sort((a, b) => a - b)[Math.floor(frame.lags.length * 0.95)];
}

/** Why nobody is seen, in the node's words; asked once for each time alone. */
async function readDoctor() {
  wire.live.doctor = { advice: [''], dial: '' };
  const answer = await read('doctor');
  wire.live.doctor = answer && !answer.error ? answer : null;
  ask();
}

function start() {
  const show = new URLSearchParams(location.search).has('show');
  document.body.classList.toggle('show', show);
  wire.onChange = ask;
  translatePage();
  startStage();
  startControls();
  startReplayControls();
  byId('language').onclick = () => {
    language = language === 'zh' ? 'en' : 'zh';
    localStorage.setItem('language', language);
    for (const part of stage.blocks.values()) part.signature = '';
    translatePage();
    openSheet();
    ask();
  };
  addEventListener('hashchange', openSheet);
  addEventListener('resize', ask);
  addEventListener('pagehide', rest);
  addEventListener('pageshow', follow);
  document.addEventListener('visibilitychange', follow);
  addEventListener('keydown', (event) => {
    if (event.key === 'Escape' && !byId('sheet').hidden) location.hash = '#/';
  });
  setInterval(() => {
    readDue();
    ask();
  }, 500);
  setInterval(() => {
    if (wire.up && !document.hidden && !inStorm()) need(...(wire.live.status?.mining ? ['status'] : []), 'peers');
  }, 5000);
  follow();
  openSheet();
  ask();
}

start();
