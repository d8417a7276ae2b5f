"use strict";
// Plays the clips: events with their age, the picture at the same moment, landmarks, and the answer so far.
(() => {
  const data = JSON.parse(document.getElementById("scenes").textContent);
  const byId = (id) => document.getElementById(id);
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const TOP = 5, BINS = 160;
  let clip, time = 0, playing = false, last = 0, colour = {};

  function open(scene) {
    if (!scene.t) {
      Object.assign(scene, {
        t: new Uint32Array(bytes(scene.events.t)), x: new Uint16Array(bytes(scene.events.x)),
        y: new Uint16Array(bytes(scene.events.y)), p: new Uint8Array(bytes(scene.events.p)),
        truth: new Int16Array(bytes(scene.landmarks)), answer: new Int16Array(bytes(scene.answered)),
        odds: new Uint16Array(bytes(scene.probabilities)), frames: scene.rgb.map(picture),
      });
      scene.histogram = histogram(scene);
    }
    clip = scene;
    time = 0;
    byId("moment").max = clip.duration;
    byId("question").textContent = clip.question;
    for (const button of byId("clips").children) button.setAttribute("aria-pressed", button.scene === scene);
    draw();
  }

  function picture(address) {
    const image = new Image();
    image.onload = draw;
    image.src = address;
    return image;
  }

  function histogram(scene) {
    const counts = { on: new Float32Array(BINS), off: new Float32Array(BINS) };
    for (let i = 0; i < scene.t.length; i++) {
      const bin = Math.min(BINS - 1, Math.floor(scene.t[i] / scene.duration * BINS));
      counts[scene.p[i] ? "on" : "off"][bin]++;
    }
    return counts;
  }

  function readColours() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ["on", "off", "truth", "answer", "soft", "line", "ink"]) {
      colour[name] = style.getPropertyValue(`--${name}`).trim();
    }
  }

  // A canvas at the screen's own resolution; returns its context and sizes.
  function surface(id) {
    const canvas = byId(id), ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, width, height);
    return { context, width, height, ratio };
  }

  function firstAfter(moment) {
    let low = 0, high = clip.t.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (clip.t[middle] <= moment) low = middle + 1; else high = middle;
    }
    return low;
  }

  function drawEvents() {
    const { context, width, height } = surface("events");
    const weight = new Map();
    const stop = firstAfter(time);
    for (let i = firstAfter(time - 4 * data.tau_us); i < stop; i++) {
      const key = clip.y[i] * clip.width + clip.x[i];
      const age = Math.exp((clip.t[i] - time) / data.tau_us);
      weight.set(key, (weight.get(key) || 0) + (clip.p[i] ? age : -age));
    }
    const w = width / clip.width, h = height / clip.height;
    for (const [key, value] of weight) {
      const x = key % clip.width, y = Math.floor(key / clip.width);
      context.globalAlpha = Math.min(1, 0.1 + 0.75 * Math.abs(value));
      context.fillStyle = value > 0 ? colour.on : colour.off;
      context.fillRect(Math.floor(x * w), Math.floor(y * h), Math.ceil(w), Math.ceil(h));
    }
    context.globalAlpha = 1;
    drawPoints(context, width, height);
  }

  function frameNow() {
    let frame = 0;
    while (frame + 1 < clip.frame_t.length && clip.frame_t[frame + 1] <= time) frame++;
    return frame;
  }

  function drawPicture() {
    const { context, width, height } = surface("rgb");
    const image = clip.frames[frameNow()];
    if (image && image.complete) context.drawImage(image, 0, 0, width, height);
    drawPoints(context, width, height);
  }

  function drawPoints(context, width, height) {
    if (!byId("points").checked) return;
    const start = frameNow() * clip.points * 2, unit = width / clip.width / data.landmark_unit;
    for (const [values, style] of [[clip.truth, colour.truth], [clip.answer, colour.answer]]) {
      context.fillStyle = style;
      for (let i = 0; i < clip.points; i++) {
        const x = (values[start + 2 * i] + data.landmark_unit / 2) * unit;
        const y = (values[start + 2 * i + 1] + data.landmark_unit / 2) * unit;
        context.beginPath();
        context.arc(x, y, width / 170, 0, 2 * Math.PI);
        context.fill();
      }
    }
  }

  function drawRate() {
    const { context, width, height, ratio } = surface("rate");
    const { on, off } = clip.histogram, most = Math.max(...on, ...off, 1), middle = height / 2;
    for (let i = 0; i < BINS; i++) {
      const x = i / BINS * width, w = width / BINS - 0.5 * ratio;
      context.fillStyle = colour.on;
      context.fillRect(x, middle, w, -on[i] / most * middle);
      context.fillStyle = colour.off;
      context.fillRect(x, middle, w, off[i] / most * middle);
    }
    context.fillStyle = colour.ink;
    context.fillRect(time / clip.duration * width - ratio, 0, 2 * ratio, height);
  }

  function drawAnswers() {
    const classes = clip.classes.length;
    const step = Math.floor(time / clip.step_us) - 1, list = byId("bars"), steps = clip.odds.length / classes;
    const odds = step < 0 ? null : clip.odds.subarray(Math.min(step, steps - 1) * classes).subarray(0, classes);
    const order = [...clip.classes.keys()];
    if (odds) order.sort((a, b) => odds[b] - odds[a]);
    list.replaceChildren(...order.slice(0, TOP).map((k) => {
      const row = document.createElement("li"), bar = document.createElement("i");
      const name = document.createElement("span"), value = document.createElement("span");
      const share = odds ? odds[k] / 65535 : 0;
      row.className = k === clip.label ? "true" : "";
      bar.style.width = `${100 * share}%`;
      name.textContent = clip.classes[k];
      value.textContent = odds ? `${(100 * share).toFixed(0)} %` : "";
      row.append(bar, name, value);
      return row;
    }));
    const place = odds ? order.indexOf(clip.label) + 1 : 0;
    byId("verdict").textContent = `Truth: ${clip.classes[clip.label]}.` +
      (place === 1 ? " The network says so too." : place ? ` The network has it in place ${place}.` : "");
  }

  function draw() {
    if (!clip) return;
    drawEvents();
    drawPicture();
    drawRate();
    drawAnswers();
    byId("moment").value = time;
    byId("now").textContent = `${(time / 1000).toFixed(0)} of ${(clip.duration / 1000).toFixed(0)} ms`;
  }

  function go(moment) {
    time = Math.max(0, Math.min(clip.duration, moment));
    draw();
  }

  function tick(now) {
    if (!playing) return;
    const next = time + Math.min(now - last, 100) * 1000 * Number(byId("speed").value);
    last = now;
    go(next >= clip.duration ? 0 : next);
    requestAnimationFrame(tick);
  }

  function play(on) {
    playing = on;
    byId("play").textContent = on ? "Pause" : "Play";
    last = performance.now();
    if (on) requestAnimationFrame(tick);
  }

  for (const scene of data.scenes) {
    const button = document.createElement("button");
    button.type = "button";
    button.scene = scene;
    if (scene.rgb.length) {
      const image = document.createElement("img");
      image.src = scene.rgb[scene.rgb.length >> 1];
      image.alt = "";
      button.append(image);
    }
    button.append(scene.title);
    button.onclick = () => open(scene);
    byId("clips").append(button);
  }
  byId("play").onclick = () => play(!playing);
  byId("moment").oninput = (event) => { play(false); go(Number(event.target.value)); };
  byId("points").onchange = draw;
  const rate = byId("rate");
  const seek = (event) => {
    const box = rate.getBoundingClientRect();
    play(false);
    go((event.clientX - box.left) / box.width * clip.duration);
  };
  rate.onpointerdown = (event) => { rate.setPointerCapture(event.pointerId); seek(event); };
  rate.onpointermove = (event) => { if (event.buttons) seek(event); };
  const repaint = () => { readColours(); draw(); };
  window.addEventListener("resize", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);

  readColours();
  const liveliest = data.scenes.reduce((a, b) => (b.events.p.length / b.duration > a.events.p.length / a.duration ? b : a));
  open(liveliest);
  const bins = [...clip.histogram.on.keys()], busy = (i) => clip.histogram.on[i] + clip.histogram.off[i];
  go((bins.reduce((a, b) => (busy(b) > busy(a) ? b : a)) + 1) / BINS * clip.duration);
})();
