// The lesson again: a slider over the node's own ring of events, or over a log that `--json` wrote.
//
// Promises: the same reducer and the same stage as live; nothing is asked of the node while it runs, and nothing done.

/** What a log may have at most: a lesson of some hours. */
const LOG_EVENTS_MAX = 200000;
const PLAY_MS = 400;

const replay = { events: null, at: 0, state: null, timer: 0 };

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
    let last = Infinity;
    source.addEventListener('hello', ({ data }) => { last = JSON.parse(data).seq; });
    source.onmessage = ({ data }) => {
      const event = JSON.parse(data);
      events.push(event);
      if (event.seq >= last) end();
    };
    source.onerror = end;
    setTimeout(end, 5000);
  });
}

/** The events of a log's lines; what is no event is left out. */
function parseLog(text) {
  const events = [];
  for (const line of text.split('\n')) {
    try {
      const object = JSON.parse(line);
      if (object.type === 'event' && events.push(object) >= LOG_EVENTS_MAX) break;
    } catch {
      // Blank, or broken off: the rest is still a lesson.
    }
  }
  return events;
}

function startReplay(events) {
  if (events.length === 0) return;
  // A ring begins in the middle: what it does not tell is taken from what is known now.
  const { status } = wire.live;
  const first = events.find((event) => event.event === 'started');
  Object.assign(replay, { events, base: first ? null : status, at: 0 });
  byId('replay').hidden = false;
  byId('replay-at').max = events.length;
  document.body.classList.add('replaying');
  showAt(events.length);
  byId('replay-at').focus();
}

/** Computes the state after so many events: onwards from here, or from the beginning. */
function showAt(count) {
  const { events } = replay;
  if (!replay.state || count < replay.at) {
    replay.state = newState();
    if (replay.base) replay.state.status = { ...replay.base };
    replay.at = 0;
  }
  for (; replay.at < count; replay.at += 1) reduce(replay.state, events[replay.at]);
  byId('replay-at').value = count;
  say(byId('replay-text'), t('replayat', count, events.length, clock(replay.state.time)));
  wire.onChange();
}

function stopPlaying() {
  clearInterval(replay.timer);
  replay.timer = 0;
  byId('replay-play').textContent = t('play');
}

function play() {
  if (replay.timer) return stopPlaying();
  if (replay.at >= replay.events.length) showAt(0);
  byId('replay-play').textContent = t('pause');
  replay.timer = setInterval(() => {
    // What happened in one turn of the node is shown as one step.
    let next = replay.at + 1;
    const { events } = replay;
    while (next < events.length && events[next].time_ms - events[next - 1].time_ms < 5) next += 1;
    showAt(Math.min(next, events.length));
    if (replay.at >= events.length) stopPlaying();
  }, PLAY_MS);
  return undefined;
}

function endReplay() {
  stopPlaying();
  Object.assign(replay, { events: null, state: null, at: 0 });
  byId('replay').hidden = true;
  document.body.classList.remove('replaying');
  stage.pan = 0;
  wire.onChange();
}

async function openLog(file) {
  if (file) startReplay(parseLog(await file.text()));
}

function startReplayControls() {
  byId('replay-open').onclick = async () => startReplay(await readRing());
  byId('replay-close').onclick = endReplay;
  byId('replay-play').onclick = play;
  byId('replay-at').oninput = ({ target }) => {
    stopPlaying();
    showAt(Number(target.value));
  };
  byId('replay-file').onchange = ({ target }) => openLog(target.files[0]);
  byId('replay').onsubmit = (event) => event.preventDefault();
  addEventListener('dragover', (event) => event.preventDefault());
  addEventListener('drop', (event) => {
    event.preventDefault();
    openLog(event.dataTransfer.files[0]);
  });
}
