// The dialect of what a real Linux did with transparent huge pages: Linux's operations and a few more, on a kernel with the
// settings that each script names (`env`).
import { Kernel } from "../../../platform/kernel/kernel.ts";
import type { HugePageOptions } from "../../../platform/kernel/mm/huge-settings.ts";
import { linuxOperations, machineForScripts } from "../linux/linux.ts";
import { type Dialect, type RunOptions, runFiles, type Tally } from "../runner.ts";
import { type Script, ScriptError } from "../script.ts";
import { World } from "../world.ts";
import { probe, thp_disable, thp_disabled, touch } from "./operations.ts";

const WINDOW_BYTES = 4096 * 4096;
/** Eight blocks in a few processes, and what copies and splits leave behind. */
const machine = machineForScripts({ mte: false, memoryBytes: 256 * 2 ** 20 });

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

function createWorld(script: Script): World {
  try {
    return new World(new Kernel(machine(), { hugePages: settingsOf(script) }), WINDOW_BYTES);
  } catch (error) {
    if (error instanceof RangeError) throw new ScriptError(`${script.name}: ${error.message}`);
    throw error;
  }
}

export const thp: Dialect = {
  operations: { ...linuxOperations, touch, probe, thp_disable, thp_disabled },
  createWorld,
};

/** Runs scripts in the format of the recorded files about huge pages. */
export function runThp(files: readonly string[], options?: RunOptions): Promise<Tally> {
  return runFiles(thp, files, options);
}
