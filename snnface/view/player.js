// The player: time, speed, decay, and what is drawn at a moment.
const FRAME_US = 1e6 / 60, LEAST_TALL = 260, TOP = { au: 5, expression: 3 };
const QUESTION = { au: "Which action unit?", expression: "Which expression?" };
const SPEEDS = [4, 2, 1];
for (let tens = 1; tens <= 1e4; tens *= 10) SPEEDS.push(1 / (2 * tens), 1 / (5 * tens), 1 / (10 * tens));
SPEEDS.reverse();
const DECAYS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000].map((ms) => 1000 * ms);
if (!DECAYS.includes(look.tau)) DECAYS.push(look.tau);
DECAYS.sort((a, b) => a - b);
const photographs = [...document.querySelectorAll("script.picture")].map((element) => ({ element }));
let time = look.at, playing = false, last = 0, waiting = 0;

const speed = () => SPEEDS[Number(byId("speed").value)];
const tau = () => DECAYS[Number(byId("decay").value)];

// Pictures as tall as leaves room for everything else, so that nothing has to be scrolled to.
function arrange() {
  const stages = byId("stages");
  const rest = document.body.offsetHeight - stages.offsetHeight;
  stages.style.setProperty("--tall", `${Math.max(LEAST_TALL, innerHeight - rest)}px`);
  draw();
}

function draw() {
  const whole = drawEvents(time, tau());
  drawMarks(surface(byId("marks"), byId("events").clientWidth, byId("events").clientHeight), byId("events").clientWidth);
  drawPhotograph();
  drawCurves(time);
  drawAnswers();
  byId("moment").value = time;
  byId("now").textContent = moment(look.start + time);
  if (!whole) fetchEvents();
  else if (!performance.getEntriesByName("first picture").length) performance.mark("first picture");
}

async function fetchEvents() {
  const mine = ++waiting;
  await Promise.all(needed(time - FADED * tau(), time).map(load));
  if (mine === waiting) draw();
}

// Everything else, when the first picture is there.
async function fetchAll() {
  for (let i = 0; i < blocks.length; i++) {
    await load(i);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

function photograph(number) {
  const found = photographs[number];
  if (!found) return null;
  if (!found.image) {
    found.image = new Image();
    found.image.onload = () => { if (number === latest(look.pictures, time)) drawPhotograph(); };
    found.image.src = found.element.textContent;
  }
  return found.image;
}

function drawPhotograph() {
  if (!photographs.length) return;
  const number = Math.max(0, latest(look.pictures, time)), image = photograph(number);
  photograph(number + 1);
  if (!image.complete || !image.naturalWidth) return;
  const canvas = byId("photo"), width = canvas.parentElement.clientWidth;
  const height = width * image.naturalHeight / image.naturalWidth;
  canvas.style.height = `${height}px`;
  const context = surface(canvas, width, height);
  context.drawImage(image, 0, 0, width, height);
  if (look.aligned) drawMarks(context, width);
}

function drawMarks(context, width) {
  if (!byId("points").checked) return;
  const unit = width / look.width, radius = Math.max(1.3, width / 260);
  for (const kind of ["truth", "answer"]) {
    const found = look.points[kind], row = found ? latest(found.t, time) : -1;
    if (row < 0) continue;
    context.fillStyle = colour[kind];
    for (let i = row * found.count; i < (row + 1) * found.count; i++) {
      const x = found.xy[2 * i], y = found.xy[2 * i + 1];
      if (Number.isNaN(x + y)) continue;
      context.beginPath();
      context.arc((x + 0.5) * unit, (y + 0.5) * unit, radius, 0, 2 * Math.PI);
      context.fill();
    }
  }
}

function drawAnswers() {
  for (const head of look.heads) {
    const count = head.classes.length, row = latest(head.t, time);
    if (row === head.row) continue;
    head.row = row;
    const odds = row < 0 ? null : head.odds.subarray(row * count, (row + 1) * count);
    const order = [...head.classes.keys()];
    if (odds) order.sort((a, b) => odds[b] - odds[a]);
    head.list.replaceChildren(...order.slice(0, TOP[head.name]).map((k) => {
      const line = document.createElement("li"), bar = document.createElement("i");
      const name = document.createElement("span"), value = document.createElement("span");
      line.className = k === head.label ? "true" : "";
      bar.style.width = `${odds ? 100 * odds[k] : 0}%`;
      name.textContent = head.classes[k];
      value.textContent = odds ? percent(odds[k]) : "";
      line.append(bar, name, value);
      return line;
    }));
  }
}

// A time in a unit and with the digits that a step at this speed needs.
function moment(us) {
  const step = FRAME_US * speed();
  return step >= 1000 ? `${(us / 1e6).toFixed(3)} s` : `${(us / 1e3).toFixed(step < 100 ? 3 : 1)} ms`;
}

function length(us) {
  const short = (x) => Number(x.toPrecision(2)).toString();
  return us < 1000 ? `${short(us)} µs` : `${short(us / 1000)} ms`;
}

function go(to) {
  time = Math.max(0, Math.min(look.duration, to));
  draw();
}

function tick(now) {
  if (!playing) return;
  const next = time + Math.min(now - last, 100) * 1000 * speed();
  last = now;
  go(next > look.duration ? 0 : next);
  requestAnimationFrame(tick);
}

function play(on) {
  playing = on;
  byId("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  if (time >= look.duration) time = 0;
  last = performance.now();
  requestAnimationFrame(tick);
}

function step(count) {
  play(false);
  go(Math.round(time + count * Math.max(1, FRAME_US * speed())));
}

function tell() {
  const x = speed();
  byId("pace").textContent = `${x >= 1 ? x : `1/${Math.round(1 / x).toLocaleString("en")}`} ×, ${length(FRAME_US * x)} a picture`;
  byId("fade").textContent = length(tau());
}

const move = (id, by) => {
  byId(id).value = Number(byId(id).value) + by;
  byId(id).dispatchEvent(new Event("input"));
};
const KEYS = {
  " ": () => play(!playing),
  ArrowLeft: (event) => step(event.shiftKey ? -10 : -1),
  ArrowRight: (event) => step(event.shiftKey ? 10 : 1),
  ArrowUp: () => move("speed", 1),
  ArrowDown: () => move("speed", -1),
  Home: () => { play(false); go(0); },
  End: () => { play(false); go(look.duration); },
};

function listen() {
  byId("play").onclick = () => play(!playing);
  byId("back").onclick = () => step(-1);
  byId("on").onclick = () => step(1);
  byId("moment").oninput = (event) => { play(false); go(Number(event.target.value)); };
  byId("speed").oninput = () => { tell(); draw(); };
  byId("decay").oninput = () => { tell(); draw(); };
  byId("points").onchange = draw;
  const seek = (event) => {
    const box = clock.getBoundingClientRect();
    play(false);
    go((event.clientX - box.left) / box.width * look.duration);
  };
  clock.onpointerdown = (event) => { clock.setPointerCapture(event.pointerId); seek(event); };
  clock.onpointermove = (event) => { if (event.buttons) seek(event); };
  document.addEventListener("keydown", (event) => {
    const slider = ["speed", "decay"].includes(event.target.id) && event.key.startsWith("Arrow");
    if (!KEYS[event.key] || slider || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    KEYS[event.key](event);
  });
  // A button that has the focus would be pressed by the space bar a second time.
  document.addEventListener("keyup", (event) => { if (event.key === " ") event.preventDefault(); });
  window.addEventListener("resize", arrange);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); mixShades(); draw(); });
}

async function begin() {
  readColours();
  mixShades();
  byId("count").textContent = ` · ${total.toLocaleString("en")} events`;
  byId("moment").max = look.duration;
  byId("speed").max = SPEEDS.length - 1;
  byId("speed").value = Math.max(0, SPEEDS.findLastIndex((x) => x * look.slow <= 1));
  byId("decay").max = DECAYS.length - 1;
  byId("decay").value = DECAYS.indexOf(look.tau);
  byId("stages").style.setProperty("--aspect", look.width / look.height);
  for (const kind of ["truth", "answer"]) {
    const there = look.points[kind] || look.lanes.some((lane) => lane[kind]);
    byId(kind).classList.toggle("gone", !there);
    if (look.points[kind]) look.points[kind].xy = new Float32Array(await unpacked(look.points[kind].xy));
  }
  byId("marked").classList.toggle("gone", !Object.keys(look.points).length);
  for (const head of look.heads) {
    head.odds = new Float32Array(await unpacked(head.odds));
    head.list = document.createElement("ol");
    const title = document.createElement("h3"), part = document.createElement("div");
    title.textContent = QUESTION[head.name];
    part.append(title, head.list);
    byId("answers").append(part);
  }
  listen();
  tell();
  arrange();
  await fetchEvents();
  fetchAll();
}

begin();
