// Files of results: reading them by name, writing them whole or not at all.
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { parseResultFile, type ReplayResult, type ResultFile } from "../replay/result.ts";
import { isReadOnce, STANDARD_INPUT } from "../traces/open.ts";
import { splitMember } from "../traces/zip.ts";

const LOOKED_AT_BYTES = 64;

/** All results of the files, in their order. */
export async function readResults(files: readonly string[]): Promise<ReplayResult[]> {
  const parsed = await readResultFiles(files);
  return parsed.flatMap((file) => file.results);
}

/** Whether a file looks like one of results: JSON, which no trace is. A file that is not there counts as one of results. */
export function isResultFile(file: string): boolean {
  if (file === STANDARD_INPUT || splitMember(file).member !== null || isReadOnce(file)) return false;
  if (!statSync(file, { throwIfNoEntry: false })?.isFile()) return true;
  const fd = openSync(file, "r");
  const start = Buffer.alloc(LOOKED_AT_BYTES);
  const length = readSync(fd, start, 0, LOOKED_AT_BYTES, 0);
  closeSync(fd);
  return /^\s*[{[]/.test(start.toString("latin1", 0, length));
}

export async function readResultFiles(files: readonly string[]): Promise<ResultFile[]> {
  return Promise.all(files.map(async (file) => parseResultFile(await readText(file), file)));
}

/** Node's error for a folder does not say which. */
async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw Object.assign(error as Error, { path: file });
  }
}

/**
 * To be called before long work whose result goes to a file.
 * @throws Error if the file's folder is not there.
 */
export function checkFolderOf(file: string): void {
  const folder = dirname(file);
  if (!existsSync(folder)) throw new Error(`${file}: there is no folder ${folder}`);
}

/** The file appears under its name only once it is whole. */
export async function writeWhole(file: string, text: string): Promise<void> {
  checkFolderOf(file);
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
