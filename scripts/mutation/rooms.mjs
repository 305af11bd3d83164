// The core's rooms: which sources a mutant may be in, and which tests are asked about it, the nearest ones first; `!` leaves tests out:
// those that start programs, or are about what lies above.

const ABOVE = [
  "!test/allocator/wasm",
  "!test/allocator/vitest",
  "!test/allocator/record",
  "!test/allocator/docs.test.ts",
  "!test/allocator/names.test.ts",
];

/** Long replays and lists of scenarios: asked about what all others let live. */
export const LATE = [
  "test/refpage/recorded-",
  "test/refpage/frame-failures",
  "test/refpage/huge-",
  "test/platform/kernel/mm/huge-failures",
  "test/platform/kernel/nth-failure",
  "test/platform/kernel/programs",
  "test/platform/kernel/mte-selftests",
  "test/platform/kernel/bad-",
  "test/platform/state/snapshot",
  "test/allocator/failures",
  "test/allocator/bad-input",
  "test/allocator/refusals",
  "test/allocator/attacks",
  "test/allocator/isolation",
];

export const ROOMS = {
  hardware: {
    sources: ["platform/hardware"],
    tests: [
      "test/platform/hardware",
      "test/platform/kernel",
      "test/allocator/checker",
      "test/allocator/heap",
      ...ABOVE,
    ],
  },
  state: { sources: ["platform/state"], tests: ["test/platform/state", "test/allocator/heap/snapshot.test.ts"] },
  kernel: {
    sources: ["platform/kernel"],
    tests: ["test/platform/kernel", "test/platform/state", "test/refpage", "test/allocator/heap", ...ABOVE],
  },
  refpage: {
    sources: ["refpage"],
    tests: ["test/refpage", "test/platform/kernel", "test/platform/state", "test/allocator/secondary"],
  },
  heap: {
    sources: [
      "allocator/heap",
      "allocator/combined",
      "allocator/primary",
      "allocator/secondary",
      "allocator/common",
      "allocator/options",
    ],
    tests: [
      "test/allocator/combined",
      "test/allocator/primary",
      "test/allocator/secondary",
      "test/allocator/options",
      "test/allocator/common",
      "test/allocator/heap",
      "test/allocator",
      ...ABOVE,
    ],
  },
  tagging: { sources: ["allocator/tagging"], tests: ["test/allocator/tagging", "test/allocator", ...ABOVE] },
  checker: {
    sources: ["allocator/checker", "allocator/tracking", "allocator/testing", "allocator/inspection"],
    tests: ["test/allocator/checker", "test/allocator/inspection", "test/allocator", ...ABOVE],
  },
};
