// Scenarios of the kernel's other paths (R10), of limits (R11) and of what the kernel initialises (R8).
import type { Step } from "../../../bench/conformance/script.ts";
import {
  anonymous,
  area,
  by,
  CONTENT,
  create,
  create2,
  DONTUNMAP,
  dump,
  FIXED,
  fails,
  fill,
  fork,
  load,
  loadFails,
  MAYMOVE,
  MREMAP_FIXED,
  madvise,
  map,
  mincore,
  mlock,
  mlock2,
  mprotect,
  mremap,
  msync,
  munlock,
  munmap,
  NONE,
  observe,
  PAGE,
  type Policy,
  PRIVATE,
  page,
  pvmRead,
  pvmWrite,
  READ,
  RW,
  reference,
  returns,
  rlimit,
  type Scenario,
  scenario,
  segv,
  store,
  storeFails,
} from "./steps.ts";

const mapped = (pages: number): Step[] => [...reference(), map("h0", 0, pages)];

const userBuffers: Scenario[] = [
  scenario("readv_sees_the_clean_page", "process_vm_readv of an untouched page maps the clean page and reads it.", [
    mapped(2),
    anonymous(8, 1),
    store(page(8), 1, 1),
    pvmRead(0, page(8), 16, 100, returns(100, 1)),
    dump(page(8), [
      [0xaa, 100],
      [0, PAGE - 100],
    ]),
    observe([area(0, 2), area(8, 9, { object: "", own: 1 })], "z.------A"),
  ]),
  scenario("writev_breaks_cow_first", "process_vm_writev makes a private page from the reference page, then writes.", [
    mapped(2),
    load(0, 0xaa, 1),
    anonymous(8, 1),
    fill(page(8), PAGE, 5, 1),
    pvmWrite(0, page(8), 16, 8, returns(8, 1)),
    pvmWrite(0, page(8), page(1), 8, returns(8, 1)),
    dump(0, [
      [0xaa, 16],
      [5, 8],
      [0xaa, PAGE - 24],
      [5, 8],
      [0xaa, PAGE - 8],
    ]),
    observe([area(0, 2, { own: 2 }), area(8, 9, { object: "", own: 1 })], "AA------A"),
  ]),
  scenario("readv_into_the_mapping", "As a local buffer the mapping is stored to: one fault, reference bytes around.", [
    mapped(1),
    anonymous(8, 1),
    fill(page(8), PAGE, 5, 1),
    pvmRead(0, 100, page(8), 10, returns(10, 1)),
    dump(0, [
      [0xaa, 100],
      [5, 10],
      [0xaa, PAGE - 110],
    ]),
  ]),
  scenario("writev_to_read_only", "process_vm_writev to a read-only mapping is EFAULT and copies nothing.", [
    reference(),
    map("h0", 0, 1, { prot: READ }),
    anonymous(8, 1),
    store(page(8), 1, 1),
    pvmWrite(0, page(8), 0, 8, fails("EFAULT")),
    observe([area(0, 1, { perm: "r--p" }), area(8, 9, { object: "", own: 1 })], ".-------A"),
  ]),
  scenario("readv_of_prot_none", "process_vm_readv of a mapping without access is EFAULT.", [
    reference(),
    map("h0", 0, 1, { prot: NONE }),
    anonymous(8, 1),
    store(page(8), 1, 1),
    pvmRead(0, page(8), 0, 8, fails("EFAULT")),
  ]),
  scenario(
    "writev_to_the_child",
    "Writing into a child's mapping gives the child its own copy and leaves the parent's.",
    [
      mapped(1),
      fill(0, 16, 1, 1),
      fork(1),
      anonymous(8, 1),
      fill(page(8), 16, 9, 1),
      pvmWrite(1, page(8), 4, 4, returns(4, 1)),
      dump(0, [
        [1, 16],
        [0xaa, PAGE - 16],
      ]),
      by(
        1,
        dump(0, [
          [1, 4],
          [9, 4],
          [1, 8],
          [0xaa, PAGE - 16],
        ]),
      ),
    ],
  ),
  scenario("pipe_write_from_a_clean_page", "write(2) from an untouched page maps the clean page and sends its bytes.", [
    mapped(2),
    {
      op: "pipe_write",
      addr: PAGE - 50,
      len: 100,
      want: { ret: 100, data: [[0xaa, 100]], flt: 2 },
    },
    observe([area(0, 2)], "zz"),
  ]),
  scenario("pipe_read_into_a_clean_page", "read(2) into the mapping makes private pages, reference bytes around.", [
    mapped(1),
    load(0, 0xaa, 1),
    { op: "pipe_read", addr: 30, len: 60, value: 3, want: returns(60, 1) },
    dump(0, [
      [0xaa, 30],
      [3, 60],
      [0xaa, PAGE - 90],
    ]),
  ]),
  scenario("file_io_with_the_mapping", "A file is written from clean pages and read back into the mapping.", [
    mapped(2),
    { op: "memfd", size: 0, want: returns(1) },
    { op: "write", fd: "h1", addr: 0, len: 200, off: 0, want: returns(200, 1) },
    { op: "fwrite", fd: "h1", off: 100, len: 50, value: 6, want: returns(50) },
    { op: "read", fd: "h1", addr: page(1) + 8, len: 200, off: 0, want: returns(200, 1) },
    dump(page(1), [
      [0xaa, 108],
      [6, 50],
      [0xaa, PAGE - 158],
    ]),
  ]),
];

const mappings: Scenario[] = [
  scenario("mremap_moves", "A move takes private and clean pages along without a fault.", [
    mapped(3),
    store(0, 1, 1),
    load(page(1), 0xaa, 1),
    mremap(0, 3, { to: 20 }, returns(page(20))),
    loadFails(0, segv("MAPERR", 0)),
    dump(
      page(20),
      [
        [1, 1],
        [0xaa, 3 * PAGE - 1],
      ],
      1,
    ),
    observe([area(20, 23, { own: 1 })], `${"-".repeat(20)}Azz`),
  ]),
  scenario("mremap_grows", "What is grown in place reads as the reference page.", [
    mapped(2),
    fill(0, 2 * PAGE, 1, 2),
    mremap(0, 2, { newPages: 4, flags: 0 }, returns(0)),
    dump(
      0,
      [
        [1, 2 * PAGE],
        [0xaa, 2 * PAGE],
      ],
      2,
    ),
    observe([area(0, 4, { own: 2 })], "AAzz"),
  ]),
  scenario("mremap_grows_and_moves", "Grown at a new place, old pages go along and new ones are clean.", [
    mapped(2),
    store(page(1), 1, 1),
    mremap(0, 2, { newPages: 3, to: 10 }, returns(page(10))),
    dump(
      page(10),
      [
        [0xaa, PAGE],
        [1, 1],
        [0xaa, 2 * PAGE - 1],
      ],
      2,
    ),
  ]),
  scenario("mremap_elsewhere", "Without room, MAYMOVE moves to an address of the kernel's choice.", [
    mapped(2),
    anonymous(2, 1),
    store(page(1), 1, 1),
    mremap(0, 2, { newPages: 3, flags: MAYMOVE, keep: "A" }, returns("elsewhere")),
    load("$A", 0xaa, 1),
    load("$A+4096", 1),
    load("$A+8192", 0xaa, 1),
    loadFails(0, segv("MAPERR", 0)),
  ]),
  scenario("mremap_shrinks", "Shrinking unmaps the tail; growing again gives clean pages.", [
    mapped(4),
    fill(0, 4 * PAGE, 1, 4),
    mremap(0, 4, { newPages: 2, flags: 0 }, returns(0)),
    loadFails(page(2), segv("MAPERR", page(2))),
    mremap(0, 2, { newPages: 4, flags: 0 }, returns(0)),
    dump(
      0,
      [
        [1, 2 * PAGE],
        [0xaa, 2 * PAGE],
      ],
      2,
    ),
  ]),
  scenario("mremap_dontunmap", "DONTUNMAP moves the pages away; the old range reads as the reference page again.", [
    mapped(2),
    fill(0, 2 * PAGE, 1, 2),
    mremap(0, 2, { flags: MAYMOVE | MREMAP_FIXED | DONTUNMAP, to: 8 }, returns(page(8))),
    dump(0, [[0xaa, 2 * PAGE]], 2),
    dump(page(8), [[1, 2 * PAGE]]),
    observe([area(0, 2), area(8, 10, { own: 2 })], "zz------AA"),
  ]),
  scenario("mremap_over_a_reference_mapping", "The target range is unmapped first, its private pages lost.", [
    mapped(2),
    fill(0, 2 * PAGE, 1, 2),
    map("h0", 8, 2),
    fill(page(8), 2 * PAGE, 2, 2),
    mremap(8, 1, { to: 1 }, returns(page(1))),
    dump(0, [
      [1, PAGE],
      [2, PAGE],
    ]),
    dump(page(9), [[2, PAGE]]),
  ]),
  scenario("mremap_of_no_length", "Old length 0 is for shared mappings: EINVAL.", [
    mapped(1),
    mremap(0, 0, { newPages: 1, flags: MAYMOVE }, fails("EINVAL")),
  ]),
  scenario("mprotect_keeps_pages", "PROT_NONE and back keeps clean and private pages.", [
    mapped(3),
    load(0, 0xaa, 1),
    store(page(1), 1, 1),
    mprotect(0, 3, NONE),
    loadFails(0, segv("ACCERR", 0)),
    mprotect(0, 3, RW),
    load(0, 0xaa),
    load(page(1), 1),
    store(0, 2, 1),
    dump(
      0,
      [
        [2, 1],
        [0xaa, PAGE - 1],
        [1, 1],
        [0xaa, 2 * PAGE - 1],
      ],
      1,
    ),
  ]),
  scenario("mprotect_splits", "Protecting the middle splits the area in three, and putting it back joins them.", [
    mapped(4),
    store(page(1), 1, 1),
    mprotect(1, 2, READ),
    storeFails(page(1), 2, segv("ACCERR", page(1))),
    load(page(2), 0xaa, 1),
    observe(
      [area(0, 1), area(1, 3, { perm: "r--p", offset: 1, own: 1, flags: "rd mr mw me ac" }), area(3, 4, { offset: 3 })],
      ".Az.",
    ),
    mprotect(1, 2, RW),
    store(page(2), 2, 1),
    observe([area(0, 4, { own: 2 })], ".AA."),
  ]),
  scenario("write_allowed_later", "A clean page of a read-only mapping is copied once stores are allowed.", [
    reference(),
    map("h0", 0, 1, { prot: READ }),
    load(0, 0xaa, 1),
    mprotect(0, 1, RW),
    store(4, 1, 1),
    dump(0, [
      [0xaa, 4],
      [1, 1],
      [0xaa, PAGE - 5],
    ]),
    observe([area(0, 1, { own: 1 })], "A"),
  ]),
  scenario("munmap_of_the_middle", "Both ends keep their pages and their reference page.", [
    mapped(5),
    fill(0, 5 * PAGE, 1, 5),
    munmap(1, 2),
    madvise(4, 1, 4),
    dump(
      0,
      [
        [1, PAGE],
        [-1, 2 * PAGE],
        [1, PAGE],
        [0xaa, PAGE],
      ],
      1,
    ),
    observe([area(0, 1, { own: 1 }), area(3, 5, { offset: 3, own: 1 })], "A--Az"),
  ]),
  scenario("mincore_of_clean_pages", "Mapped clean pages are resident, untouched ones are not.", [
    mapped(4),
    load(0, 0xaa, 1),
    store(page(2), 1, 1),
    mincore(0, 4, "R.R."),
  ]),
  scenario("msync_is_nothing", "msync of a private mapping succeeds and changes nothing.", [
    mapped(2),
    store(0, 1, 1),
    msync(0, 2, 4),
    msync(0, 2, 1),
    load(0, 1),
    load(1, 0xaa),
  ]),
];

const FREE = 8;
const advice: Scenario[] = [
  scenario("madv_free", "MADV_FREE takes a reference mapping as anonymous; without pressure contents stay.", [
    mapped(2),
    fill(0, 2 * PAGE, 1, 2),
    madvise(0, 2, FREE),
    observe([area(0, 2, { freed: 2 })], "AA"),
    store(0, 2),
    observe([area(0, 2, { freed: 1, own: 1 })], "AA"),
    dump(0, [
      [2, 1],
      [1, 2 * PAGE - 1],
    ]),
  ]),
  scenario("madv_remove_refused", "MADV_REMOVE asks for a shared writable mapping of a file: EACCES.", [
    mapped(1),
    store(0, 1, 1),
    madvise(0, 1, 9, fails("EACCES")),
    load(0, 1),
  ]),
  scenario("wipe_on_fork_refused", "MADV_WIPEONFORK is for memory without a file: EINVAL. KEEPONFORK succeeds.", [
    mapped(1),
    madvise(0, 1, 18, fails("EINVAL")),
    madvise(0, 1, 19),
  ]),
  scenario("dont_fork", "MADV_DONTFORK leaves the mapping out of the child.", [
    mapped(3),
    store(0, 1, 1),
    madvise(1, 1, 10),
    fork(1),
    by(
      1,
      dump(
        0,
        [
          [1, 1],
          [0xaa, PAGE - 1],
          [-1, PAGE],
          [0xaa, PAGE],
        ],
        1,
      ),
    ),
    by(1, observe([area(0, 1, { shared: 1 }), area(2, 3, { offset: 2 })], "a-z")),
    load(page(1), 0xaa, 1),
  ]),
  scenario("guard_pages", "Guard markers refuse loads and stores; lifted, the pages read as the reference page.", [
    mapped(3),
    fill(0, 3 * PAGE, 1, 3),
    madvise(1, 1, 102),
    loadFails(page(1), segv("MAPERR", page(1))),
    storeFails(page(1), 1, segv("MAPERR", page(1))),
    observe([area(0, 3, { own: 2, flags: "rd wr mr mw me gu ac" })], "AGA"),
    madvise(1, 1, 103),
    dump(
      0,
      [
        [1, PAGE],
        [0xaa, PAGE],
        [1, PAGE],
      ],
      1,
    ),
  ]),
  scenario("populate_read", "MADV_POPULATE_READ maps clean pages.", [
    mapped(3),
    store(page(1), 1, 1),
    madvise(0, 3, 22, returns(0, 2)),
    observe([area(0, 3, { own: 1 })], "zAz"),
    dump(0, [
      [0xaa, PAGE],
      [1, 1],
      [0xaa, 2 * PAGE - 1],
    ]),
  ]),
  scenario(
    "populate_write",
    "MADV_POPULATE_WRITE makes private pages with the reference contents, of clean pages too.",
    [
      mapped(3),
      load(0, 0xaa, 1),
      madvise(0, 3, 23, returns(0, 3)),
      observe([area(0, 3, { own: 3 })], "AAA"),
      dump(0, [[0xaa, 3 * PAGE]]),
    ],
  ),
  scenario("populate_write_read_only", "MADV_POPULATE_WRITE of a read-only mapping is EINVAL.", [
    reference(),
    map("h0", 0, 1, { prot: READ }),
    madvise(0, 1, 23, fails("EINVAL")),
    madvise(0, 1, 22, returns(0, 1)),
    observe([area(0, 1, { perm: "r--p" })], "z"),
  ]),
  scenario("quiet_advice", "WILLNEED, COLD, NORMAL, RANDOM and SEQUENTIAL succeed; contents stay.", [
    mapped(2),
    store(0, 1, 1),
    [3, 20, 1, 2, 0].map((number) => madvise(0, 2, number)),
    dump(
      0,
      [
        [1, 1],
        [0xaa, 2 * PAGE - 1],
      ],
      1,
    ),
    observe([area(0, 2, { own: 1 })], "Az"),
  ]),
  scenario("unknown_advice", "Unknown advice is EINVAL and changes nothing.", [
    mapped(1),
    store(0, 1, 1),
    madvise(0, 1, 77, fails("EINVAL")),
    load(0, 1),
  ]),
];

const locks: Scenario[] = [
  scenario("mlock_makes_private_pages", "mlock of a writable mapping faults in private pages and counts them.", [
    mapped(3),
    load(0, 0xaa, 1),
    mlock(0, 2, returns(0, 2)),
    observe([area(0, 2, { own: 2, locked: true, flags: "rd wr mr mw me lo ac" }), area(2, 3, { offset: 2 })], "AA.", {
      lck: 2,
    }),
    dump(0, [[0xaa, 2 * PAGE]]),
    munlock(0, 3),
    observe([area(0, 3, { own: 2 })], "AA."),
  ]),
  scenario(
    "mlock_of_read_only",
    "mlock of a read-only mapping maps clean pages, which are locked but in no count of memory.",
    [
      reference(),
      map("h0", 0, 2, { prot: READ }),
      mlock(0, 2, returns(0, 2)),
      observe([area(0, 2, { perm: "r--p", locked: true, flags: "rd mr mw me lo" })], "zz", { lck: 2 }),
    ],
  ),
  scenario("mlock_on_fault", "MLOCK_ONFAULT locks pages as they are stored to.", [
    mapped(2),
    mlock2(0, 2, 1, returns(0)),
    store(page(1), 1, 1),
    observe([area(0, 2, { own: 1, locked: true, flags: "rd wr mr mw me lo lf ac" })], ".A", { lck: 2 }),
    load(0, 0xaa, 1),
  ]),
];

const limits: Scenario[] = [
  scenario("limit_of_address_space", "RLIMIT_AS counts a reference mapping's pages, touched or not.", [
    reference(),
    rlimit("AS", 4),
    map("h0", 0, 5, { want: fails("ENOMEM") }),
    map("h0", 0, 4),
    map("h0", 8, 1, { want: fails("ENOMEM") }),
    mremap(0, 4, { newPages: 5, flags: 0 }, fails("ENOMEM")),
    munmap(0, 1),
    map("h0", 8, 1),
  ]),
  scenario("limit_of_data", "RLIMIT_DATA counts private writable mappings, this one too; read-only ones are free.", [
    reference(),
    rlimit("DATA", 2),
    map("h0", 0, 4, { prot: READ }),
    map("h0", 8, 2),
    map("h0", 16, 1, { want: fails("ENOMEM") }),
    mprotect(0, 1, RW, fails("ENOMEM")),
    munmap(8, 2),
    mprotect(0, 1, RW),
    store(0, 1, 1),
  ]),
  scenario("limit_of_locked_memory", "RLIMIT_MEMLOCK binds reference mappings.", [
    mapped(4),
    rlimit("MEMLOCK", 2),
    mlock(0, 3, fails("ENOMEM")),
    mlock(0, 2, returns(0, 2)),
    mlock(2, 1, fails("ENOMEM")),
    map("h0", 8, 1, { flags: PRIVATE | FIXED | 0x2000, want: fails("EAGAIN") }),
  ]),
];

/**
 * Frames that the kernel zeroes, frames and bytes that it fills, for one reference page and `copies` private pages after it.
 * Zeroed under every policy are the anonymous page that the content stood in, and the reference page's own frame: the patch
 * gets that from alloc_page(GFP_KERNEL), without the flag. What a policy decides is the private pages.
 */
function initialised(policy: Policy, copies: number): [number, number, number] {
  return [2 + (policy === "double" ? copies : 0), copies, copies * PAGE];
}

const policies: readonly Policy[] = ["nozero", "double", "plumbed"];
const initialisation: Scenario[] = policies.flatMap((policy) => [
  scenario(
    `init_${policy}_stores`,
    `${policy}: what the kernel zeroes and fills for stores to untouched pages.`,
    [
      reference(),
      map("h0", 0, 8),
      fill(0, 4, 1, 1),
      store(page(3), 1, 1),
      store(page(3) + 1, 1),
      observe([area(0, 8, { own: 2 })], "A..A....", { init: initialised(policy, 2) }),
    ],
    policy,
  ),
  scenario(
    `init_${policy}_after_loads`,
    `${policy}: loads initialise nothing; a store after a load costs the same as one without.`,
    [
      reference(),
      map("h0", 0, 4),
      dump(0, [[0xaa, 4 * PAGE]], 4),
      observe([area(0, 4)], "zzzz", { init: initialised(policy, 0) }),
      store(page(2), 1, 1),
      observe([area(0, 4, { own: 1 })], "zzAz", { init: initialised(policy, 1) }),
    ],
    policy,
  ),
  scenario(
    `init_${policy}_second_abi`,
    `${policy}: a pattern of 8 bytes is initialised once a frame, whole frames.`,
    [
      anonymous(CONTENT, 1),
      store(page(CONTENT), 7, 1),
      create2(page(CONTENT), 8, returns(0)),
      munmap(CONTENT, 1),
      map("h0", 0, 2),
      store(1, 1, 1),
      load(0, 7),
      load(8, 7),
      load(9, 0),
      observe([area(0, 2, { own: 1 })], "A.", { init: initialised(policy, 1) }),
    ],
    policy,
  ),
]);

const failures: Scenario = scenario(
  "nothing_stays_after_failures",
  "Failed calls leave no mapping, no descriptor, no page behind.",
  [
    reference(),
    create(1, fails("EFAULT")),
    create(0, fails("EFAULT")),
    create(0, fails("EINVAL"), 8),
    map("h0", 0, 1, { off: 1, want: fails("EINVAL") }),
    observe([], ""),
    rlimit("NOFILE", 1),
    { op: "memfd", size: PAGE, want: returns(1) },
  ],
);

export const pathScenarios: readonly Scenario[] = [
  ...userBuffers,
  ...mappings,
  ...advice,
  ...locks,
  ...limits,
  ...initialisation,
  failures,
];
