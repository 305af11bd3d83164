// What the command knows of the terminal that it writes to: its width, and whether it shows colours.
// Tables are made by bench/harness/table.ts; progress is progress.ts.
import { styleText } from "node:util";

const DECREASE = /−\d[\d.]* %/g;
const INCREASE = /\+\d[\d.]* %/g;

/** Columns of a stream; a pipe or a file has no end to its lines, unless COLUMNS is exported. */
export function terminalWidth(stream: NodeJS.WriteStream): number {
  // A terminal that does not know its width says 0.
  const columns = stream.columns || Number(process.env.COLUMNS);
  return columns > 0 ? columns : Number.POSITIVE_INFINITY;
}

/** Less in green, more in red: less is better in all figures. Only where colours are shown. */
export function painted(text: string, stream: NodeJS.WriteStream): string {
  return showsColours(stream) ? paint(text) : text;
}

/** A terminal does, unless NO_COLOR is set; FORCE_COLOR decides for a pipe, too, and over NO_COLOR, as in Node. */
export function showsColours(
  stream: Pick<NodeJS.WriteStream, "isTTY" | "hasColors">,
  { FORCE_COLOR: forced }: { readonly FORCE_COLOR?: string } = process.env,
): boolean {
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  return stream.isTTY && stream.hasColors();
}

export function paint(text: string): string {
  return text
    .replaceAll(DECREASE, (less) => styleText("green", less))
    .replaceAll(INCREASE, (more) => styleText("red", more));
}
