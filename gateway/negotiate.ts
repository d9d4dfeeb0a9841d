import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** How long after `negotiate` its connection token lets connect. Stock clients connect at once. */
const lifeMs = 120_000;

const maxTokenChars = 1_024;

/** What `POST /exam/negotiate` answers (TransportProtocols.md of dotnet/aspnetcore). */
export type NegotiateAnswer = {
  readonly connectionId: string;
  readonly connectionToken?: string;
  readonly negotiateVersion: 0 | 1;
  readonly availableTransports: readonly { readonly transport: string; readonly transferFormats: readonly string[] }[];
};

export interface Negotiator {
  /** @param version what the request asks for; above 1 is answered as 1, missing as 0 */
  negotiate(student: string, version: number, now: number): NegotiateAnswer;
  /** Tells whether any gateway of this session gave `token` to this student, not too long ago. */
  admits(token: string, student: string, now: number): boolean;
}

/**
 * Connection tokens that hold everything needed to check them, signed with a key that all gateways of the session
 * share: so whichever one gets the WebSocket accepts it, and no load balancer needs sticky sessions. They admit nobody
 * by themselves: the student's own token is checked at both requests.
 */
export function createNegotiator(key: Buffer, uid: string): Negotiator {
  // The same file may hold the key of students' tokens: a key of its own for this purpose and session.
  const ownKey = createHmac('sha256', key).update(`untradex connection token ${uid}`).digest();
  const sign = (body: string, student: string) =>
    createHmac('sha256', ownKey).update(`${body}.${student}`).digest('base64url');

  return {
    negotiate(student, version, now) {
      const connectionId = randomBytes(16).toString('base64url');
      const body = `${connectionId}.${now + lifeMs}`;
      const token = `${body}.${sign(body, student)}`;
      const availableTransports = [{ transport: 'WebSockets', transferFormats: ['Text'] }];
      // Version 0 knows no connection token: there, the id is what the client connects with.
      if (version < 1) return { connectionId: token, negotiateVersion: 0, availableTransports };
      return { connectionId, connectionToken: token, negotiateVersion: 1, availableTransports };
    },

    admits(token, student, now) {
      const match = token.length > maxTokenChars ? null : /^([\w-]{22}\.([0-9]{1,16}))\.([\w-]{43})$/.exec(token);
      if (!match || Number(match[2]) < now) return false;
      return timingSafeEqual(Buffer.from(match[3]!), Buffer.from(sign(match[1]!, student)));
    },
  };
}
