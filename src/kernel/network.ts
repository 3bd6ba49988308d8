/**
 * One name for whoever is at the other end, so that limits count people and not spellings (HAZARDS 2): ports, brackets,
 * zones and IPv4-mapped IPv6 go, and an IPv6 subscriber, who has a /64, is one network.
 */
import { isIP } from 'node:net'

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/** The compressed lower-case form (RFC 5952), or the IPv4 address that it maps (RFC 4291 2.5.5.2). */
const plainIPv6 = (address: string): string => {
  const normal = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const mapped = MAPPED.exec(normal)
  if (!mapped) return normal
  const groups = mapped.slice(1).map((group) => Number.parseInt(group, 16))
  return groups.flatMap((group) => [group >> 8, group & 255]).join('.')
}

/** One spelling per address: IPv4-mapped IPv6 becomes IPv4; zones, ports and brackets go. Undefined when it is no address. */
export const plainAddress = (text: string): string | undefined => {
  let address = text.trim()
  const bracketed = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(address)
  if (bracketed?.[1]) address = bracketed[1]
  else if (/^[\d.]+:\d{1,5}$/.test(address)) address = address.slice(0, address.indexOf(':'))
  const zone = address.indexOf('%')
  if (zone > 0) address = address.slice(0, zone)
  // How a socket that listens on both families shows an IPv4 peer; the way round by URL costs ten times as much.
  if (address.startsWith('::ffff:') && isIP(address.slice(7)) === 4) return address.slice(7)
  const family = isIP(address)
  if (family === 0) return undefined
  return family === 4 ? address : plainIPv6(address)
}

/** One name per network: an IPv4 address, or the /64 of an IPv6 one. What is no address names itself. */
export const networkOf = (text: string): string => {
  const address = plainAddress(text)
  if (address === undefined) return text
  if (isIP(address) === 4) return address
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail ? tail.split(':') : []
  const missing = tail === undefined ? 0 : 8 - left.length - right.length
  const groups = [...left, ...Array.from({ length: missing }, () => '0'), ...right]
  return `${groups.slice(0, 4).join(':')}::/64`
}

/** The name of a `Host`: `acme.example:8443` → `acme.example`, `[::1]:80` → `[::1]`. */
export const withoutPort = (host: string): string => host.replace(/:\d{1,5}$/, '')
