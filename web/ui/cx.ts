import { type ClassValue, clsx } from "clsx";
import { twMerge } from "tailwind-merge";

/** Class names with the last word winning. */
export function cx(...values: ClassValue[]): string {
  return twMerge(clsx(values));
}
