import cluster from 'node:cluster';

// A primary with two gateways as its workers, as `untradex run` is one. Tells its parent what they tell.

const [config] = process.argv.slice(2);
cluster.setupPrimary({ exec: 'gateway/main.ts', args: ['--config', config!] });
for (let count = 0; count < 2; count++) {
  const worker = cluster.fork();
  worker.on('message', (message: object) => process.send?.({ ...message, pid: worker.process.pid }));
  worker.on('exit', (code) => process.send?.({ kind: 'exit', pid: worker.process.pid, code }));
}
