// The options that every benchmark shares, on one argument library: --quick and --json, numbers that are checked, exit
// code 2 with a sentence for a wrong argument. Each benchmark adds its own options.
import { closeSync, existsSync, openSync, rmSync, writeFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { describeHost } from "./machine.ts";

/** @param name as typed behind `npm run bench --`. */
export function benchmarkCommand(name: string, description: string): Command {
  return new Command(`npm run bench -- ${name}`)
    .description(description)
    .option("--quick", "fewer samples: an impression, not a measurement")
    .option("--json <file>", "also write every figure to this file", writableFile)
    .allowExcessArguments(false)
    .configureHelp({ helpWidth: 100 })
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
}

/** Parses a whole number from 1, for an option. */
export function positiveInteger(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) {
    throw new InvalidArgumentError(`"${text}" is not a whole number from 1 to 999999999.`);
  }
  return Number(text);
}

/** A file that can be written, found out before anything is measured; the check leaves no file that was not there. */
function writableFile(file: string): string {
  const isNew = !existsSync(file);
  try {
    closeSync(openSync(file, "a"));
  } catch (error) {
    throw new InvalidArgumentError(`It cannot be written: ${(error as Error).message}`);
  }
  if (isNew) rmSync(file);
  return file;
}

/** Writes the figures with the machine they are from and the command that made them. */
export function writeJson(file: string, benchmark: string, figures: object): void {
  const command = ["npm run bench --", ...process.argv.slice(2)].join(" ");
  const document = { benchmark, command, host: describeHost(), ...figures };
  try {
    writeFileSync(file, `${JSON.stringify(document, null, 2)}\n`);
  } catch (error) {
    process.stderr.write(`bench: cannot write ${file}: ${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
