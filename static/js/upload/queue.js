/** The queue of uploads, without any DOM: what waits, what goes up, what failed. */
import { send } from "./send.js";

const AT_ONCE = 3;

let counter = 0;

/**
 * Items are {key, file, state, progress, reason, retryable, abort}, with state one of
 * "waiting", "uploading", "failed". An accepted or cancelled one leaves the queue.
 *
 * Events: "change" (anything), "accepted" (detail: the outcome).
 */
export class UploadQueue extends EventTarget {
  /**
   * `alone`: the first upload goes by itself. A new guest's session starts with it, and three
   * at once would start three sessions, of which the browser keeps one.
   */
  constructor(url, { maxBytes, alone }) {
    super();
    this.url = url;
    this.maxBytes = maxBytes;
    this.atOnce = alone ? 1 : AT_ONCE;
    this.waiting = [];
    this.uploading = new Set();
    this.failed = [];
    this.resetCounts();
    this.pausedUntil = 0;
    this.pauseReason = "";
  }

  resetCounts() {
    this.total = 0;
    this.accepted = 0;
    this.known = 0;
  }

  get busy() {
    return this.waiting.length > 0 || this.uploading.size > 0;
  }

  /** Parts of files done, 0…1 for each, of all that were added since the last reset. */
  get progress() {
    let parts = this.accepted + this.failed.length;
    for (const item of this.uploading) parts += item.progress;
    return this.total ? parts / this.total : 0;
  }

  /** Seconds until uploads go on after the site asked to wait, or 0. */
  get pauseSeconds() {
    return Math.max(0, Math.ceil((this.pausedUntil - Date.now()) / 1000));
  }

  add(files) {
    for (const file of files) {
      const item = { key: ++counter, file, state: "waiting", progress: 0, reason: "", retryable: true, abort: null };
      this.total += 1;
      const refusal = this.refusal(file);
      if (refusal) this.fail(item, refusal, false);
      else this.waiting.push(item);
    }
    this.changed();
    this.next();
  }

  /** What needs no upload to be known. */
  refusal(file) {
    if (file.size === 0) return interpolate(gettext("“%s” is empty (0 bytes)."), [file.name]);
    if (file.size > this.maxBytes) {
      const megabytes = (bytes) => (bytes / 1048576).toLocaleString(undefined, { maximumFractionDigits: 1 });
      return interpolate(gettext("“%s” has %s MB; the limit is %s MB. Make it smaller."), [
        file.name,
        megabytes(file.size),
        megabytes(this.maxBytes),
      ]);
    }
    return "";
  }

  retry(item) {
    this.failed = this.failed.filter((one) => one !== item);
    this.waitAgain(item);
    this.next();
  }

  retryFailed() {
    const items = this.failed.filter((item) => item.retryable);
    this.failed = this.failed.filter((item) => !item.retryable);
    for (const item of items) this.waitAgain(item);
    this.next();
  }

  waitAgain(item) {
    Object.assign(item, { state: "waiting", progress: 0, reason: "" });
    this.waiting.push(item);
    this.changed();
  }

  /** Stops an upload, or takes a waiting or failed file off the list. */
  cancel(item) {
    if (item.abort) return item.abort();
    this.waiting = this.waiting.filter((one) => one !== item);
    this.failed = this.failed.filter((one) => one !== item);
    this.total -= 1;
    this.changed();
  }

  cancelAll() {
    this.total -= this.waiting.length;
    this.waiting = [];
    for (const item of [...this.uploading]) item.abort?.();
    this.changed();
  }

  forgetFailed() {
    this.failed = [];
    this.changed();
  }

  next() {
    if (this.pauseSeconds > 0) return;
    while (this.uploading.size < this.atOnce && this.waiting.length > 0) this.upload(this.waiting.shift());
  }

  async upload(item) {
    item.state = "uploading";
    this.uploading.add(item);
    this.changed();
    const outcome = await send(this.url, item.file, {
      started: (abort) => (item.abort = abort),
      progress: (part) => {
        item.progress = part;
        this.changed();
      },
    });
    item.abort = null;
    // Not after a failure: the site may not have been reached, and then there is no session yet.
    if (outcome.kind === "accepted") this.atOnce = AT_ONCE;
    this.uploading.delete(item);
    this.settle(item, outcome);
    this.changed();
    this.next();
  }

  settle(item, outcome) {
    if (outcome.kind === "accepted") {
      this.accepted += 1;
      this.known += outcome.known ? 1 : 0;
      this.dispatchEvent(new CustomEvent("accepted", { detail: { file: item.file, ...outcome } }));
    } else if (outcome.kind === "wait") {
      Object.assign(item, { state: "waiting", progress: 0 });
      this.waiting.unshift(item);
      this.pause(outcome.seconds, outcome.reason);
    } else if (outcome.kind === "cancelled") {
      this.total -= 1;
    } else {
      this.fail(item, outcome.reason, outcome.retryable);
    }
  }

  fail(item, reason, retryable) {
    Object.assign(item, { state: "failed", reason, retryable });
    this.failed.push(item);
  }

  pause(seconds, reason) {
    this.pausedUntil = Math.max(this.pausedUntil, Date.now() + seconds * 1000);
    this.pauseReason = reason;
    clearInterval(this.pauseTimer);
    this.pauseTimer = setInterval(() => {
      this.changed();
      if (this.pauseSeconds > 0) return;
      clearInterval(this.pauseTimer);
      this.next();
    }, 500);
  }

  changed() {
    this.dispatchEvent(new Event("change"));
  }
}
