/**
 * A bare oidc-provider that signs everybody in as Alice, for the relying party to talk to: the engine as published,
 * with none of Gatehouse around it.
 */
import { generateKeyPairSync, randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Configuration, interactionPolicy, Provider } from 'oidc-provider'
import { DEMO_API_SCOPE } from '#demo/configuration.ts'

const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
const jwk = { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'test-1', use: 'sig', alg: 'RS256' }

const profile = {
  sub: 'alice-id',
  name: 'Alice Andersson',
  email: 'alice@example.org',
  email_verified: true,
  address: { locality: 'Stockholm', country: 'Sweden' },
}

/** As Gatehouse has it: a native client is not asked about each time. */
const policy = () => {
  const base = interactionPolicy.base()
  base.get('consent')?.checks.remove('native_client_prompt')
  return base
}

/** @param nextId names the client that registers next */
const configuration = (nextId: () => string): Configuration => ({
  jwks: { keys: [jwk] },
  cookies: { keys: ['test'] },
  responseTypes: ['code', 'id_token', 'id_token token', 'code id_token', 'code token', 'code id_token token'],
  acrValues: ['basic', 'demo-idp'],
  pkce: { required: () => false },
  conformIdTokenClaims: false,
  claims: {
    openid: ['sub', 'acr', 'amr', 'auth_time'],
    profile: ['name'],
    email: ['email', 'email_verified'],
    address: ['address'],
  },
  issueRefreshToken: async (_, client, code) =>
    client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
  interactions: { policy: policy(), url: (_, { uid }) => `/interaction/${uid}` },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ ...profile, sub: id }) }),
  async loadExistingGrant({ oidc }) {
    const grant = new oidc.provider.Grant({
      accountId: oidc.session?.accountId ?? '',
      clientId: oidc.client?.clientId ?? '',
    })
    grant.addOIDCScope('openid profile email address offline_access')
    for (const resource of Object.keys(oidc.resourceServers ?? {})) grant.addResourceScope(resource, DEMO_API_SCOPE)
    await grant.save()
    return grant
  },
  features: {
    devInteractions: { enabled: false },
    registration: { enabled: true, idFactory: nextId },
    registrationManagement: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
    jwtResponseModes: { enabled: true },
    requestObjects: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: DEMO_API_SCOPE,
        audience: resource,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
    jwtUserinfo: { enabled: true },
    rpInitiatedLogout: {
      logoutSource: (ctx, form) => {
        ctx.body = `<!doctype html><title>Log out</title>${form}<button id="yes" form="op.logoutForm" name="logout" value="yes">Yes</button>`
      },
    },
  },
})

/**
 * Starts it on a free port of loopback; clients register themselves.
 * @param firstId the first client's id; the others get random ones
 */
export const startProvider = async (firstId: string): Promise<{ issuer: string; close(): Promise<void> }> => {
  let handle: ReturnType<Provider['callback']> | undefined
  const server = createServer((req, res) => void handle?.(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`
  const ids = [firstId]
  const provider = new Provider(
    issuer,
    configuration(() => ids.pop() ?? randomUUID()),
  )
  provider.use(async (ctx, next) => {
    if (!ctx.path.startsWith('/interaction/')) return next()
    const { params } = await provider.interactionDetails(ctx.req, ctx.res)
    const [acr = 'basic'] = String(params.acr_values ?? 'basic').split(' ')
    const login = { accountId: 'alice-id', acr, amr: ['pwd'], ts: Math.floor(Date.now() / 1000) }
    ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { login, consent: {} }))
    return undefined
  })
  handle = provider.callback()
  return {
    issuer,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
