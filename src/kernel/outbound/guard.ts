/**
 * The connector under every outgoing request: decides per connection, on the address that is really dialled. A check of
 * names beforehand would be fooled by DNS that answers differently the second time; a filter in `lookup` alone by literal
 * addresses, for which it is not called (LIBRARIES finding 3). So: literals, look-ups and the connected peer.
 */
import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import { buildConnector } from 'undici'
import { Fault } from '../faults.ts'
import { type Allowed, isSpecialAddress, plainHost } from './addresses.ts'

export interface GuardSettings {
  readonly allowed: Allowed
  /** Host names that may be spoken to in plain http and with a certificate that cannot be verified. */
  readonly insecure: ReadonlySet<string>
  /** PEM certificates trusted for https; absent: the platform's. */
  readonly ca?: string[]
  /** Milliseconds. */
  readonly connectTimeout: number
  /** Replaces the system's resolver. */
  readonly lookup?: LookupFunction
}

const refused = (host: string, reason: string, address?: string) =>
  new Fault('outbound.refused', { host, reason, ...(address && address !== host && { address }) })

/** Whether this address may be dialled under this name; a Fault when not. */
const judge = (settings: GuardSettings, plain: boolean, host: string, address: string): Fault | undefined => {
  const special = isSpecialAddress(address)
  if (special && !settings.allowed.host(host) && !settings.allowed.address(address))
    return refused(host, 'private address', address)
  // Secrets travel over these connections: plain http only inside, or where the operator said so.
  if (plain && !special && !settings.insecure.has(host)) return refused(host, 'plain http', address)
  return undefined
}

const guardedLookup =
  (settings: GuardSettings, plain: boolean, host: string): LookupFunction =>
  (name, options, callback) => {
    const resolve = settings.lookup ?? (systemLookup as LookupFunction)
    resolve(name, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '')
      const all = typeof found === 'string' ? [{ address: found, family: isIP(found) }] : found
      const verdicts = all.map(({ address }) => judge(settings, plain, host, address))
      const usable = all.filter((_, index) => verdicts[index] === undefined)
      const [first] = usable
      if (!first) return callback(verdicts[0] ?? refused(host, 'no address'), '')
      return options.all ? callback(null, usable) : callback(null, first.address, first.family)
    })
  }

/** @returns what undici's Agent takes as `connect` */
export const createGuard = (settings: GuardSettings): buildConnector.connector => {
  const build = (plain: boolean, host: string) =>
    buildConnector({
      timeout: settings.connectTimeout,
      allowH2: false,
      lookup: guardedLookup(settings, plain, host),
      ...(settings.ca && { ca: settings.ca }),
      ...(settings.insecure.has(host) && { rejectUnauthorized: false }),
    })
  return (options, callback) => {
    const plain = options.protocol !== 'https:'
    const host = plainHost(options.hostname)
    const verdict = isIP(host) === 0 ? undefined : judge(settings, plain, host, host)
    if (verdict) return callback(verdict, null)
    return build(plain, host)(options, (...answer) => {
      const [error, socket] = answer
      if (error) return callback(error, null)
      const peer = socket.remoteAddress
      const late = judge(settings, plain, host, peer ?? '')
      if (!late) return callback(null, socket)
      socket.destroy()
      return callback(late, null)
    })
  }
}
