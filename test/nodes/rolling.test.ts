/**
 * Two nodes on Redis and MongoDB behind nginx without stickiness, started together on empty stores, and restarted one
 * after the other while people sign in with an external provider and applications redeem: nobody notices.
 * GATEHOUSE_TEST_LOGINS says how many sign in (2,000 unless told).
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { post } from '#test/attacks/house.ts'
import { openShell, type Server, serve } from '#test/cli/shell.ts'
import { nora, providerOf } from '#test/flows/upstream.ts'
import { APP, authorizationUrl, basicAuth, CALLBACK, client } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { freePorts } from '#test/world/free-port.ts'
import { emptyPair, masterKey, pairMissing } from '#test/world/stores.ts'
import { nginxMissing, startNginx } from './nginx.ts'

const LOGINS = Number(process.env.GATEHOUSE_TEST_LOGINS ?? 2000)
/** People at the provider; each of them comes often, as another browser. */
const PEOPLE = 10
const AT_A_TIME = 6
/** Both nodes work for so long between two restarts. */
const PAUSE_MS = 1000
const basic = { authorization: basicAuth() }

const people = Array.from({ length: PEOPLE }, (_, nth) => ({
  ...nora,
  id: `nw-${nth}`,
  username: `nora${nth}`,
  email: `nora${nth}@northwind.example`,
}))

const browser = () => new Browser({ stopAt: ({ origin }) => origin === APP })

/** Signed in at the provider, so that no password has to be hashed for each of many logins. */
const signedIn = async (provider: string, username: string): Promise<Browser> => {
  const by = browser()
  const page = await by.open(authorizationUrl(provider))
  const back = await by.submit(page, '#continue', { username, password: nora.password })
  assert.match(back.url.href, /[?&]code=/, back.body)
  return by
}

/** One person, from the application and back, tokens and claims included. Throws at whatever is not as it should be. */
const signIn = async (issuer: string, as: Browser): Promise<void> => {
  const by = browser()
  by.cookies.adopt(as.cookies)
  const back = await by.open(authorizationUrl(issuer, { acr_values: 'acme' }))
  const code = back.url.searchParams.get('code') ?? assert.fail(`${back.url} ${back.status} ${back.body.slice(0, 500)}`)
  const fields = { grant_type: 'authorization_code', code, redirect_uri: CALLBACK }
  const { status, body } = await post(`${issuer}/token`, fields, basic)
  assert.equal(status, 200, `/token: ${JSON.stringify(body).slice(0, 500)}`)
  const claims = await fetch(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${body.access_token}` } })
  assert.equal(claims.status, 200, `/userinfo: ${await claims.text()}`)
}

const kids = async (port: number, host: string): Promise<string[]> => {
  const answer = await fetch(`http://127.0.0.1:${port}/jwks`, { headers: { 'x-forwarded-host': host } })
  return ((await answer.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
}

const missing = (await pairMissing('redis+mongo')) || nginxMissing
test(`${LOGINS} federated logins while the nodes are restarted in turn: none fails`, { skip: missing }, async (t) => {
  const [edgePort = 0, firstPort = 0, secondPort = 0, providerPort = 0] = await freePorts(4)
  const ports = [firstPort, secondPort]
  const host = `localhost:${edgePort}`
  const issuer = `http://${host}`
  const provider = `http://localhost:${providerPort}`

  const upstream = await openShell(t, {
    issuer: provider,
    clients: [
      client({ trusted: true }),
      client({
        client_id: 'gatehouse',
        client_secret: providerOf(provider).oidc.client_secret,
        redirect_uris: [`${issuer}/federation/acme/callback`],
        response_types: ['code'],
        grant_types: ['authorization_code'],
        trusted: true,
      }),
    ],
    accounts: people,
  })
  await serve(t, upstream, providerPort)
  const sessions = await Promise.all(people.map(({ username }) => signedIn(provider, username)))

  const pair = await emptyPair('redis+mongo')
  t.after(pair.close)
  const shell = await openShell(t, {
    issuer,
    trustProxy: ['127.0.0.1'],
    masterKey,
    ...pair.settings,
    egress: { allowPrivate: ['127.0.0.0/8', '::1/128', 'localhost'] },
    clients: [client({ trusted: true })],
    identityProviders: [providerOf(provider)],
  })
  // Together, on empty stores: one schema, one key set.
  const nodes: Server[] = await Promise.all(ports.map((port) => serve(t, shell, port)))
  const logs = nodes.map((node) => node.log()).join('')
  for (const schema of ['artifacts', 'directory'])
    assert.ok(logs.split(`"event":"store.migrated"`).filter((line) => line.includes(`"${schema}"`)).length <= 1, logs)
  const [one, other] = await Promise.all(ports.map((port) => kids(port, host)))
  assert.ok(one?.length)
  assert.deepEqual(one, other)

  const edge = await startNginx(t, edgePort, ports)
  await signIn(issuer, sessions[0] as Browser)
  const failures: string[] = []
  let done = 0
  let restarts = 0
  const wanted = () => done < LOGINS || restarts < ports.length
  const person = async () => {
    while (wanted()) {
      const nth = done++
      await signIn(issuer, sessions[nth % PEOPLE] as Browser).catch((error: Error) =>
        failures.push(`login ${nth}: ${error.message}`),
      )
    }
  }
  const restart = async () => {
    for (let nth = 0; wanted(); nth = (nth + 1) % ports.length) {
      assert.equal(await nodes[nth]?.stop(), 0)
      nodes[nth] = await serve(t, shell, ports[nth] ?? 0)
      restarts++
      await delay(PAUSE_MS)
    }
  }
  const began = performance.now()
  await Promise.all([restart(), ...Array.from({ length: AT_A_TIME }, person)])
  t.diagnostic(`${done} logins, ${restarts} restarts, ${Math.round((performance.now() - began) / 1000)} s`)
  assert.deepEqual(failures, [])

  // Logins went from node to node: of each step both had a part, and every one of them was answered.
  const seen = edge.log()
  for (const step of ['GET /authorize?', 'GET /federation/acme/callback?', 'POST /token'])
    for (const port of ports)
      assert.ok(
        seen.some((line) => line.port === port && line.request.startsWith(step)),
        step,
      )
  const bad = seen.filter(({ status }) => status >= 500)
  assert.deepEqual(bad, [])
})
