import { describe, expect, test } from 'vitest';
import { sessionRoot } from '#queue/merkle.ts';
import { generateReceiptKeys, makeReceipt } from '#queue/receipt.ts';
import { check, type Evidence, type FaultKind, type Ledger, type Row } from './checker.ts';
import { digestOf, rootOf, stateOf } from './proof.ts';

const session = '3f0e6c1e-6c1c-4a51-9d8a-1f6a0a4c7b11';
const keys = generateReceiptKeys();
const finishedAt = 1_700_000_100_000;

type Step = readonly [student: string, writer: string, seq: number];
type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? Mutable<E>[] : T[K] };

/** What happened, in this order: numbered, acknowledged at once, logged. Ben has two devices; Anna finished. */
const steps: readonly Step[] = [
  ['anna', 'writer-a1', 1],
  ['ben', 'writer-b1', 1],
  ['ben', 'writer-b2', 1],
  ['anna', 'writer-a1', 2],
  ['ben', 'writer-b1', 2],
  ['ben', 'writer-b2', 2],
  ['anna', 'writer-a1', 3],
  ['ben', 'writer-b2', 3],
];

const payloadOf = ([student, writer, seq]: Step) => Buffer.from(JSON.stringify({ student, writer, n: seq }));

/** Evidence of a kept promise, to be broken by a test. */
function kept(): Mutable<Evidence> & { ledger: Mutable<Ledger> } {
  const counts = new Map<string, number>();
  const rows: Row[] = steps.map((step, i) => {
    const [student, writer, seq] = step;
    const orderNo = (counts.get(student) ?? 0) + 1;
    counts.set(student, orderNo);
    return { session, student, writer, seq, orderNo, payload: payloadOf(step), durableAt: finishedAt - 1000 + i };
  });
  const sent = steps.map((step, i) => ({ ...nameOf(step), sha256: digestOf(payloadOf(step)), at: 2 * i }));
  const acknowledged = steps.map((step, i) => ({ ...nameOf(step), at: 2 * i + 1 }));
  const payloadsOf = (own: string) => steps.filter(([, writer]) => writer === own).map(payloadOf);
  const states = [
    stateOf(session, 'ben', 'writer-b2', payloadsOf('writer-b2')),
    stateOf(session, 'ben', 'writer-b1', payloadsOf('writer-b1')),
    stateOf(session, 'anna', 'writer-a1', payloadsOf('writer-a1')),
  ];
  const anna = states[2]!;
  const claim = { session, student: 'anna', writer: 'writer-a1', lastSeq: 3, chain: anna.chain, time: finishedAt };
  const receipts = [makeReceipt(keys.privateKey, claim)];
  return {
    session,
    ledger: { sent, acknowledged, refused: [], receipts },
    rows,
    log: [rows.filter((row) => row.student === 'anna'), rows.filter((row) => row.student === 'ben')],
    root: rootOf(states),
    publicKey: keys.publicKey,
  } as ReturnType<typeof kept>;
}

function nameOf([student, writer, seq]: Step) {
  return { student, writer, seq };
}

/** The kinds of faults that are found after `damage` was done. */
function faultsAfter(damage: (evidence: ReturnType<typeof kept>) => void): FaultKind[] {
  const evidence = kept();
  damage(evidence);
  return [...new Set(check(evidence as Evidence).map((fault) => fault.kind))];
}

const at = (evidence: ReturnType<typeof kept>, student: string, orderNo: number) =>
  evidence.rows.findIndex((row) => row.student === student && row.orderNo === orderNo);

/** Also in the log, as when a shard lost or got it: then only the ledger can tell. */
function removeEvent(evidence: ReturnType<typeof kept>, student: string, orderNo: number): void {
  const [row] = evidence.rows.splice(at(evidence, student, orderNo), 1);
  evidence.log = evidence.log.map((shard) => (shard as unknown as Row[]).filter((event) => event !== row)) as never;
  for (const later of evidence.rows) if (later.student === student && later.orderNo > orderNo) later.orderNo--;
}

describe('the checker of histories', () => {
  test('finds nothing where the promise was kept', () => {
    expect(check(kept() as Evidence)).toEqual([]);
  });

  test('agrees with the queue on what a root is', () => {
    const states = ['ben', 'anna', '\u{10437}', '\uff61'].map((student, i) =>
      stateOf(session, student, `writer-${i}`, [Buffer.from('1'), Buffer.from('"x"')]),
    );
    const asQueue = states.map(({ student, writer, seq, chain }) => ({ student, writer, state: { seq, chain } }));
    for (let count = 0; count <= states.length; count++) {
      expect(rootOf(states.slice(0, count))).toBe(sessionRoot(asQueue.slice(0, count)));
    }
  });

  test('takes an event that is there though its acknowledgement was lost', () => {
    expect(faultsAfter(({ ledger }) => ledger.acknowledged.pop())).toEqual([]);
  });

  test('takes an event that was refused and is not there', () => {
    const damage = ({ ledger }: ReturnType<typeof kept>) => {
      ledger.sent.push({ student: 'ben', writer: 'writer-b1', seq: 3, sha256: digestOf('1'), at: 50 });
      ledger.refused.push({ student: 'ben', writer: 'writer-b1', seq: 3, code: 'sealed', at: 51 });
    };
    expect(faultsAfter(damage)).toEqual([]);
  });

  test('finds an acknowledged event that is missing, from table and log', () => {
    expect(faultsAfter((evidence) => removeEvent(evidence, 'ben', 5))).toEqual(['missing', 'other_root']);
  });

  test('finds a missing event in the middle of a paper', () => {
    expect(faultsAfter((evidence) => removeEvent(evidence, 'ben', 2))).toEqual(
      expect.arrayContaining(['missing', 'gap']),
    );
  });

  test('finds a row that is there twice', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      evidence.rows.push({ ...evidence.rows[at(evidence, 'ben', 5)]!, orderNo: 6 });
    };
    expect(faultsAfter(damage)).toEqual(expect.arrayContaining(['twice', 'other_log']));
  });

  test('finds two rows that changed places', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      const [first, second] = [at(evidence, 'anna', 2), at(evidence, 'anna', 3)];
      evidence.rows[first]!.orderNo = 3;
      evidence.rows[second]!.orderNo = 2;
    };
    expect(faultsAfter(damage)).toEqual(expect.arrayContaining(['disordered', 'overtaken', 'broken_receipt']));
  });

  test('finds rows of two devices that changed places, in table and log', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      const [first, second] = [at(evidence, 'ben', 4), at(evidence, 'ben', 3)];
      evidence.rows[first]!.orderNo = 3;
      evidence.rows[second]!.orderNo = 4;
      evidence.log[1] = [...evidence.rows.filter((row) => row.student === 'ben')].sort(
        (a, b) => a.orderNo - b.orderNo,
      ) as never;
    };
    expect(faultsAfter(damage)).toEqual(['overtaken']);
  });

  test('finds changed bytes', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      evidence.rows[0] = { ...evidence.rows[0]!, payload: Buffer.from('{"n":1}') as never };
    };
    expect(faultsAfter(damage)).toEqual(
      expect.arrayContaining(['changed', 'broken_receipt', 'other_root', 'other_log']),
    );
  });

  test('finds a row that no student sent', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      const row = {
        session,
        student: 'eve',
        writer: 'writer-e1',
        seq: 1,
        orderNo: 1,
        payload: Buffer.from('1'),
        durableAt: 1,
      };
      evidence.rows.push(row as never);
      evidence.log.push([row] as never);
    };
    expect(faultsAfter(damage)).toEqual(['foreign', 'other_root']);
  });

  test('finds rows of another session', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      evidence.rows[1] = { ...evidence.rows[1]!, session: 'another' };
    };
    expect(faultsAfter(damage)).toEqual(['foreign']);
  });

  test('finds an ORDER_NO that was left out', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      evidence.rows[at(evidence, 'ben', 5)]!.orderNo = 6;
    };
    expect(faultsAfter(damage)).toEqual(['disordered']);
  });

  test('finds an acknowledgement of nothing', () => {
    const damage = ({ ledger }: ReturnType<typeof kept>) => {
      ledger.acknowledged.push({ student: 'ben', writer: 'writer-b1', seq: 3, at: 99 });
    };
    expect(faultsAfter(damage)).toEqual(['false_acknowledgement', 'missing']);
  });

  test('finds an outbox that numbers twice', () => {
    const damage = ({ ledger }: ReturnType<typeof kept>) => {
      ledger.sent.push({ ...ledger.sent[0]!, at: 99 });
    };
    expect(faultsAfter(damage)).toContain('misnumbered');
  });

  test('finds an acknowledged event that was refused afterwards', () => {
    const damage = ({ ledger }: ReturnType<typeof kept>) => {
      ledger.refused.push({ student: 'ben', writer: 'writer-b1', seq: 2, code: 'sealed', at: 99 });
    };
    expect(faultsAfter(damage)).toEqual(['taken_back']);
  });

  test('finds a receipt that the session did not sign', () => {
    const damage = ({ ledger }: ReturnType<typeof kept>) => {
      ledger.receipts[0] = { ...ledger.receipts[0]!, time: finishedAt + 1 };
    };
    expect(faultsAfter(damage)).toEqual(['forged_receipt']);
  });

  test('finds a receipt for answers that are not there', () => {
    expect(faultsAfter((evidence) => removeEvent(evidence, 'anna', 3))).toEqual(
      expect.arrayContaining(['missing', 'broken_receipt']),
    );
  });

  test('finds an answer that was taken after the paper was finished', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      const row = evidence.rows[at(evidence, 'anna', 3)]!;
      row.durableAt = finishedAt + 1;
    };
    expect(faultsAfter(damage)).toEqual(['after_finish']);
  });

  test('finds another root than the sealed one', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      evidence.root = '0'.repeat(64);
    };
    expect(faultsAfter(damage)).toEqual(['other_root']);
  });

  test('finds an event of the log that is not in the table, also when nobody saw it acknowledged', () => {
    const damage = (evidence: ReturnType<typeof kept>) => {
      evidence.ledger.acknowledged.pop();
      evidence.rows.splice(at(evidence, 'ben', 5), 1);
    };
    expect(faultsAfter(damage)).toEqual(['other_root', 'other_log']);
  });
});
