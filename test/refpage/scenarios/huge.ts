// Huge reference pages (R16): what loads and stores of a block of 2 MiB cost and see under each policy, and what splits one.
import type { Answer, FolioRow, Step, VmaRow } from "../../../bench/conformance/script.ts";
import {
  anonymous,
  area,
  by,
  close,
  create,
  create2,
  dump,
  fails,
  fill,
  fork,
  load,
  madvise,
  map,
  mlock,
  mprotect,
  mremap,
  munmap,
  observe,
  PAGE,
  type Policy,
  page,
  pvmRead,
  pvmWrite,
  READ,
  RW,
  returns,
  type Scenario,
  store,
} from "./steps.ts";

/** Pages of a block of 2 MiB. */
const H = 512;
/** Where contents are written; no scenario maps the block around it. */
const AT = 4000;
const BYTE = 0xaa;
const HUGE = 14;
const NOHUGE = 15;
const COLLAPSE = 25;
const DONTNEED = 4;
const FREE = 8;
const POPULATE_READ = 22;
const POPULATE_WRITE = 23;
const GUARD_INSTALL = 102;

interface Env {
  readonly refpage: "small" | "duplicate" | "huge-clean-small-dirty";
  readonly thp?: string;
  readonly zero?: number;
  readonly sizes?: string;
}

const duplicate: Env = { refpage: "duplicate" };
const smallDirty: Env = { refpage: "huge-clean-small-dirty" };
const small: Env = { refpage: "small" };

function huge(
  name: string,
  sentence: string,
  env: Env,
  steps: readonly (Step | readonly Step[])[],
  policy?: Policy,
): Scenario {
  const script = {
    name: `huge_${name}`,
    env,
    ...(policy === undefined ? {} : { policy }),
    steps: steps.flat() as Step[],
  };
  return { script, sentence };
}

/** Handle 0 becomes a reference page of the bytes, by the second ABI; the page that they were written to is gone again. */
function pattern(bytes: readonly number[] = [BYTE], handle = 0): Step[] {
  const writes = bytes.map((byte, at) => store(page(AT) + at, byte, at === 0 ? 1 : 0));
  return [anonymous(AT, 1), ...writes, create2(page(AT), bytes.length, returns(handle)), munmap(AT, 1)];
}

/** A mapping with MADV_HUGEPAGE. */
const advised = (at: number, pages: number, fd = "h0"): Step[] => [map(fd, at, pages), madvise(at, pages, HUGE)];

/** The frames that a byte pattern and its reference page cost by themselves: two zeroed, one for the content and one for the page. */
const MADE = 2;

interface HugeArea {
  readonly own?: number;
  readonly shared?: number;
  readonly hugePages?: number;
  readonly eligible?: 0 | 1;
  readonly advice?: string;
  readonly perm?: string;
  readonly offset?: number;
}

/** A row with its huge pages and eligibility; `hg` unless said otherwise. */
function row(start: number, end: number, options: HugeArea = {}): VmaRow {
  const { own = 0, shared = 0, hugePages = 0, eligible = 1, advice = " hg", perm = "rw-p", offset = 0 } = options;
  const flags = `${perm[1] === "w" ? "rd wr mr mw me ac" : "rd mr mw me ac"}${advice}`;
  return [
    ...area(start, end, { perm, offset, own, shared, flags }).slice(0, 14),
    hugePages,
    0,
    eligible,
  ] as unknown as VmaRow;
}

function see(
  rows: readonly VmaRow[],
  pages: string,
  init?: readonly [number, number, number],
  folios?: FolioRow[],
): Step {
  const step = observe(rows, pages, init === undefined ? {} : { init });
  return folios === undefined ? step : { ...step, want: { ...step.want, folios } };
}

const times = (letter: string, count: number): string => letter.repeat(count);
const touch = (at: number, pages: number, value: number, flt: number): Step => ({
  op: "touch",
  addr: page(at),
  len: page(pages),
  value,
  want: returns(0, flt),
});
const probe = (at: number, runs: readonly [number, number][], flt = 0): Step => ({
  op: "probe",
  addr: page(at),
  len: page(runs.reduce((sum, [, count]) => sum + count, 0)),
  want: { runs, ...(flt === 0 ? {} : { flt }) } as Answer,
});
const thpDisable = (value: number, flags = 0): Step => ({ op: "thp_disable", value, flags, want: returns(0) });

const policies: readonly (readonly [Policy, number])[] = [
  ["nozero", 0],
  ["plumbed", 0],
  ["double", H],
];

const patterns: readonly (readonly [string, readonly number[]])[] = [
  ["two_bytes", [1, 2]],
  ["four_bytes", [1, 2, 3, 4]],
  ["eight_bytes", [1, 2, 3, 4, 5, 6, 7, 8]],
  ["uuid", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]],
  ["thirty_two_bytes", Array.from({ length: 32 }, (_, at) => at + 1)],
];

export const hugeScenarios: readonly Scenario[] = [
  huge(
    "load",
    "A load of an untouched block maps a huge reference page: one fault, no RSS, and no other page of it faults.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(page(7), BYTE, 1),
      load(page(0), BYTE),
      load(page(H) - 1, BYTE),
      see([row(0, H)], times("Z", H), [MADE, H, H * PAGE]),
    ],
  ),
  huge(
    "store",
    "A store to an untouched block makes a private huge page in one fault, filled from the pattern in one pass.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      store(page(7), 1, 1),
      see([row(0, H, { own: H, hugePages: H })], times("H", H), [MADE, H, H * PAGE]),
      probe(0, [
        [BYTE, 7],
        [1, 1],
        [BYTE, H - 8],
      ]),
    ],
  ),
  huge(
    "load_then_store",
    "A store after a load replaces the huge reference page: a second fault, and the frames are filled once more.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(page(3), BYTE, 1),
      store(page(3) + 5, 9, 1),
      load(page(3) + 5, 9),
      load(page(500), BYTE),
      see([row(0, H, { own: H, hugePages: H })], times("H", H), [MADE, 2 * H, 2 * H * PAGE]),
    ],
  ),
  ...policies.map(([policy, zeroed]) =>
    huge(
      `initialised_${policy}`,
      `Under ${policy} a private huge page has ${zeroed} of its frames zeroed before all are filled.`,
      duplicate,
      [
        pattern(),
        advised(0, H),
        store(0, 1, 1),
        see([row(0, H, { own: H, hugePages: H })], times("H", H), [MADE + zeroed, H, H * PAGE]),
      ],
      policy,
    ),
  ),
  ...patterns.map(([name, bytes]) =>
    huge(
      `${name}_repeat`,
      `A pattern of ${bytes.length} bytes repeats over the huge page without a seam, and so over a private one.`,
      duplicate,
      [
        pattern(bytes),
        advised(0, 2 * H),
        load(page(255) + bytes.length - 1, bytes.at(-1) as number, 1),
        dump(
          page(256) - bytes.length,
          bytes.map((byte) => [byte, 1]),
        ),
        dump(
          page(511),
          Array.from({ length: PAGE / bytes.length }, () => bytes.map((byte): [number, number] => [byte, 1])).flat(),
        ),
        store(page(H), 77, 1),
        dump(
          page(H) + bytes.length,
          bytes.map((byte) => [byte, 1]),
        ),
        dump(
          page(2 * H) - bytes.length,
          bytes.map((byte) => [byte, 1]),
        ),
      ],
    ),
  ),
  huge(
    "zero_pattern",
    "A reference page of zeroes has a huge form of its own, which is not the huge zero page.",
    duplicate,
    [pattern([0]), advised(0, H), load(page(9), 0, 1), see([row(0, H)], times("Z", H), [MADE, H, H * PAGE])],
  ),
  huge(
    "one_for_all",
    "All mappings of a reference page share one huge form: it is made at the first load, and never again.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      advised(H, H),
      advised(2 * H, H),
      load(0, BYTE, 1),
      load(page(H), BYTE, 1),
      load(page(2 * H), BYTE, 1),
      see([row(0, H), row(H, 2 * H), row(2 * H, 3 * H)], times("Z", 3 * H), [MADE, H, H * PAGE]),
    ],
  ),
  huge(
    "not_before_use",
    "Nothing huge is made before the first load: neither by the call, nor by the mapping, nor by the advice.",
    duplicate,
    [pattern(), advised(0, 2 * H), see([row(0, 2 * H)], times(".", 2 * H), [MADE, 0, 0])],
  ),
  huge("without_advice", "Setting madvise: a mapping without MADV_HUGEPAGE has small pages only.", duplicate, [
    pattern(),
    map("h0", 0, H),
    load(0, BYTE, 1),
    store(page(1), 1, 1),
    see([row(0, H, { own: 1, eligible: 0, advice: "" })], `zA${times(".", H - 2)}`, [MADE, 1, PAGE]),
  ]),
  huge("always", "Setting always: no advice is needed.", { ...duplicate, thp: "always" }, [
    pattern(),
    map("h0", 0, 2 * H),
    load(0, BYTE, 1),
    store(page(H), 1, 1),
    see([row(0, 2 * H, { own: H, hugePages: H, advice: "" })], times("Z", H) + times("H", H)),
  ]),
  huge("never", "Setting never: advice changes nothing.", { ...duplicate, thp: "never" }, [
    pattern(),
    advised(0, H),
    load(0, BYTE, 1),
    store(page(1), 1, 1),
    see([row(0, H, { own: 1, eligible: 0 })], `zA${times(".", H - 2)}`),
  ]),
  huge(
    "first_abi",
    "A reference page of the first ABI is never huge, under every policy.",
    { ...duplicate, thp: "always" },
    [
      [anonymous(AT, 1), fill(page(AT), PAGE, BYTE, 1), create(page(AT), returns(0)), munmap(AT, 1)],
      advised(0, H),
      load(0, BYTE, 1),
      store(page(1), 1, 1),
      see([row(0, H, { own: 1, eligible: 0 })], `zA${times(".", H - 2)}`),
    ],
  ),
  huge("unaligned", "Only whole aligned blocks of a mapping are huge; its ends have small pages.", duplicate, [
    pattern(),
    advised(100, 2 * H),
    load(page(100), BYTE, 1),
    load(page(H), BYTE, 1),
    store(page(2 * H), 1, 1),
    see(
      [row(100, 100 + 2 * H, { own: 1 })],
      `${times("-", 100)}z${times(".", H - 101)}${times("Z", H)}A${times(".", 99)}`,
    ),
  ]),
  huge("small_mapping", "A mapping that holds no whole block is not eligible.", duplicate, [
    pattern(),
    advised(0, H - 1),
    load(0, BYTE, 1),
    see([row(0, H - 1, { eligible: 0 })], `z${times(".", H - 2)}`),
  ]),
  huge(
    "use_zero_page_off",
    "use_zero_page is about zeroes: with 0, loads still map the huge reference page.",
    { ...duplicate, zero: 0 },
    [pattern(), advised(0, H), load(0, BYTE, 1), see([row(0, H)], times("Z", H))],
  ),
  huge(
    "dontneed_whole",
    "DONTNEED of a private huge page drops it; the block reads as the pattern again, by the huge form.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      store(page(5), 1, 1),
      madvise(0, H, DONTNEED),
      load(page(5), BYTE, 1),
      see([row(0, H)], times("Z", H), [MADE, 2 * H, 2 * H * PAGE]),
    ],
  ),
  huge(
    "dontneed_clean_part",
    "DONTNEED of part of a huge reference page splits it into small ones; the hole faults for itself.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(0, BYTE, 1),
      madvise(3, 2, DONTNEED),
      see([row(0, H)], `zzz..${times("z", H - 5)}`),
      load(page(3), BYTE, 1),
      store(page(4), 1, 1),
      load(page(5), BYTE),
      see([row(0, H, { own: 1 })], `zzzzA${times("z", H - 5)}`, [MADE, H + 1, (H + 1) * PAGE]),
    ],
  ),
  huge(
    "dontneed_private_part",
    "DONTNEED of part of a private huge page: the rest stays, the hole reads as the pattern from small pages.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      touch(0, H, 3, 1),
      madvise(1, 1, DONTNEED),
      load(page(1), BYTE, 1),
      see([row(0, H, { own: H - 1 })], `Lz${times("L", H - 2)}`, undefined, [
        [0, 1, 0, 0, H],
        [2, H - 2, 0, 2, H],
      ]),
      probe(0, [
        [3, 1],
        [BYTE, 1],
        [3, H - 2],
      ]),
    ],
  ),
  huge(
    "munmap_middle",
    "munmap in the middle of a huge reference page leaves small ones around the hole, without a fault.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(0, BYTE, 1),
      munmap(10, 1),
      load(page(9), BYTE),
      load(page(11), BYTE),
      see(
        [row(0, 10, { eligible: 0 }), row(11, H, { offset: 11, eligible: 0 })],
        `${times("z", 10)}-${times("z", H - 11)}`,
      ),
    ],
  ),
  huge(
    "mprotect_part",
    "mprotect of part of a huge reference page splits it; a store to the writable part makes a small page.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(0, BYTE, 1),
      mprotect(0, 1, READ),
      store(page(1), 1, 1),
      load(0, BYTE),
      see(
        [row(0, 1, { perm: "r--p", eligible: 0 }), row(1, H, { offset: 1, own: 1, eligible: 0 })],
        `zA${times("z", H - 2)}`,
      ),
    ],
  ),
  huge(
    "read_only",
    "A read-only mapping maps the huge reference page; made writable, a store replaces it.",
    duplicate,
    [
      pattern(),
      map("h0", 0, H, { prot: READ }),
      madvise(0, H, HUGE),
      load(0, BYTE, 1),
      mprotect(0, H, RW),
      store(0, 1, 1),
      see([row(0, H, { own: H, hugePages: H })], times("H", H)),
    ],
  ),
  huge(
    "fork_clean",
    "fork copies a huge reference page; a store of either process brings a huge page to its writer only.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(0, BYTE, 1),
      fork(1),
      by(1, load(page(9), BYTE)),
      by(1, store(page(9), 1, 1)),
      load(page(9), BYTE),
      by(1, see([row(0, H, { own: H, hugePages: H })], times("H", H))),
      see([row(0, H)], times("Z", H)),
    ],
  ),
  huge(
    "fork_private",
    "fork shares a private huge page; a store splits the writer's mapping and copies one page, not the pattern.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      touch(0, H, 3, 1),
      fork(1),
      by(1, store(page(9), 1, 1)),
      by(1, load(page(9) + 1, BYTE)),
      by(1, see([row(0, H, { own: 1, shared: H - 1 })], `${times("l", 9)}A${times("l", H - 10)}`)),
      see([row(0, H, { own: 1, shared: H - 1, hugePages: H })], times("h", H)),
    ],
  ),
  huge(
    "mremap_whole",
    "A huge reference page moved by a multiple of 2 MiB stays as it is, without a fault.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(0, BYTE, 1),
      mremap(0, H, { to: 2 * H }, returns(page(2 * H))),
      load(page(2 * H + 7), BYTE),
      see([row(2 * H, 3 * H)], times("-", 2 * H) + times("Z", H)),
    ],
  ),
  huge("mremap_by_a_page", "Moved by any other distance it is split into small ones.", duplicate, [
    pattern(),
    advised(0, H),
    load(0, BYTE, 1),
    mremap(0, H, { to: 2 * H + 1 }, returns(page(2 * H + 1))),
    load(page(2 * H + 7), BYTE),
    see([row(2 * H + 1, 3 * H + 1, { eligible: 0 })], times("-", 2 * H + 1) + times("z", H)),
  ]),
  huge("collapse", "COLLAPSE of small private pages fills what is clean from the reference page.", duplicate, [
    pattern(),
    map("h0", 0, H),
    store(page(3), 1, 1),
    load(page(4), BYTE, 1),
    madvise(0, H, COLLAPSE),
    see([row(0, H, { own: H, hugePages: H, eligible: 0, advice: "" })], times("H", H)),
    probe(0, [
      [BYTE, 3],
      [1, 1],
      [BYTE, H - 4],
    ]),
  ]),
  huge("collapse_clean", "COLLAPSE of a huge reference page succeeds and changes nothing.", duplicate, [
    pattern(),
    advised(0, H),
    load(0, BYTE, 1),
    madvise(0, H, COLLAPSE),
    see([row(0, H)], times("Z", H)),
  ]),
  huge(
    "nohugepage_after_load",
    "MADV_NOHUGEPAGE after a load: the huge reference page stays, and a store still brings a huge page.",
    duplicate,
    [
      pattern(),
      advised(0, 2 * H),
      load(0, BYTE, 1),
      madvise(0, 2 * H, NOHUGE),
      load(page(H), BYTE, 1),
      store(0, 1, 1),
      see(
        [row(0, 2 * H, { own: H, hugePages: H, eligible: 0, advice: " nh" })],
        `${times("H", H)}z${times(".", H - 1)}`,
      ),
    ],
  ),
  huge(
    "prctl",
    "PR_SET_THP_DISABLE keeps later blocks small; lifted, blocks that nothing was mapped in are huge.",
    { ...duplicate, thp: "always" },
    [
      pattern(),
      map("h0", 0, 2 * H),
      thpDisable(1),
      load(0, BYTE, 1),
      thpDisable(0),
      load(page(H), BYTE, 1),
      see([row(0, 2 * H, { advice: "" })], `z${times(".", H - 1)}${times("Z", H)}`),
    ],
  ),
  huge("mlock", "mlock of an advised mapping makes a private huge page a block, one fault each.", duplicate, [
    pattern(),
    advised(0, 2 * H),
    mlock(0, 2 * H, returns(0, 2)),
    load(page(700), BYTE),
  ]),
  huge(
    "populate",
    "POPULATE_READ maps huge reference pages, POPULATE_WRITE replaces them: a fault a block.",
    duplicate,
    [
      pattern(),
      advised(0, 2 * H),
      madvise(0, 2 * H, POPULATE_READ, returns(0, 2)),
      see([row(0, 2 * H)], times("Z", 2 * H)),
      madvise(0, 2 * H, POPULATE_WRITE, returns(0, 2)),
      see([row(0, 2 * H, { own: 2 * H, hugePages: 2 * H })], times("H", 2 * H)),
    ],
  ),
  huge("process_vm_writev", "process_vm_writev into an untouched block makes a private huge page.", duplicate, [
    pattern(),
    advised(0, H),
    anonymous(2 * H, 1),
    store(page(2 * H), 7, 1),
    pvmWrite(0, page(2 * H), page(100), 1, returns(1, 1)),
    load(page(100), 7),
    load(page(101), BYTE),
  ]),
  huge("process_vm_readv", "process_vm_readv from an untouched block maps the huge reference page.", duplicate, [
    pattern(),
    advised(0, H),
    anonymous(2 * H, 1),
    store(page(2 * H), 7, 1),
    pvmRead(0, page(2 * H), page(100), 1, returns(1, 1)),
    load(page(2 * H), BYTE),
    load(page(300), BYTE),
  ]),
  huge("close", "The huge form lives as long as a mapping does, though the descriptor is closed.", duplicate, [
    pattern(),
    advised(0, H),
    close("h0"),
    load(page(9), BYTE, 1),
    store(page(9), 1, 1),
    load(page(10), BYTE),
    munmap(0, H),
  ]),
  huge(
    "guards",
    "Guard pages in a huge reference page split it; removed pages read as the pattern from small ones.",
    duplicate,
    [
      pattern(),
      advised(0, H),
      load(0, BYTE, 1),
      madvise(5, 1, GUARD_INSTALL),
      load(page(4), BYTE),
      madvise(5, 1, GUARD_INSTALL + 1),
      load(page(5), BYTE, 1),
    ],
  ),
  huge("free_clean", "MADV_FREE of a huge reference page, whole or in part, does nothing.", duplicate, [
    pattern(),
    advised(0, H),
    load(0, BYTE, 1),
    madvise(0, H, FREE),
    madvise(3, 1, FREE),
    see([row(0, H)], times("Z", H)),
  ]),
  huge(
    "folios",
    "Sizes of 64 KiB: a store makes 16 pages of the pattern; a load maps one small reference page.",
    { ...duplicate, sizes: "64K" },
    [
      pattern(),
      advised(0, H),
      store(page(5), 1, 1),
      load(page(6), BYTE),
      load(page(20), BYTE, 1),
      see(
        [row(0, H, { own: 16 })],
        `${times("L", 16)}....z${times(".", H - 21)}`,
        [MADE, 16, 16 * PAGE],
        [[0, 16, 0, 0, 16]],
      ),
    ],
  ),

  huge("dirty_load", "huge-clean-small-dirty: a load maps the huge reference page.", smallDirty, [
    pattern(),
    advised(0, H),
    load(page(7), BYTE, 1),
    load(page(8), BYTE),
    see([row(0, H)], times("Z", H), [MADE, H, H * PAGE]),
  ]),
  huge(
    "dirty_store",
    "huge-clean-small-dirty: a store to an untouched block makes one small page, and the block stays small.",
    smallDirty,
    [
      pattern(),
      advised(0, H),
      store(page(7), 1, 1),
      load(page(8), BYTE, 1),
      see([row(0, H, { own: 1 })], `${times(".", 7)}Az${times(".", H - 9)}`, [MADE, 1, PAGE]),
    ],
  ),
  huge(
    "dirty_load_then_store",
    "huge-clean-small-dirty: a store after a load makes one small page; the rest stays mapped, split.",
    smallDirty,
    [
      pattern(),
      advised(0, H),
      load(page(7), BYTE, 1),
      store(page(7), 1, 1),
      load(page(8), BYTE),
      load(page(7) + 1, BYTE),
      see([row(0, H, { own: 1 })], `${times("z", 7)}A${times("z", H - 8)}`, [MADE, H + 1, (H + 1) * PAGE]),
    ],
  ),
  huge(
    "dirty_dontneed",
    "huge-clean-small-dirty: a block given back as a whole is huge at its next load.",
    smallDirty,
    [
      pattern(),
      advised(0, H),
      touch(0, 3, 1, 3),
      madvise(0, H, DONTNEED),
      load(0, BYTE, 1),
      see([row(0, H)], times("Z", H)),
    ],
  ),
  huge(
    "dirty_collapse",
    "huge-clean-small-dirty: COLLAPSE is refused, since private pages are to stay small.",
    smallDirty,
    [pattern(), advised(0, H), store(0, 1, 1), madvise(0, H, COLLAPSE, fails("EINVAL"))],
  ),
  huge("dirty_fork", "huge-clean-small-dirty: after fork each store makes one small page in its writer.", smallDirty, [
    pattern(),
    advised(0, H),
    load(0, BYTE, 1),
    fork(1),
    by(1, store(page(3), 1, 1)),
    store(page(4), 2, 1),
    by(1, load(page(4), BYTE)),
    by(1, see([row(0, H, { own: 1 })], `zzzA${times("z", H - 4)}`)),
    see([row(0, H, { own: 1 })], `zzzzA${times("z", H - 5)}`),
  ]),
  huge("dirty_populate", "huge-clean-small-dirty: POPULATE_WRITE makes small pages, a fault each.", smallDirty, [
    pattern(),
    advised(0, H),
    madvise(0, 4, POPULATE_WRITE, returns(0, 4)),
    see([row(0, H, { own: 4 })], `AAAA${times(".", H - 4)}`, [MADE, 4, 4 * PAGE]),
  ]),
  huge(
    "dirty_folios",
    "huge-clean-small-dirty: stores stay single pages, sizes below 2 MiB or not.",
    { ...smallDirty, sizes: "64K+2M" },
    [
      pattern(),
      advised(0, H),
      store(page(5), 1, 1),
      see([row(0, H, { own: 1 })], `${times(".", 5)}A${times(".", H - 6)}`),
    ],
  ),

  huge(
    "small_policy",
    "Policy small, as v4 says: mappings of reference pages are not eligible.",
    { ...small, thp: "always" },
    [
      pattern(),
      advised(0, H),
      load(0, BYTE, 1),
      store(page(1), 1, 1),
      see([row(0, H, { own: 1, eligible: 0 })], `zA${times(".", H - 2)}`, [MADE, 1, PAGE]),
    ],
  ),
  huge("small_policy_collapse", "Policy small: COLLAPSE is refused.", small, [
    pattern(),
    advised(0, H),
    store(0, 1, 1),
    madvise(0, H, COLLAPSE, fails("EINVAL")),
  ]),
  huge("small_policy_neighbour", "Policy small: anonymous memory beside a reference mapping is huge as ever.", small, [
    pattern(),
    advised(0, H),
    [anonymous(H, H), madvise(H, H, HUGE)],
    store(page(H), 1, 1),
    load(page(H + 1), 0),
    load(0, BYTE, 1),
  ]),
];
