import type { Caller } from './caller.ts';
import type { AdminSessions, Finalized } from './sessions.ts';

/** A request that is understood: who may do it is asked by what it does. */
export interface Route {
  readonly method: 'GET' | 'POST';
  run(sessions: AdminSessions, caller: Caller): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  /** What was done, for the audit; null: nothing was. */
  readonly done: Finalized | null;
}

const name = '([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)';
const one = new RegExp(`^/api/sessions/${name}/${name}$`);
const finalizeOne = new RegExp(`^/api/sessions/${name}/${name}/finalize$`);

/** Null: there is nothing at this path. */
export function routeOf(path: string): Route | null {
  if (path === '/api/sessions') {
    return { method: 'GET', run: async (sessions, caller) => told({ sessions: await sessions.list(caller) }) };
  }
  if (path === '/api/finalizarexamen') {
    return { method: 'POST', run: async (sessions, caller) => finalized(await sessions.finalizeOnly(caller)) };
  }
  const [, readIn, , readName] = one.exec(path) ?? [];
  if (readIn && readName) {
    return { method: 'GET', run: async (sessions, caller) => told(await sessions.read(caller, readIn, readName)) };
  }
  const [, namespace, , session] = finalizeOne.exec(path) ?? [];
  if (namespace && session) {
    const run = async (sessions: AdminSessions, caller: Caller) =>
      finalized(await sessions.finalize(caller, namespace, session));
    return { method: 'POST', run };
  }
  return null;
}

function told(body: unknown): Answer {
  return { status: 200, body, done: null };
}

/** 202: it is asked for, and will be under way; the session's status tells how far. 200: it was before. */
function finalized(done: Finalized): Answer {
  return { status: done.changed ? 202 : 200, body: { changed: done.changed, ...done.session }, done };
}
