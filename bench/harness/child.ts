// A benchmark's job in a process of its own, so that the engine compiles for it alone: the job as JSON goes in, figures as JSON come out.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);

/**
 * @param parent the `import.meta.url` of the file that has the program, `child.js`, beside itself
 * @param flags Node's own
 */
export async function runChild(parent: string, job: object, flags: readonly string[] = []): Promise<unknown> {
  const program = fileURLToPath(new URL("./child.js", parent));
  const { stdout } = await execute(process.execPath, [...flags, program, JSON.stringify(job)]);
  return JSON.parse(stdout);
}
