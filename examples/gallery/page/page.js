// The page: who is there, and what they see.

import { $, call, onLeave, run, say } from "./call.js";
import { open as openAlbum, close as closeAlbum } from "./album.js";
import { start as startHeartbeat } from "./heartbeat.js";
import "./uploads.js";

async function show(user) {
  $("who").textContent = user ? user.name : "";
  for (const id of ["watch", "leave", "home"]) $(id).hidden = !user;
  $("enter").hidden = !!user;
  if (user) await openAlbum();
  else closeAlbum();
}

// Where what had the focus is hidden, it goes to what is there instead.
async function change(user) {
  await show(user);
  (user ? $("mine") : $("enter").elements.name).focus();
}

onLeave(() => change(null));

$("enter").onsubmit = (event) => {
  event.preventDefault();
  const form = event.target;
  run(event.submitter, async () => {
    const user = await call("POST", event.submitter.value, Object.fromEntries(new FormData(form)));
    form.reset();
    say("");
    await change(user);
  });
};

$("leave").onclick = (event) => run(event.target, async () => {
  await call("DELETE", "/session");
  say("You are logged out.");
  await change(null);
});

startHeartbeat();
call("GET", "/visitor").then(show).catch((error) => {
  show(null);
  say(error.message, true);
});
