// What the command's tests share: starting dist/cli/main.js as a user would, in a folder of its own, with the traces there.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const MAIN = resolve("dist/cli/main.js");

export const SMALL = `refheap-trace 1
0 malloc 0 600000
0 write 0 100000 1
1 malloc 1 100
0 calloc 2 4 200000
0 mark "half"
0 realloc 0 900000
0 aligned 3 4096 5000
1 free 1
0 free 2
`;

/** One call of the command; standard input is empty unless given. */
export interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export class Workplace {
  readonly folder = mkdtempSync(join(tmpdir(), "refheap-cli-"));

  constructor() {
    this.write("small.txt", SMALL);
    const sorted = fileURLToPath(new URL("../traces/fixtures/sort-lines.mtrace", import.meta.url));
    copyFileSync(sorted, this.path("sort.mtrace"));
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string | Uint8Array): void {
    writeFileSync(this.path(name), content);
  }

  read(name: string): string {
    return readFileSync(this.path(name), "utf8");
  }

  refheap(programArguments: readonly string[], input: string | Uint8Array = ""): Run {
    const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...programArguments], {
      cwd: this.folder,
      encoding: "utf8",
      input,
    });
    return { status, stdout, stderr };
  }

  shell(script: string): Run {
    const { status, stdout, stderr } = spawnSync("bash", ["-c", script], {
      cwd: this.folder,
      encoding: "utf8",
      env: { ...process.env, NODE: process.execPath, MAIN },
    });
    return { status, stdout, stderr };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
