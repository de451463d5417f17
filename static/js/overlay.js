/** The names of the boxes, each put where it fits, and the link between a box and its row. */
import { find, findAll } from "./lib/dom.js";

const GAP = 3;

/** Where in the frame the photo's pixels are, in CSS pixels: {left, top, scale}. */
function drawnPhoto(overlay, frame) {
  const matrix = overlay.getScreenCTM();
  const bounds = frame.getBoundingClientRect();
  return { left: matrix.e - bounds.left, top: matrix.f - bounds.top, scale: matrix.a };
}

const overlaps = (a, b) =>
  a.left < b.left + b.width && b.left < a.left + a.width && a.top < b.top + b.height && b.top < a.top + a.height;

/** Above the box, else below it, else inside it; shifted sideways to stay in the frame. */
function candidates(box, width, height, frame) {
  const left = Math.max(0, Math.min(box.left, frame.clientWidth - width));
  const tops = [box.top - height - GAP, box.top + box.height + GAP, box.top + GAP];
  return tops
    .filter((top) => top >= 0 && top + height <= frame.clientHeight)
    .map((top) => ({ left, top, width, height }));
}

/** Places every tag; one that finds no room shows its number alone. */
export function placeTags() {
  const overlay = find("#overlay");
  const frame = find("#frame");
  if (!overlay || !frame || frame.classList.contains("is-bare")) return;
  const photo = drawnPhoto(overlay, frame);
  const taken = [];
  for (const tag of findAll(".tag", frame)) {
    const rect = find(`.box[data-face="${tag.dataset.tag}"] .box__line`, overlay);
    const side = (name) => rect[name].baseVal.value * photo.scale;
    const box = { left: photo.left + side("x"), top: photo.top + side("y"), width: side("width"), height: side("height") };
    let place = null;
    for (const short of [false, true]) {
      tag.classList.toggle("is-short", short);
      const options = candidates(box, tag.offsetWidth, tag.offsetHeight, frame);
      place = options.find((option) => !taken.some((other) => overlaps(option, other))) ?? null;
      if (place) break;
    }
    place ??= { left: Math.max(0, box.left), top: Math.max(0, box.top), width: tag.offsetWidth, height: tag.offsetHeight };
    taken.push(place);
    // Set through the style object: the security policy forbids style attributes in markup.
    tag.style.translate = `${Math.round(place.left)}px ${Math.round(place.top)}px`;
    tag.classList.add("is-placed");
  }
}

/** Lights the box, the tag and the row of one face, or of none. */
function light(id) {
  for (const lit of findAll(".is-lit")) lit.classList.remove("is-lit");
  if (!id) return;
  for (const one of findAll(`[data-face="${id}"], [data-tag="${id}"]`)) one.classList.add("is-lit");
}

const faceOf = (event) => event.target.closest?.("[data-face]")?.dataset.face ?? null;

/** Hovering or focusing a box lights its row, and the other way round; a click leads from box to row. */
export function linkBoxesAndRows() {
  document.addEventListener("pointerover", (event) => light(faceOf(event)));
  document.addEventListener("focusin", (event) => light(faceOf(event)));
  document.addEventListener("click", (event) => {
    const box = event.target.closest?.(".box");
    if (!box) return;
    event.preventDefault();
    const row = find(`#face-${box.dataset.face}`);
    row.scrollIntoView({ block: "nearest", behavior: "smooth" });
    row.focus({ preventScroll: true });
    light(box.dataset.face);
  });
}
