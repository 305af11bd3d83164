// Where a granule's words are in RAM: the one look-up of an allocator's headers, and what it leaves to the usual ways.

import { expect, test } from "vitest";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { createKernel, MAP_ANONYMOUS, MAP_PRIVATE, PROT_MTE, PROT_READ, PROT_WRITE } from "../../../refpage/index.ts";

const PAGE = 4096;
const ELSEWHERE = -1;

function mapped(protection = PROT_READ | PROT_WRITE, options = {}) {
  const process = createKernel({ memoryBytes: 2 ** 24, ...options }).createProcess({ name: "words" });
  return { process, memory: process.memory, at: process.mmap(0, 4 * PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS) };
}

test("the words of a page that was stored to are those that loads and stores see", () => {
  const { memory, at } = mapped();
  memory.setInt32(at + PAGE + 32, 0x1234567);
  const word = memory.granuleWord(at + PAGE + 32);
  expect(memory.words[word]).toBe(0x1234567);
  memory.words[word + 1] = -2;
  expect(memory.getInt32(at + PAGE + 36)).toBe(-2);
  expect(memory.granuleWord(at + PAGE)).toBe(word - 8);
});

test("an untouched, a clean and a read-only page have no place", () => {
  const { process, memory, at } = mapped();
  expect(memory.granuleWord(at)).toBe(ELSEWHERE);
  memory.getInt32(at);
  expect(memory.granuleWord(at)).toBe(ELSEWHERE);
  memory.setInt32(at, 1);
  process.mprotect(at, PAGE, PROT_READ);
  expect(memory.granuleWord(at)).toBe(ELSEWHERE);
});

test("after a fork a shared page has a place again once it is the process's own", () => {
  const { process, memory, at } = mapped();
  memory.setInt32(at, 1);
  process.fork();
  expect(memory.granuleWord(at)).toBe(ELSEWHERE);
  memory.setInt32(at, 2);
  expect(memory.granuleWord(at)).toBeGreaterThanOrEqual(0);
});

test("pages whose accesses are checked have none: tags, validity bits", () => {
  const tagged = mapped(PROT_READ | PROT_WRITE | PROT_MTE);
  tagged.memory.setInt32(tagged.at, 1);
  expect(tagged.memory.granuleWord(tagged.at)).toBe(ELSEWHERE);
  const shadowed = mapped(PROT_READ | PROT_WRITE, { shadow: true });
  shadowed.memory.setInt32(shadowed.at, 1);
  expect(shadowed.memory.granuleWord(shadowed.at)).toBe(ELSEWHERE);
});

test.each([1, 8, 0.5, 2 ** 38, 2 ** 48, -(2 ** 26) * PAGE, Number.NaN, Infinity])(
  "an address that is %d off has none",
  (off) => {
    const { memory, at } = mapped();
    memory.setInt32(at, 1);
    expect(memory.granuleWord(at)).toBeGreaterThanOrEqual(0);
    expect(memory.granuleWord(at + off)).toBe(ELSEWHERE);
  },
);

test("a machine of 4 GiB, whose bytes are more than 32 bits can count, has a word for each four of them", () => {
  const kernel = new Kernel({ memoryBytes: 2 ** 32 });
  const process = kernel.createProcess();
  expect(process.memory.words).toHaveLength(2 ** 30);
});
