// Photos on their way up: how far each is, and why one was refused.

import { $, UNREACHABLE, failure } from "./call.js";
import { list } from "./album.js";

const MAX_BODY = 10 * 1024 * 1024;

function send(file, progress) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // fetch does not tell how far it is
    const name = [...file.name].slice(-100).join("");
    request.open("POST", `/photos?name=${encodeURIComponent(name)}`);
    request.upload.onprogress = ({ loaded, total }) => {
      progress.max = total;
      progress.value = loaded;
    };
    request.upload.onload = () => progress.removeAttribute("value"); // the server is at work
    request.onerror = () => failed(Error(UNREACHABLE));
    request.onload = () => request.status === 201
      ? done()
      : failed(failure(request.status, request.responseText));
    request.send(file);
  });
}

async function upload(file) {
  const item = document.createElement("li");
  const name = document.createElement("span");
  const progress = document.createElement("progress");
  name.textContent = file.name;
  progress.value = 0;
  progress.ariaLabel = `Upload of ${file.name}`;
  item.append(name, progress);
  $("uploads").append(item);
  try {
    if (file.size > MAX_BODY) throw Error(`A photo may have up to ${MAX_BODY >> 20} MiB.`);
    await send(file, progress);
    item.remove();
  } catch (error) {
    const reason = document.createElement("span");
    reason.className = "bad";
    reason.role = "alert";
    reason.textContent = error.message;
    const close = document.createElement("button");
    close.textContent = "×";
    close.ariaLabel = `Dismiss ${file.name}`;
    close.onclick = () => {
      item.remove();
      $("files").focus();
    };
    progress.replaceWith(reason, close);
  }
}

async function uploadAll(files) {
  // One after the other: they share the line anyway.
  for (const file of files) {
    await upload(file);
    await list().catch(() => {});
  }
}

$("files").onchange = ({ target }) => {
  const files = [...target.files];
  target.value = "";
  uploadAll(files);
};

$("home").ondragover = (event) => {
  event.preventDefault();
  $("home").classList.add("drop");
};
$("home").ondragleave = () => $("home").classList.remove("drop");
$("home").ondrop = (event) => {
  event.preventDefault();
  $("home").classList.remove("drop");
  uploadAll(event.dataTransfer.files);
};
