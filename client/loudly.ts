/**
 * Runs somebody's callback. Its error must not disturb the protocol, nor other clients of this process, and must not go
 * unseen: it surfaces as an uncaught one, with its own stack.
 */
export function runLoudly(task: () => void): void {
  try {
    task();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
