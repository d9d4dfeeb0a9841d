// Oracle Net packets and the primitives of TTC, the protocol in them. A packet: length (2 bytes, 4 once the connection is
// accepted), 2 or 0 of padding, type, flags, 2 bytes of checksum. TTC integers are a count of bytes and that many bytes.

export const packetType = { connect: 1, accept: 2, refuse: 4, data: 6, marker: 12 } as const;

/** Bytes of payload of a data packet that we send; the session data unit that we offer is 8,192. */
export const dataPayload = 8_000;

/** Cuts a stream into packets. `large` says whether lengths are of 4 bytes by now. */
export function packetReader(take: (type: number, packet: Buffer) => void, large: () => boolean) {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    while (rest.length >= 8) {
      const length = large() ? rest.readUInt32BE(0) : rest.readUInt16BE(0);
      if (length < 8) throw new Error(`a packet of ${length} bytes`);
      if (rest.length < length) return;
      const packet = rest.subarray(0, length);
      rest = rest.subarray(length);
      take(packet[4]!, packet);
    }
  };
}

export function packet(type: number, body: Buffer, large: boolean): Buffer {
  const whole = Buffer.alloc(8 + body.length);
  if (large) whole.writeUInt32BE(whole.length, 0);
  else whole.writeUInt16BE(whole.length, 0);
  whole[4] = type;
  body.copy(whole, 8);
  return whole;
}

/** A TTC message as data packets. */
export function dataPackets(message: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at === 0 || at < message.length; at += dataPayload) {
    const payload = message.subarray(at, at + dataPayload);
    packets.push(packet(packetType.data, Buffer.concat([Buffer.alloc(2), payload]), true));
  }
  return packets;
}

export type TtcReader = ReturnType<typeof ttcReader>;

export function ttcReader(bytes: Buffer) {
  let at = 0;
  const reader = {
    left: () => bytes.length - at,
    take(count: number): Buffer {
      if (count > bytes.length - at) throw new Error(`${count} bytes are missing in a message of ${bytes.length}`);
      at += count;
      return bytes.subarray(at - count, at);
    },
    u8: (): number => reader.take(1)[0]!,
    u16: (): number => reader.take(2).readUInt16BE(0),
    skip(count: number): void {
      reader.take(count);
    },
    /** An unsigned integer of up to 8 bytes, as UB2, UB4 and UB8 travel. */
    ub(): number {
      let value = 0;
      for (const byte of reader.take(reader.u8() & 0x7f)) value = value * 256 + byte;
      return value;
    },
    /** Bytes with their length, in pieces when they are long; null when there are none. */
    bytes(): Buffer | null {
      const length = reader.u8();
      if (length === 0 || length === 255) return null;
      if (length !== 254) return reader.take(length);
      const pieces: Buffer[] = [];
      for (let size = reader.ub(); size > 0; size = reader.ub()) pieces.push(reader.take(size));
      return Buffer.concat(pieces);
    },
    /** A text with its length before its bytes. */
    text: (): string => (reader.ub() > 0 ? (reader.bytes()?.toString() ?? '') : ''),
  };
  return reader;
}

export type TtcWriter = ReturnType<typeof ttcWriter>;

export function ttcWriter() {
  let buffer = Buffer.allocUnsafe(1_024);
  let at = 0;
  /** Makes room, maybe in another buffer, and says where. */
  function room(count: number): number {
    if (at + count > buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + count));
      buffer.copy(larger, 0, 0, at);
      buffer = larger;
    }
    at += count;
    return at - count;
  }
  const writer = {
    u8(...values: number[]) {
      const from = room(values.length);
      for (const [i, value] of values.entries()) buffer[from + i] = value;
      return writer;
    },
    u16(value: number) {
      const from = room(2);
      buffer.writeUInt16BE(value, from);
      return writer;
    },
    raw(bytes: Buffer) {
      const from = room(bytes.length);
      bytes.copy(buffer, from);
      return writer;
    },
    /** Integers, each as the shortest that holds it. */
    ub(...values: number[]) {
      for (const value of values) {
        const hex = value === 0 ? '' : value.toString(16);
        const bytes = Buffer.from(hex.length % 2 === 1 ? `0${hex}` : hex, 'hex');
        writer.u8(bytes.length).raw(bytes);
      }
      return writer;
    },
    bytes(bytes: Buffer | null) {
      if (bytes === null) return writer.u8(0);
      if (bytes.length <= 252) return writer.u8(bytes.length).raw(bytes);
      writer.u8(254);
      for (let from = 0; from < bytes.length; from += 32_767) {
        const piece = bytes.subarray(from, from + 32_767);
        writer.ub(piece.length).raw(piece);
      }
      return writer.ub(0);
    },
    text(text: string) {
      const bytes = Buffer.from(text);
      writer.ub(bytes.length);
      return bytes.length > 0 ? writer.bytes(bytes) : writer;
    },
    done: (): Buffer => buffer.subarray(0, at),
  };
  return writer;
}
