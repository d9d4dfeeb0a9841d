import { type Problem, problem } from '#queue/problem.ts';
import type { Session } from './connection.ts';
import { type DdlPlace, quotaSql, targetDdl, targetGrants } from './ddl.ts';
import { codeOf } from './errors.ts';
import { identifier, qualified } from './names.ts';

/** Names of 128 bytes and AUTOMATIC partitions came with 12.2. */
export const oldestVersion = 1_202_000_000;

/** What is asked of the server before anything is written. */
export interface ServerFacts {
  readonly version: number;
  readonly versionText: string;
  readonly user: string;
  readonly characterSet: string;
  readonly nationalCharacterSet: string;
  /** Null: the user may not see V$DATABASE. */
  readonly database: DatabaseFacts | null;
  /** Those of roles included. */
  readonly privileges: readonly string[];
  /** Where the user's tables go. */
  readonly tablespace: string;
  /** Null: there is none of that name that the user may see. */
  readonly tablespaceFacts: TablespaceFacts | null;
  /** Bytes that the user may have there, and has; null: no quota. `most` null: unlimited. */
  readonly quota: { readonly used: number; readonly most: number | null } | null;
  /** Null: there is none, or none that the user may see. */
  readonly target: { readonly owner: string; readonly granted: readonly string[] } | null;
}

export interface DatabaseFacts {
  readonly forceLogging: boolean;
  readonly archiving: boolean;
}

export interface TablespaceFacts {
  readonly status: string;
  readonly forceLogging: boolean;
}

/** One thing that is not as it must be, and the SQL that mends it, where SQL can. */
export interface Fault {
  readonly what: string;
  readonly sql: string | null;
}

/** Asks everything at once. @param place whose tablespace may be null: the user's default one */
export async function askServer(session: Session, place: DdlPlace): Promise<ServerFacts> {
  const sets = await session.rows<{ name: string; value: string }>(
    `SELECT PARAMETER AS "name", VALUE AS "value" FROM NLS_DATABASE_PARAMETERS
     WHERE PARAMETER IN ('NLS_CHARACTERSET', 'NLS_NCHAR_CHARACTERSET')`,
  );
  const setOf = (name: string) => sets.find((one) => one.name === name)?.value ?? 'unknown';
  const privileges = await session.rows<{ name: string }>('SELECT PRIVILEGE AS "name" FROM SESSION_PRIVS');
  const [own] = await session.rows<{ name: string }>('SELECT DEFAULT_TABLESPACE AS "name" FROM USER_USERS');
  const tablespace = place.tablespace ?? own?.name ?? 'unknown';
  const [found] = await session.rows<{ status: string; forced: string }>(
    'SELECT STATUS AS "status", FORCE_LOGGING AS "forced" FROM USER_TABLESPACES WHERE TABLESPACE_NAME = :1',
    [tablespace],
  );
  const [quota] = await session.rows<{ used: number; most: number }>(
    'SELECT BYTES AS "used", MAX_BYTES AS "most" FROM USER_TS_QUOTAS WHERE TABLESPACE_NAME = :1',
    [tablespace],
  );
  return {
    version: session.serverVersion,
    versionText: session.versionText,
    user: session.user,
    characterSet: setOf('NLS_CHARACTERSET'),
    nationalCharacterSet: setOf('NLS_NCHAR_CHARACTERSET'),
    database: await askDatabase(session),
    privileges: privileges.map(({ name }) => name),
    tablespace,
    tablespaceFacts: found ? { status: found.status, forceLogging: found.forced === 'YES' } : null,
    quota: quota ? { used: quota.used, most: quota.most < 0 ? null : quota.most } : null,
    target: await askTarget(session, place),
  };
}

/** What V$DATABASE says of logging, where the user may see it. */
export async function askDatabase(session: Session): Promise<DatabaseFacts | null> {
  try {
    const [row] = await session.rows<{ forced: string; mode: string }>(
      'SELECT FORCE_LOGGING AS "forced", LOG_MODE AS "mode" FROM V$DATABASE',
    );
    return row ? { forceLogging: row.forced === 'YES', archiving: row.mode !== 'NOARCHIVELOG' } : null;
  } catch (error) {
    if (!['ORA-00942', 'ORA-01031'].includes(codeOf(error) ?? '')) throw error;
    return null;
  }
}

async function askTarget(session: Session, { owner, table }: DdlPlace): Promise<ServerFacts['target']> {
  const [found] = await session.rows<{ owner: string }>(
    'SELECT OWNER AS "owner" FROM ALL_TABLES WHERE OWNER = :1 AND TABLE_NAME = :2',
    [owner, table],
  );
  if (!found) return null;
  const granted = await session.rows<{ name: string }>(
    'SELECT PRIVILEGE AS "name" FROM ALL_TAB_PRIVS WHERE TABLE_SCHEMA = :1 AND TABLE_NAME = :2',
    [owner, table],
  );
  return { owner: found.owner, granted: granted.map(({ name }) => name) };
}

/** Pure: everything that is missing. */
export function faultsOf(facts: ServerFacts, place: DdlPlace): Fault[] {
  const faults: Fault[] = [];
  const say = (what: string, sql: string | null = null) => void faults.push({ what, sql });
  const { version, versionText, characterSet, nationalCharacterSet, user, privileges } = facts;
  if (version < oldestVersion) say(`Oracle ${versionText} is older than 12.2`);
  if (characterSet !== 'AL32UTF8') {
    say(
      `the database has the character set ${characterSet}, answers need AL32UTF8 (a pluggable database may have its own)`,
    );
  }
  if (nationalCharacterSet !== 'AL16UTF16') {
    say(`the database has the national character set ${nationalCharacterSet}, direct path needs AL16UTF16`);
  }
  if (!privileges.includes('CREATE TABLE'))
    say(`${user} lacks CREATE TABLE`, `GRANT CREATE TABLE TO ${identifier(user)};`);
  return [...faults, ...spaceFaults(facts), ...targetFaults(facts, place)];
}

function spaceFaults({ user, privileges, tablespace, tablespaceFacts, quota }: ServerFacts): Fault[] {
  const name = identifier(tablespace);
  const faults: Fault[] = [];
  if (tablespaceFacts !== null && tablespaceFacts.status !== 'ONLINE') {
    const mend = tablespaceFacts.status === 'READ ONLY' ? 'READ WRITE' : 'ONLINE';
    faults.push({
      what: `the tablespace ${tablespace} is ${tablespaceFacts.status}`,
      sql: `ALTER TABLESPACE ${name} ${mend};`,
    });
  }
  if (privileges.includes('UNLIMITED TABLESPACE')) return faults;
  const sql = `${quotaSql(user, tablespace)};`;
  if (quota === null || quota.most === 0) {
    faults.push({ what: `${user} has no quota on the tablespace ${tablespace}`, sql });
  } else if (quota.most !== null && quota.used >= quota.most) {
    faults.push({ what: `${user} has used up its quota of ${quota.most} bytes on the tablespace ${tablespace}`, sql });
  }
  return faults;
}

function targetFaults({ user, target, privileges }: ServerFacts, place: DdlPlace): Fault[] {
  const { owner, table } = place;
  if (owner === user) return [];
  const full = `${owner}.${table}`;
  if (target === null) {
    const sql = [targetDdl(place), ...targetGrants(place)].join(';\n');
    return [{ what: `there is no table ${full}, or ${user} may not see it; only ${owner} makes it`, sql: `${sql};` }];
  }
  const missing = ['SELECT', 'INSERT'].filter(
    (name) => !target.granted.includes(name) && !privileges.includes(`${name} ANY TABLE`),
  );
  if (missing.length === 0) return [];
  const sql = `GRANT ${missing.join(', ')} ON ${qualified(owner, table)} TO ${identifier(user)};`;
  return [{ what: `${user} lacks ${missing.join(' and ')} on the table ${full}`, sql }];
}

/** All of them in one Problem, for whoever administers the server. */
export function unprepared(faults: readonly Fault[]): Problem {
  const sql = faults.flatMap((fault) => fault.sql ?? []);
  const run = sql.length > 0 ? ` As an administrator:\n${sql.map((line) => `  ${line}`).join('\n')}` : '';
  return problem(
    'database_unprepared',
    `the Oracle database is not ready for an export:\n${faults.map(({ what }) => `  ${what}`).join('\n')}`,
    `Mend each of them; docs/oracle.md says why, and \`untradex ddl oracle\` prints everything that is needed.${run}`,
  );
}

/**
 * Pure: whether the published rows are in no backup and in no redo until somebody makes a backup. Unknown counts as
 * needed, where it matters.
 */
export function backupNeeded(facts: {
  readonly logging: boolean | null;
  readonly database: DatabaseFacts | null;
  readonly tablespaceForced: boolean;
}): boolean {
  // Without archived redo nothing brings them back but a backup.
  if (facts.database?.archiving === false) return true;
  if (facts.database?.forceLogging === true || facts.tablespaceForced) return false;
  return facts.logging !== true;
}
