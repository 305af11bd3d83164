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

/** A median and where it lies with 95 % confidence. */
export interface MedianInterval {
  readonly median: number;
  readonly low: number;
  readonly high: number;
}

/**
 * The median with the interval that order statistics give it for any distribution of the samples: with one sample in ten far out it
 * stays where it was. Fewer than 6 samples give their whole range, of less than 95 %.
 * @see David and Nagaraja, Order Statistics, 7.1
 */
export function medianInterval(samples: readonly number[]): MedianInterval {
  if (samples.length === 0) throw new RangeError("no samples to summarise (1 or more)");
  const sorted = samples.toSorted((a, b) => a - b);
  const count = sorted.length;
  // The largest k for which fewer than k of `count` tosses of a coin fall on one side with at most 2.5 %.
  let k = 1;
  let term = 2 ** -count;
  let below = term;
  while (k < Math.ceil(count / 2)) {
    term *= (count - k + 1) / k;
    if (below + term > 0.025) break;
    below += term;
    k++;
  }
  return { median: median(sorted), low: sorted[k - 1], high: sorted[count - k] };
}

/**
 * How much smaller `samples` are than `reference`, in percent, round by round: both of a round met the same machine. The median over
 * the rounds, with half of its interval.
 */
export function pairedImprovement(reference: readonly number[], samples: readonly number[]): Improvement {
  const rounds = Math.min(reference.length, samples.length);
  const each = Array.from({ length: rounds }, (_, round) => 100 * (1 - samples[round] / reference[round]));
  const { median: percent, low, high } = medianInterval(each);
  return { percent, halfWidth: (high - low) / 2 };
}

/** A sample far from the others. */
export interface Outlier {
  /** From 1. */
  readonly round: number;
  readonly timesMedian: number;
}

/** More than this many median absolute deviations (scaled to standard ones) from the median, and a tenth of it, is far. */
const FAR_DEVIATIONS = 3.5;
const FAR_SHARE = 0.1;
const NORMAL_SCALE = 1.4826;

export function outliers(samples: readonly number[]): Outlier[] {
  if (samples.length < 4) return [];
  const middle = median([...samples]);
  const deviation = NORMAL_SCALE * median(samples.map((sample) => Math.abs(sample - middle)));
  const far = Math.max(FAR_DEVIATIONS * deviation, FAR_SHARE * Math.abs(middle));
  return samples.flatMap((sample, index) =>
    Math.abs(sample - middle) > far ? [{ round: index + 1, timesMedian: sample / middle }] : [],
  );
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
