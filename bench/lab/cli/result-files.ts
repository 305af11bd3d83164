// Files of results: reading them by name, writing them whole or not at all.
import { existsSync, statSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseResultFile, type ReplayResult, type ResultFile } from "../replay/result.ts";
import { isDhatProfile } from "../traces/dhat.ts";
import { isReadOnce, STANDARD_INPUT } from "../traces/open.ts";
import { splitMember } from "../traces/zip.ts";
import { beginningOf } from "./beginning.ts";

const LOOKED_AT_BYTES = 64;

/** All results of the files, in their order. */
export async function readResults(files: readonly string[]): Promise<ReplayResult[]> {
  const parsed = await readResultFiles(files);
  return parsed.flatMap((file) => file.results);
}

/** Whether a file looks like one of results: JSON, which no trace is (DHAT's profile is an error for whoever reads traces). A file that is not there counts as one of results. */
export function isResultFile(file: string): boolean {
  if (file === STANDARD_INPUT || splitMember(file).member !== null || isReadOnce(file)) return false;
  const beginning = beginningOf(file, LOOKED_AT_BYTES);
  if (beginning === null) return true;
  return /^\s*[{[]/.test(beginning) && !isDhatProfile(beginning);
}

export async function readResultFiles(files: readonly string[]): Promise<ResultFile[]> {
  return Promise.all(files.map(async (file) => parseResultFile(await readText(file), file)));
}

/** A file as text. Node's error for a folder does not say which. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw Object.assign(error as Error, { path: file });
  }
}

/**
 * To be called before long work whose result goes to a file.
 * @throws Error if the file's folder is not there, or the file is a folder itself.
 */
export function checkOutput(file: string): void {
  const folder = dirname(file);
  if (!existsSync(folder)) throw new Error(`${file}: there is no folder ${folder}`);
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory())
    throw new Error(`${file}: is a folder, a file is needed`);
}

/** The file appears under its name only once it is whole. */
export async function writeWhole(file: string, text: string): Promise<void> {
  checkOutput(file);
  const partial = `${file}.part`;
  try {
    await writeFile(partial, text);
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** The command as it was typed, for results and reports. */
export function typedCommand(): string {
  return ["refheap", ...process.argv.slice(2).map(shellWord)].join(" ");
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
