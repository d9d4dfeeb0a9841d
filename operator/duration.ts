/** How long something is kept, in whole hours or days: `72h`, `14d`; at most 99,999 of them. */
export const keepPattern = /^[1-9][0-9]{0,4}[hd]$/;

/** Milliseconds of a text that {@link keepPattern} takes. */
export function keepMs(text: string): number {
  const hours = Number(text.slice(0, -1)) * (text.endsWith('d') ? 24 : 1);
  return hours * 3_600_000;
}
