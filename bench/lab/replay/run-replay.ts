// One replay from beginning to end: a trace, a policy, a seed; a fresh machine, kernel and heap; a result.
// Sweeps over many are in sweep.ts.

import { READ, WRITE } from "../../../allocator/record/events.ts";
import { OutOfMemoryError } from "../../../platform/kernel/abi/errors.ts";
import { openKept } from "../traces/kept-trace.ts";
import type { OpenTraceOptions, Trace } from "../traces/open.ts";
import { isReadOnce, openTrace } from "../traces/open.ts";
import { TraceError } from "../traces/trace-error.ts";
import { Attribution } from "./attribution.ts";
import { createHeapSubject } from "./heap-subject.ts";
import { failure, loadOwnPolicy, type OwnPolicy } from "./own-policy.ts";
import { pageMap } from "./page-map.ts";
import type { Policy } from "./policy.ts";
import { Replayer } from "./replayer.ts";
import type { ReplayResult } from "./result.ts";
import { Sampler } from "./sampler.ts";
import type { ReplaySubject } from "./subject.ts";
import { parseTouchModel, Toucher, touchModelName } from "./touch-model.ts";
import { VerificationError, Verifier } from "./verifier.ts";

/** RAM of the simulated machine unless told otherwise: room for what a traced program really needed. */
export const DEFAULT_MEMORY_BYTES = 4 * 2 ** 30;
/** The touch model unless told otherwise, for traces that know no touches. */
export const DEFAULT_TOUCHES = "first-page";
/** What `touches` says in a result when the trace itself had them. */
const TOUCHES_OF_TRACE = "of the trace";
/** The same where a trace that could have touches turned out to have none: a stream that could not be looked at before. */
export const NO_TOUCHES = "none";

export interface ReplayOptions extends OpenTraceOptions {
  readonly policy: Policy;
  readonly seed: number;
  /** A touch model's name; default: the trace's own touches if its format has them, else `first-page`. */
  readonly touches?: string;
  readonly memoryBytes?: number;
  readonly verify?: boolean;
  /** Whether this thread will probably replay the same file again soon: then its events are kept. */
  readonly isRepeated?: boolean;
  /** The module of a policy of the user's own; loaded if it is not given. */
  readonly own?: OwnPolicy;
}

/** Formats whose traces may hold reads and writes. */
const WITH_TOUCHES: readonly string[] = ["lackey", "binary", "text"];
/** Formats that may as well hold none: converted from a trace that knew of none, for example. */
const PERHAPS_WITHOUT: readonly string[] = ["binary", "text"];

/**
 * Replays a trace file. If no model is asked for and the format may lack touches, the file is looked through for the first.
 * @throws TraceError for a bad line, VerificationError if `verify` finds the heap at fault, RangeError for a wrong model.
 */
export async function runReplay(file: string, options: ReplayOptions): Promise<ReplayResult> {
  const trace = await (options.isRepeated ? openKept : openTrace)(file, options);
  if (options.touches !== undefined || isReadOnce(file) || !PERHAPS_WITHOUT.includes(trace.format)) {
    return replayTrace(trace, options);
  }
  const looked = await openTrace(file, { ...options, onProgress: undefined });
  const touches = (await hasTouches(looked)) ? undefined : DEFAULT_TOUCHES;
  return replayTrace(trace, { ...options, touches });
}

/** Whether a replay of the file needs a touch model: its format knows no touches, or it holds none. */
export async function lacksTouches(file: string, options: OpenTraceOptions): Promise<boolean> {
  const trace = await openTrace(file, options);
  if (PERHAPS_WITHOUT.includes(trace.format)) return !(await hasTouches(trace));
  await trace.batches.return(undefined);
  return !WITH_TOUCHES.includes(trace.format) && trace.format !== "empty";
}

/** Reads until the first load or store. What is wrong with the trace is the replay's to say. */
async function hasTouches({ batches }: Trace): Promise<boolean> {
  try {
    for await (const { kind, count } of batches) {
      for (let row = 0; row < count; row++) if (kind[row] === READ || kind[row] === WRITE) return true;
    }
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
  }
  return false;
}

/**
 * The same for a trace that is open already; `makeSubject` lets tests put another heap in.
 * @throws as runReplay; OwnPolicyError: what a policy of the user's own threw
 */
export async function replayTrace(
  trace: Trace,
  options: ReplayOptions,
  makeSubject: (options: ReplayOptions) => ReplaySubject = createHeapSubject,
): Promise<ReplayResult> {
  const file = options.policy.own?.file;
  if (file === undefined) return replayWith(trace, options, makeSubject);
  const own = options.own ?? (await loadOwnPolicy(file));
  try {
    return await replayWith(trace, { ...options, own }, makeSubject);
  } catch (error) {
    if (error instanceof TraceError || error instanceof VerificationError) throw error;
    throw failure(file, `replaying ${trace.file}`, error);
  }
}

async function replayWith(
  trace: Trace,
  options: ReplayOptions,
  makeSubject: (options: ReplayOptions) => ReplaySubject,
): Promise<ReplayResult> {
  const { policy, seed, memoryBytes = DEFAULT_MEMORY_BYTES } = options;
  const ownTouches = options.touches === undefined && WITH_TOUCHES.includes(trace.format);
  const model = parseTouchModel(ownTouches ? "none" : (options.touches ?? DEFAULT_TOUCHES));
  const subject = makeSubject(options);
  const { counters } = subject.process.kernel;
  const sampler = new Sampler(subject.process, counters);
  const replayer = new Replayer({
    subject,
    toucher: new Toucher(model, seed),
    sample: (state) => sampler.take(state),
    mark: (state, label) => sampler.mark(state, label),
  });
  replayer.attribution = new Attribution(subject.largestSmall);
  if (options.verify) replayer.verifier = new Verifier(replayer.blocks);
  const stopped = await replayAll(trace, replayer);
  sampler.finish(replayer);
  return {
    trace: trace.file,
    format: trace.format,
    policy,
    seed,
    touches: ownTouches ? ownTouchesName(replayer) : touchModelName(model),
    memoryBytes,
    stopped,
    read: trace.tally,
    replayed: replayer.tally,
    counters: subject.counters(),
    program: {
      tagGranules: subject.taggedGranules,
      gvaBlocks: subject.gvaBlocks,
      faultMessages: subject.faultMessages,
      peakRssBytes: sampler.peaks.rssBytes,
    },
    peaks: sampler.peaks,
    meanRssBytes: sampler.meanRssBytes,
    finalRssBytes: subject.process.rssBytes,
    samples: sampler.samples,
    marks: sampler.marks,
    pageMap: pageMap(sampler.scans),
    atPeak: replayer.attribution.result(trace.sites.names),
  };
}

function ownTouchesName({ tally }: Replayer): string {
  return tally.touchEvents > 0 ? TOUCHES_OF_TRACE : NO_TOUCHES;
}

/** "" at the trace's end, else why it stopped: an out-of-memory kill is a result, not an error. */
async function replayAll(trace: Trace, replayer: Replayer): Promise<string> {
  try {
    for await (const batch of trace.batches) replayer.replay(batch);
    return "";
  } catch (error) {
    if (error instanceof OutOfMemoryError) return `out of memory at operation ${replayer.tally.operations}`;
    if (error instanceof VerificationError) {
      throw new VerificationError(`${trace.file}, operation ${replayer.tally.operations}: ${error.message}`);
    }
    throw error;
  }
}
