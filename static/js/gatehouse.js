// Script only adds: everything here has a way without it.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) continue;
  const source = document.getElementById(button.dataset.copy);
  const label = button.querySelector("span");
  const name = label.textContent;
  label.setAttribute("aria-live", "polite");
  button.hidden = false;
  button.addEventListener("click", async () => {
    const shown = source.textContent;
    const text = source.value ?? (source.tagName === "PRE" ? shown : shown.replace(/\s+/g, ""));
    await navigator.clipboard.writeText(text);
    label.textContent = button.dataset.done;
    setTimeout(() => (label.textContent = name), 2000);
  });
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// A moment in the reader's own time.
for (const time of document.querySelectorAll("time[datetime]")) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const at = new Date(time.dateTime);
  if (/\d{4}/.test(time.textContent)) Object.assign(options, { day: "numeric", month: "short", year: "numeric" });
  else if (at - Date.now() > 12 * 3600 * 1000) options.weekday = "long";
  time.textContent = at.toLocaleString(document.documentElement.lang.replace(/^en$/, "en-GB"), options);
}

// A code that was refused is there to be typed over.
document.querySelector(".otp[aria-invalid]")?.select();

// Who comes back from the mailbox sees how things stand by now.
if (document.querySelector("[data-fresh]")) {
  document.addEventListener("visibilitychange", () => {
    const idle = !document.querySelector(".otp").value;
    if (document.visibilityState === "visible" && idle) location.replace(location.href);
  });
}

// Work that goes on elsewhere: look again, unless the reader is in the middle of something.
const again = document.querySelector("[data-again]");
if (again) {
  setInterval(() => {
    const reading = document.activeElement === document.body;
    if (document.visibilityState === "visible" && reading) location.reload();
  }, again.dataset.again * 1000);
}

// Lines are looked at by the server while they are typed.
for (const area of document.querySelectorAll("[data-check]")) {
  const told = document.getElementById(area.dataset.told);
  let waiting;
  area.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      const typed = area.value;
      try {
        const answer = await fetch(area.dataset.check, { method: "POST", body: new FormData(area.form) });
        const lines = await answer.text();
        if (answer.ok && !answer.redirected && area.value === typed) told.innerHTML = lines;
      } catch {} // without an answer the form is looked at when it is sent
    }, 400);
  });
}

// One answer per form: a double tap sends one.
for (const form of document.querySelectorAll("form:not([data-send], [action$=download])")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("[data-sent]")) delete form.dataset.sent;
});

document.querySelector("form[data-send]")?.submit();
