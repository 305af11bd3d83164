// Other ways to translate an address than memory.ts's, each a small class with the same two loops over it: what a load could cost.
// `npm run bench -- mmu --ways` times them; the machine's own loads are mmu.ts's.
import {
  FAST_LOAD,
  OFFSET_MASK,
  PAGE_MASK,
  PAGE_SIZE,
  PAGES_PER_BYTE,
  PTE_FRAME_MASK,
  PTE_FRAME_SHIFT,
  PTE_READ,
} from "../../platform/hardware/layout.ts";
import { keep, sampleInTurn } from "../harness/sample.ts";
import { type Column, formatNanoseconds, formatTable } from "../harness/table.ts";

const LAST_WORD = PAGE_SIZE - 4;

const RAM_BYTES = 2 ** 26;
const WORDS = 2 ** 20;
const FIRST_FRAME = 3;
const BASE = 2 ** 37 + 5 * PAGE_SIZE;
const LOADS = 2 ** 18;

/** A table of pages and RAM, as each way has them. */
abstract class Way {
  protected readonly entries = new Int32Array(PAGE_MASK + 1);
  protected readonly ram = new ArrayBuffer(RAM_BYTES);
  protected readonly view = new DataView(this.ram);
  protected readonly words = new Uint32Array(this.ram);

  constructor() {
    for (let page = 0; page < (WORDS * 4) / PAGE_SIZE; page++)
      this.entries[BASE / PAGE_SIZE + page] = ((page + FIRST_FRAME) << PTE_FRAME_SHIFT) | PTE_READ;
  }

  abstract load(address: number): number;

  protected refuse(address: number): never {
    throw new Error(`${address} is not mapped`);
  }
}

/** memory.ts's: the place in the page as a fraction and as bits. */
class Fraction extends Way {
  load(address: number): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > LAST_WORD || pages - page !== offset * PAGES_PER_BYTE)
      return this.refuse(address);
    return this.view.getUint32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, true);
  }
}

/** The address put together again from page and offset. */
class Sum extends Way {
  load(address: number): number {
    const page = (address * PAGES_PER_BYTE) & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || offset > LAST_WORD || page * PAGE_SIZE + offset !== address)
      return this.refuse(address);
    return this.view.getUint32((((entry & PTE_FRAME_MASK) << 2) | offset) >>> 0, true);
  }
}

/** As the first, but aligned words only, from a typed array. */
class Aligned extends Way {
  load(address: number): number {
    const pages = address * PAGES_PER_BYTE;
    const page = pages & PAGE_MASK;
    const offset = address & OFFSET_MASK;
    const entry = this.entries[page];
    if ((entry & FAST_LOAD) !== PTE_READ || (offset & 3) !== 0 || pages - page !== offset * PAGES_PER_BYTE)
      return this.refuse(address);
    return this.words[((entry & PTE_FRAME_MASK) >>> 0) | (offset >> 2)];
  }
}

/** The last page's place in RAM, kept in fields: a subtraction in place of the table. Something must clear it at each unmapping. */
class LastPage extends Way {
  private base = -1;
  private position = 0;

  load(address: number): number {
    const distance = address - this.base;
    const offset = distance | 0;
    if (offset !== distance || offset >>> 0 > LAST_WORD) return this.loadElsewhere(address);
    return this.view.getUint32(this.position + offset, true);
  }

  private loadElsewhere(address: number): number {
    const offset = address & OFFSET_MASK;
    const entry = this.entries[(address * PAGES_PER_BYTE) & PAGE_MASK];
    if ((entry & FAST_LOAD) !== PTE_READ) return this.refuse(address);
    this.base = address - offset;
    this.position = ((entry & PTE_FRAME_MASK) << 2) >>> 0;
    return this.view.getUint32(this.position + offset, true);
  }
}

/** What all are held against. */
class Raw {
  private readonly words = new Uint32Array(RAM_BYTES / 4);
  load(address: number): number {
    return this.words[address];
  }
}

/** Loops of their own for each subject, so that each is compiled for its class alone; words of `unit` lie from `base` on. */
function loops(subject: { load(address: number): number }, base: number, unit: number): Record<string, () => number> {
  const make = (step: string, index: string): (() => number) =>
    new Function(
      "subject",
      `return () => { let sum = 0; for (let i = 0, x = 1; i < ${LOADS}; i++) { ${step}
       sum = (sum + subject.load(${base} + (${index}) * ${unit})) | 0; } return sum; }`,
    )(subject);
  return {
    "in order": make("", `i & ${WORDS - 1}`),
    "at random": make("x = (Math.imul(x, 1664525) + 1013904223) | 0;", `x >>> ${Math.clz32(WORDS - 1)}`),
  };
}

const subjects: Readonly<Record<string, () => Record<string, () => number>>> = {
  "a typed array": () => loops(new Raw(), 0, 1),
  "the table, place as a fraction (memory.ts)": () => loops(new Fraction(), BASE, 4),
  "the table, address put together": () => loops(new Sum(), BASE, 4),
  "the table, aligned words of a typed array": () => loops(new Aligned(), BASE, 4),
  "the last page in fields": () => loops(new LastPage(), BASE, 4),
};

/** A table: each way's nanoseconds a load, and how many times a typed array's. */
export function measureWays(rounds: number): string {
  const made = Object.entries(subjects).map(([name, make]) => ({ name, loops: make() }));
  const orders = ["in order", "at random"];
  const least = orders.map((order) => {
    const tasks = made.map(({ name, loops: byOrder }) => ({
      name,
      batch: () => {
        keep(byOrder[order]());
        return LOADS;
      },
    }));
    const samples = sampleInTurn(tasks, { rounds, warmUpMilliseconds: 1000 });
    return new Map([...samples].map(([name, { nanoseconds }]) => [name, Math.min(...nanoseconds)]));
  });
  const columns: Column[] = [
    { heading: "a load of 4 bytes by", align: "left" },
    ...orders.flatMap((order): Column[] => [{ heading: order }, { heading: "to typed array" }]),
  ];
  const rows = made.map(({ name }) => [
    name,
    ...least.flatMap((times) => {
      const time = times.get(name) ?? Number.NaN;
      const raw = times.get("a typed array") ?? Number.NaN;
      return [formatNanoseconds(time), `${(time / raw).toFixed(1)} ×`];
    }),
  ]);
  return formatTable(columns, rows);
}
