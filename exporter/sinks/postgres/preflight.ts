import { type Problem, problem } from '#queue/problem.ts';
import type { Session } from './connection.ts';
import { controlTables, identifier, literal, partitionName, qualified } from './names.ts';

/** BRIN and LIST partitions are older; ATTACH PARTITION that does not block readers came with 12, and 13 is tested. */
export const oldestVersion = 130_000;

/** What is asked of the server before anything is written. */
export interface ServerFacts {
  readonly version: number;
  readonly versionText: string;
  readonly encoding: string;
  readonly standby: boolean;
  readonly fsync: boolean;
  readonly user: string;
  readonly database: string;
  /** Null: there is no such schema. */
  readonly schema: { readonly usage: boolean; readonly create: boolean } | null;
  readonly relations: readonly RelationFacts[];
}

/** Of the control tables and the target, those that exist. */
export interface RelationFacts {
  readonly name: string;
  readonly kind: string;
  /** We are its owner, or one of its owner's members. */
  readonly owned: boolean;
  readonly canSelect: boolean;
  readonly canInsert: boolean;
  readonly canUpdate: boolean;
  /** False where it is partitioned by LIST ("EXAM") and no partition takes this exam. */
  readonly takesExam: boolean;
}

/** One thing that is not as it must be, and the SQL that mends it, where SQL can. */
export interface Fault {
  readonly what: string;
  readonly sql: string | null;
}

export interface Place {
  readonly schema: string;
  readonly table: string;
  readonly exam: string;
}

/** Asks everything at once. */
export async function askServer(session: Session, { schema, table, exam }: Place): Promise<ServerFacts> {
  const [facts] = await session.rows<Omit<ServerFacts, 'schema' | 'relations'> & { usage: boolean; create: boolean }>(
    `SELECT current_setting('server_version_num')::int4 AS version, current_setting('server_version') AS "versionText",
       current_setting('server_encoding') AS encoding,
       pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' AS standby,
       current_setting('fsync') = 'on' AS fsync, current_user::text AS "user", current_database()::text AS database,
       has_schema_privilege(n.oid, 'USAGE') AS usage, has_schema_privilege(n.oid, 'CREATE') AS create
     FROM (SELECT 1) AS one LEFT JOIN pg_namespace AS n ON n.nspname = $1`,
    [schema],
  );
  const relations = await session.rows<RelationFacts>(
    `SELECT c.relname::text AS name, c.relkind::text AS kind, pg_has_role(c.relowner, 'USAGE') AS owned,
       has_table_privilege(c.oid, 'SELECT') AS "canSelect", has_table_privilege(c.oid, 'INSERT') AS "canInsert",
       has_table_privilege(c.oid, 'UPDATE') AS "canUpdate",
       coalesce(pg_get_partkeydef(c.oid), '') <> 'LIST ("EXAM")' OR p.partdefid <> 0 OR EXISTS (
         SELECT FROM pg_inherits AS i JOIN pg_class AS child ON child.oid = i.inhrelid
         WHERE i.inhparent = c.oid AND position(quote_literal($3::text) IN pg_get_expr(child.relpartbound, child.oid)) > 0
       ) AS "takesExam"
     FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
       LEFT JOIN pg_partitioned_table AS p ON p.partrelid = c.oid
     WHERE n.nspname = $1 AND c.relname = ANY ($2::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`,
    [schema, [table, ...Object.values(controlTables)], exam],
  );
  const { usage, create, ...server } = facts!;
  return { ...server, schema: usage === null ? null : { usage, create }, relations };
}

/** Pure: everything that is missing. */
export function faultsOf(facts: ServerFacts, place: Place): Fault[] {
  const faults: Fault[] = [];
  const say = (what: string, sql: string | null = null) => void faults.push({ what, sql });
  const { version, versionText, encoding, standby, fsync, database } = facts;
  if (version < oldestVersion) say(`PostgreSQL ${versionText} is older than ${oldestVersion / 10_000}`);
  if (encoding !== 'UTF8') {
    say(
      `the database ${database} has the encoding ${encoding}, answers need UTF8`,
      `CREATE DATABASE ${identifier(`${database}_utf8`)} ENCODING 'UTF8' TEMPLATE template0;`,
    );
  }
  if (standby) say('this server takes no writes (a standby, or default_transaction_read_only)');
  if (!fsync) {
    say('fsync is off: what is committed would not survive a power failure', 'ALTER SYSTEM SET fsync = on;');
  }
  return [...faults, ...schemaFaults(facts, place), ...relationFaults(facts, place)];
}

function schemaFaults({ schema, user }: ServerFacts, place: Place): Fault[] {
  const name = identifier(place.schema);
  if (schema === null) {
    const sql = `CREATE SCHEMA ${name} AUTHORIZATION ${identifier(user)};`;
    return [{ what: `there is no schema ${place.schema}`, sql }];
  }
  const missing = [...(schema.usage ? [] : ['USAGE']), ...(schema.create ? [] : ['CREATE'])];
  if (missing.length === 0) return [];
  const what = `${user} lacks ${missing.join(' and ')} on the schema ${place.schema}`;
  return [{ what, sql: `GRANT ${missing.join(', ')} ON SCHEMA ${name} TO ${identifier(user)};` }];
}

function relationFaults({ relations, user }: ServerFacts, place: Place): Fault[] {
  return relations.flatMap((relation) => {
    const { name, owned, canSelect, canInsert, canUpdate, takesExam } = relation;
    const isTarget = name === place.table;
    const missing = [
      ...(canSelect ? [] : ['SELECT']),
      ...(canInsert ? [] : ['INSERT']),
      ...(canUpdate || isTarget ? [] : ['UPDATE']),
    ];
    const faults: Fault[] = [];
    const full = qualified(place.schema, name);
    if (missing.length > 0) {
      const sql = `GRANT ${missing.join(', ')} ON ${full} TO ${identifier(user)};`;
      faults.push({ what: `${user} lacks ${missing.join(' and ')} on the table ${name}`, sql });
    }
    if (isTarget && !owned && !takesExam) {
      const partition = qualified(place.schema, partitionName(name, place.exam));
      const sql = `CREATE TABLE ${partition} PARTITION OF ${full} FOR VALUES IN (${literal(place.exam)});`;
      faults.push({ what: `${name} has no partition for the exam ${place.exam}, and ${user} may not make one`, sql });
    }
    return faults;
  });
}

/** All of them in one Problem, for whoever administers the server. */
export function unprepared(faults: readonly Fault[]): Problem {
  const sql = faults.flatMap((fault) => fault.sql ?? []);
  const run = sql.length > 0 ? ` As an administrator of the server:\n${sql.map((line) => `  ${line}`).join('\n')}` : '';
  return problem(
    'database_unprepared',
    `the PostgreSQL server is not ready for an export:\n${faults.map(({ what }) => `  ${what}`).join('\n')}`,
    `Mend each of them; docs/postgres.md says why.${run}`,
  );
}
