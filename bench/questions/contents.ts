// Questions about contents: patterns wider than a byte, and kinds that are deduced (v4) or declared (v5).

import { stg } from "../../platform/hardware/mte.ts";
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_MTE, PROT_READ, PROT_WRITE } from "../../platform/kernel/abi/mman.ts";
import type { Process } from "../../platform/kernel/process.ts";
import type { ReferencePage } from "../../refpage/file.ts";
import { createKernel, refpage_create, refpage_create2 } from "../../refpage/kernel.ts";
import { left, type Question, right, table } from "./question.ts";

const PAGE = 4096;

interface Example {
  readonly name: string;
  /** Bytes after which it repeats. */
  readonly period: number;
  readonly tag?: number;
  readonly zero?: boolean;
}

const EXAMPLES: readonly Example[] = [
  { name: "zeroes", period: 1, zero: true },
  { name: "zeroes with a tag", period: 16, zero: true, tag: 5 },
  ...[1, 2, 4, 8, 16, 32, PAGE].map((period) => ({ name: `${period}-byte pattern`, period })),
];

export const contentKinds: Question = {
  name: "content-kinds",
  asks: "which fill the kernel finds by scanning a page (v4) and which by the declared size (v5), for wider patterns too",
  answer: () => {
    const rows = EXAMPLES.map((example) => {
      const kinds = (["scan", "declare"] as const).map((how) => kindOf(example, how));
      return [example.name, ...kinds, ...kinds.map((kind) => (kind === "user-set" ? String(PAGE) : "0"))];
    });
    const columns = [
      left("content"),
      left("scanned (v4)"),
      left("declared (v5)"),
      right("bytes read a fault, v4"),
      right("v5"),
    ];
    return table("The way in which private pages are filled, by content", columns, rows);
  },
};

function kindOf(example: Example, how: "scan" | "declare"): string {
  const process = createKernel({ memoryBytes: 2 ** 24 }).createProcess();
  const page = contentPage(process, example);
  const fd = how === "scan" ? refpage_create(process, page) : refpage_create2(process, page, example.period);
  const area = process.mmap(0, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
  const { vmas } = process.addressSpace;
  return (vmas.cleanPages[vmas.find(area / PAGE)] as ReferencePage).content.kind;
}

function contentPage(process: Process, { period, zero, tag }: Example): number {
  const protection = PROT_READ | PROT_WRITE | (tag === undefined ? 0 : PROT_MTE);
  const page = process.mmap(0, PAGE, protection, MAP_PRIVATE | MAP_ANONYMOUS);
  if (zero !== true) {
    process.memory.fillPattern(
      page,
      PAGE,
      Uint8Array.from({ length: period }, (_, index) => (index * 7 + 0xab) & 0xff),
    );
  }
  if (tag !== undefined) {
    for (let at = page; at < page + PAGE; at += 16) stg(process.memory, at, at + tag * 2 ** 48);
  }
  return page;
}
