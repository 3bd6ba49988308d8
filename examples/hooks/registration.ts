/** Who may register, and as what: only applications of our own domain, and those may be used without a consent page. */
import type { Hooks } from 'gatehouse/hooks'

const OURS = '.apps.example.org'

export default {
  registration(metadata, { operation, address }, { log, refuse }) {
    const uris = (metadata.redirect_uris ?? []) as string[]
    const foreign = uris.find((uri) => !new URL(uri).hostname.endsWith(OURS))
    if (foreign !== undefined) refuse(`${new URL(foreign).hostname} is not one of our applications`)
    log(`${operation} of a client`, { address })
    return { ...metadata, trusted: true, contacts: ['applications@example.org'] }
  },
} satisfies Hooks
