/** What a request held is let go of when its answer is out, and nobody who still looks at it is harmed. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import Provider, { type KoaContextWithOIDC } from 'oidc-provider'
import { settled } from '#test/world/settled.ts'
import { Visitor } from './browser.ts'
import { client, type House, openHouse, overriding } from './house.ts'

/** A request as the store sees it while it is answered. */
interface Seen {
  readonly ctx: KoaContextWithOIDC
  readonly req: KoaContextWithOIDC['req']
  readonly sent: Promise<unknown>
}

/**
 * A house, and the context of the first request that writes a row of a model.
 * @param after what that write waits for
 */
const watching = async (
  t: TestContext,
  model: string,
  after: (seen: Seen) => Promise<unknown> = async () => undefined,
): Promise<{ house: House; first: Promise<Seen>; written: Promise<unknown> }> => {
  const seen = Promise.withResolvers<Seen>()
  const written = Promise.withResolvers<unknown>()
  const house = await openHouse(t, {
    resources: { clients: [client('service')] },
    wrap: (store) =>
      overriding(store, {
        put: async (kind, row, options) => {
          const { ctx } = Provider
          if (kind !== model || !ctx) return store.put(kind, row, options)
          const request = { ctx, req: ctx.req, sent: once(ctx.res, 'close') }
          seen.resolve(request)
          await after(request)
          const put = store.put(kind, row, options)
          written.resolve(put)
          return put
        },
      }),
  })
  return { house, first: seen.promise, written: written.promise }
}

test('a token request leaves nothing of what was sent in its context', async (t) => {
  const { house, first } = await watching(t, 'ClientCredentials')
  const answering = fetch(`${house.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('service:service-secret-0123456789').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  })
  const { ctx, req, sent } = await first
  const { rid } = ctx.state
  assert.equal(ctx.oidc.params?.grant_type, 'client_credentials')
  const answer = await answering
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('x-request-id'), rid)
  await sent

  assert.notEqual(ctx.req, req)
  assert.equal(ctx.headers.authorization, undefined)
  assert.equal(ctx.oidc.body, undefined)
  assert.equal(ctx.oidc.params?.grant_type, undefined)
  assert.equal(ctx.oidc.client, undefined)
  assert.equal(ctx.oidc.entities.ClientCredentials, undefined)
  assert.equal(ctx.body, undefined)
  // For whoever logs something later.
  assert.deepEqual(ctx.state, { rid })
  assert.equal(ctx.oidc.route, 'token')
})

test('so does an authorization, with its cookies; reading and writing afterwards does no harm', async (t) => {
  const { house, first } = await watching(t, 'AuthorizationCode')
  const answering = new Visitor(house).code('service')
  const { ctx, req, sent } = await first
  const { cookies } = ctx.oidc
  assert.notEqual(ctx.oidc.session, undefined)
  await answering
  await sent

  assert.notEqual(ctx.req, req)
  assert.equal(ctx.oidc.session?.accountId, undefined)
  assert.equal(ctx.oidc.account, undefined)
  assert.equal(cookies.get('_session'), undefined)
  assert.equal(ctx.path, '/')
  ctx.set('x-late', 'yes')
  ctx.body = 'late'
  assert.equal(ctx.headerSent, true)
})

test('an answer that nobody waited for is finished all the same', async (t) => {
  // Written only when whoever asked is gone.
  const { house, first, written } = await watching(t, 'ClientCredentials', ({ sent }) => sent)
  const said = house.lines.length
  const giveUp = new AbortController()
  const asked = fetch(`${house.issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from('service:service-secret-0123456789').toString('base64')}` },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
    signal: giveUp.signal,
  })
  const answering = assert.rejects(asked, { name: 'AbortError' })
  const { ctx } = await first
  giveUp.abort()
  await answering
  assert.equal(await written, 'stored')
  await settled('the engine has done its part', () => ctx.body !== undefined)
  assert.deepEqual(house.lines.slice(said), [])
})
