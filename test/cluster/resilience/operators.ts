import { setTimeout as sleep } from 'node:timers/promises';
import { type Hall, kinds } from './hall.ts';

/** The operator's own pods. */
const operators = 'app.kubernetes.io/name=untradex-operator';

export async function operatorPods(hall: Hall) {
  const living = (await list(hall)).filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  return living.map(({ metadata, spec }) => {
    const { containers } = spec as { containers: { image: string }[] };
    return { name: metadata.name, uid: metadata.uid, image: containers[0]!.image };
  });
}

/** Those that were told to end and have not. */
export async function endingOperators(hall: Hall): Promise<string[]> {
  const ending = (await list(hall)).filter(({ metadata }) => metadata.deletionTimestamp !== undefined);
  return ending.map(({ metadata }) => metadata.name);
}

async function list({ release, api }: Hall) {
  return (await api.list({ ...kinds.Pod, namespace: release.namespace, labelSelector: operators })).items;
}

/** Resolves when all of them are gone, or as many are ready. */
export async function scaleOperator({ release, kubectl }: Hall, replicas: number): Promise<void> {
  const at = ['-n', release.namespace];
  await kubectl(...at, 'scale', 'deployment', release.operator, `--replicas=${replicas}`);
  if (replicas > 0) await kubectl(...at, 'rollout', 'status', 'deployment', release.operator, '--timeout=60s');
  else await kubectl(...at, 'wait', 'pod', '-l', operators, '--for=delete', '--timeout=60s');
}

/**
 * Kills all of them every three seconds, until `isOver` or for a quarter of a minute; the number of the dead. They are told to
 * end, so that they give their Lease back: else nobody would begin in that time.
 */
export async function killOperators(hall: Hall, isOver: () => Promise<boolean>): Promise<number> {
  const end = performance.now() + 15_000;
  let killed = 0;
  while (performance.now() < end && !(await isOver())) {
    for (const { name } of await operatorPods(hall)) {
      await hall.kubectl('-n', hall.release.namespace, 'delete', 'pod', name, '--wait=false');
      killed++;
    }
    await sleep(3_000);
  }
  return killed;
}
