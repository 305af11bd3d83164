// What happens in Vitest's worker: each test runs once as ever, which says what mutants it reaches, and once more for each of them that
// is still alive. Whoever starts the worker and counts is mutate.mjs; verdicts go from here to there, and to later workers, as lines.
import { appendFileSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import fc from "fast-check";
import { VitestTestRunner } from "vitest/runners";
import { getFn, getHooks } from "vitest/suite";

const settings = JSON.parse(readFileSync(process.env.REFHEAP_MUTATION, "utf8"));
const FULL = 2 ** 31 - 1;
/** A mutant's run may go round loops this many times as often as the test's own, and as often again on top. */
const LOOP_FACTOR = 20;
const LOOP_EXTRA = 1_000_000;

/** A mutant of what happens at import is there from the start, and the tests run as ever. */
const COLD = settings.cold ?? -1;
const state = { active: COLD, reached: new Uint8Array(settings.mutants.length), refills: 0 };

globalThis.$mutation = {
  fuel: FULL,
  reach(id) {
    state.reached[id] = 1;
    return id === state.active;
  },
  out() {
    if (state.active >= 0) throw new Error("a loop without an end");
    state.refills++;
    this.fuel = FULL;
  },
};

// A counterexample is enough: it need not be small.
fc.configureGlobal({ ...fc.readConfigureGlobal(), endOnFailure: true });

const killed = new Set();
const spent = new Map();
/** What earlier runs know of a test: its time, and which mutants it reaches. */
const known = new Map();
for (const line of readFileSync(settings.verdicts, "utf8").split("\n")) {
  if (line === "") continue;
  const verdict = JSON.parse(line);
  if (verdict.killer !== undefined) killed.add(verdict.id);
  if (verdict.test !== undefined) known.set(`${verdict.hash} ${verdict.test}`, verdict);
  for (const [id, ms] of verdict.spent ?? []) spent.set(id, (spent.get(id) ?? 0) + ms);
}

/** Time that this process was at work: what else runs on the machine does not count. */
function busyMs() {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function say(verdict) {
  appendFileSync(settings.verdicts, `${JSON.stringify(verdict)}\n`);
}

/** Suites of a test, the outermost first. */
function suitesOf(test) {
  const suites = [];
  for (let suite = test.suite ?? test.file; suite !== undefined; suite = suite.suite ?? undefined)
    suites.unshift(suite);
  if (suites[0] !== test.file) suites.unshift(test.file);
  return suites;
}

function idsReached() {
  return settings.mutants.filter(({ id }) => state.reached[id] === 1).map(({ id }) => id);
}

function nameOf(test) {
  return [...suitesOf(test).slice(1), test].map(({ name }) => name).join(" > ");
}

async function hooks(test, name) {
  const suites = suitesOf(test);
  for (const suite of name === "afterEach" ? suites.reverse() : suites)
    for (const hook of getHooks(suite)[name]) await hook(test.context, suite);
}

/** The test again, between its hooks; whether it passed. */
async function passes(test, active) {
  let passed = true;
  try {
    await hooks(test, "afterEach");
  } catch {
    // What was run before may have left something that cannot be put away.
  }
  state.active = active;
  try {
    await hooks(test, "beforeEach");
    await getFn(test)();
  } catch {
    passed = false;
  }
  state.active = -1;
  globalThis.$mutation.fuel = FULL;
  return passed;
}

export default class MutationRunner extends VitestTestRunner {
  #file = "";
  #mine = new Map();
  #outside = new Set();
  #isSound = true;
  #ms = 0;

  onCollectStart(file) {
    super.onCollectStart(file);
    this.#file = relative(this.config.root, file.filepath);
    say({ file: this.#file, start: true });
  }

  /** What was reached since the last test is of the import, or of hooks around all tests: a test that runs again does not meet it. */
  #noteOutside() {
    for (const id of idsReached()) this.#outside.add(id);
    state.reached.fill(0);
  }

  onBeforeTryTask(test, options) {
    super.onBeforeTryTask(test, options);
    this.#noteOutside();
    state.refills = 0;
    globalThis.$mutation.fuel = FULL;
  }

  async runTask(test) {
    if (COLD >= 0) return getFn(test)();
    const name = nameOf(test);
    const before = known.get(`${settings.hashes[this.#file]} ${name}`);
    if (before !== undefined && !this.#isWanted(before.reached, before.ms)) return;
    const start = busyMs();
    await getFn(test)();
    const ms = busyMs() - start;
    this.#ms += ms;
    const rounds = FULL - globalThis.$mutation.fuel + state.refills * FULL;
    const reached = idsReached();
    if (before === undefined) say({ file: this.#file, hash: settings.hashes[this.#file], test: name, ms, reached });
    if (!this.#isWanted(reached, before?.ms ?? ms)) return;
    await this.#tryAll(test, reached, ms, Math.min(FULL, rounds * LOOP_FACTOR + LOOP_EXTRA));
    state.reached.fill(0);
  }

  #alive(reached) {
    const spentOn = (id) => (spent.get(id) ?? 0) + (this.#mine.get(id) ?? 0);
    return reached.filter((id) => !killed.has(id) && spentOn(id) < settings.budgetMs);
  }

  /** Whether this run asks a test that takes so long, and whether it has something to say. */
  #isWanted(reached, ms) {
    if (!this.#isSound || Date.now() > settings.until || ms < settings.fromMs || ms >= settings.toMs) return false;
    return this.#alive(reached).length > 0;
  }

  async #tryAll(test, reached, ms, fuel) {
    const alive = this.#alive(reached);
    // A test that does not pass twice says nothing about a mutant.
    if (!(await passes(test, -1))) return;
    let sinceSound = 0;
    for (const id of alive) {
      if (Date.now() > settings.until) return;
      say({ trial: id, ms });
      globalThis.$mutation.fuel = fuel;
      const start = busyMs();
      const survived = await passes(test, id);
      this.#mine.set(id, (this.#mine.get(id) ?? 0) + busyMs() - start);
      if (survived) {
        sinceSound++;
        continue;
      }
      const isSound = await passes(test, -1);
      // Where earlier mutants may have spoilt what lasts beyond a test, the verdict waits for a fresh worker.
      if (isSound || sinceSound === 0) {
        killed.add(id);
        say({ id, killer: `${this.#file} > ${test.name}` });
      }
      if (!isSound) {
        this.#isSound = false;
        say({ file: this.#file, spoilt: id });
        return;
      }
      sinceSound = 0;
    }
  }

  onAfterRunTask(test) {
    super.onAfterRunTask(test);
    if (COLD < 0 && this.#isSound && test.result?.state === "fail")
      say({ file: this.#file, failed: true, name: test.name });
  }

  onAfterRunFiles() {
    super.onAfterRunFiles();
    if (COLD >= 0) return;
    this.#noteOutside();
    say({ file: this.#file, atImport: [...this.#outside] });
    const isDone = this.#isSound && Date.now() <= settings.until;
    const done = isDone ? { done: settings.pass, hash: settings.hashes[this.#file] } : {};
    say({ file: this.#file, spent: [...this.#mine], ms: Math.round(this.#ms), ...done });
  }
}
