/**
 * The shape of a MongoDB URL, judged without the driver, so that `check-config` can. What the options mean and whether
 * they fit together the driver says when the store is opened. No message of this file repeats a password.
 */

/** User and password, then hosts. Neither "@" nor "/" may stand bare in what goes before the hosts. */
const SHAPE = /^mongodb(\+srv)?:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^/?#]*))?(?:\?([^#]*))?$/
const HOST = /^(?:\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/

const decodes = (text: string): boolean => {
  try {
    decodeURIComponent(text)
    return true
  } catch {
    return false
  }
}

const isHost = (text: string): boolean => {
  const [whole, port] = HOST.exec(text) ?? []
  return whole !== undefined && (port === undefined || (Number(port) >= 1 && Number(port) <= 65_535))
}

export const FORM =
  'mongodb://user:password@host:port/database, with special characters in user and password percent-encoded'

/** Why this is no MongoDB URL, beginning with "must"; undefined when it may be one. */
export const addressMistake = (url: string): string | undefined => {
  const [, srv, credentials = '', hosts = '', database = ''] = SHAPE.exec(url) ?? []
  const list = hosts.split(',')
  if (!list.every(isHost) || !decodes(credentials) || !decodes(database)) return `must be ${FORM}`
  if (srv !== undefined && (list.length > 1 || /:\d+$/.test(hosts)))
    return 'must name one host without a port with mongodb+srv (the hosts come from DNS)'
  return undefined
}
