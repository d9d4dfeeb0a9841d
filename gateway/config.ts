import type { KeyObject } from 'node:crypto';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import type { Endpoint } from '#queue/client.ts';
import { messageOf, readConfigJson, readNamedFile } from '#queue/configfile.ts';
import { limits as queueLimits } from '#queue/limits.ts';
import { problem } from '#queue/problem.ts';
import { readReceiptKey } from '#queue/receipt.ts';
import { endpointOf, shardEntry } from '#queue/shardentry.ts';
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

const file = z.strictObject({
  session: z.strictObject({ name: text, uid: z.uuid(), exam: text, rehearsal: z.boolean().default(false) }),
  listen,
  ops: listen,
  shards: z.array(shardEntry).min(1).max(1_024),
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

/** Everything that a gateway is told, checked, with the files that it names already read. */
export interface GatewayConfig {
  readonly session: ConfigFile['session'];
  readonly listen: { readonly host: string; readonly port: number };
  readonly ops: { readonly host: string; readonly port: number };
  readonly shards: readonly { readonly endpoint: Endpoint; readonly incarnation: string }[];
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
  const config = buildConfig(readConfigJson(path, wrong), dirname(resolve(path)), wrong);
  if (config && wrong.length === 0) return config;
  throw problem(
    'gateway_config_invalid',
    `the gateway cannot start with ${path}:\n${wrong.map((line) => `  ${line}`).join('\n')}`,
    'Mend each of the named fields and files.',
  );
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
      endpoint: endpointOf(entry, (field, path) => files.text(`shards.${index}.${field}`, path)),
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

/** Reads named files; what fails goes to `wrong`, under the name of the field, and never holds the content. */
function createFileReader(folder: string, wrong: string[]) {
  const read = (field: string, path: string) => readNamedFile(field, resolve(folder, path), wrong);
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
