// What pages gain where JavaScript runs. Everything can be read without it.
"use strict";

// On a phone the menu begins closed.
const menu = document.querySelector(".menu");
const narrow = matchMedia("(max-width: 55.99rem)");
if (menu && narrow.matches) menu.open = false;
// A wider window has no button to open it with.
narrow.addEventListener("change", () => { if (menu) menu.open = !narrow.matches; });

// Times are told in the reader's own zone as well.
const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
function tellTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]:not([title])")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.title = local.format(at);
  }
}
tellTimes(document);
document.addEventListener("htmx:after:swap", () => tellTimes(document));

// A button may ask before it does what cannot be undone.
document.addEventListener("submit", (event) => {
  const asks = event.submitter?.dataset.asks;
  if (asks && !confirm(asks)) event.preventDefault();
}, true);
