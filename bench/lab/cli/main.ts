#!/usr/bin/env node
// `refheap`: what would this kernel interface save on my trace? Subcommands are a file each; libraries are bundled in.
import { readFileSync } from "node:fs";
import tab from "@bomb.sh/tab/commander";
import { Command } from "commander";
import { hideOwnBundle } from "../../../platform/host/stack.ts";
import { calibrateCommand } from "./calibrate.ts";
import { checkCommand } from "./check.ts";
import { compareCommand } from "./compare.ts";
import { convertCommand } from "./convert.ts";
import { reportFailure } from "./exit.ts";
import { inspectCommand } from "./inspect.ts";
import { mergeCommand } from "./merge.ts";
import { withNearestOption } from "./nearest.ts";
import { recordCommand } from "./record.ts";
import { replayCommand } from "./replay.ts";
import { reportCommand } from "./report.ts";
import { runCommand } from "./run.ts";

const HELP_WIDTH = 100;

function program(): Command {
  const root = new Command("refheap")
    .description(
      "Replays allocation traces on a simulated kernel with reference pages, and shows what each memory policy costs.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpCommand("help [command]", "help for a command")
    .enablePositionalOptions()
    .addHelpText("after", "\nExit codes: 0 done, 1 the work failed (a bad trace, a missing file), 2 wrong usage.");
  const commands = [
    checkCommand(),
    runCommand(),
    replayCommand(),
    compareCommand(),
    reportCommand(),
    inspectCommand(),
    convertCommand(),
    recordCommand(),
    calibrateCommand(),
    mergeCommand(),
  ];
  for (const command of [root, ...commands]) {
    command.exitOverride().configureHelp({ helpWidth: HELP_WIDTH }).showHelpAfterError("(--help says more)");
    command.configureOutput({ outputError: (text, write) => write(withNearestOption(text, optionsOf(command))) });
  }
  for (const command of commands) root.addCommand(command);
  addCompletion(root, commands);
  return root;
}

/** Names of a command's options, those of the library's own among them. */
function optionsOf(command: Command): string[] {
  const options = command.createHelp().visibleOptions(command);
  return options.flatMap(({ long }) => (long === undefined ? [] : [long.slice(2)]));
}

/** A shell shows a line beside each subcommand: its summary, where the library would take the whole description. */
function addCompletion(root: Command, commands: readonly Command[]): void {
  const descriptions = commands.map((command) => command.description());
  for (const command of commands) command.description(command.summary());
  tab(root);
  for (const [index, command] of commands.entries()) command.description(descriptions[index]);
}

/** package.json lies two folders up from the bundle, four from the plain build. */
function packageVersion(): string {
  for (const up of ["../../package.json", "../../../../package.json"]) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8"));
      if (name === "refheap") return version;
    } catch {
      // Not there: the next place.
    }
  }
  return "unknown";
}

// A reader that closes early (`refheap … | head`) is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});

// What runs in this process is a program of the user's: frames of the command itself say nothing of it.
hideOwnBundle();

try {
  await program().parseAsync();
} catch (error) {
  reportFailure(error);
}
