import { chooseCluster } from './choose.ts';

/**
 * `node test/support/cluster/up.ts`: a cluster to try things on. Prints the path of its kubeconfig file on stdout, stays
 * until Ctrl-C (or SIGTERM, or a closed terminal), and cleans up.
 */
async function main(): Promise<void> {
  const startedAt = performance.now();
  const cluster = await chooseCluster(process.env);
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.error(`a cluster (${cluster.madeOf}) is ready after ${seconds} s; Ctrl-C ends it`);
  console.error(`kubectl: ${cluster.programs.kubectl}\nhelm: ${cluster.programs.helm}\nlogs: ${cluster.logs}`);
  console.log(cluster.kubeconfig);
  await signalled();
  console.error('stopping ...');
  await cluster.stop();
}

/** A second signal ends this process at once; what is left then, the next one removes. */
function signalled(): Promise<void> {
  const stay = setInterval(() => {}, 3_600_000);
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        clearInterval(stay);
        resolve();
      });
    }
  });
}

await main();
