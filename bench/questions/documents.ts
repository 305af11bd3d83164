// Documents whose tables commands print: each `console` block is a command behind `$ ` and its output. Here they are run.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const DOCUMENTS: readonly string[] = ["docs/questions.md", "docs/cost-model.md"];
export const PICTURE = "docs/questions-density.svg";
const BLOCK = /```console\n\$ (.*)\n([\s\S]*?)```/g;
const PROGRAMS: readonly (readonly [string, string])[] = [
  ["npm run -s bench -- ", "dist/bench/main.js"],
  ["refheap ", "dist/cli/main.js"],
];

export interface DocumentCommand {
  readonly command: string;
  readonly output: string;
}

/** The commands of a document, with the output that it shows. */
export function commandsOf(markdown: string): DocumentCommand[] {
  return [...markdown.matchAll(BLOCK)].map(([, command, output]) => ({ command, output }));
}

/** What a command prints now, run in the project's folder. @throws Error for a command that is not the project's. */
export function outputOf(command: string, root: string): string {
  const known = PROGRAMS.find(([prefix]) => command.startsWith(prefix));
  if (known === undefined) throw new Error(`${command}: neither refheap nor npm run -s bench --`);
  const [prefix, program] = known;
  const words = command.slice(prefix.length).split(" ");
  return execFileSync(process.execPath, [program, ...words], { cwd: root, encoding: "utf8" });
}

/** Puts into each document what its commands print now, then draws the picture: its many kernels leave little to start programs with. */
export function renewDocuments(draw: () => string): void {
  const root = fileURLToPath(new URL("../../../", import.meta.url));
  for (const document of DOCUMENTS) {
    const file = `${root}${document}`;
    const markdown = readFileSync(file, "utf8");
    const renewed = markdown.replace(BLOCK, (_block, command: string) => {
      return `\`\`\`console\n$ ${command}\n${outputOf(command, root)}\`\`\``;
    });
    writeFileSync(file, renewed);
  }
  writeFileSync(`${root}${PICTURE}`, draw());
}
