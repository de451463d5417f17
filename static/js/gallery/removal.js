/** Takes deleted tiles out of the grid and puts them back where they were. */
import { find } from "../lib/dom.js";
import { deletePhotos } from "../lib/deletion.js";
import { focusTile, makeCurrent, tiles } from "./grid.js";
import { restoreSelection } from "./selection.js";

/** Deleted tiles and the empty comments that keep their places, by id. */
const places = new Map();

function countBy(difference) {
  const total = find("#total");
  if (!total) return;
  const n = Number(total.dataset.total) + difference;
  total.dataset.total = n;
  total.textContent = interpolate(ngettext("%s photo", "%s photos", n), [n]);
}

function takeOut(ids) {
  const all = tiles();
  const gone = new Set(ids);
  const last = all.findLastIndex((tile) => gone.has(tile.dataset.id));
  const next = all.slice(last + 1).concat(all.slice(0, last).reverse()).find((tile) => !gone.has(tile.dataset.id));
  for (const tile of all.filter((one) => gone.has(one.dataset.id))) {
    const mark = document.createComment("");
    tile.replaceWith(mark);
    places.set(tile.dataset.id, { tile, mark });
  }
  countBy(-ids.length);
  restoreSelection();
  if (next) focusTile(next);
}

function putBack(ids) {
  const stranded = ids.filter((id) => !places.get(id)?.mark.isConnected);
  for (const id of ids) {
    const { tile, mark } = places.get(id) ?? {};
    if (mark?.isConnected) mark.replaceWith(tile);
    places.delete(id);
  }
  // The results were filtered anew meanwhile: only the site knows where these belong.
  if (stranded.length) return location.reload();
  countBy(ids.length);
  restoreSelection();
  makeCurrent(null);
  focusTile(document.getElementById(`photo-${ids[0]}`));
}

export function removeTiles(ids) {
  return deletePhotos(ids, { gone: takeOut, back: putBack });
}
