/**
 * What may be used once is used once although two nodes are asked at the same moment, on every kind of stores: codes,
 * refresh tokens, client assertions, DPoP proofs. GATEHOUSE_TEST_ROUNDS says how many of each (12 unless told).
 */
import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { describe, test } from 'node:test'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { asAlice, authorizationUrl, basicAuth, CALLBACK, client } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { furnish, type NodeServer, type Nodes, openNodes } from '#test/world/nodes.ts'
import { settled } from '#test/world/settled.ts'
import { pairMissing, pairNames } from '#test/world/stores.ts'

const ROUNDS = Number(process.env.GATEHOUSE_TEST_ROUNDS ?? 12)
/** At each of the two nodes. */
const AT_ONCE = 3
const basic = { authorization: basicAuth() }
const offline = { scope: 'openid offline_access', prompt: 'consent' }
const keys = await generateKeyPair('ES256', { extractable: true })
const jwk = { ...(await exportJWK(keys.publicKey)), alg: 'ES256' }
const robot = client({
  client_id: 'robot',
  client_secret: undefined,
  token_endpoint_auth_method: 'private_key_jwt',
  jwks: { keys: [jwk] },
  redirect_uris: [],
  response_types: [],
  grant_types: ['client_credentials'],
})

interface Told {
  readonly status: number
  readonly body: Record<string, string>
}
const token = async (server: NodeServer, fields: Record<string, string>, headers: Record<string, string> = basic) => {
  const answer = await server.ask('/token', {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams(fields).toString(),
  })
  return { status: answer.status, body: JSON.parse(answer.body) as Record<string, string> }
}

/** The same request several times at both nodes. */
const everywhere = ({ servers }: Nodes, ask: (server: NodeServer) => Promise<Told>): Promise<Told[]> =>
  Promise.all(servers.flatMap((server) => Array.from({ length: AT_ONCE }, () => ask(server))))

/** Answers those that succeeded; whoever did not was told so in the one right way. */
const succeeded = (answers: readonly Told[], status: number, error: string): readonly Told[] => {
  for (const answer of answers)
    if (answer.status !== 200)
      assert.deepEqual([answer.status, answer.body.error], [status, error], JSON.stringify(answer.body))
  return answers.filter((answer) => answer.status === 200)
}

const proofOf = async (url: string): Promise<string> =>
  new SignJWT({ jti: randomUUID(), htm: 'POST', htu: url })
    .setProtectedHeader({ typ: 'dpop+jwt', alg: 'ES256', jwk })
    .setIssuedAt()
    .sign(keys.privateKey)

for (const name of pairNames)
  describe(`two nodes on ${name}, asked at the same moment`, { skip: await pairMissing(name) }, () => {
    test('at most one gets something', async (t) => {
      const nodes = await openNodes(t, name, { clients: [robot] })
      await furnish(nodes)
      const { issuer, servers } = nodes
      const [first] = servers
      assert.ok(first)
      for (const server of servers)
        await settled('the application is known', async () => {
          const { status } = await token(server, { grant_type: 'client_credentials' })
          return status === 200
        })
      const browser = new Browser({ stopAt: (url) => url.href.startsWith(CALLBACK) })
      const login = await browser.open(authorizationUrl(issuer, { acr_values: 'basic' }))
      await browser.submit(login, '#continue', asAlice)
      const newCode = async (): Promise<Record<string, string>> => {
        const page = await browser.open(authorizationUrl(issuer, offline))
        const back = page.url.href.startsWith(CALLBACK) ? page : await browser.submit(page, '#allow')
        const code = back.url.searchParams.get('code') ?? assert.fail(`no code: ${back.url} ${back.body}`)
        return { grant_type: 'authorization_code', code, redirect_uri: CALLBACK }
      }
      const active = async (access = ''): Promise<boolean> => {
        const answer = await first.ask('/userinfo', { headers: { authorization: `Bearer ${access}` } })
        return answer.status === 200
      }

      await t.test('a code; who asks twice ends its grant', async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const fields = await newCode()
          const good = succeeded(await everywhere(nodes, (server) => token(server, fields)), 400, 'invalid_grant')
          assert.ok(good.length <= 1, `${good.length} successes`)
          for (const { body } of good) assert.equal(await active(body.access_token), false)
        }
      })
      await t.test('a refresh token; who asks twice ends its grant', async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const { body } = await token(first, await newCode())
          const fields = { grant_type: 'refresh_token', refresh_token: body.refresh_token ?? assert.fail() }
          const good = succeeded(await everywhere(nodes, (server) => token(server, fields)), 400, 'invalid_grant')
          assert.ok(good.length <= 1, `${good.length} successes`)
          for (const won of good) assert.equal(await active(won.body.access_token), false)
        }
      })
      await t.test('a client assertion: exactly one', async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const assertion = await new SignJWT({ jti: randomUUID() })
            .setProtectedHeader({ alg: 'ES256' })
            .setIssuer('robot')
            .setSubject('robot')
            .setAudience(issuer)
            .setIssuedAt()
            .setExpirationTime('1m')
            .sign(keys.privateKey)
          const fields = {
            grant_type: 'client_credentials',
            client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
            client_assertion: assertion,
          }
          const answers = await everywhere(nodes, (server) => token(server, fields, {}))
          assert.equal(succeeded(answers, 401, 'invalid_client').length, 1)
        }
      })
      await t.test('a DPoP proof: exactly one', async () => {
        for (let round = 0; round < ROUNDS; round++) {
          const headers = { ...basic, dpop: await proofOf(`${issuer}/token`) }
          const fields = { grant_type: 'client_credentials' }
          const answers = await everywhere(nodes, (server) => token(server, fields, headers))
          const good = succeeded(answers, 400, 'invalid_grant')
          assert.equal(good.length, 1)
          assert.equal(good[0]?.body.token_type, 'DPoP')
        }
      })
    })
  })
