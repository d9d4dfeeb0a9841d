/**
 * Tells whether a page of this origin may talk to the gateway. Browsers do not protect WebSockets by CORS, so the
 * server has to look. No Origin header means that no browser page asks (Node, command line).
 * @param host the Host header of the same request
 * @param allowed origins such as `https://exam.example.edu`; empty: the same host only; `*`: all
 */
export function isOriginAllowed(
  origin: string | undefined,
  host: string | undefined,
  allowed: readonly string[],
): boolean {
  if (origin === undefined || allowed.includes('*') || allowed.includes(origin)) return true;
  if (allowed.length > 0) return false;
  return URL.canParse(origin) && new URL(origin).host === host?.toLowerCase();
}

/**
 * The headers that let a page of another, allowed origin call `negotiate` and `events`. The stock SignalR client sends
 * its requests with credentials, so the origin is named; nothing here depends on a cookie.
 */
export function corsHeaders(origin: string): Record<string, string> {
  return {
    'Access-Control-Allow-Origin': origin,
    'Access-Control-Allow-Credentials': 'true',
    'Access-Control-Allow-Methods': 'POST',
    'Access-Control-Allow-Headers': 'authorization, content-type, x-requested-with, x-signalr-user-agent',
    'Access-Control-Expose-Headers': 'retry-after',
    'Access-Control-Max-Age': '600',
    Vary: 'Origin',
  };
}
