import type { KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { limits as queueLimits } from '#queue/limits.ts';
import { problem } from '#queue/problem.ts';
import { readReceiptKey } from '#queue/receipt.ts';
import type { TokenRules } from './token.ts';

/**
 * What one gateway process does to stay alive under load, and what one student can ask of it. The defaults are far
 * above what an exam needs; they are configurable because benchmarks and rehearsals play many students from one place.
 */
export const defaultLimits = {
  /** New connections a second, and at once after a quiet time. Above: 503 with Retry-After. */
  connectionsPerSecond: 1_000,
  connectionBurst: 3_000,
  /** How late the event loop may be, at its 99th percentile within a second, before new connections get 503. */
  eventLoopDelayMs: 1_000,
  /** Connections of one student to this process; one more closes the oldest (a dead one, mostly). */
  studentConnections: 8,
  /** New connections of one student a second, and at once. Above: 429 with Retry-After. */
  studentConnectsPerSecond: 1,
  studentConnectBurst: 20,
  /** Messages of one student a second, and at once; 1 KiB counts as one more. Above: its sockets are read later. */
  studentMessagesPerSecond: 200,
  studentMessageBurst: 4_000,
  /** Events, and bytes of them, that wait for one shard before its students' sockets are read no more. */
  pendingEvents: queueLimits.pendingEvents,
  pendingBytes: queueLimits.pendingBytes,
} as const satisfies Record<string, number>;

export type GatewayLimits = { readonly [K in keyof typeof defaultLimits]: number };

const text = z.string().min(1);
const port = z.int().min(0).max(65_535);
const limit = z.number().positive();
const listen = z.strictObject({ host: text, port });

const tls = z.strictObject({
  caFile: text.optional(),
  certFile: text.optional(),
  keyFile: text.optional(),
  servername: text.optional(),
});

const shard = z.strictObject({
  host: text,
  port: port.min(1),
  username: text.nullish(),
  passwordFile: text.nullish(),
  tls: tls.nullish(),
  incarnation: text,
});

const file = z.strictObject({
  session: z.strictObject({ name: text, uid: z.uuid(), exam: text, rehearsal: z.boolean().default(false) }),
  listen,
  ops: listen,
  shards: z.array(shard).min(1).max(1_024),
  auth: z
    .strictObject({
      secretFile: text.nullish(),
      jwksUrl: z.url({ protocol: /^https?$/ }).nullish(),
      issuer: text.nullish(),
      audience: text,
    })
    .refine((auth) => (auth.secretFile == null) !== (auth.jwksUrl == null), {
      error: 'set exactly one of secretFile and jwksUrl',
    }),
  receipt: z.strictObject({ privateKeyFile: text }),
  connectionTokenKeyFile: text,
  mode: z.enum(['serve', 'answer']).default('serve'),
  origins: z.array(text).default([]),
  drainSeconds: z.number().min(0).max(600).default(10),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  capacity: z.int().min(1).default(20_000),
  limits: z
    .strictObject(
      Object.fromEntries(Object.keys(defaultLimits).map((name) => [name, limit.optional()])) as Record<
        keyof GatewayLimits,
        z.ZodOptional<typeof limit>
      >,
    )
    .default({} as never),
});

type ConfigFile = z.output<typeof file>;

/** Where one shard's Redis is; the form that `openShard` takes. */
export interface ShardEndpoint {
  readonly host: string;
  readonly port: number;
  readonly username?: string;
  readonly password?: string;
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string };
}

/** Everything that a gateway is told, checked, with the files that it names already read. */
export interface GatewayConfig {
  readonly session: ConfigFile['session'];
  readonly listen: { readonly host: string; readonly port: number };
  readonly ops: { readonly host: string; readonly port: number };
  readonly shards: readonly { readonly endpoint: ShardEndpoint; readonly incarnation: string }[];
  readonly tokens: TokenRules;
  readonly receiptKey: KeyObject;
  readonly connectionTokenKey: Buffer;
  readonly mode: 'serve' | 'answer';
  readonly origins: readonly string[];
  readonly drainMs: number;
  readonly logLevel: ConfigFile['logLevel'];
  readonly capacity: number;
  readonly limits: GatewayLimits;
}

/**
 * Reads a gateway's configuration (JSON; documented in docs/gateway.md) and the files that it names; relative
 * paths begin at its own folder. @throws one Problem `gateway_config_invalid` that lists everything that is wrong
 */
export function readConfig(path: string): GatewayConfig {
  const wrong: string[] = [];
  const config = buildConfig(readJson(path, wrong), dirname(resolve(path)), wrong);
  if (config && wrong.length === 0) return config;
  throw problem(
    'gateway_config_invalid',
    `the gateway cannot start with ${path}:\n${wrong.map((line) => `  ${line}`).join('\n')}`,
    'Mend each of the named fields and files.',
  );
}

function readJson(path: string, wrong: string[]): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    wrong.push(`the file itself: ${messageOf(error)}`);
    return undefined;
  }
}

function buildConfig(json: unknown, folder: string, wrong: string[]): GatewayConfig | null {
  if (json === undefined) return null;
  const parsed = file.safeParse(json);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) wrong.push(`${issue.path.join('.') || 'config'}: ${issue.message}`);
    return null;
  }
  const { data } = parsed;
  const files = createFileReader(folder, wrong);
  const { secretFile, jwksUrl, issuer, audience } = data.auth;
  const keys = secretFile ? { secret: files.secret('auth.secretFile', secretFile) } : { jwksUrl: jwksUrl! };
  return {
    session: data.session,
    listen: data.listen,
    ops: data.ops,
    shards: data.shards.map((entry, index) => ({
      endpoint: endpointOf(entry, `shards.${index}`, files),
      incarnation: entry.incarnation,
    })),
    tokens: { keys, issuer: issuer ?? null, audience, rehearsal: data.session.rehearsal },
    receiptKey: files.receiptKey('receipt.privateKeyFile', data.receipt.privateKeyFile),
    connectionTokenKey: files.secret('connectionTokenKeyFile', data.connectionTokenKeyFile),
    mode: data.mode,
    origins: data.origins,
    drainMs: data.drainSeconds * 1_000,
    logLevel: data.logLevel,
    capacity: data.capacity,
    limits: { ...defaultLimits, ...(data.limits as Partial<GatewayLimits>) },
  };
}

function endpointOf(entry: z.output<typeof shard>, field: string, files: FileReader): ShardEndpoint {
  const { host, port, username, passwordFile, tls } = entry;
  return {
    host,
    port,
    ...(username ? { username } : {}),
    ...(passwordFile ? { password: files.text(`${field}.passwordFile`, passwordFile) } : {}),
    ...(tls
      ? {
          tls: {
            ...(tls.caFile ? { ca: files.text(`${field}.tls.caFile`, tls.caFile) } : {}),
            ...(tls.certFile ? { cert: files.text(`${field}.tls.certFile`, tls.certFile) } : {}),
            ...(tls.keyFile ? { key: files.text(`${field}.tls.keyFile`, tls.keyFile) } : {}),
            ...(tls.servername ? { servername: tls.servername } : {}),
          },
        }
      : {}),
  };
}

type FileReader = ReturnType<typeof createFileReader>;

/** Reads named files; what fails goes to `wrong`, under the name of the field, and never holds the content. */
function createFileReader(folder: string, wrong: string[]) {
  const read = (field: string, path: string): string => {
    try {
      const content = readFileSync(resolve(folder, path), 'utf8').trim();
      if (content === '') wrong.push(`${field}: the file is empty`);
      return content;
    } catch (error) {
      wrong.push(`${field}: ${messageOf(error)}`);
      return '';
    }
  };
  return {
    text: read,

    /** A key of at least 256 bits, as base64url text. */
    secret(field: string, path: string): Buffer {
      const content = read(field, path);
      const bytes = Buffer.from(content, 'base64url');
      if (content !== '' && (!/^[\w-]+={0,2}$/.test(content) || bytes.length < 32)) {
        wrong.push(`${field}: the file must hold at least 32 random bytes as base64url text`);
      }
      return bytes;
    },

    receiptKey(field: string, path: string): KeyObject {
      const content = read(field, path);
      try {
        return readReceiptKey(content);
      } catch (error) {
        if (content !== '') wrong.push(`${field}: ${messageOf(error)}`);
        return undefined as never;
      }
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
