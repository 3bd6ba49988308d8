/** Addresses that strangers register: refused where parsers disagree about them or a browser could be led astray (HAZARDS 1). Pure. */

import { isIP } from 'node:net'
import { type Allowed, isSpecialAddress, plainHost } from '#kernel/outbound/addresses.ts'

const MOST_URIS = 20
const MOST_LENGTH = 2048
const MOST_TEXT = 256
/** Schemes that a browser runs or shows itself instead of leaving. */
const executed = new Set(['javascript:', 'vbscript:', 'data:', 'blob:', 'file:', 'about:', 'view-source:'])
const loopbacks = new Set(['localhost', '127.0.0.1', '[::1]'])

/** Names that lead inside: RFC 6761, RFC 6762, RFC 8375, and single labels, which only an inside resolver knows. */
const inside = /^[^.]+$|\.(localhost|local|internal|intranet|lan|home\.arpa)$/

type Metadata = Readonly<Record<string, unknown>>

const redirectLists = ['redirect_uris', 'post_logout_redirect_uris']
const webAddresses = [
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'initiate_login_uri',
  'frontchannel_logout_uri',
]
/** What this server would fetch itself; the guarded client looks at the address once more when it connects. */
const contacted = [
  'jwks_uri',
  'sector_identifier_uri',
  'backchannel_logout_uri',
  'backchannel_client_notification_endpoint',
]
const contactedLists = ['request_uris']

// Whitespace, control characters and backslashes are read differently by different URL parsers (RFC 3986 2).
const unsafe = /[\s\\\p{Cc}]/u

/** @returns what is wrong with an address, or undefined */
const fault = (value: unknown): string | undefined => {
  if (typeof value !== 'string' || !URL.canParse(value)) return 'must be an absolute URI'
  if (value.length > MOST_LENGTH) return `must not be longer than ${MOST_LENGTH} characters`
  if (unsafe.test(value)) return 'must not contain white space, control characters or backslashes'
  const url = new URL(value)
  if (url.username !== '' || url.password !== '' || /^[^/?#]*:\/\/[^/?#]*@/.test(value))
    return 'must not contain user information'
  return undefined
}

const redirectFault = (value: unknown, native: boolean): string | undefined => {
  const wrong = fault(value)
  if (wrong) return wrong
  const url = new URL(value as string)
  if (url.hash !== '' || (value as string).includes('#')) return 'must not contain a fragment'
  if (executed.has(url.protocol)) return 'must not use this scheme'
  if (!native && url.protocol !== 'https:' && url.protocol !== 'http:') return 'must be a web address'
  return native && url.protocol !== 'http:' ? undefined : plainFault(url)
}

const plainFault = (url: URL): string | undefined =>
  url.protocol === 'http:' && !loopbacks.has(url.hostname) ? 'must use https, or http on a loopback address' : undefined

/** HAZARDS 1: what we fetch for a stranger must not be the inside of this network, unless the operator allows it. */
const isPrivate = (hostname: string, allowed: Allowed): boolean => {
  const host = plainHost(hostname)
  if (allowed.host(host)) return false
  return isIP(host) === 0 ? inside.test(host) : isSpecialAddress(host) && !allowed.address(host)
}

const listFault = (metadata: Metadata, name: string, faultOf: (value: unknown) => string | undefined) => {
  const values = metadata[name]
  if (values === undefined) return undefined
  if (!Array.isArray(values)) return `${name} must be an array`
  if (values.length > MOST_URIS) return `${name} must not have more than ${MOST_URIS} members`
  for (const value of values) {
    const wrong = faultOf(value)
    if (wrong) return `${name} ${wrong}`
  }
  return undefined
}

const textFault = (metadata: Metadata): string | undefined => {
  if (typeof metadata.scope === 'string' && metadata.scope.length > MOST_LENGTH)
    return `scope must not be longer than ${MOST_LENGTH} characters`
  for (const [name, value] of Object.entries(metadata)) {
    if (!name.startsWith('client_name') && name !== 'software_id' && name !== 'software_version') continue
    if (typeof value !== 'string' || value.length > MOST_TEXT || /\p{Cc}/u.test(value))
      return `${name} must be a text of at most ${MOST_TEXT} characters`
  }
  const { contacts } = metadata
  if (Array.isArray(contacts) && contacts.length > MOST_URIS)
    return `contacts must not have more than ${MOST_URIS} members`
  return undefined
}

/**
 * Checks the addresses and texts of a dynamic registration (OIDC Registration 2, RFC 7591 5).
 * @param allowed what `egress.allowPrivate` allows; @param own where we publish sector documents ourselves
 * @returns the first mistake as `member problem`, or undefined
 */
export const createRegistrationFault =
  (allowed: Allowed, own: string) =>
  (metadata: Metadata): string | undefined => {
    const native = metadata.application_type === 'native'
    const contactFault = (value: unknown): string | undefined => {
      const wrong = fault(value)
      if (wrong) return wrong
      const url = new URL(value as string)
      if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must be a web address'
      if (!url.href.startsWith(own) && isPrivate(url.hostname, allowed)) return 'must not lead into a private network'
      return plainFault(url)
    }
    for (const name of redirectLists) {
      const wrong = listFault(metadata, name, (value) => redirectFault(value, native))
      if (wrong) return wrong
    }
    for (const name of contactedLists) {
      const wrong = listFault(metadata, name, contactFault)
      if (wrong) return wrong
    }
    for (const name of [...webAddresses, ...contacted]) {
      const value = metadata[name]
      const wrong = value === undefined ? undefined : contacted.includes(name) ? contactFault(value) : fault(value)
      if (wrong) return `${name} ${wrong}`
    }
    return textFault(metadata)
  }
