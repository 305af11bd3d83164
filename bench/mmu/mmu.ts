// `npm run bench -- mmu`: what a load, a store, a fill, a copy and a comparison cost in simulated memory, against a typed array and a
// DataView in the same run, at growing working sets. The timed loops are in mmu/accesses.ts.
import {
  createKernel,
  MAP_ANONYMOUS,
  MAP_POPULATE,
  MAP_PRIVATE,
  type Memory,
  PROT_READ,
  PROT_WRITE,
} from "../../refpage/index.ts";
import { benchmarkCommand, writeJson } from "../harness/command.ts";
import { describeHost, formatHost } from "../harness/machine.ts";
import { startProgress } from "../harness/progress.ts";
import { keep, ratioOf, type Samples, sampleInTurn } from "../harness/sample.ts";
import { type Column, formatBytes, formatNanoseconds, formatSpread, formatTable } from "../harness/table.ts";
import { formatTargets, type Target } from "../harness/target.ts";
import { arrayBlocks, arrayLoops, memoryBlocks, memoryLoops, viewLoops } from "./accesses.ts";
import { measureWays } from "./ways.ts";

const MIB = 2 ** 20;
const workingSets = [1, 4, 16, 64, 256].map((mebibytes) => mebibytes * MIB);
const blockOperations = ["fill", "copy", "compare"] as const;
type BlockOperation = (typeof blockOperations)[number];
const blockSizes = [64, 4096, 65536];
const BLOCK_WORKING_SET = 16 * MIB;
/** "A load or store of 4 bytes at most 3 times a raw typed array's, at any working set up to 256 MiB." */
const ACCESS_RATIO = 3;
/** Copies and comparisons at odd places, to raw ones: of a page and more, and of a short block. */
const BLOCK_RATIO = 1.3;
const SHORT_BLOCK_RATIO = 2;

/** One line of the table: what it costs in each kind of memory, in nanoseconds. */
interface Line {
  readonly operation: string;
  readonly bytes: number;
  readonly memory: Samples;
  readonly array: Samples;
  readonly view?: Samples;
}

interface Subjects {
  readonly memory: Memory;
  readonly base: number;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly view: DataView;
}

/** All kinds of memory, every page of them written once. */
function prepare(): Subjects {
  const lengthBytes = Math.max(...workingSets);
  const process = createKernel().createProcess({ name: "mmu" });
  const base = process.mmap(0, lengthBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE);
  const buffer = new ArrayBuffer(lengthBytes);
  const bytes = new Uint8Array(buffer);
  bytes.fill(1);
  return { memory: process.memory, base, bytes, words: new Uint32Array(buffer), view: new DataView(buffer) };
}

function measureAccess(subjects: Subjects, operation: string, bytes: number, rounds: number): Line {
  const { memory, base, words: array, view } = subjects;
  const words = bytes / 4;
  const count = operation.endsWith("order") ? Math.max(words, 2 ** 22) : 2 ** 22;
  const batch =
    <Subject>(loop: (s: Subject, base: number, words: number, count: number) => number, subject: Subject) =>
    () => {
      keep(loop(subject, base, words, count));
      return count;
    };
  const samples = sampleInTurn(
    [
      { name: "memory", batch: batch(memoryLoops[operation], memory) },
      { name: "array", batch: batch(arrayLoops[operation], array) },
      { name: "view", batch: batch(viewLoops[operation], view) },
    ],
    { rounds },
  );
  return { operation, bytes, memory: get(samples, "memory"), array: get(samples, "array"), view: get(samples, "view") };
}

function measureBlocks(subjects: Subjects, operation: BlockOperation, blockBytes: number, rounds: number): Line {
  const { memory, base, bytes, view } = subjects;
  const raw = { array: bytes, view };
  // A comparison takes some ten times as long as a copy.
  const count = Math.min(2 ** 17, ((operation === "compare" ? 8 : 64) * MIB) / blockBytes);
  if (operation === "compare") {
    // All alike, so that each comparison goes to the end.
    memory.fill(base, 1, BLOCK_WORKING_SET);
    bytes.fill(1, 0, BLOCK_WORKING_SET);
  }
  const samples = sampleInTurn(
    [
      {
        name: "memory",
        batch: () => {
          keep(memoryBlocks[operation](memory, base, BLOCK_WORKING_SET, blockBytes, count));
          return count;
        },
      },
      {
        name: "array",
        batch: () => {
          keep(arrayBlocks[operation](raw, 0, BLOCK_WORKING_SET, blockBytes, count));
          return count;
        },
      },
    ],
    { rounds },
  );
  return {
    operation: `${operation} a block`,
    bytes: blockBytes,
    memory: get(samples, "memory"),
    array: get(samples, "array"),
  };
}

function get(samples: Map<string, Samples>, name: string): Samples {
  const found = samples.get(name);
  if (found === undefined) throw new Error(`no samples of ${name}`);
  return found;
}

const columns: readonly Column[] = [
  { heading: "operation", align: "left" },
  { heading: "working set" },
  { heading: "simulated" },
  { heading: "95 % CI" },
  { heading: "typed array" },
  { heading: "DataView" },
  { heading: "to typed array" },
  { heading: "to DataView" },
];

function tableRow({ operation, bytes, memory, array, view }: Line): string[] {
  return [
    operation,
    formatBytes(bytes),
    formatNanoseconds(memory.summary.median),
    formatSpread(memory.summary.mean, memory.summary.halfWidth),
    formatNanoseconds(array.summary.median),
    view === undefined ? "" : formatNanoseconds(view.summary.median),
    `${ratioOf(memory, array).toFixed(2)} ×`,
    view === undefined ? "" : `${ratioOf(memory, view).toFixed(2)} ×`,
  ];
}

function listTargets(accesses: readonly Line[], blocks: readonly Line[]): Target[] {
  const worst = (word: string) => {
    const lines = accesses.filter(({ operation }) => operation.startsWith(word));
    return lines.reduce((a, b) => (ratioOf(b.memory, b.array) > ratioOf(a.memory, a.array) ? b : a));
  };
  const ofBlocks = blocks
    .filter(({ operation }) => !operation.startsWith("fill"))
    .map(({ operation, bytes, memory, array }) => ({
      what: `${operation} of ${formatBytes(bytes)} at odd places costs a raw one's`,
      measured: ratioOf(memory, array),
      unit: " times",
      atMost: bytes < 4096 ? SHORT_BLOCK_RATIO : BLOCK_RATIO,
    }));
  const ofWords = ["load", "store"].map((word) => {
    const line = worst(word);
    return {
      what: `a ${word} of 4 bytes, at worst (${line.operation}, ${formatBytes(line.bytes)}), costs a typed array's`,
      measured: ratioOf(line.memory, line.array),
      unit: " times",
      atMost: ACCESS_RATIO,
    };
  });
  return [...ofWords, ...ofBlocks];
}

export async function run(argv: string[]): Promise<void> {
  const command = benchmarkCommand("mmu", "Loads, stores, fills, copies and comparisons against raw memory.").option(
    "--ways",
    "only: other ways to translate an address, beside the machine's",
  );
  const options = command.parse(argv, { from: "user" }).opts<{ quick?: boolean; json?: string; ways?: boolean }>();
  if (options.ways === true) {
    const table = measureWays(options.quick ? 30 : 300);
    process.stdout.write(`Fastest rounds, 4 MiB. ${formatHost(describeHost())}\n\n${table}\n`);
    return;
  }
  const rounds = options.quick ? 3 : 9;
  const operations = Object.keys(memoryLoops);
  const progress = startProgress(operations.length * workingSets.length + blockOperations.length * blockSizes.length);
  const subjects = prepare();
  const accesses = operations.flatMap((operation) =>
    workingSets.map((bytes) => {
      progress.step(`${operation}, ${formatBytes(bytes)}`);
      return measureAccess(subjects, operation, bytes, rounds);
    }),
  );
  const blocks = blockOperations.flatMap((operation) =>
    blockSizes.map((blockBytes) => {
      progress.step(`${operation}, blocks of ${formatBytes(blockBytes)}`);
      return measureBlocks(subjects, operation, blockBytes, rounds);
    }),
  );
  progress.done();
  const targets = listTargets(accesses, blocks);
  const text = [
    "The MMU: 4-byte loads and stores, and fills, copies and comparisons of blocks at odd places in 16 MiB",
    `Medians of ${rounds} rounds, time an operation. ${formatHost(describeHost())}`,
    "",
    formatTable(columns, [...accesses.map(tableRow), [], ...blocks.map(tableRow)]),
    "",
    formatTargets(targets),
  ];
  process.stdout.write(`${text.join("\n")}\n`);
  if (options.json !== undefined) writeJson(options.json, "mmu", { rounds, accesses, blocks, targets });
}
