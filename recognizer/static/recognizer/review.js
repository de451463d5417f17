/** The review queue: buttons and their keys, the time spent on a face, the list of keys. */
const form = document.querySelector("#review");
const keys = document.querySelector("#keys");
let shownAt = performance.now();
let busy = false;

async function send(address, values = {}) {
  // A second key pressed before the answer would judge a face that nobody has seen yet.
  if (busy) return;
  busy = true;
  const seconds = form.querySelector("[name=seconds]");
  if (seconds) seconds.value = ((performance.now() - shownAt) / 1000).toFixed(2);
  try {
    await htmx.ajax("POST", address, {
      source: form,
      target: form,
      swap: "innerHTML",
      values: { ...Object.fromEntries(new FormData(form)), ...values },
    });
  } finally {
    busy = false;
  }
}

function press(button) {
  const { verdict, emotion, step } = button.dataset;
  if (step) send(form.dataset[step]);
  else send(form.dataset.verdict, { verdict, emotion: emotion ?? "" });
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-key]");
  if (button) press(button);
});
form.addEventListener("submit", (event) => event.preventDefault());

// The token is in the page, not in what is swapped.
const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = token;
});
document.addEventListener("htmx:afterSwap", () => (shownAt = performance.now()));
for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
  document.addEventListener(failure, () => {
    form.querySelector("[role=status]").textContent = gettext(
      "That did not work. Check the connection and try again.",
    );
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.repeat) return;
  if (keys.open || event.target.matches("select, input:not([type=hidden]), textarea")) return;
  if (event.key === "?") {
    keys.showModal();
    return;
  }
  // Enter on a focused button presses that button, as everywhere.
  if (event.key === "Enter" && event.target.matches("button, a")) return;
  const wanted = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const button = form.querySelector(`button[data-key="${CSS.escape(wanted)}"]`);
  if (button) {
    event.preventDefault();
    press(button);
  }
});

document.querySelector("[data-help]").addEventListener("click", () => keys.showModal());
