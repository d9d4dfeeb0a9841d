import { expect, test } from 'vitest';
import { judgeResume, type Told } from '#client/resume.ts';

const server = { seq: 5, chain: 'c5', incarnation: 'one' };
const told = (seq: number, incarnation = 'one'): Told => ({ seq, incarnation });

test.each([
  ['the first Open', null, 'c5', 'in_step'],
  ['as much as told', told(5), 'c5', 'in_step'],
  ['more than told: a reply was lost', told(3), 'c5', 'in_step'],
  ['less than told', told(9), 'c5', 'lost_data'],
  ['less than told, under a new incarnation', told(9, 'zero'), 'c5', 'refill'],
  ['as much as told, under a new incarnation: a refilled shard', told(5, 'zero'), 'c5', 'in_step'],
  ['another history', told(5), 'x5', 'forked'],
  ['another history and less than told', told(9), 'x5', 'forked'],
  ['more than the outbox ever numbered', told(4), null, 'forked'],
] as const)('%s', (_what, before, ownChain, verdict) => {
  expect(judgeResume(before, server, ownChain)).toBe(verdict);
});
