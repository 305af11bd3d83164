// A figure beside what it should be: the targets that the project sets itself, printed as PASS or miss, never hidden.

/** One target. `atMost` and `atLeast` are in the unit of `measured`. */
export interface Target {
  readonly what: string;
  readonly measured: number;
  readonly unit: string;
  readonly atMost?: number;
  readonly atLeast?: number;
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
    return `  ${isMet(target) ? "PASS" : "miss"}  ${target.what}: ${figure} (target ${bound}${target.unit})`;
  });
  const met = targets.filter(isMet).length;
  return [`Targets: ${met} of ${targets.length} met`, ...lines].join("\n");
}

function format(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2);
}
