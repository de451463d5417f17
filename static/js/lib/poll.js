/**
 * Asks the site about what still moves, and swaps in the answer with htmx.
 *
 * Tiles marked data-moving are asked for together in one request; an element with data-poll asks for itself.
 * Quick while something changes, slower while nothing does, silent when nothing moves or nobody looks.
 */
import { announce, findAll } from "./dom.js";

const FIRST = 150;
const FASTEST = 700;
const SLOWEST = 5000;
const SLOWING = 1.35;
/** Ids in one address; the tiles that were asked for longest ago come first. */
const MOST_TILES = 50;

let delay = FASTEST;
let timer = null;
let due = Infinity;
let busy = false;
let rounds = 0;
let finished = 0;

/** Call when something that moves was added to the page. Harmless at any other time. */
export function poll() {
  delay = FASTEST;
  schedule(FIRST);
}

function moving() {
  return findAll("[data-moving], [data-poll]");
}

function schedule(wait) {
  if (busy || document.hidden || moving().length === 0) return;
  // Never later than already planned: a stream of new tiles must not push the question before it.
  const when = Date.now() + wait;
  if (when >= due) return;
  clearTimeout(timer);
  due = when;
  timer = setTimeout(ask, wait);
}

async function ask() {
  due = Infinity;
  if (document.hidden) return;
  const before = snapshot();
  busy = true;
  try {
    await Promise.all([askForTiles(), ...findAll("[data-poll]").map(askForElement)]);
  } catch {
    // The site is away for a moment: the slowing rhythm asks again.
  } finally {
    busy = false;
  }
  delay = snapshot() === before ? Math.min(delay * SLOWING, SLOWEST) : FASTEST;
  schedule(delay);
  if (finished && moving().length === 0) {
    announce(interpolate(ngettext("%s photo is ready", "%s photos are ready", finished), [finished]));
    finished = 0;
  }
}

function snapshot() {
  return moving().map((one) => `${one.id} ${one.dataset.state}`).join();
}

async function askForTiles() {
  rounds += 1;
  const asked = findAll("[data-moving]")
    .sort((a, b) => (a.dataset.asked ?? 0) - (b.dataset.asked ?? 0))
    .slice(0, MOST_TILES);
  if (asked.length === 0) return;
  for (const tile of asked) {
    tile.dataset.asked = rounds;
    tile.dataset.unanswered = "";
  }

  const list = asked[0].parentElement;
  const address = new URL(document.body.dataset.cardsUrl, location.href);
  for (const tile of asked) address.searchParams.append("id", tile.dataset.id);
  let answered = false;
  list.addEventListener("htmx:afterRequest", (event) => (answered = event.detail.successful), { once: true });
  // Each tile of the answer is swapped out of band, by its id; the list itself stays as it is.
  await htmx.ajax("GET", address.pathname + address.search, { source: list, target: list, swap: "none" });
  // What the answer leaves out is deleted, in another tab or by time.
  if (answered) for (const tile of asked) if ("unanswered" in tile.dataset) tile.remove();
}

function askForElement(element) {
  return htmx.ajax("GET", element.dataset.poll, { source: element, target: element, swap: "outerHTML" });
}

// What has not changed is not swapped: its picture need not be drawn, nor its focus moved, again.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target, fragment } = event.detail;
  if (!("unanswered" in target.dataset)) return;
  delete target.dataset.unanswered;
  const next = fragment.firstElementChild.dataset;
  event.detail.shouldSwap = next.state !== target.dataset.state;
  if (!("moving" in next)) finished += 1;
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const { state, poll: polled } = event.detail.target.dataset;
  if (polled && event.detail.serverResponse.includes(`data-state="${state}"`)) event.detail.shouldSwap = false;
});

document.addEventListener("visibilitychange", poll);
