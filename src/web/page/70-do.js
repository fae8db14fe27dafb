// What can be done from here: buttons, and one command line with the prompt's words.
//
// Promises: a command goes to the node as it would be typed at its prompt, and its answer is shown in the node's words;
// without a token, and on a page that may only read, there are no controls.

/** The commands that the node takes from a page, each as it is typed. */
const USAGE = {
  tx: 'tx FROM TO AMOUNT', claim: 'claim NAME', mine: 'mine [N] | on | off', net: 'net on | off', balance: 'balance [ACCOUNT]',
  history: 'history [ACCOUNT] [N]', block: 'block HEIGHT | HASH | latest', transaction: 'transaction TXID', chain: 'chain [N]',
  pending: 'pending', accounts: 'accounts', peers: 'peers', tree: 'tree [N]', stats: 'stats [N]', status: 'status',
  explain: 'explain block HEIGHT | transaction TXID', tamper: 'tamper HEIGHT', doctor: 'doctor', dial: 'dial ADDRESS',
  drop: 'drop PEER', resolve: 'resolve', wait: 'wait peers N | height N | synced | confirmed TXID', whoami: 'whoami', help: 'help [COMMAND]',
};

/** Commands whose answer has a view of its own. */
const VIEWS = {
  block: (data) => `#/block/${data.hash}`,
  transaction: (data) => `#/transaction/${data.txid}`,
  balance: (data) => `#/account/${data.account}`,
};

const typed = [];
let typedAt = 0;

/** Gives a command and shows what the node answers. */
async function run(command) {
  const answer = byId('answer');
  answer.className = '';
  answer.textContent = t('working', command);
  const reply = await give(command);
  const error = reply ? reply.error : { message: t('down'), hint: '' };
  answer.className = error ? 'bad' : '';
  answer.textContent = clean2(error ? [error.message, error.hint && `hint: ${error.hint}`].filter(Boolean).join('\n') : answerOf(reply));
  if (!error && VIEWS[reply.command] && reply.data) location.hash = VIEWS[reply.command](reply.data);
  need('status');
  wire.readAt.status = -1e9;
  readNow().then(wire.onChange);
  return !error;
}

/** As `clean`, but lines stay lines. */
function clean2(text) {
  return text.split('\n').slice(0, 200).map(clean).join('\n');
}

/** A reply in words: the node's own sentence where there is one, else its values line by line. */
function answerOf({ command, data = {} }) {
  if (data.text) return data.text;
  if (command === 'mine' && data.blocks) return [data.message, ...data.blocks.slice(-5).map((block) => `  height ${block.height}   nonce ${block.nonce}\n  hash ${block.hash}`)].join('\n');
  if (command === 'net') return `net ${data.net ? 'on' : 'off'}`;
  if (command === 'mine') return `mine ${data.mining ? 'on' : 'off'}`;
  const sentences = [data.message, data.notice, ...(data.advice ?? [])].filter(Boolean);
  return sentences.length ? sentences.join('\n') : values(data, 0);
}

function values(data, depth) {
  return Object.entries(data).slice(0, 60).map(([key, value]) => {
    const head = `${'  '.repeat(depth)}${key}`;
    if (value === null || typeof value !== 'object') return `${head}: ${value ?? '–'}`;
    return Object.keys(value).length === 0 ? `${head}: –` : depth > 1 ? `${head}: …` : `${head}\n${values(value, depth + 1)}`;
  }).join('\n');
}

function startControls() {
  byId('words').replaceChildren(...Object.keys(USAGE).map((word) => make('option', { value: word })));
  for (const button of document.querySelectorAll('[data-do]')) button.onclick = () => run(button.dataset.do);
  byId('mine-on').onclick = () => run(wire.live.status?.mining ? 'mine off' : 'mine on');
  byId('net').onclick = () => run(wire.live.status?.net === false ? 'net on' : 'net off');
  onSubmit('pay', ({ from, to, amount: coins }) => `tx ${from} ${to} ${coins}`);
  onSubmit('claim', ({ name }) => `claim ${name}`);
  onSubmit('line', ({ command }) => {
    typed.push(command);
    typedAt = typed.length;
    if (typed.length > 100) typed.shift();
    return command;
  });
  const line = byId('line').elements.command;
  line.oninput = () => say(byId('hint'), USAGE[line.value.trim().split(/\s+/)[0]] ?? '');
  line.onkeydown = (event) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!by || typed.length === 0) return;
    event.preventDefault();
    typedAt = Math.max(0, Math.min(typed.length, typedAt + by));
    line.value = typed[typedAt] ?? '';
  };
}

function onSubmit(id, words) {
  const form = byId(id);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const fields = Object.fromEntries([...new FormData(form)].map(([key, value]) => [key, value.trim().toLowerCase && value.trim()]));
    if (await run(words(fields))) form.reset();
  };
}

function drawControls(state, replaying) {
  const act = mayAct() && !replaying && !document.body.classList.contains('show');
  byId('do').hidden = !act;
  byId('locked').hidden = act || replaying || wire.readOnly || document.body.classList.contains('show');
  const { mining, net } = wire.live.status ?? {};
  set(byId('mine-on'), { 'aria-pressed': !!mining });
  set(byId('net'), { 'aria-pressed': net !== false });
  say(byId('net'), t(net === false ? 'netoff' : 'neton'));
  const own = state.accounts?.own.map((entry) => entry.account).filter((name) => name.length < 40) ?? [];
  const names = [...state.owners.keys()].slice(-50);
  refill(byId('own'), own.join(), () => ['me', ...own].map((value) => make('option', { value })));
  refill(byId('names'), names.join(), () => names.map((value) => make('option', { value })));
}
