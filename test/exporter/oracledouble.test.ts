import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import oracledb from 'oracledb';
import { beforeAll, describe, expect, test } from 'vitest';
import { type AnyOracle, anyOracle, connectTo, makeTable, oracleKinds } from '#test/support/anyoracle.ts';
import { makeCertificate } from '#test/support/certificate.ts';
import { startOracle, type TestOracle } from '#test/support/oracle.ts';
import { startProgram } from '#test/support/process.ts';
import { tmpFolder } from '#test/support/tmp.ts';
import { until } from '#test/support/until.ts';

// What the double does that a real Oracle does as well, by the unmodified driver; and what only a double can do. The
// former also runs on a real server: see anyoracle.ts.

const code = (errorNum: number) => expect.objectContaining({ errorNum });
const planes = '\u007f\u0080\u07ff\u0800\ufdd0\ufeff\uffff\u{10000}\u{1f9a4}\u{2fffe}\u{e0001}\u{10ffff}';

async function rowsOf(connection: oracledb.Connection, sql: string, binds: oracledb.BindParameters = []) {
  const { rows } = await connection.execute<unknown[]>(sql, binds, { fetchTypeHandler: clobAsText });
  return rows!;
}

function clobAsText({ dbType }: oracledb.Metadata<unknown>) {
  return dbType === oracledb.DB_TYPE_CLOB ? { type: oracledb.STRING } : undefined;
}

async function count(connection: oracledb.Connection, table: string): Promise<number> {
  const [row] = await rowsOf(connection, `SELECT COUNT(*) FROM ${table}`);
  return row![0] as number;
}

describe.each(oracleKinds)('oracle, %s', (kind) => {
  let target: AnyOracle;
  beforeAll(async () => {
    target = await anyOracle(kind);
  });
  const connect = (more: oracledb.ConnectionAttributes = {}) => connectTo(target, more);
  const make = (body: string) => makeTable(target, body);
  const keyed = () => make('(ID NUMBER(10) CONSTRAINT $NAME_PK PRIMARY KEY, WHAT VARCHAR2(100))');

  describe('connections', () => {
    test('the right password, in any case of the name, and no other', async () => {
      const connection = await connect({ user: target.user.toLowerCase() });
      await connection.ping();
      expect(connection.oracleServerVersion).toBeGreaterThanOrEqual(1_900_000_000);
      const [row] = await rowsOf(connection, "SELECT USER, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') FROM DUAL");
      expect(row).toEqual([target.schema, target.schema]);
      await expect(connect({ password: 'wrong' })).rejects.toEqual(code(1017));
      await expect(connect({ user: 'nobody_of_that_name' })).rejects.toEqual(code(1017));
    });

    test('a pool: connections at once, and used again', async () => {
      const { user, password, connectString } = target;
      const pool = await oracledb.createPool({
        user,
        password,
        connectString,
        poolMin: 1,
        poolMax: 3,
        poolPingInterval: 0,
      });
      try {
        for (let round = 0; round < 3; round++) {
          const some = await Promise.all([pool.getConnection(), pool.getConnection(), pool.getConnection()]);
          const answers = await Promise.all(some.map((one) => one.execute('SELECT 1 FROM DUAL')));
          expect(answers.map(({ rows }) => rows)).toEqual([[[1]], [[1]], [[1]]]);
          await Promise.all(some.map((one) => one.close()));
        }
        expect(pool.connectionsOpen).toBe(3);
      } finally {
        await pool.close(0);
      }
    });

    test('a call that takes too long is broken off, and the connection goes on', async () => {
      const table = await keyed();
      const [one, other] = [await connect(), await connect()];
      await one.execute(`LOCK TABLE ${table} IN EXCLUSIVE MODE`);
      other.callTimeout = 150;
      await expect(other.execute(`INSERT INTO ${table} (ID) VALUES (1)`)).rejects.toMatchObject({ code: 'NJS-123' });
      other.callTimeout = 0;
      expect(await count(other, table)).toBe(0);
    });
  });

  describe('values', () => {
    const everything = `(ID NUMBER(10) NOT NULL, N NUMBER, D NUMBER(9,2), S VARCHAR2(4000), U VARCHAR2(10 CHAR), C CHAR(5),
      L CLOB, B BLOB, R RAW(32), DAY DATE, T TIMESTAMP(3), Z TIMESTAMP(3) WITH TIME ZONE)`;
    const day = new Date(2026, 10, 25);
    const row = [
      ...[
        7,
        281_474_976_710_655,
        -1234.5,
        planes.repeat(50),
        'üß🦤',
        'ab',
        planes.repeat(400),
        Buffer.alloc(20_000, 7),
      ],
      ...[Buffer.from([0, 255]), day, new Date(1_800_000_000_123), new Date(253_402_300_799_999)],
    ];
    const back = row.with(5, 'ab   ');
    const buffers = ({ dbType }: oracledb.Metadata<unknown>) =>
      dbType === oracledb.DB_TYPE_CLOB
        ? { type: oracledb.STRING }
        : dbType === oracledb.DB_TYPE_BLOB
          ? { type: oracledb.BUFFER }
          : undefined;
    const read = async (connection: oracledb.Connection, table: string) =>
      (await connection.execute(`SELECT * FROM ${table} ORDER BY ID`, [], { fetchTypeHandler: buffers })).rows;

    test('come back as they went in, by a statement', async () => {
      const [table, connection] = [await make(everything), await connect()];
      const places = row.map((_, i) => `:${i + 1}`).join(', ');
      await connection.execute(`INSERT INTO ${table} VALUES (${places})`, row);
      const nulls = row.map((_, i) => (i === 0 ? 8 : null));
      await connection.execute(`INSERT INTO ${table} VALUES (${places})`, nulls);
      expect(await read(connection, table)).toEqual([back, nulls]);
    });

    test('come back as they went in, by direct path', async () => {
      const [table, connection] = [await make(everything), await connect()];
      const { metaData } = await connection.execute(`SELECT * FROM ${table}`);
      const names = metaData!.map(({ name }) => name);
      const nulls = row.map((_, i) => (i === 0 ? 8 : null));
      await connection.directPathLoad(target.schema, table, names, [row, nulls]);
      expect(await read(connection, table)).toEqual([back, nulls]);
    });

    test('the first and the last byte of what fits', async () => {
      const table = await make('(S VARCHAR2(4000), U VARCHAR2(3 CHAR), N NUMBER(3), L CLOB)');
      const connection = await connect();
      const fits = [['x'.repeat(4_000)], ['ü'.repeat(2_000)], [`${'🦤'.repeat(999)}abcd`]];
      await connection.executeMany(`INSERT INTO ${table} (S) VALUES (:1)`, fits);
      for (const text of ['x'.repeat(4_001), `${'ü'.repeat(2_000)}x`, '🦤'.repeat(1_001)]) {
        await expect(connection.execute(`INSERT INTO ${table} (S) VALUES (:1)`, [text])).rejects.toEqual(code(12899));
      }
      await connection.execute(`INSERT INTO ${table} (U, N) VALUES (:1, :2)`, ['🦤🦤🦤', 999]);
      await expect(connection.execute(`INSERT INTO ${table} (U) VALUES ('abcd')`)).rejects.toEqual(code(12899));
      await expect(connection.execute(`INSERT INTO ${table} (N) VALUES (1000)`)).rejects.toEqual(code(1438));
      expect((await rowsOf(connection, `SELECT S FROM ${table} WHERE S IS NOT NULL`)).map(([s]) => [s])).toEqual(fits);
    });

    test('texts of 16 KiB, in every plane, by each way', async () => {
      const table = await make('(ID NUMBER, L CLOB)');
      const connection = await connect();
      const texts = [
        'x'.repeat(16_384),
        '🦤'.repeat(4_096),
        `"${'\u{10ffff}'.repeat(4_095)}"`,
        '['.repeat(4_001),
        'é'.repeat(40_000),
      ];
      const bindDefs = [{ type: oracledb.NUMBER }, { type: oracledb.STRING, maxSize: 80_000 }];
      await connection.executeMany(
        `INSERT INTO ${table} VALUES (:1, :2)`,
        texts.map((text, i) => [i, text]),
        { bindDefs },
      );
      await connection.directPathLoad(
        target.schema,
        table,
        ['ID', 'L'],
        texts.map((text, i) => [10 + i, text]),
      );
      const lob = { type: oracledb.DB_TYPE_CLOB, val: texts[1]! };
      await connection.execute(`INSERT INTO ${table} VALUES (:1, :2)`, [20, lob]);
      const found = await rowsOf(connection, `SELECT L FROM ${table} ORDER BY ID`);
      expect(found.map(([text]) => text)).toEqual([...texts, ...texts, texts[1]]);
      const { rows } = await connection.execute<[oracledb.Lob]>(`SELECT L FROM ${table} WHERE ID = 1`);
      expect(await rows![0]![0].getData()).toBe(texts[1]);
    });

    test('any number, text and time', async () => {
      const table = await make('(ID NUMBER(5), N NUMBER, L CLOB, Z TIMESTAMP(3) WITH TIME ZONE)');
      const connection = await connect();
      const character = fc
        .integer({ min: 1, max: 0x10_ffff })
        .map((point) => (point >> 11 === 0x1b ? '?' : String.fromCodePoint(point)));
      const text = fc.string({ unit: character, minLength: 1 });
      const thousandths = fc.integer({ min: -999_999, max: 999_999 }).map((n) => n / 1_000);
      const time = fc.integer({ min: 0, max: 253_402_300_799_999 }).map((ms) => new Date(ms));
      const rows = fc.array(fc.tuple(fc.oneof(fc.maxSafeInteger(), thousandths), text, time), {
        minLength: 1,
        maxLength: 50,
      });
      const number = { type: oracledb.DB_TYPE_NUMBER };
      const bindDefs = [
        number,
        number,
        { type: oracledb.DB_TYPE_VARCHAR, maxSize: 4_000 },
        { type: oracledb.DB_TYPE_TIMESTAMP_TZ },
      ];
      const back = () => rowsOf(connection, `SELECT * FROM ${table} ORDER BY ID`);
      await fc.assert(
        fc.asyncProperty(rows, async (some) => {
          const numbered = some.map((values, i) => [i, ...values]);
          await connection.execute(`TRUNCATE TABLE ${table}`);
          await connection.executeMany(`INSERT INTO ${table} VALUES (:1, :2, :3, :4)`, numbered, { bindDefs });
          expect(await back()).toEqual(numbered);
          await connection.execute(`TRUNCATE TABLE ${table}`);
          await connection.directPathLoad(target.schema, table, ['ID', 'N', 'L', 'Z'], numbered);
          expect(await back()).toEqual(numbered);
        }),
        { numRuns: 20 },
      );
    });

    test('the empty text is NULL, wherever it comes from', async () => {
      const table = await make('(ID NUMBER, S VARCHAR2(10), L CLOB, M VARCHAR2(10) NOT NULL)');
      const connection = await connect();
      await connection.execute(`INSERT INTO ${table} VALUES (1, :1, :2, 'x')`, ['', '']);
      await connection.execute(`INSERT INTO ${table} SELECT 2, '', REPLACE('a', 'a', ''), 'x' FROM DUAL`);
      await connection.directPathLoad(target.schema, table, ['ID', 'S', 'L', 'M'], [[3, '', '', 'x']]);
      const found = await rowsOf(connection, `SELECT ID, S, L FROM ${table} WHERE S IS NULL AND L IS NULL ORDER BY ID`);
      expect(found).toEqual([1, 2, 3].map((id) => [id, null, null]));
      await expect(connection.execute(`INSERT INTO ${table} (M) VALUES (:1)`, [''])).rejects.toEqual(code(1400));
      await expect(connection.execute(`UPDATE ${table} SET M = ''`)).rejects.toEqual(code(1407));
    });

    test('a Date is a wall time of the session, unless it is bound with a time zone', async () => {
      const table = await make('(T TIMESTAMP(3), Z TIMESTAMP(3) WITH TIME ZONE)');
      process.env.ORA_SDTZ = '+02:00';
      const connection = await connect().finally(() => delete process.env.ORA_SDTZ);
      const moment = new Date('2026-11-25T10:00:00.125Z');
      const insert = `INSERT INTO ${table} VALUES (:1, :2)`;
      const zoned = { type: oracledb.DB_TYPE_TIMESTAMP_TZ, val: moment };
      await connection.execute(insert, [zoned, zoned]);
      const local = { type: oracledb.DB_TYPE_TIMESTAMP, val: moment };
      await connection.execute(insert, [local, local]);
      const hour = (text: string) => `SELECT Z FROM ${table} WHERE T = TIMESTAMP '2026-11-25 ${text}:00:00.125'`;
      expect(await rowsOf(connection, hour('12'))).toEqual([[moment]]);
      const wall = new Date(moment.getTime() - (120 + moment.getTimezoneOffset()) * 60_000);
      const [row] = await rowsOf(connection, `SELECT Z FROM ${table} ORDER BY Z`);
      expect(row).toEqual([wall]);
    });

    test('years after 9999 are refused', async () => {
      const [table, connection] = [await make('(Z TIMESTAMP(3) WITH TIME ZONE)'), await connect()];
      await expect(
        connection.execute(`INSERT INTO ${table} VALUES (:1)`, [new Date(253_402_300_800_000)]),
      ).rejects.toMatchObject({
        message: expect.stringMatching(/ORA-018\d\d/),
      });
    });
  });

  describe('statements', () => {
    test('rows are fetched in batches, as they were when the query began', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      const rows = Array.from({ length: 6_000 }, (_, i) => [i, `row ${i}`]);
      await one.directPathLoad(target.schema, table, ['ID', 'WHAT'], rows);
      const options = { resultSet: true, fetchArraySize: 777, prefetchRows: 10 } as const;
      const { resultSet } = await one.execute<unknown[]>(`SELECT ID, WHAT FROM ${table} ORDER BY ID`, [], options);
      const found = await resultSet!.getRows(20);
      await other.execute(`DELETE FROM ${table} WHERE ID > 100`, [], { autoCommit: true });
      for (let some = await resultSet!.getRows(1_000); some.length > 0; some = await resultSet!.getRows(1_000))
        found.push(...some);
      await resultSet!.close();
      expect(found).toEqual(rows);
      expect(await count(one, table)).toBe(101);
    });

    test('a statement runs again with other binds', async () => {
      const [table, connection] = [await keyed(), await connect()];
      const insert = `INSERT INTO ${table} VALUES (:id, :what)`;
      for (const id of [1, 2, 3])
        expect((await connection.execute(insert, { id, what: `w${id}` })).rowsAffected).toBe(1);
      for (const id of [3, 1]) {
        expect(await rowsOf(connection, `SELECT WHAT FROM ${table} WHERE ID = :id`, { id })).toEqual([[`w${id}`]]);
      }
      const change = `UPDATE ${table} SET WHAT = :what WHERE ID IN (:one, :other)`;
      expect((await connection.execute(change, { what: 'new', one: 1, other: 3 })).rowsAffected).toBe(2);
      expect((await connection.execute(`DELETE FROM ${table} WHERE WHAT = 'new'`)).rowsAffected).toBe(2);
      expect(await rowsOf(connection, `SELECT * FROM ${table}`)).toEqual([[2, 'w2']]);
    });

    test('an array: its good rows stay, with batchErrors all of them, without those before the bad one', async () => {
      const [table, connection] = [await keyed(), await connect()];
      const insert = `INSERT INTO ${table} VALUES (:1, :2)`;
      const rows = [
        [1, 'a'],
        [1, 'again'],
        [2, 'x'.repeat(101)],
        [null, 'none'],
        [3, 'c'],
      ];
      const bindDefs = [{ type: oracledb.NUMBER }, { type: oracledb.STRING, maxSize: 200 }];
      const { rowsAffected, batchErrors } = await connection.executeMany(insert, rows, { bindDefs, batchErrors: true });
      expect(rowsAffected).toBe(2);
      expect(batchErrors!.map(({ offset, message }) => [offset, /ORA-\d+/.exec(message)![0]])).toEqual([
        [1, 'ORA-00001'],
        [2, 'ORA-12899'],
        [3, 'ORA-01400'],
      ]);
      await connection.rollback();
      await expect(connection.executeMany(insert, rows, { bindDefs })).rejects.toEqual(code(1));
      expect(await count(connection, table)).toBe(1);
    });

    test('window functions, unions, groups, and what is left of tables by condition', async () => {
      const [table, connection] = [await keyed(), await connect()];
      await connection.executeMany(`INSERT INTO ${table} VALUES (:1, :2)`, [
        [1, 'a'],
        [2, 'a'],
        [3, 'b'],
      ]);
      const ranked = `SELECT WHAT, ROW_NUMBER() OVER (PARTITION BY WHAT ORDER BY ID DESC) AS R, ID FROM ${table} ORDER BY ID`;
      expect(await rowsOf(connection, ranked)).toEqual([
        ['a', 2, 1],
        ['a', 1, 2],
        ['b', 1, 3],
      ]);
      const groups = `SELECT WHAT, COUNT(*), MIN(ID), MAX(ID), SUM(ID) FROM ${table} GROUP BY WHAT HAVING COUNT(*) > 1`;
      expect(await rowsOf(connection, groups)).toEqual([['a', 2, 1, 2, 3]]);
      const both = `SELECT ID FROM (SELECT ID FROM ${table} UNION ALL SELECT ID + 10 FROM ${target.schema}.${table}) WHERE ID > 2 ORDER BY ID FETCH FIRST 2 ROWS ONLY`;
      expect(await rowsOf(connection, both)).toEqual([[3], [11]]);
      expect(await rowsOf(connection, `SELECT ID FROM ${table} MINUS SELECT 2 FROM DUAL ORDER BY 1`)).toEqual([
        [1],
        [3],
      ]);
    });

    test('what does not exist, or is there already, or cannot be read', async () => {
      const [table, connection] = [await keyed(), await connect()];
      await expect(connection.execute('SELECT 1 FROM NO_SUCH_TABLE')).rejects.toEqual(code(942));
      await expect(connection.execute(`SELECT NO_SUCH FROM ${table}`)).rejects.toEqual(code(904));
      await expect(connection.execute(`CREATE TABLE ${table} (A NUMBER)`)).rejects.toEqual(code(955));
      await expect(connection.execute('DROP TABLE NO_SUCH_TABLE PURGE')).rejects.toEqual(code(942));
      await expect(connection.execute('FROBNICATE')).rejects.toEqual(code(900));
      await expect(connection.execute(`INSERT INTO ${table} VALUES (1)`)).rejects.toEqual(code(947));
    });

    test('an error says what it is about, as Oracle does', async () => {
      const [table, connection] = [await keyed(), await connect()];
      const place = `"${target.schema}"."${table}"`;
      const says = async (statement: string, text: string) =>
        expect(connection.execute(statement)).rejects.toMatchObject({ message: expect.stringContaining(text) });
      await connection.execute(`INSERT INTO ${table} (ID) VALUES (1)`);
      await says(
        `INSERT INTO ${table} (ID) VALUES (1)`,
        `ORA-00001: unique constraint (${target.schema}.${table}_PK) violated`,
      );
      await says(`INSERT INTO ${table} (WHAT) VALUES ('a')`, `ORA-01400: cannot insert NULL into (${place}."ID")`);
      await says(`UPDATE ${table} SET ID = NULL`, `ORA-01407: cannot update (${place}."ID") to NULL`);
      const long = `ORA-12899: value too large for column ${place}."WHAT" (actual: 101, maximum: 100)`;
      await says(`INSERT INTO ${table} VALUES (2, '${'x'.repeat(101)}')`, long);
      await says(`SELECT "no such" FROM ${table}`, 'ORA-00904: "no such": invalid identifier');
    });

    test('times are computed from numbers, and told as text', async () => {
      const [table, connection] = [await make('(T TIMESTAMP(3))'), await connect()];
      const times = [0, 1_761_438_600_123, 253_402_300_799_999];
      const time = `TIMESTAMP '1970-01-01 00:00:00' + NUMTODSINTERVAL(:1 * 0.001, 'SECOND')`;
      for (const ms of times) await connection.execute(`INSERT INTO ${table} SELECT ${time} FROM DUAL`, [ms]);
      const text = `SELECT TO_CHAR(T, 'YYYY-MM-DD"T"HH24:MI:SS.FF3"Z"') FROM ${table} ORDER BY T`;
      expect(await rowsOf(connection, text)).toEqual(times.map((ms) => [new Date(ms).toISOString()]));
    });

    test('the dictionary knows columns, keys, indexes and how a table is stored', async () => {
      const table = await make(
        `(ID NUMBER(10), Z TIMESTAMP(3) WITH TIME ZONE DEFAULT SYSTIMESTAMP NOT NULL, S VARCHAR2(10 CHAR), L CLOB,
          CONSTRAINT $NAME_PK PRIMARY KEY (ID)) NOLOGGING`,
      );
      const connection = await connect();
      await connection.execute(`CREATE UNIQUE INDEX ${table}_U ON ${table} (S, Z) NOLOGGING`);
      const columns = `SELECT COLUMN_NAME, DATA_TYPE, NULLABLE, CHAR_LENGTH FROM USER_TAB_COLUMNS WHERE TABLE_NAME = :1 ORDER BY COLUMN_ID`;
      expect(await rowsOf(connection, columns, [table])).toEqual([
        ['ID', 'NUMBER', 'N', 0],
        ['Z', 'TIMESTAMP(3) WITH TIME ZONE', 'N', 0],
        ['S', 'VARCHAR2', 'Y', 10],
        ['L', 'CLOB', 'Y', 0],
      ]);
      const [stored] = await rowsOf(connection, 'SELECT LOGGING, PARTITIONED FROM USER_TABLES WHERE TABLE_NAME = :1', [
        table,
      ]);
      expect(stored).toEqual(['NO', 'NO']);
      const keys = `SELECT i.INDEX_NAME, i.UNIQUENESS, i.STATUS, c.COLUMN_NAME FROM USER_INDEXES i JOIN USER_IND_COLUMNS c
        ON c.INDEX_NAME = i.INDEX_NAME WHERE i.TABLE_NAME = :1 AND i.INDEX_NAME LIKE 'T!_%' ESCAPE '!' ORDER BY 1, c.COLUMN_POSITION`;
      expect(await rowsOf(connection, keys, [table])).toEqual([
        [`${table}_PK`, 'UNIQUE', 'VALID', 'ID'],
        [`${table}_U`, 'UNIQUE', 'VALID', 'S'],
        [`${table}_U`, 'UNIQUE', 'VALID', 'Z'],
      ]);
      const [set] = await rowsOf(
        connection,
        "SELECT VALUE FROM NLS_DATABASE_PARAMETERS WHERE PARAMETER = 'NLS_CHARACTERSET'",
      );
      expect(set).toEqual(['AL32UTF8']);
      await connection.execute(`INSERT INTO ${table} (ID) VALUES (1)`);
      await connection.execute(`BEGIN DBMS_STATS.GATHER_TABLE_STATS(ownname => USER, tabname => '${table}'); END;`);
      await connection.execute('BEGIN DBMS_STATS.GATHER_TABLE_STATS(:1, :2); END;', [target.schema, `"${table}"`]);
      expect(await rowsOf(connection, 'SELECT NUM_ROWS FROM USER_TABLES WHERE TABLE_NAME = :1', [table])).toEqual([
        [1],
      ]);
    });
  });

  describe('transactions', () => {
    test('nobody sees what is not committed, and rolling back undoes it', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      await one.execute(`INSERT INTO ${table} VALUES (1, 'a')`, [], { autoCommit: true });
      await one.execute(`UPDATE ${table} SET WHAT = 'b'`);
      await one.execute(`INSERT INTO ${table} VALUES (2, 'c')`);
      expect(await rowsOf(one, `SELECT * FROM ${table} ORDER BY ID`)).toEqual([
        [1, 'b'],
        [2, 'c'],
      ]);
      expect(await rowsOf(other, `SELECT * FROM ${table}`)).toEqual([[1, 'a']]);
      await one.rollback();
      expect(await rowsOf(one, `SELECT * FROM ${table}`)).toEqual([[1, 'a']]);
      await one.execute(`DELETE FROM ${table}`);
      await one.commit();
      expect(await count(other, table)).toBe(0);
    });

    test('a definition commits, also one that fails', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      await one.execute(`INSERT INTO ${table} VALUES (1, 'a')`);
      await one.execute(`CREATE INDEX ${table}_I ON ${table} (WHAT)`);
      expect(await count(other, table)).toBe(1);
      await one.execute(`INSERT INTO ${table} VALUES (2, 'b')`);
      await expect(one.execute(`CREATE TABLE ${table} (A NUMBER)`)).rejects.toEqual(code(955));
      await one.rollback();
      expect(await count(other, table)).toBe(2);
    });

    test('a definition does not wait', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      await one.execute(`INSERT INTO ${table} VALUES (1, 'a')`);
      await expect(other.execute(`DROP TABLE ${table} PURGE`)).rejects.toEqual(code(54));
      await expect(other.execute(`TRUNCATE TABLE ${table}`)).rejects.toEqual(code(54));
    });

    test('a row is locked until its transaction ends', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      await one.execute(`INSERT INTO ${table} VALUES (1, 'a')`, [], { autoCommit: true });
      await one.execute(`INSERT INTO ${table} VALUES (2, 'b')`, [], { autoCommit: true });
      const lock = `SELECT WHAT FROM ${table} WHERE ID = 1 FOR UPDATE`;
      expect(await rowsOf(one, lock)).toEqual([['a']]);
      await expect(other.execute(`${lock} NOWAIT`)).rejects.toEqual(code(54));
      await expect(other.execute(`${lock} WAIT 1`)).rejects.toEqual(code(30006));
      expect((await other.execute(`UPDATE ${table} SET WHAT = 'free' WHERE ID = 2`)).rowsAffected).toBe(1);
      let told: unknown = null;
      const waits = rowsOf(other, lock).then((rows) => {
        told = rows;
      });
      await one.execute(`UPDATE ${table} SET WHAT = 'mine' WHERE ID = 1`);
      await one.ping();
      expect(told).toBeNull();
      await one.commit();
      await waits;
      expect(told).toEqual([['mine']]);
    });

    test('a key that an open transaction holds is waited for: taken, or free again', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      const claim = (connection: oracledb.Connection, id: number) =>
        connection.execute(`INSERT INTO ${table} (ID) VALUES (:1)`, [id]);
      await claim(one, 1);
      const taken = expect(claim(other, 1)).rejects.toEqual(code(1));
      await one.ping();
      await one.commit();
      await taken;
      await claim(one, 2);
      const free = claim(other, 2);
      await one.ping();
      await one.rollback();
      expect((await free).rowsAffected).toBe(1);
    });

    test('who waits in a circle is told so', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      await one.executeMany(`INSERT INTO ${table} (ID) VALUES (:1)`, [[1], [2]]);
      await one.commit();
      const touch = (connection: oracledb.Connection, id: number) =>
        connection.execute(`UPDATE ${table} SET WHAT = 'x' WHERE ID = :1`, [id]);
      await touch(one, 1);
      await touch(other, 2);
      const results = await Promise.allSettled([
        touch(one, 2).finally(() => one.rollback()),
        touch(other, 1).finally(() => other.rollback()),
      ]);
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(results.find(({ status }) => status === 'rejected')).toMatchObject({ reason: code(60) });
    });
  });

  describe('direct path', () => {
    test('an insert by APPEND locks the table, hides it from its own transaction, and is undone like any other', async () => {
      const [table, one, other] = [await keyed(), await connect(), await connect()];
      const append = `INSERT /*+ APPEND */ INTO ${table} (ID, WHAT) SELECT 1, 'a' FROM DUAL UNION ALL SELECT 2, 'b' FROM DUAL`;
      expect((await one.execute(append)).rowsAffected).toBe(2);
      await expect(one.execute(`SELECT COUNT(*) FROM ${table}`)).rejects.toEqual(code(12838));
      await expect(one.execute(`INSERT INTO ${table} VALUES (3, 'c')`)).rejects.toEqual(code(12838));
      await expect(other.execute(`LOCK TABLE ${table} IN ROW EXCLUSIVE MODE NOWAIT`)).rejects.toEqual(code(54));
      expect(await count(other, table)).toBe(0);
      await one.rollback();
      expect(await count(one, table)).toBe(0);
      await one.execute(append);
      await one.commit();
      await expect(one.execute(append)).rejects.toEqual(code(1));
      await one.rollback();
      expect(await count(one, table)).toBe(2);
    });

    test('a load takes a key twice, and the index is unusable from then on', async () => {
      const [table, connection] = [await keyed(), await connect()];
      await connection.directPathLoad(
        target.schema,
        table,
        ['ID', 'WHAT'],
        [
          [1, 'a'],
          [1, 'again'],
        ],
      );
      expect(await count(connection, table)).toBe(2);
      const status = `SELECT STATUS FROM USER_INDEXES WHERE TABLE_NAME = '${table}'`;
      expect(await rowsOf(connection, status)).toEqual([['UNUSABLE']]);
      await expect(connection.execute(`INSERT INTO ${table} VALUES (2, 'b')`)).rejects.toEqual(code(1502));
      await expect(connection.execute(`INSERT /*+ APPEND */ INTO ${table} SELECT 2, 'b' FROM DUAL`)).rejects.toEqual(
        code(26026),
      );
      await expect(connection.execute(`ALTER INDEX ${table}_PK REBUILD`)).rejects.toMatchObject({
        message: expect.stringMatching(/ORA-01452/),
      });
    });

    test('a load without what must be there loads nothing', async () => {
      const table = await make('(ID NUMBER NOT NULL, WHAT VARCHAR2(10) NOT NULL)');
      const connection = await connect();
      const load = (columns: string[], rows: unknown[][]) =>
        connection.directPathLoad(target.schema, table, columns, rows);
      await expect(
        load(
          ['ID', 'WHAT'],
          [
            [1, 'a'],
            [2, null],
          ],
        ),
      ).rejects.toMatchObject({ code: 'NJS-175' });
      // The driver lets the empty text through.
      await expect(
        load(
          ['ID', 'WHAT'],
          [
            [1, 'a'],
            [2, ''],
          ],
        ),
      ).rejects.toEqual(code(1400));
      await expect(load(['ID'], [[1]])).rejects.toEqual(code(1400));
      await expect(load(['ID', 'NOT_THERE'], [[1, 1]])).rejects.toEqual(code(904));
      await expect(connection.directPathLoad(target.schema, 'NO_SUCH_TABLE', ['A'], [[1]])).rejects.toEqual(code(942));
      expect(await count(connection, table)).toBe(0);
      await load(['ID', 'WHAT'], [[1, 'a']]);
      expect(await count(connection, table)).toBe(1);
    });

    test('a load commits the transaction of its session, and waits for who holds the table', async () => {
      const [table, side, one, other] = [await keyed(), await keyed(), await connect(), await connect()];
      await one.execute(`INSERT INTO ${side} VALUES (1, 'a')`);
      await one.directPathLoad(target.schema, table, ['ID'], [[1]]);
      await one.rollback();
      expect(await count(other, side)).toBe(1);
      await other.execute(`LOCK TABLE ${table} IN EXCLUSIVE MODE`);
      let done = false;
      const waits = one.directPathLoad(target.schema, table, ['ID'], [[2]]).then(() => {
        done = true;
      });
      await other.ping();
      expect(done).toBe(false);
      await other.commit();
      await waits;
      expect(await count(other, table)).toBe(2);
    });

    test('rows of any size, and more columns than a piece has segments', async () => {
      const connection = await connect();
      const wide = await make(`(${Array.from({ length: 300 }, (_, i) => `C${i} VARCHAR2(10)`).join(', ')})`);
      const names = Array.from({ length: 300 }, (_, i) => `C${i}`);
      await connection.directPathLoad(target.schema, wide, names, [names.map((name) => `v${name}`)]);
      expect(await rowsOf(connection, `SELECT * FROM ${wide}`)).toEqual([names.map((name) => `v${name}`)]);
      const table = await make('(ID NUMBER, S VARCHAR2(4000), L CLOB)');
      const sizes = [248, 249, 250, 251, 252, 253, 254, 255, 1_000, 3_999, 4_000];
      const rows = sizes.map((size, i) => [i, 's'.repeat(size), 'l'.repeat(size * 40)]);
      await connection.directPathLoad(target.schema, table, ['ID', 'S', 'L'], rows);
      expect(await rowsOf(connection, `SELECT * FROM ${table} ORDER BY ID`)).toEqual(rows);
    });
  });
});

describe('the double of Oracle', () => {
  const attributes = ({ user, password, connectString }: TestOracle) => ({ user, password, connectString });
  const connect = async (oracle: TestOracle) =>
    connectTo({ ...attributes(oracle), schema: oracle.user, double: oracle });
  async function withTable(): Promise<TestOracle> {
    const oracle = await startOracle();
    await oracle.sql('CREATE TABLE T (ID NUMBER PRIMARY KEY)');
    return oracle;
  }
  const ids = async (oracle: TestOracle) => (await oracle.sql('SELECT ID FROM T ORDER BY ID')).map(({ ID }) => ID);

  test.for([
    18, 20, 54, 60, 257, 1031, 1536, 1652, 1653, 1654, 1658, 1688, 1950, 4021, 12838, 14400, 19809, 30036, 30006, 38910,
  ])('raises ORA-%i in place of a statement, or after it', async (number) => {
    const oracle = await withTable();
    const connection = await connect(oracle);
    const struck = oracle.faults.add({ match: ({ what }) => what === 'execute', ora: number });
    await expect(connection.execute('INSERT INTO T VALUES (1)')).rejects.toEqual(code(number));
    oracle.faults.add({ match: ({ what }) => what === 'finish', when: 'after', ora: number, message: 'by the test' });
    await expect(connection.directPathLoad(oracle.user, 'T', ['ID'], [[2]])).rejects.toMatchObject({
      errorNum: number,
      message: expect.stringContaining('by the test'),
    });
    expect(struck()).toBe(1);
    expect(await ids(oracle)).toEqual([2]);
    await connection.ping();
  });

  test('refuses logins with any code, and by the listener', async () => {
    const oracle = await startOracle();
    for (const ora of [1017, 28000, 28001, 1045, 1033, 1034, 1089, 1090]) {
      oracle.faults.add({ match: ({ what }) => what === 'password', ora });
      await expect(connect(oracle)).rejects.toEqual(code(ora));
    }
    for (const ora of [12514, 12516, 12518, 12519, 12520, 12528]) {
      oracle.faults.add({ match: ({ what }) => what === 'connect', ora });
      await expect(connect(oracle)).rejects.toMatchObject({ code: expect.stringMatching(/^NJS-5\d\d$/) });
    }
    oracle.faults.add({ match: ({ what }) => what === 'ping', ora: 3113 });
    await expect((await connect(oracle)).ping()).rejects.toMatchObject({ isRecoverable: true });
    oracle.database.facts = { ...oracle.database.facts, loginWarning: 28002 };
    expect((await connect(oracle)).warning).toMatchObject({ errorNum: 28002 });
  });

  async function scenario(oracle: TestOracle): Promise<void> {
    const connection = await oracledb.getConnection(attributes(oracle));
    try {
      await connection.execute('INSERT INTO T VALUES (1)');
      await connection.commit();
      await connection.directPathLoad(oracle.user, 'T', ['ID'], [[2]]);
      await connection.execute('INSERT /*+ APPEND */ INTO T SELECT 3 FROM DUAL', [], { autoCommit: true });
    } finally {
      await connection.close().catch(() => {});
    }
  }

  test('is cut at any message, before or after its effect or amid the reply, and keeps what was committed', async () => {
    const whole = await withTable();
    await scenario(whole);
    const kinds = whole.log.map(({ what }) => what);
    expect(kinds).toEqual([
      ...['connect', 'protocol', 'datatypes', 'logon', 'password', 'execute', 'commit', 'prepare', 'load', 'finish'],
      ...['execute', 'logoff'],
    ]);
    const committing = [7, 10, 11];
    for (const [i, what] of kinds.slice(0, -1).entries()) {
      for (const when of ['before', 'after', 'amid'] as const) {
        const oracle = await withTable();
        oracle.faults.add({ n: i + 1, when, drop: true });
        await expect(scenario(oracle), `${when} ${what}`).rejects.toMatchObject({
          code: expect.stringMatching(/^NJS-|^ORA-/),
        });
        expect(oracle.log).toHaveLength(i + 1);
        const done = committing.filter((n) => (when === 'before' ? n < i + 1 : n <= i + 1)).length;
        expect(await ids(oracle), `${when} ${what}`).toEqual([1, 2, 3].slice(0, done));
        expect(oracle.database.sessions.size).toBe(0);
        await oracle.stop();
      }
    }
  });

  test('a session that is cut off rolls back and lets go; one that lingers keeps its locks until it is killed', async () => {
    const oracle = await withTable();
    const other = await connect(oracle);
    for (const lingers of [false, true]) {
      const connection = await connect(oracle);
      await connection.execute('INSERT INTO T VALUES (1)');
      oracle.faults.add({ match: ({ what }) => what === 'ping', drop: true, lingers });
      await expect(connection.ping()).rejects.toMatchObject({ isRecoverable: true });
      if (!lingers) continue;
      await expect(other.execute('LOCK TABLE T IN EXCLUSIVE MODE NOWAIT')).rejects.toEqual(code(54));
      oracle.kill();
      const after = await connect(oracle);
      await after.execute('LOCK TABLE T IN EXCLUSIVE MODE NOWAIT');
    }
    expect(await ids(oracle)).toEqual([]);
  });

  test('stalls until it is let go', async () => {
    const oracle = await withTable();
    const connection = await connect(oracle);
    oracle.faults.add({ match: ({ what }) => what === 'commit', when: 'after', stall: true });
    await connection.execute('INSERT INTO T VALUES (1)');
    let told = false;
    const commit = connection.commit().then(() => {
      told = true;
    });
    await until(async () => (await ids(oracle)).length === 1, { what: 'the commit' });
    expect(told).toBe(false);
    oracle.faults.release();
    await commit;
  });

  test('keeps its data over a restart on the same port, and nothing of open transactions', async () => {
    const oracle = await withTable();
    await scenario(oracle);
    const connection = await connect(oracle);
    await connection.execute('INSERT INTO T VALUES (4)');
    const { database, port } = oracle;
    await oracle.stop();
    await expect(connection.commit()).rejects.toMatchObject({ isRecoverable: true });
    await expect(connect(oracle)).rejects.toMatchObject({ code: 'NJS-503' });
    const again = await startOracle({ database, port });
    const later = await connect(again);
    expect(await rowsOf(later, 'SELECT COUNT(*) FROM T')).toEqual([[3]]);
  });

  test('runs as a process of its own, with its rows in a file', async () => {
    const file = join(tmpFolder('oracle'), 'rows');
    const program = startProgram({ argv: [process.execPath, 'test/support/oracle/main.ts', '--file', file] });
    type Line = { connectString: string; user: string; password: string };
    const { connectString, user, password } = await program.line<Line>(() => true, 'where it is');
    const connection = await connectTo({ connectString, user, password, schema: user, double: null });
    await connection.execute('CREATE TABLE T (ID NUMBER)');
    await connection.directPathLoad(user, 'T', ['ID'], [[1], [2]]);
    expect(await rowsOf(connection, 'SELECT COUNT(*) FROM T')).toEqual([[2]]);
    await connection.close();
    program.kill('SIGTERM');
    expect(await program.ended()).toEqual({ code: 0, signal: null });
  });

  test('speaks TLS', async () => {
    const files = makeCertificate('oracle.test');
    const [key, cert] = [files.keyFile, files.certFile].map((file) => readFileSync(file, 'utf8'));
    const oracle = await startOracle({ tls: { key: key!, cert: cert! } });
    const connectString = `tcps://${oracle.connectString}?ssl_server_dn_match=off`;
    const target = { ...attributes(oracle), connectString, schema: oracle.user, double: oracle };
    const connection = await connectTo(target, { walletContent: `${key}${cert}` });
    expect(await rowsOf(connection, 'SELECT 1 FROM DUAL')).toEqual([[1]]);
  });

  test('says in its dictionary what a test wants it to say', async () => {
    const oracle = await startOracle({
      facts: {
        forceLogging: true,
        characterSet: 'WE8ISO8859P1',
        privileges: ['CREATE SESSION'],
        quotas: { DATA: 1_000 },
      },
    });
    expect(await oracle.sql('SELECT FORCE_LOGGING FROM V$DATABASE')).toEqual([{ FORCE_LOGGING: 'YES' }]);
    expect(await oracle.sql('SELECT PRIVILEGE FROM SESSION_PRIVS')).toEqual([{ PRIVILEGE: 'CREATE SESSION' }]);
    expect(await oracle.sql('SELECT TABLESPACE_NAME, MAX_BYTES FROM USER_TS_QUOTAS')).toEqual([
      { TABLESPACE_NAME: 'DATA', MAX_BYTES: 1_000 },
    ]);
  });
});
