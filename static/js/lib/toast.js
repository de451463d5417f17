/** Short messages at the bottom of the page, one action each. */
import { announce, element, find, icon } from "./dom.js";

const PLAIN_SECONDS = 6;

/**
 * Shows a message and returns a function that takes it away.
 * With `action` ({label, run}) a button shows the seconds left; `expired` runs when they are over.
 */
export function toast(text, { seconds = PLAIN_SECONDS, action = null, expired = null } = {}) {
  const box = element("div", { className: "toast" }, element("span", {}, text));
  let left = Math.max(1, Math.ceil(seconds));
  let timer = null;

  const close = () => {
    clearInterval(timer);
    box.remove();
  };
  const end = () => {
    close();
    expired?.();
  };

  if (action) {
    const button = element("button", { className: "button toast__action", type: "button" });
    const label = () => (button.textContent = interpolate(gettext("%s (%s s)"), [action.label, left]));
    label();
    button.setAttribute("aria-label", action.label);
    button.addEventListener("click", () => {
      close();
      action.run();
    });
    box.append(button);
    timer = setInterval(() => (--left > 0 ? label() : end()), 1000);
  } else {
    const button = element("button", { className: "button button--icon", type: "button" }, icon("close"));
    button.setAttribute("aria-label", gettext("Close"));
    button.addEventListener("click", close);
    box.append(button);
    timer = setInterval(() => --left > 0 || end(), 1000);
  }

  find("#toasts").append(box);
  announce(text);
  return close;
}
