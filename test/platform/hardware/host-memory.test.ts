// Where a machine lies in the host's memory, and the room below it that is taken and given back.
import { expect, test } from "vitest";
import { HostMemory, makeHostMemory, RAM_BEGIN, TABLE_BEGIN } from "../../../platform/hardware/host-memory.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { makeEngineMemory } from "../../../platform/state/engine-memory.ts";
import { SnapshotError } from "../../../platform/state/error.ts";

const MEMORY = 2 ** 26;
/** From 64 KiB to the page table. */
const ROOM = TABLE_BEGIN - 2 ** 16;

test("RAM, tags and the first process's page table are parts of one memory, and other processes' tables are not", () => {
  const machine = new Machine({ memoryBytes: MEMORY });
  const { hostMemory, ram } = machine;
  const kernel = new Kernel(machine);
  const processes = [kernel.createProcess(), kernel.createProcess()];
  const tables = processes.map(({ addressSpace }) => addressSpace.pageTable);
  expect(ram.bankOf(0).buffer).toBe(hostMemory?.buffer);
  expect(ram.bankOf(0).byteOffset).toBe(RAM_BEGIN);
  expect(ram.tags.buffer).toBe(hostMemory?.buffer);
  expect(hostMemory?.memory?.buffer).toBe(hostMemory?.buffer);
  expect(tables.map((table) => machine.isInHostMemory(table))).toEqual([true, false]);
  // What the first one has left is the next one's.
  for (const process of processes) process.exit(0);
  expect(machine.isInHostMemory(kernel.createProcess().addressSpace.pageTable)).toBe(true);
  kernel.checkInvariants();
});

test("a machine whose RAM is the program's, has validity bits, or does not fit, has none", () => {
  const buffer = new ArrayBuffer(MEMORY);
  for (const options of [
    { memoryBytes: MEMORY, buffer },
    { memoryBytes: MEMORY, shadow: true },
    { memoryBytes: 2 ** 34 },
    { memoryBytes: 2 ** 25 },
  ])
    expect(new Machine(options).hostMemory).toBeNull();
  expect(makeHostMemory(2 ** 32, false)).toBeNull();
  expect(makeHostMemory(2 ** 32 - RAM_BEGIN, true)).toBeNull();
});

test("room begins on multiples of 64 bytes, apart from all that is taken, and what is given back is the next one's", () => {
  const memory = new HostMemory(MEMORY, 0);
  const sizes = [1, 64, 65, 1000, 4];
  const begins = sizes.map((bytes) => memory.takeRoom(bytes));
  expect(begins).toEqual([65_536, 65_600, 65_664, 65_792, 66_816]);
  memory.giveRoom(begins[2]);
  expect(memory.takeRoom(129)).toBe(66_880);
  expect(memory.takeRoom(128)).toBe(begins[2]);
  memory.giveRoom(begins[0]);
  memory.giveRoom(begins[1]);
  expect(memory.takeRoom(128)).toBe(begins[0]);
});

test("room that is not there is 0, until some is given back", () => {
  const memory = new HostMemory(MEMORY, 0);
  expect(memory.takeRoom(ROOM + 1)).toBe(0);
  const whole = memory.takeRoom(ROOM);
  expect(whole).toBe(2 ** 16);
  expect([memory.takeRoom(1), memory.takeRoom(64)]).toEqual([0, 0]);
  memory.giveRoom(whole);
  const half = memory.takeRoom(ROOM / 2);
  expect(memory.takeRoom(ROOM / 2 + 1)).toBe(0);
  // Less than was refused may be there.
  expect(memory.takeRoom(ROOM / 2)).toBe(half + ROOM / 2);
});

test("what is given back without having been taken changes nothing", () => {
  const memory = new HostMemory(MEMORY, 0);
  const begin = memory.takeRoom(64);
  memory.giveRoom(begin + 64);
  memory.giveRoom(0);
  expect(memory.takeRoom(64)).toBe(begin + 64);
});

test("a restored machine has its memory, all of the room, and what was counted", () => {
  const machine = new Machine({ memoryBytes: MEMORY });
  machine.counters.userBytesFilled = 7;
  machine.hostMemory?.takeRoom(ROOM);
  const digest = machine.digest();
  const twin = Machine.restore(machine.snapshot());
  expect(twin.digest()).toBe(digest);
  expect(twin.hostMemory?.memory?.buffer).toBe(twin.ram.bankOf(0).buffer);
  expect(twin.counters.userBytesFilled).toBe(7);
  expect(twin.hostMemory?.takeRoom(ROOM)).toBe(2 ** 16);
  expect(machine.hostMemory?.takeRoom(1)).toBe(0);
});

test("a snapshot of a machine whose parts lie elsewhere in the memory is refused: generated code has their places in it", () => {
  const { buffer, ram, tags, tableEntries } = new HostMemory(MEMORY, MEMORY / 32);
  const elsewhere: Partial<Record<keyof HostMemory, unknown>>[] = [
    { buffer: new ArrayBuffer(buffer.byteLength) },
    { buffer: makeEngineMemory(65_536) },
    { tableEntries: new Int32Array(buffer, TABLE_BEGIN + 4, tableEntries.length) },
    { tableEntries: tableEntries.subarray(1) },
  ];
  for (const fields of elsewhere) {
    const machine = new Machine({ memoryBytes: MEMORY });
    for (const [name, value] of Object.entries(fields))
      Object.defineProperty(machine.hostMemory, name, { value, enumerable: false, writable: true, configurable: true });
    expect(() => Machine.restore(machine.snapshot())).toThrow(SnapshotError);
  }
  for (const [name, value] of Object.entries({ banks: [ram.slice()], tags: tags.slice(), frameCount: 1 })) {
    const machine = new Machine({ memoryBytes: MEMORY });
    const owner = name === "frameCount" ? machine : machine.ram;
    Object.defineProperty(owner, name, { value, enumerable: true, writable: true, configurable: true });
    expect(() => Machine.restore(machine.snapshot()), name).toThrow(SnapshotError);
  }
  expect(() => Machine.restore(new Machine({ memoryBytes: MEMORY, mte: false }).snapshot())).not.toThrow();
});
