// What axe would find first: things without a name, broken references, skipped headings, inline code.
() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (node) => node.checkVisibility({ visibilityProperty: true });
  const words = (node) => (node?.innerText || node?.textContent || "").trim();
  const ids = (node, name) => (node.getAttribute(name) ?? "").split(" ").filter(Boolean);
  const found = [];
  const say = (problem, node) => found.push(`${problem}: ${node.outerHTML.slice(0, 160)}`);

  const named = (node) =>
    node.getAttribute("aria-label")?.trim() ||
    node.title?.trim() ||
    words(node) ||
    ids(node, "aria-labelledby").some((id) => words(document.getElementById(id))) ||
    [...(node.labels ?? [])].some(words);
  const controls = "a[href], button, summary, input:not([type=hidden]), select, progress";
  for (const node of all(controls)) if (!named(node)) say("no name", node);
  for (const node of all("nav, dialog")) if (shown(node) && !named(node)) say("no name", node);
  for (const node of all("img:not([alt])")) say("no alt", node);
  for (const node of all("svg:not([role])")) {
    if (!node.closest("[aria-hidden]")) say("a picture that says nothing", node);
  }

  // Tags are placed by script through the style object, which the security policy allows.
  for (const node of all("[style]:not(.tag), [onclick], script:not([src])")) say("inline", node);

  const used = all("[id]").map((node) => node.id);
  for (const id of used.filter((id, place) => used.indexOf(id) !== place)) found.push(`twice: #${id}`);
  for (const name of ["aria-labelledby", "aria-describedby", "for"]) {
    for (const node of all(`[${name}]`)) {
      if (!ids(node, name).every((id) => document.getElementById(id))) say("points to nothing", node);
    }
  }

  if (all("h1").length !== 1) found.push("there has to be one h1");
  let level = 0;
  for (const heading of all("main :is(h1, h2, h3, h4)").filter(shown)) {
    const next = Number(heading.tagName[1]);
    if (next > level + 1) say("skips a level", heading);
    level = next;
  }
  if (!document.documentElement.lang) found.push("no language");
  if (!document.title) found.push("no title");
  return found;
}
