import { once } from 'node:events';
import { createServer } from 'node:net';

/** Addresses of pods: one a name, for as long as the test lasts, so that a shard is found again after a restart. */
export interface Addresses {
  of(pod: string): string;
}

const ports = [6_379, 8_080, 9_090];
const mostTries = 20;

/**
 * 127.0.0.0/8 is all of this machine, on Linux without being set up: a piece of it where nobody listens on the ports
 * of pods. Another test's node takes another piece.
 */
export async function openAddresses(): Promise<Addresses> {
  const known = new Map<string, string>();
  for (let tries = 0; tries < mostTries; tries++) {
    const prefix = `127.${2 + Math.floor(Math.random() * 250)}.${Math.floor(Math.random() * 256)}`;
    const free = await Promise.all(ports.map((port) => isFree(`${prefix}.1`, port)));
    if (!free.every(Boolean)) continue;
    return {
      of(pod) {
        const address = known.get(pod) ?? addressOf(prefix, known.size);
        known.set(pod, address);
        return address;
      },
    };
  }
  throw new Error(`something listens on the ports ${ports.join(', ')} of all addresses of this machine`);
}

function addressOf(prefix: string, number: number): string {
  // Many pods of one test: the next piece.
  const [, second = '0', third = '0'] = prefix.split('.');
  return `127.${second}.${(Number(third) + Math.floor(number / 250)) % 256}.${1 + (number % 250)}`;
}

async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
