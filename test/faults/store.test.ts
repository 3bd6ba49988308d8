/** A store that fails: 503 with Retry-After, said honestly, never a 500 and never a refusal that blames the one who asks (DESIGN 23). */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Worker } from 'node:worker_threads'
import { answerOf, browser, codeOf, pkce, post, signIn } from '#test/attacks/house.ts'
import { type OwnServer, startOwn } from '#test/attacks/own-server.ts'
import { APP, alice, authorizationUrl, basicAuth, CALLBACK, client } from '#test/flows/world.ts'

const basic = { authorization: basicAuth() }
const clients = [client({ trusted: true })]

interface Asked {
  readonly name: string
  readonly run: () => Promise<{ status: number; headers: Headers; body: Record<string, unknown> }>
}

const register = (server: OwnServer) => async () => {
  const response = await fetch(`${server.issuer}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"redirect_uris":["https://a.example/cb"]}',
  })
  return {
    status: response.status,
    headers: response.headers,
    body: (await response.json()) as Record<string, unknown>,
  }
}
/** Requests of machines that have to write. */
const writes = (server: OwnServer, given: { code: string; refresh: string }): Asked[] => {
  const at = (path: string, fields: Record<string, string>) => () => post(`${server.issuer}${path}`, fields, basic)
  return [
    { name: 'client credentials', run: at('/token', { grant_type: 'client_credentials' }) },
    { name: 'code', run: at('/token', { grant_type: 'authorization_code', code: given.code, redirect_uri: CALLBACK }) },
    { name: 'refresh', run: at('/token', { grant_type: 'refresh_token', refresh_token: given.refresh }) },
    { name: 'revoke', run: at('/revoke', { token: given.refresh }) },
    {
      name: 'par',
      run: at('/par', { client_id: 'web', response_type: 'code', redirect_uri: CALLBACK, scope: 'openid' }),
    },
    { name: 'register', run: register(server) },
  ]
}
const page = async (server: OwnServer, path: string, init: RequestInit = {}) => {
  const response = await fetch(`${server.issuer}${path}`, {
    redirect: 'manual',
    ...init,
    headers: { accept: 'text/html', ...init.headers },
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}
const unavailable = ({ status, headers, body }: Awaited<ReturnType<Asked['run']>>, name: string) => {
  assert.equal(status, 503, `${name}: ${JSON.stringify(body)}`)
  assert.ok(Number(headers.get('retry-after')) > 0, `${name}: Retry-After`)
  assert.equal(body.error, 'temporarily_unavailable', name)
}
const health = async (server: OwnServer) =>
  Promise.all(['/healthz', '/readyz'].map(async (path) => (await fetch(`${server.issuer}${path}`)).status))

const prepared = async (server: OwnServer) => {
  const first = await signIn(server, { scope: 'openid offline_access', prompt: 'consent' })
  const tokens = await post(
    `${server.issuer}/token`,
    { grant_type: 'authorization_code', code: codeOf(first), redirect_uri: CALLBACK },
    basic,
  )
  assert.equal(tokens.status, 200)
  const code = codeOf(await signIn(server, { scope: 'openid offline_access', prompt: 'consent' }))
  const waiting = browser()
  const login = await waiting.open(authorizationUrl(server.issuer, { acr_values: 'basic' }))
  return { code, refresh: String(tokens.body.refresh_token), access: String(tokens.body.access_token), waiting, login }
}

/** Holds the one write lock of a database file, as a backup tool that hangs would. */
const lock = (server: OwnServer, name: string) => {
  const database = new DatabaseSync(join(server.folder, name), { timeout: 2_000 })
  database.exec('BEGIN IMMEDIATE')
  return () => {
    database.exec('ROLLBACK')
    database.close()
  }
}

describe('the artifact store cannot write', () => {
  test('503 everywhere, nothing used up, and all goes on once it can again', async () => {
    const server = await startOwn({ clients })
    const given = await prepared(server)
    const release = lock(server, 'artifacts.db')
    try {
      const answers = await Promise.all(
        writes(server, given).map(async ({ name, run }) => ({ name, answer: await run() })),
      )
      for (const { name, answer } of answers) unavailable(answer, name)
      const begun = await page(
        server,
        `/authorize?${new URLSearchParams({ client_id: 'web', response_type: 'code', scope: 'openid', redirect_uri: CALLBACK, state: 's1' })}`,
      )
      if (begun.status === 303)
        assert.match(begun.headers.get('location') ?? '', /^http:\/\/127\.0\.0\.1:1\/cb\?error=temporarily_unavailable/)
      else {
        assert.equal(begun.status, 503, begun.text)
        assert.ok(Number(begun.headers.get('retry-after')) > 0)
        assert.match(begun.text, /id="page-error"/)
        assert.match(begun.text, /<code id="error">temporarily_unavailable</)
      }
      const tried = await given.waiting.submit(given.login, '#continue', {
        username: alice.username,
        password: alice.password,
      })
      if (tried.url.origin === APP) assert.equal(answerOf(tried).get('error'), 'temporarily_unavailable')
      else {
        assert.equal(tried.status, 503, tried.body)
        assert.ok(Number(tried.headers['retry-after']) > 0)
        assert.match(tried.body, /id="page-error"/)
      }
      assert.equal((await health(server))[0], 200, 'the process turns')
      const documents = await Promise.all(
        ['/.well-known/openid-configuration', '/jwks', '/'].map((path) => page(server, path)),
      )
      assert.deepEqual(
        documents.map(({ status }) => status),
        [200, 200, 200],
        'what needs no store is served',
      )
    } finally {
      release()
    }
    // The code and the refresh token were not used up by the failure.
    const [, code, refresh] = writes(server, given)
    assert.equal((await code?.run())?.status, 200)
    assert.equal((await refresh?.run())?.status, 200)
    const again = await given.waiting.submit(given.login, '#continue', {
      username: alice.username,
      password: alice.password,
    })
    codeOf(again)
    assert.deepEqual(await health(server), [200, 200])
    assert.doesNotMatch(server.text.join('\n'), /"status":500/)
  })
})

describe('the writer dies', () => {
  test('503 with Retry-After for whatever it was needed for, /readyz says so, /healthz does not; all goes on with the next one', async () => {
    const workers: Worker[] = []
    const see = (worker: Worker) => void workers.push(worker)
    process.on('worker', see)
    const server = await startOwn({ clients })
    process.off('worker', see)
    assert.equal(workers.length, 2, 'one writer a file')
    const given = await prepared(server)
    assert.deepEqual(await health(server), [200, 200], 'control')
    // Its successors die as well, for a while.
    const kill = (worker: Worker) => void worker.terminate()
    process.on('worker', kill)
    for (const worker of workers) await worker.terminate()

    for (const { name, run } of writes(server, given)) unavailable(await run(), name)
    const { verifier: _, challenge } = pkce()
    const begun = await page(
      server,
      `/authorize?${new URLSearchParams({ client_id: 'web', response_type: 'code', scope: 'openid', redirect_uri: CALLBACK, code_challenge: challenge, code_challenge_method: 'S256' })}`,
    )
    assert.ok(
      begun.status === 503 || /error=temporarily_unavailable/.test(begun.headers.get('location') ?? ''),
      `${begun.status} ${begun.text}`,
    )
    const arrived = await page(server, '/federation/acme/callback?state=x&code=y')
    assert.ok([400, 503].includes(arrived.status))
    assert.deepEqual(await health(server), [200, 503])
    assert.doesNotMatch(server.text.join('\n'), /"status":500/)

    process.off('worker', kill)
    for (const end = performance.now() + 10_000; (await health(server))[1] !== 200; await delay(50))
      assert.ok(performance.now() < end, 'ready again')
    const [credentials, code, refresh] = writes(server, given)
    for (const one of [credentials, code, refresh]) assert.equal((await one?.run())?.status, 200, one?.name)
    await server.close()
  })
})

describe('the directory cannot write', () => {
  test('signing in, tokens and userinfo go on: nothing of them waits for it; registration says 503', async () => {
    const server = await startOwn({ clients })
    const given = await prepared(server)
    const release = lock(server, 'directory.db')
    try {
      const [credentials, code] = writes(server, given)
      assert.equal((await credentials?.run())?.status, 200)
      assert.equal((await code?.run())?.status, 200)
      codeOf(await signIn(server))
      unavailable(await register(server)(), 'register')
    } finally {
      release()
    }
    assert.equal((await register(server)()).status, 201)
  })
})
