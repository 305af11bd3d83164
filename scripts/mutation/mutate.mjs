// `npm run mutate`: changes one place of the core at a time, and asks the tests. A mutant that no test notices is a behaviour that no test
// states, or code that is not needed. What may change is operators.mjs, which are drawn draw.mjs, where and whom to ask rooms.mjs, how
// many are tried in one run of a test schemata.mjs and runner.mjs; here is the order of work, and what was found.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { drawn, mutantsOfFile } from "./draw.mjs";
import { LATE, ROOMS } from "./rooms.mjs";

const root = resolve(fileURLToPath(import.meta.url), "../../..");
/** The worker is looked at so often. Looks are counted, not time: a machine that sleeps or is stopped makes no test stuck. */
const LOOK_MS = 2000;
/** A trial that says nothing for so many looks is stuck; one of a long test for so many times the test's own time. */
const STALL_LOOKS = 23;
const STALL_FACTOR = 10;
/** When the time is over, a test that runs may end within so much more. */
const LEAVE_MS = 5_000;
/** Tests of few milliseconds are asked first, longer ones about what is left, for BUDGET_MS a mutant. */
const LONGEST_MS = 15_000;
const PASSES = [
  { pass: "instant", fromMs: 0, toMs: 25 },
  { pass: "quick", fromMs: 25, toMs: 300 },
  { pass: "slow", fromMs: 300, toMs: LONGEST_MS },
];
const BUDGET_MS = 20_000;
/** A mutant of what happens at import needs a worker of its own; so many test files are asked. */
const COLD_FILES = 8;
const ATTEMPTS = 6;

const HELP = `npm run mutate -- [options]
  --room NAME     one of ${Object.keys(ROOMS).join(", ")}; may be given several times. Default: all
  --mutants N     statements of each room, drawn at random, a mutant of each. Default 10
  --seed S        another draw. Default 1
  --at FILE:LINE  all mutants of this line, in the place of a draw; may be given several times
  --tests PLACE   a test file or a folder of them, in the place of the rooms' tests; may be given several times
  --minutes M     stops after M minutes; the same command goes on from there. Default: no limit
  --json FILE     writes what was found`;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        room: { type: "string", multiple: true },
        mutants: { type: "string", default: "10" },
        seed: { type: "string", default: "1" },
        at: { type: "string", multiple: true },
        tests: { type: "string", multiple: true },
        minutes: { type: "string", default: "100000" },
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
    const [mutants, seed, minutes] = [values.mutants, values.seed, values.minutes].map((text) => Number(text));
    if (![mutants, seed].every((number) => Number.isSafeInteger(number) && number >= 1))
      throw new Error("--mutants and --seed are whole numbers from 1");
    if (!(minutes > 0)) throw new Error("--minutes is a number above 0");
    return { rooms, mutants, seed, at: values.at ?? [], tests: values.tests, minutes, json: values.json };
  } catch (error) {
    console.error(`mutate: ${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

function named(places) {
  return places.flatMap((place) => {
    const [file, line] = place.split(":");
    const room = Object.keys(ROOMS).find((name) => ROOMS[name].sources.some((folder) => file.startsWith(`${folder}/`)));
    if (room === undefined || !existsSync(join(root, file))) {
      console.error(`mutate: ${place} is in no room of the core`);
      process.exit(2);
    }
    return mutantsOfFile(root, file, room).filter((mutant) => mutant.line === Number(line));
  });
}

function testsIn(place) {
  if (place.endsWith(".ts")) return [place];
  return readdirSync(join(root, place), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => `${place}/${name}`)
    .sort();
}

/** Test files of the rooms, the nearest ones first. */
function testsOf(rooms) {
  const places = rooms.map((room) => ROOMS[room].tests);
  const byRank = Array.from({ length: Math.max(...places.map(({ length }) => length)) }, (_, rank) =>
    places.flatMap((tests) => tests.slice(rank, rank + 1)),
  ).flat();
  const left = new Set(
    places.flatMap((tests) => tests.filter((test) => test.startsWith("!")).map((test) => test.slice(1))),
  );
  const files = byRank.filter((test) => !test.startsWith("!")).flatMap(testsIn);
  return [...new Set(files)].filter((file) => ![...left].some((place) => file.startsWith(place)));
}

/** The tests that mirror a drawn mutant's file come first: what they kill costs the others nothing. */
function ownFirst(files, mutants) {
  const own = new Set(mutants.map(({ file }) => `test/${file.replace(/\.ts$/, ".test.ts")}`));
  return [...files.filter((file) => own.has(file)), ...files.filter((file) => !own.has(file))];
}

function hashOf(text) {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** What earlier runs of the same command found, and this one: a file of lines that the workers add to. */
class Verdicts {
  constructor(folder) {
    mkdirSync(folder, { recursive: true });
    this.settingsPath = join(folder, "settings.json");
    this.path = join(folder, "verdicts.jsonl");
    if (!existsSync(this.path)) writeFileSync(this.path, "");
  }

  add(verdict) {
    appendFileSync(this.path, `${JSON.stringify(verdict)}\n`);
  }

  lines() {
    return readFileSync(this.path, "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  }

  read() {
    const killers = new Map();
    const reachedBy = new Map();
    const importedBy = new Map();
    const done = new Set();
    const failing = new Set();
    const ms = new Map();
    const cold = new Set();
    const note = (map, id, file) => map.set(id, (map.get(id) ?? new Set()).add(file));
    for (const line of this.lines()) {
      if (line.killer !== undefined) killers.set(line.id, line.killer);
      for (const id of line.reached ?? []) note(reachedBy, id, line.file);
      for (const id of line.atImport ?? []) note(importedBy, id, line.file);
      if (line.done !== undefined) done.add(`${line.done} ${line.file} ${line.hash}`);
      if (line.failed === true) failing.add(line.file);
      if (line.spent !== undefined) ms.set(line.file, line.ms);
      if (line.cold !== undefined) cold.add(line.cold);
    }
    return { killers, reachedBy, importedBy, done, failing, ms, cold };
  }
}

/** Vitest with these settings until it ends or is stuck; whether it passed. */
async function runVitest(verdicts, settings, files) {
  writeFileSync(verdicts.settingsPath, JSON.stringify({ ...settings, files, verdicts: verdicts.path }));
  const child = spawn(
    process.execPath,
    [
      "node_modules/vitest/vitest.mjs",
      "run",
      "--config",
      "scripts/mutation/vitest.config.mjs",
      "--reporter=dot",
      ...(settings.cold === undefined ? [] : ["--bail=1"]),
      ...files,
    ],
    {
      cwd: root,
      stdio: process.env.REFHEAP_MUTATION_LOUD ? "inherit" : "ignore",
      detached: true,
      env: { ...process.env, NO_COLOR: "1", REFHEAP_MUTATION: verdicts.settingsPath },
    },
  );
  const end = () => process.kill(-child.pid, "SIGKILL");
  const leave = () => {
    end();
    process.exit(1);
  };
  process.once("SIGTERM", leave);
  process.once("SIGINT", leave);
  let isStuck = false;
  let isOver = false;
  let lastSize = 0;
  let looks = 0;
  const watch = setInterval(() => {
    if (Date.now() > settings.until + LEAVE_MS) {
      isOver = true;
      end();
      return;
    }
    const { size } = statSync(verdicts.path);
    looks = size === lastSize ? looks + 1 : 0;
    lastSize = size;
    if (looks < STALL_LOOKS) return;
    const last = verdicts.lines().at(-1);
    if (last?.trial === undefined || looks * LOOK_MS < STALL_FACTOR * last.ms) return;
    isStuck = true;
    end();
  }, LOOK_MS);
  const code = await new Promise((resolve) => child.once("exit", resolve));
  clearInterval(watch);
  process.removeListener("SIGTERM", leave);
  process.removeListener("SIGINT", leave);
  return { passed: code === 0, isStuck, isOver };
}

/** Asks all tests whose time is within the pass's, file after file; a file that was cut short is begun again. */
async function ask(verdicts, settings, wanted) {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const { done } = verdicts.read();
    const files = wanted.filter((file) => !done.has(`${settings.pass} ${file} ${settings.hashes[file]}`));
    if (files.length === 0 || Date.now() > settings.until) return;
    const from = verdicts.lines().length;
    const { isStuck, isOver } = await runVitest(verdicts, settings, files);
    if (isOver) return;
    const lines = verdicts.lines().slice(from);
    for (let i = 0; i < lines.length; i++) {
      // The worker that tried it was lost: its next line would be of the same file.
      if (lines[i].trial !== undefined && (lines[i + 1] === undefined || lines[i + 1].start !== undefined))
        verdicts.add({ id: lines[i].trial, killer: isStuck ? "the clock" : "a worker that ended" });
    }
    if (isStuck) attempt--;
  }
}

/** How much a test file has to do with a mutant: it names what the line is of, imports its file, or lies beside it. */
function nearness(test, { file, before }) {
  const text = readFileSync(join(root, test), "utf8");
  const name = /(?:const|function|class) (\w+)/.exec(before)?.[1] ?? "";
  // What a class is kept as shows in snapshots only.
  if (/^keep[A-Z]/.test(before)) return /snapshot/.test(test) ? 8 : 0;
  const isNamed = name !== "" && text.includes(name) ? 4 : 0;
  const isImported = text.includes(`/${file}"`) ? 2 : 0;
  return isNamed + isImported + (test.startsWith(`test/${dirname(file)}/`) ? 1 : 0);
}

/** Mutants of what happens at import: one at a time, in workers that never saw another. */
async function askCold(verdicts, settings) {
  const { killers, reachedBy, importedBy, failing, ms, cold } = verdicts.read();
  for (const mutant of settings.mutants) {
    const { id } = mutant;
    if (killers.has(id) || reachedBy.has(id) || !importedBy.has(id) || cold.has(id)) continue;
    if (Date.now() > settings.until) return;
    const files = [...importedBy.get(id)]
      .filter((test) => !failing.has(test))
      .map((test) => ({ test, near: nearness(test, mutant), ms: ms.get(test) ?? 0 }))
      .sort((a, b) => b.near - a.near || a.ms - b.ms)
      .map(({ test }) => test)
      .slice(0, COLD_FILES);
    // Without a file's name Vitest would run all there are.
    if (files.length === 0) continue;
    const { passed, isStuck, isOver } = await runVitest(verdicts, { ...settings, cold: id }, files);
    if (isOver) return;
    verdicts.add(passed ? { cold: id } : { id, cold: id, killer: isStuck ? "the clock" : "a fresh worker" });
  }
}

/** Survivors that do what the original does, each with the reason; their lines' texts name them. */
function equivalents() {
  const path = join(root, "scripts/mutation/equivalent.jsonl");
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

const { rooms, mutants: count, seed, at, tests, minutes, json } = options();
const chosen = at.length > 0 ? named(at) : rooms.flatMap((room) => drawn(root, room, count, seed));
const mutants = chosen.map((mutant, id) => ({ ...mutant, id }));
const asked = [...new Set(mutants.map(({ room }) => room))];
const files = ownFirst(tests?.flatMap(testsIn) ?? testsOf(asked), mutants);
const hashes = Object.fromEntries(files.map((file) => [file, hashOf(readFileSync(join(root, file)))]));
// A change elsewhere in a file moves a mutant, and leaves it what it is.
const places = mutants.map(({ room, file, before, after }) => [room, file, before, after]);
const verdicts = new Verdicts(join(root, "node_modules/.cache/refheap-mutate", hashOf(JSON.stringify(places))));
const settings = { mutants, hashes, until: Date.now() + minutes * 60_000, budgetMs: BUDGET_MS };
const isLate = (file) => LATE.some((place) => file.startsWith(place));
for (const pass of PASSES) {
  const { killers, reachedBy } = verdicts.read();
  const left = mutants.filter(({ id }) => !killers.has(id));
  const isAsked = (file) => pass.fromMs === 0 || left.some(({ id }) => reachedBy.get(id)?.has(file));
  await ask(
    verdicts,
    { ...settings, ...pass },
    files.filter((file) => !isLate(file) && isAsked(file)),
  );
}
await askCold(verdicts, settings);
if (mutants.some(({ id }) => !verdicts.read().killers.has(id)))
  await ask(verdicts, { ...settings, pass: "late", fromMs: 0, toMs: LONGEST_MS }, files.filter(isLate));

const { killers, reachedBy, importedBy } = verdicts.read();
const known = equivalents();
const results = mutants.map((mutant) => {
  const why = known.find(
    ({ file, before, after }) => [file, before, after].join() === [mutant.file, mutant.before, mutant.after].join(),
  )?.why;
  const isReached = reachedBy.has(mutant.id) || importedBy.has(mutant.id);
  return { ...mutant, killer: killers.get(mutant.id) ?? null, equivalent: why ?? null, isReached };
});
for (const { killer, equivalent, isReached, file, line, name, before, after } of results) {
  if (killer !== null) continue;
  const verdict = equivalent === null ? (isReached ? "SURVIVED " : "UNREACHED") : "EQUIVALENT";
  console.log(
    `${verdict}  ${file}:${line}  ${name}: ${before}  →  ${after}${equivalent === null ? "" : `  (${equivalent})`}`,
  );
}
for (const room of asked) {
  const own = results.filter((result) => result.room === room);
  const killed = own.filter(({ killer }) => killer !== null).length;
  const same = own.filter(({ killer, equivalent }) => killer === null && equivalent !== null).length;
  console.log(
    `${room}: ${killed} of ${own.length - same} killed, ${((100 * killed) / (own.length - same)).toFixed(1)} %; ${same} more are equivalent`,
  );
}
if (Date.now() > settings.until) console.log("the time is over: the same command goes on");
if (json !== undefined) writeFileSync(json, `${JSON.stringify(results, null, 2)}\n`);
