/**
 * The address of a Redis: `redis://[user:password@]host[:port][/db]`, `redis+cluster://host[:port],host[:port],…`,
 * `redis+sentinel://host[:port],…[/name[/db]]`, the name mymaster unless told; `rediss` in place of `redis` for TLS. After `?`: `prefix` (of every key,
 * for several Gatehouses in one Redis), `replicas` (that must have a write before it counts, see confirm.ts), `ca`, `cert`, `key` (PEM files), `servername`, `sentinelUsername`, `sentinelPassword`.
 * User and password are percent-encoded. No message of this file repeats a password.
 */
import { readFileSync } from 'node:fs'
import { isFault } from '#kernel/faults.ts'
import { unavailable } from './faults.ts'

export interface Host {
  readonly host: string
  readonly port: number
}
export interface Credentials {
  readonly username?: string
  readonly password?: string
}
export interface Tls {
  readonly ca?: Buffer
  readonly cert?: Buffer
  readonly key?: Buffer
  readonly servername?: string
}
export interface Address extends Credentials {
  readonly mode: 'alone' | 'cluster' | 'sentinel'
  readonly hosts: readonly Host[]
  readonly db: number
  /** What the sentinels call the master. */
  readonly name: string
  readonly sentinel: Credentials
  readonly tls?: Tls
  /** Before every key. */
  readonly prefix: string
  /** How many must have a write before it counts. */
  readonly replicas: number
  /** For logs and faults. */
  readonly label: string
}

const SHAPE = /^(rediss?)(?:\+(cluster|sentinel))?:\/\/([^/?#]*)(?:\/([^?#]*))?(?:\?(.*))?$/
const OPTIONS = ['prefix', 'replicas', 'ca', 'cert', 'key', 'servername', 'sentinelUsername', 'sentinelPassword']
/** As in the configuration that Sentinel comes with. */
const USUAL_MASTER = 'mymaster'
const PORTS = { alone: 6379, cluster: 6379, sentinel: 26379 }
/** Version of the layout of keys (layout.ts): another one never reads these. */
const VERSION = 'gh1:'

const wrong = (reason: string) => unavailable('redis', `the Redis URL is wrong: ${reason}`)

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong('user or password are not percent-encoded')
  }
}

/** A wrong host is not repeated: of an address with a bare "/" in the password it would be the password. */
const parseHost = (text: string, port: number): Host => {
  const [, six, four, given] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = six ?? four
  const found = given === undefined ? port : Number(given)
  if (host === undefined || found < 1 || found > 65_535)
    throw wrong('what follows "://" is no host or host:port (in a password, "@", "/" and "?" must be percent-encoded)')
  return { host, port: found }
}

const parseDb = (text: string | undefined): number => {
  if (text === undefined || text === '') return 0
  if (!/^\d{1,4}$/.test(text)) throw wrong('the database after the last "/" is not a number')
  return Number(text)
}

const parseReplicas = (text: string | undefined): number => {
  if (!/^\d?$/.test(text ?? '')) throw wrong('the option "replicas" is a number from 0 to 9')
  return Number(text ?? 0)
}

const readOptions = (text: string | undefined): Map<string, string> => {
  const options = new Map(new URLSearchParams(text ?? ''))
  // What is no plain word may be the rest of a password with a bare "?".
  for (const name of options.keys())
    if (!OPTIONS.includes(name))
      throw wrong(`unknown option${/^[a-z]{1,20}$/i.test(name) ? ` "${name}"` : ''}; there are ${OPTIONS.join(', ')}`)
  return options
}

const readPem = (name: string, path: string | undefined): Buffer | undefined => {
  if (path === undefined) return undefined
  try {
    return readFileSync(path)
  } catch (cause) {
    throw unavailable('redis', `the file of the Redis URL's option "${name}" cannot be read: ${path}`, cause)
  }
}

const readTls = (secure: boolean, options: ReadonlyMap<string, string>): Tls | undefined => {
  const files = ['ca', 'cert', 'key', 'servername'].filter((name) => options.has(name))
  if (!secure && files.length > 0) throw wrong(`the option "${files[0]}" needs TLS: write rediss in place of redis`)
  if (!secure) return undefined
  const [ca, cert, key] = ['ca', 'cert', 'key'].map((name) => readPem(name, options.get(name)))
  const servername = options.get('servername')
  return { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }), ...(servername && { servername }) }
}

const credentials = (username: string | undefined, password: string | undefined): Credentials => ({
  ...(username && { username }),
  ...(password && { password }),
})

/** @returns the parts; throws Fault `store.unavailable` with one sentence for the administrator in `detail.reason` */
export const parseAddress = (url: string): Address => {
  const [, scheme, kind, authority = '', path, query] = SHAPE.exec(url) ?? []
  if (scheme === undefined)
    throw wrong('it must begin with redis://, rediss://, redis+cluster://, rediss+cluster:// or redis+sentinel://')
  const mode = kind === 'cluster' || kind === 'sentinel' ? kind : 'alone'
  const at = authority.lastIndexOf('@')
  const [, username, password] = at < 0 ? [] : (/^([^:]*)(?::(.*))?$/.exec(authority.slice(0, at)) ?? [])
  const hosts = authority
    .slice(at + 1)
    .split(',')
    .map((host) => parseHost(host, PORTS[mode]))
  if (mode === 'alone' && hosts.length > 1) throw wrong('several hosts need redis+cluster:// or redis+sentinel://')
  const parts = (path ?? '').split('/')
  const name = mode === 'sentinel' ? decode(parts.shift() ?? '') || USUAL_MASTER : ''
  if (mode === 'cluster' && parts.some((part) => part !== '')) throw wrong('a Cluster has no numbered databases')
  if (parts.length > 1) throw wrong('there is more than a database after the host')
  const options = readOptions(query)
  const prefix = options.get('prefix')
  const tls = readTls(scheme === 'rediss', options)
  const list = hosts.map(({ host, port }) => `${host}:${port}`).join(',')
  return {
    mode,
    hosts,
    db: parseDb(parts[0]),
    name,
    ...credentials(username && decode(username), password && decode(password)),
    sentinel: credentials(options.get('sentinelUsername'), options.get('sentinelPassword')),
    ...(tls && { tls }),
    prefix: prefix ? `${prefix}:${VERSION}` : VERSION,
    replicas: parseReplicas(options.get('replicas')),
    label: mode === 'sentinel' ? `redis ${list} (${name})` : `redis ${list}`,
  }
}

/** What is wrong with an address, beginning with "must"; undefined when nothing is. For `check-config`: contacts nothing. */
export const addressMistake = (url: string): string | undefined => {
  try {
    parseAddress(url)
    return undefined
  } catch (error) {
    if (!isFault(error)) throw error
    return `must be a valid Redis address: ${String(error.detail.reason).replace(/^the Redis URL is wrong: /, '')}`
  }
}
