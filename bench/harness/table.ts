// How a benchmark prints: an aligned table without lines between the rows, and numbers with their units.
// What the rows mean is up to the benchmarks.
/** A column's heading and on which side its cells stand. */
export interface Column {
  readonly heading: string;
  readonly align?: "left" | "right";
}

/** Blanks between two columns. */
const GAP = 2;

/** The rows as text, aligned, with a line below the headings; columns stand right unless they say otherwise. */
export function formatTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ heading }, i) => Math.max(heading.length, ...rows.map((row) => (row[i] ?? "").length)));
  const lines = [columns.map(({ heading }) => heading), widths.map((width) => "─".repeat(width)), ...rows];
  return lines
    .map((cells) => {
      const padded = columns.map(({ align = "right" }, i) => {
        const cell = cells[i] ?? "";
        return align === "right" ? cell.padStart(widths[i]) : cell.padEnd(widths[i]);
      });
      return padded.join(" ".repeat(GAP)).trimEnd();
    })
    .join("\n");
}

/**
 * The same in as few tables as fit into `width` columns: the first column stands in each, the others follow in their order.
 * A column that does not fit beside the first has a table of its own, wider than that.
 */
export function formatTables(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string {
  const widths = columns.map(({ heading }, index) => Math.max(heading.length, ...rows.map((row) => row[index].length)));
  const groups: number[][] = [];
  let room = 0;
  for (let index = 1; index < columns.length; index++) {
    const needed = GAP + widths[index];
    if (groups.length === 0 || needed > room) {
      groups.push([0]);
      room = width - widths[0];
    }
    groups[groups.length - 1].push(index);
    room -= needed;
  }
  return groups
    .map((group) =>
      formatTable(
        group.map((index) => columns[index]),
        rows.map((row) => group.map((index) => row[index])),
      ),
    )
    .join("\n\n");
}

/** Words broken into lines of at most `width` columns. */
export function wrapped(text: string, width: number): string {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines[lines.length - 1];
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join("\n");
}

/** A time with three digits and a fitting unit. */
export function formatNanoseconds(nanoseconds: number): string {
  const units = ["ns", "µs", "ms", "s"];
  let value = nanoseconds;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${formatSignificant(value)} ${units[unit]}`;
}

/** Three significant digits, never an exponent. */
export function formatSignificant(value: number): string {
  if (value === 0) return "0";
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
  return value.toFixed(Math.min(digits, 9));
}

/** A spread as the share of the value: `± 3 %`. */
export function formatSpread(value: number, halfWidth: number): string {
  return value === 0 ? "" : `± ${formatSignificant((100 * halfWidth) / Math.abs(value))} %`;
}

/** A size in the largest binary unit that leaves a whole number, or one with a digit behind the point. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
