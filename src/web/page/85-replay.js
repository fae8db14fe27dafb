// The lesson again: a slider over the node's own ring of events, or over a log that `--json` wrote.
//
// Promises: the same reducer and the same stage as live; nothing is asked of the node while it runs, and nothing done.

/** What is taken of a log: a lesson of some hours. */
const LOG_EVENTS_MAX = 200e3;
const RING_MS = 5e3;
const PLAY_MS = 400;

const replay = { events: [], at: 0, state: null, timer: 0 };

/** What is shown now: the replay's state, or the live one. */
function shown() {
  return replay.state ?? wire.live;
}

/** Asks for the node's whole ring, by a stream of its own that ends at once. */
function readRing() {
  return new Promise((done) => {
    const events = [];
    const source = new EventSource('/events?ring');
    const end = () => {
      source.close();
      done(events);
    };
    source.onmessage = ({ data }) => {
      events.push(JSON.parse(data));
      if (events.at(-1).seq >= wire.live.seq) end();
    };
    source.onerror = end;
    setTimeout(end, RING_MS);
  });
}

/** The events of a log's lines; what is no event, or broken off, is left out. */
function parseLog(text) {
  return text
    .split('\n')
    .slice(0, LOG_EVENTS_MAX)
    .flatMap((line) => {
      try {
        const object = JSON.parse(line);
        return object.type === 'event' ? [object] : [];
      } catch {
        return [];
      }
    });
}

function startReplay(events) {
  if (!events.length) return;
  Object.assign(replay, { events, state: null });
  set($('replay-at'), { max: events.length });
  showReplay(true);
  showAt(events.length);
}

function showReplay(on) {
  $('replay').hidden = !on;
  document.body.classList.toggle('replaying', on);
  stage.pan = 0;
}

/** Computes the state after so many events: onwards from here, or from the beginning. */
function showAt(count) {
  const { events } = replay;
  if (!replay.state || count < replay.at) {
    // A ring begins in the middle: what it does not tell is taken from what is known now.
    const begun = events[0].event === 'started';
    Object.assign(replay, { state: { ...newState(), status: begun ? null : wire.live.status }, at: 0 });
    stage.reorg = 0;
  }
  for (; replay.at < count; replay.at += 1) reduce(replay.state, events[replay.at]);
  replay.state.wanted = [];
  $('replay-at').value = count;
  say($('replay-text'), t('replayat', count, events.length, clock(replay.state.time)));
  ask();
}

function pause() {
  clearInterval(replay.timer);
  replay.timer = 0;
  say($('replay-play'), t('play'));
}

function play() {
  const { events } = replay;
  if (replay.at >= events.length) showAt(0);
  say($('replay-play'), t('pause'));
  replay.timer = setInterval(() => {
    // What happened in one turn of the node is shown as one step.
    let next = replay.at + 1;
    while (next < events.length && events[next].time_ms - events[next - 1].time_ms < 5) next += 1;
    showAt(Math.min(next, events.length));
    if (replay.at >= events.length) pause();
  }, PLAY_MS);
}

function startReplayControls() {
  $('replay-open').onclick = async () => startReplay(await readRing());
  $('replay-play').onclick = () => (replay.timer ? pause() : play());
  $('replay-close').onclick = () => {
    pause();
    replay.state = null;
    showReplay(false);
    ask();
  };
  $('replay-at').oninput = ({ target }) => {
    pause();
    showAt(Number(target.value));
  };
  $('replay-file').onchange = async ({ target }) => startReplay(parseLog(await target.files[0].text()));
  $('replay').onsubmit = (event) => event.preventDefault();
}
