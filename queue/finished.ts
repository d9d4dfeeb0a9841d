import { parseState, type State } from './chain.ts';

/** With what, and when (ms since 1970, Redis's clock), a student finished. */
export interface Finished {
  readonly writer: string;
  readonly state: State;
  readonly at: number;
}

/** Reads a value of the hash `finished`: `writer seq:chain ms`. Problem `state_corrupt` for anything else. */
export function readFinished(text: string): Finished {
  const [writer = '', state = '', ms = ''] = text.split(' ');
  return { writer, state: parseState(state), at: Number(ms) };
}
