/** The OIDC connector over the guarded outbound client, with a provider of its own to talk to. */
import assert from 'node:assert/strict'
import type { Connector } from '#connectors/connector.ts'
import { openConnector, protocolSettings } from '#connectors/index.ts'
import { systemClock } from '#kernel/clock.ts'
import { Fault } from '#kernel/faults.ts'
import type { Identity, Wish } from '#kernel/identity.ts'
import { silentLog } from '#kernel/log.ts'
import { createOutbound, type Outbound } from '#kernel/outbound.ts'
import { randomToken } from '#kernel/random.ts'
import { providerRecord } from '#kernel/records/provider.ts'
import { type Tamper, Upstream, type UpstreamOptions } from './upstream.ts'

export const returnTo = new URL('https://id.example.org/federation/acme/callback')
export const quiet: Wish = { forceLogin: false, passive: false }

export interface House {
  readonly upstream: Upstream
  readonly outbound: Outbound
  readonly connector: Connector
  login(wish?: Wish): Promise<Identity>
  depart(wish?: Wish): Promise<URL>
  refused(tamper: Tamper, wish?: Wish): Promise<Fault>
  close(): Promise<void>
}

export const schema = providerRecord(protocolSettings)

/** An honest provider and a connector to it. @param oidc members of the oidc block to add; @param rest of the record */
export const openHouse = async (
  given: {
    upstream?: UpstreamOptions
    oidc?: (upstream: Upstream) => Record<string, unknown>
    rest?: Record<string, unknown>
    now?: () => number
  } = {},
): Promise<House> => {
  const upstream = await Upstream.start(given.upstream)
  const clock = given.now ? { now: given.now } : systemClock
  const outbound = createOutbound({
    egress: { allowPrivate: ['127.0.0.0/8'], insecureHosts: [] },
    clock,
    log: silentLog,
    limits: { totalMs: 400, failures: 1000 },
  })
  const record = schema.parse({
    id: 'acme',
    protocol: 'oidc',
    ...given.rest,
    oidc: {
      issuer: upstream.issuer,
      client_id: upstream.clientId,
      client_secret: upstream.clientSecret,
      ...given.oidc?.(upstream),
    },
  })
  const connector = openConnector(record, { clock, fetch: outbound.fetch })
  const login = async (wish = quiet): Promise<Identity> => {
    const state = randomToken()
    const { departure, memo } = await connector.depart({ state, returnTo, wish })
    const back = await upstream.visit(departure.url)
    return connector.arrive({ state, returnTo, wish, memo }, { method: 'GET', url: back, fields: back.searchParams })
  }
  return {
    upstream,
    outbound,
    connector,
    login,
    depart: async (wish = quiet) => (await connector.depart({ state: randomToken(), returnTo, wish })).departure.url,
    async refused(tamper, wish = quiet) {
      upstream.tamper = tamper
      const error = await login(wish).then(
        () => undefined,
        (caught: unknown) => caught,
      )
      upstream.tamper = undefined
      assert.ok(error instanceof Fault, `${tamper}: expected a Fault, got ${error}`)
      return error
    },
    close: async () => {
      await outbound.close()
      await upstream.close()
    },
  }
}
