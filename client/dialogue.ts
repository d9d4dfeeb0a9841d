/**
 * What is said over one connection: Open and the comparison first, then events, Durable and the rest. A dialogue begins
 * when a hub is up and ends with it; the next connection has its own.
 *
 * comparing -> in step -> over; from comparing also over at once, when the histories differ or Open is refused. Only in
 * step is anything sent. A refusal (late, sealed, ...) stops sending for the rest of the connection, or until the
 * server tells another deadline; the next connection offers the same events again.
 */
import { limits } from '#queue/limits.ts';
import { isProblem, type Problem, problem } from '#queue/problem.ts';
import {
  type Opened,
  type Receipt,
  readOpened,
  readReceipt,
  readServerMessage,
  type ServerMessage,
} from './answers.ts';
import { forked, refilling, serverLostData, superseded, takenBack, unreadable } from './clientproblems.ts';
import type { Hub } from './hub.ts';
import { sendRecord } from './hubrecords.ts';
import type { Paper } from './paper.ts';
import type { DownCause } from './reconnect.ts';
import { refusalProblem } from './refusal.ts';
import { judgeResume } from './resume.ts';
import type { ServerClock } from './serverclock.ts';
import { confirmUpTo, reopenAt, rewindTo, takeNext } from './window.ts';

export interface DialogueEvents {
  /** Compared and equal: everything up to `opened.durableSeq` is safe. */
  inStep(opened: Opened): void;
  durable(seq: number): void;
  /** The server takes nothing of what is not durable, for now. */
  refused(why: Problem): void;
  /** Worth telling, while everything goes on. */
  alarm(what: Problem): void;
  notice(what: Problem): void;
  deadline(ms: number | null): void;
  closing(reason: string, seconds: number): void;
  announcement(text: string): void;
  verified(root: string): void;
  /** This connection leads nowhere; another one may. */
  retry(cause: DownCause, why: Problem): void;
  /** No connection will help. */
  halt(phase: 'alarm' | 'stopped', why: Problem): void;
}

export interface Dialogue {
  hear(target: string, args: readonly unknown[]): void;
  /** Sends what is stored and may be sent. */
  pump(): void;
  /** Asks for the receipt over everything up to `lastSeq`. Rejects with `connection_lost` where another try may help. */
  finish(lastSeq: number): Promise<Receipt>;
  /** Why the server takes nothing more, null while it does. */
  readonly refusal: Problem | null;
  /** The connection is down, or given up: nothing more is sent or told. */
  end(): void;
}

export interface DialogueOptions {
  readonly hub: Hub;
  readonly paper: Paper;
  readonly clock: ServerClock;
  readonly events: DialogueEvents;
}

/** Refusals of Open that a person must mend before another connection makes sense. */
const haltingCodes: readonly string[] = ['no_webcrypto', 'outbox_failed', 'outbox_closed'];

/** Refusals of events that say more about the server than about the events, and how soon to try again. */
const passing: Readonly<Record<string, DownCause>> = {
  full: 'busy',
  unavailable: 'lost',
  unverified: 'lost',
  open_first: 'lost',
};

export function startDialogue({ hub, paper, clock, events }: DialogueOptions): Dialogue {
  const { window } = paper;
  let phase: 'comparing' | 'in step' | 'over' = 'comparing';
  let incarnation = '';
  /** What arrived while comparing and counts afterwards. */
  let early: ServerMessage[] = [];

  async function greet(): Promise<void> {
    try {
      await compare();
    } catch (error) {
      if (phase === 'over') return;
      const why = isProblem(error) ? error : problem('open_failed', `Open failed: ${String(error)}`, 'Report this.');
      if (why.code === 'other_session') halt('alarm', why);
      else if (haltingCodes.includes(why.code)) halt('stopped', why);
      else if (why.code !== 'connection_lost') retry('busy', why);
    }
  }

  async function compare(): Promise<void> {
    const { told } = paper;
    const askedAt = performance.now();
    const opened = readOpened(await hub.invoke('Open', JSON.stringify(paper.writer), JSON.stringify(told)));
    clock.set(opened.serverTime, askedAt);
    await paper.bind(opened);
    const server = { seq: opened.durableSeq, chain: opened.chain, incarnation: opened.incarnation };
    const verdict = judgeResume(told, server, await paper.chainAt(server.seq));
    if (phase === 'over') return;
    if (verdict === 'forked') {
      halt('alarm', forked());
      return;
    }
    if (verdict === 'lost_data') events.alarm(serverLostData(told!.seq, server.seq));
    if (verdict === 'refill') events.notice(refilling(told!.seq, server.seq));
    phase = 'in step';
    incarnation = server.incarnation;
    reopenAt(window, server.seq);
    paper.tell({ seq: server.seq, incarnation });
    events.inStep(opened);
    for (const message of early) obey(message);
    early = [];
    pump();
  }

  function hear(target: string, args: readonly unknown[]): void {
    if (phase === 'over') return;
    const message = readServerMessage(target, args);
    // Nothing was sent on this connection yet, so nothing of it can be refused or wanted again.
    if (phase === 'comparing' && (message.kind === 'refused' || message.kind === 'resend')) return;
    if (phase === 'comparing' && (message.kind === 'durable' || message.kind === 'verified')) remember(message);
    else obey(message);
  }

  /** One of a kind is enough, the latest: both kinds replace what was said before. */
  function remember(message: ServerMessage): void {
    early = [...early.filter((one) => one.kind !== message.kind), message];
  }

  function obey(message: ServerMessage): void {
    // An earlier message of the same moment may have ended this.
    if (phase === 'over') return;
    if (message.kind === 'durable') confirm(message.seq);
    else if (message.kind === 'resend') rewind(message.seq);
    else if (message.kind === 'refused') refuse(refusalProblem(message.code));
    else if (message.kind === 'deadline') move(message.deadline);
    else if (message.kind === 'closing') events.closing(message.reason, message.seconds);
    else if (message.kind === 'superseded') halt('stopped', superseded());
    else if (message.kind === 'announcement') events.announcement(message.text);
    else if (message.kind === 'verified') events.verified(message.root);
    else if (message.kind === 'unreadable') retry('lost', unreadable(message.what));
  }

  function confirm(seq: number): void {
    if (seq > window.stored) halt('alarm', forked());
    else if (confirmUpTo(window, seq)) {
      paper.tell({ seq: window.durable, incarnation });
      events.durable(window.durable);
      pump();
    }
  }

  function rewind(seq: number): void {
    if (rewindTo(window, seq)) pump();
    else retry('lost', takenBack(seq));
  }

  function refuse(why: Problem): void {
    const cause = passing[why.code];
    if (why.code === 'forked') halt('alarm', forked());
    else if (cause !== undefined) retry(cause, why);
    else {
      dialogue.refusal = why;
      rewindTo(window, window.durable + 1);
      events.refused(why);
    }
  }

  function move(deadline: number | null): void {
    if (dialogue.refusal?.code === 'late') dialogue.refusal = null;
    events.deadline(deadline);
    pump();
  }

  function pump(): void {
    if (phase !== 'in step' || dialogue.refusal !== null) return;
    let records = '';
    for (let seq = takeNext(window); seq > 0; seq = takeNext(window)) {
      const record = sendRecord('Submit', `${seq}`, paper.text(seq));
      if (records !== '' && (records.length + record.length) * bytesPerUnit > limits.frameBytes) {
        hub.send(records);
        records = '';
      }
      records += record;
    }
    if (records !== '') hub.send(records);
  }

  async function finish(lastSeq: number): Promise<Receipt> {
    const receipt = readReceipt(await hub.invoke('Finish', `${lastSeq}`));
    if (receipt.lastSeq === lastSeq && receipt.chain === (await paper.chainAt(lastSeq))) return receipt;
    const why = forked();
    halt('alarm', why);
    throw why;
  }

  function retry(cause: DownCause, why: Problem): void {
    phase = 'over';
    events.retry(cause, why);
  }

  function halt(into: 'alarm' | 'stopped', why: Problem): void {
    phase = 'over';
    events.halt(into, why);
  }

  const dialogue = {
    /** A plain field, not a getter: see paper.ts. */
    refusal: null as Problem | null,
    hear,
    pump,
    finish,
    end() {
      phase = 'over';
    },
  };
  void greet();
  return dialogue;
}

/** Most bytes of UTF-8 for one UTF-16 unit: bounds a message without counting its bytes. */
const bytesPerUnit = 3;
