// Runs the scripts of files one after another, each in a fresh world, and reports the first difference of each that fails.
// Which operations exist and which kernel they run on is the caller's choice (linux.ts, refpage.ts).
import { type CompareOptions, compareAnswers, type Difference, ObjectNames } from "./compare.ts";
import { type Line, readLines, UnreadableFile } from "./lines.ts";
import { type Answer, describeStep, parseScript, type Script, ScriptError, type Step } from "./script.ts";
import { answerOfError, type Participant, type World } from "./world.ts";

export type Operation = (world: World, participant: Participant, step: Step) => Answer;

/** A kind of script: its operations by name, and the world that a script starts in. */
export interface Dialect {
  readonly operations: Readonly<Record<string, Operation>>;
  readonly createWorld: (script: Script) => World;
}

export interface RunOptions extends CompareOptions {
  /** Report every step of a failing script up to the difference, and the name of each script that passed. */
  readonly verbose?: boolean;
  /** Run only scripts of this name. */
  readonly only?: string;
  /** Where reports go; the standard output by default. */
  readonly print?: (line: string) => void;
}

export interface Tally {
  passed: number;
  failed: number;
}

/** Where a script went wrong: the step by number from 1 (0: none in particular) and what differed there. */
export interface Failure {
  readonly stepNumber: number;
  readonly step?: Step;
  readonly difference: Difference;
}

/** Called with every step and its answer, for those who look for a cause. */
export type Trace = (stepNumber: number, step: Step, got: Answer | Error) => void;

/** Runs every script of `files`. A line that is no script, and a file that can't be read to its end, count as failed. */
export async function runFiles(dialect: Dialect, files: readonly string[], options: RunOptions = {}): Promise<Tally> {
  const { only, print = console.log } = options;
  const tally: Tally = { passed: 0, failed: 0 };
  for (const file of files) {
    try {
      for await (const line of readLines(file)) {
        const script = parseLine(line, tally, print);
        if (script === undefined || (only !== undefined && script.name !== only)) continue;
        if (runAndReport(dialect, script, line, options)) tally.passed++;
        else tally.failed++;
      }
    } catch (error) {
      if (!(error instanceof UnreadableFile)) throw error;
      print(error.message);
      tally.failed++;
    }
  }
  return tally;
}

function parseLine(line: Line, tally: Tally, print: (line: string) => void): Script | undefined {
  try {
    return parseScript(line.text);
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    print(`${line.file}:${line.number}: ${error.message}`);
    tally.failed++;
    return undefined;
  }
}

function runAndReport(dialect: Dialect, script: Script, line: Line, options: RunOptions): boolean {
  const { verbose = false, print = console.log } = options;
  const taken: string[] = [];
  const trace: Trace = (stepNumber, step, got) => {
    if (verbose)
      taken.push(
        `  ${stepNumber}  ${describeStep(step)}  ->  ${got instanceof Error ? got.message : JSON.stringify(got)}`,
      );
  };
  let failure: Failure | undefined;
  try {
    failure = runScript(dialect, script, options, trace);
  } catch (error) {
    if (!(error instanceof ScriptError)) throw error;
    print(`${line.file}:${line.number}: script ${script.name}, ${error.message}`);
    return false;
  }
  if (failure === undefined) {
    if (verbose) print(`${script.name}: passed, ${script.steps.length} steps`);
    return true;
  }
  for (const text of taken) print(text);
  for (const text of describeFailure(script, failure, line)) print(text);
  return false;
}

/** The report of a failing script. */
export function describeFailure(script: Script, { stepNumber, step, difference }: Failure, line: Line): string[] {
  const place =
    step === undefined ? "after the last step" : `step ${stepNumber} of ${script.steps.length}: ${describeStep(step)}`;
  return [
    `${script.name} (${line.file}:${line.number}), ${place}`,
    `  ${difference.field}`,
    `    expected  ${showValue(difference.expected)}`,
    `    got       ${showValue(difference.got)}`,
  ];
}

function showValue(value: unknown): string {
  return value === undefined ? "nothing" : JSON.stringify(value);
}

/**
 * Runs one script to its first difference.
 * @returns the first difference, or undefined if there is none
 * @throws ScriptError for a step that the dialect does not know, or that lacks an argument
 */
export function runScript(
  dialect: Dialect,
  script: Script,
  options: CompareOptions = {},
  trace: Trace = () => {},
): Failure | undefined {
  const world = dialect.createWorld(script);
  const failure = runSteps(dialect, world, script, options, trace);
  if (failure !== undefined) {
    // What is left may be in any state; only what other scripts can use again is worth saving.
    tryTo(() => world.dispose());
    return failure;
  }
  const broken = tryTo(() => {
    world.kernel.checkInvariants();
    world.dispose();
    world.kernel.checkInvariants();
  });
  if (broken === undefined) return undefined;
  return { stepNumber: 0, difference: { field: "invariants", expected: "all hold", got: broken.message } };
}

function runSteps(
  dialect: Dialect,
  world: World,
  script: Script,
  options: CompareOptions,
  trace: Trace,
): Failure | undefined {
  const names = new ObjectNames();
  for (const [index, step] of script.steps.entries()) {
    const stepNumber = index + 1;
    const got = runStep(dialect, world, step, stepNumber);
    trace(stepNumber, step, got);
    const difference =
      got instanceof Error ? brokenBy(got, step) : compareAnswers(world.kept.translate(step, got), got, names, options);
    if (difference !== undefined) return { stepNumber, step, difference };
  }
  return undefined;
}

/** What `action` threw, or undefined. */
function tryTo(action: () => void): Error | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** The answer of a step, with the minor faults that it cost; an Error is what neither Linux nor a script would throw. */
function runStep(dialect: Dialect, world: World, step: Step, stepNumber: number): Answer | Error {
  try {
    const operation = Object.hasOwn(dialect.operations, step.op) ? dialect.operations[step.op] : undefined;
    if (operation === undefined) {
      const known = Object.keys(dialect.operations).sort().join(", ");
      throw new ScriptError(`unknown op ${JSON.stringify(step.op)} (known: ${known})`);
    }
    const participant = world.participant(step.p ?? 0);
    const { process } = participant;
    const before = process.minorFaults - participant.ownFaults;
    const answer = answerOf(operation, world, participant, step);
    return { ...answer, flt: process.minorFaults - participant.ownFaults - before };
  } catch (error) {
    if (error instanceof ScriptError) throw new ScriptError(`step ${stepNumber}: ${error.message}`);
    return error as Error;
  }
}

function answerOf(operation: Operation, world: World, participant: Participant, step: Step): Answer {
  try {
    return operation(world, participant, step);
  } catch (error) {
    return answerOfError(error);
  }
}

function brokenBy(error: Error, step: Step): Difference {
  return { field: "exception", expected: step.want, got: error.stack ?? error.message };
}
