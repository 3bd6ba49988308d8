/** Two Gatehouses: one is the identity provider of the other, as in the demo. */
import type { Clock } from '#kernel/clock.ts'
import type { Browser, Page } from '#test/world/browser.ts'
import { client, freePort, type Gatehouse, startGatehouse } from './world.ts'

export const nora = {
  id: 'nw-1001',
  username: 'nora',
  password: 'northern-lights-7',
  email: 'nora@northwind.example',
  email_verified: true,
  claims: { name: 'Nora Nordström', given_name: 'Nora', family_name: 'Nordström' },
}
const UPSTREAM_SECRET = 'the-secret-between-the-two-houses'

export const providerOf = (issuer: string, more: Record<string, unknown> = {}) => ({
  id: 'acme',
  protocol: 'oidc',
  displayName: 'Acme ID',
  oidc: { issuer, client_id: 'gatehouse', client_secret: UPSTREAM_SECRET, scope: 'openid profile email' },
  ...more,
})

export interface Pair {
  readonly op: Gatehouse
  readonly upstream: Gatehouse
}

/** @param given resources and settings of the main Gatehouse; `provider` changes the registration of the upstream */
export const startPair = async (
  given: Record<string, unknown> = {},
  provider: Record<string, unknown> = {},
  upstreamGiven: Record<string, unknown> = {},
  world: { clock?: Clock; upstreamClock?: Clock } = {},
): Promise<Pair> => {
  const port = await freePort()
  const upstream = await startGatehouse(
    {
      clients: [
        client({
          client_id: 'gatehouse',
          client_secret: UPSTREAM_SECRET,
          redirect_uris: [`http://localhost:${port}/federation/acme/callback`],
          post_logout_redirect_uris: [`http://localhost:${port}/federation/acme/logged-out`],
          backchannel_logout_uri: `http://localhost:${port}/federation/acme/backchannel-logout`,
          backchannel_logout_session_required: true,
          response_types: ['code'],
          grant_types: ['authorization_code'],
          trusted: true,
        }),
      ],
      accounts: [nora, { id: 'nw-1002', username: 'bare', password: 'nothing-else-3' }],
      ...upstreamGiven,
    },
    world.upstreamClock ? { clock: world.upstreamClock } : {},
  )
  const op = await startGatehouse(
    { identityProviders: [providerOf(upstream.issuer, provider)], ...given },
    { port, ...(world.clock && { clock: world.clock }) },
  )
  return { op, upstream }
}

/** Signs in at the upstream's page. */
export const signIn = (
  browser: Browser,
  page: Page,
  who = { username: nora.username, password: nora.password },
): Promise<Page> => browser.submit(page, '#continue', who)
