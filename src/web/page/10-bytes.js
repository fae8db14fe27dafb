// Bytes, SHA-256 and the merkle tree, as `proto-notes/encoding.md` has them.
//
// Promises: no look at the page and no `crypto.subtle`, which a browser has only on https and loopback.

/** Constants of SHA-256: the first 32 bits of the fractions of the roots of the first 64 primes. */
const CUBES = new Uint32Array(64);
const SQUARES = new Uint32Array(8);
for (let n = 2, count = 0; count < 64; n += 1) {
  let d = 2;
  while (n % d) d += 1;
  if (d < n) continue;
  if (count < 8) SQUARES[count] = (Math.sqrt(n) % 1) * 2 ** 32;
  CUBES[count] = (Math.cbrt(n) % 1) * 2 ** 32;
  count += 1;
}

const schedule = new Uint32Array(64);
const turned = (x, by) => (x >>> by) | (x << (32 - by));

/** Takes one chunk of 64 bytes into the eight words of `state`. */
function compress(state, view, offset) {
  for (let i = 0; i < 64; i += 1) {
    if (i < 16) schedule[i] = view.getUint32(offset + i * 4);
    else {
      const [x, y] = [schedule[i - 15], schedule[i - 2]];
      schedule[i] =
        schedule[i - 16] +
        schedule[i - 7] +
        (turned(x, 7) ^ turned(x, 18) ^ (x >>> 3)) +
        (turned(y, 17) ^ turned(y, 19) ^ (y >>> 10));
    }
  }
  let [a, b, c, d, e, f, g, k] = state;
  for (let i = 0; i < 64; i += 1) {
    const one =
      (k + (turned(e, 6) ^ turned(e, 11) ^ turned(e, 25)) + ((e & f) ^ (~e & g)) + CUBES[i] + schedule[i]) | 0;
    const two = ((turned(a, 2) ^ turned(a, 13) ^ turned(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    k = g;
    g = f;
    f = e;
    e = (d + one) | 0;
    d = c;
    c = b;
    b = a;
    a = (one + two) | 0;
  }
  [a, b, c, d, e, f, g, k].forEach((word, i) => {
    state[i] += word;
  });
}

/** SHA-256 of bytes, as bytes. */
function sha256(bytes) {
  const view = new DataView(new ArrayBuffer((((bytes.length + 8) >> 6) + 1) << 6));
  bytes.forEach((byte, i) => view.setUint8(i, byte));
  view.setUint8(bytes.length, 0x80);
  view.setUint32(view.byteLength - 4, bytes.length * 8);
  const state = SQUARES.slice();
  for (let offset = 0; offset < view.byteLength; offset += 64) compress(state, view, offset);
  state.forEach((word, i) => view.setUint32(i * 4, word));
  return new Uint8Array(view.buffer, 0, 32);
}

function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromHex(hex) {
  return Uint8Array.from(hex.match(/../g), (pair) => parseInt(pair, 16));
}

/** The id of a transaction's bytes: a leaf of the merkle tree. */
function leafHash(raw) {
  return sha256([0, ...raw]);
}

function nodeHash(left, right) {
  return sha256([1, ...left, ...right]);
}

/** The root over leaves, split behind the largest power of two below their number (RFC 6962). */
function merkleRoot(leaves) {
  if (leaves.length < 2) return leaves[0] ?? new Uint8Array(32);
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(merkleRoot(leaves.slice(0, split)), merkleRoot(leaves.slice(split)));
}

/** How many zero bits a hash in hex begins with. */
function zeroBits(hex) {
  const zeros = hex.match(/^0*/)[0].length;
  return zeros * 4 + (zeros < hex.length ? Math.clz32(parseInt(hex[zeros], 16)) - 28 : 0);
}
