// Calibration: compiles the C program with the compiler that is here, runs it, and makes a machine model of what it prints.
// The program is calibration-source.ts; models are read back by machine-models.ts.
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { type CalibrationCheck, calibrationChecks, type Time } from "./calibration-checks.ts";
import { CALIBRATION_SOURCE } from "./calibration-source.ts";
import { COST_EVENTS, type Constant, type CostEvent, type MachineModel } from "./cost-model.ts";

const CHECK = "check";
const COMPILE_TIMEOUT_MS = 60_000;
const RUN_TIMEOUT_MS = 120_000;

/** A machine, and how well its constants add up to programs that were timed whole. */
export interface Calibration {
  readonly model: MachineModel;
  readonly checks: readonly CalibrationCheck[];
}

/**
 * Times this machine. Takes some seconds.
 * @throws Error with the compiler's or the program's own words.
 */
export function calibrate(compiler: string, name: string = hostname()): Calibration {
  const folder = mkdtempSync(join(tmpdir(), "refheap-calibrate-"));
  try {
    const source = join(folder, "calibrate.c");
    const program = join(folder, "calibrate");
    writeFileSync(source, CALIBRATION_SOURCE);
    const flags = ["-O2", "-std=gnu11", "-pthread", "-o", program, source];
    const compiled = spawnSync(compiler, flags, { encoding: "utf8", timeout: COMPILE_TIMEOUT_MS });
    if (compiled.status !== 0)
      throw new Error(`${compiler} cannot compile the calibration program:\n${compiled.stderr}`);
    const output = execFileSync(program, { encoding: "utf8", timeout: RUN_TIMEOUT_MS });
    const model = parseCalibration(output, name);
    return { model, checks: calibrationChecks(model, parseCheckTimes(output)) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A model from the program's lines; what it cannot measure here (tags without MTE) is assumed from memset. */
export function parseCalibration(output: string, name: string): MachineModel {
  const constants = new Map<string, Constant>();
  let cacheBytes = 0;
  for (const line of output.trim().split("\n")) {
    const [event, ...fields] = line.split("\t");
    if (event === CHECK) continue;
    if (event === "cacheBytes") cacheBytes = Number(fields[0]);
    else constants.set(event, { ...ordered(fields.slice(0, 3).map(Number)), how: fields[3] });
  }
  const byte = constants.get("userByte");
  if (byte !== undefined) {
    constants.set("tagGranule", assumed(byte, 8, "assumed: two granules a store pair, as 16 bytes of memset"));
    constants.set("gzvaBlock", assumed(byte, 64, "assumed: as 64 bytes of memset"));
  }
  const missing = COST_EVENTS.filter((event) => !constants.has(event));
  if (missing.length > 0) throw new Error(`the calibration program did not print ${missing.join(", ")}`);
  return {
    name,
    description: `${cpus()[0]?.model.trim() ?? "unknown processor"}, measured by refheap calibrate`,
    cacheBytes,
    constants: Object.fromEntries(constants) as Record<CostEvent, Constant>,
  };
}

/** The times of the programs that the model is held against. */
export function parseCheckTimes(output: string): Map<string, Time> {
  const times = new Map<string, Time>();
  for (const line of output.trim().split("\n")) {
    const [word, program, ...fields] = line.split("\t");
    if (word === CHECK) times.set(program, ordered(fields.map(Number)));
  }
  return times;
}

function ordered([ns, low, high]: number[]): Omit<Constant, "how"> {
  return { ns, low: Math.min(ns, low), high: Math.max(ns, high) };
}

function assumed(byte: Constant, bytes: number, how: string): Constant {
  return { ns: byte.ns * bytes, low: (byte.low * bytes) / 2, high: byte.high * bytes * 4, how };
}
