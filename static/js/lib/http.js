/** Requests to our own site, with the CSRF token that Django wants. */

/**
 * The cookie is read at every request, because signing in (in another tab too) changes it.
 * Every page with a form has it set; where a deployment hides or renames it, a form's field has it.
 */
export function csrfToken() {
  const cookie = document.cookie.match(/(?:^|;\s*)csrftoken=([^;]+)/);
  if (cookie) return decodeURIComponent(cookie[1]);
  return document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
}

/** Posts repeated `id` fields and gives the JSON of the answer. Throws an Error with a sentence to show. */
export async function postIds(url, ids) {
  let response;
  try {
    response = await fetch(url, {
      method: "POST",
      headers: { Accept: "application/json", "X-CSRFToken": csrfToken(), "X-Requested-With": "XMLHttpRequest" },
      body: new URLSearchParams(ids.map((id) => ["id", id])),
    });
  } catch {
    throw new Error(gettext("The site cannot be reached. Check the connection and try again."));
  }
  const body = await response.json().catch(() => null);
  if (!response.ok || body === null) {
    throw new Error(body?.detail ?? gettext("That did not work. Load the page again and retry."));
  }
  return body;
}
