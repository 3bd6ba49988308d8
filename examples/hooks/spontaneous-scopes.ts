/** Which transactions may be asked for: the patterns of the client let the form through, this looks at the number. */
import type { Hooks } from 'gatehouse/hooks'

const NUMBER = /^transaction:(\d+)$/
const isOpen = (scope: string) => Number(NUMBER.exec(scope)?.[1] ?? 0) < 5000

export default {
  spontaneousScopes(scopes, { account, client }, { log }) {
    const open = scopes.filter(isOpen)
    if (open.length < scopes.length) log('closed transactions', { client: client.client_id, account: account?.id })
    return open
  },
} satisfies Hooks
