// `refheap check`: a WebAssembly program under the checks, with Memcheck's options by their names: what it found goes to standard
// error, and the program's own output stays its own.
import { writeFileSync } from "node:fs";
import { Command, Option } from "commander";
import { parseSuppressions } from "../../../allocator/checker/suppressions.ts";
import { type Checker, guestStack, type LeakSummary } from "../../../allocator/wasm/index.ts";
import { runWasi, type WasiRun } from "../wasm/wasi-program.ts";
import { functionsOf, NO_MALLOC, type ProgramOptions, programOf, withProgram } from "./program-options.ts";
import { checkOutput, readText } from "./result-files.ts";
import { plural } from "./tally-text.ts";
import { choiceOption, wholeNumber } from "./values.ts";

interface CheckOptions extends ProgramOptions {
  readonly errorExitcode: number;
  readonly leakCheck: "no" | "summary" | "full";
  readonly undefinedValueErrors: "yes" | "no";
  readonly showMismatchedFrees: "yes" | "no";
  readonly trackOrigins: "yes" | "no";
  readonly suppressions?: readonly string[];
  readonly genSuppressions: "no" | "all";
  readonly json?: boolean;
  readonly sarif?: string;
  readonly quiet?: boolean;
}

const yesNo = ["yes", "no"] as const;

export function checkCommand(): Command {
  return withProgram(
    new Command("check")
      .summary("run a WebAssembly program under a memory checker")
      .description(
        "Runs a WASI command with its malloc on the heap and every load and store checked: uninitialised reads, accesses outside " +
          "live blocks, invalid frees, leaks. Findings go to standard error; the exit code is the program's, or --error-exitcode.",
      ),
  )
    .addOption(
      new Option("--error-exitcode <n>", "exit code if something was found; 0: the program's own")
        .argParser(wholeNumber(0, 255))
        .default(0),
    )
    .addOption(
      choiceOption("--leak-check <which>", "look for lost blocks at the end", ["no", "summary", "full"]).default(
        "full",
      ),
    )
    .addOption(
      choiceOption("--undefined-value-errors <yes|no>", "report uses of uninitialised memory", yesNo).default("yes"),
    )
    .addOption(
      choiceOption(
        "--show-mismatched-frees <yes|no>",
        "report blocks of new[] that delete gives back, and their like",
        yesNo,
      ).default("yes"),
    )
    .addOption(choiceOption("--track-origins <yes|no>", "say where undefined bytes came from", yesNo).default("no"))
    .addOption(
      new Option("--suppressions <file>", "findings that are not to be reported; may be repeated").argParser(
        (file: string, before: readonly string[] = []) => [...before, file],
      ),
    )
    .addOption(
      choiceOption("--gen-suppressions <which>", "print the lines that would suppress what was found", [
        "no",
        "all",
      ]).default("no"),
    )
    .addOption(new Option("--json", "print findings as JSON on standard error, instead of text"))
    .addOption(new Option("--sarif <file>", "write findings as SARIF 2.1.0"))
    .addOption(new Option("-q, --quiet", "print findings only, no summary"))
    .addHelpText(
      "after",
      "\nExamples:\n  refheap check program.wasm input.txt --verbose\n  refheap check --error-exitcode=1 --dir=. program.wasm ./data",
    )
    .action(check);
}

async function check(file: string, args: string[], options: CheckOptions): Promise<void> {
  if (options.sarif !== undefined) checkOutput(options.sarif);
  const suppressions = (await Promise.all((options.suppressions ?? []).map(readText))).flatMap(parseSuppressions);
  const run = await runWasi(
    programOf(file, args, options),
    {
      memoryBytes: options.memory,
      functions: functionsOf(options),
      invalidFree: "report",
      uninitialised: options.undefinedValueErrors === "yes" ? "byte" : "off",
      trackOrigins: options.trackOrigins === "yes",
      heap: options.showMismatchedFrees === "yes" ? {} : { deallocTypeMismatch: false },
    },
    ({ checker }) => {
      checker.addSuppressions(...suppressions);
      return undefined;
    },
  );
  const { checker } = run.instance;
  const leaks = options.leakCheck === "no" || run.failure !== null ? null : lookForLeaks(checker, options.leakCheck);
  const errors = checker.findings.length;
  report(run, checker, options);
  if (options.sarif !== undefined) writeFileSync(options.sarif, `${JSON.stringify(checker.toSarif(), null, 2)}\n`);
  if (!options.quiet && !options.json) {
    if (run.instance.functions.size === 0) note(NO_MALLOC);
    if (leaks !== null) {
      const lost = (["definitely", "indirectly", "possibly", "reachable"] as const)
        .map((kind) => `${kind} ${leaks[kind].bytes} bytes in ${plural(leaks[kind].blocks, "block")}`)
        .join(", ");
      note(`lost: ${lost}`);
    }
    note(
      `${plural(errors, "finding")}${checker.countSuppressed() > 0 ? `, ${checker.countSuppressed()} suppressed` : ""}`,
    );
  }
  process.exitCode = errors > 0 && options.errorExitcode !== 0 ? options.errorExitcode : run.exitCode;
}

/** With `full` lost blocks are findings, with `summary` they are only counted, as Valgrind does it. */
function lookForLeaks(checker: Checker, which: "summary" | "full"): LeakSummary {
  return checker.leakCheck(which === "summary" ? { report: [] } : {});
}

function report(run: WasiRun, checker: Checker, options: CheckOptions): void {
  if (options.json) process.stderr.write(`${JSON.stringify(checker.toJSON(), null, 2)}\n`);
  else if (checker.findings.length > 0) process.stderr.write(`${checker.toText()}\n`);
  if (options.genSuppressions === "all") process.stderr.write(`${checker.toSuppressions()}\n`);
  if (run.failure !== null) note(`the program was stopped: ${guestStack(run.failure)}`);
}

function note(text: string): void {
  process.stderr.write(`refheap: ${text}\n`);
}
