/** The history: filters that live in the URL, keys, selection, deleting with undo. */
import { find } from "./lib/dom.js";
import { undoLatest } from "./lib/deletion.js";
import { onKeys } from "./lib/keys.js";
import { currentTile, focusedTile, makeCurrent, move } from "./gallery/grid.js";
import { removeTiles } from "./gallery/removal.js";
import { restoreSelection, selectAll, selectedIds, selectNone, setUpSelection, toggle } from "./gallery/selection.js";

function toggleFocused() {
  const tile = focusedTile();
  if (tile) toggle(tile);
  return Boolean(tile);
}

function deleteChosen() {
  const ids = selectedIds();
  const tile = focusedTile();
  if (ids.length === 0 && tile) ids.push(tile.dataset.id);
  if (ids.length) removeTiles(ids);
  return ids.length > 0;
}

const arrows = Object.fromEntries(
  ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"].map((key) => [key, () => move(key)]),
);

onKeys(
  {
    ...arrows,
    // On the tick itself Space already is what it should be.
    " ": (event) => !event.target.matches("input, button, summary") && toggleFocused(),
    x: toggleFocused,
    Delete: deleteChosen,
    Escape: () => {
      selectNone();
      return false;
    },
    "/": () => {
      find("#filter-name").select();
      return true;
    },
    "Ctrl+a": () => focusedTile() !== null && (selectAll(), true),
    "Ctrl+z": undoLatest,
  },
  { always: [...Object.keys(arrows), " ", "Delete", "Escape"] },
);

document.addEventListener("submit", (event) => {
  if (event.submitter?.matches("[data-delete]")) {
    event.preventDefault();
    removeTiles(selectedIds());
  }
});

// Empty filters have no business in the URL.
document.addEventListener("htmx:configRequest", (event) => {
  if (!event.target.matches("#filters")) return;
  const { parameters } = event.detail;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});

function settle() {
  if (!find("#grid")) return;
  makeCurrent(focusedTile() ?? currentTile());
  restoreSelection();
}

document.addEventListener("focusin", (event) => {
  const tile = event.target.closest("#grid > .tile");
  if (tile && tile !== currentTile()) makeCurrent(tile);
});
document.addEventListener("htmx:afterSettle", settle);
setUpSelection();
settle();
