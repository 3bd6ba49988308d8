/** How values are written before they are compared: the same in every store, decided here once (PERSISTENCE 6.10). */
import { domainToASCII } from 'node:url'

/** Usernames differ by neither case nor compatibility form: `Ａlice` is `alice`. */
export const normaliseUsername = (username: string): string =>
  username.normalize('NFKC').toLowerCase().normalize('NFKC')

/**
 * Only ASCII letters of the local part are folded: Unicode folding would make two mailboxes one (U+212A KELVIN SIGN is
 * not `k` to a mail server), and accounts are linked by this value. Neither dots nor plus signs are dropped.
 */
export const normaliseEmail = (email: string): string => {
  const at = email.lastIndexOf('@')
  const local = email.slice(0, at < 0 ? email.length : at).replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  if (at < 0) return local
  const domain = email.slice(at + 1)
  return `${local}@${domainToASCII(domain) || domain.toLowerCase()}`
}
