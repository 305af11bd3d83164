// The programs of `npm run bench -- wasm` as native ones, alone and under Valgrind Memcheck, where a C compiler and valgrind are: what
// Memcheck costs the same C, for the column beside the checker's own.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

/** Rounds in a run, by the program's own clock; alone more of them, since they are short. */
const ROUNDS_ALONE = 40;
const ROUNDS_UNDER = 4;

/** Why there is no column here, or null. */
export function whyNoMemcheck(source: string): string | null {
  if (!existsSync(source)) return "the C source is not here";
  for (const program of ["cc", "valgrind"])
    if (spawnSync(program, ["--version"]).status !== 0) return `there is no ${program}`;
  return null;
}

const main = (source: string, programs: readonly string[]): string => `#include "${resolve(source)}"
#include <stdio.h>
#include <time.h>
int main(int count, char **words) {
  static int (*const all[])(int) = { ${programs.join(", ")} };
  int rounds = atoi(words[2]);
  struct timespec begin, end;
  clock_gettime(CLOCK_MONOTONIC, &begin);
  int value = all[atoi(words[1])](rounds);
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.0f %d\\n", ((end.tv_sec - begin.tv_sec) * 1e9 + (end.tv_nsec - begin.tv_nsec)) / rounds, value);
  return count == 0;
}
`;

/** How many times longer each program's round takes under Memcheck than alone. */
export function measureMemcheck(source: string, programs: readonly string[]): Map<string, number> {
  const folder = mkdtempSync(join(tmpdir(), "refheap-memcheck-"));
  try {
    const binary = join(folder, "programs");
    writeFileSync(`${binary}.c`, main(source, programs));
    run("cc", ["-O2", "-w", "-o", binary, `${binary}.c`]);
    return new Map(
      programs.map((program, index) => {
        const alone = nanosecondsOf(run(binary, [String(index), String(ROUNDS_ALONE)]));
        const under = nanosecondsOf(run("valgrind", ["-q", binary, String(index), String(ROUNDS_UNDER)]));
        return [program, under / alone];
      }),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command: string, words: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, words, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command}: ${error?.message ?? stderr.slice(0, 500)}`);
  return stdout;
}

function nanosecondsOf(line: string): number {
  return Number(line.split(" ")[0]);
}
