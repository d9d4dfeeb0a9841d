import { digestOf, isSigned, type PaperState, rootOf, type SignedReceipt, stateOf } from './proof.ts';

/** An event: of one student, by one writer (one outbox), under one number. */
export interface EventName {
  readonly student: string;
  readonly writer: string;
  readonly seq: number;
}

/**
 * What the students' side saw. `at` counts everything that it saw, in the order in which it did, so that "before" and
 * "after" are known between devices too.
 */
export interface Ledger {
  /** Every event, at the moment when it was numbered and before it was sent. */
  readonly sent: readonly (EventName & { readonly sha256: string; readonly at: number })[];
  /** The first acknowledgement of each event that got one. */
  readonly acknowledged: readonly (EventName & { readonly at: number })[];
  /** Refusals for good: sealed, finished, late, ... */
  readonly refused: readonly (EventName & { readonly code: string; readonly at: number })[];
  readonly receipts: readonly SignedReceipt[];
}

/** A row of the exported table. */
export interface Row extends EventName {
  readonly session: string;
  readonly orderNo: number;
  readonly payload: Buffer;
  /** ms since 1970. */
  readonly durableAt: number;
}

/** An event as it stands in the sealed log of its shard. */
export interface Logged extends EventName {
  readonly payload: Buffer;
}

export interface Evidence {
  readonly session: string;
  readonly ledger: Ledger;
  readonly rows: readonly Row[];
  /** A list a shard, in log order. */
  readonly log: readonly (readonly Logged[])[];
  /** From the session's status. */
  readonly root: string;
  readonly publicKey: string;
}

export type FaultKind =
  /** Acknowledged, and not in the table. */
  | 'missing'
  | 'twice'
  /** Other bytes than were sent. */
  | 'changed'
  /** In the table, and no student sent it. */
  | 'foreign'
  /** The seqs of a writer are not 1, 2, 3, ... */
  | 'gap'
  /** The ORDER_NOs of a student are not 1, 2, 3, ..., or contradict the seqs of a writer. */
  | 'disordered'
  /** Acknowledged before another of the same student was numbered, and ordered after it. */
  | 'overtaken'
  /** Acknowledged, and never sent; or numbered otherwise than in turn. */
  | 'false_acknowledgement'
  | 'misnumbered'
  /** Refused for good after it had been acknowledged. */
  | 'taken_back'
  /** Not signed by the session, or for another one. */
  | 'forged_receipt'
  /** The table does not give the state that the receipt names. */
  | 'broken_receipt'
  /** Added to a paper that was finished. */
  | 'after_finish'
  /** The table's root is not the sealed one. */
  | 'other_root'
  /** The table and the sealed log differ. */
  | 'other_log';

export interface Fault {
  readonly kind: FaultKind;
  readonly what: string;
}

/** Every way in which the promise was broken. Pure; believes nothing but the evidence. */
export function check(evidence: Evidence): Fault[] {
  const faults: Fault[] = [];
  const blame: Blame = (kind, what) => void faults.push({ kind, what });
  checkLedger(evidence, blame);
  checkRows(evidence, blame);
  checkOrder(evidence, blame);
  checkOvertaking(evidence, blame);
  checkReceipts(evidence, blame);
  checkRoot(evidence, blame);
  checkLog(evidence, blame);
  return faults;
}

type Blame = (kind: FaultKind, what: string) => void;

function checkLedger({ ledger }: Evidence, blame: Blame): void {
  const sent = new Set(ledger.sent.map(nameOf));
  const acknowledgedAt = new Map(ledger.acknowledged.map((event) => [nameOf(event), event.at]));
  for (const name of acknowledgedAt.keys()) if (!sent.has(name)) blame('false_acknowledgement', name);
  for (const { code, at, ...event } of ledger.refused) {
    const name = nameOf(event);
    if ((acknowledgedAt.get(name) ?? Infinity) < at) blame('taken_back', `${name}: refused as ${code}`);
  }
  for (const [writer, events] of groupBy(ledger.sent, writerOf)) {
    const seqs = [...events].sort((a, b) => a.at - b.at).map((event) => event.seq);
    if (!countsUp(seqs)) blame('misnumbered', `${writer}: ${brief(seqs)}`);
  }
}

function checkRows({ session, ledger, rows }: Evidence, blame: Blame): void {
  const sent = new Map(ledger.sent.map((event) => [nameOf(event), event.sha256]));
  const found = new Set<string>();
  for (const row of rows) {
    const name = nameOf(row);
    if (found.has(name)) blame('twice', name);
    found.add(name);
    const digest = sent.get(name);
    if (digest === undefined || row.session !== session) blame('foreign', name);
    else if (digest !== digestOf(row.payload)) blame('changed', name);
  }
  for (const event of ledger.acknowledged) if (!found.has(nameOf(event))) blame('missing', nameOf(event));
}

function checkOrder({ rows }: Evidence, blame: Blame): void {
  for (const [student, own] of groupBy(rows, (row) => row.student)) {
    const orderNos = inOrder(own).map((row) => row.orderNo);
    if (!countsUp(orderNos)) blame('disordered', `ORDER_NO of ${student}: ${brief(orderNos)}`);
  }
  for (const [writer, own] of groupBy(rows, writerOf)) {
    const seqs = inOrder(own).map((row) => row.seq);
    if (countsUp(seqs)) continue;
    const isPermuted = countsUp([...seqs].sort((a, b) => a - b));
    blame(isPermuted ? 'disordered' : 'gap', `seqs of ${writer}: ${brief(seqs)}`);
  }
}

/** What was acknowledged before something else was even numbered must stand before it, whatever the devices. */
function checkOvertaking({ ledger, rows }: Evidence, blame: Blame): void {
  const sentAt = new Map(ledger.sent.map((event) => [nameOf(event), event.at]));
  const acknowledgedAt = new Map(ledger.acknowledged.map((event) => [nameOf(event), event.at]));
  for (const own of groupBy(rows, (row) => row.student).values()) {
    let later = { at: Infinity, name: '' };
    for (const row of inOrder(own).reverse()) {
      const name = nameOf(row);
      if (later.at < (sentAt.get(name) ?? -1)) blame('overtaken', `${later.name} by ${name}`);
      const at = acknowledgedAt.get(name) ?? Infinity;
      if (at < later.at) later = { at, name };
    }
  }
}

function checkReceipts({ session, ledger, rows, publicKey }: Evidence, blame: Blame): void {
  const papers = groupBy(rows, writerOf);
  const students = groupBy(rows, (row) => row.student);
  for (const receipt of ledger.receipts) {
    const { student, writer, lastSeq, chain, time } = receipt;
    const name = `receipt of ${writerOf(receipt)}`;
    if (receipt.session !== session || !isSigned(publicKey, receipt)) blame('forged_receipt', name);
    const paper = inOrder(papers.get(writerOf(receipt)) ?? []).map((row) => row.payload);
    const state = stateOf(session, student, writer, paper);
    if (state.seq !== lastSeq || state.chain !== chain) {
      blame('broken_receipt', `${name}: ${lastSeq} events, the table has ${state.seq}`);
    }
    for (const row of students.get(student) ?? []) {
      if (row.durableAt > time) blame('after_finish', `${nameOf(row)}, ${row.durableAt - time} ms after Finish`);
    }
  }
}

function checkRoot({ session, rows, root }: Evidence, blame: Blame): void {
  const states: PaperState[] = [...groupBy(rows, writerOf).values()].map((own) => {
    const { student, writer } = own[0]!;
    return stateOf(
      session,
      student,
      writer,
      inOrder(own).map((row) => row.payload),
    );
  });
  const found = rootOf(states);
  if (found !== root) blame('other_root', `${found}, sealed was ${root}`);
}

/** The table is the log: the same events, and each student's in the log's order. */
function checkLog({ rows, log }: Evidence, blame: Blame): void {
  const tables = groupBy(rows, (row) => row.student);
  const logs = groupBy(log.flat(), (event) => event.student);
  for (const student of new Set([...tables.keys(), ...logs.keys()])) {
    const table = inOrder(tables.get(student) ?? []);
    const logged = logs.get(student) ?? [];
    const differs = table.findIndex((row, i) => !isSame(row, logged[i]));
    if (differs >= 0) blame('other_log', `${student}: ORDER_NO ${differs + 1} is not the log's event ${differs + 1}`);
    else if (table.length !== logged.length) {
      blame('other_log', `${student}: ${table.length} rows, ${logged.length} events in the log`);
    }
  }
}

function isSame(row: Row, logged: Logged | undefined): boolean {
  return logged !== undefined && nameOf(row) === nameOf(logged) && row.payload.equals(logged.payload);
}

function nameOf(event: EventName): string {
  return `${writerOf(event)} ${event.seq}`;
}

function writerOf({ student, writer }: Omit<EventName, 'seq'>): string {
  return `${JSON.stringify(student)} ${writer}`;
}

function inOrder(rows: readonly Row[]): Row[] {
  return [...rows].sort((a, b) => a.orderNo - b.orderNo || a.seq - b.seq);
}

function countsUp(numbers: readonly number[]): boolean {
  return numbers.every((number, i) => number === i + 1);
}

function brief(numbers: readonly number[]): string {
  const wrong = numbers.findIndex((number, i) => number !== i + 1);
  return `... ${numbers.slice(Math.max(0, wrong - 2), wrong + 3).join(', ')} ...`;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return groups;
}
