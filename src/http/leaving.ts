/**
 * How a server leaves without a request lost. Who waits in the system's queue when the door is shut is reset, and what a
 * proxy has sent by then it must not send again unless it is a GET: a code can be redeemed once. So the door is shut when
 * nobody stands there. A proxy that can ask another node says so (`X-Retry-On: 503`); it is sent there until it comes no
 * more, and everyone else is served until the end.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'

/** Nobody came for so long: a proxy that was sent away counts this node as failed, and it has seconds until its next try. */
const STEP_MS = 200
/** Longer than a proxy leaves out a node (`fail_timeout` of deploy/nginx.conf), so that no two nodes are shut at a time. */
const LIMIT_MS = 4000
/** A turn of the event loop in which nothing was to be done is shorter. */
const QUIET_MS = 0.05
const QUIET_LIMIT_MS = 3000

/** Does a proxy say that it asks another node when this one answers 503, of a request that may be sent twice (RFC 9110 9.2.2)? */
export const asksElsewhere = ({ method, headers }: IncomingMessage): boolean =>
  headers['x-retry-on'] === '503' && (method === 'GET' || method === 'HEAD')

/** The answer to such a request while this node stops: nothing has been done yet. */
export const turnAway = (res: ServerResponse): void => {
  res.writeHead(503, { 'retry-after': '1', 'cache-control': 'no-store', 'content-length': 0 }).end()
}

/**
 * Ends once nobody has come for a while, or after 4 seconds.
 * @param arrivals how many were let in so far
 */
export const noMoreArrivals = async (arrivals: () => number): Promise<void> => {
  const latest = performance.now() + LIMIT_MS
  for (let seen = -1; seen !== arrivals() && performance.now() < latest; ) {
    seen = arrivals()
    await delay(STEP_MS)
  }
}

/**
 * Ends right after a look at the network that found nothing to do. Between two turns of the event loop lies such a look;
 * each lets in one at most (libuv), so that nobody is left when nobody came.
 * @param arrivals how many were let in so far
 */
export const quietMoment = async (arrivals: () => number): Promise<void> => {
  let [before, seen] = [performance.now(), arrivals()]
  for (const latest = before + QUIET_LIMIT_MS; before < latest; ) {
    await new Promise(setImmediate)
    const [now, come] = [performance.now(), arrivals()]
    if (now - before < QUIET_MS && come === seen) return
    before = now
    seen = come
  }
}
