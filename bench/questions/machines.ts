// The machines whose times the questions estimate: the thread's, and one that was measured with a userfaultfd of its own.
// Constants are data: machine-models.ts, and a file that `refheap calibrate` wrote.
import { fileURLToPath } from "node:url";
import { DRAGONBOARD, machineModel } from "../lab/cost/machine-models.ts";

/** From dist/bench/questions to the data, which are not compiled. */
export const DATA = new URL("../../../bench/data/", import.meta.url);

/** The thread's board, fitted to its table. */
export const BOARD = DRAGONBOARD;
/** A virtual machine on an AMD EPYC: `refheap calibrate --name epyc-vm`. */
export const EPYC = machineModel(fileURLToPath(new URL("epyc-vm.json", DATA)));

export const ESTIMATES = `Times are estimates for ${BOARD.name} and ${EPYC.name}, with the range that their constants leave.`;
