// Lines of recorded files, plain or gzipped, one at a time: a file of any size is never held in memory whole.
// What a line means is decided in script.ts and in the other runners.
import { createReadStream } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import { createGunzip } from "node:zlib";

/** One line of a file, with its place for error messages. */
export interface Line {
  readonly file: string;
  /** From 1. */
  readonly number: number;
  readonly text: string;
}

/** A file that cannot be opened, or ends in the middle of its compression. */
export class UnreadableFile extends Error {
  override readonly name = "UnreadableFile";
  readonly file: string;

  constructor(file: string, reason: string) {
    super(`${file}: ${reason}`);
    this.file = file;
  }
}

const reasons: Record<string, string> = {
  ENOENT: "no such file",
  EACCES: "not permitted to read it",
  EISDIR: "is a folder",
  Z_BUF_ERROR: "the compressed data ends too early",
  Z_DATA_ERROR: "is not valid gzip data",
};

/**
 * The lines of `file` that are not empty, in order; a name that ends in `.gz` is decompressed.
 * @throws UnreadableFile
 */
export async function* readLines(file: string): AsyncGenerator<Line> {
  const source = createReadStream(file);
  const stream = file.endsWith(".gz") ? source.pipe(createGunzip()) : source;
  // pipe() hands on data but no errors.
  if (stream !== source) source.on("error", (error) => stream.destroy(error));
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let number = 0;
  try {
    for await (const chunk of stream) {
      const parts = (rest + decoder.write(chunk as Buffer)).split("\n");
      rest = parts.pop() as string;
      for (const text of parts) {
        number++;
        if (text.trim() !== "") yield { file, number, text };
      }
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "";
    throw new UnreadableFile(file, reasons[code] ?? (error as Error).message);
  } finally {
    source.destroy();
  }
  if (rest.trim() !== "") yield { file, number: number + 1, text: rest };
}
