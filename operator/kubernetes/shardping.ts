import { dropClient, type Endpoint, openClient, within } from '#queue/client.ts';

/**
 * Tells whether a shard takes commands: its file is loaded. A pod is ready before that, since the probes of a cluster
 * have no account in Redis. Bounded by twice `timeoutMs`; whatever goes wrong means no.
 */
export async function answersPing(endpoint: Endpoint, timeoutMs = 2_000): Promise<boolean> {
  try {
    const redis = await openClient(endpoint, 'untradex-ping', timeoutMs);
    try {
      return (await within(timeoutMs, redis.ping(), 'ping')) === 'PONG';
    } finally {
      dropClient(redis);
    }
  } catch {
    // Connection refused, LOADING, no reply: the next pass asks again.
    return false;
  }
}
