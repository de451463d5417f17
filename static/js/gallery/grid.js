/** Moving through a grid of tiles with the keyboard: one tile is in the tab order, arrows change which. */
import { find, findAll } from "../lib/dom.js";

export const tiles = () => findAll("#grid > .tile");

const opener = (tile) => find(".tile__open", tile);

/** The tile that has the focus, or null. */
export function focusedTile() {
  return document.activeElement?.closest?.("#grid > .tile") ?? null;
}

/** The tile that Tab would reach. */
export function currentTile() {
  return tiles().find((tile) => opener(tile).tabIndex === 0) ?? null;
}

/** Makes `tile` (or, when it is gone, the first) the one in the tab order. */
export function makeCurrent(tile) {
  const all = tiles();
  const chosen = all.includes(tile) ? tile : all[0];
  for (const one of all) {
    const index = one === chosen ? 0 : -1;
    opener(one).tabIndex = index;
    find("input", one).tabIndex = index;
  }
  return chosen;
}

export function focusTile(tile) {
  const chosen = makeCurrent(tile);
  opener(chosen)?.focus();
  chosen?.scrollIntoView({ block: "nearest" });
}

/** How many tiles stand in a row: those as high up as the first. */
function columns(all) {
  const top = all[0].offsetTop;
  const next = all.findIndex((tile) => tile.offsetTop !== top);
  return next < 0 ? all.length : next;
}

/** Moves the focus as `key` says. Returns whether it was used. */
export function move(key) {
  const all = tiles();
  if (all.length === 0) return false;
  const from = focusedTile();
  if (!from) {
    // Nothing is focused yet: the first arrow shows where one is. Other elements keep their arrows.
    if (document.activeElement !== document.body && document.activeElement?.id !== "main") return false;
    focusTile(currentTile());
    return true;
  }
  const place = all.indexOf(from);
  const rightwards = getComputedStyle(from).direction === "rtl" ? -1 : 1;
  const steps = {
    ArrowLeft: -rightwards,
    ArrowRight: rightwards,
    ArrowUp: -columns(all),
    ArrowDown: columns(all),
    Home: -place,
    End: all.length - 1 - place,
  };
  let to = place + steps[key];
  // Down from the row above a short last row goes to the last tile.
  if (key === "ArrowDown" && to >= all.length && all[place].offsetTop !== all.at(-1).offsetTop) to = all.length - 1;
  if (all[to]) focusTile(all[to]);
  return true;
}
