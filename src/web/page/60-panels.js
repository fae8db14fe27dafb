// The panels around the stage: figures, the sentence of what just happened, pool, scoreboard, ring of peers, plots, news.
//
// Promises: each shows what the state says and asks for nothing; lists have an end; a panel is drawn again only when what
// it shows has changed.

const POOL_ROWS = 12;
const PEOPLE_ROWS = 12;
const RING_MAX = 14;
const PLOT_BLOCKS = 60;

/** An HTML element with text and children. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null) element.setAttribute(key, value);
  element.append(...children.map((child) => (typeof child === 'object' ? child : document.createTextNode(clean(child)))));
  return element;
}

/** Fills an element anew, if what it is made from has changed. */
function refill(element, signature, children) {
  const now = `${language} ${signature}`;
  if (element.made === now) return;
  element.made = now;
  element.replaceChildren(...children());
}

function link(kind, id, words) {
  return make('a', { href: `#/${kind}/${id}` }, words);
}

/** A dot in a person's colour, then the words. */
function person(state, account, words) {
  const dot = make('i', { class: 'dot' });
  dot.style.background = colourOf(state, account);
  return make('span', { class: 'person' }, dot, words ?? nameOf(state, account));
}

/** "alice pays bob 5" or "anna claims the name". */
function inWords(entry) {
  if (entry.kind === 'claim') return t('claims', short(entry.from ?? '?'));
  if (entry.kind === 'reward') return t('reward', short(entry.to ?? '?'), entry.amount);
  return t('pays', short(entry.from ?? '?'), short(entry.to ?? '?'), entry.amount);
}

function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120000) return `${(ms / 1000).toFixed(ms < 10000 ? 1 : 0)} s`;
  return ms < 7200000 ? `${Math.round(ms / 60000)} min` : `${Math.round(ms / 3600000)} h`;
}

function amount(number, unit) {
  const step = number >= 1e9 ? [1e9, 'G'] : number >= 1e6 ? [1e6, 'M'] : number >= 1e3 ? [1e3, 'k'] : [1, ''];
  return `${(number / step[0]).toFixed(step[0] === 1 ? 0 : 1)} ${step[1]}${unit}`;
}

function clock(ms) {
  return ms ? new Date(ms).toLocaleTimeString(language) : '–';
}

/** The newest blocks of the active chain, oldest first. */
function newest(state, count) {
  const found = [];
  for (const block of activeChain(state)) {
    if (found.length >= count) break;
    found.push(block);
  }
  return found.reverse();
}

/** Times between blocks; the one after genesis says nothing. */
function intervals(state) {
  const blocks = newest(state, PLOT_BLOCKS).filter((block) => block.height > 0);
  return blocks.slice(1).map((block, index) => Math.max(0, block.time - blocks[index].time));
}

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;

function drawFigures(state) {
  const { status } = state;
  const tip = state.blocks.get(state.tip);
  const times = intervals(state);
  say(byId('network'), status?.network ?? '');
  say(byId('me'), status ? nameOf(state, status.peer_id) : '');
  say(byId('f-height'), tip ? tip.height.toLocaleString(language) : '–');
  say(byId('f-peers'), state.peers.size);
  say(byId('f-waiting'), waitingCount(state));
  say(byId('f-rate'), status?.hash_rate ? amount(status.hash_rate, 'H/s') : '–');
  const bits = tip?.bits ?? status?.bits;
  say(byId('f-bits'), bits && status ? t('zerobits', (bits / status.halflife_ms).toFixed(1)) : '–');
  say(byId('f-pace'), times.length ? duration(mean(times.slice(-20))) : '–');
  document.title = tip ? `${tip.height} · lanchain` : 'lanchain';
}

function waitingCount(state) {
  let count = 0;
  for (const entry of state.transactions.values()) if (entry.place === 'pool') count += 1;
  return count < TRANSACTIONS_MAX * 0.9 ? count : Math.max(count, state.status?.pending ?? 0);
}

/** One thing that happened, as a sentence. */
function sentence(state, { key, values }) {
  const who = (id) => nameOf(state, id);
  switch (key) {
    case 'n_block': return t(key, values[0], who(values[1]), payments(values[2]));
    case 'n_stored': return t(key, values[0], who(values[1]));
    case 'n_reorg': return t(key, ...values) + (values[3] ? t('n_back', values[3]) : '') + (values[4] ? t('n_dead', values[4]) : '');
    case 'n_drop': return t(key, inWords(state.transactions.get(values[0]) ?? {}), values[1]);
    case 'n_join': return t(key, who(values[0]));
    case 'n_leave': return t(key, who(values[0]), values[1]);
    case 'n_tx': return t(key, short(values[0]), short(values[1]), values[2]);
    default: return t(key, ...values);
  }
}

/** The one sentence above the stage: the newest, but a reorganisation stays readable for a while. */
function drawCaption(state) {
  const element = byId('caption');
  const last = state.news.at(-1);
  const big = state.news.findLast((line) => line.tone === 'reorg' && line.time > state.time - 8000);
  const line = big ?? last;
  let words = line ? sentence(state, line) : state.tip ? t('n_quiet', state.blocks.get(state.tip)?.height ?? 0) : '';
  if (state.sync) words = t('n_sync', nameOf(state, state.sync.peer_id), state.sync.height, state.sync.target_height);
  say(element, words);
  element.className = state.sync ? 'sync' : line?.tone ?? '';
}

function drawNews(state) {
  const lines = state.news.slice(-NEWS_MAX).reverse();
  refill(byId('news-list'), `${lines[0]?.seq}`, () => lines.map((line) => make('li', { class: line.tone }, make('time', {}, clock(line.time)), ` ${clean(sentence(state, line))}`)));
}

function drawPool(state) {
  const rows = [];
  let count = 0;
  for (const entry of state.transactions.values()) {
    if (entry.place !== 'pool') continue;
    count += 1;
    if (rows.length < POOL_ROWS) rows.push(entry);
  }
  const gone = [...state.transactions.values()].filter((entry) => entry.place === 'gone').slice(-3);
  say(byId('pool-n'), count || '');
  refill(byId('pool-list'), [count, ...rows, '|', ...gone].map((entry) => entry.txid ?? entry).join(), () => [
    ...rows.map((entry) => make('li', {}, person(state, entry.from, ''), link('transaction', entry.txid, inWords(entry)))),
    ...(count > rows.length ? [make('li', { class: 'dim' }, t('more', count - rows.length))] : []),
    ...(count === 0 ? [make('li', { class: 'dim' }, t('empty'))] : []),
    ...gone.map((entry) => make('li', { class: 'bad' }, link('transaction', entry.txid, inWords(entry)), ` ✗ ${entry.message ?? entry.code}`)),
  ]);
}

/** People with what their names and key own together, and the blocks they mined. */
function scoreboard(state) {
  const people = new Map();
  const at = (account, owner) => {
    const id = owner ?? personOf(state, account);
    if (!people.has(id)) people.set(id, { id, accounts: [], coins: 0, blocks: 0 });
    return people.get(id);
  };
  const known = new Map([...(state.accounts?.accounts ?? []), ...(state.accounts?.own ?? [])].map((entry) => [entry.account, entry]));
  for (const entry of known.values()) {
    const row = at(entry.account, entry.owner);
    row.coins += entry.balance;
    row.accounts.push(entry.account);
  }
  for (const miner of state.stats?.miners ?? []) at(miner.account, miner.owner).blocks += miner.blocks;
  return [...people.values()].sort((a, b) => b.blocks - a.blocks || b.coins - a.coins);
}

function drawScore(state) {
  const rows = scoreboard(state).slice(0, PEOPLE_ROWS);
  const most = Math.max(1, ...rows.map((row) => row.blocks));
  const of = state.stats ? state.stats.to_height - state.stats.from_height + 1 : 0;
  refill(byId('score-rows'), JSON.stringify(rows) + state.names.size, () => rows.map((row) => {
    const names = row.accounts.filter((name) => name.length < 40);
    const words = names.length > 1 ? `${nameOf(state, row.id)} (${names.join(', ')})` : nameOf(state, row.id);
    const bar = make('meter', { min: 0, max: most, value: row.blocks, 'aria-hidden': true });
    return make('tr', {}, make('td', {}, make('a', { href: `#/account/${row.accounts[0] ?? row.id}` }, person(state, row.id, words))), make('td', { class: row.coins < 0 ? 'n bad' : 'n' }, row.coins), make('td', { class: 'n' }, row.blocks, bar));
  }));
  say(byId('score-more'), state.stats ? t('scorewhy', of, state.stats.accounts_total) : '');
}

function drawTold(state) {
  const peers = [...state.peers.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const shown = peers.slice(0, RING_MAX);
  const ring = byId('ring');
  refill(ring, shown.map((peer) => peer.id + nameOf(state, peer.id)).join(), () => {
    const nodes = shown.flatMap((peer, index) => {
      const turn = ((index + 0.5) / shown.length) * 2 * Math.PI - Math.PI / 2;
      const [x, y] = [Math.cos(turn) * 118, Math.sin(turn) * 78];
      const line = draw(null, 'line', { x1: 0, y1: 0, x2: x, y2: y, 'data-peer': peer.id });
      const dot = draw(null, 'circle', { cx: x, cy: y, r: 9 });
      dot.style.fill = colourOf(state, peer.id);
      const name = draw(null, 'text', { x, y: y + 22 });
      name.textContent = fit(nameOf(state, peer.id), 90, 12);
      return [line, dot, name];
    });
    const self = draw(null, 'circle', { r: 13, class: 'own' });
    self.style.fill = colourOf(state, state.status?.peer_id);
    return [...nodes, self];
  });
  // A pulse runs along the edge that brought a message, once for each.
  for (const line of ring.querySelectorAll('line')) {
    const peer = state.peers.get(line.dataset.peer);
    if (!peer?.pulse || line.pulsed === peer.pulse) continue;
    line.pulsed = peer.pulse;
    line.setAttribute('class', '');
    line.getBoundingClientRect();
    line.setAttribute('class', `pulse ${peer.pulseKind}`);
  }
  refill(byId('told-rows'), peers.map((peer) => [peer.id, nameOf(state, peer.id), peer.latency, peer.since, peer.version]).join(), () => peers.slice(0, 30).map((peer) => make('tr', {}, make('td', {}, person(state, peer.id)), make('td', { class: 'n' }, peer.latency === null ? '–' : `${peer.latency} ms`), make('td', {}, peer.version ?? '–'), make('td', { class: 'n' }, clock(peer.since)))));
  const known = new Set([...state.people, ...state.peers.keys()]);
  say(byId('seen'), known.size > 1 ? t('seen', state.peers.size, known.size - 1) : '');
}

/** A plot as one path: a step for each number. */
function plot(id, numbers, bars) {
  const path = byId(id).firstElementChild;
  const [low, high] = [bars ? 0 : Math.min(...numbers), Math.max(...numbers)];
  const x = (index) => ((index / PLOT_BLOCKS) * 300).toFixed(1);
  const y = (number) => (high === low ? (bars ? 57 : 30) : 56 - ((number - low) / (high - low)) * 52).toFixed(1);
  const line = numbers.map((number, index) => (bars ? `M${x(index + 0.5)} 58V${y(number)}` : `${index ? 'H' + x(index) : `M${x(0)} ${y(number)}`}V${y(number)}`));
  set(path, { d: line.join('') || 'M0 0' });
}

function drawPlots(state) {
  const times = intervals(state);
  plot('plot-time', times, true);
  say(byId('plot-time-text'), times.length ? t('timesat', duration(times.at(-1)), duration(mean(times))) : '–');
  const life = state.status?.halflife_ms ?? 1;
  const bits = (state.stats?.bits.slice(-PLOT_BLOCKS) ?? newest(state, PLOT_BLOCKS).map((block) => block.bits).filter(Boolean)).map((value) => value / life);
  plot('plot-bits', bits, false);
  say(byId('plot-bits-text'), bits.length ? t('bitsat', bits.at(-1).toFixed(1), amount(2 ** bits.at(-1), '')) : '–');
}

/** What stands in the way: nobody there, no block yet, no node. */
function drawNotices(state, up, replaying) {
  const tip = state.blocks.get(state.tip);
  byId('down').hidden = up || replaying;
  byId('first').hidden = replaying || !(tip?.height === 0 && mayAct());
  byId('alone').hidden = replaying || !(state.alone && state.doctor) || state.peers.size > 0;
  if (state.doctor) {
    say(byId('alone-why'), state.doctor.advice[0]);
    say(byId('alone-dial'), state.doctor.dial);
  }
}
