/** Where files come from: a drop (folders too), the clipboard, a file field. */

/** What operating systems leave lying in folders. */
const LITTER = /^(\.|thumbs\.db$|desktop\.ini$)/i;

/**
 * Yields arrays of files from a drop, folders walked to the bottom, a batch at a time,
 * so that the first files go up while a big folder is still being read.
 *
 * A file dropped itself is always yielded: the server looks at its bytes, not at its name. From folders,
 * what says it is something else than an image is left out, and `skipped` is called for each.
 */
export async function* filesFromDrop(dataTransfer, skipped) {
  // The list of items is emptied as soon as the drop event is over: take everything out at once.
  const entries = [...dataTransfer.items]
    .filter((item) => item.kind === "file")
    .map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  if (entries.length === 0) {
    yield [...dataTransfer.files];
    return;
  }
  const plain = [];
  const folders = [];
  for (const entry of entries) {
    if (entry instanceof File) plain.push(entry);
    else if (entry?.isDirectory) folders.push(entry);
    else if (entry) plain.push(await fileOf(entry));
  }
  const readable = plain.filter((file) => file !== null);
  if (readable.length) yield readable;
  for (const folder of folders) yield* filesInFolder(folder, skipped);
}

async function* filesInFolder(folder, skipped) {
  const reader = folder.createReader();
  for (;;) {
    // Browsers hand out a folder's entries in batches of a hundred, until an empty one.
    const entries = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (entries.length === 0) return;
    const files = [];
    for (const entry of entries.filter((one) => one.isFile && !LITTER.test(one.name))) {
      const file = await fileOf(entry);
      if (file && mayBeImage(file)) files.push(file);
      else skipped();
    }
    if (files.length) yield files;
    for (const entry of entries.filter((one) => one.isDirectory)) yield* filesInFolder(entry, skipped);
  }
}

function fileOf(entry) {
  return new Promise((resolve) => entry.file(resolve, () => resolve(null)));
}

/** No type says nothing: browsers do not know every image format's name. */
function mayBeImage(file) {
  return file.type === "" || file.type.startsWith("image/");
}

/** Files in the clipboard, under a name that tells them apart. */
export function filesFromClipboard(clipboardData) {
  const stamp = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  return [...clipboardData.files].map((file, index) => {
    if (file.name && file.name !== "image.png") return file;
    const extension = file.type.split("/")[1] ?? "png";
    const number = index ? `-${index + 1}` : "";
    return new File([file], `pasted-${stamp}${number}.${extension}`, { type: file.type });
  });
}
