// The kinds of recordings that `conformance` can replay; each is loaded only when asked for. One line adds one.
import type { RunOptions, Tally } from "./runner.ts";

export type RunKind = (files: readonly string[], options: RunOptions) => Promise<Tally>;

export const kinds: Readonly<Record<string, () => Promise<RunKind>>> = {
  linux: async () => (await import("./linux/linux.ts")).runLinux,
  mte: async () => (await import("./mte/mte.ts")).runMte,
  refpage: async () => (await import("./linux/refpage.ts")).runRefpage,
  scudo: async () => (await import("./scudo/scudo.ts")).runScudo,
  thp: async () => (await import("./thp/thp.ts")).runThp,
  wasm: async () => (await import("./wasm/wasm.ts")).runWasm,
};
