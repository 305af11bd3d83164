// The core's rooms: which sources a mutant may be in, and which tests are asked about it, the nearest ones first.
// The nearest of all, the test file of the same name, is found by mutate.mjs.

export const ROOMS = {
  hardware: {
    sources: ["platform/hardware"],
    tests: ["test/platform/hardware", "test/platform/kernel/programs", "test/allocator/heap", "test/allocator/checker"],
  },
  state: { sources: ["platform/state"], tests: ["test/platform/state", "test/allocator/heap/snapshot"] },
  kernel: {
    sources: ["platform/kernel"],
    tests: ["test/platform/kernel", "test/refpage", "test/platform/state", "test/allocator/heap"],
  },
  refpage: { sources: ["refpage"], tests: ["test/refpage", "test/platform/state", "test/allocator/secondary"] },
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
      "test/allocator/heap",
      "test/allocator",
    ],
  },
  tagging: { sources: ["allocator/tagging"], tests: ["test/allocator/tagging", "test/allocator"] },
  checker: {
    sources: ["allocator/checker", "allocator/tracking", "allocator/testing", "allocator/inspection"],
    tests: [
      "test/allocator/checker",
      "test/allocator/tracking",
      "test/allocator/inspection",
      "test/allocator/testing",
      "test/allocator/vitest",
      "test/allocator",
    ],
  },
};
