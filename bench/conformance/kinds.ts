// The kinds of recordings that `conformance` can replay; each is loaded only when asked for. One line adds one.
import type { RunOptions, Tally } from "./runner.ts";

export type RunKind = (files: readonly string[], options: RunOptions) => Promise<Tally>;

export const kinds: Readonly<Record<string, () => Promise<RunKind>>> = {
  linux: async () => (await import("./linux.ts")).runLinux,
  mte: async () => (await import("./mte.ts")).runMte,
  refpage: async () => (await import("./refpage.ts")).runRefpage,
  scudo: async () => (await import("./scudo.ts")).runScudo,
};
