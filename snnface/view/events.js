// Events: blocks that are unpacked when they are needed, and the picture of those that have not faded yet.
const blocks = look.blocks;
let total = 0;
for (const block of blocks) {
  block.first = total;
  total += block.events;
}
const blockTimes = blocks.map((block) => block.t);
const packedBlocks = [...document.querySelectorAll("script.events")];
const eventTime = new Uint32Array(total);
// Twice the pixel's number, plus one for ON.
const eventCell = new Uint32Array(total);

function load(number) {
  const block = blocks[number];
  block.loading ??= unpacked(packedBlocks[number].textContent).then((buffer) => {
    const b = new Uint8Array(buffer), n = block.events, width = look.width;
    let t = block.before;
    for (let i = 0, at = block.first; i < n; i++, at++) {
      t += (b[i] | b[n + i] << 8 | b[2 * n + i] << 16 | b[3 * n + i] << 24) >>> 0;
      eventTime[at] = t;
      const x = b[4 * n + i] | b[5 * n + i] << 8, y = b[6 * n + i] | b[7 * n + i] << 8;
      eventCell[at] = 2 * (y * width + x) + b[8 * n + i];
    }
    packedBlocks[number].remove();
    block.ready = true;
  });
  return block.loading;
}

// Numbers of the blocks with events of (from, to].
function needed(from, to) {
  const last = latest(blockTimes, to), found = [];
  for (let i = Math.max(0, latest(blockTimes, from)); i <= last; i++) found.push(i);
  return found;
}

const FADED = 4;
const weight = new Float32Array(look.width * look.height);
const image = new ImageData(look.width, look.height);
const pixels = new Uint32Array(image.data.buffer);
// Colours of weights -2 … 2 in steps of 1/100, in the bytes of a picture.
const shades = new Uint32Array(401);

function mixShades() {
  const rgb = (name) => [1, 3, 5].map((i) => parseInt(colour[name].slice(i, i + 2), 16));
  const [faintest, growth, forgotten] = look.shade, field = rgb("field"), on = rgb("on"), off = rgb("off");
  const out = new Uint8ClampedArray(shades.buffer);
  for (let i = 0; i <= 400; i++) {
    const size = Math.abs(i - 200) / 100, share = size > forgotten ? Math.min(1, faintest + growth * size) : 0;
    const over = i > 200 ? on : off;
    for (let c = 0; c < 3; c++) out[4 * i + c] = Math.round(share * over[c] + (1 - share) * field[c]);
    out[4 * i + 3] = 255;
  }
}

// The picture at a moment; false where some of its events are still packed.
function drawEvents(moment, tau) {
  const from = moment - FADED * tau;
  let whole = true;
  weight.fill(0);
  for (const number of needed(from, moment)) {
    const block = blocks[number], end = block.first + block.events;
    if (!block.ready) { whole = false; continue; }
    const stop = latest(eventTime, moment, block.first, end);
    const before = latest(eventTime, from, block.first, end);
    let now = -1, age = 0;
    for (let i = before < 0 ? block.first : before + 1; i <= stop; i++) {
      if (eventTime[i] !== now) {
        now = eventTime[i];
        age = Math.exp((now - moment) / tau);
      }
      const cell = eventCell[i];
      weight[cell >> 1] += cell & 1 ? age : -age;
    }
  }
  const ground = shades[200];
  for (let i = 0; i < weight.length; i++) {
    const w = weight[i];
    pixels[i] = w === 0 ? ground : shades[w >= 2 ? 400 : w <= -2 ? 0 : (100 * w + 200.5) | 0];
  }
  const canvas = byId("events");
  if (canvas.width !== look.width || canvas.height !== look.height) {
    Object.assign(canvas, { width: look.width, height: look.height });
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return whole;
}
