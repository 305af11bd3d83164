// `npm run bench -- questions NAME`: the data behind a question of docs/questions.md, the same on every machine.
// `--renew` runs the commands of the documents and writes what they print now into them.

import { limits, rssAccounting, sharing } from "./accounting.ts";
import { contentKinds } from "./contents.ts";
import { renewDocuments } from "./documents.ts";
import { hugePages } from "./huge-pages.ts";
import { doubleInitialisation, userfaultfd, whenItLoses } from "./initialisation.ts";
import type { Question } from "./question.ts";

const QUESTIONS: readonly Question[] = [
  doubleInitialisation,
  userfaultfd,
  contentKinds,
  sharing,
  rssAccounting,
  limits,
  hugePages,
  whenItLoses,
];

export async function run([name, ...others]: string[]): Promise<void> {
  if (name === "--renew" && others.length === 0) {
    const { densityPicture } = await import("./pictures.ts");
    renewDocuments(densityPicture);
    return;
  }
  const question = QUESTIONS.find((one) => one.name === name);
  if (question === undefined || others.length > 0) {
    const lines = QUESTIONS.map((one) => `  ${one.name.padEnd(22)} ${one.asks}`);
    process.stderr.write(`Usage: npm run bench -- questions NAME\n\n${lines.join("\n")}\n`);
    process.exitCode = name === "--help" ? 0 : 2;
    return;
  }
  process.stdout.write(`${await question.answer()}\n`);
}
