/**
 * A thread of the hooks' process that ends this process when the server is gone. It is needed because a hook that loops
 * lets the process hear of nothing else; whoever kills the server leaves no loop behind.
 */
import { Socket } from 'node:net'
import { LIFELINE } from './messages.ts'

/** Time for a process that is not stuck to end by itself. */
const GRACE_MS = 500

new Socket({ fd: LIFELINE })
  // Told by `close` as well.
  .on('error', () => undefined)
  .on('close', () => setTimeout(() => process.kill(process.pid, 'SIGKILL'), GRACE_MS))
  .resume()
