#!/usr/bin/env node
// The command line of `npm run fuzz`: which fuzzers run, how long, from which seed. A failure is its shortest program and how to see it
// again. Exit status: 0 nothing found, 1 something found, 2 wrong usage.
import { Command, InvalidArgumentError } from "commander";
import fc from "fast-check";
import { nearestName } from "../allocator/options/option-error.ts";
import { fuzzers } from "./fuzzers.ts";
import type { Fuzzer } from "./harness/fuzzer.ts";
import { describeFailure, type Failure, runBatch, runFor, type Tally } from "./harness/run.ts";

interface Options {
  readonly minutes: number;
  readonly only?: readonly string[];
  readonly seed?: number;
  readonly path?: string;
  readonly programs?: number;
}

const names = Object.keys(fuzzers);

function chosenNames(text: string, previous: readonly string[] = []): readonly string[] {
  const given = text.split(",");
  for (const name of given) {
    if (names.includes(name)) continue;
    throw new InvalidArgumentError(`There is no fuzzer "${name}"; the nearest name is "${nearestName(name, names)}".`);
  }
  return [...previous, ...given];
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 10_000)) throw new InvalidArgumentError("It is a number above 0, at most 10000.");
  return value;
}

function whole(text: string): number {
  if (!/^-?[0-9]{1,10}$/.test(text)) throw new InvalidArgumentError(`"${text}" is not a whole number.`);
  return Number(text);
}

function found(failure: Failure): void {
  console.log(`\n${describeFailure(failure).join("\n")}\n`);
  process.exitCode = 1;
}

async function run({ minutes, only, seed = Math.floor(Date.now() % 2 ** 31), path, programs }: Options): Promise<void> {
  console.log(`seed ${seed}`);
  // Programs as long as they may be, not the ten steps or so that tests are content with; arbitraries ask when they are made.
  fc.configureGlobal({ ...fc.readConfigureGlobal(), baseSize: "medium" });
  const loaded = new Map<string, Fuzzer<unknown>>();
  for (const name of only ?? names) loaded.set(name, await fuzzers[name].load());
  const tallies = new Map<string, Tally>();
  if (programs === undefined && path === undefined) {
    await runFor(loaded, { seed, milliseconds: minutes * 60_000 }, tallies, found);
  } else {
    for (const [name, fuzzer] of loaded) {
      const tally = { programs: 0, operations: 0 };
      tallies.set(name, tally);
      const failure = await runBatch(name, fuzzer, { seed, count: programs ?? 1, path }, tally);
      if (failure !== undefined) found(failure);
    }
  }
  report(tallies);
}

function report(tallies: ReadonlyMap<string, Tally>): void {
  const width = Math.max(...names.map((name) => name.length));
  const number = (value: number) => value.toLocaleString("en").padStart(12);
  console.log(`${"".padEnd(width)}${"programs".padStart(12)}${"operations".padStart(12)}`);
  let [allPrograms, allOperations] = [0, 0];
  for (const [name, { programs, operations }] of tallies) {
    console.log(`${name.padEnd(width)}${number(programs)}${number(operations)}`);
    allPrograms += programs;
    allOperations += operations;
  }
  console.log(`${"all".padEnd(width)}${number(allPrograms)}${number(allOperations)}`);
}

const width = Math.max(...names.map((name) => name.length));
const listed = names.map((name) => `  ${name.padEnd(width)}  ${fuzzers[name].what}`).join("\n");

await new Command("npm run fuzz --")
  .description("Runs random programs against models and shrinks what fails to the shortest program.")
  .option("--minutes <n>", "how long in all, shared evenly", positive, 2)
  .option("--only <name>", "one fuzzer, or several with commas between", chosenNames)
  .option("--seed <n>", "begin with this seed; without it, one that the clock gives", whole)
  .option("--programs <n>", "a number of programs from the seed on, instead of a time", positive)
  .option("--path <path>", "with --seed: one program that a failure printed")
  .addHelpText("after", `\nNames:\n${listed}`)
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2))
  .action(run)
  .parseAsync();
