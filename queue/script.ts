import { createHash } from 'node:crypto';
import type { Redis } from 'ioredis';
import { keys } from './keys.ts';
import { appendScript } from './scripts/append.ts';
import { finishScript } from './scripts/finish.ts';
import { initScript } from './scripts/init.ts';
import { sealScript } from './scripts/seal.ts';
import { touchScript } from './scripts/touch.ts';

/** A Lua script, the keys it is called with, and the name that Redis knows it by. */
export interface Script {
  readonly lua: string;
  readonly sha: string;
  readonly keys: readonly string[];
}

function script(lua: string, ...scriptKeys: string[]): Script {
  return { lua, sha: createHash('sha1').update(lua).digest('hex'), keys: scriptKeys };
}

/** Every script of PROTOCOL.md. The order of the keys is the one that the head of the Lua names. */
export const scripts = {
  append: script(
    appendScript,
    ...[keys.meta, keys.session, keys.state, keys.writers, keys.students, keys.events, keys.finished, keys.deadlines],
  ),
  finish: script(finishScript, keys.meta, keys.state, keys.writers, keys.finished),
  seal: script(sealScript, keys.meta, keys.state, keys.events),
  touch: script(touchScript, keys.meta, keys.barrier),
  init: script(initScript, keys.meta),
} as const;

/**
 * Calls a script by its SHA-1. Redis forgets scripts when it restarts, and says NOSCRIPT: nothing ran, so the script is
 * loaded and called again, once.
 */
export async function callScript(redis: Redis, called: Script, args: readonly (string | Buffer)[]): Promise<unknown> {
  try {
    return await redis.evalsha(called.sha, called.keys.length, ...called.keys, ...args);
  } catch (error) {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
    await redis.script('LOAD', called.lua);
    return redis.evalsha(called.sha, called.keys.length, ...called.keys, ...args);
  }
}
