// What the command knows of the terminal that it writes to: its width, and whether it shows colours.
// Tables are made by bench/harness/table.ts; progress is progress.ts.
import { styleText } from "node:util";

const DECREASE = /−\d[\d.]* %/g;
const INCREASE = /\+\d[\d.]* %/g;

/** Columns of standard output; a pipe or a file has no end to its lines, unless COLUMNS is exported. */
export function terminalWidth(): number {
  const columns = process.stdout.columns ?? Number(process.env.COLUMNS);
  return columns > 0 ? columns : Number.POSITIVE_INFINITY;
}

/** Less in green, more in red: less is better in all figures. Only where a terminal shows colours (NO_COLOR is heeded). */
export function painted(text: string): string {
  const shows = process.stdout.isTTY && process.stdout.hasColors();
  return shows ? paint(text) : text;
}

export function paint(text: string): string {
  return text
    .replaceAll(DECREASE, (less) => styleText("green", less))
    .replaceAll(INCREASE, (more) => styleText("red", more));
}
