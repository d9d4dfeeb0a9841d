import { mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { expect, test } from 'vitest';
import { findContainers } from '#setup/findcontainers.cjs';
import { tmpFolder } from '#test/support/tmp.ts';

const files = {
  containerd: ['bin/containerd', 'bin/containerd-shim-runc-v2', 'bin/ctr'],
  runc: ['bin/runc'],
  iptables: [
    ...['', '-save', '-restore'].map((end) => `bin/iptables${end}`),
    'unpacked/usr/lib/any/xtables/libxt_any.so',
  ],
  iproute2: ['bin/ip'],
  plugins: ['ptp', 'portmap', 'host-local', 'loopback'].map((name) => `unpacked/usr/lib/cni/${name}`),
};

/** A folder of the cache into which the set-up unpacked these. */
function unpacked(home: string, name: string, what: readonly (keyof typeof files)[]): string {
  const build = join(home, 'untradex', name);
  for (const file of what.flatMap((each) => files[each])) {
    mkdirSync(join(build, file, '..'), { recursive: true });
    writeFileSync(join(build, file), '', { mode: 0o755 });
  }
  return build;
}

test('what was got at different times is found together', () => {
  const home = tmpFolder('cache');
  const first = unpacked(home, 'containers1-containerd+runc+plugins', ['containerd', 'runc', 'plugins']);
  const later = unpacked(home, 'containers1-iptables+iproute2', ['iptables', 'iproute2']);
  const found = findContainers({ PATH: '', XDG_CACHE_HOME: home });
  expect(found.lacking).toEqual([]);
  expect(found.path.split(delimiter)).toEqual(expect.arrayContaining([join(first, 'bin'), join(later, 'bin')]));
});

test('programs of the machine come first, and then nothing of what was unpacked is in their way', () => {
  const home = tmpFolder('cache');
  const all = Object.keys(files) as (keyof typeof files)[];
  unpacked(home, 'containers1-all', all);
  const machine = join(unpacked(tmpFolder('machine'), 'usr', all), 'bin');
  const found = findContainers({ PATH: machine, XDG_CACHE_HOME: home });
  expect(found.path.split(delimiter)[0]).toBe(machine);
  expect(found.env).toEqual({});
});
