/**
 * Which addresses may be contacted. Everything that is not plain public unicast is refused unless the operator allows it
 * (HAZARDS 3.2, ASVS 5.0 1.3.6): an upstream, a client's jwks_uri or a registration could otherwise read the inside.
 */
import { BlockList, isIP } from 'node:net'

/** IANA special-purpose IPv4 registry, with multicast and reserved space. */
const SPECIAL_V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['192.175.48.0', 24],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const

/**
 * All of IPv6 outside 2000::/3, which holds loopback, unspecified, v4-mapped and v4-compatible, NAT64 (64:ff9b::/96),
 * unique local, link-local, site-local and multicast; and the special blocks inside it (Teredo, ORCHID, 6to4, documentation).
 */
const SPECIAL_V6 = [
  ['::', 3],
  ['4000::', 2],
  ['8000::', 1],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['2620:4f:8000::', 48],
  ['3fff::', 20],
] as const

const blocks = (family: 'ipv4' | 'ipv6', ranges: readonly (readonly [string, number])[]): BlockList => {
  const list = new BlockList()
  for (const [net, prefix] of ranges) list.addSubnet(net, prefix, family)
  return list
}
// Two lists: one list would match IPv4 addresses against ::/3 by their mapped form.
const specialV4 = blocks('ipv4', SPECIAL_V4)
const specialV6 = blocks('ipv6', SPECIAL_V6)

/** Without brackets, zone and the root's dot, in lower case: the one spelling in which hosts are compared. */
export const plainHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, '')
    .replace(/%.*$/, '')
    .replace(/\.$/, '')

/** True for an address that is not public unicast; also for text that is no address at all. */
export const isSpecialAddress = (address: string): boolean => {
  const plain = plainHost(address)
  const family = isIP(plain)
  if (family === 4) return specialV4.check(plain, 'ipv4')
  return family === 6 ? specialV6.check(plain, 'ipv6') : true
}

export interface Allowed {
  /** Whether this host name was allowed as such, whatever it resolves to. */
  host(name: string): boolean
  /** Whether this address lies in an allowed range. */
  address(address: string): boolean
}

/**
 * Reads `egress.allowPrivate`.
 * @param entries CIDR ranges, single addresses or host names; `false` allows nothing private
 */
export const readAllowed = (entries: false | readonly string[]): Allowed => {
  const hosts = new Set<string>()
  const ranges = new BlockList()
  for (const entry of entries || []) {
    const [net = '', prefix] = entry.split('/')
    const plain = plainHost(net)
    const family = isIP(plain)
    if (family === 0) hosts.add(plain)
    else
      ranges.addSubnet(
        plain,
        prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix),
        family === 4 ? 'ipv4' : 'ipv6',
      )
  }
  return {
    host: (name) => hosts.has(plainHost(name)),
    address: (address) => {
      const plain = plainHost(address)
      const family = isIP(plain)
      return family !== 0 && ranges.check(plain, family === 4 ? 'ipv4' : 'ipv6')
    },
  }
}
