/** The upload page: files in from everywhere, a queue of uploads, a tile for each photo as soon as it is up. */
import { element, find, findAll } from "./lib/dom.js";
import { poll } from "./lib/poll.js";
import { UploadPanel } from "./upload/panel.js";
import { UploadQueue } from "./upload/queue.js";
import { filesFromClipboard, filesFromDrop } from "./upload/sources.js";

/** The newest tiles; older photos are in the history. */
const MOST_TILES = 48;

const form = find("#drop");
const queue = new UploadQueue(form.dataset.api, {
  maxBytes: Number(form.dataset.maxBytes),
  alone: form.dataset.newcomer !== undefined,
});
const panel = new UploadPanel(queue);

function add(files) {
  // A new batch after the last one ended counts from nought; what failed stays in the list.
  if (!queue.busy && queue.failed.length === 0) {
    queue.resetCounts();
    panel.skipped = 0;
  }
  queue.add(files);
}

queue.addEventListener("accepted", ({ detail }) => showTile(detail.photo, detail.file));

/** The tile comes from the site with the next poll; until then a stand-in with the same id holds its place. */
function showTile(photo, file) {
  find("#recent-section").hidden = false;
  find("#empty")?.remove();
  const list = find("#recent");
  const known = document.getElementById(`photo-${photo.id}`);
  const tile = known ?? standIn(photo, file);
  list.prepend(tile);
  if (known) tile.classList.add("is-found");
  const tiles = findAll(":scope > .tile", list);
  for (const old of tiles.slice(MOST_TILES)) old.remove();
  poll();
}

function standIn(photo, file) {
  const state = element("span", { className: "chip chip--on-photo" }, gettext("Uploaded"));
  const picture = element("div", { className: "tile__picture" }, state);
  const name = element("span", { className: "tile__name" }, file.name);
  const label = element("span", { className: "skeleton skeleton--label" });
  const tile = element(
    "li",
    { className: "tile", id: `photo-${photo.id}` },
    element("div", { className: "tile__open" }, picture, element("div", { className: "tile__text" }, label, name)),
  );
  Object.assign(tile.dataset, { id: photo.id, state: "new", moving: "" });
  return tile;
}

// Files from the two fields
for (const field of [find("#picker"), find("#camera")]) {
  field.addEventListener("change", () => {
    add([...field.files]);
    field.value = ""; // so that the same file can be chosen again
  });
}
form.addEventListener("submit", (event) => event.preventDefault());

// Drops, anywhere on the page
const curtain = find("#curtain");
let depth = 0;

const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");

function lift() {
  depth = 0;
  curtain.hidden = true;
}

document.addEventListener("dragenter", (event) => {
  if (!carriesFiles(event)) return;
  depth += 1;
  curtain.hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (carriesFiles(event) && --depth <= 0) lift();
});
document.addEventListener("dragover", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "copy";
});
document.addEventListener("drop", async (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  lift();
  const skipped = () => {
    panel.skipped += 1;
    panel.schedule();
  };
  for await (const files of filesFromDrop(event.dataTransfer, skipped)) add(files);
});

// Paste
document.addEventListener("paste", (event) => {
  const files = filesFromClipboard(event.clipboardData);
  if (files.length === 0) return;
  event.preventDefault();
  add(files);
});

// Leaving would stop what is going up.
window.addEventListener("beforeunload", (event) => {
  if (queue.busy) event.preventDefault();
});
