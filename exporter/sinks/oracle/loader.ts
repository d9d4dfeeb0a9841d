import { type Problem, problem } from '#queue/problem.ts';
import type { BindType, Session } from './connection.ts';
import type { LoadedBy } from './control.ts';
import { stagedColumns } from './ddl.ts';
import { codeOf, directPathRefused, errorClassOf } from './errors.ts';
import { identifier, qualified } from './names.ts';

const names = stagedColumns.map(([name]) => name);
const binds: readonly BindType[] = stagedColumns.map(([name, type]) => {
  if (name === 'PAYLOAD_LONG') return { text: 32_767 };
  const size = /^VARCHAR2\((\d+)/.exec(type)?.[1];
  return size === undefined ? 'number' : { text: Number(size) };
});

/**
 * Puts batches into a staging table: by direct path, each call of which is all or nothing and committed by the server;
 * by array INSERTs from the batch on that the server refuses so, before it took any row of it. That is a definite
 * answer. Whatever else goes wrong is not: it ends the attempt.
 */
export function loader(session: Session, table: string, loading: LoadedBy) {
  const staging = qualified(session.user, table);
  const insert = `INSERT INTO ${staging} (${names.map(identifier).join(', ')}) VALUES (${names.map((_, i) => `:${i + 1}`).join(', ')})`;
  let by = loading;

  async function conventional(rows: unknown[][]): Promise<void> {
    await session.transaction(async () => {
      const refused = await session.insertMany(insert, binds, rows);
      if (refused.length > 0) throw refusedRow(rows[refused[0]!.offset]!, refused[0]!.error);
    });
  }

  /** Direct path says what is wrong, but not with which row: array INSERTs do. Nothing of them is kept. */
  async function findRefused(rows: unknown[][], cause: unknown): Promise<unknown> {
    try {
      await session.transaction(async () => {
        const [first] = await session.insertMany(insert, binds, rows);
        throw first === undefined ? cause : refusedRow(rows[first.offset]!, first.error);
      });
    } catch (error) {
      return error;
    }
    return cause;
  }

  return {
    /** How rows go in by now. */
    by: (): LoadedBy => by,
    async put(rows: unknown[][]): Promise<void> {
      if (by === 'Conventional') return conventional(rows);
      try {
        await session.directPath(session.user, table, names, rows);
      } catch (error) {
        if (directPathRefused.includes(codeOf(error) ?? '') && session.usable) {
          by = 'Conventional';
          return conventional(rows);
        }
        const isData = errorClassOf(error).code === 'target_unfit' && session.usable;
        throw isData ? await findRefused(rows, error) : error;
      }
    },
  };
}

/** Names the row, never what is in it. */
function refusedRow(row: readonly unknown[], cause: Error): Problem {
  const [student, writer, seq] = ['STUDENT', 'WRITER', 'SEQ'].map((name) => row[names.indexOf(name as never)]);
  const said = cause.message.split('\n')[0];
  return problem(
    'target_unfit',
    `Oracle refused a row (student ${student}, writer ${writer}, seq ${seq}): ${said}`,
    'Every admissible event fits into a staging table: find out what changed it, such as a trigger on CREATE. Then export again.',
    { cause },
  );
}
