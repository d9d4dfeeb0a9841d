import type { ReportFacts } from '../report.ts';

/** Something that whoever reads the report should know or do. */
export interface ReportNote {
  readonly code: 'backup_needed' | 'found_published' | 'loaded_conventionally' | 'unknown_students';
  readonly text: string;
}

/** Pure: what is to be noted, the most urgent first. */
export function notesOf({ verification, published, loaded, plan }: ReportFacts): ReportNote[] {
  const notes: ReportNote[] = [];
  const note = (code: ReportNote['code'], text: string) => notes.push({ code, text });
  if (published.backupNeeded) {
    note(
      'backup_needed',
      `Back up ${published.table} now: its rows are in no log of the database, so no older backup brings them back.`,
    );
  }
  if (published.already && published.attempt !== plan.attempt) {
    note('found_published', `Attempt ${published.attempt} had published the rows already; this one proved them.`);
  }
  const slow = loaded.filter(({ loadedBy }) => loadedBy === 'Conventional').length;
  if (slow > 0) {
    note(
      'loaded_conventionally',
      `${slow} of ${loaded.length} shards were loaded by INSERTs: the database refused direct path, or was told to.`,
    );
  }
  const unknown = verification.unknown?.length ?? 0;
  if (unknown > 0) {
    const who = unknown === 1 ? '1 student has answers and is' : `${unknown} students have answers and are`;
    note('unknown_students', `${who} not in the roster.`);
  }
  return notes;
}
