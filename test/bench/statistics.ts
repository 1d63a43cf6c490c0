/** The few numbers that a measurement is told in. */

/** The value below which `share` (0 to 1) of the values lie; the nearest rank, nothing invented in between. */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new Error("nothing was measured");
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] as number;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** Middle half of the values, for people: `1.1..1.3`. */
export function middleHalf(values: readonly number[]): string {
  return `${rounded(quantile(values, 0.25))}..${rounded(quantile(values, 0.75))}`;
}

/** Three significant digits; more would be noise. */
export function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

export const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
