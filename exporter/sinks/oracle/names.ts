/** Bytes of a name, at most, from Oracle 12.2 on. */
export const mostNameBytes = 128;

/** The control tables, in the exporter's own schema. Nothing else there may be called UNTRADEX_... */
export const controlTables = {
  exports: 'UNTRADEX_EXPORTS',
  attempts: 'UNTRADEX_ATTEMPTS',
  staging: 'UNTRADEX_STAGING',
} as const;

/** A name as a quoted identifier. Oracle has no way to write a quote in one. */
export function identifier(name: string): string {
  if (name.includes('"')) throw new Error(`${name} is no name for Oracle`);
  return `"${name}"`;
}

/** A value as a literal, where a statement takes no bind variable or is longer with one. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** No statement relies on the current schema. */
export function qualified(schema: string, name: string): string {
  return `${identifier(schema)}.${identifier(name)}`;
}

/** Name of the staging table of a shard and attempt; at most 59 characters. */
export function stagingName(sessionUid: string, attempt: number, shard: number): string {
  return `UNTRADEX_S_${sessionUid.replaceAll('-', '').toUpperCase()}_${attempt}_${shard}`;
}

/** Name of the target's unique key. */
export function keyName(table: string): string {
  return `${table.slice(0, mostNameBytes - 3)}_UK`;
}
