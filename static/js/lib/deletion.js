/** Deletes photos and offers to undo it for as long as the site allows. */
import { postIds } from "./http.js";
import { toast } from "./toast.js";

const STORE = "deleted-photos";
let latest = null;

/**
 * Deletes `ids`. `gone(ids)` takes them out of the page; `back(ids)` puts them back after an undo.
 * Returns whether anything was deleted.
 */
export async function deletePhotos(ids, { gone, back }) {
  try {
    const answer = await postIds(document.body.dataset.deleteUrl, ids);
    gone(answer.deleted);
    offerUndo(answer.deleted, answer.undo_seconds, back);
    return answer.deleted.length > 0;
  } catch (error) {
    toast(error.message);
    return false;
  }
}

function offerUndo(ids, seconds, back) {
  const offer = { run: () => undo(offer) };
  Object.assign(offer, { ids, back });
  offer.close = toast(
    interpolate(ngettext("%s photo deleted", "%s photos deleted", ids.length), [ids.length]),
    { seconds, action: { label: gettext("Undo"), run: offer.run }, expired: () => forget(offer) },
  );
  latest = offer;
}

async function undo(offer) {
  forget(offer);
  try {
    const { restored } = await postIds(document.body.dataset.restoreUrl, offer.ids);
    offer.back(restored);
    toast(interpolate(ngettext("%s photo is back", "%s photos are back", restored.length), [restored.length]));
  } catch (error) {
    toast(error.message);
  }
}

function forget(offer) {
  offer.close?.();
  if (latest === offer) latest = null;
}

/** For Ctrl+Z: undoes the latest delete that still can be. Returns whether there was one. */
export function undoLatest() {
  if (!latest) return false;
  latest.run();
  return true;
}

/** Deletes the photo whose page this is, then goes on to `next`, where the undo is offered. */
export async function deleteAndLeave(id, next) {
  try {
    const answer = await postIds(document.body.dataset.deleteUrl, [id]);
    const until = Date.now() + answer.undo_seconds * 1000;
    sessionStorage.setItem(STORE, JSON.stringify({ ids: answer.deleted, until, from: location.href }));
    location.assign(next);
  } catch (error) {
    toast(error.message);
  }
}

/** After deleteAndLeave: the page that follows offers the undo, which leads back to the photo. */
export function offerCarriedUndo() {
  const carried = JSON.parse(sessionStorage.getItem(STORE) ?? "null");
  if (!carried) return;
  sessionStorage.removeItem(STORE);
  const seconds = (carried.until - Date.now()) / 1000;
  if (seconds > 1) offerUndo(carried.ids, seconds, () => location.assign(carried.from));
}
