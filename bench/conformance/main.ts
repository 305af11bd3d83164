// The command line of `npm run conformance -- KIND FILE…`: replays recordings and says how many hold.
// Exit status: 0 if at least one script ran and none failed, 1 for failures, 2 for wrong usage.
import { access, constants } from "node:fs/promises";
import { Command, InvalidArgumentError } from "commander";
import { kinds } from "./kinds.ts";

interface Options {
  readonly verbose?: true;
  readonly only?: string;
  readonly strict?: true;
  readonly record?: true;
}

const USAGE_ERROR = 2;
const known = Object.keys(kinds).join(", ");

function checkKind(kind: string): string {
  if (!Object.hasOwn(kinds, kind)) throw new InvalidArgumentError(`Kinds are: ${known}.`);
  return kind;
}

async function checkFiles(files: readonly string[]): Promise<void> {
  for (const file of files) {
    try {
      await access(file, constants.R_OK);
    } catch (error) {
      const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
      program.error(`error: ${file}: ${missing ? "no such file" : "not permitted to read it"}`, {
        exitCode: USAGE_ERROR,
      });
    }
  }
}

/** Records the scripts anew on the kernel of this machine, instead of replaying what was recorded. */
async function record(kind: string, files: readonly string[], { only }: Options): Promise<void> {
  const { isRecordedKind, recordFiles } = await import("./native/record-files.ts");
  if (!isRecordedKind(kind)) return program.error("error: --record is for linux and thp", { exitCode: USAGE_ERROR });
  const reason = await recordFiles(kind, files, { only });
  if (reason !== undefined) program.error(`error: nothing can be recorded here: ${reason}`, { exitCode: 1 });
}

async function run(kind: string, files: readonly string[], options: Options): Promise<void> {
  await checkFiles(files);
  if (options.record === true) {
    await record(kind, files, options);
    return;
  }
  const runKind = await kinds[kind]();
  const { passed, failed } = await runKind(files, options);
  if (passed + failed === 0)
    console.log(options.only === undefined ? "no script in these files" : `no script named ${options.only}`);
  console.log(`${passed} passed, ${failed} failed`);
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1;
}

const program = new Command("conformance")
  .description("Replays recorded behaviour on the simulated system and reports the first difference of each script.")
  .argument("<kind>", `what was recorded: ${known}`, checkKind)
  .argument("<file...>", "recordings, .jsonl or .jsonl.gz; for wasm scripts, .wast, or folders of them")
  .option("--verbose", "name every script, and show every step of those that fail")
  .option("--only <name>", "run only the scripts of this name")
  .option(
    "--strict",
    "also compare what the format leaves to taste: borders of areas, clean or dirty file pages, page tables",
  )
  .option("--record", "run the scripts of linux or thp on this machine's kernel, and print them with its answers")
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? 0 : USAGE_ERROR);
  })
  .action(run);

// If the reader closes early, exit without a verdict.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(1);
});

await program.parseAsync();
