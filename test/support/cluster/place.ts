import { once } from 'node:events';
import { lstatSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What one cluster has for itself on this machine, so that a few can run side by side. */
export interface Place {
  /** `untradex-cluster-0`: its folder below the one for temporary files, and its control groups. */
  readonly name: string;
  /** All that it keeps. Owned by this user alone. */
  readonly folder: string;
  /** This machine's network interface to the node, and the addresses of its two ends. */
  readonly link: string;
  readonly hostAddress: string;
  readonly nodeAddress: string;
  /** The ranges of pods and of services. This machine reaches both. */
  readonly pods: string;
  readonly services: string;
  readonly dnsAddress: string;
  /** Lets others have the place. */
  release(): Promise<void>;
}

const places = 4;
const tries = 5;

/**
 * Takes the first place that nobody has. The lock is a socket in Linux' abstract namespace, which exactly one process
 * can have and which goes with it: what is found in a place that could be taken was left by a run that was killed.
 */
export async function takePlace(): Promise<Place> {
  for (let tried = 0; tried < tries; tried++) {
    for (let slot = 0; slot < places; slot++) {
      const place = await take(slot);
      if (place !== null) return place;
    }
    await sleep(500); // Somebody may only have looked what was left in one.
  }
  throw new Error(`${places} clusters for tests run on this machine already: stop one`);
}

/** Takes each free place for as long as `visit` takes. */
export async function visitFreePlaces(visit: (place: Place) => Promise<void>): Promise<void> {
  for (let slot = 0; slot < places; slot++) {
    const place = await take(slot);
    if (place !== null) await visit(place).finally(place.release);
  }
}

async function take(slot: number): Promise<Place | null> {
  const release = await lock(`untradex-cluster-${slot}`);
  return release === null ? null : placeAt(slot, release);
}

function placeAt(slot: number, release: () => Promise<void>): Place {
  const name = `untradex-cluster-${slot}`;
  return {
    name,
    folder: ownFolder(join(tmpdir(), name)),
    link: `untradex${slot}`,
    hostAddress: `10.243.${slot}.1`,
    nodeAddress: `10.243.${slot}.2`,
    pods: `10.244.${slot}.0/24`,
    services: `10.245.${slot}.0/24`,
    dnsAddress: `10.245.${slot}.10`,
    release,
  };
}

async function lock(name: string): Promise<(() => Promise<void>) | null> {
  const server = createServer().listen(`\0${name}`);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return null;
    throw error;
  }
  return async () => {
    server.close();
    await once(server, 'close');
  };
}

/** The name is known to everybody, so it must not be somebody else's. */
function ownFolder(folder: string): string {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const found = lstatSync(folder);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) {
    throw new Error(`${folder} is not a folder of this user: remove it`);
  }
  return folder;
}
