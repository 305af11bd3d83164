// Scudo's percentage with two digits behind the point (S28.3), which its statistics print.

export interface Percentage {
  readonly integral: number;
  /** Hundredths, rounded. */
  readonly fractional: number;
}

/** `part` of `whole` in percent; of nothing it is 100.00. */
export function computePercentage(part: number, whole: number): Percentage {
  if (whole === 0) return { integral: 100, fractional: 0 };
  const hundredfold = part * 100;
  const integral = Math.floor(hundredfold / whole);
  const fractional = Math.floor(((hundredfold % whole) * 100 + Math.floor(whole / 2)) / whole);
  return { integral, fractional };
}
