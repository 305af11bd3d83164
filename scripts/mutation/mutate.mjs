// `npm run mutate`: changes one line of the core at a time, in a copy, and asks the tests. A mutant that no test notices is a behaviour
// that no test states, or code that is not needed. What may change is operators.mjs, where and whom to ask is rooms.mjs.
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { isBehaviour, mutantsOf } from "./operators.mjs";
import { ROOMS } from "./rooms.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
/** A mutant that loops for ever is noticed, too. */
const LONGEST_TEST_MS = 240_000;

const HELP = `npm run mutate -- [options]
  --room NAME     one of ${Object.keys(ROOMS).join(", ")}; may be given several times. Default: all
  --mutants N     mutants of each room, drawn at random. Default 10
  --seed S        another draw. Default 1
  --at FILE:LINE  all mutants of this line, in the place of a draw; may be given several times
  --json FILE     writes what was found`;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        room: { type: "string", multiple: true },
        mutants: { type: "string", default: "10" },
        seed: { type: "string", default: "1" },
        at: { type: "string", multiple: true },
        json: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    });
    if (values.help) {
      console.log(HELP);
      process.exit(0);
    }
    const rooms = values.room ?? Object.keys(ROOMS);
    for (const room of rooms)
      if (!Object.hasOwn(ROOMS, room))
        throw new Error(`there is no room "${room}"; there are ${Object.keys(ROOMS).join(", ")}`);
    const numbers = [values.mutants, values.seed].map((text) => Number(text));
    if (!numbers.every((number) => Number.isSafeInteger(number) && number >= 1))
      throw new Error("--mutants and --seed are whole numbers from 1");
    return { rooms, mutants: numbers[0], seed: numbers[1], at: values.at ?? [], json: values.json };
  } catch (error) {
    console.error(`mutate: ${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

/** The project's files in a folder of their own, so that an interrupted run leaves nothing changed here. */
function copyProject() {
  const folder = mkdtempSync(join(tmpdir(), "refheap-mutate-"));
  const files = execFileSync("git", ["ls-files"], { cwd: root, encoding: "utf8" }).trim().split("\n");
  for (const file of files.filter((file) => existsSync(join(root, file)))) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    cpSync(join(root, file), join(folder, file));
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}

function sourcesOf(room) {
  return ROOMS[room].sources.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`)
      .sort(),
  );
}

function mutantsAt(room, file, row, lines) {
  return isBehaviour(lines[row])
    ? mutantsOf(lines[row]).map((mutant) => ({ room, file, row, before: lines[row], ...mutant }))
    : [];
}

function allMutants(room) {
  return sourcesOf(room).flatMap((file) => {
    const lines = readFileSync(join(root, file), "utf8").split("\n");
    return lines.flatMap((_, row) => mutantsAt(room, file, row, lines));
  });
}

/** xorshift32, so that a draw repeats. */
function draw(mutants, count, seed) {
  let state = seed * 2654435761 || 1;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  const left = [...mutants];
  return Array.from(
    { length: Math.min(count, left.length) },
    () => left.splice(Math.floor(random() * left.length), 1)[0],
  );
}

function named(places) {
  return places.flatMap((place) => {
    const [file, line] = place.split(":");
    const room = Object.keys(ROOMS).find((name) => ROOMS[name].sources.some((folder) => file.startsWith(`${folder}/`)));
    if (room === undefined || !existsSync(join(root, file))) {
      console.error(`mutate: ${place} is in no room of the core`);
      process.exit(2);
    }
    return mutantsAt(room, file, Number(line) - 1, readFileSync(join(root, file), "utf8").split("\n"));
  });
}

/** Test files to ask, in stages: the one of the same name, then the room's. */
function stagesFor({ file, room }) {
  const mirrored = `test/${file.replace(/\.ts$/, "")}`;
  const folder = dirname(mirrored);
  const near = existsSync(join(root, folder))
    ? readdirSync(join(root, folder)).filter((name) => name.startsWith(`${basename(mirrored)}.`))
    : [];
  return [near.map((name) => `${folder}/${name}`), ...ROOMS[room].tests.map((tests) => [tests])].filter(
    (stage) => stage.length > 0,
  );
}

/** Who noticed, or null. */
function judge(folder, mutant) {
  for (const stage of stagesFor(mutant)) {
    const run = spawnSync(
      process.execPath,
      [
        "node_modules/vitest/vitest.mjs",
        "run",
        "--project",
        "sources",
        "--bail=1",
        "--maxWorkers=1",
        "--reporter=dot",
        ...stage,
      ],
      { cwd: folder, encoding: "utf8", timeout: LONGEST_TEST_MS, env: { ...process.env, NO_COLOR: "1" } },
    );
    if (run.status === 0 || /No test files found/.test(run.stdout + run.stderr)) continue;
    return (
      /FAIL\s+(?:\|\w+\|)?\s*(?:sources)?\s*(.*)/.exec(run.stdout + run.stderr)?.[1] ??
      (run.signal === null ? stage.join(" ") : "the clock")
    );
  }
  return null;
}

const { rooms, mutants: count, seed, at, json } = options();
const chosen = at.length > 0 ? named(at) : rooms.flatMap((room) => draw(allMutants(room), count, seed));
const folder = copyProject();
const results = [];
try {
  for (const mutant of chosen) {
    const path = join(folder, mutant.file);
    const original = readFileSync(path, "utf8");
    const lines = original.split("\n");
    lines[mutant.row] = mutant.line;
    writeFileSync(path, lines.join("\n"));
    const killer = judge(folder, mutant);
    writeFileSync(path, original);
    results.push({ ...mutant, killer });
    const verdict = killer === null ? "SURVIVED" : "killed";
    console.log(
      `${verdict}  ${mutant.file}:${mutant.row + 1}  ${mutant.name}: ${mutant.before.trim()}  →  ${mutant.line.trim()}${killer === null ? "" : `  (${killer})`}`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const room of new Set(results.map((result) => result.room))) {
  const own = results.filter((result) => result.room === room);
  const killed = own.filter(({ killer }) => killer !== null).length;
  console.log(`${room}: ${killed} of ${own.length} killed, ${Math.round((100 * killed) / own.length)} %`);
}
if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
