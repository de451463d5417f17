/** The few DOM helpers that every page's scripts share. */

export const find = (selector, root = document) => root.querySelector(selector);

export const findAll = (selector, root = document) => [...root.querySelectorAll(selector)];

/** An icon of the sprite in partials/icons.html. */
export function icon(name) {
  const namespace = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(namespace, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(namespace, "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** element("p", {className: "muted"}, "text", node): text is always text, never markup. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Told to screen readers, politely; the same sentence twice is told twice. */
export function announce(sentence) {
  const announcer = find("#announcer");
  announcer.textContent = "";
  setTimeout(() => (announcer.textContent = sentence), 60);
}
