/** What Redis, ioredis and the network say, as the one Fault that callers of a store know. */
import { Fault, isFault } from '#kernel/faults.ts'

/** Fault `store.unavailable` with a sentence for the administrator in `detail.reason`. */
export const unavailable = (store: string, reason: string, cause?: unknown): Fault =>
  new Fault('store.unavailable', { store, reason }, cause)

/** What a server says that is about to change, moves a slot or starts, and what is said of a connection that was lost. */
const passing = [
  /^(MOVED|ASK|TRYAGAIN|CLUSTERDOWN|MASTERDOWN|LOADING|READONLY|BUSY)\b/,
  /^(Command timed out|Connection is closed|Command aborted|Socket timeout|Cluster is (ended|disconnect))/,
  /^(Reached the max retries per request limit|Too many Cluster redirections)/,
  /^(None of startup nodes is available|Failed to refresh slots cache)|enableOfflineQueue options is false$/,
]
const codes = [
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** Whether the same command may succeed in a moment; otherwise the server refused it. */
export const mayPass = (error: unknown): boolean =>
  codes.includes(codeOf(error)) || passing.some((pattern) => pattern.test(messageOf(error)))

/** The first fit wins; what no line fits is said as it came. */
const sentences: readonly (readonly [RegExp, string])[] = [
  [/WRONGPASS|invalid password|invalid username-password/, 'user or password are wrong'],
  [/NOAUTH|Authentication required/, 'a password is needed (redis://user:password@host)'],
  [/^NOPERM/, 'the user may not run a needed command or use a needed key (ACL): it needs ~gh1:* &gh1:* +@all -@admin'],
  [/^OOM/, 'it is out of memory (maxmemory)'],
  [/^MISCONF/, 'it refuses writes because it cannot save to its disk'],
  [/^NOREPLICAS/, 'it refuses writes because too few replicas follow (min-replicas-to-write)'],
  [/^UNCONFIRMED/, 'too few replicas confirmed a write in time (option replicas=N of the URL)'],
  [/^READONLY/, 'it is a read-only replica'],
  [/^LOADING/, 'it is still loading its data'],
  [/^CLUSTERDOWN/, 'the Cluster is down: not every slot has a master'],
  [/^(Command timed out|Socket timeout)/, 'it did not answer in time'],
  [/cluster support disabled/, 'it is no Cluster: write redis:// in place of redis+cluster://'],
  [/All sentinels are unreachable/, 'no sentinel can be reached, or none knows a master of this name'],
  [
    /wrong version number|packet length too long|before secure TLS/,
    'no TLS is spoken there: write redis in place of rediss',
  ],
  [/ETIMEDOUT/, 'the host does not answer'],
  [/ECONNREFUSED/, 'the connection was refused: nothing listens there'],
  [/ENOTFOUND|EAI_AGAIN/, 'the host name is not known'],
  [/self.signed|unable to (verify|get)|UNABLE_TO/, 'its certificate is not trusted (option ca=FILE of the URL)'],
  [/ALTNAME|does not match certificate/, 'its certificate is for another name (option servername=NAME of the URL)'],
  [/certificate has expired|CERT_HAS_EXPIRED/, 'its certificate has expired'],
  [
    /certificate required|bad certificate|handshake failure/,
    'it wants a client certificate (options cert=FILE, key=FILE)',
  ],
  [/DB index is out of range/, 'it has no database of this number'],
  [/Connection is closed|max retries per request|Command aborted|ECONNRESET|EPIPE/, 'the connection was closed'],
  [/enableOfflineQueue|None of startup nodes|refresh slots cache|redirections/, 'it cannot be reached'],
]

/** One sentence without names of keys or bodies. */
export const reasonOf = (error: unknown): string => {
  const message = `${messageOf(error)} ${codeOf(error)}`.trim()
  const known = sentences.find(([pattern]) => pattern.test(message))
  return known ? known[1] : message.slice(0, 200)
}

/** Anything that ioredis throws as a Fault; Faults pass through. */
export const toFault = (store: string, error: unknown): Fault =>
  isFault(error) ? error : unavailable(store, reasonOf(error), error)

/** Keys of two slots in one script: there is a Cluster, said or hidden. */
export const isAcrossSlots = (error: unknown): boolean => /CROSSSLOT/.test(messageOf(error))
