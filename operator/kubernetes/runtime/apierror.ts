import { type Problem, problem } from '#queue/problem.ts';
import type { Resource } from './kinds.ts';

/** What was asked for when something went wrong. */
export interface Asked {
  /** As in RBAC rules: get, list, watch, create, update, patch, delete. */
  readonly verb: string;
  readonly resource: Resource;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** The `Status` object that the API server answers errors with. */
interface Status {
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string }[] };
}

const longestMessage = 2_000;

/**
 * A Problem from an error reply. The server's own words are kept, up to 2,000 characters; where they could quote what
 * a Secret holds, what is quoted is left out.
 */
export function replyProblem(asked: Asked, httpStatus: number, body: string): Problem {
  const status = readStatus(body);
  const [code, remedy] = judge(asked, httpStatus, status);
  const said = (status.message ?? `status ${httpStatus}`).slice(0, longestMessage);
  return problem(code, `${describe(asked)}: ${isSecret(asked) ? withoutQuotes(said) : said}`, remedy);
}

/** No whole reply came. `timedOut` when that is because of our own time limit. */
export function connectionProblem(asked: Asked, cause: unknown, timedOut: boolean): Problem {
  const why = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : String(cause);
  if (timedOut) {
    const remedy = 'It is tried again. Look at the load of the API server and the network to it, if this stays.';
    return problem('api_timeout', `${describe(asked)}: no reply in time`, remedy, { cause });
  }
  const remedy = 'It is tried again. Check that the API server runs and can be reached from here, if this stays.';
  return problem('api_unreachable', `${describe(asked)}: ${why}`, remedy, { cause });
}

/** `cannot patch statefulsets.apps/status exams/algebra` */
export function describe({ verb, resource, subresource, namespace, name }: Asked): string {
  const kind = resource.plural + (resource.group && `.${resource.group}`) + (subresource ? `/${subresource}` : '');
  const where = [namespace, name].filter((part) => part !== undefined).join('/');
  return `cannot ${verb} ${kind}${where && ` ${where}`}`;
}

function judge(asked: Asked, httpStatus: number, { reason, message = '', details }: Status): [string, string] {
  switch (httpStatus) {
    case 400:
    case 413:
    case 415:
    case 422:
      return ['api_invalid', 'The object is wrong for this cluster: correct the field that the message names.'];
    case 401:
      return ['api_unauthorized', 'Check the service account, or the user of the kubeconfig: its token is not taken.'];
    case 403:
      return forbidden(
        asked,
        message,
        details?.causes?.some((cause) => cause.reason === 'NamespaceTerminating'),
      );
    case 404:
      return ['api_not_found', 'Check the name, and that the CRD of this kind is installed.'];
    case 409:
      if (reason === 'AlreadyExists') return ['api_exists', 'Read the object that is there and go on from it.'];
      return ['api_conflict', 'Somebody changed the object meanwhile: read it again and decide again.'];
    case 410:
      return ['api_gone', 'The history from there on is no longer kept: list again.'];
    case 429:
      return ['api_throttled', 'It is tried again later. Look at the load of the API server, if this stays.'];
    case 504:
      return ['api_timeout', 'It is tried again. Look at the load of the API server, if this stays.'];
    default:
      return ['api_failed', 'It is tried again. Look at the log of the API server, or of the webhook it names.'];
  }
}

function forbidden({ verb, resource, subresource }: Asked, message: string, terminating = false): [string, string] {
  if (terminating) return ['api_terminating', 'The namespace is being deleted: nothing new can be made in it.'];
  if (!/\bcannot \S+ resource\b/.test(message)) {
    const remedy =
      'A rule of this cluster (quota, pod security, policy) refuses it: change what it names, or the rule.';
    return ['api_forbidden', remedy];
  }
  const names = resource.plural + (subresource ? `/${subresource}` : '');
  const rule = `{apiGroups: ["${resource.group}"], resources: ["${names}"], verbs: ["${verb}"]}`;
  return ['api_forbidden', `Add this rule to the role of the account: ${rule}`];
}

function readStatus(body: string): Status {
  try {
    const status: unknown = JSON.parse(body);
    return typeof status === 'object' && status !== null ? (status as Status) : {};
  } catch {
    // A proxy on the way, or the API server before it knows better, answers in plain text.
    return body.trim() === '' ? {} : { message: body.trim().slice(0, 200) };
  }
}

function isSecret({ resource }: Asked): boolean {
  return resource.plural === 'secrets' && resource.group === '';
}

function withoutQuotes(text: string): string {
  return text.replaceAll(/"(?:[^"\\]|\\.)*"?/g, '"…"');
}
