/** Shows the queue: a head line, one row per file that is not up yet. A thousand files make a few dozen rows. */
import { announce, element, find, icon } from "../lib/dom.js";

const MOST_FAILED = 20;
const MOST_WAITING = 5;

export class UploadPanel {
  constructor(queue) {
    this.queue = queue;
    this.rows = new Map();
    this.skipped = 0;
    this.scheduled = false;
    this.told = "";

    this.section = find("#uploads");
    this.list = find("#rows");
    find("#retry-all").addEventListener("click", () => queue.retryFailed());
    find("#cancel-all").addEventListener("click", () => queue.cancelAll());
    find("#dismiss").addEventListener("click", () => this.dismiss());
    this.list.addEventListener("click", (event) => this.pressed(event));
    queue.addEventListener("change", () => this.schedule());
  }

  /** Progress events come by the hundred; one drawing per frame is enough. */
  schedule() {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  dismiss() {
    this.queue.forgetFailed();
    this.queue.resetCounts();
    this.skipped = 0;
    this.section.hidden = true;
    find("#picker").focus();
  }

  pressed(event) {
    const button = event.target.closest("button");
    const row = event.target.closest(".row");
    if (!button || !row) return;
    const item = this.rows.get(Number(row.dataset.key)).item;
    if (button.dataset.does === "retry") this.queue.retry(item);
    else this.queue.cancel(item);
    // The pressed button goes with its row or its state; the head line is what stays.
    if (!button.isConnected || button.hidden) find("#uploads-title").focus();
  }

  draw() {
    const { queue } = this;
    if (queue.total === 0 && this.skipped === 0) {
      this.section.hidden = true;
      return;
    }
    this.section.hidden = false;
    this.drawHead();
    this.drawRows([
      ...queue.failed.slice(0, MOST_FAILED),
      ...queue.uploading,
      ...queue.waiting.slice(0, MOST_WAITING),
    ]);
    const unseen =
      Math.max(0, queue.failed.length - MOST_FAILED) + Math.max(0, queue.waiting.length - MOST_WAITING);
    const more = find("#uploads-more");
    more.hidden = unseen === 0;
    more.textContent = interpolate(ngettext("and %s more", "and %s more", unseen), [unseen]);
  }

  drawHead() {
    const { queue } = this;
    const failed = queue.failed.length;
    const sentences = [this.summary()];
    if (failed) sentences.push(interpolate(ngettext("%s failed", "%s failed", failed), [failed]));
    const title = sentences.join(" · ");
    find("#uploads-title").textContent = title;
    find("#uploads-progress").value = queue.progress;
    find("#retry-all").hidden = !queue.failed.some((item) => item.retryable);
    find("#cancel-all").hidden = !queue.busy;
    find("#dismiss").hidden = queue.busy;
    this.drawNote();
    // Told once when a batch ends; a progress told at every step would drown a screen reader.
    if (!queue.busy && this.told !== title) announce(title);
    this.told = queue.busy ? "" : title;
  }

  summary() {
    const { queue } = this;
    if (queue.busy) return interpolate(gettext("%s of %s uploaded"), [queue.accepted, queue.total]);
    return interpolate(ngettext("%s photo uploaded", "%s photos uploaded", queue.accepted), [queue.accepted]);
  }

  drawNote() {
    const { queue } = this;
    const notes = [];
    if (queue.pauseSeconds > 0) {
      notes.push(queue.pauseReason, interpolate(gettext("Goes on in %s."), [duration(queue.pauseSeconds)]));
    }
    if (queue.known) {
      notes.push(
        interpolate(ngettext("%s was here already.", "%s were here already.", queue.known), [queue.known]),
      );
    }
    if (this.skipped) {
      notes.push(
        interpolate(
          ngettext("%s file that is no image was left out.", "%s files that are no images were left out.", this.skipped),
          [this.skipped],
        ),
      );
    }
    const note = find("#uploads-note");
    note.hidden = notes.length === 0;
    note.textContent = notes.join(" ");
  }

  drawRows(items) {
    const wanted = new Set(items.map((item) => item.key));
    for (const [key, row] of this.rows) {
      if (wanted.has(key)) continue;
      row.node.remove();
      this.rows.delete(key);
    }
    let place = this.list.firstElementChild;
    for (const item of items) {
      const row = this.rows.get(item.key) ?? this.makeRow(item);
      if (row.node === place) place = place.nextElementSibling;
      else this.list.insertBefore(row.node, place);
      fillRow(row);
    }
  }

  makeRow(item) {
    const name = element("p", { className: "row__name", title: item.file.name }, `${item.file.name} `);
    name.append(element("span", { className: "row__size" }, fileSize(item.file.size)));
    const row = {
      item,
      shown: "",
      state: element("p", { className: "row__state" }),
      bar: element("progress", { className: "bar", max: 1, value: 0 }),
      retry: rowButton("retry", gettext("Retry"), interpolate(gettext("Retry %s"), [item.file.name])),
      cancel: rowButton("close", gettext("Cancel"), interpolate(gettext("Cancel %s"), [item.file.name])),
    };
    row.bar.setAttribute("aria-label", interpolate(gettext("Upload of %s"), [item.file.name]));
    const buttons = element("div", { className: "row__buttons" }, row.retry, row.cancel);
    row.node = element("li", { className: "row" }, name, row.state, buttons, row.bar);
    row.node.dataset.key = item.key;
    this.rows.set(item.key, row);
    return row;
  }
}

function fillRow(row) {
  const { item } = row;
  row.bar.value = item.progress;
  const words = stateWords(item);
  if (row.shown === `${item.state} ${words}`) return;
  row.shown = `${item.state} ${words}`;
  const failed = item.state === "failed";
  row.node.dataset.state = item.state;
  row.state.replaceChildren(...(failed ? [icon("warning"), element("span", {}, words)] : [words]));
  row.retry.hidden = !(failed && item.retryable);
  if (failed) {
    row.cancel.title = gettext("Remove");
    row.cancel.setAttribute("aria-label", interpolate(gettext("Remove %s"), [item.file.name]));
  }
}

function rowButton(does, title, label) {
  const button = element("button", { className: "button button--quiet button--icon", type: "button", title }, icon(does));
  button.setAttribute("aria-label", label);
  button.dataset.does = does;
  return button;
}

function fileSize(bytes) {
  if (bytes < 1024) return interpolate(ngettext("%s byte", "%s bytes", bytes), [bytes]);
  if (bytes < 1048576) return interpolate(gettext("%s kB"), [Math.ceil(bytes / 1024)]);
  const megabytes = (bytes / 1048576).toLocaleString(undefined, { maximumFractionDigits: 1 });
  return interpolate(gettext("%s MB"), [megabytes]);
}

function duration(seconds) {
  if (seconds < 100) return interpolate(gettext("%s s"), [seconds]);
  return interpolate(gettext("%s min"), [Math.ceil(seconds / 60)]);
}

function stateWords(item) {
  if (item.state === "failed") return item.reason;
  if (item.state === "waiting") return gettext("Waiting");
  if (item.progress >= 1) return gettext("Checking…");
  return interpolate(gettext("Uploading %s"), [item.progress.toLocaleString(undefined, { style: "percent" })]);
}
