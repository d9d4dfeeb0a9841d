import type { Api } from '../kubernetes/runtime/api.ts';

/** Who calls, as the cluster's own authentication says. */
export interface Caller {
  readonly username: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** What somebody may want to do with sessions. Left-out namespace: in all of them; left-out name: with all in there. */
export interface Wish {
  readonly verb: 'get' | 'list' | 'update';
  readonly subresource?: 'finalize';
  readonly namespace?: string;
  readonly name?: string;
}

/** The cluster decides who somebody is and what that person may: the admin API keeps no users of its own. */
export interface Callers {
  /** Null when the token is not (or no longer) valid. */
  whoIs(token: string): Promise<Caller | null>;
  may(caller: Caller, wish: Wish): Promise<boolean>;
}

/** Both questions are asked anew each time: a right that was taken away is gone at once. */
export function createCallers(api: Pick<Api, 'raw'>): Callers {
  return {
    async whoIs(token) {
      const review = {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenReview',
        spec: { token },
      };
      const { status } = (await api.raw('POST', '/apis/authentication.k8s.io/v1/tokenreviews', review)) as TokenReview;
      return status.authenticated === true && status.user !== undefined ? status.user : null;
    },

    async may({ username, uid, groups, extra }, wish) {
      const review = {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: {
          user: username,
          uid,
          groups,
          extra,
          resourceAttributes: { group: 'untradex.io', resource: 'examsessions', ...wish },
        },
      };
      const path = '/apis/authorization.k8s.io/v1/subjectaccessreviews';
      const { status } = (await api.raw('POST', path, review)) as AccessReview;
      return status.allowed === true;
    },
  };
}

interface TokenReview {
  readonly status: { readonly authenticated?: boolean; readonly user?: Caller };
}

interface AccessReview {
  readonly status: { readonly allowed?: boolean };
}
