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

/** Above or below the box, flush left or right, shifted sideways to stay in the frame; for a number also inside. */
function candidates(box, tag, frame) {
  const width = tag.offsetWidth;
  const height = tag.offsetHeight;
  const fit = (left) => Math.max(0, Math.min(left, frame.clientWidth - width));
  const above = box.top - height - GAP;
  const below = box.top + box.height + GAP;
  const right = box.left + box.width - width;
  const places = [
    [box.left, above],
    [box.left, below],
    [right, above],
    [right, below],
  ];
  if (tag.classList.contains("is-short")) places.push([box.left + GAP, box.top + GAP]);
  return places
    .filter(([, top]) => top >= 0 && top + height <= frame.clientHeight)
    .map(([left, top]) => ({ left: fit(left), top, width, height }));
}

/** Where the box of each tag is drawn, in CSS pixels of the frame. */
function drawnBoxes(overlay, frame, tags) {
  const photo = drawnPhoto(overlay, frame);
  return tags.map((tag) => {
    const line = find(`.box[data-face="${tag.dataset.tag}"] .box__line`, overlay);
    const side = (name) => line[name].baseVal.value * photo.scale;
    return { left: photo.left + side("x"), top: photo.top + side("y"), width: side("width"), height: side("height") };
  });
}

/** Places every tag where it hides no face and no other tag; one that finds no room shows its number alone. */
export function placeTags() {
  const overlay = find("#overlay");
  const frame = find("#frame");
  if (!overlay || !frame || frame.classList.contains("is-bare")) return;
  const tags = findAll(".tag", frame);
  const boxes = drawnBoxes(overlay, frame, tags);
  const taken = [];
  tags.forEach((tag, index) => {
    const box = boxes[index];
    const obstacles = [...taken, ...boxes.filter((other) => other !== box)];
    let place = null;
    for (const short of [false, true]) {
      tag.classList.toggle("is-short", short);
      place ??= candidates(box, tag, frame).find((one) => !obstacles.some((other) => overlaps(one, other)));
      if (place) break;
    }
    place ??= { left: box.left + GAP, top: box.top + GAP, width: tag.offsetWidth, height: tag.offsetHeight };
    taken.push(place);
    // Set through the style object: the security policy forbids style attributes in markup.
    tag.style.translate = `${Math.round(place.left)}px ${Math.round(place.top)}px`;
    tag.classList.add("is-placed");
  });
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
