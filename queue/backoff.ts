/**
 * The pause before a further try, in ms: doubling with each failure from `first` up to `most`, then shortened at
 * random by up to a half, so that a thousand processes do not come back in the same instant.
 */
export function backoff(failures: number, { first, most }: { readonly first: number; readonly most: number }): number {
  return jitter(Math.min(most, first * 2 ** Math.min(failures, 20)));
}

/** A time shortened at random by up to a half. */
export function jitter(ms: number): number {
  return ms * (0.5 + Math.random() / 2);
}
