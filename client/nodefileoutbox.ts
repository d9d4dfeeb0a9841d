import { type FileHandle, open, readFile, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { isProblem, type Problem, problem } from '#queue/problem.ts';
import { takeLock } from './nodelock.ts';
import { makeWriter, type Outbox, type OutboxContents } from './outbox.ts';
import { bindingLine, eventLine, headerLine, type OutboxOwner, readOutboxFile, toldLine } from './outboxfile.ts';

/**
 * An outbox in a file (format: `outboxfile.ts`). What `append` confirmed survives `kill -9` and a power cut: it was
 * written and synced. Appends that come while one sync runs share the next. `PATH.lock` beside it keeps other clients
 * out, of this process and of others.
 * @param path made when missing, readable by its owner only; its folder must exist
 * @param owner what is known beforehand, for the header of a new file
 */
export function fileOutbox(path: string, owner: OutboxOwner = {}): Outbox {
  let log: AppendLog | null = null;
  let release: (() => void) | null = null;

  function opened(): AppendLog {
    if (log !== null) return log;
    throw problem('outbox_closed', `the outbox ${path} is not open`, 'Open it, or let createExamClient do so.');
  }

  async function giveBack(): Promise<void> {
    const [closing, unlock] = [log, release];
    log = null;
    release = null;
    try {
      await closing?.close();
    } finally {
      unlock?.();
    }
  }

  return {
    async open() {
      if (release !== null) throw inUse(path);
      try {
        release = takeLock(`${path}.lock`);
        if (release === null) throw inUse(path);
        const contents = await readOrCreate(path, owner);
        log = createAppendLog(path, await open(path, 'a'));
        return contents;
      } catch (error) {
        await giveBack();
        throw isProblem(error) ? error : failed(path, error);
      }
    },
    append: (seq, text) => opened().add(eventLine(seq, text)),
    bind: (binding) => opened().add(bindingLine(binding)),
    tell: (told) => opened().addLazily(toldLine(told)),
    async clear() {
      const closing = opened();
      log = null;
      await closing.close();
      await rm(path);
      await syncFolder(path);
    },
    close: giveBack,
  };
}

async function readOrCreate(path: string, owner: OutboxOwner): Promise<OutboxContents> {
  const handle = await open(path, 'a+', 0o600);
  try {
    const bytes = await readFile(path);
    const { contents, goodBytes } = readOutboxFile(bytes);
    if (goodBytes < bytes.length) await handle.truncate(goodBytes);
    if (contents === null) {
      const writer = makeWriter();
      await handle.appendFile(headerLine(writer, owner));
      await handle.sync();
      await syncFolder(path);
      return { writer, texts: [], binding: null, told: null };
    }
    // What was read may still be on its way to the disk, and is about to be sent as if it were there.
    await handle.sync();
    return contents;
  } finally {
    await handle.close();
  }
}

/** A new or removed name is on the disk when its folder is. Windows cannot sync folders, and need not. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(dirname(path), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

interface AppendLog {
  /** Resolves when the line is written and synced. After a failure every call rejects. */
  add(line: string): Promise<void>;
  /** Keeps the line, replacing the last lazy one that was not written yet; it goes out with or after other writes. */
  addLazily(line: string): void;
  /** Writes what is left, and closes. */
  close(): Promise<void>;
}

/** Group commit: while one write and its sync run, the next group gathers. */
function createAppendLog(path: string, handle: FileHandle): AppendLog {
  let group: { line: string; resolve(): void; reject(error: Problem): void }[] = [];
  let lazyLine = '';
  let failure: Problem | null = null;
  let writing: Promise<void> | null = null;

  async function writeGroups(): Promise<void> {
    while (failure === null && (group.length > 0 || lazyLine !== '')) {
      const current = group;
      const text = current.map((one) => one.line).join('') + lazyLine;
      group = [];
      lazyLine = '';
      try {
        await handle.appendFile(text);
        if (current.length > 0) await handle.datasync();
        for (const one of current) one.resolve();
      } catch (cause) {
        // After a failed write or sync nobody knows what is on the disk, so nothing may follow it (port, rule 4).
        failure = failed(path, cause);
        for (const one of [...current, ...group]) one.reject(failure);
        group = [];
      }
    }
    writing = null;
  }

  function go(): void {
    writing ??= writeGroups();
  }

  return {
    add(line) {
      if (failure !== null) return Promise.reject(failure);
      return new Promise((resolve, reject) => {
        group.push({ line, resolve, reject });
        go();
      });
    },
    addLazily(line) {
      if (failure !== null) return;
      lazyLine = line;
      go();
    },
    async close() {
      await writing;
      await handle.close();
    },
  };
}

function inUse(path: string): Problem {
  return problem(
    'outbox_in_use',
    `another client has the outbox ${path} open`,
    'Close it there, or give each client a path of its own.',
  );
}

function failed(path: string, cause: unknown): Problem {
  return problem(
    'outbox_failed',
    `the outbox ${path} cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`,
    'Its folder must exist and have room. Then open the outbox again; what was confirmed before is in it.',
    { cause },
  );
}
