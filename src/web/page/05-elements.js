// Making elements, and cleaning and writing what others said.
//
// Promises: text becomes text, never markup; an element is touched only when something changes.

/** An `a` in the drawing is written `svga`: HTML has one of that name too. */
const SVG_NAMES = new Set(['svga', 'g', 'path', 'rect', 'circle', 'line', 'text']);

const $ = (id) => document.getElementById(id);

/** An element, as `h('td.n', 'text', {title: 'x'}, otherElement)`; classes stand behind the name, attributes in an object. */
function h(spec, ...parts) {
  const [name, ...classes] = spec.split('.');
  const element = SVG_NAMES.has(name)
    ? document.createElementNS('http://www.w3.org/2000/svg', name.replace('svga', 'a'))
    : document.createElement(name);
  if (classes.length) element.setAttribute('class', classes.join(' '));
  for (const part of parts.flat()) {
    if (part instanceof Node) element.append(part);
    else if (typeof part === 'object') set(element, part);
    else element.append(clean(part));
  }
  return element;
}

function set(element, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    const words = clean(value);
    if (element.getAttribute(key) !== words) element.setAttribute(key, words);
  }
}

/** Text of the node or of strangers: what is not seen, or turns the order of letters, is shown as a mark. */
function clean(text) {
  return String(text ?? '')
    .slice(0, 2000)
    .replace(/[\0-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g, '\ufffd');
}

function say(element, text) {
  const words = clean(text);
  if (element.textContent !== words) element.textContent = words;
}

/** Makes an element's children anew, if what they are made from has changed. */
function refill(element, signature, children) {
  const now = `${language} ${signature}`;
  if (element.made === now) return;
  element.made = now;
  element.replaceChildren(...children());
}

/** How wide a text is in units of its size: a Chinese letter is as wide as it is high. */
function widthOf(text) {
  let width = 0;
  for (const letter of text) width += letter > '\u2e80' ? 1 : 0.58;
  return width;
}

/** Cuts a text to a width. */
function fit(text, width, size) {
  let words = clean(text);
  if (widthOf(words) * size <= width) return words;
  while (words.length > 1 && (widthOf(words) + 0.8) * size > width) words = words.slice(0, -1);
  return `${words}…`;
}

function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120e3) return `${(ms / 1000).toFixed(ms < 1e4 ? 1 : 0)} s`;
  return `${Math.round(ms / 60e3)} min`;
}

/** 1,234,567, and of longer numbers the first five digits. */
function grouped(number) {
  return number.toLocaleString(language, { maximumSignificantDigits: 5 });
}

function clock(ms) {
  return ms ? new Date(ms).toTimeString().slice(0, 8) : '–';
}
