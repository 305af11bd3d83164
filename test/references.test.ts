// What comments and pages refer to exists: parts of the specification (docs/spec/) by their ids, and files by their names.
// Whether a page's examples run and its figures hold is tested where those are made, not here.
import { readdirSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { describe, expect, test } from "vitest";
import { filesBelow, read, root } from "./tree.ts";

const FOLDERS = ["platform", "refpage", "allocator", "bench", "fuzz", "test", "docs", "scripts", "examples"];
const OWN_PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"];
/** Files of somebody else's: upstream sources by their folder, the reader's own program on a page. */
const UPSTREAM = /^(?:fs|mm|arch|kernel|include|memcheck|malloc)\/[\w/-]+\.c$/;
const READERS = new Set(["codec.ts", "src/codec.ts", "codec.c", "src/codec.c", "a.c"]);

const everything = FOLDERS.flatMap((folder) => filesBelow(folder)).concat(readdirSync(root));
const known = new Set(everything);
const knownNames = new Set(everything.map((file) => basename(file)));

const sources = everything.filter((file) => /\.(?:ts|mjs)$/.test(file) && !file.startsWith("docs/"));
const pages = everything.filter(
  (file) => file.endsWith(".md") && (file.startsWith("docs/") || OWN_PAGES.includes(file)),
);

/** The comments of a source, line by line. */
function commentsOf(file: string): string[] {
  return read(file)
    .split("\n")
    .filter((line) => /^\s*(?:\/\/|\/?\*)/.test(line) || / \/\/ /.test(line))
    .map((line) => line.replace(/^.*? \/\/ /, "// "));
}

/** A page without its blocks of code, whose names are the reader's own. */
function proseOf(file: string): string {
  return read(file).replace(/^```[\s\S]*?^```/gm, "");
}

/** Whether a name such as `mm/fault.ts` is the end of some file's path, counted from the file that names it or from the root. */
function exists(name: string, from: string): boolean {
  if (!name.includes("/")) return knownNames.has(name);
  const beside = normalize(join(dirname(from), name));
  return known.has(name) || known.has(beside) || everything.some((file) => file.endsWith(`/${name}`));
}

describe("the specification", () => {
  const specification = everything.filter((file) => /^docs\/spec\/.*\.md$/.test(file));
  const defined = new Set<string>();
  for (const file of specification) {
    // A part is a heading (`## S22 …`), the first cell of a row (`| R8 | …`, in a table of contents any cell) or begins a paragraph (`S22.4 …`).
    const places = /(?:^#+ |^\| |^\*\*|^- |^|\| )((?:[SRT]\d+(?:\.\d+)?)|R-[a-z0-9-]+)\b/gm;
    for (const [, id] of read(file).matchAll(places)) defined.add(id);
  }
  const citation = /(?<![\w.-])((?:[SRT]\d+(?:\.\d+)?)|R-[a-z][a-z0-9-]*[a-z0-9])(?![\w-]|\.\w)/g;

  test("is in docs/spec, by parts", () => {
    expect(specification.length).toBeGreaterThanOrEqual(3);
    expect([...defined]).toEqual(expect.arrayContaining(["S1", "S22.4", "R8", "T5", "R-oom"]));
  });

  test("has each part that code, tests and pages cite", () => {
    const cited = [
      ...sources.map((file) => ({ file, text: commentsOf(file).join("\n") })),
      ...pages.map((file) => ({ file, text: proseOf(file) })),
    ];
    const missing = cited.flatMap(({ file, text }) =>
      [...text.matchAll(citation)].filter(([, id]) => !defined.has(id)).map(([, id]) => `${file} cites ${id}`),
    );
    expect(missing).toEqual([]);
  });
});

describe("files that are named", () => {
  test("in a comment, exist", () => {
    const missing = sources.flatMap((file) =>
      commentsOf(file).flatMap((line) =>
        [...line.matchAll(/(?<![\w./@-])(?:\.{1,2}\/)*([\w-]+(?:[/.][\w-]+)*\.(?:ts|mjs|md|c))(?![\w-])/g)]
          .map(([whole]) => whole.replace(/^(?:\.{1,2}\/)+/, ""))
          .filter((name) => !UPSTREAM.test(name) && !READERS.has(name) && !exists(name, file))
          .map((name) => `${file} names ${name}`),
      ),
    );
    expect(missing).toEqual([]);
  });

  test("on a page, exist", () => {
    const missing = pages.flatMap((file) =>
      [...proseOf(file).matchAll(/`((?:[\w.-]+\/)*[\w-]+(?:\.[\w-]+)*\.(?:ts|mjs|md|c|svg))`/g)]
        .map(([, name]) => name)
        .filter((name) => !READERS.has(name) && !exists(name, file))
        .map((name) => `${file} names ${name}`),
    );
    expect(missing).toEqual([]);
  });

  test("by a link on a page, exist", () => {
    const missing = pages.flatMap((file) =>
      [...proseOf(file).matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)]
        .map(([, target]) => normalize(join(dirname(file), target)))
        .filter((target) => !known.has(target))
        .map((target) => `${file} links to ${target}`),
    );
    expect(missing).toEqual([]);
  });

  test("as the room of something, are all folders of sources (docs/architecture.md)", () => {
    const page = read("docs/architecture.md");
    const floors = ["platform", "refpage", "allocator", "bench", "fuzz", "scripts"];
    const rooms = new Set(sources.filter((file) => floors.includes(file.split("/")[0])).map((file) => dirname(file)));
    // A room is named by its path, or by its own name beside the room around it; what is deeper is found from there.
    const missing = [...rooms].filter((room) => {
      const isNamed = [room, ...(page.includes(`${dirname(room)}/`) ? [basename(room)] : [])].some((name) =>
        page.includes(`\`${name}/`),
      );
      return !isNamed && room.split("/").length <= 3 && !room.startsWith("fuzz/");
    });
    expect(missing).toEqual([]);
  });
});
