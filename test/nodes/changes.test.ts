/**
 * What changes on one node is in force on all (PERSISTENCE 5): what security depends on within a second, everything
 * within two, whether or not a message was heard.
 */
import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { asAlice, authorizationUrl, basicAuth, CALLBACK, client, load } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { furnish, inForceWithin, type NodeServer, type Nodes, openNodes } from '#test/world/nodes.ts'
import { settled } from '#test/world/settled.ts'
import { type PairName, pairMissing, pairNames } from '#test/world/stores.ts'

const SECURITY_MS = 1000
const OTHER_MS = 2000

const token = (server: NodeServer, fields: Record<string, string>) =>
  server.ask('/token', {
    method: 'POST',
    headers: { authorization: basicAuth(), 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
const robot = (server: NodeServer) => token(server, { grant_type: 'client_credentials' })
const userinfo = (server: NodeServer, accessToken: string) =>
  server.ask('/userinfo', { headers: { authorization: `Bearer ${accessToken}` } })
const kidsAt = async (server: NodeServer): Promise<string[]> =>
  (JSON.parse((await server.ask('/jwks')).body) as { keys: { kid: string; use: string }[] }).keys
    .filter(({ use }) => use === 'sig')
    .map(({ kid }) => kid)

/** Alice signs in at the first node; the code is redeemed at the second one. */
const signIn = async ({ issuer, servers: [, second] }: Nodes): Promise<string> => {
  const browser = new Browser({ stopAt: (url) => url.href.startsWith(CALLBACK) })
  const login = await browser.open(authorizationUrl(issuer, { acr_values: 'basic' }))
  const back = await browser.submit(login, '#continue', asAlice)
  const code = back.url.searchParams.get('code') ?? assert.fail(`no code: ${back.url} ${back.body}`)
  assert.ok(second)
  const answer = await token(second, { grant_type: 'authorization_code', code, redirect_uri: CALLBACK })
  assert.equal(answer.status, 200, answer.body)
  return (JSON.parse(answer.body) as { access_token: string }).access_token
}

const furnished = async (t: TestContext, pair: PairName, unheard: boolean) => {
  const nodes = await openNodes(t, pair, {}, { unheard })
  await furnish(nodes)
  for (const server of nodes.servers)
    await settled('the application is known', async () => (await robot(server)).status === 200)
  return nodes
}

// Only Redis carries messages; everywhere else the epochs are all there is.
const worlds = [
  ...pairNames.map((pair) => ({ pair, unheard: false })),
  { pair: 'redis+sqlite', unheard: true },
  { pair: 'redis+mongo', unheard: true },
] as const

for (const { pair, unheard } of worlds)
  describe(`two nodes on ${pair}${unheard ? ', every message lost' : ''}`, { skip: await pairMissing(pair) }, () => {
    test('clients, people, keys and providers change everywhere in time', async (t) => {
      const nodes = await furnished(t, pair, unheard)
      const { servers, house } = nodes
      const { clients, accounts, keys, providers } = house.records
      const accessToken = await signIn(nodes)

      // One key set, whoever made it.
      const [first = [], second = []] = await Promise.all(servers.map(kidsAt))
      assert.equal(first.length, 1)
      assert.deepEqual(first, second)

      await t.test('keys are rotated', async () => {
        let kid: string | undefined
        const rotate = async () => {
          kid = (await keys.rotate('ES256'))[0]?.kid
        }
        await inForceWithin(SECURITY_MS, servers, rotate, async (server) => (await kidsAt(server))[0] === kid)
        assert.deepEqual(await kidsAt(servers[0] as NodeServer), [kid, ...first])
      })
      await t.test('a key is retired', () =>
        inForceWithin(
          SECURITY_MS,
          servers,
          () => keys.retire(first[0] ?? ''),
          async (server) => !(await kidsAt(server)).includes(first[0] ?? ''),
        ),
      )
      await t.test('a provider is added', async () => {
        const [provider] = load({
          identityProviders: [
            { id: 'up', protocol: 'oidc', oidc: { issuer: 'https://up.example', client_id: 'a', client_secret: 'b' } },
          ],
        }).resources.identityProviders
        assert.ok(provider)
        await inForceWithin(
          OTHER_MS,
          servers,
          () => providers.put(provider),
          async (server) => (await server.ask('/.well-known/openid-configuration')).body.includes('"up"'),
        )
      })
      await t.test('a person is disabled', async () => {
        for (const server of servers) assert.equal((await userinfo(server, accessToken)).status, 200)
        const alice = await accounts.byUsername('alice')
        await inForceWithin(
          SECURITY_MS,
          servers,
          () => accounts.update(alice?.id ?? '', (now) => ({ ...now, disabled: true })),
          async (server) => (await userinfo(server, accessToken)).status === 401,
        )
      })
      await t.test('a client is disabled, and enabled again', async () => {
        const [web] = load({ clients: [client({ trusted: true })] }).resources.clients
        assert.ok(web)
        await inForceWithin(
          SECURITY_MS,
          servers,
          () => clients.put({ ...web, disabled: true }),
          async (server) => (await robot(server)).status === 401,
        )
        await inForceWithin(
          OTHER_MS,
          servers,
          () => clients.put(web),
          async (server) => (await robot(server)).status === 200,
        )
      })
    })
  })
