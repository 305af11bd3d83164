// Validity bits: the range operations, and what loads, stores and copies do with them.
import fc from "fast-check";
import { expect, test } from "vitest";
import { ACCESS_LOAD, PAGE_SIZE } from "../../../platform/hardware/layout.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { tagRange } from "../../../platform/hardware/tag-store.ts";
import { withTag } from "../../../platform/hardware/tags.ts";
import {
  copyBits,
  findUndefined,
  markDefined,
  markUndefined,
  USE_COMPARE,
  USE_COPY,
  USE_LOAD,
  USE_READ,
  USE_STORE,
  USE_STRING,
  type ValidityObserver,
} from "../../../platform/hardware/validity.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_MTE, PROT_READ, PROT_WRITE } from "../../../platform/kernel/abi/mman.ts";
import {
  PR_MTE_TAG_SHIFT,
  PR_MTE_TCF_SYNC,
  PR_SET_TAGGED_ADDR_CTRL,
  PR_TAGGED_ADDR_ENABLE,
} from "../../../platform/kernel/abi/prctl.ts";
import { createKernel } from "../../../refpage/kernel.ts";

const SMALL = 16 * 2 ** 20;
const FRAMES = 4;

test("marking, finding and copying ranges of bits agree with an array of booleans", () => {
  const range = fc.record({
    frame: fc.nat({ max: FRAMES - 1 }),
    offset: fc.nat({ max: PAGE_SIZE - 1 }),
    length: fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: PAGE_SIZE })),
    from: fc.nat({ max: FRAMES * PAGE_SIZE - 1 }),
    what: fc.constantFrom("define", "undefine", "copy"),
  });
  fc.assert(
    fc.property(fc.array(range, { maxLength: 30 }), (steps) => {
      const { ram } = new Machine({ memoryBytes: SMALL, shadow: true });
      const model = new Uint8Array(FRAMES * PAGE_SIZE);
      for (const { frame, offset, from, what, length: wanted } of steps) {
        const length = Math.min(wanted, PAGE_SIZE - offset, PAGE_SIZE - (from % PAGE_SIZE));
        const to = frame * PAGE_SIZE + offset;
        if (what === "define") markDefined(ram, to, length);
        else if (what === "undefine") markUndefined(ram, to, length);
        else copyBits(ram, to, from, length);
        if (what === "copy") model.copyWithin(to, from, from + length);
        else model.fill(what === "define" ? 0 : 1, to, to + length);
        expect(findUndefined(ram, to, length)).toBe(model.subarray(to, to + length).indexOf(1));
      }
      const bits = model.map((_, i) => (ram.undefinedBits[i >> 3] >> (i & 7)) & 1);
      expect(Buffer.compare(bits, model)).toBe(0);
    }),
    { numRuns: 60 },
  );
});

interface Use {
  readonly kind: number;
  readonly address: number;
  readonly size: number;
  readonly first: number;
}

/** Two fresh pages, the bytes [4090, 4100) undefined, and what an observer sees. */
function program() {
  const kernel = createKernel({ memoryBytes: SMALL, shadow: true });
  const process = kernel.createProcess({});
  const { memory } = process;
  const base = process.mmap(0, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  memory.fill(base, 7, 2 * PAGE_SIZE);
  const { ram } = kernel.machine;
  const undefine = (address: number, length: number) => {
    for (let at = address; at < address + length; at++) {
      memory.translateUnchecked(at, 0);
      markUndefined(ram, memory.frame * PAGE_SIZE + (at % PAGE_SIZE), 1);
    }
  };
  undefine(base + 4090, 10);
  const uses: Use[] = [];
  const observer: ValidityObserver = {
    addressableFrom: 0,
    addressableTo: 0,
    undefinedUse: (kind, address, size, first) =>
      void uses.push({ kind, address: address - base, size, first: first - base }),
    mayAccess: (kind, address, size) => {
      uses.push({ kind, address: address - base, size, first: 0 });
      return true;
    },
  };
  memory.validityObserver = observer;
  return { kernel, process, memory, base, uses, observer, undefine };
}

test("a load of undefined bytes is reported with the first of them; a load beside them is not", () => {
  const { memory, base, uses } = program();
  memory.getUint32(base + 4086);
  expect(uses).toEqual([]);
  memory.getUint32(base + 4088);
  expect(uses).toEqual([{ kind: USE_LOAD, address: 4088, size: 4, first: 4090 }]);
});

test("a load over a page border is reported once, as the whole that it is", () => {
  const { memory, base, uses } = program();
  memory.getFloat64(base + 4092);
  expect(uses.map(({ address, size }) => [address, size])).toEqual([[4092, 8]]);
});

test.each([1, 2, 4, 8])("a store of %i bytes defines exactly those", (size) => {
  const { memory, base, uses } = program();
  const store = { 1: "setUint8", 2: "setUint16", 4: "setUint32", 8: "setFloat64" }[size] as "setUint8";
  memory[store](base + 4091, 1);
  uses.length = 0;
  for (let i = 4085; i < 4105; i++) memory.getUint8(base + i);
  const undefinedBytes = uses.map(({ address }) => address);
  const expected = Array.from({ length: 10 }, (_, i) => 4090 + i).filter((at) => at < 4091 || at >= 4091 + size);
  expect(undefinedBytes).toEqual(expected);
});

test("a copy of one byte carries its bit, and only that one", () => {
  const { ram } = new Machine({ memoryBytes: SMALL, shadow: true });
  markUndefined(ram, 100, 1);
  copyBits(ram, PAGE_SIZE + 7, 100, 1);
  expect([findUndefined(ram, PAGE_SIZE, 7), findUndefined(ram, PAGE_SIZE + 7, 1)]).toEqual([-1, 0]);
  copyBits(ram, PAGE_SIZE + 7, 101, 1);
  expect(findUndefined(ram, PAGE_SIZE, PAGE_SIZE)).toBe(-1);
});

test("a store by a pointer with the memory's tag defines its bytes, and a load by it is a use, while tags are checked", () => {
  const kernel = createKernel({ memoryBytes: SMALL, shadow: true });
  const process = kernel.createProcess();
  process.prctl(PR_SET_TAGGED_ADDR_CTRL, PR_TAGGED_ADDR_ENABLE | PR_MTE_TCF_SYNC | (0xffff << PR_MTE_TAG_SHIFT));
  const at = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_MTE, MAP_PRIVATE | MAP_ANONYMOUS);
  const { memory } = process;
  tagRange(memory, withTag(at, 5), 64);
  memory.translateUnchecked(at, ACCESS_LOAD);
  const start = memory.frame * PAGE_SIZE;
  for (const size of [1, 2, 4, 8]) {
    markUndefined(memory.ram, start, 64);
    const uses: number[] = [];
    memory.validityObserver = {
      addressableFrom: at,
      addressableTo: at + PAGE_SIZE,
      undefinedUse: (_kind, address) => void uses.push(address),
      mayAccess: () => true,
    };
    const store = { 1: "setUint8", 2: "setUint16", 4: "setUint32", 8: "setFloat64" }[size] as "setUint8";
    const load = { 1: "getUint8", 2: "getUint16", 4: "getUint32", 8: "getFloat64" }[size] as "getUint8";
    memory[store](withTag(at + 8, 5), 1);
    expect(findUndefined(memory.ram, start + 8, size)).toBe(-1);
    expect(findUndefined(memory.ram, start + 8 + size, 1)).toBe(0);
    memory[load](withTag(at + 8, 5));
    expect(uses).toEqual([]);
    memory[load](withTag(at + 24, 5));
    expect(uses).toHaveLength(1);
    memory.validityObserver = null;
  }
});

test("a copy carries undefinedness and is no use; a fill and a write define", () => {
  const { memory, base, uses } = program();
  memory.copy(base + 100, base + 4088, 8);
  expect(uses.every(({ kind }) => kind === USE_COPY || kind === USE_STORE)).toBe(true);
  uses.length = 0;
  memory.getUint16(base + 100);
  memory.getUint8(base + 102);
  expect(uses).toEqual([{ kind: USE_LOAD, address: 102, size: 1, first: 102 }]);
  memory.fill(base + 4090, 0, 5);
  memory.write(base + 4095, new Uint8Array(5));
  uses.length = 0;
  memory.read(base + 4080, 30);
  expect(uses).toEqual([]);
});

test("a comparison uses what it looks at: up to the first difference", () => {
  const { memory, base, uses } = program();
  memory.setUint8(base + 3, 9);
  memory.compare(base, base + 4087, 8);
  expect(uses).toEqual([{ kind: USE_COMPARE, address: 4087, size: 4, first: 4090 }]);
  uses.length = 0;
  memory.setUint8(base + 1, 9);
  memory.compare(base, base + 4087, 8);
  expect(uses).toEqual([]);
});

test("strings and transfers to the host are uses", () => {
  const { memory, base, uses } = program();
  memory.readString(base + 4088, 3);
  memory.read(base + 4088, 3);
  expect(uses.map(({ kind }) => kind)).toEqual([USE_STRING, USE_READ]);
});

test("stores inside the addressable range are not asked about", () => {
  const { memory, base, uses, observer } = program();
  memory.setUint8(base + 4090, 1);
  expect(uses).toEqual([{ kind: USE_STORE, address: 4090, size: 1, first: 0 }]);
  uses.length = 0;
  observer.addressableFrom = base + 4091;
  observer.addressableTo = base + 4093;
  memory.setUint16(base + 4091, 1);
  expect(uses).toEqual([]);
});

test("what may not be accessed stays undefined, though the store happens", () => {
  const { memory, base, uses, observer } = program();
  observer.mayAccess = () => false;
  memory.setUint8(base + 4090, 77);
  expect(memory.getUint8(base + 4090)).toBe(77);
  expect(uses.map(({ kind }) => kind)).toEqual([USE_LOAD]);
});

test("an observer that throws stops a store before it", () => {
  const { memory, base, observer } = program();
  observer.mayAccess = () => {
    throw new Error("stop");
  };
  expect(() => memory.setUint32(base + 4090, 1)).toThrow("stop");
  expect(() => memory.setFloat64(base + 4092, 1)).toThrow("stop");
  expect(() => memory.fill(base + 4090, 1, 2)).toThrow("stop");
  memory.validityObserver = null;
  expect(memory.getUint8(base + 4090)).toBe(7);
});

test("a handler that unmaps the page makes the access a fault, not a write to somebody else's frame", () => {
  const { memory, base, observer, process } = program();
  observer.mayAccess = () => {
    process.munmap(base, 2 * PAGE_SIZE);
    return true;
  };
  expect(() => memory.setUint8(base + 4090, 1)).toThrow("SEGV_MAPERR");
});

test("fork, copy-on-write and mremap carry the bits; DONTNEED makes bytes defined zeroes", () => {
  const { process, memory, base } = program();
  const child = process.fork();
  const uses: number[] = [];
  child.memory.validityObserver = {
    addressableFrom: 0,
    addressableTo: 2 ** 38,
    undefinedUse: (_kind, _address, _size, first) => void uses.push(first - base),
    mayAccess: () => true,
  };
  child.memory.setUint8(base, 1);
  child.memory.getUint8(base + 4090);
  child.memory.getUint8(base + 4096);
  expect(uses).toEqual([4090, 4096]);
  child.memory.setUint8(base + 4090, 1);
  const parentUses: number[] = [];
  memory.validityObserver = {
    addressableFrom: 0,
    addressableTo: 2 ** 38,
    undefinedUse: (_kind, _address, _size, first) => void parentUses.push(first % PAGE_SIZE),
    mayAccess: () => true,
  };
  const moved = process.mremap(base, 2 * PAGE_SIZE, 4 * PAGE_SIZE, 1);
  memory.getUint8(moved + 4090);
  expect(parentUses).toEqual([4090]);
  process.madvise(moved, 4 * PAGE_SIZE, 4);
  memory.getUint8(moved + 4090);
  expect(parentUses).toEqual([4090]);
});

test("read(2) defines what it fills", () => {
  const { process, memory, base, uses } = program();
  const fd = process.memfd_create("x");
  process.write(fd, base, 20);
  process.pread64(fd, base + 4085, 20, 0);
  uses.length = 0;
  memory.read(base + 4085, 20);
  expect(uses).toEqual([]);
});

test("write(2) of undefined bytes is reported before anything is written", () => {
  const { process, base, observer } = program();
  const fd = process.memfd_create("x");
  observer.undefinedUse = () => {
    throw new Error("stop");
  };
  expect(() => process.write(fd, base + 4085, 20)).toThrow("stop");
  expect(process.fstat(fd).size).toBe(0);
  expect(() => process.process_vm_writev(process.pid, [[base + 4085, 20]], [[base, 20]])).toThrow("stop");
  expect(() => process.process_vm_readv(process.pid, [[base, 20]], [[base + 4085, 20]])).toThrow("stop");
  process.kernel.checkInvariants();
});

test("a reference page keeps its content's undefined bytes, and its private copies start with them", () => {
  const { process, base, memory, uses, undefine } = program();
  undefine(base, 16);
  for (const fd of [process.syscall("refpage_create", base, 0), process.syscall("refpage_create2", base, 16, 0)]) {
    const at = process.mmap(0, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
    uses.length = 0;
    memory.getUint8(at + 3);
    memory.setUint8(at + 8, 1);
    memory.getUint8(at + 3);
    expect(uses.filter(({ kind }) => kind === USE_LOAD).length).toBe(2);
  }
});

test.each([1, 8, 64, 2048])("of a content of %i bytes each repetition has the same undefined bytes", (size) => {
  const { process, base, memory, uses, undefine } = program();
  undefine(base + size - 1, 1);
  const fd = process.syscall("refpage_create2", base, size, 0);
  const at = process.mmap(0, PAGE_SIZE, PROT_READ, MAP_PRIVATE, fd);
  uses.length = 0;
  const undefinedOffsets: number[] = [];
  for (let offset = 0; offset < PAGE_SIZE; offset++) {
    const before = uses.length;
    memory.getUint8(at + offset);
    if (uses.length > before) undefinedOffsets.push(offset);
  }
  expect(undefinedOffsets).toEqual(Array.from({ length: PAGE_SIZE / size }, (_, i) => (i + 1) * size - 1));
});
