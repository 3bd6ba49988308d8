/** Guessing a client's secret by what it signs: the same limits as guessing the secret itself (CONTRACT 2, attempt limits). */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { SignJWT } from 'jose'
import { CALLBACK, client, type Gatehouse, SECRET, startGatehouse } from '#test/flows/world.ts'
import { post } from './house.ts'

const LIMIT = 10
/** One more than is let through, then the right one. */
const guesses = [...Array.from({ length: LIMIT + 1 }, (_, index) => `guess ${index} of a secret that is long`), SECRET]

describe('guessing a client secret', () => {
  let op: Gatehouse
  // The begin of a window of 15 minutes: none ends while the test runs.
  const now = Math.floor(Date.now() / 900_000) * 900_000 + 1
  before(async () => {
    const byAssertion = { token_endpoint_auth_method: 'client_secret_jwt' }
    const ids = ['asking', 'pushing', 'fine']
    op = await startGatehouse(
      {
        clients: [
          ...ids.map((client_id) => client({ client_id })),
          client({ client_id: 'asserting', ...byAssertion }),
          client({ client_id: 'asserting-too', ...byAssertion }),
        ],
      },
      { clock: { now: () => now } },
    )
  })

  const sign = (clientId: string, secret: string, claims: Record<string, unknown> = {}) =>
    new SignJWT({ jti: crypto.randomUUID(), ...claims })
      .setProtectedHeader({ alg: 'HS256' })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(op.issuer)
      .setExpirationTime(Math.floor((now + 3_600_000) / 1000))
      .sign(new TextEncoder().encode(secret))
  const requestObject = (client_id: string, secret: string) =>
    sign(client_id, secret, {
      client_id,
      response_type: 'code',
      scope: 'openid',
      redirect_uri: CALLBACK,
      sub: undefined,
    })

  const ask = async (client_id: string, secret: string) => {
    const query = new URLSearchParams({ client_id, request: await requestObject(client_id, secret) })
    return fetch(`${op.issuer}/authorize?${query}`, { redirect: 'manual' })
  }
  const push = async (client_id: string, secret: string) =>
    post(
      `${op.issuer}/par`,
      { request: await requestObject(client_id, secret) },
      { authorization: `Basic ${Buffer.from(`${client_id}:${SECRET}`).toString('base64')}` },
    )
  const assertion = async (clientId: string, secret: string, path: string, fields: Record<string, string>) =>
    post(`${op.issuer}${path}`, {
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: await sign(clientId, secret),
      ...fields,
    })
  const credentials = { grant_type: 'client_credentials' }

  /** @param right the status for the right secret, when it is tried first */
  const limited = async (
    guess: (secret: string) => Promise<{ status: number; headers: Headers }>,
    { right, wrong }: { right: number; wrong: number },
  ) => {
    assert.equal((await guess(SECRET)).status, right, 'control')
    const answers: { status: number; headers: Headers }[] = []
    for (const secret of guesses) answers.push(await guess(secret))
    assert.deepEqual(
      answers.map(({ status }) => status),
      [...Array.from({ length: LIMIT }, () => wrong), 429, 429],
    )
    assert.ok(Number(answers.at(-1)?.headers.get('retry-after')) > 0)
  }

  test('by request objects, for which nobody has to be a client', () =>
    limited((secret) => ask('asking', secret), { right: 303, wrong: 400 }))

  test('by pushed request objects', () => limited((secret) => push('pushing', secret), { right: 201, wrong: 400 }))

  test('by client assertions', () =>
    limited((secret) => assertion('asserting', secret, '/token', credentials), { right: 200, wrong: 401 }))

  test('the endpoints share one count', async () => {
    const statuses: number[] = []
    for (const [index, secret] of guesses.entries()) {
      const [path, fields] = index % 2 ? ['/introspect', { token: 'x' }] : ['/token', credentials]
      statuses.push((await assertion('asserting-too', secret, path as string, fields as Record<string, string>)).status)
    }
    assert.deepEqual(statuses, [...Array.from({ length: LIMIT }, () => 401), 429, 429])
  })

  test('another client is not limited by it', async () => assert.equal((await ask('fine', SECRET)).status, 303))
})
