/** Menus are <details>; this closes them as people expect: Escape, a click elsewhere, a choice made. */
import { findAll } from "./dom.js";

function closeAll(except) {
  for (const menu of findAll("details.menu[open]")) {
    if (menu !== except) menu.open = false;
  }
}

export function setUpMenus() {
  document.addEventListener("click", (event) => {
    const menu = event.target.closest("details.menu");
    closeAll(event.target.closest(".menu__list a") ? null : menu);
  });
  document.addEventListener("keydown", (event) => {
    const menu = event.target.closest?.("details.menu[open]");
    if (event.key !== "Escape" || !menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault();
  });
}
