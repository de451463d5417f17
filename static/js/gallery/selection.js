/** Which tiles are ticked: by click, by Shift and click, by key, all of the page. */
import { find, findAll } from "../lib/dom.js";
import { tiles } from "./grid.js";

/** Survives tiles being replaced by polling. */
const chosen = new Set();
let anchor = null;

const box = (tile) => find(".tile__pick input", tile);

export const selectedIds = () => tiles().map((tile) => tile.dataset.id).filter((id) => chosen.has(id));

function set(tile, on) {
  box(tile).checked = on;
  if (on) chosen.add(tile.dataset.id);
  else chosen.delete(tile.dataset.id);
}

export function toggle(tile) {
  set(tile, !box(tile).checked);
  anchor = tile.dataset.id;
  showCount();
}

export function selectAll() {
  for (const tile of tiles()) set(tile, true);
  showCount();
}

export function selectNone() {
  for (const tile of tiles()) set(tile, false);
  chosen.clear();
  anchor = null;
  showCount();
}

/** Gives every tile from the last one that was ticked up to `tile` the state `on`. */
function selectRange(tile, on) {
  const all = tiles();
  const from = all.findIndex((one) => one.dataset.id === anchor);
  const to = all.indexOf(tile);
  const [first, last] = from < 0 ? [to, to] : [Math.min(from, to), Math.max(from, to)];
  for (const one of all.slice(first, last + 1)) set(one, on);
}

/** Puts the ticks where they were after tiles came, went or were replaced. */
export function restoreSelection() {
  const present = new Set();
  for (const tile of tiles()) {
    present.add(tile.dataset.id);
    // A browser that restores a page restores its ticks too.
    if (box(tile).checked) chosen.add(tile.dataset.id);
    box(tile).checked = chosen.has(tile.dataset.id);
  }
  for (const id of chosen) if (!present.has(id)) chosen.delete(id);
  showCount();
}

function showCount() {
  const count = find("#bulk-count");
  if (!count) return;
  const n = selectedIds().length;
  count.textContent = interpolate(ngettext("%s selected", "%s selected", n), [n]);
}

export function setUpSelection() {
  document.addEventListener("click", (event) => {
    const tile = event.target.closest("#grid > .tile");
    if (tile && event.target.matches(".tile__pick input")) {
      const on = event.target.checked;
      if (event.shiftKey) selectRange(tile, on);
      else set(tile, on);
      anchor = tile.dataset.id;
      showCount();
    } else if (tile && event.shiftKey && event.target.closest(".tile__open")) {
      // Shift and click on the photo itself selects, instead of opening a new window.
      event.preventDefault();
      selectRange(tile, true);
      anchor = tile.dataset.id;
      showCount();
    } else if (event.target.closest("[data-select-all]")) {
      selectAll();
    }
  });
  // matches(), because a form's `id` property is its field of that name when it has one.
  document.addEventListener("reset", (event) => {
    if (!event.target.matches("#bulk")) return;
    event.preventDefault();
    selectNone();
  });
  restoreSelection();
}
