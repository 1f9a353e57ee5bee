"use strict";
// Copy buttons, uploads with progress, and addresses that follow a search. Pages can be
// read without this file.

function say(button, text) {
  const before = button.textContent;
  button.textContent = text;
  setTimeout(() => { button.textContent = before; }, 2000);
}

function showCopyButtons(root) {
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const text = document.getElementById(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(text.textContent);
    say(button, "Copied");
  } catch {
    const range = document.createRange();
    range.selectNodeContents(text);
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    say(button, "Selected");
  }
});

// A form with files is sent in the background, so that its progress is shown.
function sendWithProgress(form, files) {
  const bar = form.querySelector("progress");
  const status = form.querySelector("[role=status]");
  const data = new FormData();
  for (const field of form.querySelectorAll("input:not([type=file]), select")) {
    if (field.name && (field.type !== "checkbox" || field.checked)) data.append(field.name, field.value);
  }
  for (const file of files) data.append("file", file, file.name);
  const request = new XMLHttpRequest();
  let told = 0;
  request.upload.addEventListener("progress", (e) => {
    if (!e.lengthComputable) return;
    bar.hidden = false;
    bar.value = e.loaded / e.total;
    if (Date.now() - told > 1000) {
      told = Date.now();
      status.textContent = Math.round(100 * e.loaded / e.total) + " % sent";
    }
  });
  request.addEventListener("load", () => {
    const type = request.getResponseHeader("Content-Type") || "";
    if (request.status < 400 && request.responseURL) {
      location.assign(request.responseURL);
    } else if (type.startsWith("text/html")) {
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      const reason = page.querySelector(".error");
      status.textContent = reason ? reason.textContent.trim() : "The server has refused the upload.";
    } else {
      status.textContent = "The server has refused the upload.";
    }
  });
  request.addEventListener("error", () => { status.textContent = "The connection was lost. Send the files again."; });
  request.open("POST", form.action);
  request.send(data);
  status.textContent = "Sending " + files.length + (files.length === 1 ? " file" : " files");
}

document.addEventListener("submit", (event) => {
  const form = event.target.closest("form[data-upload]");
  if (!form) return;
  const files = form.querySelector("input[type=file]").files;
  if (!files.length) return;
  event.preventDefault();
  sendWithProgress(form, files);
});

for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    const form = event.target.closest && event.target.closest("form[data-upload]");
    if (!form) return;
    event.preventDefault();
    form.classList.toggle("over", kind === "dragover");
    if (kind === "drop" && event.dataTransfer.files.length) sendWithProgress(form, event.dataTransfer.files);
  });
}

// On a narrow screen the sections are one line that scrolls: the current one is shown.
const section = document.querySelector(".side [aria-current]");
if (section) section.scrollIntoView({block: "nearest", inline: "center"});

document.addEventListener("htmx:after:swap", () => showCopyButtons(document));
showCopyButtons(document);
