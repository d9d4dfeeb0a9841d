import { limits } from './limits.ts';

/** Where one shard's Redis lives and what it may use. Paths are absolute: Redis changes its folder while it reads them. */
export interface RedisSettings {
  /** Folder of the append-only file. It exists, and no other server ever uses it. */
  readonly dir: string;
  readonly port: number;
  /** Addresses to listen on, `127.0.0.1` for one machine; {@link allAddresses} for a pod. */
  readonly bind: readonly string[] | string;
  /**
   * Name of the folder within `dir` that holds the append-only file; `appendonlydir` when left out. Under another name
   * a Redis starts empty, and the file under the first one stays as it is. Letters, digits, `.`, `_` and `-`.
   */
  readonly appendDirName?: string;
  /** File with the text of `aclFile`. Left out only by tests: then everybody may do everything. */
  readonly aclFile?: string;
  /** Bytes of data. Set it well below the memory of machine or container: buffers and fragmentation come on top. */
  readonly maxmemoryBytes: number;
  /** File for the log; standard output when left out. */
  readonly logFile?: string;
  /** Listen with TLS only. Clients show a certificate of the same authority when `clientCertificates` is set. */
  readonly tls?: {
    readonly certFile: string;
    readonly keyFile: string;
    readonly caFile: string;
    readonly clientCertificates?: boolean;
  };
}

/** All addresses, IPv4 and, where there is IPv6, that too: in a pod nobody knows them before. */
export const allAddresses: readonly string[] = ['*', '-::*'];

/** A setting and the reason for it, which becomes the comment above it. */
type Setting = readonly [name: string, value: string, why: string];

/**
 * The lines of redis.conf (Redis 7 or Valkey) that PROTOCOL.md asks for, each with its reason. Everything that could
 * weaken the promise is said, also where it is the default of today.
 */
export function redisConfigLines(settings: RedisSettings): string[] {
  return linesOf([...listening(settings), ...durability(settings), ...memory(settings), ...bounds]);
}

/**
 * The lines of a redis.conf that takes all but its append-only file from another one: where many shards have the same
 * settings, these stand once.
 * @param file absolute path of a file with {@link redisConfigLines}
 */
export function redisShardLines(file: string, appendDirName: string): string[] {
  return linesOf([['include', quote(file), 'What all shards have in common.'], appendDir(appendDirName)]);
}

function linesOf(settings: readonly Setting[]): string[] {
  return settings.flatMap(([name, value, why]) => [`# ${why}`, `${name} ${value}`]);
}

function listening(settings: RedisSettings): Setting[] {
  const addresses = typeof settings.bind === 'string' ? [settings.bind] : settings.bind;
  const { tls, aclFile, logFile } = settings;
  const lines: Setting[] = [
    ['bind', addresses.map(quote).join(' '), 'Only where gateways, exporter and operator come from.'],
    ['port', tls ? '0' : String(settings.port), tls ? 'Nothing in the clear: TLS only.' : 'The port of this shard.'],
    ['protected-mode', 'yes', 'Without accounts, answer this machine only.'],
    ['daemonize', 'no', 'Whoever started the process watches it and sees it die.'],
    ['databases', '1', 'One key space: nothing can hide in, or be written to, another.'],
    ['timeout', '0', 'An idle gateway keeps its connection: reconnecting costs a check and a write.'],
    ['tcp-keepalive', '60', 'Notice peers that vanished without a word.'],
    ['enable-debug-command', 'no', 'DEBUG can crash the server and rewrite data.'],
    ['enable-module-command', 'no', 'MODULE LOAD runs foreign code.'],
  ];
  if (tls) lines.push(...tlsSettings(settings.port, tls));
  if (aclFile) lines.push(['aclfile', quote(aclFile), 'Accounts with the least rights; `default` is off.']);
  if (logFile) lines.push(['logfile', quote(logFile), 'Where the server says why it stopped.']);
  return lines;
}

function tlsSettings(port: number, tls: NonNullable<RedisSettings['tls']>): Setting[] {
  const asked = tls.clientCertificates ? 'yes' : 'no';
  return [
    ['tls-port', String(port), 'The port of this shard.'],
    ['tls-cert-file', quote(tls.certFile), "The server's certificate, which clients check."],
    ['tls-key-file', quote(tls.keyFile), 'Its private key.'],
    ['tls-ca-cert-file', quote(tls.caFile), 'The authority of client certificates.'],
    ['tls-auth-clients', asked, 'Accounts say who somebody is; a client certificate may be asked on top.'],
    ['tls-protocols', '"TLSv1.2 TLSv1.3"', 'Older versions are broken.'],
  ];
}

function durability(settings: RedisSettings): Setting[] {
  return [
    ['dir', quote(settings.dir), 'The volume of this shard, and of no other.'],
    ['appendonly', 'yes', 'The append-only file is the queue.'],
    ...(settings.appendDirName === undefined ? [] : [appendDir(settings.appendDirName)]),
    ['appendfsync', 'always', 'One write and one fsync before any reply of a turn: the reply is the proof.'],
    ['no-appendfsync-on-rewrite', 'no', 'Never reply without fsync, not even while a rewrite runs.'],
    ['auto-aof-rewrite-percentage', '0', 'Never rewrite in mid-exam: it forks, doubles the disk, and delays fsyncs.'],
    ['aof-use-rdb-preamble', 'yes', 'Should a person rewrite the file by hand, it loads faster.'],
    ['aof-load-truncated', 'yes', 'A cut tail was never fsynced, so never acknowledged: drop it and start.'],
    ['save', '""', 'No snapshots: they fork and write, and prove nothing.'],
  ];
}

/** Redis takes a name only, no path. */
function appendDir(name: string): Setting {
  if (!/^\w[\w.-]{0,99}$/.test(name)) throw new RangeError(`not a name for a folder: ${JSON.stringify(name)}`);
  return ['appenddirname', quote(name), 'The folder of the append-only file. Another name is another, empty queue.'];
}

function memory(settings: RedisSettings): Setting[] {
  if (!Number.isSafeInteger(settings.maxmemoryBytes) || settings.maxmemoryBytes <= 0) {
    throw new RangeError(`maxmemoryBytes is ${settings.maxmemoryBytes}: it takes a positive number of bytes`);
  }
  return [
    ['maxmemory', String(settings.maxmemoryBytes), 'Refuse writes before the system kills the process.'],
    ['maxmemory-policy', 'noeviction', 'Refuse rather than evict: eviction deletes answers.'],
  ];
}

const mebibyte = 1_048_576;

/** Four batches: a command is one batch and its writers, about half as much again. */
const argumentBytes = 4 * limits.batchBytes;

const bounds: readonly Setting[] = [
  ['proto-max-bulk-len', String(argumentBytes), 'A batch is at most 1 MiB: no argument needs more than this.'],
  [
    'client-query-buffer-limit',
    String(4 * argumentBytes),
    'One client holds at most a few commands in memory, not 1 GB of them.',
  ],
  [
    'client-output-buffer-limit',
    `normal ${256 * mebibyte} ${64 * mebibyte} 60`,
    'A reader that does not read is cut off before its replies fill maxmemory and stop the exam.',
  ],
  [
    'stream-node-max-bytes',
    '4096',
    'A batch above 4 KiB is a node of its own: larger nodes would be copied to grow by each 1 MiB batch.',
  ],
  ['stream-node-max-entries', '100', 'Small batches share a node, but none is slow to read.'],
  ['busy-reply-threshold', '5000', 'After 5 s in one script (they take ms) others are told BUSY instead of nothing.'],
];

/** Quotes a value as Redis splits lines: within double quotes, with backslash escapes. A line break would be a setting. */
function quote(value: string): string {
  if (/\p{Cc}/u.test(value))
    throw new RangeError(`a Redis setting cannot have control characters: ${JSON.stringify(value)}`);
  return `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
}
