// The `env` of a script about huge pages: the settings of its kernel, in the words of the recordings.
import type { HugePageOptions } from "../../../platform/kernel/mm/huge-settings.ts";
import { type Script, ScriptError } from "../script.ts";

/** The window of such scripts: 8 blocks of 2 MiB. */
export const THP_WINDOW_BYTES = 4096 * 4096;

const KIB_PER_UNIT: Readonly<Record<string, number>> = { K: 1, M: 1024 };

/** `64K+2M` in KiB. @throws ScriptError */
function sizesOf(script: Script, text: unknown): number[] {
  return String(text)
    .split("+")
    .map((size) => {
      const [, count, unit] = /^(\d+)([KM])$/.exec(size) ?? [];
      if (count === undefined)
        throw new ScriptError(`${script.name}: env.sizes ${JSON.stringify(text)} is no list of sizes`);
      return Number(count) * KIB_PER_UNIT[unit];
    });
}

/** The kernel's options for a script. @throws ScriptError for settings that it does not know */
export function settingsOf(script: Script): HugePageOptions {
  const { thp = "madvise", zero = 1, sizes = "2M", shmem = "never" } = (script.env ?? {}) as Record<string, unknown>;
  if (zero !== 0 && zero !== 1)
    throw new ScriptError(`${script.name}: env.zero ${JSON.stringify(zero)} is neither 0 nor 1`);
  return {
    enabled: thp as HugePageOptions["enabled"],
    useZeroPage: zero === 1,
    sizes: sizesOf(script, sizes),
    shmem: shmem as HugePageOptions["shmem"],
  };
}
