// The panels around the stage: figures, the sentence of what just happened, scoreboard, ring of peers, plots, news.
//
// Promises: each shows what the state says and asks for nothing; lists have an end; a list is made again only when what
// it shows has changed.

const PEOPLE_ROWS = 12;
const PEER_ROWS = 30;
const RING_MAX = 14;
const PLOT_BLOCKS = 60;
const PULSE_MS = 1200;

function row(...cells) {
  return h(
    'tr',
    cells.map((cell) => (cell instanceof Node && cell.tagName === 'TD' ? cell : h('td', cell))),
  );
}

function link(kind, id, ...words) {
  return h('a', { href: `#/${kind}/${id}` }, ...words);
}

/** A dot in a person's colour, then the words. */
function person(s, account, words = accountName(s, account)) {
  const dot = h('i.dot');
  dot.style.background = colourOf(s, account);
  return h('span', dot, words);
}

/** What somebody has, as the prompt writes it: who went below zero owes. */
function money(coins) {
  return coins < 0 ? t('owes', -coins) : coins;
}

/** A name as it is; of a key what its owner is called. */
function accountName(s, account) {
  return account?.length > 40 ? nameOf(s, account) : (account ?? '?');
}

/** A sentence of the node, with names in place of keys. */
function withNames(s, text) {
  return text.replace(/12D3KooW\w{44}/g, (id) => nameOf(s, id));
}

/** "alice pays bob 5" or "anna claims the name". */
function inWords(s, { kind, from, to, amount }) {
  if (kind === 'claim') return t('claims', from);
  if (kind === 'reward') return t('reward', accountName(s, to), amount);
  return t('pays', accountName(s, from), accountName(s, to), amount);
}

/** Times between blocks; the one after genesis says nothing. */
function intervals(s) {
  const blocks = newest(s, PLOT_BLOCKS + 1).filter((block) => block.height > 0);
  return blocks.slice(1).map((block, index) => Math.max(0, block.time - blocks[index].time));
}

function drawFigures(s) {
  const { status } = s;
  const tip = s.blocks.get(s.tip);
  const times = intervals(s)
    .slice(-20)
    .sort((a, b) => a - b);
  const bits = tip?.bits ?? status?.bits;
  const waiting = [...s.txs.values()].filter((tx) => tx.place === 'pool').length;
  say($('network'), status?.network);
  say($('me'), status && nameOf(s, status.peer_id));
  say($('f-height'), tip ? tip.height : '–');
  say($('f-peers'), s.peers.size);
  say($('f-waiting'), waiting < TXS_MAX * 0.9 ? waiting : Math.max(waiting, status?.pending ?? 0));
  say($('f-rate'), status?.hash_rate ? grouped(status.hash_rate) : '–');
  const zeros = bits && status ? bits / status.halflife_ms : 0;
  say($('l-bits'), t('difficulty', zeros.toFixed(1)));
  say($('f-bits'), zeros ? t('onein', grouped(2 ** zeros)) : '–');
  say($('f-pace'), times.length ? duration(times[times.length >> 1]) : '–');
  document.title = tip ? `${tip.height} · lanchain` : 'lanchain';
}

/** One thing that happened, as a sentence. */
function sentence(s, { key, values: [a, b, c, d, e, f] }) {
  if (key === 'n_block') return t(key, nameOf(s, a), b, payments(c));
  if (key === 'n_side') return t(key, nameOf(s, a), b);
  if (key === 'n_reorg') return t(key, nameOf(s, a), b, c, d) + (e ? t('n_back', e) : '') + (f ? t('n_dead', f) : '');
  if (key === 'n_tx' || key === 'n_drop') return t(key, inWords(s, s.txs.get(a) ?? {}), withNames(s, b ?? ''));
  if (key === 'n_join' || key === 'n_leave') return t(key, nameOf(s, a), b);
  return withNames(s, t(key, a, b, c));
}

/** The one sentence above the stage: the newest, but a reorganisation stays readable for a while. */
function drawCaption(s) {
  const line = s.news.findLast((other) => other.tone === 'reorg' && other.time > s.time - 8000) ?? s.news.at(-1);
  const { peer_id: from, height, target_height: target } = s.sync ?? {};
  const words = line ? sentence(s, line) : t('n_quiet');
  say($('caption'), from ? t('n_sync', nameOf(s, from), height, target) : words);
  set($('caption'), { class: line?.tone });
}

function drawNews(s) {
  refill($('news-list'), s.news.at(-1)?.seq, () =>
    s.news.toReversed().map((line) => h(`li.${line.tone}`, h('time', clock(line.time)), ` ${sentence(s, line)}`)),
  );
}

/** People with what their names and key own together, and the blocks they mined. */
function scoreboard(s) {
  const people = new Map();
  const at = (account, owner) => {
    const id = owner ?? personOf(s, account);
    if (!people.has(id)) people.set(id, { id, names: [], coins: 0, blocks: 0 });
    return people.get(id);
  };
  for (const { account, balance, owner } of s.accounts ?? []) {
    at(account, owner).coins += balance;
    at(account, owner).names.push(account);
  }
  // A recorded log has no statistics: its blocks are counted here.
  const miners =
    s.stats?.miners ??
    newest(s, BLOCKS_MAX)
      .filter((block) => block.miner)
      .map((block) => ({ account: block.miner, blocks: 1 }));
  for (const { account, owner, blocks } of miners) at(account, owner).blocks += blocks;
  return [...people.values()].sort((a, b) => b.blocks - a.blocks || b.coins - a.coins).slice(0, PEOPLE_ROWS);
}

function drawScore(s) {
  const people = scoreboard(s);
  const most = Math.max(1, ...people.map((one) => one.blocks));
  refill($('score-rows'), [JSON.stringify(people), s.names.size], () =>
    people.map(({ id, names, coins, blocks }) => {
      const others = names.filter((name) => name.length < 40);
      const more = h('span', others.length > 1 ? ` (${others.join(', ')})` : '');
      return row(
        h('td', link('account', names[0] ?? id, person(s, id, nameOf(s, id)), more)),
        h(coins < 0 ? 'td.n.bad' : 'td.n', { 'data-label': coins < 0 ? '' : t('coins') }, s.accounts ? money(coins) : '–'),
        h('td.n', { 'data-label': t('blocks') }, blocks, h('meter', { max: most, value: blocks, 'aria-hidden': true })),
      );
    }),
  );
  say(
    $('score-more'),
    s.stats ? t('scorewhy', s.stats.to_height - s.stats.from_height + 1, s.stats.accounts_total) : '',
  );
}

function drawTold(s) {
  const peers = [...s.peers.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
  const names = peers.map((peer) => nameOf(s, peer.id));
  const ring = peers.slice(0, RING_MAX);
  const filled = (circle, id) => {
    circle.style.fill = colourOf(s, id);
    return circle;
  };
  refill($('ring'), [names, s.status?.peer_id], () => [
    ...ring.flatMap((peer, index) => {
      const turn = ((index + 0.5) / ring.length) * 2 * Math.PI;
      const [x, y] = [Math.sin(turn) * 118, Math.cos(turn) * -70];
      return [
        h('line', { x2: x, y2: y, 'data-peer': peer.id }),
        filled(h('circle', { cx: x, cy: y, r: 9 }), peer.id),
        h('text', { x, y: y + 22 }, fit(names[index], 90, 12)),
      ];
    }),
    filled(h('circle.own', { r: 13 }), s.status?.peer_id),
  ]);
  // A pulse runs along the edge that brought a message, once for each.
  for (const line of $('ring').querySelectorAll('line')) {
    const { seq, kind } = s.peers.get(line.dataset.peer)?.pulse ?? {};
    if (line.seq === seq) continue;
    line.seq = seq;
    if (seq && !CALM_EYES.matches)
      line.animate([{ stroke: `var(--${kind === 'bad' ? 'bad' : 'coin'})`, strokeWidth: 7 }, {}], PULSE_MS);
  }
  refill(
    $('told-rows'),
    peers.map((peer, index) => [names[index], peer.latency_ms, peer.version, clock(peer.since)]),
    () =>
      peers
        .slice(0, PEER_ROWS)
        .map((peer) =>
          row(
            link('account', accountOf(s, peer.id), person(s, peer.id)),
            h('td.n', peer.latency_ms === null ? '–' : `${peer.latency_ms} ms`),
            h('td.n', clean((peer.version ?? '–').replace('lanchain/', ''))),
            h('td.n', clock(peer.since)),
          ),
        ),
  );
  const all = new Set([...s.people, ...s.peers.keys()]).size - 1;
  say($('seen'), all > 0 ? t('seen', s.peers.size, all) : '');
}

/** A plot as one path, a bar for each number. */
function plot(id, numbers, words) {
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const base = id === 'plot-time' ? 0 : low - 1;
  const bars = numbers.map(
    (number, index) => `M${index * 5 + 2.5} 60V${(58 - (54 * (number - base)) / (high - base || 1)).toFixed(1)}`,
  );
  set($(id).firstElementChild, { d: bars.join('') || 'M0 0' });
  say($(`${id}-text`), numbers.length ? words() : '–');
}

function drawPlots(s) {
  const times = intervals(s);
  const life = s.status?.halflife_ms ?? 1;
  const bits = newest(s, PLOT_BLOCKS)
    .map((block) => (block.bits ?? s.status?.bits) / life)
    .filter(Boolean);
  plot('plot-time', times, () =>
    t('timesat', duration(times.at(-1)), duration(times.reduce((a, b) => a + b) / times.length)),
  );
  const [work, rate] = [2 ** bits.at(-1), s.status?.hash_rate];
  plot('plot-bits', bits, () =>
    t('bitsat', bits.at(-1).toFixed(1), grouped(work), rate ? t('here', duration((work / rate) * 1000)) : ''),
  );
}

/** What stands in the way: nobody there, no block yet, no node. */
function drawNotices(s, replaying) {
  const { doctor } = wire;
  $('down').hidden = wire.up || replaying;
  $('first').hidden = replaying || !wire.up || s.blocks.get(s.tip)?.height !== 0;
  $('first').lastElementChild.hidden = !mayAct();
  $('alone').hidden = replaying || !wire.up || !s.alone || !doctor?.advice || s.peers.size > 0;
  say($('alone-why'), doctor?.advice?.filter((line) => !line.includes(doctor.dial)).join(' · '));
  say($('alone-dial'), doctor?.dial);
  $('now').hidden = stage.pan === 0;
  document.body.classList.toggle('off', !wire.up && !replaying);
}
