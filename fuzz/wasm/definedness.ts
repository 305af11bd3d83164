// Random WebAssembly programs under the definedness pass do what the model says: values, memory, reports in their order, and every
// shadow bit of memory. Every other program is built with origins, and then what is reported is from memory that was undefined at first;
// every other one has its addresses checked, too, so that runs of accesses are joined.
import { deepStrictEqual, ok } from "node:assert/strict";
import fc from "fast-check";
import type { Fuzzer } from "../harness/fuzzer.ts";
import type { Journal } from "../harness/journal.ts";
import { Model } from "./definedness-model.ts";
import { BITS } from "./definedness-operations.ts";
import { programOf, randomOf } from "./definedness-programs.ts";
import { track } from "./definedness-rewritten.ts";
import { INTEGERS } from "./definedness-text.ts";

const FUEL = 20;
/** Origins of what is undefined at first: this and the address of its word. */
const ORIGINS = 1000;
const UNDEFINED_BYTES = 128;
const STRETCH = 16;
const imports = { host: { host: (value: number) => (value + 1) | 0 } };

/** Runs the program of a seed. @returns its routines that were compared, and the reports there were */
export function runDefinedness(
  seed: number,
  journal: Journal,
): { readonly routines: number; readonly reports: number } {
  const program = programOf(seed);
  journal.note(program.text);
  const tracksOrigins = seed % 2 === 0;
  const subject = track(program.text, {
    imports,
    sharesMemory: true,
    tracksOrigins,
    checksAccesses: seed % 4 > 1,
  });
  const model = new Model(program);
  const random = randomOf(seed);
  let isMixed = false;
  for (let i = 0; i < UNDEFINED_BYTES; i++) {
    if (i % STRETCH === 0) isMixed = random(2) === 0;
    // Of a stretch that is not mixed one byte, about, has undefined bits.
    const isUndefined = isMixed ? random(2) === 0 : random(STRETCH) === 0;
    const shadow = isUndefined ? (random(2) === 0 ? random(256) : 255) : 0;
    subject.bytes[i] = model.bytes[i] = random(256);
    subject.shadow[i] = model.shadow[i] = shadow;
  }
  for (let at = 0; at < UNDEFINED_BYTES; at += 4) subject.setOrigin(at, ORIGINS + at);
  for (const [index, { params, results }] of program.routines.entries()) {
    // Floats lose bits on their way through JavaScript, and vectors have none: such a routine is called by others only.
    if (![...params, ...results].every((type) => INTEGERS.includes(type))) continue;
    (subject.exports.fuel as unknown as { value: number }).value = model.fuel = FUEL;
    const args = params.map(() => BigInt(random(2 ** 31)));
    const expected = model.run(index, args);
    const given = args.map((arg, i) => (params[i] === "i32" ? Number(BigInt.asIntN(32, arg)) : arg));
    const answer = subject.exports[`f${index}`](...(given as never[]));
    const values = results.length === 0 ? [] : results.length === 1 ? [answer] : (answer as unknown[]);
    deepStrictEqual(
      values.map((value, i) => BigInt.asUintN(Number(BITS[results[i]]), BigInt(value as number))),
      expected,
    );
    deepStrictEqual(
      subject.reports.map(({ use }) => use),
      model.reports,
    );
    deepStrictEqual(subject.bytes.slice(0, 256), model.bytes);
    deepStrictEqual(subject.shadow.slice(0, 256), model.shadow);
  }
  for (const { origin } of subject.reports) {
    const isOne = origin >= ORIGINS && origin < ORIGINS + UNDEFINED_BYTES;
    ok(isOne === tracksOrigins, `a report has the origin ${origin}`);
  }
  return { routines: program.routines.length, reports: model.reports.length };
}

export const definednessPrograms: Fuzzer<number> = {
  program: fc.integer({ min: 1, max: 2 ** 30 }),
  run: (seed, journal) => runDefinedness(seed, journal).routines,
  inTests: 30,
};
