import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';

/**
 * The smallest WebSocket client that can put a server under load: frames are built once a message with the zero mask
 * (legal by RFC 6455 section 5.3, and it keeps masking out of the measured machine's generator core), and only what
 * servers in this benchmark send is parsed: unfragmented frames below 64 KiB.
 */
export interface WireSocket {
  /** Sends text messages; one write to the kernel for all of them. */
  send(texts: readonly string[]): void;
  close(): void;
}

const opcodes = { text: 1, close: 8, ping: 9, pong: 10 } as const;

/** One masked client frame (mask 0) with FIN set. */
export function clientFrame(opcode: number, payload: Buffer): Buffer {
  const long = payload.length > 125;
  const head = Buffer.alloc(long ? 8 : 6);
  head[0] = 0x80 | opcode;
  if (long) {
    head[1] = 0x80 | 126;
    head.writeUInt16BE(payload.length, 2);
  } else head[1] = 0x80 | payload.length;
  return Buffer.concat([head, payload]);
}

/** Where one server frame's payload lies in `bytes`, or null when it is not complete yet. */
function frameAt(bytes: Buffer, at: number): { opcode: number; start: number; end: number } | null {
  if (bytes.length - at < 2) return null;
  let length = bytes[at + 1]! & 0x7f;
  let start = at + 2;
  if (length === 126) {
    if (bytes.length - at < 4) return null;
    length = bytes.readUInt16BE(at + 2);
    start = at + 4;
  } else if (length === 127) throw new Error('a frame of 64 KiB or more, which no server here sends');
  return bytes.length < start + length ? null : { opcode: bytes[at]! & 0x0f, start, end: start + length };
}

/**
 * Connects and upgrades.
 * @param onMessage gets each text message's bytes (a view, valid during the call)
 * @returns once the server answered 101; rejects with its status line otherwise
 */
export function openWire(options: {
  host: string;
  port: number;
  path: string;
  headers?: Record<string, string>;
  onMessage: (bytes: Buffer) => void;
  onClose: (why: string) => void;
}): Promise<WireSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: options.host, port: options.port, noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => socket.write(upgradeRequest(options)));
    let answer = Buffer.alloc(0);
    const onAnswer = (chunk: Buffer) => {
      answer = Buffer.concat([answer, chunk]);
      const end = answer.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', onAnswer);
      const status = answer.toString('latin1', 0, answer.indexOf('\r\n'));
      if (!status.includes(' 101 ')) {
        socket.destroy();
        reject(new Error(status));
        return;
      }
      socket.off('error', reject);
      listen(socket, answer.subarray(end + 4), options);
      resolve(wireSocket(socket));
    };
    socket.on('data', onAnswer);
  });
}

function upgradeRequest(options: {
  host: string;
  port: number;
  path: string;
  headers?: Record<string, string>;
}): string {
  const headers = {
    Host: `${options.host}:${options.port}`,
    Upgrade: 'websocket',
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': randomBytes(16).toString('base64'),
    ...options.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`GET ${options.path} HTTP/1.1`, ...lines, '', ''].join('\r\n');
}

function listen(
  socket: Socket,
  first: Buffer,
  options: { onMessage: (bytes: Buffer) => void; onClose: (why: string) => void },
): void {
  let rest = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (let frame = frameAt(bytes, at); frame !== null; frame = frameAt(bytes, at)) {
      const payload = bytes.subarray(frame.start, frame.end);
      if (frame.opcode === opcodes.text) options.onMessage(payload);
      else if (frame.opcode === opcodes.ping) socket.write(clientFrame(opcodes.pong, payload));
      else if (frame.opcode === opcodes.close) options.onClose(`closed by the server: ${payload.toString('latin1')}`);
      at = frame.end;
    }
    rest = at === bytes.length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(at));
  };
  socket.on('data', onData);
  socket.once('error', (error) => options.onClose(error.message));
  if (first.length > 0) onData(first);
}

function wireSocket(socket: Socket): WireSocket {
  return {
    send(texts) {
      const frames = texts.map((text) => clientFrame(opcodes.text, Buffer.from(text)));
      socket.write(frames.length === 1 ? frames[0]! : Buffer.concat(frames));
    },
    close: () => socket.destroy(),
  };
}
