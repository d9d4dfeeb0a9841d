import { checkStudent } from '#queue/identity.ts';
import { problem } from '#queue/problem.ts';

/** The students that are expected, each with extra minutes after the deadline (0 for most). Never changed: replaced. */
export type Roster = ReadonlyMap<string, number>;

export const emptyRoster: Roster = new Map();

/** A week: more is a slip of the pen. */
const mostMinutes = 10_080;
const mostFaultsTold = 20;

/**
 * Reads CSV: a line a student, `student,extra minutes`; a first line that begins with `student,` is a heading; empty
 * lines are skipped; a student id with a comma or quotes stands in double quotes.
 * @throws Problem `roster_invalid`, whose message lists every wrong line (the first 20 of them)
 */
export function readRoster(csv: string): Roster {
  const roster = new Map<string, number>();
  const faults: string[] = [];
  const lines = csv.replace(/^\uFEFF/, '').split(/\r?\n/);
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '' || (index === 0 && /^"?student"?\s*,/i.test(line))) continue;
    const row = readLine(line);
    if (typeof row === 'string') faults.push(`line ${index + 1}: ${row}`);
    else if (roster.has(row.student)) faults.push(`line ${index + 1}: ${row.student} stands in an earlier line too`);
    else roster.set(row.student, row.minutes);
  }
  if (faults.length > 0) throw invalid(faults);
  return roster;
}

function readLine(line: string): { student: string; minutes: number } | string {
  const match = /^\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*,\s*([^,]*?)\s*$/.exec(line);
  if (match === null) return 'it is not `student,extra minutes`';
  const student = match[1]?.replaceAll('""', '"') ?? match[2]!.trim();
  const wrong = checkStudent(student);
  if (wrong !== null) return wrong;
  if (!/^\d{1,5}$/.test(match[3]!) || Number(match[3]) > mostMinutes) {
    return `the extra minutes must be a whole number from 0 to ${mostMinutes}, not "${match[3]!.slice(0, 20)}"`;
  }
  return { student, minutes: Number(match[3]) };
}

function invalid(faults: readonly string[]) {
  const more = faults.length > mostFaultsTold ? [`and ${faults.length - mostFaultsTold} more lines`] : [];
  const told = [...faults.slice(0, mostFaultsTold), ...more].map((fault) => `  ${fault}`).join('\n');
  return problem('roster_invalid', `the roster is not valid:\n${told}`, 'mend the lines that are named');
}
