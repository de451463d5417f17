/** The photo's page: boxes on and off, boxes linked to rows, own verdicts, keys, deleting. */
import { announce, find } from "./lib/dom.js";
import { deleteAndLeave } from "./lib/deletion.js";
import { onKeys } from "./lib/keys.js";
import { linkBoxesAndRows, placeTags } from "./overlay.js";

const STORE = "boxes";

function showBoxes(on) {
  find("#frame").classList.toggle("is-bare", !on);
  find("#toggle-boxes")?.setAttribute("aria-pressed", String(on));
  placeTags();
}

const boxesOn = () => sessionStorage.getItem(STORE) !== "off";

function toggleBoxes() {
  if (!find("#toggle-boxes")) return false;
  sessionStorage.setItem(STORE, boxesOn() ? "off" : "on");
  showBoxes(boxesOn());
  return true;
}

function follow(selector) {
  const link = find(selector);
  link?.click();
  return link !== null;
}

function deleteThis() {
  const next = find("#older") ?? find("#newer") ?? find(".photo-head__back");
  deleteAndLeave(find("#result").dataset.id, next.href);
  return true;
}

/** The frame is new after each swap: watch the one that is there. */
const resized = new ResizeObserver(() => placeTags());

function setUpFrame() {
  resized.disconnect();
  resized.observe(find("#frame"));
  showBoxes(boxesOn());
}

document.addEventListener("click", (event) => {
  if (event.target.closest("#toggle-boxes")) toggleBoxes();
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("#delete")) return;
  event.preventDefault();
  deleteThis();
});

document.addEventListener("htmx:afterSwap", (event) => {
  const row = event.target.closest?.(".face");
  if (row) {
    // A verdict was given: say so, and keep the place of whoever uses the keyboard.
    const own = find(".own", row);
    own?.focus({ preventScroll: true });
    if (own) announce(own.textContent.trim());
  } else if (find("#result")) {
    setUpFrame();
    if (!find("#result").dataset.poll) announce(find("#faces-title").textContent.trim());
  }
});

onKeys(
  { b: toggleBoxes, ArrowLeft: () => follow("#newer"), ArrowRight: () => follow("#older"), Delete: deleteThis },
  { always: ["ArrowLeft", "ArrowRight", "Delete"] },
);
linkBoxesAndRows();
setUpFrame();
