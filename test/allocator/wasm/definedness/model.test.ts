// Random programs do what the model says: values, memory, reports in their order, and every shadow bit of memory.
import fc from "fast-check";
import { expect, test } from "vitest";
import { Model } from "./model.ts";
import { programOf, randomOf } from "./programs.ts";
import { track } from "./rewritten.ts";

const FUEL = 20;
const imports = { host: { host: (value: number) => (value + 1) | 0 } };

test("random programs: results, memory, shadows and reports are the model's", () => {
  let reported = 0;
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 30 }), (seed) => {
      const program = programOf(seed);
      const subject = track(program.text, { imports, sharesMemory: true });
      const model = new Model(program);
      const random = randomOf(seed);
      for (let i = 0; i < 128; i++) {
        const shadow = random(3) === 0 ? random(256) : random(4) === 0 ? 255 : 0;
        subject.bytes[i] = model.bytes[i] = random(256);
        subject.shadow[i] = model.shadow[i] = shadow;
      }
      for (const [index, { params, results }] of program.routines.entries()) {
        (subject.exports.fuel as unknown as { value: number }).value = model.fuel = FUEL;
        const args = params.map(() => BigInt(random(2 ** 31)));
        const expected = model.run(index, args);
        const given = args.map((arg, i) => (params[i] === "i32" ? Number(BigInt.asIntN(32, arg)) : arg));
        const answer = subject.exports[`f${index}`](...(given as never[]));
        const values = results.length === 0 ? [] : results.length === 1 ? [answer] : (answer as unknown[]);
        const widths = { i32: 32, i64: 64 };
        expect(values.map((value, i) => BigInt.asUintN(widths[results[i]], BigInt(value as number)))).toEqual(expected);
        expect(subject.reports.map(({ use }) => use)).toEqual(model.reports);
        expect(subject.bytes.slice(0, 256)).toEqual(model.bytes);
        expect(subject.shadow.slice(0, 256)).toEqual(model.shadow);
      }
      reported += model.reports.length;
    }),
    { numRuns: 150 },
  );
  expect(reported).toBeGreaterThan(100);
});
