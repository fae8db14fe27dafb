// Tests of the page in a real browser, against real nodes, in a network namespace of their own.
//
//     npm ci && LANCHAIN_BIN=…/lanchain node run.mjs [WORD OF A TEST'S NAME]
//
// Promises: no traffic leaves the namespace; where the system gives none, or has no chromium, SKIPPED is said loudly;
// the last line is `N passed, N failed`, and the status is 1 if one failed.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const MARKER = 'LANCHAIN_PAGE_NAMESPACE';
const CHROMIUMS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

const chromium = CHROMIUMS.find((file) => file && existsSync(file));

function skip(why) {
  console.log(`SKIPPED: the tests of the page did NOT run: ${why}`);
  process.exit(0);
}

/** Runs this file again inside a namespace that has a loopback and nothing else. */
function enterNamespace() {
  if (spawnSync('unshare', ['-Urn', 'true']).status !== 0) skip('this system gives no network namespace (try: unshare -Urn true)');
  const script = 'ip link set lo up && exec "$0" "$@"';
  const { status } = spawnSync('unshare', ['-Urn', '--fork', '--kill-child', 'sh', '-c', script, process.execPath, ...process.argv.slice(1)], {
    stdio: 'inherit', env: { ...process.env, [MARKER]: '1' },
  });
  process.exit(status ?? 1);
}

if (!chromium) skip('there is no chromium (try: apt-get install chromium)');
const driver = await import('playwright-core').catch(() => skip('playwright-core is not installed (try: npm ci)'));
if (!process.env[MARKER]) enterNamespace();

const { cases } = await import('./cases.mjs');
const { stopAll } = await import('./nodes.mjs');

const browser = await driver.chromium.launch({ executablePath: chromium, args: ['--no-sandbox'] });
const wanted = cases.filter(([name]) => !process.argv[2] || name.includes(process.argv[2]));
let failed = 0;
for (const [name, body] of wanted) {
  const begun = Date.now();
  try {
    await body(browser);
    console.log(`ok      ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
await browser.close();
await stopAll();
console.log(`${wanted.length - failed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
