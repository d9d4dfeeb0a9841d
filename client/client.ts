/**
 * The student's side of an exam: numbers events, keeps them, sends them, and knows which are safe.
 *
 *     idle -> connecting <-> waiting          for ever, after jittered delays, until close()
 *                 |  ^          ^
 *                 v  |          |
 *                open ----------+             in step with the server: events flow
 *
 *     from any of these:  stopped   given up (token refused, another device took over); open() tries again
 *                         alarm     the server holds another history of this outbox: nothing is sent, all is kept
 *                         verified  the session is over and proved, and the outbox let go
 *                         closed    by close()
 *
 * An event is numbered and its bytes are frozen by submit(), it is sent only once the outbox holds it, and it is kept
 * until the session is verified. Whenever the client gives up, everybody who waits is told why.
 */
import { isProblem, type Problem } from '#queue/problem.ts';
import type { Opened, Receipt } from './answers.ts';
import { clientClosed, disconnected, finishing, noSuchEvent, sessionOver, unsentAtVerified } from './clientproblems.ts';
import { type Dialogue, type DialogueEvents, startDialogue } from './dialogue.ts';
import { eventText } from './eventtext.ts';
import type { ClientPhase, ClientState, ExamClient, ExamClientOptions } from './examclient.ts';
import type { Hub } from './hub.ts';
import { createLink, howItEnded } from './link.ts';
import { runLoudly } from './loudly.ts';
import { openPaper, type Paper } from './paper.ts';
import { createServerClock } from './serverclock.ts';
import { createSettling } from './settling.ts';
import { sharedTimers } from './timers.ts';
import { webSha256 } from './websha.ts';
import { webConnect } from './websocket.ts';

const defaults = { inFlight: 64, startSpreadMs: 1_000 } as const;

export function createExamClient(options: ExamClientOptions): ExamClient {
  const { outbox, sha256 = webSha256, inFlight = defaults.inFlight } = options;
  const clock = createServerClock();
  const settling = createSettling();
  let phase: ClientPhase = 'idle';
  let why: Problem | null = null;
  let loading: Promise<Paper> | null = null;
  let paper: Paper | null = null;
  let dialogue: Dialogue | null = null;
  let opened: Opened | null = null;
  let opening: PromiseWithResolvers<Opened> | null = null;
  let finished: Promise<Receipt> | null = null;
  let receipt: Receipt | null = null;
  let verified: string | null = null;
  let closed: Promise<void> | null = null;
  let durableTold = 0;

  const link = createLink({
    url: hubUrl(options.url),
    token: options.token,
    connect: options.connect ?? webConnect,
    timers: options.timers ?? sharedTimers(),
    random: options.random ?? Math.random,
    spreadMs: options.startSpreadMs ?? defaults.startSpreadMs,
    events: {
      dialling: () => enter('connecting', why),
      up: (hub) => talk(hub),
      invocation: (target, args) => dialogue?.hear(target, args),
      waiting: (_delayMs, end) => leave(disconnected(howItEnded(end))),
      gaveUp: (problem) => giveUp('stopped', problem),
    },
  });

  const dialogueEvents: DialogueEvents = {
    inStep(answer) {
      opened = answer;
      link.confirm();
      enter('open', null);
      durable(answer.durableSeq);
      opening?.resolve(answer);
      opening = null;
    },
    durable,
    refused(problem) {
      enter('open', problem);
      settling.refuse(problem);
    },
    alarm: (what) => runLoudly(() => options.onAlarm?.(what)),
    notice: (what) => runLoudly(() => options.onNotice?.(what)),
    deadline(ms) {
      if (opened !== null) opened = { ...opened, deadline: ms };
      if (phase === 'open') enter('open', dialogue?.refusal ?? null);
      runLoudly(() => options.onDeadline?.(ms));
    },
    closing(reason, seconds) {
      link.expectEnd(seconds * 1000);
      runLoudly(() => options.onClosing?.(reason, seconds));
    },
    announcement: (text) => runLoudly(() => options.onAnnouncement?.(text)),
    verified: (root) => void (paper && letGo(paper, root)),
    retry(cause, problem) {
      leave(problem);
      link.retry(cause, problem.message);
    },
    halt(into, problem) {
      giveUp(into, problem);
      if (into === 'alarm') runLoudly(() => options.onAlarm?.(problem));
    },
  };

  function state(): ClientState {
    return {
      phase,
      writer: paper?.writer ?? null,
      stored: paper?.window.stored ?? 0,
      durable: paper?.window.durable ?? 0,
      deadline: opened?.deadline ?? null,
      problem: why,
      receipt,
      verified,
    };
  }

  function enter(next: ClientPhase, problem: Problem | null): void {
    if (phase === next && why === problem) return;
    phase = next;
    why = problem;
    runLoudly(() => options.onState?.(state()));
  }

  function talk(hub: Hub): void {
    if (paper !== null) dialogue = startDialogue({ hub, paper, clock, events: dialogueEvents });
  }

  function durable(seq: number): void {
    settling.confirm(seq);
    const hasMoved = seq > durableTold;
    durableTold = seq;
    if (hasMoved) runLoudly(() => options.onDurable?.(seq));
  }

  /** The connection is down, or given up; the link tries another one. */
  function leave(problem: Problem): void {
    dialogue?.end();
    dialogue = null;
    enter('waiting', problem);
  }

  /** Nothing is tried any more, so nobody waits any more. */
  function giveUp(into: ClientPhase, problem: Problem | null, reason = problem ?? sessionOver()): void {
    dialogue?.end();
    dialogue = null;
    void link.stop();
    enter(into, problem);
    opening?.reject(reason);
    opening = null;
    settling.refuse(reason);
  }

  /** Why this client will never send again, null while it may. */
  function over(): Problem | null {
    return phase === 'closed' || phase === 'verified' || phase === 'alarm' ? (why ?? sessionOver()) : null;
  }

  function load(): Promise<Paper> {
    loading ??= openPaper(outbox, sha256, inFlight).then(
      (loaded) => {
        paper = loaded;
        return loaded;
      },
      (error) => {
        loading = null;
        throw error;
      },
    );
    return loading;
  }

  async function open(): Promise<Opened> {
    await load();
    const reason = over();
    if (reason !== null) throw reason;
    if (phase === 'idle' || phase === 'stopped') enter('connecting', null);
    link.start();
    return whenOpen();
  }

  async function whenOpen(): Promise<Opened> {
    const reason = phase === 'stopped' ? why : over();
    if (reason !== null) throw reason;
    if (phase === 'open' && opened !== null) return opened;
    opening ??= Promise.withResolvers<Opened>();
    return opening.promise;
  }

  async function submit(event: unknown): Promise<number> {
    const text = eventText(event);
    const { add } = await load();
    const reason = over() ?? (finished === null ? null : finishing());
    if (reason !== null) throw reason;
    const seq = await add(text);
    dialogue?.pump();
    return seq;
  }

  async function settled(seq: number): Promise<void> {
    const { window, lastSeq } = await load();
    if (!Number.isSafeInteger(seq) || seq < 1 || seq > lastSeq) throw noSuchEvent(seq);
    if (seq <= window.durable) return;
    const reason = phase === 'stopped' ? why : (over() ?? dialogue?.refusal ?? null);
    if (reason !== null) throw reason;
    await settling.wait(seq);
  }

  async function finishPaper(): Promise<Receipt> {
    const { window, rest } = await load();
    await rest();
    for (;;) {
      const last = window.stored;
      if (last > window.durable) await settled(last);
      await whenOpen();
      const current = dialogue;
      if (current === null) continue;
      try {
        receipt = await current.finish(last);
        runLoudly(() => options.onState?.(state()));
        return receipt;
      } catch (error) {
        if (!isProblem(error) || !passingCodes.includes(error.code)) throw error;
        if (dialogue === current) dialogueEvents.retry('lost', error);
      }
    }
  }

  function finish(): Promise<Receipt> {
    finished ??= finishPaper().catch((error) => {
      finished = null;
      throw error;
    });
    return finished;
  }

  async function letGo(mine: Paper, root: string): Promise<void> {
    if (verified !== null) return;
    verified = root;
    // A receipt that is on its way still comes: nothing in the outbox can change any more.
    await finished?.catch(() => {});
    if (over() !== null) return;
    const { window, lastSeq } = mine;
    const unsent = window.durable < lastSeq ? unsentAtVerified(window.durable, lastSeq) : null;
    giveUp('verified', unsent);
    if (unsent === null) await mine.clear().catch((error) => dialogueEvents.alarm(error));
    else dialogueEvents.alarm(unsent);
    runLoudly(() => options.onVerified?.(root));
  }

  async function shut(): Promise<void> {
    giveUp('closed', clientClosed());
    await link.stop();
    // What could not be opened needs no closing; whoever opened it was told.
    const loaded = await loading?.catch(() => null);
    await loaded?.close();
  }

  return {
    get state() {
      return state();
    },
    open,
    submit,
    settled,
    finish,
    eventText: (seq) => {
      if (paper === null || !Number.isSafeInteger(seq) || seq < 1 || seq > paper.lastSeq) throw noSuchEvent(seq);
      return paper.text(seq);
    },
    serverNow: clock.now,
    close() {
      closed ??= shut();
      return closed;
    },
  };
}

/** Refusals of Finish after which another connection, and another comparison, can help. */
const passingCodes: readonly string[] = [
  'connection_lost',
  'gap',
  'more',
  'unavailable',
  'finishing',
  'opening',
  'open_first',
];

/** The address for WebSockets: `http` is `ws`, and `https` is `wss`. */
function hubUrl(url: string): string {
  const target = new URL(url);
  target.protocol = target.protocol.replace(/^http/, 'ws');
  return target.href;
}
