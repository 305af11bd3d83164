// `npm run bench -- compare BASE.json NEW.json`: which rows of two runs of one benchmark differ by more than chance, and by how much.
// Exit code 1 if one got slower. Where the samples are in the files is rows.ts.
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError } from "commander";
import { improvementOver } from "../harness/statistics.ts";
import { formatSignificant, formatTable } from "../harness/table.ts";
import { type Row, rowsOf } from "./rows.ts";

/** Differences below this are the machine's: code that lies elsewhere, another page colour. */
const LEAST_PERCENT = 3;

export type Verdict = "slower" | "faster" | "same";

export interface Difference {
  readonly name: string;
  readonly verdict: Verdict;
  /** How much less time it takes, in percent of the base's mean, with half of the 95 % interval. */
  readonly percent: number;
  readonly halfWidth: number;
}

interface Document {
  readonly benchmark?: unknown;
  readonly host?: unknown;
}

/** Slower or faster only where the interval of the difference leaves out 0 and the difference is no trifle. */
export function compareRows(base: readonly Row[], next: readonly Row[], leastPercent = LEAST_PERCENT): Difference[] {
  return base.flatMap(({ name, samples }) => {
    const other = next.find((row) => row.name === name);
    if (other === undefined) return [];
    const { percent, halfWidth } = improvementOver(samples, other.samples);
    const isBeyond = Math.abs(percent) > Math.max(halfWidth, leastPercent);
    return [{ name, verdict: !isBeyond ? "same" : percent < 0 ? "slower" : "faster", percent, halfWidth } as const];
  });
}

function readDocument(file: string): Document {
  try {
    const document: unknown = JSON.parse(readFileSync(file, "utf8"));
    if (typeof document === "object" && document !== null && rowsOf(document).length > 0) return document;
  } catch (error) {
    throw new InvalidArgumentError(`${file} cannot be read: ${(error as Error).message}`);
  }
  throw new InvalidArgumentError(`${file} has no samples: it is no --json file of a benchmark`);
}

function table(differences: readonly Difference[]): string {
  const columns = [
    { heading: "", align: "left" as const },
    { heading: "row", align: "left" as const },
    { heading: "time" },
    { heading: "± 95 %" },
  ];
  const cells = differences.map(({ name, verdict, percent, halfWidth }) => [
    verdict,
    name,
    `${percent > 0 ? "−" : "+"}${formatSignificant(Math.abs(percent))} %`,
    `${formatSignificant(halfWidth)} %`,
  ]);
  return formatTable(columns, cells);
}

export async function run(argv: string[]): Promise<void> {
  const command = new Command("npm run bench -- compare")
    .description("Which rows of two runs of one benchmark got slower or faster, beyond their 95 % intervals.")
    .argument("<base>", "a --json file", readDocument)
    .argument("<new>", "another one of the same benchmark", readDocument)
    .option("--all", "also the rows that are the same")
    .allowExcessArguments(false)
    .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
  const parsed = command.parse(argv, { from: "user" });
  const [base, next] = parsed.processedArgs as [Document, Document];
  if (base.benchmark !== next.benchmark) {
    process.stderr.write(`compare: one is of ${base.benchmark}, the other of ${next.benchmark}\n`);
    process.exitCode = 2;
    return;
  }
  const differences = compareRows(rowsOf(base), rowsOf(next));
  if (differences.length === 0) {
    process.stderr.write("compare: the two files have no row in common\n");
    process.exitCode = 2;
    return;
  }
  const count = (verdict: Verdict): number => differences.filter((each) => each.verdict === verdict).length;
  const shown = differences.filter(({ verdict }) => parsed.opts<{ all?: boolean }>().all || verdict !== "same");
  const machines =
    JSON.stringify(base.host) === JSON.stringify(next.host)
      ? ""
      : "The runs are of two machines, so only ratios mean something.\n";
  const text = shown.length === 0 ? "" : `${table(shown)}\n\n`;
  process.stdout.write(
    `${machines}${text}${count("slower")} slower, ${count("faster")} faster, ${count("same")} the same\n`,
  );
  if (count("slower") > 0) process.exitCode = 1;
}
