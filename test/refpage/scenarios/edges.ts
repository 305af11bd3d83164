// Scenarios of arguments at their edges and of which error comes first, and of shared read-only mappings (R1–R4, R8, R10).
import type { Answer, Step } from "../../../bench/conformance/script.ts";
import {
  ANONYMOUS,
  anonymous,
  area,
  by,
  close,
  create,
  create2,
  dump,
  EXEC,
  FIXED,
  fails,
  fork,
  LOCKED,
  load,
  MAYMOVE,
  MREMAP_FIXED,
  madvise,
  map,
  memfd,
  mlock,
  mprotect,
  mremap,
  msync,
  NONE,
  observe,
  PAGE,
  POPULATE,
  type Policy,
  PRIVATE,
  page,
  pvmRead,
  READ,
  RW,
  reference,
  reopen,
  returns,
  rlimit,
  type Scenario,
  SHARED,
  scenario,
  segv,
  store,
  storeFails,
  WRITE,
} from "./steps.ts";

const fileStep = (op: string, given: object, want: Answer): Step => ({ op, ...given, want }) as Step;
const onHandle = (op: string, given: object, err: string): Step => fileStep(op, { fd: "h0", ...given }, fails(err));
const HIGH_BITS = [2 ** 31, 2 ** 32, 2 ** 63, -1];
const SHARED_FIXED = SHARED | FIXED;
const sharedArea = (start: number, end: number, perm: string, vmFlags: string, offset = 0) =>
  area(start, end, { perm, flags: vmFlags, offset });
/** The window's first page number: areas without private pages take their address as offset when they move (copy_vma). */
const FIRST_PAGE = 2 ** 24;

const argumentsAtTheEdge: Scenario[] = [
  scenario("any_bit_of_flags", "flags is an unsigned long: a bit above the lower 32 is EINVAL too, in both ABIs.", [
    HIGH_BITS.map((flags) => create(0, fails("EINVAL"), flags)),
    HIGH_BITS.map((flags) => create2(0, 16, fails("EINVAL"), flags)),
  ]),
  scenario("sizes_beyond_int", "Sizes far beyond a page are EINVAL, and a size is looked at before the content.", [
    [2 ** 63, 2 ** 64, -1, 2 ** 32, 2 * PAGE, 3, 0].map((size) => create2(0, size, fails("EINVAL"))),
  ]),
  scenario("content_at_the_edges", "No address outside the user's half is content, in neither ABI.", [
    ["0xffffffffffffffff", "0xfffffffffffff000", "0x8000000000000000", "0x7ffffffff000", "0x0"].flatMap((content) => [
      create(content, fails("EFAULT")),
      create2(content, 1, fails("EFAULT")),
    ]),
  ]),
  scenario(
    "pattern_at_the_end_of_a_page",
    "A pattern may be the last bytes of a mapping, and its neighbours don't matter.",
    [
      anonymous(0, 1),
      store(PAGE - 8, 9, 1),
      create2(PAGE - 8, 8, returns(0)),
      create2(PAGE - 8, 16, fails("EFAULT")),
      create2(PAGE - 1, 1, returns(1)),
      map("h0", 4, 1),
      dump(
        page(4),
        [
          [9, 1],
          [0, 7],
          [9, 1],
          [0, 7],
        ],
        1,
      ),
    ],
  ),
  scenario("content_in_a_kept_mapping", "Content may lie wherever the kernel put a mapping.", [
    reference(),
    {
      op: "mmap",
      addr: "0x0",
      len: PAGE,
      prot: RW,
      flags: PRIVATE,
      fd: "h0",
      off: 0,
      keep: "A",
      want: { ret: "elsewhere" },
    },
    load("$A+3", 0xaa, 1),
    create("$A", returns(1)),
    create("$A+1", fails("EFAULT")),
    create2("$A+4095", 1, returns(2)),
  ]),
  scenario("which_error_of_create_first", "flags, then the content, then the descriptor.", [
    reference(),
    anonymous(0, 1),
    rlimit("NOFILE", 1),
    create2(0, 1, returns(1, 1)),
    create2(0, 1, fails("EMFILE")),
    create(8, fails("EFAULT")),
    create(8, fails("EINVAL"), 1),
    create2(1, 2, fails("EFAULT")),
    create2(1, 3, fails("EINVAL")),
  ]),
];

const descriptors: Scenario[] = [
  scenario("which_error_of_the_file_first", "Bad numbers are EINVAL before the file is asked what it can do.", [
    reference(),
    onHandle("fread", { off: -1, len: 1 }, "EINVAL"),
    onHandle("fwrite", { off: -1, len: 1, value: 1 }, "EINVAL"),
    onHandle("fread", { off: 0, len: 0 }, "ESPIPE"),
    onHandle("fwrite", { off: 0, len: 0, value: 1 }, "ESPIPE"),
    onHandle("ftruncate", { size: -1 }, "EINVAL"),
    onHandle("fpunch", { off: 0, len: 0 }, "EINVAL"),
    onHandle("fpunch", { off: -1, len: 1 }, "EINVAL"),
    onHandle("fpunch", { off: 0, len: PAGE }, "EBADF"),
  ]),
  scenario(
    "user_buffers_are_not_looked_at",
    "read and write of the file are ESPIPE even with a buffer that is not there.",
    [
      reference(),
      onHandle("read", { addr: 0, len: 4, off: 0 }, "ESPIPE"),
      onHandle("write", { addr: 0, len: 4, off: 0 }, "ESPIPE"),
    ],
  ),
  scenario("closed_for_every_call", "Nothing can be done with a closed descriptor: EBADF.", [
    reference(),
    close("h0"),
    onHandle("fread", { off: 0, len: 1 }, "EBADF"),
    onHandle("fwrite", { off: 0, len: 1, value: 1 }, "EBADF"),
    onHandle("ftruncate", { size: 0 }, "EBADF"),
    onHandle("fpunch", { off: 0, len: 1 }, "EBADF"),
    [0, 1, 2].map((mode) => reopen("h0", mode, fails("EBADF"))),
    ["h0", "bad", -1].map((fd) => map(fd, 0, 1, { want: fails("EBADF") })),
    map("pipe", 0, 1, { want: fails("ENODEV") }),
  ]),
  scenario("dup_of_what_is_not_open", "dup of no descriptor is EBADF and uses up no handle, with or without room.", [
    reference(),
    ["-1", "bad", "h9"].map((fd) => fileStep("dup", { fd: fd === "-1" ? -1 : fd }, fails("EBADF"))),
    rlimit("NOFILE", 0),
    fileStep("dup", { fd: "h0" }, fails("EMFILE")),
    fileStep("dup", { fd: "bad" }, fails("EBADF")),
    rlimit("NOFILE", 1),
    fileStep("dup", { fd: "h0" }, returns(1)),
  ]),
  scenario("dup_of_a_memfd", "dup takes any file; a duplicate of a memfd maps the memfd.", [
    memfd(PAGE, 0),
    fileStep("dup", { fd: "h0" }, returns(1)),
    map("h1", 5, 1),
    load(page(5), 0, 1),
    observe([area(5, 6, { object: "m0", filePages: 1 })], "-----F"),
  ]),
  scenario(
    "large_offsets",
    "An offset is no part of the contents, however large: the file ends where 64 bits end, a memfd at half of that.",
    [
      reference(),
      map("h0", 0, 1, { off: 2 ** 52 }),
      map("h0", 1, 1, { off: 2 ** 64 - 2 * PAGE }),
      map("h0", 2, 1, { off: 2 ** 64 - PAGE, want: fails("EOVERFLOW") }),
      memfd(PAGE, 1),
      map("h1", 2, 1, { off: 2 ** 63 - PAGE, want: fails("EOVERFLOW") }),
      load(0, 0xaa, 1),
      load(PAGE, 0xaa, 1),
    ],
  ),
  scenario("anonymous_with_a_descriptor", "MAP_ANONYMOUS takes no notice of the descriptor.", [
    reference(),
    map("h0", 0, 1, { flags: PRIVATE | FIXED | ANONYMOUS }),
    load(0, 0, 1),
    observe([area(0, 1, { object: "" })], "z"),
  ]),
  scenario("mapping_of_no_type", "Neither MAP_SHARED nor MAP_PRIVATE is EINVAL.", [
    reference(),
    map("h0", 0, 1, { flags: FIXED, want: fails("EINVAL") }),
  ]),
];

const READ_SHARED = "rd mr me ms";

const sharedReadOnly: Scenario[] = [
  scenario("shared_is_not_private", "A shared read-only mapping may be moved with old length 0, which maps it again.", [
    reference(),
    map("h0", 0, 2, { prot: READ, flags: SHARED_FIXED }),
    load(0, 0xaa, 1),
    storeFails(0, 1, segv("ACCERR", 0)),
    mprotect(0, 1, RW, fails("EACCES")),
    mremap(0, 0, { newPages: 2, flags: MAYMOVE | MREMAP_FIXED, to: 10 }, returns(page(10))),
    load(page(10), 0xaa, 1),
    observe(
      [sharedArea(0, 2, "r--s", READ_SHARED), sharedArea(10, 12, "r--s", READ_SHARED, FIRST_PAGE + 10)],
      "z.--------z.",
    ),
  ]),
  scenario("shared_after_fork", "A child finds a shared read-only mapping empty, and reads the reference page.", [
    reference(),
    map("h0", 0, 1, { prot: READ, flags: SHARED_FIXED | POPULATE, want: returns(0, 1) }),
    fork(1),
    by(1, load(0, 0xaa, 1)),
    madvise(0, 1, 4),
    load(0, 0xaa, 1),
  ]),
  scenario(
    "shared_without_access",
    "Shared mappings of the file may be without access or executable; reading may come later.",
    [
      reference(),
      map("h0", 0, 1, { prot: NONE, flags: SHARED_FIXED }),
      map("h0", 1, 1, { prot: READ | EXEC, flags: SHARED_FIXED }),
      observe([sharedArea(0, 1, "---s", "mr me ms"), sharedArea(1, 2, "r-xs", "rd ex mr me ms")], ".."),
      mprotect(0, 1, READ),
      load(0, 0xaa, 1),
    ],
  ),
  scenario("remove_of_locked_memory", "MADV_REMOVE looks at locks before it looks at access: EINVAL.", [
    reference(),
    map("h0", 0, 1, { prot: READ, flags: SHARED_FIXED }),
    madvise(0, 1, 9, fails("EACCES")),
    mlock(0, 1, returns(0, 1)),
    madvise(0, 1, 9, fails("EINVAL")),
  ]),
  scenario(
    "write_without_read",
    "A mapping for writing only can be read, as every page of this machine that can be written.",
    [
      reference(),
      map("h0", 0, 1, { prot: WRITE }),
      load(0, 0xaa, 1),
      store(1, 2, 1),
      load(0, 0xaa),
      map("h0", 1, 1, { prot: WRITE, flags: SHARED_FIXED, want: fails("EACCES") }),
    ],
  ),
];

const paths: Scenario[] = [
  scenario("free_of_clean_and_private", "MADV_FREE makes a private page clean and leaves a clean page as it is.", [
    reference(),
    map("h0", 0, 2),
    store(5, 1, 1),
    load(PAGE, 0xaa, 1),
    madvise(0, 2, 8),
    load(5, 1),
    observe([area(0, 2, { freed: 1 })], "Az"),
  ]),
  scenario("munlockall_keeps_pages", "munlockall of a mapping made with MAP_LOCKED keeps its private pages.", [
    reference(),
    map("h0", 0, 2, { flags: PRIVATE | FIXED | LOCKED, want: returns(0, 2) }),
    fileStep("munlockall", {}, returns(0)),
    observe([area(0, 2, { own: 2 })], "AA"),
  ]),
  scenario("data_limit_and_mprotect", "RLIMIT_DATA also binds a reference mapping that becomes writable.", [
    reference(),
    rlimit("DATA", 2),
    map("h0", 0, 3, { want: fails("ENOMEM") }),
    map("h0", 0, 3, { prot: READ }),
    mprotect(0, 3, RW, fails("ENOMEM")),
    map("h0", 4, 2),
  ]),
  scenario("msync_errors", "msync asks for sane flags, then for mapped pages, and MS_INVALIDATE for unlocked ones.", [
    reference(),
    map("h0", 0, 1),
    msync(0, 1, 5, fails("EINVAL")),
    msync(0, 2, 4, fails("ENOMEM")),
    mlock(0, 1, returns(0, 1)),
    msync(0, 1, 2, fails("EBUSY")),
  ]),
  scenario("readv_from_a_child", "The reader pays for the clean page that it maps in the child.", [
    reference(),
    map("h0", 0, 1),
    fork(1),
    anonymous(8, 1),
    pvmRead(1, page(8), 0, PAGE, returns(PAGE, 2)),
    load(page(8), 0xaa),
    by(1, load(0, 0xaa)),
    pvmRead(9, page(8), 0, PAGE, fails("ESRCH")),
  ]),
];

const zeroedByCopies: Readonly<Record<Policy, number>> = { nozero: 2, double: 4, plumbed: 2 };

const copies: Scenario[] = (["nozero", "double", "plumbed"] as const).map((policy) =>
  scenario(
    `init_${policy}_copies`,
    `${policy}: a private page copied after fork is no fill; where every frame leaves zeroed, it was zeroed too.`,
    [
      reference(),
      map("h0", 0, 2),
      observe([area(0, 2)], "..", { init: [2, 0, 0] }),
      store(0, 1, 1),
      fork(1),
      by(1, store(0, 2, 1)),
      observe([area(0, 2, { own: 1 })], "A.", { init: [zeroedByCopies[policy], 1, PAGE] }),
    ],
    policy,
  ),
);

export const edgeScenarios: readonly Scenario[] = [
  ...argumentsAtTheEdge,
  ...descriptors,
  ...sharedReadOnly,
  ...paths,
  ...copies,
];
