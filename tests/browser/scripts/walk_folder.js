// Drops a made-up folder with `photos` images in it, and below it `others` texts, litter and a HEIC file.
async ({ photos, others }) => {
  const { filesFromDrop } = await import("/static/js/upload/sources.js");
  const file = (name, type) => ({
    name,
    isFile: true,
    file: (give) => give(new File(["x"], name, { type })),
  });
  const folder = (name, entries) => ({
    name,
    isDirectory: true,
    createReader() {
      const left = [...entries];
      return { readEntries: (give) => give(left.splice(0, 100)) };
    },
  });
  const many = Array.from({ length: photos }, (_, n) => file(`${n}.jpg`, "image/jpeg"));
  const texts = Array.from({ length: others }, (_, n) => file(`${n}.txt`, "text/plain"));
  const inner = folder("inner", [...texts, file(".DS_Store", ""), file("unknown.heic", "")]);
  const root = folder("root", [inner, ...many]);

  let skipped = 0;
  const batches = [];
  const items = [{ kind: "file", webkitGetAsEntry: () => root }, { kind: "string" }];
  for await (const files of filesFromDrop({ items }, () => skipped++)) batches.push(files.length);
  return { found: batches.reduce((a, b) => a + b), largest: Math.max(...batches), skipped };
}
