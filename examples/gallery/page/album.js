// The album: its photos, their words, and their copies.

import { $, call, request, run, say } from "./call.js";

export async function open() {
  await list();
  $("script").value = await (await request("GET", "/script")).text();
}

export function close() {
  copying?.abort();
  $("photo").close();
  $("photos").replaceChildren();
  $("uploads").replaceChildren();
}

export async function list() {
  const photos = await call("GET", "/photos");
  $("none").hidden = photos.length > 0;
  $("tools").hidden = $("export").hidden = !photos.length;
  const focused = document.activeElement.dataset.photo;
  $("photos").replaceChildren(...photos.map(card));
  showMakers(photos);
  if (focused) focusOn(focused);
}

// Who made how many of the thumbnails, where other processes did.
function showMakers(photos) {
  const counts = new Map();
  for (const { made_by } of photos) {
    if (!made_by) continue;
    const key = `${made_by.host} ${made_by.pid}`;
    const known = counts.get(key) ?? { ...made_by, count: 0 };
    counts.set(key, { ...known, count: known.count + 1 });
  }
  $("makers").hidden = counts.size === 0;
  $("makers").querySelector("tbody").replaceChildren(...[...counts.values()].map(({ host, pid, count }) => {
    const row = document.createElement("tr");
    row.append(...[host, pid, count].map((value) => {
      const cell = document.createElement("td");
      cell.textContent = value;
      return cell;
    }));
    return row;
  }));
}

const focusOn = (id) => $("photos").querySelector(`[data-photo="${id}"]`)?.focus();

function card(photo) {
  const [item, button, image, name, tags] = ["li", "button", "img", "span", "span"]
    .map((tag) => document.createElement(tag));
  image.loading = "lazy";
  image.alt = "";
  image.sizes = "16rem";
  image.srcset = sources(photo);
  image.src = `/photos/${photo.id}/thumbnail`;
  name.className = "name";
  name.textContent = photo.name;
  showTags(tags, photo.tags);
  button.append(image, name, tags);
  if (photo.made_by) {
    const maker = document.createElement("span");
    maker.className = "maker faint";
    maker.textContent = `by process ${photo.made_by.pid} on ${photo.made_by.host}`;
    button.append(maker);
  }
  button.dataset.photo = photo.id;
  button.onclick = () => openPhoto(photo);
  item.append(button);
  return item;
}

// The thumbnail, and the copies that there are. The browser takes the one that fits.
function sources({ id, width, height, copies }) {
  const thumbnail = Math.min(width, Math.round(320 * Math.min(1, width / height)));
  return [
    `/photos/${id}/thumbnail ${thumbnail}w`,
    ...copies.map((copy) => `/photos/${id}/copies/${copy} ${copy}w`),
  ].join(", ");
}

function showTags(where, tags) {
  where.className = "tags";
  where.replaceChildren(...tags.map((tag) => {
    const chip = document.createElement("span");
    chip.textContent = tag;
    return chip;
  }));
}

let shown;

function openPhoto(photo) {
  shown = photo;
  const image = $("large").firstElementChild;
  $("photo-name").textContent = photo.name;
  $("large").href = `/photos/${photo.id}`;
  $("large").title = `${photo.width} × ${photo.height}`;
  image.alt = photo.description || photo.name;
  image.sizes = "42rem";
  image.srcset = `${sources(photo)}, /photos/${photo.id} ${photo.width}w`;
  $("words").elements.description.value = photo.description;
  showTags($("words").querySelector(".tags"), photo.tags);
  say("", false, $("told"));
  $("photo").showModal();
}

$("close").onclick = () => $("photo").close();
// The card that it was opened from may have been made anew.
$("photo").onclose = () => focusOn(shown.id);

$("words").onsubmit = (event) => {
  event.preventDefault();
  run(event.submitter, async () => {
    say("The script is at work …", false, $("told"));
    await call("PUT", `/photos/${shown.id}/description`, $("words").elements.description.value);
    const tags = await call("POST", `/photos/${shown.id}/tags`);
    showTags($("words").querySelector(".tags"), tags);
    say(tags.length ? `Its tags: ${tags.join(", ")}.` : "The script found no tags.", false, $("told"));
    await list();
  }, $("told"));
};

$("keep").onclick = (event) => run(event.target, async () => {
  await call("PUT", "/script", $("script").value);
  say("The script is kept. It runs when you keep a photo's description.");
});

// The long work. Its answer comes line by line; who closes it, cancels the work.
let copying;

$("copy").onclick = (event) => run(event.target, async () => {
  copying = new AbortController();
  $("cancel").hidden = false;
  try {
    const answer = await request("POST", "/album/copies", null, { signal: copying.signal });
    for await (const line of lines(answer.body)) follow(line);
  } catch (error) {
    if (error.name !== "AbortError") throw error;
    say(`Cancelled after ${$("copying").value} of ${$("copying").max} steps.`, false, $("copied"));
  } finally {
    if (document.activeElement === $("cancel")) $("copy").focus();
    $("cancel").hidden = $("copying").hidden = true;
    copying = null;
  }
  await list();
}, $("copied"));

$("cancel").onclick = () => copying?.abort();

function follow({ done, of, photos, problem }) {
  if (problem) throw Error(problem);
  if (photos !== undefined) {
    say(`${photos} ${photos === 1 ? "photo has its" : "photos have their"} copies.`,
      false, $("copied"));
    return;
  }
  $("copying").hidden = false;
  $("copying").max = of;
  $("copying").value = done;
  say(`${done} of ${of} steps`, false, $("copied"));
}

// The JSON of each line of a stream.
async function* lines(body) {
  let text = "";
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part; !(part = await reader.read()).done;) {
    const whole = (text + part.value).split("\n");
    text = whole.pop();
    yield* whole.map((line) => JSON.parse(line));
  }
}
