import { get } from 'node:http';
import { z } from 'zod';
import type { PodProgress } from './attemptstate.ts';
import type { PodView } from './podview.ts';

/** All pods together are waited for no longer than this: a pass is not held up by one that hangs. */
const waitMs = 500;
/** A report is about 100 bytes. */
const mostBytes = 4_096;

const schema = z.object({
  step: z.enum(['load', 'publish', 'verify']),
  rows: z.int().min(0),
  total: z.int().min(0),
  rowsPerSecond: z.int().min(0),
});

/** How far the exporters are that run and answer now: few, since few work at once. */
export async function askProgress(pods: readonly PodView[], port: number): Promise<PodProgress[]> {
  const signal = AbortSignal.timeout(waitMs);
  const asked = pods.flatMap(({ status }) =>
    status?.phase === 'Running' && status.podIP !== undefined ? [ask(status.podIP, port, signal)] : [],
  );
  return (await Promise.all(asked)).filter((progress) => progress !== null);
}

/** Null when it does not answer: it may have just ended. */
function ask(host: string, port: number, signal: AbortSignal): Promise<PodProgress | null> {
  return new Promise((resolve) => {
    const none = () => resolve(null);
    const request = get({ host, port, path: '/progress', agent: false, signal }, (reply) => {
      let text = '';
      reply.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
        if (text.length > mostBytes) request.destroy();
      });
      reply.on('end', () => resolve(reply.statusCode === 200 ? parsed(text) : null));
      reply.on('error', none).on('close', none);
    });
    request.on('error', none).on('close', none);
  });
}

function parsed(text: string): PodProgress | null {
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}
