// The dialect of what a real Linux did with transparent huge pages: Linux's operations and a few more, on a kernel with the
// settings that each script names (`env`).
import { Kernel } from "../../../platform/kernel/kernel.ts";
import { settingsOf, THP_WINDOW_BYTES } from "../linux/huge-settings.ts";
import { linuxOperations, machineForScripts } from "../linux/linux.ts";
import { probe, thp_disable, thp_disabled, touch } from "../linux/operations-huge.ts";
import { type Dialect, type RunOptions, runFiles, type Tally } from "../runner.ts";
import { type Script, ScriptError } from "../script.ts";
import { World } from "../world.ts";

/** Eight blocks in a few processes, and what copies and splits leave behind. */
const machine = machineForScripts({ mte: false, memoryBytes: 256 * 2 ** 20 });

function createWorld(script: Script): World {
  try {
    return new World(new Kernel(machine(), { hugePages: settingsOf(script) }), THP_WINDOW_BYTES);
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
