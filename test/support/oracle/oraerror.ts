/** An error as Oracle raises it. */
export interface OraError extends Error {
  /** 942 for ORA-00942. */
  readonly ora: number;
}

/** As in Oracle's reference; {} is what the error is about. */
const texts: Readonly<Record<number, string>> = {
  1: 'unique constraint {} violated',
  54: 'resource busy and acquire with NOWAIT specified or timeout expired',
  60: 'deadlock detected while waiting for resource',
  900: 'invalid SQL statement (the double of Oracle: {})',
  902: 'invalid datatype (the double of Oracle knows no {})',
  903: 'invalid table name',
  904: '{}: invalid identifier',
  906: 'missing left parenthesis',
  910: 'specified length too long for its datatype',
  913: 'too many values',
  932: 'inconsistent datatypes (the double of Oracle: {})',
  942: 'table or view does not exist',
  947: 'not enough values',
  955: 'name is already used by an existing object',
  972: 'identifier is too long',
  1001: 'invalid cursor',
  1002: 'fetch out of sequence',
  1008: 'not all variables bound',
  1012: 'not logged on',
  1013: 'user requested cancel of current operation',
  1017: 'invalid username/password; logon denied',
  1400: 'cannot insert NULL into {}',
  1403: 'no data found',
  1407: 'cannot update {} to NULL',
  1408: 'such column list already indexed',
  1418: 'specified index does not exist',
  1438: 'value larger than specified precision allowed for this column',
  1452: 'cannot CREATE UNIQUE INDEX; duplicate keys found',
  1502: "index '{}' or partition of such index is in unusable state",
  1722: 'invalid number',
  1760: 'illegal argument for function',
  1841: '(full) year must be between -4713 and +9999, and not be 0',
  1843: 'not a valid month',
  1861: 'literal does not match format string',
  1918: "user '{}' does not exist",
  2260: 'table can have only one primary key',
  2264: 'name already used by an existing constraint',
  2299: 'cannot validate ({}) - duplicate keys found',
  2437: 'cannot validate ({}) - primary key violated',
  3001: 'unimplemented feature (the double of Oracle: {})',
  6550: 'PL/SQL: the double of Oracle has no {}',
  12838: 'cannot read/modify an object after modifying it in parallel',
  12899: 'value too large for column {}',
  22275: 'invalid LOB locator specified',
  24381: 'error(s) in array DML',
  26026: 'unique index {} initially in unusable state',
  30006: 'resource busy; acquire with WAIT timeout expired',
};

/** @param about what the error is about, where its text says so; all of the text when the double knows none */
export function oraError(ora: number, about = ''): OraError {
  const text = texts[ora]?.replace('{}', () => about) ?? (about || 'raised by the test');
  return Object.assign(new Error(`ORA-${String(ora).padStart(5, '0')}: ${text}`), { ora });
}

/** @param text what stands behind the code; Oracle's own when left out */
export function wantedError(ora: number, text?: string): OraError {
  const error = oraError(ora);
  if (text !== undefined) error.message = `${error.message.slice(0, 'ORA-00000: '.length)}${text}`;
  return error;
}

export function isOraError(error: unknown): error is OraError {
  return error instanceof Error && typeof (error as Partial<OraError>).ora === 'number';
}

/** An error of SQLite in Oracle's words. `table` is the one that a statement writes to. */
export function fromSqlite(error: unknown): unknown {
  if (!(error instanceof Error) || (error as NodeJS.ErrnoException).code !== 'ERR_SQLITE_ERROR') return error;
  const { message } = error;
  const name = (pattern: RegExp) => pattern.exec(message)?.[1];
  if (/^no such table: /.test(message)) return oraError(942);
  const column = name(/^no such (?:column|function): (?:"(?=.*"))?([^"]+)/) ?? name(/has no column named (.+)$/);
  if (column !== undefined) return oraError(904, `"${column}"`);
  const none = name(/^NOT NULL constraint failed: (.+)$/);
  if (none !== undefined)
    return oraError(
      1400,
      `(${none
        .split('.')
        .map((part) => `"${part}"`)
        .join('.')})`,
    );
  return oraError(900, message);
}
