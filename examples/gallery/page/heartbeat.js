// The heartbeat: how long the server takes to answer a ping, as a plot and in words, alone and
// while it has work.

import { $, call, run, turn } from "./call.js";

const EVERY = 25; // milliseconds from one ping to the next, answered or not
const SPAN = 15_000; // milliseconds that the plot shows
const [LEAST, MOST] = [0.5, 4000]; // milliseconds at its bottom and its top
const LATE = 100; // milliseconds without an answer that are worth a word

let pings = []; // { sent, way, over, took or lost }; the last two come with the answer
let bursts = []; // { way, from, to }
let burst; // the one under way

function ping() {
  const beat = { sent: performance.now(), way: burst?.way };
  const answered = () => { beat.took = performance.now() - beat.sent; };
  const lost = () => { beat.lost = true; };
  beat.over = fetch("/ping", { cache: "no-store" }).then(answered, lost);
  pings.push(beat);
}

const times = (some) => some.map(({ took }) => took).filter((took) => took !== undefined);

function beat() {
  const waiting = pings.filter(({ took, lost }) => took === undefined && !lost).length;
  if (!document.hidden && waiting < 400) ping();
  const old = performance.now() - SPAN - 1000;
  pings = pings.filter(({ sent, way }) => sent > old || way && way === burst?.way);
  bursts = bursts.filter(({ to }) => !(to < old));
}

// In words.

const duration = (ms) => ms < 10 ? `${ms.toFixed(1)} ms`
  : ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;

// The time within which that part of the pings was answered.
function percentile(times, part) {
  const sorted = times.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)];
}

const summary = (times) =>
  `p50 ${duration(percentile(times, 0.5))}, p99 ${duration(percentile(times, 0.99))}`
  + ` of ${times.length} pings`;

function tell() {
  const last = pings.findLast(({ took }) => took !== undefined);
  const waits = pings.find(({ took, lost }) => took === undefined && !lost);
  const silent = waits ? performance.now() - waits.sent : 0;
  const late = silent > LATE;
  $("now").textContent = late ? `silent for ${duration(silent)}` : last ? duration(last.took) : "–";
  $("now").classList.toggle("late", late);
  const calm = times(pings.filter(({ way }) => !way));
  if (!burst && calm.length >= 100) $("calm").textContent = summary(calm);
}

async function fire(way, verdict) {
  verdict.textContent = "The visitors are here …";
  const fired = burst = { way, from: performance.now() };
  bursts.push(fired);
  let done;
  try {
    done = await call("POST", `/burst/${way}`);
  } catch (error) {
    verdict.textContent = error.status === 401 ? "Not tried yet." : error.message;
    if (error.status === 401) throw error;
    return;
  } finally {
    fired.to = performance.now();
    burst = undefined;
  }
  const during = pings.filter(({ sent }) => sent >= fired.from && sent < fired.to);
  await Promise.all(during.map(({ over }) => over));
  const took = times(during);
  const longest = Math.max(0, ...took);
  const [word, numbers] = ["strong", "span"].map((tag) => document.createElement(tag));
  // A busy machine is late now and then; a loop that is blocked answers nobody until it is not.
  const stopped = longest > LATE && longest > (fired.to - fired.from) / 2;
  word.textContent = stopped
    ? `The heartbeat stopped for ${duration(longest)}.`
    : `The heartbeat went on; its slowest answer took ${duration(longest)}.`;
  numbers.textContent = ` ${summary(took)}.`
    + ` All ${done.visitors} were served after ${done.seconds.toFixed(1)} s.`;
  verdict.replaceChildren(word, numbers);
  verdict.classList.remove("faint");
  Object.assign(verdict.dataset, { p99: percentile(took, 0.99), longest, pings: took.length });
}

// As a plot. Its scale is logarithmic, since a blocked loop is a thousand times slower.

function draw() {
  const canvas = $("plot");
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const scale = devicePixelRatio;
  if (canvas.width !== Math.round(width * scale)) canvas.width = Math.round(width * scale);
  if (canvas.height !== Math.round(height * scale)) canvas.height = Math.round(height * scale);
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px Inter, system-ui, sans-serif";

  const now = performance.now();
  const [left, top] = [44, 18];
  const x = (time) => width - (now - time) / SPAN * (width - left);
  const y = (ms) => {
    const part = Math.log(Math.min(Math.max(ms, LEAST), MOST) / LEAST) / Math.log(MOST / LEAST);
    return height - 1 - part * (height - top);
  };

  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const [ms, label] of [[1, "1 ms"], [10, "10 ms"], [100, "0.1 s"], [1000, "1 s"]]) {
    pen.fillStyle = colour("--line");
    pen.fillRect(left, Math.round(y(ms)), width, 1);
    pen.fillStyle = colour("--faint");
    pen.fillText(label, left - 6, y(ms));
  }

  pen.save();
  pen.beginPath();
  pen.rect(left, 0, width - left, height);
  pen.clip();
  pen.textAlign = "left";
  for (const { way, from, to } of bursts) {
    pen.fillStyle = colour(`--${way}`);
    const wide = x(to ?? now) - x(from);
    pen.globalAlpha = 0.1;
    pen.fillRect(x(from), 0, wide, height);
    pen.globalAlpha = 1;
    if (pen.measureText(way).width + 8 < wide) pen.fillText(way, x(from) + 4, 9);
  }
  const bar = Math.max(1, (width - left) / SPAN * EVERY - 0.5);
  for (const { sent, took, way, lost } of pings) {
    pen.fillStyle = colour(lost ? "--bad" : `--${way ?? "calm"}`);
    pen.globalAlpha = took === undefined ? 0.45 : 1;
    const high = y(lost ? MOST : took ?? now - sent);
    pen.fillRect(x(sent) - bar, high, bar, height - high);
  }
  pen.restore();
}

// A colour of the style sheet as a canvas takes it. It changes with the scheme.
const colours = new Map();
function colour(name) {
  if (!colours.has(name)) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    colours.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return colours.get(name);
}
matchMedia("(prefers-color-scheme: dark)").onchange = () => colours.clear();

export function start() {
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  setInterval(beat, EVERY);
  setInterval(tell, 250);
  const frame = () => {
    draw();
    if (calm.matches) setTimeout(frame, 1000);
    else requestAnimationFrame(frame);
  };
  frame();
  for (const button of $("ways").querySelectorAll("button")) {
    const buttons = [...$("ways").querySelectorAll("button")];
    button.onclick = () => run(button, async () => {
      const others = buttons.filter((other) => other !== button);
      others.forEach((other) => turn(other, false));
      await fire(button.value, button.parentElement.querySelector(".verdict"))
        .finally(() => others.forEach((other) => turn(other, true)));
    });
  }
}
