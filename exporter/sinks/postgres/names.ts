import { hash } from 'node:crypto';

/** Bytes of a name, at most: what is longer PostgreSQL cuts off, in silence. */
export const mostNameBytes = 63;

/** The control tables, beside the target. Nothing else in that schema may be called UNTRADEX_... */
export const controlTables = {
  exports: 'UNTRADEX_EXPORTS',
  attempts: 'UNTRADEX_ATTEMPTS',
  staging: 'UNTRADEX_STAGING',
} as const;

/** A name as a quoted identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A value as a literal, where SQL takes no parameter. With `standard_conforming_strings` a backslash is only that. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** No statement relies on the search path. */
export function qualified(schema: string, name: string): string {
  return `${identifier(schema)}.${identifier(name)}`;
}

/** Name of the staging table of a shard and attempt; at most 59 characters. */
export function stagingName(sessionUid: string, attempt: number, shard: number): string {
  return `UNTRADEX_S_${sessionUid.replaceAll('-', '')}_${attempt}_${shard}`;
}

/** Name of the partition that takes an exam: readable at its beginning, and its own by its end. */
export function partitionName(table: string, exam: string): string {
  const own = hash('sha256', `${table}\0${exam}`, 'hex').slice(0, 10);
  const readable = exam.replace(/[^A-Za-z0-9]+/g, '_').slice(0, 16);
  return `${table.slice(0, mostNameBytes - own.length - readable.length - 2)}_${readable}_${own}`;
}
