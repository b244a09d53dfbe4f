// The preview of a message follows what is typed. Without this its Preview button does the same.
"use strict";

const form = document.getElementById("text-form");
let waiting;
let asked = 0;

// A page in a frame is changed in place, so that it does not flash more than it must.
function redraw(fresh) {
  const [here, there] = [document.getElementById("preview"), fresh.getElementById("preview")];
  const [old, page] = [here.querySelector("iframe"), there.querySelector("iframe")];
  if (!old) {
    here.innerHTML = there.innerHTML;
    return;
  }
  if (old.srcdoc !== page.srcdoc) old.srcdoc = page.srcdoc;
  here.querySelector(".mail-text").innerHTML = there.querySelector(".mail-text").innerHTML;
}

async function look() {
  const mine = ++asked;
  try {
    const answer = await fetch(form.dataset.preview, { method: "POST", body: new FormData(form) });
    const html = await answer.text();
    if (answer.redirected || ![200, 422].includes(answer.status) || mine !== asked) return;
    const fresh = new DOMParser().parseFromString(html, "text/html");
    for (const id of ["text-told", "preview-state"]) {
      document.getElementById(id).innerHTML = fresh.getElementById(id).innerHTML;
    }
    const wrong = fresh.getElementById("text").getAttribute("aria-invalid");
    const area = form.elements.text;
    if (wrong) area.setAttribute("aria-invalid", wrong);
    else area.removeAttribute("aria-invalid");
    area.setAttribute("aria-describedby", wrong ? "text-error text-hint" : "text-hint");
    redraw(fresh);
  } catch {} // without an answer the preview stays as it is
}

form.addEventListener("input", () => {
  clearTimeout(waiting);
  waiting = setTimeout(look, 350);
});
