/**
 * RFC 3339 with an offset, as Kubernetes asks for in the format `date-time`, and narrower where its parsers differ:
 * T and Z are capitals, years have no leading zero, a fraction has at most three digits.
 */
export const dateTimePattern =
  /^[1-9]\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,3})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$/;

/** A date and time of {@link dateTimePattern} whose day is in the calendar. */
export function isDateTime(text: unknown): text is string {
  return typeof text === 'string' && dateTimePattern.test(text) && isInCalendar(text.slice(0, 10));
}

/** Date.parse takes the 30th of February for the 2nd of March. */
function isInCalendar(date: string): boolean {
  const day = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
}
