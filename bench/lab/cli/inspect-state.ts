// `refheap inspect` of a machine's snapshot: a post-mortem. Processes, heaps, what was found, and what lies at an address.
// Nothing runs on: all that is looked at is a copy, restored from the file. Traces are inspect.ts.
import { readFileSync } from "node:fs";
import type { Finding } from "../../../allocator/checker/finding.ts";
import { formatFindings } from "../../../allocator/checker/finding-text.ts";
import { formatPointer } from "../../../allocator/common/heap-error.ts";
import { Heap, partsOf } from "../../../allocator/heap/heap.ts";
import { Machine } from "../../../platform/hardware/machine.ts";
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { Process } from "../../../platform/kernel/process.ts";
import { MAGIC } from "../../../platform/state/nodes.ts";
import { formatBytes } from "../../harness/table.ts";
import { beginningOf } from "./beginning.ts";
import { plural } from "./tally-text.ts";

export interface StateOptions {
  /** Addresses to explain. */
  readonly address?: readonly number[];
  /** Processes whose /proc/PID/maps is printed. */
  readonly maps?: readonly number[];
}

const ROW_BYTES = 16;
const ROWS = 4;

/** Whether a file begins as snapshots do. A pipe, or no file: no. */
export function isSnapshot(file: string): boolean {
  return file !== "-" && beginningOf(file, MAGIC.length) === MAGIC;
}

interface State {
  readonly machine: Machine;
  readonly processes: readonly Process[];
  readonly heaps: readonly Heap[];
}

/** @throws SnapshotError: damaged. RangeError: no such process */
function openState(file: string, maps: readonly number[]): State {
  const machine = Machine.restore(readFileSync(file));
  const processes = [...(Kernel.on(machine)?.processes.values() ?? [])];
  for (const wanted of maps)
    if (!processes.some(({ pid }) => pid === wanted))
      throw new RangeError(
        `${file}: there is no process ${wanted}; there are ${processes.map(({ pid }) => pid).join(", ")}`,
      );
  return { machine, processes, heaps: Heap.on(machine) };
}

/** What there is to say of a snapshot, as data. @throws SnapshotError: damaged. RangeError: no such process */
export function inspectState(file: string, { address: addresses = [], maps = [] }: StateOptions): object {
  const { machine, processes, heaps } = openState(file, maps);
  return {
    snapshot: file,
    memoryBytes: machine.memoryBytes,
    processes: processes.map((process) => ({
      pid: process.pid,
      name: process.name,
      rssBytes: process.rssBytes,
      ...(maps.includes(process.pid) ? { maps: process.procfs("maps") } : {}),
    })),
    heaps: heaps.map((heap) => describeHeap(heap)),
    addresses: addresses.map((address) => ({ address, heaps: heaps.map((heap) => explained(heap, address)) })),
  };
}

function describeHeap(heap: Heap): object {
  const { fill, tagging, uninitialised } = heap.options;
  const { allocatedBytes, mappedBytes } = heap.stats();
  const findings: readonly Finding[] = heap.checker.findings;
  return { pid: heap.process.pid, fill, tagging, uninitialised, allocatedBytes, mappedBytes, findings };
}

function explained(heap: Heap, address: number): object {
  return { pid: heap.process.pid, ...heap.explain(address), bytes: bytesAround(heap, address) };
}

/** The bytes from 16 before an address on, as far as memory is there; null: not there. */
function bytesAround(heap: Heap, address: number): { readonly from: number; readonly bytes: (number | null)[] } {
  const { memory } = partsOf(heap).program;
  const from = Math.max(0, Math.floor(address / ROW_BYTES) * ROW_BYTES - ROW_BYTES);
  const bytes = Array.from({ length: ROWS * ROW_BYTES }, (_, i) => {
    try {
      return memory.getUint8(from + i);
    } catch {
      return null;
    }
  });
  return { from, bytes };
}

/** The same for people. @throws as {@link inspectState} */
export function describeState(file: string, { address: addresses = [], maps = [] }: StateOptions): string {
  const { machine, processes, heaps } = openState(file, maps);
  return [
    `${file}: snapshot of a machine of ${formatBytes(machine.memoryBytes)}, ${plural(processes.length, "process", "processes")}, ${plural(heaps.length, "heap")}`,
    ...processes.map((process) => describeProcess(process)),
    ...heaps.flatMap((heap) => heapLines(heap)),
    ...maps.flatMap((pid) =>
      processes
        .filter((process) => process.pid === pid)
        .map((process) => `\n/proc/${pid}/maps\n${process.procfs("maps").trimEnd()}`),
    ),
    ...addresses.flatMap((address) => addressLines(heaps, address)),
  ].join("\n");
}

function describeProcess({ pid, name, rssBytes, exitStatus, threads }: Process): string {
  const state = exitStatus === null ? `${formatBytes(rssBytes)} resident` : `ended with ${exitStatus}`;
  return `  process ${pid} (${name}): ${state}, ${plural([...threads].length, "thread")}`;
}

function heapLines(heap: Heap): string[] {
  const { fill, tagging, uninitialised } = heap.options;
  const { allocatedBytes, mappedBytes } = heap.stats();
  const { findings } = heap.checker;
  return [
    `  heap of process ${heap.process.pid}: ${formatBytes(allocatedBytes)} allocated of ${formatBytes(mappedBytes)} mapped; fill ${fill}, tagging ${tagging}, uninitialised ${uninitialised}`,
    ...(findings.length === 0 ? [] : ["", formatFindings(findings).trimEnd()]),
  ];
}

function addressLines(heaps: readonly Heap[], address: number): string[] {
  if (heaps.length === 0) return ["", `${formatPointer(address)}: there is no heap`];
  return heaps.flatMap((heap) => {
    const { sentence, stacks } = heap.explain(address);
    const title = heaps.length === 1 ? "" : `heap of process ${heap.process.pid}: `;
    const stackLines = [
      ["allocated", stacks?.allocation],
      ["freed", stacks?.free],
    ].flatMap(([what, stack]) => (stack ? [`  ${what}`, ...stack.split("\n")] : []));
    return ["", `${title}${sentence}`, ...stackLines, ...hexDump(heap, address)];
  });
}

function hexDump(heap: Heap, address: number): string[] {
  const { from, bytes } = bytesAround(heap, address);
  if (bytes.every((byte) => byte === null)) return ["  no memory is there"];
  return Array.from({ length: ROWS }, (_, row) => {
    const cells = bytes.slice(row * ROW_BYTES, (row + 1) * ROW_BYTES);
    const hex = cells.map((byte) => (byte === null ? "--" : byte.toString(16).padStart(2, "0"))).join(" ");
    const text = cells
      .map((byte) => (byte !== null && byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "."))
      .join("");
    const at = from + row * ROW_BYTES;
    const mark = address >= at && address < at + ROW_BYTES ? ">" : " ";
    return `${mark} ${formatPointer(at)}  ${hex}  ${text}`;
  });
}
