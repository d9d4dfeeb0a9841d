import { randomBytes } from 'node:crypto';
import oracledb from 'oracledb';
import { onScopeEnd } from './cleanup.ts';
import { startOracle, type TestOracle } from './oracle.ts';

// Where tests of Oracle run: on the double, and on a real server as well when ORACLE_CONNECT_STRING names one (such as
// `localhost:1521/FREEPDB1`), with ORACLE_USER and ORACLE_PASSWORD (`untradex` when left out) of a user who may create tables and whose schema the
// tests may fill. Tables that they make are named by `makeTable`, which drops them at the end.

export interface AnyOracle {
  readonly user: string;
  readonly password: string;
  readonly connectString: string;
  /** Of the user, in the dictionary's case. */
  readonly schema: string;
  /** Null on a real server. */
  readonly double: TestOracle | null;
}

export const oracleKinds: readonly ('double' | 'real')[] =
  process.env.ORACLE_CONNECT_STRING === undefined ? ['double'] : ['double', 'real'];

export async function anyOracle(kind: 'double' | 'real'): Promise<AnyOracle> {
  if (kind === 'double') {
    const double = await startOracle();
    const { user, password, connectString } = double;
    return { user, password, connectString, schema: user, double };
  }
  const {
    ORACLE_CONNECT_STRING: connectString,
    ORACLE_USER: user = 'untradex',
    ORACLE_PASSWORD: password = 'untradex',
  } = process.env;
  if (connectString === undefined) throw new Error('ORACLE_CONNECT_STRING names no server');
  return { user, password, connectString, schema: user.toUpperCase(), double: null };
}

/** A connection, closed at the end of the test; dead ones are no fault. */
export async function connectTo(
  target: AnyOracle,
  more: oracledb.ConnectionAttributes = {},
): Promise<oracledb.Connection> {
  const { user, password, connectString } = target;
  const connection = await oracledb.getConnection({ user, password, connectString, ...more });
  onScopeEnd(() => connection.close().catch(() => {}));
  return connection;
}

/** Makes a table of a new name, and drops it at the end. @param body the columns and whatever follows */
export async function makeTable(target: AnyOracle, body: string): Promise<string> {
  const name = `T_${randomBytes(6).toString('hex').toUpperCase()}`;
  const run = async (statement: string) => {
    const { user, password, connectString } = target;
    const connection = await oracledb.getConnection({ user, password, connectString });
    await connection.execute(statement).finally(() => connection.close());
  };
  await run(`CREATE TABLE ${name} ${body.replaceAll('$NAME', name)}`);
  if (target.double === null) onScopeEnd(() => run(`DROP TABLE ${name} PURGE`));
  return name;
}
