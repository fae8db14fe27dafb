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
  answer.textContent = clean(error ? `${error.message}\n${error.hint ? `hint: ${error.hint}` : ''}` : answerOf(reply));
  const [kind, key] = (!error && SHEETS[reply.command]) || [];
  if (kind) location.hash = `#/${kind}/${data[key]}`;
  need('status');
  readDue();
  return !error;
}

/** A reply in the node's own sentences, where there are some, else its values. */
function answerOf({ command, data, text }) {
  if (text) return text;
  const blocks =
    command === 'mine' && data.blocks
      ? data.blocks.map(({ height, nonce, hash }) => `  height ${height}   nonce ${nonce}\n  hash ${hash}`)
      : [];
  const sentences = [data.text, data.message, data.notice, ...blocks, ...(data.advice ?? [])].filter(Boolean);
  if (sentences.length) return sentences.join('\n');
  return `${command} ${JSON.stringify(data, null, 1)
    .replace(/[{}[\]",]/g, '')
    .replace(/\n\s*\n/g, '\n')}`;
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
  line.oninput = () =>
    say(
      $('hint'),
      USAGE.find((usage) => line.value && usage.startsWith(line.value.trim().split(' ')[0])),
    );
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
  $('locked').hidden = off || mayAct() || wire.readOnly;
  set($('mine-on'), { 'aria-pressed': mining });
  set($('net'), { 'aria-pressed': !net });
  say($('mine-on'), t(mining ? 'mineoff' : 'mineon'));
  say($('net'), t(net ? 'netoff' : 'neton'));
  const own = [
    'me',
    ...(s.accounts ?? [])
      .filter((entry) => entry.owner === me && entry.account.length < 40)
      .map((entry) => entry.account),
  ];
  refill($('own'), own, () => own.map((value) => h('option', { value })));
}
