// A program run by `refheap record`: its own standard streams, its exit code, and signals that are meant for it.
import { spawn } from "node:child_process";
import { constants } from "node:os";

const FORWARDED = ["SIGTERM", "SIGHUP", "SIGQUIT"] as const;

export interface ProgramRun {
  /** The exit code, or 128 plus the signal's number as shells have it. */
  readonly code: number;
  readonly pid: number;
}

/** @throws Error if there is no such program; Node's own if it cannot be started */
export function runProgram(
  command: string,
  arguments_: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<ProgramRun> {
  return new Promise((done, fail) => {
    const child = spawn(command, arguments_, { stdio: "inherit", env });
    // A terminal's interrupt goes to the program as well; what was recorded is written when it has ended.
    const ignore = (): void => {};
    const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
    process.on("SIGINT", ignore);
    for (const signal of FORWARDED) process.on(signal, forward);
    const settle = (): void => {
      process.off("SIGINT", ignore);
      for (const signal of FORWARDED) process.off(signal, forward);
    };
    child.on("error", (error: NodeJS.ErrnoException) => {
      settle();
      fail(error.code === "ENOENT" ? new Error(`${command}: no such program`) : error);
    });
    child.on("close", (code, signal) => {
      settle();
      done({ code: code ?? 128 + constants.signals[signal as NodeJS.Signals], pid: child.pid ?? 0 });
    });
  });
}
