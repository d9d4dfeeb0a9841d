import { once } from 'node:events';
import { createExamClient } from '#client/client.ts';
import type { ExamClient } from '#client/examclient.ts';
import { memoryOutbox } from '#client/memoryoutbox.ts';
import { fileOutbox } from '#client/nodefileoutbox.ts';
import { nodeSha256 } from '#client/nodesha.ts';
import { nodeConnect } from '#client/nodesocket.ts';
import type { Outbox } from '#client/outbox.ts';
import { isProblem } from '#queue/problem.ts';
import { type DeviceWorld, makeEvent, rest, stubborn } from './classroom.ts';
import { digestOf, type SignedReceipt } from './proof.ts';

/** Refusals after which the server never takes the event: they end the writing of a device. */
const forGood: readonly string[] = ['sealed', 'finished', 'late', 'quota'];

/** How finish() may fail: refused, or the history or the session ended meanwhile. */
const noReceipt: readonly string[] = [...forGood, 'client_closed', 'verified', 'unsent_at_verified'];

/** What the end of the session leaves in an outbox, after a refusal. Every other alarm is a fault. */
const expectedAlarm = 'unsent_at_verified';

/** Reconnecting waits this fraction of what real clients wait, since a history has little time. */
const haste = 0.1;

/**
 * A device with our client: writes, goes away, comes back on its outbox, finishes or is refused, and then waits for
 * the news that the session is verified.
 */
export async function playDevice(world: DeviceWorld): Promise<void> {
  const { plan, signal } = world;
  const memory = memoryOutbox();
  const openOutbox = () => (plan.kind === 'file' ? fileOutbox(world.outboxFile) : memory);
  let refusedFor = 0;
  let client = arrive(world, openOutbox());
  try {
    for (let n = 1; await rest(world, plan.pauseMs); n++) {
      if (plan.leavesBefore.includes(n)) {
        await client.close();
        await rest(world, plan.awayMs);
        client = arrive(world, openOutbox());
      }
      if (plan.finishAfter !== null && n > plan.finishAfter) {
        await finish(world, client);
        break;
      }
      if (client.state.verified !== null || (refusedFor > 0 && ++refusedFor > 1 + stubborn)) break;
      await write(world, client, n, () => {
        refusedFor ||= 1;
      });
    }
    if (!signal.aborted) await once(signal, 'abort');
  } finally {
    await client.close();
  }
}

const connect = nodeConnect();

/** Another client on the device's outbox. */
function arrive({ plan, random, url, token, recorder }: DeviceWorld, outbox: Outbox): ExamClient {
  const { student } = plan;
  const client: ExamClient = createExamClient({
    url,
    token: () => token(student),
    outbox,
    connect,
    sha256: nodeSha256,
    random: () => random() * haste,
    startSpreadMs: 50,
    onDurable: (seq) => recorder.acknowledged({ student, writer: client.state.writer!, seq }),
    onAlarm: ({ code, message }) => {
      if (code !== expectedAlarm) recorder.alarms.push(`${student}: ${code}: ${message}`);
    },
    onVerified: (root) => recorder.verified.push(root),
  });
  // It tries until it is closed, and tells by callbacks what comes of it.
  client.open().catch(() => {});
  return client;
}

/** Numbers and sends one answer. `onRefused` is called when it is refused for good. */
async function write(world: DeviceWorld, client: ExamClient, n: number, onRefused: () => void): Promise<void> {
  const { plan, random, recorder } = world;
  const event = makeEvent(random, n);
  const at = recorder.now();
  const seq = await client.submit(event);
  const name = { student: plan.student, writer: client.state.writer!, seq };
  recorder.sent(name, digestOf(JSON.stringify(event)), at);
  client.settled(seq).catch((error: unknown) => {
    if (!isProblem(error) || !forGood.includes(error.code)) return; // This client goes; the next one sends it again.
    recorder.refused(name, error.code);
    onRefused();
  });
}

async function finish({ plan, recorder }: DeviceWorld, client: ExamClient): Promise<void> {
  try {
    const { receipt } = await client.finish();
    recorder.receipt(receipt as SignedReceipt);
  } catch (error) {
    if (!isProblem(error) || !noReceipt.includes(error.code)) recorder.alarms.push(`${plan.student}: finish: ${error}`);
  }
}
