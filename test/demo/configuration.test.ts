/** The demo's configuration is one that Gatehouse accepts, its ends fit together, and nothing in it is known in advance. */
import assert from 'node:assert/strict'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Loaded, loadConfiguration } from '#config/load.ts'
import { protocolSettings } from '#connectors/index.ts'
import { demoConfiguration, RESPONSE_TYPES } from '#demo/configuration.ts'
import { createSeed, openSeed } from '#demo/seed.ts'
import { methodSettings } from '#methods/index.ts'

const given = { issuer: 'http://localhost:3000', host: '127.0.0.1', ports: { upstream: 3001, relyingParty: 3002 } }
const demo = demoConfiguration({ ...given, seed: createSeed('one') })
const rooms = { protocols: protocolSettings, methods: methodSettings, env: {} }
const load = (written: unknown): Loaded => loadConfiguration({ ...rooms, written })
const main = () => load({ ...demo.main.settings, ...demo.main.resources })

describe('the demo configuration', () => {
  test('is accepted on both sides', () => {
    assert.equal(main().settings.issuer, 'http://localhost:3000')
    assert.equal(load(demo.upstream).settings.issuer, 'http://localhost:3001')
  })

  test('both sides agree on the client between them', () => {
    const [provider] = main().resources.identityProviders
    const [client] = load(demo.upstream).resources.clients
    const block = provider?.oidc as Record<string, unknown>
    assert.equal(provider?.id, 'demo-idp')
    assert.equal(block.issuer, 'http://localhost:3001')
    assert.equal(block.client_id, client?.client_id)
    assert.equal(block.client_secret, client?.client_secret)
    assert.deepEqual(client?.redirect_uris, ['http://localhost:3000/federation/demo-idp/callback'])
  })

  test('the relying party is registered for its own addresses and every response type', () => {
    const [client] = main().resources.clients
    assert.deepEqual(client?.redirect_uris, ['http://localhost:3002/callback'])
    assert.deepEqual(client?.post_logout_redirect_uris, ['http://localhost:3002/logged-out'])
    assert.deepEqual(client?.response_types, [...RESPONSE_TYPES])
    assert.equal(demo.relyingParty.client.client_secret, client?.client_secret)
    assert.equal(demo.relyingParty.url, 'http://localhost:3002')
  })

  test('the two have stores of their own', () => {
    const stores = [main(), load(demo.upstream)].flatMap(({ settings }) => Object.values(settings.stores))
    assert.equal(new Set(stores.map(String)).size, 4)
  })

  test('everybody who is printed can sign in, and one has a rich profile', () => {
    const accounts = [...main().resources.accounts, ...load(demo.upstream).resources.accounts]
    assert.deepEqual(
      demo.people.map(({ username, password }) => [username, password]),
      accounts.map(({ username, password }) => [username, password]),
    )
    const claims = accounts.find(({ username }) => username === 'nora')?.claims ?? {}
    for (const claim of ['address', 'phone_number', 'groups']) assert.ok(claims[claim], claim)
  })

  test('it never listens beyond this machine, wherever Gatehouse does', () => {
    const open = demoConfiguration({ ...given, host: '0.0.0.0', seed: createSeed('one') })
    assert.equal(open.relyingParty.host, '127.0.0.1')
    assert.equal(load(open.upstream).settings.listen.host, '127.0.0.1')
  })

  test('loopback may be contacted, nothing else', () => {
    assert.deepEqual(main().settings.egress.allowPrivate, ['127.0.0.0/8', '::1/128', 'localhost'])
  })
})

describe('the seed', () => {
  test('secrets differ by seed and by name, and come back', () => {
    const all = ['one', 'two'].flatMap((seed) =>
      ['a', 'b'].flatMap((name) => [createSeed(seed).secret(name), createSeed(seed).password(name)]),
    )
    assert.equal(new Set(all).size, 8)
    assert.equal(createSeed('one').password('a'), all[1])
    assert.match(createSeed('one').password('a'), /^[0-9a-z]{4}-[0-9a-z]{4}-[0-9a-z]{4}$/)
  })

  test('is made once, for its owner alone, also when two start at once', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'gatehouse-seed-'))
    try {
      const data = join(directory, 'data')
      const [first, second] = await Promise.all([openSeed(data), openSeed(data)])
      const third = await openSeed(data)
      assert.equal(first.secret('x'), second.secret('x'))
      assert.equal(first.secret('x'), third.secret('x'))
      assert.equal((await stat(join(data, 'demo.seed'))).mode & 0o777, 0o600)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})
