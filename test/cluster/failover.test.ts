import { expect, test } from 'vitest';
import { until } from '#test/support/until.ts';
import { type Audited, type OperatorPods, operatorPods } from './operatorpods.ts';

const writes = ['create', 'update', 'patch', 'delete'];

/** Of sessions and their parts; the Lease is what candidates write to become leader. */
function writesOf(pods: OperatorPods, pod: string): Audited[] {
  return pods.audited().filter((one) => one.pod === pod && one.resource !== 'leases' && writes.includes(one.verb));
}

/** Makes up to 200 sessions, one after the other, so that whoever leads has something to write. */
function work({ guarded }: OperatorPods): { stop(): Promise<void> } {
  let isOver = false;
  const made = (async () => {
    for (let n = 0; !isOver && n < 200; n++) {
      await guarded.make('default', `exam-${n}`);
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
  })();
  return {
    async stop() {
      isOver = true;
      await made;
    },
  };
}

test('when the leader is killed the other works within 20 s, with the lease that the chart sets', async () => {
  const pods = await operatorPods();
  const leader = await pods.start('operator-a');
  await leader.line(({ msg }) => msg === 'leads', 'the first to lead', 60_000);
  const standby = await pods.start('operator-b');
  const waits = () => pods.audited().some(({ pod, resource }) => pod === 'operator-b' && resource === 'leases');
  await until(waits, { what: 'the second to look at the Lease', timeoutMs: 60_000 });

  const sessions = work(pods);
  const isAtIt = () => writesOf(pods, 'operator-a').length > 50;
  await until(isAtIt, { what: 'writes of the first', timeoutMs: 60_000, everyMs: 100 });
  expect(writesOf(pods, 'operator-b')).toEqual([]);
  const killedMs = Date.now();
  leader.kill('SIGKILL');
  await leader.ended();
  const isNext = () => writesOf(pods, 'operator-b').length > 20;
  await until(isNext, { what: 'writes of the second', timeoutMs: 60_000, everyMs: 100 });
  await sessions.stop();

  const before = writesOf(pods, 'operator-a');
  const after = writesOf(pods, 'operator-b');
  const firstMs = Math.min(...after.map(({ fromMs }) => fromMs));
  const lastMs = Math.max(...before.map(({ toMs }) => toMs));
  const seconds = (firstMs - killedMs) / 1_000;
  console.log(
    `the second wrote ${seconds.toFixed(1)} s after the leader was killed, who had written ${before.length} times`,
  );
  expect(lastMs).toBeLessThan(firstMs);
  expect(seconds).toBeLessThan(20);

  standby.kill('SIGTERM');
  expect(await standby.ended(30_000)).toMatchObject({ code: 0 });
});
