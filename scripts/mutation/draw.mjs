// Which mutants are tried: of each room as many statements as are asked for, and of each statement one mutant. A draw depends on the
// statements' text and the seed only, so that the same ones come again after a change elsewhere. Not here: what a mutant changes.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mutantsOf } from "./operators.mjs";
import { ROOMS } from "./rooms.mjs";

export function sourcesOf(root, room) {
  return ROOMS[room].sources.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`)
      .sort(),
  );
}

function hash(...parts) {
  return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 12);
}

/** A place as people read it: its line's number, the line, and the line as the mutant makes it. */
function described(source, file, room, mutant) {
  const first = source.lastIndexOf("\n", mutant.start - 1) + 1;
  const after = source.indexOf("\n", mutant.start);
  const before = source.slice(first, after).trim();
  const changed = mutant.text === null ? "" : mutant.text;
  const line = source.slice(0, first).split("\n").length;
  const tail = mutant.end <= after ? source.slice(mutant.end, after) : "";
  const made = (source.slice(first, mutant.start) + changed + tail).trim();
  return { ...mutant, room, file, line, before, after: made.replaceAll(/\s+/g, " ") };
}

export function mutantsOfFile(root, file, room) {
  const source = readFileSync(join(root, file), "utf8");
  return mutantsOf(source).map((mutant) => described(source, file, room, mutant));
}

/** One mutant a statement, `count` statements of a room. */
export function drawn(root, room, count, seed) {
  const statements = new Map();
  for (const file of sourcesOf(root, room)) {
    const times = new Map();
    for (const mutant of mutantsOfFile(root, file, room)) {
      const alike = `${mutant.before}\0${mutant.after}`;
      times.set(alike, (times.get(alike) ?? 0) + 1);
      const drawnAs = hash(seed, file, alike, times.get(alike));
      const key = `${file}:${mutant.unit}`;
      const kept = statements.get(key);
      if (kept === undefined || drawnAs < kept.drawnAs) statements.set(key, { ...mutant, drawnAs });
    }
  }
  // The mutant's own hash would prefer statements with many mutants; another one chooses among the statements.
  return [...statements.values()]
    .map((mutant) => ({ ...mutant, rank: hash(seed, "rank", mutant.drawnAs) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .slice(0, count);
}
