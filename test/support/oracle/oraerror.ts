/** An error as Oracle raises it. */
export interface OraError extends Error {
  /** 942 for ORA-00942. */
  readonly ora: number;
}

const texts: Readonly<Record<number, string>> = {
  1: 'unique constraint violated',
  54: 'resource busy and acquire with NOWAIT specified or timeout expired',
  60: 'deadlock detected while waiting for resource',
  900: 'invalid SQL statement',
  904: 'invalid identifier',
  913: 'too many values',
  942: 'table or view does not exist',
  947: 'not enough values',
  955: 'name is already used by an existing object',
  972: 'identifier is too long',
  1008: 'not all variables bound',
  1013: 'user requested cancel of current operation',
  1017: 'invalid username/password; logon denied',
  1400: 'cannot insert NULL',
  1403: 'no data found',
  1407: 'cannot update to NULL',
  1408: 'such column list already indexed',
  1418: 'specified index does not exist',
  1438: 'value larger than specified precision allowed for this column',
  1452: 'cannot CREATE UNIQUE INDEX; duplicate keys found',
  1502: 'index or partition of such index is in unusable state',
  1722: 'invalid number',
  1841: '(full) year must be between -4713 and +9999, and not be 0',
  1843: 'not a valid month',
  1861: 'literal does not match format string',
  2260: 'table can have only one primary key',
  2264: 'name already used by an existing constraint',
  2299: 'cannot validate - duplicate keys found',
  2437: 'cannot validate - primary key violated',
  12838: 'cannot read/modify an object after modifying it in parallel',
  12899: 'value too large for column',
  24381: 'error(s) in array DML',
  26026: 'unique index initially in unusable state',
  30006: 'resource busy; acquire with WAIT timeout expired',
};

/** @param detail what stands behind the message's own text; alone when the code has no text here */
export function oraError(ora: number, detail?: string): OraError {
  const text = [texts[ora], detail].filter((part) => part !== undefined).join(': ') || 'raised by the test';
  return Object.assign(new Error(`ORA-${String(ora).padStart(5, '0')}: ${text}`), { ora });
}

export function isOraError(error: unknown): error is OraError {
  return error instanceof Error && typeof (error as Partial<OraError>).ora === 'number';
}

/** An error of SQLite in Oracle's words. `table` is the one that a statement writes to. */
export function fromSqlite(error: unknown): unknown {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'ERR_SQLITE_ERROR') return error;
  const { message } = error;
  const name = (pattern: RegExp) => pattern.exec(message)?.[1];
  const missing = name(/^no such table: (?:main\.)?(.+)$/);
  if (missing !== undefined) return oraError(942, `"${missing}"`);
  const column = name(/^no such (?:column|function): "?([^" ]+)/) ?? name(/has no column named (.+)$/);
  if (column !== undefined) return oraError(904, `"${column}"`);
  const none = name(/^NOT NULL constraint failed: (.+)$/);
  if (none !== undefined)
    return oraError(
      1400,
      `into (${none
        .split('.')
        .map((part) => `"${part}"`)
        .join('.')})`,
    );
  return oraError(900, `the double does not understand this (${message})`);
}
