import { readFileSync } from 'node:fs';
import { createHistogram, performance } from 'node:perf_hooks';
import { openWire, type WireSocket } from './wire.ts';

/**
 * The load generator, a process of its own so that it can be pinned to its own core. It reads one JSON object of
 * {@link LoadOptions} from the file that its argument names, prints `{"kind":"measuring"}` when the warm-up is over, then
 * `{"kind":"measured", ...LoadResult}`, and ends. Bounded by `seconds` plus the time to connect.
 */
export interface LoadOptions {
  host: string;
  port: number;
  /** `echo`: every message that comes back acknowledges one. `gateway`: `Durable(n)` acknowledges up to n. */
  peer: 'echo' | 'gateway';
  connections: number;
  /** Events that each connection keeps unacknowledged (closed loop); ignored when `eventsPerSecond` is set. */
  inFlight: number;
  /** Replacements for several acknowledged events leave in one write (true) or in one write each (false). */
  bundled: boolean;
  /** Open loop: events per second over all connections. 0: closed loop. */
  eventsPerSecond: number;
  warmUpSeconds: number;
  seconds: number;
  /** Bytes of one message, SignalR envelope included. */
  messageBytes: number;
  /** A token a connection (gateway only). */
  tokens: string[];
}

export interface LoadResult {
  acknowledged: number;
  seconds: number;
  ackMs: { p50: number; p99: number; max: number; count: number };
}

interface Student {
  socket: WireSocket | null;
  sent: number;
  acked: number;
  /** Send times of what is unacknowledged, oldest first. */
  sentAt: number[];
}

const options = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as LoadOptions;
const separator = '\x1e';
const openConcurrency = 50;
const state = { measuring: false, acknowledged: 0, stopped: false };
/** Microseconds. */
const latency = createHistogram();

/** A SignalR send of one answer, padded to the asked size; the same text is sent to the echo server. */
function message(seq: number): string {
  const start = `{"type":1,"target":"Submit","arguments":[${seq},{"question":${seq % 40},"answer":"`;
  const end = `"}]}${separator}`;
  return start + 'x'.repeat(Math.max(1, options.messageBytes - start.length - end.length)) + end;
}

function sendNext(student: Student, count: number): void {
  const now = performance.now();
  const texts: string[] = [];
  for (let i = 0; i < count; i++) {
    student.sent += 1;
    student.sentAt.push(now);
    texts.push(message(student.sent));
  }
  if (options.bundled) student.socket?.send(texts);
  else for (const text of texts) student.socket?.send([text]);
}

function acknowledge(student: Student, upTo: number): void {
  const count = upTo - student.acked;
  if (count <= 0) return;
  student.acked = upTo;
  const now = performance.now();
  for (const at of student.sentAt.splice(0, count)) {
    if (state.measuring) latency.record(Math.max(1, Math.round((now - at) * 1000)));
  }
  if (state.measuring) state.acknowledged += count;
  if (options.eventsPerSecond === 0 && !state.stopped) sendNext(student, count);
}

const durableMark = Buffer.from('"Durable"');

/** Takes the number from a `Durable(n)` record wherever it stands in the message; other records are ignored. */
function durableIn(bytes: Buffer): number {
  const at = bytes.lastIndexOf(durableMark);
  if (at < 0) return 0;
  const record = bytes.toString('latin1', bytes.lastIndexOf(separator, at) + 1);
  return Number(/"arguments":\[(\d+)/.exec(record)?.[1] ?? 0);
}

function fail(why: string): void {
  if (state.stopped) return;
  process.stderr.write(`the load generator lost a connection: ${why}\n`);
  process.exit(1);
}

async function openStudent(index: number): Promise<Student> {
  const student: Student = { socket: null, sent: 0, acked: 0, sentAt: [] };
  const { host, port } = options;
  if (options.peer === 'echo') {
    const onMessage = () => acknowledge(student, student.acked + 1);
    student.socket = await openWire({ host, port, path: '/', onMessage, onClose: fail });
    return student;
  }
  const opened = Promise.withResolvers<void>();
  let onMessage = (bytes: Buffer) => {
    const text = bytes.toString('utf8');
    if (text.includes('"error"')) opened.reject(new Error(text));
    if (text.includes('"invocationId":"1"')) {
      onMessage = (later) => acknowledge(student, durableIn(later));
      opened.resolve();
    }
  };
  const headers = { Authorization: `Bearer ${options.tokens[index]}` };
  student.socket = await openWire({
    host,
    port,
    path: '/exam',
    headers,
    onMessage: (bytes) => onMessage(bytes),
    onClose: fail,
  });
  const writer = `bench-${index}-${process.pid}-${Date.now().toString(36)}`;
  student.socket.send([`{"protocol":"json","version":1}${separator}`]);
  student.socket.send([`{"type":1,"invocationId":"1","target":"Open","arguments":["${writer}"]}${separator}`]);
  await opened.promise;
  return student;
}

/** Opens a student, again after a pause when the server asks to come later (503); at most 100 times. */
async function openPatiently(index: number): Promise<Student> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await openStudent(index);
    } catch (error) {
      if (attempt === 100 || !(error instanceof Error) || !error.message.includes(' 503 ')) throw error;
      await pause(100);
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function openAll(): Promise<Student[]> {
  const students: Student[] = [];
  for (let from = 0; from < options.connections; from += openConcurrency) {
    const count = Math.min(openConcurrency, options.connections - from);
    students.push(...(await Promise.all(Array.from({ length: count }, (_, i) => openPatiently(from + i)))));
  }
  return students;
}

/** Open loop: every few milliseconds sends what is due, each time from the next students in turn. */
function pace(students: readonly Student[]): void {
  const startedAt = performance.now();
  let sent = 0;
  setInterval(() => {
    const due = Math.floor(((performance.now() - startedAt) / 1000) * options.eventsPerSecond);
    for (; sent < due; sent++) sendNext(students[sent % students.length]!, 1);
  }, 2);
}

const students = await openAll();
if (options.eventsPerSecond > 0) pace(students);
else for (const student of students) sendNext(student, options.inFlight);
await pause(options.warmUpSeconds * 1000);
state.measuring = true;
const startedAt = performance.now();
process.stdout.write('{"kind":"measuring"}\n');
await pause(options.seconds * 1000);
state.measuring = false;
state.stopped = true;
const result: LoadResult = {
  acknowledged: state.acknowledged,
  seconds: (performance.now() - startedAt) / 1000,
  ackMs: {
    p50: latency.percentile(50) / 1000,
    p99: latency.percentile(99) / 1000,
    max: latency.count === 0 ? 0 : latency.max / 1000,
    count: latency.count,
  },
};
process.stdout.write(`${JSON.stringify({ kind: 'measured', ...result })}\n`, () => process.exit(0));
