/** Leaving and coming back, with a provider that verifies: what a state is good for, once, and for whom. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, test } from 'node:test'
import type { Arrival } from '#connectors/connector.ts'
import { openConnector, protocolSettings } from '#connectors/index.ts'
import { createFederation, type Federation } from '#federation/trip.ts'
import { createUpstreamSessions } from '#federation/upstream.ts'
import { Fault } from '#kernel/faults.ts'
import type { Wish } from '#kernel/identity.ts'
import { silentLog } from '#kernel/log.ts'
import { createOutbound, type Outbound } from '#kernel/outbound.ts'
import { type IdentityProvider, providerRecord } from '#kernel/records/provider.ts'
import { openRooms, type Rooms } from '#test/world/rooms.ts'
import { Upstream } from '#test/world/upstream.ts'

const LIFETIME = 600
const wish: Wish = { forceLogin: false, passive: false }

let rooms: Rooms
let outbound: Outbound
let upstream: Upstream
let federation: Federation
let opened = 0

const record = (id: string, more: Record<string, unknown> = {}): IdentityProvider =>
  providerRecord(protocolSettings).parse({
    id,
    protocol: 'oidc',
    oidc: { issuer: upstream.issuer, client_id: upstream.clientId, client_secret: upstream.clientSecret },
    ...more,
  })

before(async () => {
  rooms = await openRooms()
  upstream = await Upstream.start()
  const { records, box, clock } = rooms
  outbound = createOutbound({ egress: { allowPrivate: ['127.0.0.1'], insecureHosts: [] }, clock, log: silentLog })
  federation = createFederation({
    records,
    box,
    clock,
    issuer: 'https://id.example.org/op',
    lifetime: LIFETIME,
    open: (provider) => {
      opened += 1
      return openConnector(provider, { clock, fetch: outbound.fetch })
    },
  })
  await records.providers.put(record('acme'))
  await records.providers.put(record('beta'))
})
after(async () => {
  await federation.close()
  await outbound.close()
  await upstream.close()
  await rooms.close()
})
afterEach(() => {
  upstream.tamper = undefined
})

const arrivalAt = (url: URL): Arrival => ({ method: 'GET', url, fields: url.searchParams })

const leave = async (uid: string, provider = 'acme'): Promise<URL> =>
  (await federation.depart({ provider, uid, wish, reference: `R-${uid}` })).url

/** Leaves and signs in at the provider; answers what the browser brings back. */
const visit = async (uid: string, provider = 'acme'): Promise<Arrival> =>
  arrivalAt(await upstream.visit(await leave(uid, provider)))

const faultOf = async (work: Promise<unknown>): Promise<Fault> => {
  const error = await work.then(
    () => undefined,
    (caught: unknown) => caught,
  )
  assert.ok(error instanceof Fault, `expected a Fault, got ${error}`)
  return error
}

describe('a trip', () => {
  test('leaves, arrives under a handle, is collected with what it was for', async () => {
    const arrival = await visit('i-1')
    assert.equal(arrival.url.pathname, '/op/federation/acme/callback')
    const { uid, handle, reference } = await federation.arrive('acme', arrival)
    assert.deepEqual([uid, reference], ['i-1', 'R-i-1'])
    assert.match(handle, /^[\w-]{43}$/)
    const collected = await federation.collect('i-1', handle)
    assert.equal(collected.provider, 'acme')
    assert.equal(collected.identity.uid, 'Alice.01')
    assert.deepEqual(collected.wish, wish)
  })

  test('many at once do not get in each other’s way', async () => {
    const uids = Array.from({ length: 6 }, (_, index) => `tab-${index}`)
    const arrivals = await Promise.all(uids.map((uid) => visit(uid)))
    const landed = await Promise.all(arrivals.map((arrival) => federation.arrive('acme', arrival)))
    assert.deepEqual(
      landed.map(({ uid }) => uid),
      uids,
    )
  })
})

describe('the state', () => {
  test('counts once: the same answer again names the interaction and is refused', async () => {
    const arrival = await visit('i-2')
    await federation.arrive('acme', arrival)
    const fault = await faultOf(federation.arrive('acme', arrival))
    assert.deepEqual([fault.code, fault.detail.uid, fault.detail.reference], ['upstream.replayed', 'i-2', 'R-i-2'])
  })

  test('counts once when the same answer comes eight times at the same moment', async () => {
    const arrival = await visit('i-3')
    const landed = await Promise.allSettled(Array.from({ length: 8 }, () => federation.arrive('acme', arrival)))
    assert.equal(landed.filter(({ status }) => status === 'fulfilled').length, 1)
  })

  test('is used up by a bad answer too', async () => {
    upstream.tamper = 'signature'
    const arrival = await visit('i-4')
    const fault = await faultOf(federation.arrive('acme', arrival))
    assert.deepEqual([fault.code, fault.detail.uid, fault.detail.provider], ['upstream.invalid', 'i-4', 'acme'])
    upstream.tamper = undefined
    assert.equal((await faultOf(federation.arrive('acme', arrival))).code, 'upstream.replayed')
  })

  test('counts for its provider only, and is not spent elsewhere (mix-up)', async () => {
    const arrival = await visit('i-5')
    const fault = await faultOf(federation.arrive('beta', arrival))
    assert.deepEqual([fault.code, fault.detail.uid], ['upstream.invalid', 'i-5'])
    assert.equal((await federation.arrive('acme', arrival)).uid, 'i-5', 'control: at its own provider it does')
  })

  test('lasts as long as the interaction; later it is known but expired, much later unknown', async () => {
    const [late, later, inTime] = [await visit('i-6'), await visit('i-7'), await visit('i-8')]
    const start = rooms.clock.at
    rooms.clock.at = start + LIFETIME * 1000 - 1000
    // The clock moved away from the provider's; only the trip is looked at here.
    const fault = await faultOf(federation.arrive('acme', inTime))
    assert.equal(fault.detail.member, 'exp', 'control: in time the state is accepted and the token is judged')
    rooms.clock.at = start + LIFETIME * 1000 + 1000
    const expired = await faultOf(federation.arrive('acme', late))
    assert.deepEqual([expired.code, expired.detail.uid], ['upstream.expired', 'i-6'])
    rooms.clock.at = start + 3 * LIFETIME * 1000
    const unknown = await faultOf(federation.arrive('acme', later))
    assert.deepEqual([unknown.code, unknown.detail.uid], ['upstream.expired', undefined])
    rooms.clock.at = start
  })

  for (const [what, search] of [
    ['missing', '?code=x'],
    ['empty', '?code=x&state='],
    ['made up', '?code=x&state=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
    ['endless', `?code=x&state=${'A'.repeat(100_000)}`],
    ['not text', '?code=x&state=%00%ff%fe'],
  ] as const)
    test(`${what}: refused, naming nothing`, async () => {
      const fault = await faultOf(federation.arrive('acme', arrivalAt(new URL(search, 'https://id.example.org/'))))
      assert.deepEqual([fault.code, fault.detail.uid], ['upstream.expired', undefined])
    })

  test('twice in one answer: refused, and not spent', async () => {
    const arrival = await visit('i-9')
    const doubled = new URL(arrival.url)
    doubled.searchParams.append('state', 'another')
    assert.equal((await faultOf(federation.arrive('acme', arrivalAt(doubled)))).code, 'upstream.expired')
    assert.equal((await federation.arrive('acme', arrival)).uid, 'i-9')
  })

  test('what the provider says comes back with the interaction', async () => {
    upstream.tamper = 'says access_denied'
    const fault = await faultOf(federation.arrive('acme', await visit('i-10')))
    assert.deepEqual([fault.code, fault.detail.uid, fault.detail.reason], ['upstream.denied', 'i-10', 'access_denied'])
  })
})

describe('the handle', () => {
  test('counts once, also at the same moment', async () => {
    const { handle } = await federation.arrive('acme', await visit('h-1'))
    const tries = await Promise.allSettled(Array.from({ length: 8 }, () => federation.collect('h-1', handle)))
    assert.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
    assert.equal((await faultOf(federation.collect('h-1', handle))).code, 'upstream.replayed')
  })

  test('belongs to the interaction that began (login CSRF)', async () => {
    const { handle } = await federation.arrive('acme', await visit('h-2'))
    assert.equal((await faultOf(federation.collect('victim', handle))).code, 'journey.foreign')
    assert.equal((await federation.collect('h-2', handle)).provider, 'acme', 'control: and was not spent')
  })

  test('does not wait for ever, and cannot be made up', async () => {
    const { handle } = await federation.arrive('acme', await visit('h-3'))
    const start = rooms.clock.at
    rooms.clock.at += 301_000
    assert.equal((await faultOf(federation.collect('h-3', handle))).code, 'upstream.expired')
    rooms.clock.at = start
    for (const made of ['', 'AAAA'])
      assert.equal((await faultOf(federation.collect('h-3', made))).code, 'upstream.expired')
  })
})

describe('providers', () => {
  test('an unknown or disabled one is not left for, nor does its answer count', async () => {
    assert.equal((await faultOf(leave('p-1', 'nobody'))).code, 'upstream.misconfigured')
    const arrival = await visit('p-2', 'beta')
    await rooms.records.providers.put(record('beta', { enabled: false }))
    const fault = await faultOf(federation.arrive('beta', arrival))
    assert.deepEqual([fault.code, fault.detail.reason, fault.detail.uid], ['upstream.misconfigured', 'disabled', 'p-2'])
    assert.equal((await faultOf(leave('p-3', 'beta'))).code, 'upstream.misconfigured')
    await rooms.records.providers.put(record('beta'))
    assert.equal((await federation.arrive('beta', await visit('p-4', 'beta'))).uid, 'p-4', 'control')
  })

  test('a connector is opened once per version of its record', async () => {
    await leave('p-5', 'beta')
    const before = opened
    await leave('p-6', 'beta')
    assert.equal(opened, before)
    await rooms.records.providers.put(record('beta', { displayName: 'Beta' }))
    await leave('p-7', 'beta')
    assert.equal(opened, before + 1)
  })

  test('one that is away: the fault names the interaction', async (t) => {
    const away = await Upstream.start()
    await away.close()
    t.after(() => rooms.records.providers.remove('away'))
    await rooms.records.providers.put(record('away', { oidc: { issuer: away.issuer, client_id: 'c' } }))
    const fault = await faultOf(leave('p-8', 'away'))
    assert.deepEqual([fault.code, fault.detail.uid], ['upstream.unavailable', 'p-8'])
  })
})

describe('what the store keeps', () => {
  test('no state, handle, nonce, verifier or claim in plain', async () => {
    const url = await leave('s-1')
    const arrival = arrivalAt(await upstream.visit(url))
    const { handle } = await federation.arrive('acme', arrival)
    const kept: Buffer[] = []
    for await (const { row } of rooms.store.scan()) kept.push(Buffer.from(row.key), Buffer.from(row.body))
    assert.ok(kept.length > 2, 'control: something is kept')
    const all = Buffer.concat(kept).toString('latin1')
    const secrets = [
      url.searchParams.get('state'),
      url.searchParams.get('nonce'),
      handle,
      'Alice.01',
      'alice@acme.example',
    ]
    for (const secret of secrets) assert.ok(secret && !all.includes(secret))
  })

  test('an upstream session is found by id, by the provider’s session and by its user', async () => {
    const sessions = createUpstreamSessions({ box: rooms.box, lifetime: 60 })
    const keep = (provider: string, uid: string, sid?: string) =>
      sessions.keep({ provider, accountId: 'a1', identity: { uid, claims: { raw: [1] }, ...(sid && { sid }) } })
    const one = await keep('acme', 'u1', 's1')
    const two = await keep('acme', 'u1', 's2')
    const three = await keep('beta', 'u1', 's1')
    const four = await keep('acme', 'u2')
    assert.deepEqual((await sessions.get(one))?.identity.claims, { raw: [1] })
    const ids = (found: { id: string }[]) => found.map(({ id }) => id).sort()
    assert.deepEqual(ids(await sessions.bySid('acme', 's1')), [one])
    assert.deepEqual(ids(await sessions.byUid('acme', 'u1')), [one, two].sort())
    assert.deepEqual(ids(await sessions.byUid('beta', 'u1')), [three])
    assert.deepEqual(ids(await sessions.byUid('acme', 'u2')), [four])
    await sessions.drop(one)
    assert.deepEqual(await sessions.bySid('acme', 's1'), [])
    rooms.clock.at += 61_000
    assert.equal(await sessions.get(two), undefined)
  })
})
