/** What resource servers are told: the roles, fixed when the token is issued, and whether the person is on leave, as of now. */
import type { Hooks } from 'gatehouse/hooks'

export default {
  accessToken(extra, { account, client }) {
    return { ...extra, ...(account ? { roles: [...account.roles] } : { service: client.client_id }) }
  },
  introspection(members, { account }, { refuse }) {
    if (account?.claims.left_company === true) refuse('no longer employed')
    return { ...members, on_leave: account?.claims.on_leave === true }
  },
} satisfies Hooks
