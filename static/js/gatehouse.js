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
    const text = source.value ?? source.textContent.replace(/\s+/g, "");
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
  if (at - Date.now() > 12 * 3600 * 1000) options.weekday = "long";
  time.textContent = at.toLocaleString(document.documentElement.lang, options);
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
