/** One file, one request, one outcome. */
import { csrfToken } from "../lib/http.js";

/** Too large, of a wrong kind, unreadable: the same bytes would get the same answer again. */
const REFUSED = new Set([413, 415, 422]);

/**
 * Sends `file`. Calls `progress(part)` with 0…1 and resolves, never rejects, to one of
 *   {kind: "accepted", photo, known}   the photo; `known` when the same bytes were here before
 *   {kind: "wait", seconds, reason}    too many requests
 *   {kind: "failed", reason, retryable} a sentence to show, and whether the same file may do later
 *   {kind: "cancelled"}
 * `started(abort)` gets the function that cancels it.
 */
export function send(url, file, { progress, started }) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", url);
    request.responseType = "json";
    request.setRequestHeader("X-CSRFToken", csrfToken());
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      if (event.lengthComputable && event.total) progress(event.loaded / event.total);
    });
    request.addEventListener("load", () => resolve(outcome(request)));
    request.addEventListener("error", () =>
      resolve({
        kind: "failed",
        reason: gettext("The site cannot be reached. Check the connection and retry."),
        retryable: true,
      }),
    );
    request.addEventListener("abort", () => resolve({ kind: "cancelled" }));
    started(() => request.abort());

    const body = new FormData();
    body.append("image", file, file.name);
    request.send(body);
  });
}

function outcome(request) {
  const { status, response } = request;
  if ((status === 201 || status === 200) && response?.id) {
    return { kind: "accepted", photo: response, known: status === 200 };
  }
  const retryable = !REFUSED.has(status);
  const unexplained = retryable
    ? gettext("The site gave no usable answer (status %s). Retry in a moment.")
    : gettext("The site refused this file (status %s).");
  const reason = typeof response?.detail === "string" ? response.detail : interpolate(unexplained, [status]);
  if (status === 429) {
    const seconds = Number.parseInt(request.getResponseHeader("Retry-After") ?? "5", 10);
    return { kind: "wait", seconds: Math.max(1, seconds || 5), reason };
  }
  return { kind: "failed", reason, retryable };
}
