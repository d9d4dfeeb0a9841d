import { type ErrorClass, errorClasses, type Verdict } from './errors.ts';

const follows: Readonly<Record<Verdict, string>> = {
  retry:
    'the step is repeated for `patienceSeconds` (a lock: ten times that), then a new attempt, for as long as it takes',
  attempt: 'a new attempt, with backoff, for as long as it takes',
  person: 'a person: blocked until the session, the Secret or the database is mended; tried again slowly',
};

/** The table of codes in docs/oracle.md: Markdown, a section a class. */
export function errorDoc(): string {
  return errorClasses.map(sectionOf).join('\n\n');
}

function sectionOf({ title, code, verdict, remedy, codes }: ErrorClass): string {
  const rows = Object.entries(codes).map(([one, means]) => `| ${one} | ${means} |`);
  return [
    `### ${title}`,
    '',
    `\`${code}\`: ${follows[verdict]}. ${remedy}`,
    '',
    ...['| code | what it means |', '|---|---|', ...rows],
  ].join('\n');
}
