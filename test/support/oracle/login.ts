import { openSession } from './database.ts';
import { logon, pairs } from './logon.ts';
import { oraError } from './oraerror.ts';
import type { TtcReader, TtcWriter } from './packets.ts';
import { fieldVersion, status } from './replies.ts';
import { zoneMinutes } from './statements.ts';
import type { Wire } from './wire.ts';

// The calls up to and with the login.

export function protocol(_: Wire, __: TtcReader, to: TtcWriter): void {
  const compiled = Buffer.alloc(46);
  compiled[7] = fieldVersion;
  const atRunTime = Buffer.alloc(11);
  atRunTime.set([2, 1], 0);
  atRunTime[6] = 4;
  const formats = Buffer.alloc(11);
  formats.writeUInt16BE(2_000, 9);
  to.u8(1, 6, 0).raw(Buffer.from('x86_64/Linux 2.4.xx\0'));
  // AL32UTF8 (873), little-endian.
  to.u8(873 & 255, 873 >> 8, 1, 0, 0)
    .u16(formats.length)
    .raw(formats)
    .bytes(compiled)
    .bytes(atRunTime);
}

/** With the database's time zone, +00:00. */
export function dataTypes(_: Wire, __: TtcReader, to: TtcWriter): void {
  to.u8(2, 0x80, 0, 0, 0, 60, 60, 60, 0x80, 0, 0, 0).u16(0);
}

function readLogon(reader: TtcReader): { user: string; given: Map<string, string> } {
  reader.u8();
  reader.ub();
  reader.ub();
  reader.u8();
  const count = reader.ub();
  reader.skip(2);
  const user = reader.bytes()?.toString().toUpperCase() ?? '';
  const given = new Map<string, string>();
  for (let i = 0; i < count; i++) {
    given.set(reader.text(), reader.text());
    reader.ub();
  }
  return { user, given };
}

export function challenge(wire: Wire, reader: TtcReader, to: TtcWriter): void {
  wire.user = readLogon(reader).user;
  wire.logon = logon(wire.database.users.get(wire.user) ?? null);
  wire.logon.challenge(to);
  status(to, false);
}

export function password(wire: Wire, reader: TtcReader, to: TtcWriter): void {
  const { given } = readLogon(reader);
  const response = wire.logon?.answer(given) ?? null;
  if (response === null) throw oraError(1017);
  const zone = /TIME_ZONE\s*='([^']+)'/.exec(given.get('AUTH_ALTER_SESSION') ?? '')?.[1] ?? '';
  wire.session = openSession(wire.database, wire.user, zoneMinutes(zone) ?? 0);
  const [major = 0, minor = 0] = wire.database.facts.version.split('.').map(Number);
  pairs(to, [
    ['AUTH_VERSION_STRING', '- Production'],
    ['AUTH_VERSION_NO', String(((major << 24) | (minor << 16)) >>> 0)],
    ['AUTH_SESSION_ID', String(wire.session.id)],
    ['AUTH_SERIAL_NUM', '1'],
    ['AUTH_MAX_IDEN_LENGTH', '128'],
    ['AUTH_MAX_OPEN_CURSORS', '300'],
    ['AUTH_SC_SERVICE_NAME', 'EXAMS'],
    ['AUTH_INSTANCENAME', 'exams'],
    ['AUTH_DBNAME', 'EXAMS'],
    ['AUTH_SVR_RESPONSE', response],
  ]);
  const { loginWarning } = wire.database.facts;
  if (loginWarning !== null) {
    const text = Buffer.from(oraError(loginWarning).message);
    to.u8(15).ub(loginWarning, text.length, 0).bytes(text);
  }
  status(to, false);
}
