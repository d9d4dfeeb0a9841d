import { allAddresses, redisConfigLines, redisShardLines } from '#queue/redisconfig.ts';
import { paths, ports } from '../clustersettings.ts';
import { digestOf } from '../digest.ts';
import { objectNames } from '../names.ts';
import type { KubeObject } from '../runtime/object.ts';
import { type Part, partMetadata } from './part.ts';
import { accountsFile } from './secrets.ts';

export interface RedisConfigInput extends Part {
  /** In order of the shards. */
  readonly incarnations: readonly string[];
  readonly maxmemoryBytes: number;
}

const commonFile = 'redis.conf';

/** File name of a shard's configuration. */
export function shardConfigFile(shard: number | string): string {
  return `redis-${shard}.conf`;
}

/**
 * The configurations of all shards, named by their content and never changed. What they have in common stands once:
 * a ConfigMap holds 1 MiB, and there may be a thousand shards.
 *
 * The incarnation chooses the folder of the append-only file, so a shard that is made anew starts empty beside its
 * old data, which nobody deletes.
 */
export function redisConfigMap(input: RedisConfigInput): KubeObject {
  const { incarnations, maxmemoryBytes } = input;
  const common = redisConfigLines({
    dir: paths.data,
    port: ports.redis,
    bind: allAddresses,
    aclFile: `${paths.keys}/${accountsFile}`,
    maxmemoryBytes,
  });
  const shards = incarnations.map((incarnation, shard) => [
    shardConfigFile(shard),
    textOf(redisShardLines(`${paths.config}/${commonFile}`, `aof-${incarnation}`)),
  ]);
  const data = { [commonFile]: textOf(common), ...Object.fromEntries(shards) };
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: partMetadata(input, 'redis', `${objectNames(input.ref).redis}-${digestOf(data)}`),
    immutable: true,
    data,
  };
}

function textOf(lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}
