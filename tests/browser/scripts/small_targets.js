// Targets smaller than `least` pixels; links inside sentences are exempt (WCAG 2.2, 2.5.8).
(least) => {
  const found = [];
  for (const node of document.querySelectorAll("button, summary, select, input, a")) {
    if (!node.checkVisibility() || node.closest("svg, .skip")) continue;
    const target = node.closest("label") ?? node;
    if (getComputedStyle(target).display === "inline") continue;
    const { width, height } = target.getBoundingClientRect();
    if (width < least || height < least) found.push(`${width} x ${height}: ${node.outerHTML.slice(0, 120)}`);
  }
  return found;
}
