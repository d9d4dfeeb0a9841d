import { limits } from '#queue/limits.ts';
import { problem } from '#queue/problem.ts';
import type { Opened } from './answers.ts';
import { type ChainWalk, createChainWalk, originChain, type Sha256 } from './chain.ts';
import type { Outbox } from './outbox.ts';
import type { Told } from './resume.ts';
import type { SendWindow } from './window.ts';

/** An outbox in use: what it holds, how far it got, and what it can prove. */
export interface Paper {
  readonly writer: string;
  readonly window: SendWindow;
  /** What the server told last. */
  readonly told: Told | null;
  /** Seq of the last event that was numbered, stored or not yet. */
  readonly lastSeq: number;
  text(seq: number): string;
  /** Numbers a frozen text and stores it; resolves with its seq once it is stored. Numbers in the order of the calls. */
  add(text: string): Promise<number>;
  /** Resolves when no store is under way any more, whether they succeeded or not. */
  rest(): Promise<void>;
  /** Binds a new outbox to the session and student, or checks that it belongs to them (Problem `other_session`). */
  bind(to: Opened): Promise<void>;
  /** The outbox's own chain at `seq`, null when it is not that far. Only when bound. */
  chainAt(seq: number): Promise<string | null>;
  tell(told: Told): void;
  clear(): Promise<void>;
  close(): Promise<void>;
}

/** @param inFlight events that may be sent and not yet durable */
export async function openPaper(outbox: Outbox, sha256: Sha256, inFlight: number): Promise<Paper> {
  const { writer, texts, ...contents } = await outbox.open();
  const window: SendWindow = { limit: inFlight, stored: texts.length, sent: 0, durable: 0 };
  let { binding } = contents;
  let walk: ChainWalk | null = null;
  let storing: Promise<void> | null = null;

  // Plain fields, not getters: those would cost more memory than all the rest, and a rehearsal has thousands of papers.
  const paper = {
    writer,
    window,
    told: contents.told,
    lastSeq: texts.length,
    text: (seq: number) => texts[seq - 1]!,
    async add(text: string) {
      if (texts.length >= limits.maxSeq) throw outboxFull();
      const seq = texts.push(text);
      paper.lastSeq = seq;
      const stored = outbox.append(seq, text);
      if (stored !== undefined) {
        storing = stored.catch(() => {});
        await stored;
      }
      window.stored = seq;
      return seq;
    },
    async rest() {
      await storing;
    },
    async bind({ session, student }: Opened) {
      const origin = await originChain(sha256, session, student, writer);
      if (binding === null) {
        await outbox.bind({ session, student, origin });
        binding = { session, student, origin };
      } else if (binding.origin !== origin) throw otherSession(binding.student, student);
      walk ??= createChainWalk(sha256, origin, texts);
    },
    async chainAt(seq: number) {
      return walk !== null && seq <= window.stored ? await walk.at(seq) : null;
    },
    tell(now: Told) {
      if (paper.told?.seq === now.seq && paper.told.incarnation === now.incarnation) return;
      paper.told = now;
      outbox.tell(now);
    },
    clear: () => outbox.clear(),
    close: () => outbox.close(),
  };
  return paper;
}

function outboxFull() {
  return problem(
    'outbox_full',
    `the outbox holds ${limits.maxSeq} events, the most that one writer may have`,
    'Submit less often (for example when a question is left, not at each key).',
  );
}

function otherSession(bound: string, student: string) {
  return problem(
    'other_session',
    bound === student
      ? `the outbox belongs to another session of ${student}`
      : `the outbox belongs to ${bound}, and the token to ${student}`,
    'Keep it, and give this session and student an outbox of their own.',
  );
}
