// Tests of the page: its pure parts, then the whole of it in a real browser, against real nodes, in a network namespace.
//
//     npm ci && LANCHAIN_BIN=…/lanchain node run.mjs [WORD OF A TEST'S NAME]
//
// With `LANCHAIN_PAGE_FILES=../../src/web/page` the page is what this folder holds, not what the program does: for trying a
// change without a build.
//
// Promises: no traffic leaves the namespace; where the system gives none, or has no chromium, SKIPPED is said loudly;
// the last line is `N passed, N failed`, and the status is 1 if one failed.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const MARKER = 'LANCHAIN_PAGE_NAMESPACE';
const CHROMIUMS = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const NODE_MIN = 20;

const chromium = CHROMIUMS.find((file) => file && existsSync(file));
let passed = 0;
let failed = 0;

/** Runs the cases whose names have the wanted word. */
async function runAll(cases, ...values) {
  for (const [name, body] of cases.filter(([one]) => one.includes(process.argv[2] ?? ''))) {
    const begun = Date.now();
    try {
      await body(...values);
      passed += 1;
      console.log(`ok      ${name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n${error.stack}`);
    }
  }
}

function end() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed ? 1 : 0);
}

function skip(why) {
  console.log(`SKIPPED: the tests of the page in a browser did NOT run: ${why}`);
  end();
}

/** Runs this file again inside a namespace that has a loopback and nothing else. */
function enterNamespace() {
  if (spawnSync('unshare', ['-Urn', 'true']).status !== 0) return;
  const script = 'ip link set lo up && ip address add 10.77.0.1/24 dev lo && exec "$0" "$@"';
  const { status } = spawnSync(
    'unshare',
    ['-Urn', '--fork', '--kill-child', 'sh', '-c', script, process.execPath, ...process.argv.slice(1)],
    {
      stdio: 'inherit',
      env: { ...process.env, [MARKER]: '1' },
    },
  );
  process.exit(status ?? 1);
}

if (Number(process.versions.node.split('.')[0]) < NODE_MIN)
  skip(`node ${process.versions.node} is too old: ${NODE_MIN} is needed`);
if (!process.env[MARKER]) enterNamespace();
await runAll((await import('./pure.mjs')).cases);
if (!process.env[MARKER]) skip('this system gives no network namespace (try: unshare -Urn true)');
if (!chromium) skip('there is no chromium (try: apt-get install chromium)');
const driver = await import('playwright-core').catch(() => skip('playwright-core is not installed (try: npm ci)'));

const { stopAll } = await import('./nodes.mjs');
// A page that did not come from the node's address may not ask it, says chromium: needed where the files are from elsewhere.
const args = ['--no-sandbox', ...(process.env.LANCHAIN_PAGE_FILES ? ['--disable-features=LocalNetworkAccessChecks'] : [])];
const browser = await driver.chromium.launch({ executablePath: chromium, args });
await runAll((await import('./cases.mjs')).cases, browser);
await browser.close();
await stopAll();
end();
