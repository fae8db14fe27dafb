// Nodes for the tests of the page: real processes on the loopback of this namespace, each with a page of its own.
//
// Promises: each node ends with the tests, by its own pid; every wait has a deadline and says what it waited for.

import { spawn, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const BINARY = process.env.LANCHAIN_BIN ?? path.resolve(import.meta.dirname, '../../target/debug/lanchain');
const DEADLINE_MS = 90_000;
/** In memory where there is such a folder: the storm is 10,000 commits. */
const FOLDER = mkdtempSync(path.join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'lanchain-page-'));

const running = new Set();
let ports = 47_000;

/** Waits until a question has an answer that is not false. */
export async function until(what, question, deadline_ms = DEADLINE_MS) {
  const end = Date.now() + deadline_ms;
  for (;;) {
    const answer = await question();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${deadline_ms} ms: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

export class TestNode {
  /**
   * Starts a node; `peers` are nodes to connect to, `chain` a folder whose copy it begins with, `host` where its page is,
   * `machine` a process in whose network namespace it runs.
   */
  static async start(name, peers = [], { chain = null, host = '127.0.0.1', machine = null } = {}) {
    const node = new TestNode();
    Object.assign(node, {
      name,
      port: (ports += 1),
      webPort: (ports += 1),
      folder: path.join(FOLDER, `${name}-${ports}`),
      peers,
      host,
      machine,
    });
    if (chain) cpSync(chain, node.folder, { recursive: true });
    await node.run();
    return node;
  }

  /** Runs its process, also after a stop: the same folder and ports. */
  async run() {
    const flags = [
      '--json',
      '--daemon',
      '--no-mdns',
      '--network',
      'dev',
      '--name',
      this.name,
      '--data-dir',
      this.folder,
      '--log',
      'off',
      '--listen',
      `127.0.0.1:${this.port}`,
      '--web',
      `${this.host}:${this.webPort}`,
    ];
    if (this.peers.length) flags.push('--peer', this.peers.map((peer) => `127.0.0.1:${peer.port}`).join(','));
    const command = this.machine ? ['nsenter', '-t', this.machine, '-n', BINARY] : [BINARY];
    this.child = spawn(command[0], [...command.slice(1), ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
    running.add(this.child);
    this.child.on('exit', () => running.delete(this.child));
    this.replies = new Map();
    this.lines = 0;
    this.started = null;
    createInterface({ input: this.child.stdout }).on('line', (line) => this.hear(line));
    await until(`${this.name} starts`, () => this.started);
  }

  hear(line) {
    if (line.length > 1_000_000) return;
    const object = JSON.parse(line);
    if (object.type === 'reply') this.replies.set(object.line, object);
    if (object.event === 'started') Object.assign(this, { started: object, height: object.height });
    if (object.event === 'block_connected') this.height = object.height;
  }

  /** The address that its user opens. */
  get url() {
    return this.started.web;
  }

  /** Types a command at the node itself; gives the data of its reply. */
  async type(command, deadline_ms) {
    const line = (this.lines += 1);
    this.child.stdin.write(`${command}\n`);
    const reply = await until(`${this.name}: ${command}`, () => this.replies.get(line), deadline_ms);
    if (!reply.ok) throw new Error(`${this.name}: ${command}: ${reply.error.message}`);
    return reply.data;
  }

  async stop() {
    this.child.kill('SIGTERM');
    await until(`${this.name} stops`, () => this.child.exitCode !== null || this.child.signalCode !== null);
  }
}

/**
 * A second machine, with a cable to this one: a namespace that lives as long as the process that is given back; null where
 * the system gives none. It has the address `there`, this one `here`.
 */
export async function secondMachine(here, there) {
  const child = spawn('unshare', ['-n', 'sleep', '120'], { stdio: 'ignore' });
  running.add(child);
  child.on('exit', () => running.delete(child));
  const enter = `nsenter -t ${child.pid} -n`;
  const own = spawnSync('readlink', ['/proc/self/ns/net']).stdout.toString();
  await until('the second machine is there', () => {
    const { stdout } = spawnSync('readlink', [`/proc/${child.pid}/ns/net`]);
    return child.exitCode !== null || (stdout.length > 0 && stdout.toString() !== own);
  });
  const script = `set -e
    ip link add cable type veth peer name cable netns ${child.pid}
    ip link set cable addrgenmode none; ip address add ${here}/24 dev cable; ip link set cable up
    ${enter} ip link set lo up
    ${enter} ip link set cable addrgenmode none
    ${enter} ip address add ${there}/24 dev cable; ${enter} ip link set cable up`;
  return spawnSync('sh', ['-c', script], { stdio: 'ignore' }).status === 0 ? child : null;
}

export async function stopAll() {
  for (const child of running) child.kill('SIGTERM');
  await until('all nodes stop', () => running.size === 0, 10_000).catch(() => {
    for (const child of running) child.kill('SIGKILL');
  });
  rmSync(FOLDER, { recursive: true, force: true });
}
