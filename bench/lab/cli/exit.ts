// How the command ends: 0 all went well, 1 the work failed (a bad trace, a broken promise, a missing file), 2 wrong usage.
// Messages go to standard error, one line, without a stack unless REFHEAP_DEBUG is set.
import { CommanderError, InvalidArgumentError } from "commander";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** The command was called in a wrong way that its argument library cannot see. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** Says what went wrong and sets the exit code. */
export function reportFailure(error: unknown): void {
  if (error instanceof CommanderError) {
    // Commander has said it already; help and version end here with code 0.
    process.exitCode = error.exitCode === 0 ? 0 : EXIT_USAGE;
    return;
  }
  const failure = error as NodeJS.ErrnoException;
  // By name: an error of a worker thread comes as a copy.
  const isUsage = error instanceof UsageError || failure.name === "OwnPolicyError";
  process.exitCode = isUsage ? EXIT_USAGE : EXIT_FAILED;
  const debug = process.env.REFHEAP_DEBUG !== undefined && process.env.REFHEAP_DEBUG !== "";
  process.stderr.write(`refheap: ${debug ? failure.stack : sentence(failure)}\n`);
}

function sentence(error: NodeJS.ErrnoException): string {
  if (error.code === "ENOENT" && error.path !== undefined) return `${error.path}: no such file`;
  if (error.code === "ENOTDIR" && error.path !== undefined) return `${error.path}: a folder on the way is a file`;
  if (error.code === "EISDIR") return `${error.path ?? "a folder"}: is a folder, a file is needed`;
  if (error.code === "EACCES" && error.path !== undefined) return `${error.path}: no permission`;
  // A bad line of a trace, as opposed to a file that is no trace at all.
  if (error.name === "TraceError" && /:\d+: (?!expected a trace \()/.test(error.message))
    return `${error.message} (--skip-bad passes over bad lines)`;
  return error.message;
}

/** Runs a parser for an option's value; what it throws becomes a usage error in commander's words. */
export function optionValue<T>(parse: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError((error as Error).message);
    }
  };
}
