// The host's stack traces: captured cheaply, told apart by the places they name, and without the library's own frames.
// What a trace is good for (errors here, reports and leaks in allocator/) is decided by those who ask; nothing here knows a machine.

/** What a captured trace is: V8 keeps the raw frames and makes the text only when it is asked for. */
export interface RawTrace {
  stack?: unknown;
}

/** A frame as V8 hands it to `Error.prepareStackTrace`, as far as it is used. */
interface CallSite {
  getFileName(): string | null | undefined;
  getPosition?(): number;
  getFunctionName(): string | null;
  getLineNumber(): number | null;
  getColumnNumber(): number | null;
}

/** Frames of the library itself come first in a trace; this many more are captured, to be removed. */
const OWN_FRAMES_LIMIT = 12;
/** What the host's errors show, unless the program changed it. */
const USUAL_FRAMES = 10;

/** Whether this file still lies where it was written, so that the library's folders are known; in a bundle they are gone. */
const IS_UNBUNDLED = /\/platform\/host\/stack\.[jt]s$/.test(new URL(import.meta.url).pathname);
/** Folder of the library, source or compiled, with the source folder of a compiled one, which source maps name. */
const LIBRARY_FOLDERS = IS_UNBUNDLED ? libraryFolders(new URL("../../", import.meta.url).href) : [];
const LIBRARY_FLOORS = LIBRARY_FOLDERS.flatMap((folder) =>
  ["platform/", "refpage/", "allocator/"].map((floor) => pathOfUrl(folder + floor)),
);
/**
 * In a bundle the library's frames are those with which a trace begins: of its classes by name, of the two names that programs
 * like as well (Heap, Allocator) by their methods, and up to four functions between them.
 */
const OWN_METHOD =
  /^\s*at (?:new )?(?:(?:StackTable|Traces|Checker|Judge|Findings|(?:Validated|Unchecked)?Memory|Mmu|Thread|Process|Kernel|(?:Byte|Tracked|Tagged)Allocator)\.|(?:Heap|Allocator)\.(?:malloc|calloc|free|free_sized|free_aligned_sized|realloc|reallocarray|memalign|posix_memalign|aligned_alloc|valloc|pvalloc|operatorNew|operatorDelete|string|struct|fork|withThread|resize|finish|note\w+|reallocObserved|allocate\w*|deallocate\w*|quarantine\w+)\b)/;
const LARGEST_GAP = 4;

function libraryFolders(folder: string): string[] {
  return folder.endsWith("/dist/") ? [folder, folder.slice(0, -"dist/".length)] : [folder];
}

export function pathOfUrl(url: string): string {
  return url.startsWith("file://") ? decodeURIComponent(new URL(url).pathname) : url;
}

/** Whether the bundle that this file is in holds no code of the program whose traces are looked at. */
let isBundleForeign = false;

/** A command that runs programs of others calls it: all frames of its own bundle are left out of traces, as the library's are. */
export function hideOwnBundle(): void {
  isBundleForeign = !IS_UNBUNDLED;
}

/** The bundle may be in several files, all in one folder. */
const BUNDLE_FOLDER = pathOfUrl(new URL("./", import.meta.url).href);

function isOwnBundle(path: string): boolean {
  return isBundleForeign && path.startsWith(BUNDLE_FOLDER);
}

/** Whether a file, as a path or a URL, is the library's own. */
export function isLibraryFile(file: string): boolean {
  const path = pathOfUrl(file.split("?")[0]);
  if (isOwnBundle(path)) return true;
  return LIBRARY_FLOORS.some((floor) => path.startsWith(floor));
}

/** The library's folders as they may stand in a trace: as URLs and as paths. */
const LIBRARY_MARKS = LIBRARY_FOLDERS.flatMap((folder) =>
  ["platform/", "refpage/", "allocator/"].flatMap((floor) => [folder + floor, pathOfUrl(folder + floor)]),
);

function isLibraryLine(line: string): boolean {
  return LIBRARY_MARKS.some((mark) => line.includes(mark));
}

/** Where the caller stands, `frames` deep without the library's own. */
export function captureTrace(frames: number): RawTrace {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = frames + OWN_FRAMES_LIMIT;
  const trace: RawTrace = {};
  // Hosts that are not V8 may have only the trace of an error.
  if (Error.captureStackTrace === undefined) trace.stack = new Error().stack;
  else Error.captureStackTrace(trace);
  Error.stackTraceLimit = limit;
  return trace;
}

/** The frames of a trace as text, one a line, the library's own left out, at most `frames`. */
export function traceText(trace: RawTrace, frames: number): string {
  return withoutLibrary(textOf(trace)).slice(0, frames).join("\n");
}

/** The places of a stack's frames: equal for calls that come the same way. Made without the trace's text, which costs several times as much. */
export interface Places {
  /** Files by name as the host gives it; a function's name where there is no file. */
  readonly files: string[];
  /** Positions in these files. */
  readonly positions: number[];
  /** Equal for equal places. */
  hash: number;
}

export function samePlaces(one: Places, other: Places): boolean {
  const count = one.positions.length;
  if (one.hash !== other.hash || other.positions.length !== count) return false;
  for (let i = 0; i < count; i++)
    if (one.positions[i] !== other.positions[i] || one.files[i] !== other.files[i]) return false;
  return true;
}

/** Whose `Error.prepareStackTrace` the next trace is made into places by. */
let places: Places = { files: [], positions: [], hash: 0 };

function takePlaces(_error: Error, sites: unknown): string {
  const { files, positions } = places;
  let hash = 0;
  for (const site of sites as readonly CallSite[]) {
    const position = site.getPosition?.() ?? (site.getLineNumber() ?? 0) * 4096 + (site.getColumnNumber() ?? 0);
    files.push(site.getFileName() ?? site.getFunctionName() ?? "");
    positions.push(position);
    hash = (Math.imul(hash, 31) + position) | 0;
  }
  places.hash = hash;
  return "";
}

/** Where the caller stands, at most `frames` deep without the library's own. */
export function capturePlaces(frames: number): Places {
  const prepare = Error.prepareStackTrace;
  const limit = Error.stackTraceLimit;
  const trace: RawTrace = {};
  const taken: Places = { files: [], positions: [], hash: 0 };
  if (Error.captureStackTrace === undefined) {
    taken.files.push(String(new Error().stack));
    return taken;
  }
  Error.stackTraceLimit = frames + OWN_FRAMES_LIMIT;
  Error.prepareStackTrace = takePlaces;
  places = taken;
  try {
    Error.captureStackTrace(trace);
    // V8 asks for it when it is read.
    void trace.stack;
    return taken;
  } finally {
    Error.prepareStackTrace = prepare;
    Error.stackTraceLimit = limit;
  }
}

/** A trace's text, also under a program's own `Error.prepareStackTrace`: structured traces are put into words here. */
function textOf(trace: RawTrace): string {
  const prepare = Error.prepareStackTrace;
  if (prepare === undefined) return asText(trace.stack);
  let plain = "";
  Error.prepareStackTrace = (error, sites) => {
    plain = asText(sites);
    return prepare(error, sites);
  };
  try {
    const given = trace.stack;
    return typeof given === "string" ? given : plain !== "" ? plain : asText(given);
  } catch {
    return plain;
  } finally {
    Error.prepareStackTrace = prepare;
  }
}

function asText(stack: unknown): string {
  if (typeof stack === "string") return stack;
  return Array.isArray(stack) ? stack.map((site) => `    at ${String(site)}`).join("\n") : "";
}

/** Makes a trace's line about generated code lines about the code that somebody wrote; none: it says nothing of the program. */
export type FrameTranslator = (line: string) => readonly string[];

/** Translators by the URL that the host gives to generated code. */
const translators = new Map<string, FrameTranslator>();

/** From now on lines that name `url` are translated. */
export function setFrameTranslator(url: string, translator: FrameTranslator): void {
  translators.set(url, translator);
}

/** Ends what {@link setFrameTranslator} began, unless another translator has taken its place. */
export function removeFrameTranslator(url: string, translator: FrameTranslator): void {
  if (translators.get(url) === translator) translators.delete(url);
}

function translated(lines: string[]): string[] {
  if (translators.size === 0) return lines;
  return lines.flatMap((line) => {
    const url = /\b(wasm:\/\/[^):]*):/.exec(line)?.[1];
    return (url === undefined ? undefined : translators.get(url))?.(line) ?? line;
  });
}

function withoutLibrary(text: string): string[] {
  const lines = translated(text.split("\n").filter((line) => line.trimStart().startsWith("at ")));
  if (IS_UNBUNDLED) return lines.filter((line) => !isLibraryLine(line));
  if (isBundleForeign) return lines.filter((line) => !line.includes(BUNDLE_FOLDER) && !line.includes("node:"));
  let own = 0;
  const isMine = (line: string) => line.includes(pathOfUrl(import.meta.url)) && OWN_METHOD.test(line);
  for (let i = 0; i < lines.length && i <= own + LARGEST_GAP; i++) if (isMine(lines[i])) own = i + 1;
  return lines.slice(own);
}

/** The limit of traces that {@link untraced} set to 0; null: none is to be taken back. */
let heldLimit: { readonly value: number } | null = null;

/**
 * The message of an error whose trace {@link hideLibraryFrames} takes, which must follow: `super(untraced(message))`. The host takes
 * none of its own meanwhile.
 */
export function untraced(message: string): string {
  heldLimit ??= { value: Error.stackTraceLimit };
  Error.stackTraceLimit = 0;
  return message;
}

/**
 * Gives an error the trace of the program that made it happen: its `stack` begins with the program's own frame. Made when
 * it is read.
 * @returns the trace, of at least `atLeast` frames of the program
 */
export function hideLibraryFrames(error: Error, atLeast = 0): RawTrace {
  if (heldLimit !== null) Error.stackTraceLimit = heldLimit.value;
  heldLimit = null;
  const limit = Math.max(Error.stackTraceLimit || 0, USUAL_FRAMES);
  const trace = captureTrace(Math.max(limit, atLeast));
  let text: unknown = null;
  // V8 makes the text that is replaced here first: not by the program's hook, which costs more and may throw.
  const prepare = Error.prepareStackTrace;
  Error.prepareStackTrace = () => "";
  Object.defineProperty(error, "stack", {
    configurable: true,
    enumerable: false,
    get: () => {
      text ??= [`${error.name}: ${error.message}`, traceText(trace, limit)].filter((part) => part !== "").join("\n");
      return text;
    },
    set: (value: unknown) => {
      text = value;
    },
  });
  Error.prepareStackTrace = prepare;
  return trace;
}

/** The same error, its trace without the library's frames: for what a wrong argument is answered with. */
export function atProgram<Kind extends Error>(error: Kind): Kind {
  hideLibraryFrames(error);
  return error;
}
