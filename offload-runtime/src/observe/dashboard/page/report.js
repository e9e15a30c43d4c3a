"use strict";
// All that the page shows, as text: for a report, or for whoever is asked for help.

function report(data) {
  const lines = [];
  const section = (title, rows) => { if (rows.length) lines.push("", `## ${title}`, "", ...rows); };
  const times = (now, ever) => now ? `p50 ${duration(now.p50)}, p99 ${duration(now.p99)}` : `p50 ${duration(ever.p50)}, p99 ${duration(ever.p99)} (since the start)`;
  const noted = all => all.map(note => `  ! ${note.text}`);
  lines.push(`# ${who(data.process)}${data.process.is_shutting_down ? " · shutting down" : ""}`);
  lines.push("", `Taken at ${new Date(data.taken_at_unix_seconds * 1e3).toISOString()}.`);
  section("What went wrong last", data.incidents.map(one =>
    `- ${new Date(one.last_unix_seconds * 1e3).toISOString()} ${whose(one)} ${happened[one.what] ?? one.what}, ${count(one.times)} times${one.message ? `: ${one.message}` : ""}`));
  section("Event loops", data.loops.flatMap(loop => [
    `- ${loop.flavor}, ${loop.workers} workers, ${loop.stuck_workers} stuck; lag p50 ${duration(loop.lag_seconds.p50)}, p99 ${duration(loop.lag_seconds.p99)}, longest ${duration(loop.lag_seconds.max)}`,
    ...loop.stalls.map(stall => `  - ${place(stall)}: the thread ${doing(stall)}, ${count(stall.count)} times, longest ${duration(stall.longest_seconds)}`),
  ]));
  section("Pools", data.pools.flatMap(pool => [
    `- ${pool.name} (${pool.kind}): ${pool.running} running of ${pool.limit}, ${pool.queued} queued, ${pool.threads} threads, ${pool.idle} idle${pool.workers || pool.remote ? `; workers: ${workers(pool)}` : ""}`,
    ...noted(pool.notes),
  ]));
  section("Resources", data.resources.map(one =>
    `- ${one.name}: ${one.in_use} in use${one.size === null ? "" : ` of ${one.size}`}, ${one.waiting} waiting; made ${one.made}, dropped ${one.dropped}, failed ${one.failed}`));
  section("Functions", data.functions.flatMap(one => [
    `- ${one.name} (${one.kind}, ${one.pool}): ${one.running} running, ${one.waiting} waiting, oldest ${duration(one.longest_running_seconds)}${one.limit ? `, limit ${one.limit.used} of ${one.limit.permits}` : ""}; wait ${times(one.last_minute?.wait_seconds, one.wait_seconds)}; run ${times(one.last_minute?.run_seconds, one.run_seconds)}; without processor ${percent(one.processor_wait_share)}; started ${one.started}, finished ${one.finished}, panicked ${one.panicked}, rejected ${one.refused}, timed out ${one.timed_out}, cancelled ${one.cancelled}, abandoned ${one.abandoned}, died ${one.died}, killed ${one.killed}`,
    ...noted(one.notes),
  ]));
  return `${lines.join("\n")}\n`.replaceAll("\u00a0", " ");
}

const copy = document.getElementById("copy");
const copied = document.getElementById("copied");
const text = document.getElementById("report");

copy.addEventListener("click", async () => {
  if (!latest) return;
  text.value = report(latest);
  try {
    await navigator.clipboard.writeText(text.value);
    text.hidden = true;
    say(copied, "Copied.");
  } catch {
    // Without TLS a browser lets nobody write there: the reader does it by hand.
    text.hidden = false;
    text.select();
    say(copied, "This browser does not let the page copy: it is selected below.");
  }
});
