// The driver turns a JavaScript date into the wall time of this process's zone, in which an hour of autumn is there
// twice, and a TIMESTAMP ends with the year 9999, while the queue holds ms up to the year 10889. So no date ever
// travels: ms go in as numbers, SQL makes timestamps of them, and they come back as text.

/** The last ms that a TIMESTAMP holds. */
export const lastMs = 253_402_300_799_999;
const lastText = '9999-12-31T23:59:59.999000000';

/** An expression for the TIMESTAMP (UTC) of ms since 1970: the last one there is, for what is later. */
export function timestampOf(ms: string): string {
  return `TIMESTAMP '1970-01-01 00:00:00' + NUMTODSINTERVAL(LEAST(${ms}, ${lastMs}) * 0.001, 'SECOND')`;
}

/** An expression for the ms where a TIMESTAMP does not hold them, else null. */
export function beyondOf(ms: string): string {
  return `CASE WHEN ${ms} > ${lastMs} THEN ${ms} END`;
}

/** An expression for the text of a TIMESTAMP, which `msOf` reads. */
export function textOf(column: string): string {
  return `TO_CHAR(${column}, 'YYYY-MM-DD"T"HH24:MI:SS.FF9')`;
}

/** ms since 1970 out of both; -1, which no event has, for a null. */
export function msOf(text: string | null, beyond: number | null = null): number {
  if (text === null) return -1;
  if (beyond !== null && text === lastText) return beyond;
  const [seconds, fraction = ''] = text.split('.');
  return Date.parse(`${seconds}Z`) + Number(fraction.padEnd(9, '0')) / 1_000_000;
}
