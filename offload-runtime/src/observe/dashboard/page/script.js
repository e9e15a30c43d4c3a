"use strict";
// The dashboard: numbers come once a second as events, and are put into tables
// that are made once. Whatever comes from the server becomes text, never markup.

const KEPT = 60; // seconds of history of a pool or function

// ---- words for numbers

const millis = time => time.secs * 1e3 + time.nanos / 1e6;
const digits = value => value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const duration = ms => // its unit stays on its line
  ms === null ? "–" :
  ms >= 60_000 ? `${digits(ms / 60_000)}\u00a0min` :
  ms >= 1_000 ? `${digits(ms / 1_000)}\u00a0s` :
  ms >= 1 ? `${digits(ms)}\u00a0ms` :
  ms > 0 ? `${digits(ms * 1e3)}\u00a0µs` : "0";
const whole = new Intl.NumberFormat("en");
const count = value => whole.format(value);
const rate = value => value === null ? "–" : value === 0 ? "0" : value >= 1000 ? count(Math.round(value)) : digits(value);

// ---- making elements

function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

function makeSvg(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function mark(element, name, on) {
  if (element.classList.contains(name) !== on) element.classList.toggle(name, on);
}

// ---- plots

/// A line over an area, the newest value at the right end.
function plot(slots) {
  const area = makeSvg("path", { class: "area" });
  const curve = makeSvg("path", { class: "curve" });
  const high = makeSvg("path", { class: "high" });
  const svg = makeSvg("svg", { viewBox: `0 0 ${slots - 1} 100`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, curve, high);
  const draw = (values, top, line) => {
    const y = value => (100 - 96 * Math.min(value, top) / (top || 1)).toFixed(1);
    const first = slots - values.length;
    const points = values.map((value, n) => `${first + n} ${y(value)}`).join(" L");
    curve.setAttribute("d", values.length > 1 ? `M${points}` : "");
    area.setAttribute("d", values.length > 1 ? `M${first} 100 L${points} L${slots - 1} 100 Z` : "");
    high.setAttribute("d", line && line < top ? `M0 ${y(line)} H${slots - 1}` : "");
  };
  return { svg, draw };
}

// ---- tables: a row for each key, made once and changed in place

function table({ caption, columns, sort, sorted }) {
  const state = { by: sort ?? null, down: true };
  const heads = columns.map(column => {
    const head = make("th", { scope: "col", role: "columnheader", class: (column.text ? "text " : "") + (sorted && column.value ? "" : "plain") });
    if (sorted && column.value) {
      head.append(make("button", { type: "button", onclick() {
        state.down = state.by === column.key ? !state.down : !column.text;
        state.by = column.key;
        arrange();
      } }, column.title));
    } else {
      head.append(column.title);
    }
    return head;
  });
  const body = make("tbody", { role: "rowgroup" });
  const element = make("table", { role: "table", "aria-label": caption },
    make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, ...heads)), body);
  const rows = new Map();

  function row(key) {
    const cells = columns.map((column, n) => n === 0
      ? make("th", { scope: "row", role: "rowheader", class: "text" })
      : make("td", { role: "cell", class: (column.text ? "text " : "") + (column.wide ? "wide" : ""), "data-label": column.title }));
    const made = { key, element: make("tr", { role: "row" }, ...cells), cells, parts: cells.map(() => ({})), item: null };
    rows.set(key, made);
    return made;
  }

  function arrange() {
    columns.forEach((column, n) => {
      if (state.by === column.key) heads[n].setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else heads[n].removeAttribute("aria-sort");
    });
    const all = [...rows.values()];
    const column = columns.find(column => column.key === state.by);
    if (column) {
      const compare = (a, b) => typeof a === "string" ? a.localeCompare(b) : (a ?? -1) - (b ?? -1);
      all.sort((a, b) => (state.down ? -1 : 1) * compare(column.value(a.item), column.value(b.item)));
    }
    // Rows that are where they belong stay, so that the focus does too.
    let next = body.firstElementChild;
    for (const { element } of all) {
      if (element === next) next = next.nextElementSibling;
      else body.insertBefore(element, next);
    }
  }

  return {
    element,
    rows,
    show(items) {
      const seen = new Set();
      for (const item of items) {
        seen.add(item.key);
        const one = rows.get(item.key) ?? row(item.key);
        one.item = item;
        columns.forEach((column, n) => column.cell(one.cells[n], item, one.parts[n]));
      }
      for (const [key, one] of rows) {
        if (!seen.has(key)) { one.element.remove(); rows.delete(key); }
      }
      arrange();
    },
  };
}

function number(key, title, value, { hurts } = {}) {
  return { key, title, value, cell(cell, item) {
    const now = value(item);
    say(cell, now === null ? "–" : count(now));
    mark(cell, "zero", !now);
    mark(cell, "hurts", Boolean(hurts?.(item)));
  } };
}

/// A kind, and the pool of a function that is not the default one of its kind.
function kind(cell, item) {
  const pool = item.pool && item.pool !== item.kind ? ` ${item.pool}` : "";
  if (cell.textContent !== item.kind + pool) {
    cell.replaceChildren(make("span", { class: "with-pool" }, make("span", { class: `kind ${item.kind}` }, item.kind), pool));
  }
}

/// What stands out, as a list below a name.
function notes(list, all) {
  const same = list.children.length === all.length
    && all.every((note, n) => list.children[n].textContent === note.text);
  if (!same) list.replaceChildren(...all.map(note => make("li", { class: note.level === "bad" ? "bad" : "warn" }, note.text)));
}

/// A name, its path in grey before it, and below it what stands out.
function named(cell, item, parts) {
  if (!parts.list) {
    const at = item.name.lastIndexOf("::");
    const path = at < 0 ? "" : item.name.slice(0, at + 2);
    parts.list = make("ul", { class: "notes" });
    const parted = path.split("::").slice(0, -1).flatMap(part => [`${part}::`, make("wbr")]);
    cell.append(make("span", { class: "path" }, ...parted), item.name.slice(path.length), parts.list);
  }
  notes(parts.list, item.notes);
}

// ---- the event loop

const loops = document.getElementById("loops");
const shownLoops = [];
function showLoops(all) {
  if (all.length === 0) {
    if (shownLoops.length || !loops.firstChild) {
      shownLoops.length = 0;
      loops.replaceChildren(make("p", { class: "empty" }, "No event loop is watched. The feature `watch` of offload-runtime does it."));
    }
    return;
  }
  if (shownLoops.length !== all.length) {
    shownLoops.length = 0;
    loops.replaceChildren(...all.map(() => {
      const { svg, draw } = plot(300);
      const parts = { draw, text: make("p", { class: "numbers" }), top: make("span", { class: "top" }) };
      shownLoops.push(parts);
      parts.plot = make("div", { class: "plot", role: "img" }, svg, parts.top,
        make("span", { class: "ago left" }, "5 minutes ago"), make("span", { class: "ago right" }, "now"));
      return make("div", { class: "loop" }, parts.text, parts.plot);
    }));
  }
  all.forEach((loop, n) => {
    const parts = shownLoops[n];
    const history = loop.history.map(micros => micros / 1e3);
    const longest = Math.max(...history);
    const top = Math.max(5, longest);
    const workers = loop.workers === 1 ? "1 worker" : `${loop.workers} workers`;
    const flavor = loop.flavor === "current_thread" ? "Current-thread runtime" : "Multi-thread runtime";
    say(parts.text, `${flavor}, ${workers}. Since it is watched: p50 ${duration(millis(loop.lag.p50))}, p99 ${duration(millis(loop.lag.p99))}, longest ${duration(millis(loop.lag.max))}.`);
    say(parts.top, duration(top));
    parts.draw(history, top, 100);
    parts.plot.setAttribute("aria-label", `Lag of the loop in the last ${history.length} seconds: now ${duration(lagNow(loop))}, longest ${duration(longest)}.`);
  });
}

/// The second that has just begun may be empty yet.
const lagNow = loop => Math.max(...loop.history.slice(-2)) / 1e3;

function doing(what) {
  if (what === "computing") return "computes";
  if (what === "starved") return "is ready to run, and gets no processor";
  if (what && typeof what === "object") return what.waiting ? `waits in ${what.waiting}` : "waits";
  return "unknown";
}

const stalls = table({
  caption: "Where the event loop was stuck",
  columns: [
    { key: "place", title: "Where", text: true, cell: (cell, item) => say(cell, item.spans.length ? item.spans.join(" › ") : `in no known span (thread ${item.thread})`) },
    { key: "doing", title: "What the thread did", text: true, wide: true, cell: (cell, item) => say(cell, doing(item.doing)) },
    { key: "count", title: "How often", cell: (cell, item) => say(cell, count(item.count)) },
    { key: "longest", title: "Longest", cell(cell, item) { say(cell, duration(millis(item.longest))); mark(cell, "hurts", true); } },
  ],
});
const stallsPlace = document.getElementById("stalls");
function showStalls(all) {
  if (all.length === 0) return stallsPlace.replaceChildren();
  if (!stallsPlace.firstChild) {
    stallsPlace.append(make("div", { class: "stalls" }, make("h3", {}, "Stalls"), stalls.element));
  }
  stalls.show(all);
}

// ---- pools

const poolPast = new Map();
const pools = table({
  caption: "Pools",
  columns: [
    { key: "name", title: "Pool", text: true, cell: named },
    { key: "kind", title: "Kind", text: true, cell: kind },
    { key: "running", title: "Running", wide: true, cell(cell, item, parts) {
      if (!parts.text) {
        parts.text = make("span");
        parts.meter = make("meter", { min: 0, "aria-hidden": "true" });
        cell.append(make("span", {}, parts.meter, parts.text));
      }
      say(parts.text, `${count(item.running)} of ${count(item.limit)}`);
      parts.meter.max = item.limit;
      parts.meter.high = item.limit * 0.8;
      parts.meter.value = item.running;
    } },
    number("threads", "Threads", item => item.threads),
    number("idle", "Idle", item => item.idle),
    { key: "queued", title: "Queued", wide: true, cell: sparkline(item => item.queued, item => item.queue_limit === null ? count(item.queued) : `${count(item.queued)} of ${count(item.queue_limit)}`, item => item.past) },
    { key: "workers", title: "Processes", text: true, wide: true, cell(cell, item) {
      const workers = item.workers;
      say(cell, workers ? `${count(workers.alive)} alive, ${count(workers.idle)} idle; restarts ${count(workers.restarts)}, killed ${count(workers.kills)}, recycled ${count(workers.recycled)}` : "–");
      mark(cell, "zero", !workers);
    } },
  ],
});

/// A number, after a small plot of what it was in the last minute: so numbers stand below each other.
function sparkline(value, text, past) {
  return (cell, item, parts) => {
    if (!parts.text) {
      const { svg, draw } = plot(KEPT);
      parts.draw = draw;
      parts.text = make("span");
      cell.append(make("span", {}, make("span", { class: "spark" }, svg), parts.text));
    }
    say(parts.text, text(item));
    mark(parts.text, "zero", !value(item));
    const values = past(item);
    parts.draw(values, Math.max(...values, 1e-9));
  };
}

function keep(past, key, value) {
  const values = past.get(key) ?? [];
  past.set(key, values);
  values.push(value);
  if (values.length > KEPT) values.shift();
  return values;
}

// ---- resources

const resourcePast = new Map();
const resources = table({
  caption: "Resources",
  columns: [
    { key: "name", title: "Resource", text: true, cell: (cell, item) => say(cell, item.name) },
    { key: "kind", title: "Lent to", text: true, cell: (cell, item) => say(cell, { exclusive: "one body at a time", shared: "all bodies", thread: "bodies of its thread" }[item.kind] ?? item.kind) },
    { key: "in_use", title: "In use", cell: (cell, item) => say(cell, item.size === null ? count(item.in_use) : `${count(item.in_use)} of ${count(item.size)}`) },
    { key: "waiting", title: "Waiting", wide: true, cell: sparkline(item => item.waiting, item => count(item.waiting), item => item.past) },
    number("made", "Made", item => item.made),
    number("dropped", "Dropped", item => item.dropped),
    number("failed", "Failed", item => item.failed, { hurts: item => item.failed > 0 }),
  ],
});

// ---- functions

const functionPast = new Map();
const lately = (key, title, of, ever) => ({
  key, title, value: item => of(item) ?? ever(item),
  cell(cell, item) {
    const now = of(item);
    say(cell, duration(now ?? ever(item)));
    mark(cell, "old", now === null);
  },
});
const ranOnce = item => item.finished + item.panicked + (item.died ?? 0) + (item.killed ?? 0) > 0;
const ever = (times, share) => item => item.started > 0 && (times === "wait" || ranOnce(item)) ? millis(item[times][share]) : null;
const recent = (times, share) => item => item.recent?.[times] ? item.recent[times][share] / 1e3 : null;
const worst = item => item.notes.some(note => note.level === "bad") ? 2 : item.notes.length ? 1 : 0;

const functions = table({
  caption: "Functions",
  sorted: true,
  sort: "rate",
  columns: [
    { key: "name", title: "Function", text: true, value: item => item.name, cell: named },
    { key: "pool", title: "Kind, pool", text: true, value: item => `${item.kind} ${item.pool}`, cell: kind },
    { key: "rate", title: "Calls/s", wide: true, value: item => item.recent?.rate ?? 0,
      cell: sparkline(item => item.recent?.rate, item => rate(item.recent?.rate ?? null), item => item.past) },
    lately("wait50", "Wait p50", recent("wait", "p50"), ever("wait", "p50")),
    lately("wait99", "Wait p99", recent("wait", "p99"), ever("wait", "p99")),
    lately("run50", "Run p50", recent("run", "p50"), ever("run", "p50")),
    lately("run99", "Run p99", recent("run", "p99"), ever("run", "p99")),
    number("refused", "Refused", item => item.refused, { hurts: item => item.recent?.refused }),
    number("timed_out", "Timed out", item => item.timed_out, { hurts: item => item.recent?.timed_out }),
    number("panicked", "Panicked", item => item.panicked, { hurts: item => item.recent?.panicked }),
    number("cancelled", "Cancelled", item => item.cancelled + item.abandoned),
    number("restarts", "Restarts", item => item.kind === "process" ? (item.died ?? 0) + (item.killed ?? 0) : null, { hurts: item => item.recent?.died }),
  ],
});

const filter = document.getElementById("filter");
const noted = document.getElementById("noted");
const shown = document.getElementById("shown");
const tablePlace = document.getElementById("table");
let latest = null;

function showFunctions() {
  if (!latest) return;
  const text = filter.value.trim().toLowerCase();
  const all = latest.functions.filter(item =>
    (!noted.checked || item.notes.length > 0)
    && [item.name, item.kind, item.pool].some(word => word.toLowerCase().includes(text)));
  functions.show(all);
  say(shown, text || noted.checked ? `${all.length} of ${latest.functions.length} functions` : "");
}
filter.addEventListener("input", showFunctions);
noted.addEventListener("change", showFunctions);

// ---- in short

const tiles = document.getElementById("tiles");
const tile = new Map();
function showTile(key, what, value, more, bad) {
  if (!tile.has(key)) {
    const parts = { value: make("span", { class: "value" }), more: make("span", { class: "more" }) };
    parts.element = make("li", {}, make("span", { class: "what" }, what), parts.value, parts.more);
    tile.set(key, parts);
    tiles.append(parts.element);
  }
  const parts = tile.get(key);
  say(parts.value, value);
  say(parts.more, more);
  mark(parts.element, "bad", bad);
}

function showTiles(data) {
  const sum = (all, of) => all.reduce((total, item) => total + of(item), 0);
  if (data.loops.length) {
    const now = Math.max(...data.loops.map(lagNow));
    const longest = Math.max(...data.loops.flatMap(loop => loop.history.slice(-60))) / 1e3;
    showTile("lag", "Lag of the event loop", duration(now), `longest in a minute ${duration(longest)}`, now >= 100);
  }
  const queued = sum(data.pools, pool => pool.queued);
  showTile("running", "Bodies running", count(sum(data.pools, pool => pool.running)), `${count(queued)} queued`, false);
  showTile("rate", "Calls a second", rate(sum(data.functions, one => one.recent?.rate ?? 0)), `${count(data.functions.length)} functions`, false);
  const lost = sum(data.functions, one => (one.recent?.refused ?? 0) + (one.recent?.timed_out ?? 0) + (one.recent?.panicked ?? 0) + (one.recent?.died ?? 0));
  showTile("lost", "Failed in a minute", count(lost), "refused, timed out, panicked, died", lost > 0);
  const standing = data.functions.filter(worst).length + data.pools.filter(worst).length;
  showTile("notes", "Stand out", count(standing), standing ? "see below, in words" : "nothing to say", data.functions.some(one => worst(one) === 2));
}

// ---- all of it

function show(data) {
  latest = data;
  // Names need not be unique: their place in the list is.
  data.pools.forEach((pool, n) => { pool.key = n; pool.past = keep(poolPast, n, pool.queued); });
  data.functions.forEach((one, n) => { one.key = n; one.past = keep(functionPast, n, one.recent?.rate ?? 0); });
  showTiles(data);
  showLoops(data.loops);
  showStalls(data.loops.flatMap((loop, l) => loop.stalls.map((stall, n) => ({ ...stall, key: `${l} ${n}` }))));
  fill(document.getElementById("pools"), pools, data.pools, "No pool has had a call yet.");
  data.resources.forEach((one, n) => { one.key = n; one.past = keep(resourcePast, n, one.waiting); });
  document.getElementById("resources-part").hidden = data.resources.length === 0;
  fill(document.getElementById("resources"), resources, data.resources, "No resource has been borrowed yet.");
  fill(tablePlace, functions, data.functions, "No offloaded function has been called yet.", showFunctions);
}

function fill(place, into, items, nothing, draw = () => into.show(items)) {
  if (items.length === 0) {
    if (!place.firstChild) place.append(make("p", { class: "empty" }, nothing));
    return;
  }
  if (place.firstChild !== into.element) place.replaceChildren(into.element);
  draw();
}

// ---- the connection

const state = document.getElementById("state");
let lost = null;
function connected() {
  clearTimeout(lost);
  lost = null;
  state.className = "live";
  say(state, "Live");
}
function disconnected() {
  // A response ends now and then, and the next begins: that is not worth a word.
  lost ??= setTimeout(() => {
    state.className = "lost";
    say(state, "The server does not answer. These are its last numbers; trying again …");
  }, 4_000);
}

function listen() {
  const source = new EventSource("events");
  source.onmessage = event => { show(JSON.parse(event.data)); connected(); };
  source.onerror = () => {
    disconnected();
    // The browser tries again by itself, unless the answer was a refusal.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5_000);
  };
}
listen();
