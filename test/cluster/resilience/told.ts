import type { SessionRef } from '#operator/kubernetes/names.ts';
import { until } from '#test/support/until.ts';
import type { Hall } from './hall.ts';

/** Waits until a condition tells it, with all these words, and an event too, which is what people look at first. */
export async function expectTold(
  hall: Hall,
  ref: SessionRef,
  type: string,
  reason: string,
  words: readonly string[],
): Promise<void> {
  const tells = (text: string) => words.every((word) => text.includes(word));
  await hall.whenStatus(ref, `${type} to tell ${reason}`, ({ conditions }) =>
    conditions.some((one) => one.type === type && one.reason === reason && tells(one.message)),
  );
  const warning = await until(async () => (await warnings(hall, ref)).find(tells), {
    what: `an event that tells ${reason}`,
    timeoutMs: 20_000,
    everyMs: 200,
  });
  console.log(`${ref.name}: ${warning}`);
}

async function warnings(hall: Hall, { name }: SessionRef): Promise<string[]> {
  const events = await hall.kubectl('get', 'events', `--field-selector=involvedObject.name=${name}`, '-o', 'json');
  const { items } = JSON.parse(events) as { items: { type: string; message: string }[] };
  return items.filter((event) => event.type === 'Warning').map(({ message }) => message);
}
