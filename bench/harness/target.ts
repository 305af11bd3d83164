// A figure beside what it should be: the targets that the project sets itself, printed as PASS or miss, never hidden.

/** One target. `atMost` and `atLeast` are in the unit of `measured`. */
export interface Target {
  readonly what: string;
  readonly measured: number;
  readonly unit: string;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Half of the figure's 95 % interval: a bound within it is neither met nor missed. */
  readonly halfWidth?: number;
}

/** Whether the figure's interval has its bound in it. */
export function isOpen({ measured, halfWidth = 0, atMost = measured, atLeast = measured }: Target): boolean {
  const bound = atMost === measured ? atLeast : atMost;
  return halfWidth > 0 && Math.abs(measured - bound) < halfWidth && bound !== measured;
}

export function isMet({ measured, atMost = Infinity, atLeast = -Infinity }: Target): boolean {
  return measured <= atMost && measured >= atLeast;
}

/** One line a target: verdict, what, figure, bound. */
export function formatTargets(targets: readonly Target[]): string {
  if (targets.length === 0) return "";
  const lines = targets.map((target) => {
    const bound = target.atMost === undefined ? `≥ ${target.atLeast}` : `≤ ${target.atMost}`;
    const figure = `${format(target.measured)}${target.unit}`;
    const spread = target.halfWidth === undefined ? "" : ` ± ${format(target.halfWidth)}`;
    const verdict = isOpen(target) ? "open" : isMet(target) ? "PASS" : "miss";
    return `  ${verdict}  ${target.what}: ${figure}${spread} (target ${bound}${target.unit})`;
  });
  const met = targets.filter((target) => isMet(target) && !isOpen(target)).length;
  const open = targets.filter(isOpen).length;
  const undecided = open === 0 ? "" : `, ${open} open: their bounds lie within their 95 % intervals`;
  return [`Targets: ${met} of ${targets.length} met${undecided}`, ...lines].join("\n");
}

function format(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2);
}
