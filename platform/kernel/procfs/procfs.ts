// /proc/PID: which text is which file. Each has Linux's layout to the column and is made in a file of its own:
// procfs-maps.ts, procfs-smaps.ts, procfs-status.ts; pagemap, which is no text, in procfs-pagemap.ts. All only read.
import { named } from "../abi/arguments.ts";
import { mapsText } from "./procfs-maps.ts";
import { rollupText, smapsText } from "./procfs-smaps.ts";
import { type PrintedProcess, statmText, statusText } from "./procfs-status.ts";

export type ProcFile = "maps" | "smaps" | "smaps_rollup" | "status" | "statm";

/** The text of /proc/PID/<file>. Costs areas and, but for maps, touched pages. */
export function procFile(process: PrintedProcess, file: ProcFile): string {
  switch (file) {
    case "maps":
      return mapsText(process.addressSpace);
    case "smaps":
      return smapsText(process.addressSpace);
    case "smaps_rollup":
      return rollupText(process.addressSpace);
    case "status":
      return statusText(process);
    case "statm":
      return statmText(process.addressSpace);
    default:
      throw new RangeError(`procfs: there is no file ${named(file)}`);
  }
}
