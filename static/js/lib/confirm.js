/** Asks before a form with data-confirm is sent. */
import { element, findAll } from "./dom.js";

function ask(sentence, yes) {
  const dialog = element("dialog", { className: "dialog dialog--small" });
  const cancel = element("button", { className: "button", type: "submit", value: "", autofocus: true }, gettext("Cancel"));
  const go = element("button", { className: "button button--strong", type: "submit", value: "yes" }, yes);
  const text = element("p", { id: "confirm-text" }, sentence);
  dialog.setAttribute("aria-labelledby", text.id);
  dialog.append(
    element("form", { method: "dialog" }, text, element("div", { className: "dialog__actions" }, cancel, go)),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
  });
}

export function setUpConfirmations() {
  for (const form of findAll("form[data-confirm]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await ask(form.dataset.confirm, form.dataset.confirmButton)) form.submit();
    });
  }
}
