// What can be done from here: buttons, and one command line with the prompt's words.
//
// Promises: a command goes to the node as it would be typed at its prompt, and its answer is shown in the node's words;
// without a token, and on a page that may only read, there are no controls.

/** The commands that the node takes from a page, as its help writes them. */
const USAGE =
  `tx FROM TO AMOUNT|claim NAME|mine [N], mine on, mine off|net on, net off|balance [ACCOUNT]|history [ACCOUNT] [N]
block HEIGHT or HASH|transaction TXID|chain [N]|pending|accounts|peers|tree [N]|stats [N]|status|whoami|doctor
explain block HEIGHT, explain transaction TXID|tamper HEIGHT|dial ADDRESS|drop PEER|resolve
wait peers N, wait height N, wait synced, wait confirmed TXID|help [COMMAND]`.split(/[|\n]/);

/** Commands whose answer has a sheet of its own. */
const SHEETS = { block: ['block', 'hash'], transaction: ['transaction', 'txid'], balance: ['account', 'account'] };

/** Gives a command and shows what the node answers. */
async function run(command) {
  const answer = $('answer');
  answer.textContent = `${command} …`;
  const reply = await request('/api/command', command);
  const { error, data } = reply;
  answer.className = error ? 'bad' : '';
  // A reply that came block by block has no words of the prompt.
  const words = error ? `${error.message}\n${error.hint && `hint: ${error.hint}`}` : reply.text;
  answer.textContent = clean(words ?? data.text ?? data.message ?? JSON.stringify(data, null, 1));
  const [kind, key] = (!error && SHEETS[reply.command]) || [];
  if (kind) location.hash = `#/${kind}/${data[key]}`;
  need('status');
  readDue();
  return !error;
}

function onSubmit(id, words) {
  const form = $(id);
  form.onsubmit = async (event) => {
    event.preventDefault();
    if (await run(words(Object.fromEntries(new FormData(form))))) form.reset();
  };
}

function startControls() {
  const line = $('line').elements.command;
  $('words').replaceChildren(...USAGE.map((usage) => h('option', { value: usage.split(' ')[0] })));
  const usageOf = (word) => word && USAGE.find((usage) => usage.startsWith(word));
  line.oninput = () => say($('hint'), usageOf(line.value.trim().split(' ')[0]));
  for (const button of document.querySelectorAll('[data-do]')) button.onclick = () => run('mine');
  $('mine-on').onclick = () => run(`mine ${wire.live.status?.mining ? 'off' : 'on'}`);
  $('net').onclick = () => run(`net ${wire.live.status?.net ? 'off' : 'on'}`);
  onSubmit('pay', ({ from, to, amount }) => `tx ${from} ${to} ${amount}`);
  onSubmit('claim', ({ name }) => `claim ${name}`);
  onSubmit('line', ({ command }) => command);
}

function drawControls(s, replaying) {
  const off = replaying || document.body.classList.contains('show');
  const { mining = false, net = true, peer_id: me } = s.status ?? {};
  $('do').hidden = off || !mayAct();
  $('locked').hidden = off || mayAct();
  say($('locked-why'), t(wire.readOnly ? 'readonly' : 'locked'));
  set($('mine-on'), { 'aria-pressed': mining });
  set($('net'), { 'aria-pressed': !net });
  say($('mine-on'), t(mining ? 'mineoff' : 'mineon'));
  say($('net'), t(net ? 'netoff' : 'neton'));
  const own = ['me', ...(s.accounts ?? []).filter(({ owner }) => owner === me).map(({ account }) => account)];
  refill($('own'), own, () => own.map((value) => h('option', { value })));
}
