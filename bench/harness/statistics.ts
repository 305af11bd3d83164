// What a benchmark says about its samples: median, interval of the mean, and the difference of two samples in percent.
// The arithmetic is ministat(1)'s, since the thread's figures have its form. Samples are taken elsewhere.
import { mean, median, sampleVariance } from "simple-statistics";

/** Samples reduced to what a table shows. Units are those of the samples. */
export interface Summary {
  readonly median: number;
  readonly mean: number;
  /** Half of the 95 % confidence interval of the mean, by Student's t; 0 for a single sample. */
  readonly halfWidth: number;
  readonly count: number;
}

/** An improvement over a reference in percent, with half of its 95 % confidence interval. */
export interface Improvement {
  readonly percent: number;
  readonly halfWidth: number;
}

export function summarise(samples: readonly number[]): Summary {
  const count = samples.length;
  if (count === 0) throw new RangeError("no samples to summarise (1 or more)");
  const halfWidth = count < 2 ? 0 : studentQuantile(0.975, count - 1) * Math.sqrt(sampleVariance([...samples]) / count);
  return { median: median([...samples]), mean: mean([...samples]), halfWidth, count };
}

/**
 * How much smaller the mean of `samples` is than that of `reference`, in percent of the reference's mean. The interval
 * is that of the difference with a pooled variance, as in ministat, divided by the reference's mean.
 */
export function improvementOver(reference: readonly number[], samples: readonly number[]): Improvement {
  const base = mean([...reference]);
  const percent = (100 * (base - mean([...samples]))) / base;
  const freedom = reference.length + samples.length - 2;
  if (reference.length < 2 || samples.length < 2) return { percent, halfWidth: 0 };
  const squares =
    (reference.length - 1) * sampleVariance([...reference]) + (samples.length - 1) * sampleVariance([...samples]);
  const error = Math.sqrt((squares / freedom) * (1 / reference.length + 1 / samples.length));
  return { percent, halfWidth: (100 * studentQuantile(0.975, freedom) * error) / base };
}

/** The value that a Student's t variable with `freedom` degrees stays below with `probability` (0.5 to 1, exclusive). */
export function studentQuantile(probability: number, freedom: number): number {
  let low = 0;
  let high = 1e4;
  for (let step = 0; step < 80; step++) {
    const middle = (low + high) / 2;
    if (studentProbability(middle, freedom) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * P(T ≤ t) for t ≥ 0 by the finite series for whole degrees of freedom.
 * @see Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.3 and 26.7.4.
 */
function studentProbability(t: number, freedom: number): number {
  const angle = Math.atan(t / Math.sqrt(freedom));
  const square = Math.cos(angle) ** 2;
  const odd = freedom % 2 === 1;
  let term = odd ? Math.cos(angle) : 1;
  let sum = freedom === 1 ? 0 : term;
  for (let k = odd ? 2 : 1; k < freedom - 2; k += 2) {
    term *= (square * k) / (k + 1);
    sum += term;
  }
  const between = odd ? (2 / Math.PI) * (angle + Math.sin(angle) * sum) : Math.sin(angle) * sum;
  return 0.5 + between / 2;
}
