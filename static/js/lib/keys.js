/** Keyboard shortcuts, with a switch that turns single keys off (WCAG 2.1.4). */
import { find } from "./dom.js";

const STORE = "single-keys";

function singleKeysOn() {
  return localStorage.getItem(STORE) !== "off";
}

function typing(target) {
  return target.closest?.("input:not([type=checkbox]), select, textarea, [contenteditable]") !== null;
}

/**
 * Runs `handlers[key]` with the event; a handler that returns true used the key.
 * Keys are those of KeyboardEvent.key; "Ctrl+z" also stands for Cmd+Z.
 * `always` names keys that are no single-character shortcut: arrows, Enter, and so on.
 */
export function onKeys(handlers, { always = [] } = {}) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.altKey) return;
    if (typing(event.target) || find("dialog[open]")) return;
    const control = event.ctrlKey || event.metaKey;
    const name = control ? `Ctrl+${event.key.toLowerCase()}` : event.key;
    if (!Object.hasOwn(handlers, name)) return;
    if (!control && !always.includes(name) && !singleKeysOn()) return;
    if (handlers[name](event)) event.preventDefault();
  });
}

/** The dialog with the list of keys: "?", the footer's button, and the switch. */
export function setUpKeysDialog() {
  const dialog = find("#keys");
  const open = () => {
    dialog.showModal();
    return true;
  };
  const opener = find("[data-opens=keys]");
  opener.hidden = false;
  opener.addEventListener("click", open);
  find("[data-closes=keys]").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());

  const box = find("#keys-switch");
  box.checked = singleKeysOn();
  box.addEventListener("change", () => localStorage.setItem(STORE, box.checked ? "on" : "off"));
  onKeys({ "?": open });
}
