// The rows of the microbenchmark, and the figures that the thread printed for them (spec: the table of the v4 commit
// message, DragonBoard 845c, powersave governor, medians of 10 runs of 1000 iterations).
import type { Fill } from "./program.ts";

export type InitialisationPolicy = "nozero" | "double" | "plumbed";

export interface Row {
  /** What --rows selects by: `touch/mmap:variant`. */
  readonly name: string;
  readonly variant: string;
  readonly fill: Fill;
  /** How frames that get a pattern leave the page allocator (R8); says nothing for the other rows. */
  readonly initialisation: InitialisationPolicy;
  readonly touchSize: number;
  readonly mmapSize: number;
  /** The module of a user's own policy, for fill `own`. */
  readonly module?: string;
}

/** Sizes in bytes, times in seconds, RSS in KiB, improvements in percent with half of their 95 % intervals. */
export interface ThreadFigures {
  readonly touchSize: number;
  readonly mmapSize: number;
  readonly memsetSeconds: number;
  readonly refpageSeconds: number;
  readonly improvement: { readonly percent: number; readonly halfWidth: number };
  readonly memsetRssKib: number;
  readonly refpageRssKib: number;
  /** Nothing where the thread says "none". */
  readonly rssImprovement?: { readonly percent: number; readonly halfWidth: number };
}

export const thread: readonly ThreadFigures[] = [
  {
    touchSize: 4096,
    mmapSize: 4096000,
    memsetSeconds: 3.962194,
    refpageSeconds: 0.026726,
    improvement: { percent: 98.8015, halfWidth: 1.14684 },
    memsetRssKib: 6656,
    refpageRssKib: 3448,
    rssImprovement: { percent: 49.3815, halfWidth: 1.30339 },
  },
  {
    touchSize: 2048000,
    mmapSize: 4096000,
    memsetSeconds: 3.925309,
    refpageSeconds: 1.48081,
    improvement: { percent: 61.8271, halfWidth: 1.11911 },
    memsetRssKib: 6696,
    refpageRssKib: 4580,
    rssImprovement: { percent: 31.7053, halfWidth: 1.16411 },
  },
  {
    touchSize: 4096000,
    mmapSize: 4096000,
    memsetSeconds: 3.986275,
    refpageSeconds: 3.385003,
    improvement: { percent: 15.1205, halfWidth: 0.227235 },
    memsetRssKib: 6716,
    refpageRssKib: 6684,
  },
];

/** What the thread's process had in memory before it mapped anything, about; only differences from it compare. */
export const THREAD_BASE_RSS_KIB = 2660;

const policies: readonly InitialisationPolicy[] = ["nozero", "double", "plumbed"];

export const rows: readonly Row[] = thread.flatMap(({ touchSize, mmapSize }) => {
  const row = (variant: string, fill: Fill, initialisation: InitialisationPolicy): Row => ({
    name: `${touchSize}/${mmapSize}:${variant}`,
    variant,
    fill,
    initialisation,
    touchSize,
    mmapSize,
  });
  return [
    row("anonymous", "anonymous", "plumbed"),
    row("memset", "memset", "plumbed"),
    ...(["v4", "v5"] as const).flatMap((abi) =>
      policies.map((policy) => row(`refpage-${abi}-${policy}`, `refpage-${abi}`, policy)),
    ),
  ];
});

/** `given` with a row of a user's own interface behind the others of each size. */
export function withOwnRows(given: readonly Row[], name: string, module: string): Row[] {
  return given.flatMap((row, index) => {
    const next = given[index + 1];
    const { touchSize, mmapSize } = row;
    if (next?.touchSize === touchSize && next.mmapSize === mmapSize) return [row];
    const own: Row = {
      name: `${touchSize}/${mmapSize}:${name}`,
      variant: name,
      fill: "own",
      initialisation: "plumbed",
      touchSize,
      mmapSize,
      module,
    };
    return [row, own];
  });
}

/**
 * The rows whose name contains one of the comma-separated `patterns`.
 * @throws RangeError for a pattern that selects nothing, naming one that would.
 */
export function selectRows(patterns: string): readonly Row[] {
  const wanted = patterns.split(",").map((pattern) => pattern.trim());
  for (const pattern of wanted) {
    if (pattern === "" || !rows.some((row) => row.name.includes(pattern))) {
      throw new RangeError(`no row's name contains "${pattern}" (names are like ${rows[1].name} and ${rows[7].name})`);
    }
  }
  return rows.filter((row) => wanted.some((pattern) => row.name.includes(pattern)));
}
