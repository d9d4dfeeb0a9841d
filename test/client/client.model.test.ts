import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createExamClient } from '#client/client.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import type { Outbox } from '#client/outbox.ts';
import { createTimers } from '#client/timers.ts';
import { until } from '#test/support/until.ts';
import { createPeer, type Peer, peerConnect } from './peer.ts';

/**
 * Whatever the server does (cuts, lost replies, refusals, repeats, lost data, new incarnations), in whatever order:
 * - what settled() resolved, the server had called durable to this writer before;
 * - every sending of a seq has the same bytes, and none comes before the outbox holds it;
 * - the outbox holds all of it until Verified, and is cleared only then;
 * - once the server behaves, everything ends up there, in order, exactly once, and the paper can be finished.
 */

type Step =
  | { do: 'submit'; count: number }
  | { do: 'flush' }
  | { do: 'flush, replies lost' }
  | { do: 'cut'; code: number }
  | { do: 'lose'; keep: number; reborn: boolean }
  | { do: 'resend'; seq: number }
  | { do: 'refuse'; code: string }
  | { do: 'turns'; count: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 12 }).map((count): Step => ({ do: 'submit', count })) },
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 12 }).map((count): Step => ({ do: 'turns', count })) },
  { weight: 4, arbitrary: fc.constant<Step>({ do: 'flush' }) },
  { weight: 2, arbitrary: fc.constant<Step>({ do: 'flush, replies lost' }) },
  { weight: 2, arbitrary: fc.constantFrom(1000, 1006, 1012, 1013).map((code): Step => ({ do: 'cut', code })) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.nat(30), fc.boolean()).map(([keep, reborn]): Step => ({ do: 'lose', keep, reborn })),
  },
  { weight: 1, arbitrary: fc.nat(40).map((seq): Step => ({ do: 'resend', seq })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('late', 'full', 'unavailable').map((code): Step => ({ do: 'refuse', code })),
  },
);

/** The highest that the peer has called durable, and the highest that came before the outbox held it. */
function watchPeer(peer: Peer, kept: readonly string[]): { said: number; early: number } {
  const watched = { said: 0, early: 0 };
  const accept = peer.accept;
  peer.accept = (student, wire) => {
    const connection = accept(student, {
      ...wire,
      send(text) {
        for (const [, seq] of text.matchAll(/"(?:Durable","arguments":\[|durableSeq":)(\d+)/g)) {
          watched.said = Math.max(watched.said, Number(seq));
        }
        wire.send(text);
      },
    });
    return {
      ...connection,
      receive(message) {
        for (const [, seq] of message.matchAll(/"Submit","arguments":\[(\d+)/g)) {
          if (Number(seq) > kept.length) watched.early = Number(seq);
        }
        connection.receive(message);
      },
    };
  };
  return watched;
}

function watchOutbox(): { outbox: Outbox; kept: string[]; cleared: number } {
  const inner = memoryOutbox();
  const watched = { kept: [] as string[], cleared: 0 };
  let storing = Promise.resolve();
  const outbox: Outbox = {
    ...inner,
    append(seq, text) {
      // A store that takes its time, one after the other.
      storing = storing.then(() => nextTurn()).then(() => inner.append(seq, text));
      return storing.then(() => void watched.kept.push(text));
    },
    async clear() {
      watched.cleared++;
      await inner.clear();
    },
  };
  return Object.assign(watched, { outbox });
}

async function play(steps: Step[]): Promise<void> {
  const peer = createPeer();
  peer.autoFlush = false;
  const box = watchOutbox();
  const watched = watchPeer(peer, box.kept);
  const alarms: string[] = [];
  const client = createExamClient({
    url: 'http://peer/exam',
    token: 'ada',
    connect: peerConnect(peer),
    outbox: box.outbox,
    sha256: nodeSha256,
    timers: createTimers(1),
    random: () => 0,
    startSpreadMs: 0,
    inFlight: 7,
    onAlarm: ({ code }) => alarms.push(code),
  });
  const expected: string[] = [];
  const outcomes: Promise<void>[] = [];

  function submit(n: number): void {
    expected.push(JSON.stringify({ n }));
    const settled = client.submit({ n }).then(async (seq) => {
      expect(seq).toBe(n);
      expect(box.kept.length).toBeGreaterThanOrEqual(n);
      await client.settled(seq);
      expect(watched.said).toBeGreaterThanOrEqual(seq);
    });
    outcomes.push(settled.catch((error) => expect(error).toMatchObject({ code: 'late' })));
  }

  async function perform(one: Step): Promise<void> {
    if (one.do === 'submit') for (let i = 0; i < one.count; i++) submit(expected.length + 1);
    else if (one.do === 'flush') peer.flush();
    else if (one.do === 'cut') peer.cut(one.code);
    else if (one.do === 'resend') peer.tell('Resend', one.seq);
    else if (one.do === 'refuse') peer.tell('Refused', one.code, 0);
    else if (one.do === 'turns') for (let i = 0; i < one.count; i++) await nextTurn();
    else if (one.do === 'lose') {
      peer.lose(one.keep);
      if (one.reborn) peer.incarnation += "'";
      peer.cut(1006);
    } else {
      peer.isSilent = true;
      peer.flush();
      peer.isSilent = false;
      peer.cut(1006);
    }
  }

  try {
    const opening = client.open();
    for (const one of steps) await perform(one);
    peer.autoFlush = true;
    peer.flush();
    peer.cut(1012);
    await opening;
    const receipt = await until(() => client.finish().catch((error) => void expect(error.code).toBe('late')), {
      what: 'the receipt',
    });
    await Promise.all(outcomes);
    expect(receipt.lastSeq).toBe(expected.length);
    expect(peer.durable.get(client.state.writer!)).toEqual(expected);
    for (const { seq, text } of peer.submits) expect(text).toBe(expected[seq - 1]);
    expect(watched.early).toBe(0);
    expect(box).toMatchObject({ kept: expected, cleared: 0 });
    for (const code of alarms) expect(code).toBe('server_lost_data');
    peer.tell('Verified', 'ab'.repeat(32));
    await until(() => box.cleared === 1, { what: 'the outbox to be let go' });
  } finally {
    await client.close();
  }
}

test('nothing is lost, forged or forgotten, whatever the server does', { timeout: 30_000 }, async () => {
  await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 60 }), play), { numRuns: 150 });
});
