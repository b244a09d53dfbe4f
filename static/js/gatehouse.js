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

// Moments in the reader's own time.
function tellTimes(part) {
  for (const time of part.querySelectorAll("time[datetime]")) {
    const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    const at = new Date(time.dateTime);
    if (/\d{4}/.test(time.textContent)) Object.assign(options, { day: "numeric", month: "short", year: "numeric" });
    else if (at - Date.now() > 12 * 3600 * 1000) options.weekday = "long";
    time.textContent = at.toLocaleString(document.documentElement.lang.replace(/^en$/, "en-GB"), options);
  }
}
tellTimes(document);

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

// How long it is until the next code may be asked for; the buttons wait as long.
const timer = document.querySelector("[data-wait]");
if (timer) {
  const bar = document.querySelector("[data-bar]");
  const ends = Date.now() + timer.dataset.wait * 1000;
  const tick = () => {
    const left = Math.max(0, Math.ceil((ends - Date.now()) / 1000));
    const shown = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    timer.textContent = timer.dataset.says.replace("{}", shown);
    timer.hidden = bar.hidden = !left;
    bar.value = bar.max - left;
    for (const button of document.querySelectorAll("[data-waits]")) button.disabled = left > 0;
    if (!left) clearInterval(ticking);
  };
  const ticking = setInterval(tick, 250);
  tick();
}

// How a message stands, until it has arrived or is lost; less and less often.
const watched = document.querySelector("[data-watch]");
if (watched) {
  let pause = 1500;
  const look = async () => {
    if (!watched.querySelector("[data-underway]") || pause > 20000) return;
    try {
      const answer = document.visibilityState === "visible" && (await fetch(watched.dataset.watch));
      if (answer && (answer.redirected || !answer.ok)) return;
      if (answer) show(await answer.text());
    } catch {} // without an answer it is asked again
    setTimeout(look, (pause *= 1.25));
  };
  const show = (told) => {
    const fresh = watched.cloneNode();
    fresh.innerHTML = told;
    tellTimes(fresh);
    if (fresh.textContent.trim() === watched.textContent.trim()) return; // nothing new to read out
    watched.replaceChildren(...fresh.childNodes);
    if (!watched.querySelector("[data-failed]")) return;
    for (const button of document.querySelectorAll("[data-waits=unless-failed]")) {
      button.removeAttribute("data-waits");
      button.disabled = false;
    }
  };
  setTimeout(look, pause);
}

// Passkeys: the device signs what the server asks, and the form carries it back.
for (const form of document.querySelectorAll("[data-passkey]")) {
  if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) continue;
  const { passkey, options, autofill } = form.dataset;
  const button = form.querySelector("[data-start]");
  const tell = (name) => {
    for (const told of form.querySelectorAll("[data-told] > *")) told.hidden = !told.hasAttribute(`data-told-${name}`);
    if (button) button.disabled = false;
  };
  const sign = async (mediation) => {
    try {
      const answer = await fetch(options, { method: "POST", body: new FormData(form) });
      if (answer.redirected || !answer.ok) return location.replace(location.href);
      const asked = await answer.json();
      const made = passkey === "create"
        ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) })
        : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked), ...mediation });
      form.elements.credential.value = JSON.stringify(made.toJSON());
      // What is offered in the code's field goes with the box beside that field.
      if (autofill !== undefined && form.elements.trust) form.elements.trust.disabled = !document.getElementById("trust").checked;
      form.submit();
    } catch (error) {
      tell({ InvalidStateError: "known", TypeError: "lost" }[error.name] ?? "closed");
    }
  };
  if (autofill !== undefined) {
    PublicKeyCredential.isConditionalMediationAvailable?.().then((can) => can && sign({ mediation: "conditional" }));
    continue;
  }
  form.querySelector("[data-cannot]").hidden = true;
  button.hidden = false;
  button.focus();
  button.addEventListener("click", () => {
    tell("");
    button.disabled = true;
    sign();
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
