// What DHAT (`valgrind --tool=dhat`) writes: sums by call site over a whole run, without the order of calls. No replay can be made of
// it, so it is no trace; its summary is shown by `refheap inspect`.

/** How every such file begins. */
const BEGINNING = /^\s*\{\s*"dhatFileVersion"\s*:/;
/** The version that is read: Valgrind's since 3.15. */
const VERSION = 2;

/** Blocks and bytes of one call site. */
export interface DhatSite {
  /** Frames, the innermost first. */
  readonly frames: readonly string[];
  readonly totalBlocks: number;
  readonly totalBytes: number;
  /** Live when the program had most live bytes. */
  readonly peakBytes: number;
  readonly peakBlocks: number;
  /** Live at the program's end. */
  readonly endBytes: number;
  readonly endBlocks: number;
  /** Bytes loaded and stored, each access counted. */
  readonly readBytes: number;
  readonly writtenBytes: number;
}

export interface DhatProfile {
  readonly command: string;
  readonly sites: readonly DhatSite[];
  readonly totals: Omit<DhatSite, "frames">;
}

export function isDhatProfile(beginning: string): boolean {
  return BEGINNING.test(beginning);
}

/** @throws Error: `file` is no profile of heap blocks by DHAT */
export function parseDhat(text: string, file: string): DhatProfile {
  const { dhatFileVersion, mode, cmd, pps, ftbl } = parsed(text, file);
  if (dhatFileVersion !== VERSION) throw new Error(`${file}: DHAT's version ${dhatFileVersion}, ${VERSION} is read`);
  if (mode !== "heap") throw new Error(`${file}: DHAT's mode ${JSON.stringify(mode)}, "heap" is read`);
  if (!Array.isArray(pps) || !Array.isArray(ftbl))
    throw new Error(`${file}: expected "pps" and "ftbl" of a DHAT profile`);
  const sites = pps.map((point: Record<string, unknown>): DhatSite => {
    const { fs } = point;
    const count = (name: string): number => Number(point[name] ?? 0);
    return {
      frames: Array.isArray(fs) ? fs.map((frame) => String(ftbl[Number(frame)] ?? "?")) : [],
      totalBlocks: count("tbk"),
      totalBytes: count("tb"),
      peakBytes: count("gb"),
      peakBlocks: count("gbk"),
      endBytes: count("eb"),
      endBlocks: count("ebk"),
      readBytes: count("rb"),
      writtenBytes: count("wb"),
    };
  });
  return { command: String(cmd ?? ""), sites, totals: summed(sites) };
}

function parsed(text: string, file: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${file}: a DHAT profile that is cut or damaged: ${(error as Error).message}`);
  }
}

function summed(sites: readonly DhatSite[]): Omit<DhatSite, "frames"> {
  const sum = (name: Exclude<keyof DhatSite, "frames">): number => sites.reduce((total, site) => total + site[name], 0);
  return {
    totalBlocks: sum("totalBlocks"),
    totalBytes: sum("totalBytes"),
    peakBytes: sum("peakBytes"),
    peakBlocks: sum("peakBlocks"),
    endBytes: sum("endBytes"),
    endBlocks: sum("endBlocks"),
    readBytes: sum("readBytes"),
    writtenBytes: sum("writtenBytes"),
  };
}
