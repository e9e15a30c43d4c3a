"use strict";
// The dashboard: numbers come once a second as events, and are put into tables
// that are made once, of the parts in parts.js.

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
    const history = loop.longest_lag_seconds;
    const longest = Math.max(...history);
    const top = Math.max(0.005, longest);
    const workers = loop.workers === 1 ? "1 worker" : `${loop.workers} workers`;
    const flavor = loop.flavor === "current_thread" ? "Current-thread runtime" : "Multi-thread runtime";
    const lag = loop.lag_seconds;
    const stuck = loop.stuck_workers ? ` ${loop.stuck_workers === 1 ? "One is" : `${count(loop.stuck_workers)} are`} stuck now.` : "";
    say(parts.text, `${flavor}, ${workers}.${stuck} Since it is watched: p50 ${duration(lag.p50)}, p99 ${duration(lag.p99)}, longest ${duration(lag.max)}.`);
    mark(parts.text, "hurts", loop.stuck_workers > 0);
    say(parts.top, duration(top));
    parts.draw(history, top, 0.1);
    parts.plot.setAttribute("aria-label", `Lag of the loop in the last ${history.length} seconds: now ${duration(lagNow(loop))}, longest ${duration(longest)}.`);
  });
}

/// The second that has just begun may be empty yet.
const lagNow = loop => Math.max(...loop.longest_lag_seconds.slice(-2));

/// What a stuck thread did.
const doing = stall => ({
  computing: "computed",
  waiting: stall.system_call ? `waited in ${stall.system_call}` : "waited",
  starved: "was ready to run: others had the processors",
})[stall.doing] ?? "is not known";

/// Where. One that has no processor is not stuck in a place.
function place(stall) {
  if (stall.doing === "starved") return "nowhere: the machine had more to do than it could";
  return stall.spans.length ? stall.spans.join(" › ") : `in no known span (thread ${stall.thread})`;
}

const stalls = table({
  caption: "Where the event loop was stuck",
  columns: [
    { key: "place", title: "Where", text: true, cell: (cell, item) => say(cell, place(item)) },
    { key: "doing", title: "What the thread did", text: true, wide: true, cell: (cell, item) => say(cell, doing(item)) },
    { key: "count", title: "How often", cell: (cell, item) => say(cell, count(item.count)) },
    { key: "longest", title: "Longest", cell(cell, item) { say(cell, duration(item.longest_seconds)); mark(cell, "hurts", item.doing !== "starved"); } },
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

// ---- what went wrong last

const time = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const happened = {
  panicked: "panicked",
  died: "lost its process",
  refused: "was rejected",
  timed_out: "ran out of time",
  stalled: "was stuck",
  starved: "had no processor",
};
const whose = incident => incident.function ?? (incident.span ? `the event loop, in ${incident.span}` : "the event loop");

/// A moment, with its day if that is another one.
function moment(unix) {
  const then = new Date(unix * 1e3);
  return (then.toDateString() === new Date().toDateString() ? time : date).format(then);
}

function when(incident, now) {
  const ago = now - incident.last_unix_seconds;
  return `${moment(incident.last_unix_seconds)}, ${ago < 1 ? "just now" : `${ago < 60 ? `${Math.floor(ago)}\u00a0s` : duration(ago)} ago`}`;
}

const incidents = table({
  caption: "What went wrong last",
  columns: [
    { key: "whose", title: "What", text: true, cell(cell, item, parts) {
      parts.name ??= cell.append(...(item.function ? pathed(item.function) : [whose(item)])) ?? true;
    } },
    { key: "what", title: "Went wrong", text: true, wide: true, cell(cell, item) {
      say(cell, happened[item.what] ?? item.what);
      mark(cell, "hurts", item.what !== "starved");
    } },
    { key: "when", title: "When", text: true, wide: true, cell: (cell, item) => say(cell, when(item, latest.taken_at_unix_seconds)) },
    { key: "times", title: "Times", wide: true, cell: (cell, item) => say(cell, count(item.times)) },
    { key: "message", title: "Message", text: true, wide: true, cell(cell, item) {
      say(cell, item.message ?? "for those who may see it");
      mark(cell, "message", item.message !== null);
      mark(cell, "zero", item.message === null);
    } },
  ],
});

// ---- pools

/// The processes of a pool, or its workers on other machines and the calls that are queued for them.
function workers({ workers, remote }) {
  if (workers) return `${count(workers.alive)} alive, ${count(workers.idle)} idle; restarts ${count(workers.restarts)}, killed ${count(workers.kills)}, recycled ${count(workers.recycled)}`;
  if (!remote) return "–";
  const stream = remote.waiting ? `${count(remote.waiting)} in the stream, the first for ${duration(remote.oldest_seconds)}` : "none in the stream";
  const own = remote.slots ? `; this one has ${count(remote.serving)} of ${count(remote.slots)}` : "";
  return `${count(remote.workers)} alive; ${stream}; redelivered ${count(remote.redelivered)}, unawaited ${count(remote.unawaited)}${own}`;
}

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
      // Of a remote pool they run where its workers are.
      say(parts.text, item.limit ? `${count(item.running)} of ${count(item.limit)}` : count(item.running));
      parts.meter.hidden = !item.limit;
      parts.meter.max = item.limit;
      parts.meter.high = item.limit * 0.8;
      parts.meter.value = item.running;
    } },
    number("threads", "Threads", item => item.threads),
    number("idle", "Idle", item => item.idle),
    { key: "queued", title: "Queued", wide: true, cell: sparkline(item => item.queued, item => item.queue_limit === null ? count(item.queued) : `${count(item.queued)} of ${count(item.queue_limit)}`, item => item.past) },
    { key: "workers", title: "Workers", text: true, wide: true, cell(cell, item) {
      say(cell, workers(item));
      mark(cell, "zero", !item.workers && !item.remote);
    } },
  ],
});

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
const ranOnce = item => item.finished + item.panicked + item.died + item.killed > 0;
const ever = (times, share) => item => item.started > 0 && (times === "wait_seconds" || ranOnce(item)) ? item[times][share] : null;
const recent = (times, share) => item => item.last_minute?.[times] ? item.last_minute[times][share] : null;
const worst = item => item.notes.some(note => note.level === "bad") ? 2 : item.notes.length ? 1 : 0;

const functions = table({
  caption: "Functions",
  sorted: true,
  sort: "rate",
  columns: [
    { key: "name", title: "Function", text: true, value: item => item.name, cell: named },
    { key: "pool", title: "Kind, pool", text: true, value: item => `${item.kind} ${item.pool}`, cell: kind },
    { key: "rate", title: "Calls/s", wide: true, value: item => item.last_minute?.started_per_second ?? 0,
      cell: sparkline(item => item.last_minute?.started_per_second, item => rate(item.last_minute?.started_per_second ?? null), item => item.past) },
    { key: "running", title: "Running", value: item => item.running, cell(cell, item) {
      say(cell, item.spawned ? `${count(item.running)} (${count(item.spawned)} spawned)` : count(item.running));
      mark(cell, "zero", !item.running && !item.spawned);
    } },
    number("waiting", "Waiting", item => item.waiting),
    { key: "oldest", title: "Oldest", value: item => item.longest_running_seconds, cell(cell, item) {
      say(cell, duration(item.longest_running_seconds));
      mark(cell, "zero", item.longest_running_seconds === null);
    } },
    { key: "limit", title: "Limit in use", value: item => item.limit ? item.limit.used / item.limit.permits : null, cell(cell, item) {
      say(cell, item.limit ? `${count(item.limit.used)} of ${count(item.limit.permits)}` : "–");
      mark(cell, "zero", !item.limit);
      mark(cell, "hurts", Boolean(item.limit?.waiting && item.limit.used >= item.limit.permits));
    } },
    lately("wait50", "Wait p50", recent("wait_seconds", "p50"), ever("wait_seconds", "p50")),
    lately("wait99", "Wait p99", recent("wait_seconds", "p99"), ever("wait_seconds", "p99")),
    lately("run50", "Run p50", recent("run_seconds", "p50"), ever("run_seconds", "p50")),
    lately("run99", "Run p99", recent("run_seconds", "p99"), ever("run_seconds", "p99")),
    { key: "processor", title: "Without CPU", value: item => item.processor_wait_share, cell(cell, item) {
      say(cell, percent(item.processor_wait_share));
      mark(cell, "zero", item.processor_wait_share === null);
      mark(cell, "hurts", item.processor_wait_share >= 0.5);
    } },
    number("refused", "Rejected", item => item.refused, { hurts: item => item.last_minute?.refused }),
    number("timed_out", "Timed out", item => item.timed_out, { hurts: item => item.last_minute?.timed_out }),
    number("panicked", "Panicked", item => item.panicked, { hurts: item => item.last_minute?.panicked }),
    number("cancelled", "Cancelled", item => item.cancelled + item.abandoned),
    number("restarts", "Restarts", item => ["process", "remote"].includes(item.kind) ? item.died + item.killed : null, { hurts: item => item.last_minute?.died }),
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

// ---- the process

const identity = document.getElementById("process");
const who = one => [[one.program, one.host && `on ${one.host}`].filter(Boolean).join(" "), `pid ${one.pid}`, `up for ${duration(one.uptime_seconds)}`, `offload ${one.offload_version}`].filter(Boolean).join(" · ");

function showProcess(process) {
  say(identity, who(process));
  isEnding = process.is_shutting_down;
}

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
    const longest = Math.max(...data.loops.flatMap(loop => loop.longest_lag_seconds.slice(-60)));
    showTile("lag", "Lag of the event loop", duration(now), `longest in a minute ${duration(longest)}`, now >= 0.1);
  }
  const waiting = sum(data.functions, one => one.waiting);
  const oldest = Math.max(...data.functions.map(one => one.longest_running_seconds ?? 0), 0);
  showTile("running", "Bodies running", count(sum(data.functions, one => one.running)), oldest ? `the oldest for ${duration(oldest)}` : "none", false);
  showTile("waiting", "Calls waiting", count(waiting), "for a thread, a permit, a resource", false);
  showTile("rate", "Calls a second", rate(sum(data.functions, one => one.last_minute?.started_per_second ?? 0)), `${count(data.functions.length)} functions`, false);
  const lost = sum(data.functions, one => (one.last_minute?.refused ?? 0) + (one.last_minute?.timed_out ?? 0) + (one.last_minute?.panicked ?? 0) + (one.last_minute?.died ?? 0));
  showTile("lost", "Failed in a minute", count(lost), "rejected, timed out, panicked, died", lost > 0);
  const standing = data.functions.filter(worst).length + data.pools.filter(worst).length;
  showTile("notes", "Stand out", count(standing), standing ? "see below, in words" : "nothing to say", data.functions.some(one => worst(one) === 2));
}

// ---- all of it

function show(data) {
  latest = data;
  // Names need not be unique: their place in the list is.
  data.pools.forEach((pool, n) => { pool.key = n; pool.past = keep(poolPast, n, pool.queued); });
  data.functions.forEach((one, n) => { one.key = n; one.past = keep(functionPast, n, one.last_minute?.started_per_second ?? 0); });
  showTiles(data);
  showProcess(data.process);
  data.incidents.forEach(one => { one.key = `${one.what} ${one.function ?? one.span} ${one.first_unix_seconds}`; });
  fill(document.getElementById("incidents"), incidents, data.incidents, "Nothing, since the process began.");
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
let isEnding = false;
function connected() {
  clearTimeout(lost);
  lost = null;
  state.className = isEnding ? "lost" : "live";
  say(state, isEnding ? "The server is shutting down." : "Live");
}
function disconnected() {
  // A response ends now and then, and the next begins: that is not worth a word.
  lost ??= setTimeout(() => {
    state.className = "lost";
    say(state, isEnding
      ? "The server has shut down. These are its last numbers; looking for the next one …"
      : "The server does not answer. These are its last numbers; trying again …");
  }, 4_000);
}

function listen() {
  const source = new EventSource("events");
  source.onmessage = event => { show(JSON.parse(event.data)); connected(); };
  source.onerror = () => {
    disconnected();
    // The browser tries again by itself, unless the answer was a rejection.
    if (source.readyState === EventSource.CLOSED) setTimeout(listen, 5_000);
  };
}
listen();
