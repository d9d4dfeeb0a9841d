import fc from 'fast-check';
import { expect, test } from 'vitest';
import { containerLog } from '#cli/cluster/containerlog.ts';
import { createPodLogs } from '#cli/cluster/podlog.ts';
import { createApi } from '#operator/kubernetes/runtime/api.ts';
import { until } from '#test/support/until.ts';
import { type FakePod, startFakePod } from './fakepod.ts';

function open({ kubeConfig, ref }: FakePod, follow = true, tailLines?: number) {
  const api = createApi(kubeConfig, { userAgent: 'test' });
  const logs = createPodLogs({ kubeConfig, explained: (error) => error });
  const stop = new AbortController();
  const seen: string[] = [];
  const done = (async () => {
    for await (const { text } of containerLog({ api, logs }, ref, { follow, tailLines, pauseMs: 2 }, stop.signal))
      seen.push(text);
    logs.close();
    api.close();
  })();
  return { seen, done, stop };
}

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      lines: fc.integer({ min: 1, max: 5 }),
      stay: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.constant({ do: 'cut' } as const) },
  { weight: 1, arbitrary: fc.constant({ do: 'restart' } as const) },
);

test('every line comes once and in order, however often the connection breaks and the container restarts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const pod = await startFakePod();
      const { seen, done } = open(pod);
      const said: string[] = [];
      await until(() => pod.isFollowed, { what: 'a reader' });
      for (const what of steps) {
        if (what.do === 'say') {
          for (let i = 0; i < what.lines; i++) {
            said.push(`line ${said.length}`);
            pod.say(said.at(-1)!, what.stay);
          }
        } else if (what.do === 'cut') pod.cut();
        else {
          // A life that comes and goes between two looks is lost: no log of it is kept.
          pod.restart();
          await until(() => pod.isFollowed, { what: 'a look at the new life' });
        }
      }
      pod.end();
      await done;
      expect(seen).toEqual(said);
    }),
    { numRuns: 30 },
  );
}, 60_000);

test('what was said before comes too, or its last lines, and without following that is all', async () => {
  const pod = await startFakePod();
  for (const text of ['a', 'b', 'c']) pod.say(text, false);
  const once = open(pod, false);
  await once.done;
  expect(once.seen).toEqual(['a', 'b', 'c']);
  const last = open(pod, true, 1);
  await until(() => last.seen.length === 1, { what: 'the last line' });
  pod.say('d', true);
  pod.cut();
  pod.say('e', true);
  pod.end();
  await last.done;
  expect(last.seen).toEqual(['c', 'd', 'e']);
});

test('a wish to stop ends it at once, while it waits and while lines come', async () => {
  for (const busy of [false, true]) {
    const pod = await startFakePod();
    const { seen, done, stop } = open(pod);
    pod.say('first', false);
    await until(() => seen.length > 0, { what: 'a line' });
    const talking = busy ? setInterval(() => pod.say('more', false), 1) : undefined;
    const startedAt = performance.now();
    setTimeout(() => stop.abort(), 20);
    await done;
    clearInterval(talking);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  }
});

test('aborted at any line, also the last of a life, the reading ends and nothing else does', async () => {
  // An error that nobody hears of would end the process; vitest tells of it.
  for (let at = 0; at < 150; at++) {
    const pod = await startFakePod();
    const { seen, done, stop } = open(pod);
    await until(() => pod.isFollowed, { what: 'a reader' });
    for (let i = 0; i < 20; i++) pod.say('x', false);
    if (at % 2 === 0) pod.end();
    await until(() => seen.length >= Math.min(20, at % 25), { what: 'lines' });
    stop.abort();
    await done;
  }
});
