/**
 * Who is at the other end: X-Forwarded-* are believed only from configured proxies, and a malformed one never widens
 * what is believed (an unreadable entry ends the walk at the last address that is known).
 */
import { BlockList, isIP, isIPv4, isIPv6 } from 'node:net'
import { plainAddress } from '#kernel/network.ts'

/** `trustProxy` of the settings: nobody, everybody, or these networks (CIDR or single addresses). */
export type TrustProxy = boolean | readonly string[]
export type Trusts = (address: string) => boolean

const add = (list: BlockList, network: string): void => {
  const [address = '', prefix] = network.split('/')
  const family = isIPv6(address) ? 'ipv6' : 'ipv4'
  if (!isIP(address)) throw new TypeError(`trustProxy: "${network}" is not an address or a network`)
  if (prefix === undefined) list.addAddress(address, family)
  else list.addSubnet(address, Number(prefix), family)
}

/** @throws TypeError for an entry that is neither an address nor a CIDR */
export const createTrust = (trustProxy: TrustProxy): Trusts => {
  if (typeof trustProxy === 'boolean') return () => trustProxy
  const list = new BlockList()
  for (const network of trustProxy) add(list, network)
  return (address) => list.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
}

/**
 * The address that limits and logs go by.
 * @param peer the socket's remote address
 * @param forwardedFor the X-Forwarded-For header, if any
 * @returns the first address, seen from us, that is not a trusted proxy
 */
export const clientAddress = (peer: string, forwardedFor: string | undefined, trusts: Trusts): string => {
  let current = plainAddress(peer) ?? peer
  if (!forwardedFor || !isIP(current)) return current
  for (const entry of forwardedFor.split(',').reverse()) {
    if (!trusts(current)) return current
    const next = plainAddress(entry)
    if (next === undefined) return current
    current = next
  }
  return current
}
