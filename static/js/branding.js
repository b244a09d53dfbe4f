// The branding page follows what is typed. Without this its Preview button does the same.
"use strict";

const form = document.getElementById("brand");
const colour = /^#[0-9a-f]{6}$/i;
let judged; // the file that the server has seen and gave back as a logo

// The text and the picker show one colour.
for (const picker of form.querySelectorAll("[data-picks]")) {
  const text = document.getElementById(picker.dataset.picks);
  picker.hidden = false;
  picker.addEventListener("input", () => {
    text.value = picker.value;
    follow();
  });
  text.addEventListener("input", () => {
    if (colour.test(text.value.trim())) picker.value = text.value.trim();
  });
}

// One language at a time.
for (const box of document.querySelectorAll("[data-tabs]")) {
  const panels = [...box.querySelectorAll("[data-tab]")];
  const list = document.createElement("div");
  list.className = "tabs";
  list.role = "tablist";
  list.ariaLabel = box.dataset.tabs;
  const tabs = panels.map((panel, index) => {
    const tab = document.createElement("button");
    tab.type = "button";
    tab.role = "tab";
    tab.id = `tab-${index}`;
    const name = panel.querySelector("h3");
    tab.textContent = name.textContent;
    tab.lang = name.lang;
    name.hidden = true;
    tab.setAttribute("aria-controls", (panel.id = `panel-${index}`));
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.addEventListener("click", () => show(index));
    list.append(tab);
    return tab;
  });
  const show = (wanted) => {
    tabs.forEach((tab, index) => {
      tab.ariaSelected = String(index === wanted);
      tab.tabIndex = index === wanted ? 0 : -1;
      panels[index].hidden = index !== wanted;
    });
  };
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = (tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length;
    show(next);
    tabs[next].focus();
  });
  panels[0].before(list);
  show(Math.max(0, panels.findIndex((panel) => panel.querySelector("[aria-invalid]"))));
}

// Each screen is as high as its page.
function fit(screen) {
  const page = screen.contentDocument;
  const last = page?.querySelector(".gate-foot")?.lastElementChild;
  if (last) screen.height = Math.ceil(last.getBoundingClientRect().bottom + page.defaultView.scrollY) + 24;
}

for (const screen of document.querySelectorAll(".screen")) {
  screen.addEventListener("load", () => fit(screen));
  fit(screen);
  addEventListener("resize", () => fit(screen));
}

// A page is changed in place, so that it does not flash: its own style sheet is the second.
function redraw(screen, html) {
  const page = screen.contentDocument;
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const [, ...before] = page.querySelectorAll("link[rel=stylesheet]");
  const [, wanted] = fresh.querySelectorAll("link[rel=stylesheet]");
  const drop = () => before.forEach((sheet) => sheet.remove());
  if (!wanted) drop();
  else if (before.at(-1)?.getAttribute("href") !== wanted.getAttribute("href")) {
    wanted.addEventListener("load", drop);
    page.head.append(page.adoptNode(wanted));
  }
  page.documentElement.lang = fresh.documentElement.lang;
  page.body.replaceWith(page.adoptNode(fresh.body));
  fit(screen);
}

let waiting;
let asked = 0;
function follow() {
  clearTimeout(waiting);
  waiting = setTimeout(look, 350);
}

async function look() {
  const main = form.elements.colour.value.trim();
  const dark = form.elements.dark_colour.value.trim();
  if (!colour.test(main) || (dark && !colour.test(dark))) return;
  const typed = new FormData(form);
  const file = form.elements.logo.files[0];
  if (file && file === judged) typed.delete("logo");
  const mine = ++asked;
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body: typed });
    const html = await answer.text();
    if (answer.redirected || ![200, 422].includes(answer.status) || mine !== asked) return;
    const fresh = new DOMParser().parseFromString(html, "text/html");
    judged = file;
    for (const id of ["verdict", "logo-told", "logo-now"]) {
      const [here, there] = [document.getElementById(id), fresh.getElementById(id)];
      if (here.innerHTML !== there.innerHTML) here.innerHTML = there.innerHTML;
    }
    for (const screen of document.querySelectorAll(".screen")) {
      redraw(screen, fresh.getElementById(screen.id).srcdoc);
    }
  } catch {} // without an answer the preview stays as it is
}

if (!form.querySelector("fieldset").disabled) {
  form.addEventListener("input", follow);
  for (const name of ["page", "language"]) form.elements[name].addEventListener("change", follow);
}
