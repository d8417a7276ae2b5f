// The clock: event rate and lanes of intensities and answers over time, with a cursor.
const RATE = 58, LANE = 38, PAST = 1, FUTURE = 0.35;
const FONT = `12.5px ${getComputedStyle(document.body).fontFamily}`;
const clock = byId("curves");
clock.style.height = `${RATE + LANE * look.lanes.length}px`;

// The curves without cursor and numbers, drawn once for a width and a scheme of colours.
const still = document.createElement("canvas");
let drawnFor = "";

function drawCurves(moment) {
  const width = clock.clientWidth, height = RATE + LANE * look.lanes.length, ratio = window.devicePixelRatio || 1;
  const wanted = `${width} ${ratio} ${colour.ink}`;
  if (wanted !== drawnFor) {
    const context = surface(still, width, height);
    drawRate(context, width);
    look.lanes.forEach((lane, i) => drawLane(context, lane, width, RATE + LANE * i));
    drawnFor = wanted;
  }
  const context = surface(clock, width, height), cursor = moment / look.duration * width;
  for (const [from, to, strength] of [[0, cursor, PAST], [cursor, width, FUTURE]]) {
    context.globalAlpha = strength;
    if (to > from) context.drawImage(still, from * ratio, 0, (to - from) * ratio, still.height, from, 0, to - from, height);
  }
  context.globalAlpha = 1;
  context.fillStyle = colour.ink;
  context.fillRect(Math.min(cursor, width - 1) - 0.5, 0, 1.5, height);
  look.lanes.forEach((lane, i) => writeLane(context, lane, width, RATE + LANE * i, moment));
}

function drawRate(context, width) {
  // Bars of as many counts each as give them room; all of one size, or an even flow would look uneven.
  const together = [1, 2, 3, 4, 6, 8].find((n) => n * width / look.on.length >= 2) || 8;
  const bins = look.on.length / together, middle = RATE / 2 - 3;
  const joined = (counts) => {
    const sums = new Float64Array(bins);
    counts.forEach((n, i) => { sums[Math.floor(i / together)] += n; });
    return sums;
  };
  const on = joined(look.on), off = joined(look.off), most = Math.max(...on, ...off, 1);
  for (let i = 0; i < bins; i++) {
    const x = i / bins * width, w = Math.max(1, width / bins - 1);
    context.fillStyle = colour.on;
    context.fillRect(x, middle, w, -on[i] / most * middle);
    context.fillStyle = colour.off;
    context.fillRect(x, middle, w, off[i] / most * middle);
  }
}

function drawLane(context, lane, width, top) {
  const base = top + LANE - 4, tall = LANE - 8;
  const trace = (curve) => {
    const path = new Path2D(), x = (t) => Math.max(0, t) / look.duration * width;
    curve.t.forEach((t, i) => path[i ? "lineTo" : "moveTo"](x(t), base - Math.min(1, curve.v[i]) * tall));
    path.lineTo(width, base - Math.min(1, curve.v[curve.v.length - 1]) * tall);
    return { path, start: x(curve.t[0]) };
  };
  context.fillStyle = colour.line;
  context.fillRect(0, base, width, 1);
  if (lane.truth) {
    const { path, start } = trace(lane.truth), area = new Path2D(path);
    area.lineTo(width, base);
    area.lineTo(start, base);
    const strength = context.globalAlpha;
    context.globalAlpha = 0.3 * strength;
    context.fillStyle = colour.truth;
    context.fill(area);
    context.globalAlpha = strength;
    context.strokeStyle = colour.truth;
    context.lineWidth = 1;
    context.stroke(path);
  }
  if (lane.answer) {
    context.strokeStyle = colour.answer;
    context.lineWidth = 1.8;
    context.stroke(trace(lane.answer).path);
  }
}

function writeLane(context, lane, width, top, moment) {
  // Text stands on a little paper, so that curves and cursor do not cross it.
  const write = (text, x, ink) => {
    context.strokeStyle = colour.paper;
    context.strokeText(text, x, top + 2);
    context.fillStyle = ink;
    context.fillText(text, x, top + 2);
  };
  context.font = FONT;
  context.lineWidth = 4;
  context.lineJoin = "round";
  context.textBaseline = "top";
  context.textAlign = "left";
  write(lane.name, 0, colour.soft);
  context.textAlign = "right";
  let x = width - 2;
  for (const kind of ["answer", "truth"]) {
    if (!lane[kind]) continue;
    const place = latest(lane[kind].t, moment);
    if (place >= 0) write(percent(lane[kind].v[place]), x, colour[kind]);
    x -= 44;
  }
}
