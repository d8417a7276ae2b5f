// The clock: event rate and lanes of intensities and answers over time, with a cursor.
const RATE = 58, LANE = 38, PAST = 1, FUTURE = 0.35;
const clock = byId("curves");
clock.style.height = `${RATE + LANE * look.lanes.length}px`;

function drawCurves(moment) {
  const width = clock.clientWidth, height = RATE + LANE * look.lanes.length;
  const context = surface(clock, width, height), cursor = moment / look.duration * width;
  for (const [from, to, strength] of [[0, cursor, PAST], [cursor, width, FUTURE]]) {
    context.save();
    context.beginPath();
    context.rect(from, 0, to - from, height);
    context.clip();
    context.globalAlpha = strength;
    drawRate(context, width);
    look.lanes.forEach((lane, i) => drawLane(context, lane, width, RATE + LANE * i));
    context.restore();
  }
  look.lanes.forEach((lane, i) => writeLane(context, lane, width, RATE + LANE * i, moment));
  context.fillStyle = colour.ink;
  context.fillRect(Math.min(cursor, width - 1) - 0.5, 0, 1.5, height);
}

function drawRate(context, width) {
  const bins = Math.max(1, Math.min(look.on.length, Math.floor(width / 3))), middle = RATE / 2 - 3;
  const joined = (counts) => {
    const sums = new Float64Array(bins);
    counts.forEach((n, i) => { sums[Math.floor(i * bins / counts.length)] += n; });
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
  context.font = `12.5px ${getComputedStyle(document.body).fontFamily}`;
  context.textBaseline = "top";
  context.textAlign = "left";
  context.fillStyle = colour.soft;
  context.fillText(lane.name, 0, top + 2);
  context.textAlign = "right";
  let x = width - 2;
  for (const kind of ["answer", "truth"]) {
    if (!lane[kind]) continue;
    const place = latest(lane[kind].t, moment);
    context.fillStyle = colour[kind];
    if (place >= 0) context.fillText(percent(lane[kind].v[place]), x, top + 2);
    x -= 44;
  }
}
