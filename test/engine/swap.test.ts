/** The engine is replaced while it works: nobody notices, except for what changed (DESIGN 3.2, ENGINE 9 and 10). */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { silentLog } from '#kernel/log.ts'
import { createSwap } from '#op/swap.ts'
import { authorizeUrl, claimsOf, redeem, refresh, userinfo, Visitor } from './browser.ts'
import { acr, client, openHouse, provider, signIn } from './house.ts'

const json = async (url: URL | string) => (await (await fetch(url)).json()) as Record<string, unknown>
const headerOf = (jwt = '') =>
  JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()) as { kid: string; alg: string }

test('swaps every 50 ms under load: no request fails, logins span swaps', async (t) => {
  const house = await openHouse(t, { resources: { clients: [client('web')] } })
  let swaps = 0
  let done = false
  const swapping = (async () => {
    while (!done) {
      await house.op.reload()
      swaps++
      await wait(50)
    }
  })()
  const worker = async () => {
    const visitor = new Visitor(house)
    for (let round = 0; round < 12; round++) {
      const tokens = await redeem(house, 'web', await visitor.code('web', round % 4 === 0 ? { prompt: 'login' } : {}))
      assert.equal(tokens.status, 200, tokens.error_description)
      assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 200)
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker)).finally(() => {
    done = true
  })
  await swapping
  assert.ok(swaps > 5, `${swaps} swaps`)
})

test('rotated keys sign at once, old ID tokens stay good as hints, sessions live on', async (t) => {
  const house = await openHouse(t, { resources: { clients: [client('web')] } })
  const visitor = new Visitor(house)
  const before = await redeem(house, 'web', await visitor.code('web'))
  await house.records.keys.rotate('RS256')
  await house.op.reload()
  const after = await redeem(
    house,
    'web',
    await visitor.code('web', { prompt: 'none', id_token_hint: before.id_token }),
  )
  assert.notEqual(headerOf(after.id_token).kid, headerOf(before.id_token).kid)
  const { keys } = (await json(new URL('/jwks', house.issuer))) as { keys: { kid: string; d?: string }[] }
  const kids = keys.map(({ kid }) => kid)
  assert.ok(kids.includes(headerOf(before.id_token).kid) && kids.includes(headerOf(after.id_token).kid))
  assert.ok(keys.every((key) => !('d' in key) && !('p' in key)))
})

test('a new provider or acr is known without a restart; one that is gone is dropped from clients', async (t) => {
  const house = await openHouse(t)
  await house.records.clients.put(client('web', { default_acr_values: ['gold'], scope: 'openid email' }))
  const supported = async () =>
    (await json(new URL('/.well-known/openid-configuration', house.issuer))).acr_values_supported as string[]
  assert.deepEqual(await supported(), ['basic'])

  await house.records.providers.put(provider('acme', { acrs: ['urn:example:loa2'] }))
  await house.records.acrs.put(acr({ name: 'gold', steps: [['acme']] }))
  await house.op.reload()
  assert.deepEqual(await supported(), ['basic', 'acme', 'urn:example:loa2', 'passport_social', 'gold'])

  const visitor = new Visitor(house)
  await visitor.code('web')
  await house.records.acrs.remove('gold')
  await house.op.reload()
  house.lines.length = 0
  await visitor.code('web')
  assert.deepEqual(
    house.lines.filter(({ event }) => event === 'client.stale').map(({ fields }) => fields),
    [{ client: 'web', dropped: { default_acr_values: ['gold'] } }],
  )
})

test('records that make no working engine leave the old one in force', async (t) => {
  const house = await openHouse(t, { resources: { clients: [client('web')] } })
  const published = house.records.keys.published
  house.records.keys.published = async () => [
    { kid: 'x', alg: 'RS256', jwk: { kty: 'RSA' }, publishAt: 0, activateAt: 0 },
  ]
  await assert.rejects(house.op.reload())
  house.records.keys.published = published
  await new Visitor(house).code('web')
})

test('a login that began before a swap ends after it', async (t) => {
  const house = await openHouse(t, { resources: { clients: [client('web')] } })
  const visitor = new Visitor(house)
  const start = await visitor.ask(authorizeUrl(house, 'web'))
  await house.op.reload()
  const end = await visitor.go(start.headers.get('location') ?? '')
  assert.equal((await redeem(house, 'web', end.url.searchParams.get('code') ?? '')).status, 200)
})

test('a swap is done again at the moment that the records name', async () => {
  let at: number | undefined = Date.now() + 20
  let builds = 0
  const rebuilt = Promise.withResolvers<void>()
  const swap = await createSwap({
    build: async () => {
      if (++builds === 2) rebuilt.resolve()
      return builds
    },
    nextChange: async () => {
      const next = at
      at = undefined
      return next
    },
    clock: { now: () => Date.now() },
    log: silentLog,
  })
  assert.equal(swap.current(), 1)
  // The timer does not keep a process alive; the test does.
  const alive = setInterval(() => undefined, 1000)
  await rebuilt.promise
  clearInterval(alive)
  await swap.close()
})

test('the ID token says which provider, and how: idp, acr, amr, auth_time', async (t) => {
  const house = await openHouse(t, { resources: { clients: [client('web')], identityProviders: [provider('acme')] } })
  const visitor = new Visitor(house)
  house.person = { login: () => signIn('alice', { acr: 'acme', amr: ['fed'], provider: 'acme' }) }
  const scope = { scope: 'openid offline_access', prompt: 'consent' }
  const first = await redeem(house, 'web', await visitor.code('web', scope))
  const claims = claimsOf(first.id_token)
  assert.deepEqual([claims.idp, claims.acr, claims.amr], ['acme', 'acme', ['fed']])
  assert.equal(typeof claims.auth_time, 'number')
  assert.equal(claimsOf((await refresh(house, 'web', first.refresh_token ?? '')).id_token).idp, 'acme')

  house.person = {}
  const local = claimsOf((await redeem(house, 'web', await visitor.code('web', { prompt: 'login' }))).id_token)
  assert.deepEqual([local.idp, local.acr], [undefined, 'basic'])
})

test('a change that comes while a build is under way is not slept through', async (t) => {
  let now = 0
  const built: number[] = []
  const swap = await createSwap({
    build: async () => {
      built.push(now)
      now = Math.max(now, 9) + 2
      return built.length
    },
    nextChange: async (since) => (since < 10 ? 10 : undefined),
    clock: { now: () => now },
    log: silentLog,
  })
  t.after(swap.close)
  // Began at 0, ended at 11: what is in force must have been built after 10.
  for (let turn = 0; turn < 100 && built.length < 2; turn++) await wait(10)
  assert.deepEqual(built, [0, 11])
  assert.equal(swap.current(), 2)
})
