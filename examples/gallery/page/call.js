// Talking to the server, and to the reader.

export const $ = (id) => document.getElementById(id);

export function say(text, bad = false, where = $("message")) {
  where.textContent = text;
  where.classList.toggle("bad", bad);
}

export const UNREACHABLE = "The gallery does not answer. Is it still running?";

// An Error whose message can be shown, of an answer that is none.
export function failure(status, text) {
  let detail;
  try {
    detail = JSON.parse(text).detail;
  } catch {}
  return Object.assign(Error(detail ?? `The gallery answered ${status}.`), { status });
}

// The answer, if the request was served. An object is sent as JSON, all else as it is.
export async function request(method, path, body, options) {
  const json = body?.constructor === Object;
  const headers = json ? { "content-type": "application/json" } : {};
  const sent = { method, headers, body: json ? JSON.stringify(body) : body, ...options };
  const answer = await fetch(path, sent).catch((error) => {
    throw error.name === "AbortError" ? error : Error(UNREACHABLE);
  });
  if (!answer.ok) throw failure(answer.status, await answer.text());
  return answer;
}

// Its JSON.
export async function call(method, path, body) {
  const answer = await request(method, path, body);
  return answer.status === 204 ? null : answer.json();
}

// What happens to a reader who is logged in no more.
let leave = () => {};
export const onLeave = (then) => { leave = then; };

// Off, a control does nothing, but keeps the focus: whoever uses a keyboard or a screen reader
// would have to find the place again.
export function turn(control, on) {
  control.ariaDisabled = on ? null : "true";
}

// Runs one thing that the reader asked for, with its button off meanwhile.
export async function run(control, work, where) {
  if (control.ariaDisabled) return;
  turn(control, false);
  try {
    await work();
  } catch (error) {
    if (error.status === 401) leave();
    say(error.message, true, error.status === 401 ? undefined : where);
  }
  turn(control, true);
}
