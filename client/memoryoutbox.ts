import { problem } from '#queue/problem.ts';
import { type Binding, makeWriter, type Outbox } from './outbox.ts';
import type { Told } from './resume.ts';

interface Kept {
  readonly writer: string;
  readonly texts: string[];
  binding: Binding | null;
  told: Told | null;
}

/** An outbox in memory: survives every trouble of network and server, but not the end of this process or page. */
export function memoryOutbox(): Outbox {
  let kept: Kept | null = null;
  let isOpen = false;

  function held(): Kept {
    if (kept !== null && isOpen) return kept;
    throw problem('outbox_closed', 'the outbox is not open', 'Open it, or let createExamClient do so.');
  }

  return {
    async open() {
      if (isOpen) {
        throw problem('outbox_in_use', 'another client has this outbox open', 'Give each client an outbox of its own.');
      }
      isOpen = true;
      kept ??= { writer: makeWriter(), texts: [], binding: null, told: null };
      return { ...kept, texts: [...kept.texts] };
    },
    append(seq, text) {
      const { texts } = held();
      if (seq !== texts.length + 1) throw new RangeError(`seq ${seq} does not follow ${texts.length}`);
      texts.push(text);
    },
    async bind(binding) {
      held().binding = binding;
    },
    tell(told) {
      held().told = told;
    },
    async clear() {
      held();
      kept = null;
    },
    async close() {
      isOpen = false;
    },
  };
}
