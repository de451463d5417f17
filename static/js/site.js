/** What every page needs: htmx with our CSRF token, menus, confirmations, keys, polling, carried-over undo. */
import { find, findAll } from "./lib/dom.js";
import { csrfToken } from "./lib/http.js";
import { setUpConfirmations } from "./lib/confirm.js";
import { offerCarriedUndo } from "./lib/deletion.js";
import { setUpKeysDialog } from "./lib/keys.js";
import { setUpMenus } from "./lib/menus.js";
import { poll } from "./lib/poll.js";
import { toast } from "./lib/toast.js";

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = csrfToken();
});

// A request that a person made gets an answer even when it fails; polls just ask again.
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, (event) => {
    if (event.detail.elt.matches("form, a, button")) {
      toast(gettext("That did not work. Check the connection and try again."));
    }
  });
}

document.addEventListener("htmx:afterSwap", poll);

// Thumbnails that are not there (yet) give way to the blank picture under them. Errors do not bubble.
document.addEventListener(
  "error",
  (event) => event.target.matches?.(".tile__picture img, .face__crop") && event.target.classList.add("is-broken"),
  true,
);

for (const button of findAll("[data-copies]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(find(`#${button.dataset.copies}`).value);
    toast(gettext("Copied"));
  });
}
for (const input of findAll("[data-selects]")) {
  input.addEventListener("focus", () => input.select());
}

setUpConfirmations();
setUpKeysDialog();
setUpMenus();
offerCarriedUndo();
poll();
