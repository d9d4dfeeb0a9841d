import { createExamClient } from '#client/client.ts';
import type { ExamClient, ExamClientOptions } from '#client/examclient.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import { createTimers } from '#client/timers.ts';
import type { Problem } from '#queue/problem.ts';
import { onScopeEnd } from '#test/support/cleanup.ts';
import { type Peer, peerConnect } from './peer.ts';

/** A client under test, with everything that it told. It is closed at the end of the test. */
export interface Student {
  readonly client: ExamClient;
  readonly durable: number[];
  readonly phases: string[];
  readonly alarms: Problem[];
  readonly notices: Problem[];
  readonly told: unknown[][];
}

/** Delays are as short as they can be, and fixed: `random` gives 0. The student's token is the id. */
export function studentAt(peer: Peer, options: Partial<ExamClientOptions> = {}): Student {
  return student({ url: 'http://peer/exam', token: 'ada', connect: peerConnect(peer), ...options });
}

export function student(
  options: Partial<ExamClientOptions> & Pick<ExamClientOptions, 'url' | 'token' | 'connect'>,
): Student {
  const seen: Omit<Student, 'client'> = { durable: [], phases: [], alarms: [], notices: [], told: [] };
  const client = createExamClient({
    outbox: memoryOutbox(),
    sha256: nodeSha256,
    random: () => 0,
    startSpreadMs: 0,
    timers: createTimers(1),
    onDurable: (seq) => seen.durable.push(seq),
    onState: ({ phase }) => seen.phases.at(-1) !== phase && seen.phases.push(phase),
    onAlarm: (what) => seen.alarms.push(what),
    onNotice: (what) => seen.notices.push(what),
    onDeadline: (ms) => seen.told.push(['deadline', ms]),
    onClosing: (reason, seconds) => seen.told.push(['closing', reason, seconds]),
    onAnnouncement: (text) => seen.told.push(['announcement', text]),
    onVerified: (root) => seen.told.push(['verified', root]),
    ...options,
  });
  onScopeEnd(() => client.close());
  return { client, ...seen };
}
