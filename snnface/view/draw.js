// What all parts of the page share: the description, elements, colours, canvases, and what was packed.
const look = JSON.parse(document.getElementById("look").textContent);
const byId = (id) => document.getElementById(id);
const colour = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["on", "off", "truth", "answer", "soft", "line", "ink", "field", "paper"]) {
    colour[name] = style.getPropertyValue(`--${name}`).trim();
  }
}

function bytes(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), found = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) found[i] = letters.charCodeAt(i);
  return found;
}

// Bytes that were deflated and written in base64.
async function unpacked(text) {
  const stream = new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

// A canvas at the screen's own resolution, emptied; its context, and its size in CSS pixels.
function surface(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const w = Math.max(1, Math.round(width * ratio)), h = Math.max(1, Math.round(height * ratio));
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return context;
}

// Place of the last of sorted times that is not after a moment; -1 where all are.
function latest(times, moment, low = 0, high = times.length) {
  const first = low;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= moment) low = middle + 1; else high = middle;
  }
  return low > first ? low - 1 : -1;
}

const percent = (share) => `${Math.round(100 * share)} %`;
