import type { Connect, SocketEnd } from './socket.ts';

/**
 * Connects by the platform's own WebSocket. Such a socket cannot send headers, so the token travels as `?access_token=`,
 * as stock SignalR clients do it; gateways never log it. Browsers hide why an upgrade failed: it shows as 1006.
 */
export const webConnect: Connect = (url, token, events) => {
  const target = new URL(url);
  target.searchParams.set('access_token', token);
  const socket = new WebSocket(target);
  let over = false;
  function end(how: SocketEnd): void {
    if (over) return;
    over = true;
    events.closed(how);
  }
  socket.onopen = () => {
    if (!over) events.opened();
  };
  socket.onmessage = ({ data }) => {
    if (over) return;
    if (typeof data === 'string') events.text(data);
    else socket.close(4003, 'text messages only');
  };
  socket.onclose = ({ code, reason }) => end({ code, reason });
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    close: () => socket.close(1000),
    drop() {
      // There is no abort: the closing handshake goes on without us, bounded by the platform.
      socket.close();
      queueMicrotask(() => end({ code: 1006, reason: 'dropped' }));
    },
  };
};
