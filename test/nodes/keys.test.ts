/**
 * Signing keys by schedule, with several nodes: the same key signs everywhere within a second, every key is published long
 * enough before, and however many nodes find the next one due, there is one.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { CALLBACK } from '#test/flows/world.ts'
import { furnish, type NodeServer, openNodes } from '#test/world/nodes.ts'
import { settled } from '#test/world/settled.ts'
import { pairMissing, pairNames } from '#test/world/stores.ts'

const ROTATE_S = 5
const PUBLISH_S = 3
const WATCH_MS = 13_000
/** Between the nodes. */
const APART_MS = 1000

/** The key that signs at a node: a refusal of a silent request, as a signed response (JARM 4.1). */
const signing = async (server: NodeServer): Promise<string | undefined> => {
  const parameters = { client_id: 'web', response_type: 'code', response_mode: 'query.jwt', prompt: 'none' }
  const query = new URLSearchParams({ ...parameters, scope: 'openid', redirect_uri: CALLBACK })
  const { headers } = await server.ask(`/authorize?${query}`)
  const jwt = new URL(headers.location ?? 'no://where').searchParams.get('response')
  return jwt ? JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()).kid : undefined
}

const published = async (server: NodeServer): Promise<string[]> =>
  (JSON.parse((await server.ask('/jwks')).body) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)

/** When a node was first seen doing something with each key, in order. */
type Firsts = Map<string, number>
const note = (firsts: Firsts, kid: string) => {
  if (!firsts.has(kid)) firsts.set(kid, performance.now())
}

const watch = async (server: NodeServer) => {
  const signed: Firsts = new Map()
  // What was published before anybody looked was so for an unknown time.
  const known: Firsts = new Map((await published(server)).map((kid) => [kid, Number.NEGATIVE_INFINITY]))
  let last: string | undefined
  for (const end = performance.now() + WATCH_MS; performance.now() < end; await delay(30)) {
    const kid = await signing(server)
    assert.ok(kid)
    assert.ok(kid === last || !signed.has(kid), 'an earlier key signs again')
    last = kid
    note(signed, kid)
    const kids = await published(server)
    for (const one of kids) note(known, one)
    assert.ok(kids.includes(kid), 'what signs is published')
  }
  return { signed, known }
}

for (const pair of pairNames)
  describe(`two nodes on ${pair}`, { skip: await pairMissing(pair) }, () => {
    test('rotate their keys as one', async (t) => {
      const nodes = await openNodes(t, pair, {
        keys: {
          algorithms: ['ES256'],
          default: 'ES256',
          rotateEvery: `PT${ROTATE_S}S`,
          publishBefore: `PT${PUBLISH_S}S`,
          keepAfter: 'PT5S',
        },
        lifetimes: { idToken: 'PT4S', accessToken: 'PT4S' },
      })
      await furnish(nodes)
      for (const server of nodes.servers)
        await settled('the application is known', async () => (await signing(server)) !== undefined)

      const [here, there] = await Promise.all(nodes.servers.map(watch))
      assert.ok(here && there)
      const [first, ...later] = here.signed.keys()
      assert.ok(first && later.length >= 2, `${later.length} rotations in ${WATCH_MS} ms`)
      const measured: number[] = []
      for (const kid of later) {
        const times = [here, there].map(({ signed }) => signed.get(kid) ?? Number.POSITIVE_INFINITY)
        // The last one may have come just before the end.
        if (kid === later.at(-1) && !times.every(Number.isFinite)) continue
        const apart = Math.abs((times[0] ?? 0) - (times[1] ?? 0))
        assert.ok(apart <= APART_MS, `${Math.round(apart)} ms between the nodes`)
        for (const { known } of [here, there]) {
          const before = Math.min(...times) - (known.get(kid) ?? Number.POSITIVE_INFINITY)
          if (Number.isFinite(before)) measured.push(before)
          assert.ok(before >= PUBLISH_S * 1000, `known ${Math.round(before)} ms before it signed`)
        }
      }
      t.diagnostic(`known ${measured.map(Math.round).join(', ')} ms before it signed`)
      assert.ok(measured.length > 0, 'a key came while we looked')
      const all = (await nodes.house.records.keys.all()).filter(({ alg }) => alg === 'ES256')
      const starts = all.map(({ activateAt }) => activateAt).sort((a, b) => a - b)
      for (const [index, at] of starts.entries())
        if (index > 0) assert.ok(at - (starts[index - 1] ?? 0) >= ROTATE_S * 1000, 'one key at a time')
    })
  })
