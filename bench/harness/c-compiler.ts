// The C compiler of this machine, for programs of the project's own that want one. What is compiled, and what it is for, is theirs.
import { spawnSync } from "node:child_process";

const COMPILERS = ["cc", "gcc", "clang"];

/** The first C compiler that answers, or null. `CC` in the environment goes first. */
export function findCompiler(environment: NodeJS.ProcessEnv = process.env): string | null {
  const candidates = environment.CC === undefined || environment.CC === "" ? COMPILERS : [environment.CC, ...COMPILERS];
  return candidates.find((name) => succeeds(name, ["--version"])) ?? null;
}

/** Whether a program is there and ends with status 0. What it says is not looked at. */
export function succeeds(program: string, programArguments: readonly string[]): boolean {
  return spawnSync(program, programArguments, { stdio: "ignore" }).status === 0;
}
