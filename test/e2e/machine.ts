import { request } from 'node:http';
import { between, type Random } from '#cli/random.ts';
import { type DeviceWorld, makeEvent, rest, stubborn } from './classroom.ts';
import { digestOf } from './proof.ts';

/** Events of one request at most. */
const eventsAtOnce = 40;
/** Confirmed events that a request may send once more: they must be acknowledged again. */
const repeats = 3;
const answerWithinMs = 30_000;
/** Taken, or to be said again later. So is `unverified`: a repeat of long ago, which the gateway cannot compare any more. */
const passing: readonly number[] = [200, 429, 503];

interface Answer {
  readonly status: number;
  readonly durableSeq?: number;
  readonly error?: string;
}

/**
 * A machine that posts its events by HTTP, with an outbox and a writer of its own. It believes every `durableSeq`
 * that it is told, also in a refusal, since nobody has a copy of its outbox; and it writes JSON as nobody else does, so
 * that bytes must be kept as they stood.
 */
export async function playMachine(world: DeviceWorld): Promise<void> {
  const { plan, random, recorder } = world;
  const { student } = plan;
  const writer = makeWriter(random);
  const texts: string[] = [];
  let durable = 0;
  let refusedFor = 0;
  while (await rest(world, plan.pauseMs)) {
    const isOver = plan.finishAfter !== null && texts.length >= plan.finishAfter;
    for (let more = isOver ? 0 : between(random, 1, 3); more > 0; more--) {
      const text = JSON.stringify(makeEvent(random, texts.length + 1), null, between(random, 0, 2));
      const seq = texts.push(text);
      recorder.sent({ student, writer, seq }, digestOf(text), recorder.now());
    }
    const first = Math.max(1, durable + 1 - between(random, 0, repeats));
    const sent = texts.slice(first - 1, first - 1 + eventsAtOnce);
    if (sent.length === 0) continue;
    const answer = await post(world, writer, first, sent);
    if (answer?.durableSeq !== undefined) {
      durable = Math.max(durable, answer.durableSeq);
      recorder.acknowledged({ student, writer, seq: answer.durableSeq });
    }
    if (answer === null || passing.includes(answer.status) || answer.error === 'unverified') continue;
    if (answer.status !== 410) recorder.alarms.push(`${student}: HTTP ${answer.status} ${answer.error}`);
    for (let seq = Math.max(first, durable + 1); seq < first + sent.length; seq++) {
      recorder.refused({ student, writer, seq }, answer.error ?? '');
    }
    if (++refusedFor > stubborn) return;
  }
}

/** Posts events; null when there was no answer, so that nobody knows whether they were taken. */
async function post(
  world: DeviceWorld,
  writer: string,
  first: number,
  texts: readonly string[],
): Promise<Answer | null> {
  const { plan, random, url, token } = world;
  const items = texts.map((text, i) => `{ "event" : ${text} ,"writer":"${writer}",  "seq":${first + i}}`);
  const isArray = random() < 0.5;
  // One event a line: line ends within an event are for the array only.
  const body = isArray || items.some((item) => item.includes('\n')) ? `[${items.join(',\n')} ]` : items.join('\n');
  try {
    const bearer = await token(plan.student);
    return await new Promise((resolve, reject) => {
      const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json', connection: 'close' };
      const signal = AbortSignal.any([world.signal, AbortSignal.timeout(answerWithinMs)]);
      const sending = request(`${url}/events`, { method: 'POST', headers, agent: false, signal }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('error', reject);
        response.on('end', () => {
          const read = () => ({ ...(JSON.parse(text) as object), status: response.statusCode ?? 0 });
          try {
            resolve(read());
          } catch (error) {
            reject(error);
          }
        });
      });
      sending.on('error', reject);
      sending.end(body);
    });
  } catch {
    return null;
  }
}

function makeWriter(random: Random): string {
  return `machine-${Array.from({ length: 16 }, () => between(random, 0, 35).toString(36)).join('')}`;
}
