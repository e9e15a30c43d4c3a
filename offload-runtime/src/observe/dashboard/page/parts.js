"use strict";
// What the page is made of: words for numbers, elements, plots, tables. Whatever comes from the
// server becomes text, never markup.

const KEPT = 60; // seconds of history of a pool or function

// ---- words for numbers

const digits = value => value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
const duration = seconds => // its unit stays on its line
  seconds === null ? "–" :
  seconds >= 172_800 ? `${digits(seconds / 86_400)}\u00a0days` :
  seconds >= 7_200 ? `${digits(seconds / 3_600)}\u00a0h` :
  seconds >= 60 ? `${digits(seconds / 60)}\u00a0min` :
  seconds >= 1 ? `${digits(seconds)}\u00a0s` :
  seconds >= 1e-3 ? `${digits(seconds * 1e3)}\u00a0ms` :
  seconds > 0 ? `${digits(seconds * 1e6)}\u00a0µs` : "0";
const percent = share => share === null ? "–" : `${Math.round(share * 100)}\u00a0%`;
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
    const all = [...rows.values()].sort((a, b) => a.at - b.at);
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
      for (const [at, item] of items.entries()) {
        seen.add(item.key);
        const one = rows.get(item.key) ?? row(item.key);
        Object.assign(one, { item, at });
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

/// A name, its path in grey before it. A line may end in between.
function pathed(name) {
  const at = name.lastIndexOf("::");
  const path = at < 0 ? "" : name.slice(0, at + 2);
  const parted = path.split("::").slice(0, -1).flatMap(part => [`${part}::`, make("wbr")]);
  return [make("span", { class: "path" }, ...parted), name.slice(path.length)];
}

/// A name, and below it what stands out.
function named(cell, item, parts) {
  if (!parts.list) {
    parts.list = make("ul", { class: "notes" });
    cell.append(...pathed(item.name), parts.list);
  }
  notes(parts.list, item.notes);
}

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
