/** A whole installation goes to other stores under another master key while people and applications wait: nobody has to sign in again. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { alice, asAlice, authorizationUrl, basicAuth, CALLBACK, client, redeem } from '../flows/world.ts'
import { Browser } from '../world/browser.ts'
import { freePorts } from '../world/free-port.ts'
import { emptyPair, type PairName } from '../world/stores.ts'
import { contentOf, MASTER, OTHER_MASTER, withPassphrase } from './backup-world.ts'
import { openShell, serve } from './shell.ts'

const offline = { scope: 'openid offline_access', prompt: 'consent' }

const refresh = async (issuer: string, token = '', as = 'web') => {
  const answer = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: basicAuth(as) },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: token }),
  })
  return { status: answer.status, body: (await answer.json()) as Record<string, string> }
}
const userinfo = async (issuer: string, token = '') =>
  (await fetch(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } })).status

/** A shell over empty stores. */
export const shellOn = async (t: TestContext, name: PairName, settings: Record<string, unknown> = {}) => {
  const { settings: placed, close } = await emptyPair(name)
  t.after(close)
  return openShell(t, { ...placed, ...settings })
}

/** A server on the first stores is backed up and goes on on the others. */
export const moves = async (t: TestContext, from: PairName, to: PairName): Promise<void> => {
  const [port = 0] = await freePorts(1)
  const settings = {
    issuer: `http://localhost:${port}`,
    listen: { port },
    keys: { algorithms: ['RS256'], default: 'RS256' },
  }
  const here = await shellOn(t, from, { ...settings, masterKey: MASTER })
  const there = await shellOn(t, to, { ...settings, masterKey: OTHER_MASTER })
  await here.run(['apply', '-'], {
    input: JSON.stringify({ clients: [client(), client({ client_id: 'app' })], accounts: [alice] }),
  })
  const first = await serve(t, here, port)
  const { issuer } = first

  const browser = () => new Browser({ stopAt: ({ origin }) => origin === new URL(CALLBACK).origin })
  const someone = browser()
  const signIn = async (more: Record<string, string>) => {
    let page = await someone.open(authorizationUrl(issuer, more))
    if (/id="page-login"/.test(page.body)) page = await someone.submit(page, '#continue', asAlice)
    if (/id="page-consent"/.test(page.body)) page = await someone.submit(page, '#allow')
    return page.url.searchParams.get('code') ?? ''
  }
  const used = await signIn(offline)
  const tokens = (await redeem(issuer, used)).body
  const rotated = (await refresh(issuer, tokens.refresh_token)).body
  assert.ok(rotated.refresh_token, JSON.stringify(rotated))
  const unused = await signIn({})
  // A client of its own, since what was allowed to a client ends as a whole.
  const ended = (await redeem(issuer, await signIn({ ...offline, client_id: 'app' }), {}, 'app')).body
  assert.ok(ended.refresh_token, JSON.stringify(ended))
  const revoked = await fetch(`${issuer}/revoke`, {
    method: 'POST',
    headers: { authorization: basicAuth('app') },
    body: new URLSearchParams({ token: ended.refresh_token ?? '' }),
  })
  assert.equal(revoked.status, 200)
  const kids = async () => ((await (await fetch(`${issuer}/jwks`)).json()) as { keys: { kid: string }[] }).keys
  const published = await kids()
  const another = browser()
  const waiting = await another.open(authorizationUrl(issuer))
  assert.match(waiting.body, /id="page-login"/)

  const file = join(here.folder, 'move.backup')
  const written = await withPassphrase(here, ['backup', file])
  assert.equal(written.code, 0, written.err)
  assert.equal(await first.stop(), 0)
  const restored = await withPassphrase(there, ['restore', file])
  assert.deepEqual([restored.code, restored.err], [0, ''])
  const copy = join(there.folder, 'copy.backup')
  await withPassphrase(there, ['backup', copy])
  assert.deepEqual(await contentOf(copy), await contentOf(file))

  const second = await serve(t, there, port)
  assert.deepEqual(await kids(), published)
  const again = await someone.open(authorizationUrl(issuer, { state: 'after the move' }))
  assert.equal(again.url.searchParams.get('state'), 'after the move')
  assert.equal(again.trail.length, 2, 'no page: still signed in, consent remembered')
  const finished = await another.submit(waiting, '#continue', asAlice)
  assert.match(finished.url.href, /[?&]code=/, finished.body)

  assert.equal((await redeem(issuer, unused)).status, 200)
  assert.equal((await refresh(issuer, ended.refresh_token, 'app')).status, 400)
  const fresh = await refresh(issuer, rotated.refresh_token)
  assert.equal(fresh.status, 200, JSON.stringify(fresh.body))
  assert.equal(await userinfo(issuer, fresh.body.access_token), 200)
  // The used code is known as used: it is refused, and ends what it had brought.
  assert.equal((await redeem(issuer, used)).status, 400)
  assert.equal(await userinfo(issuer, fresh.body.access_token), 401)
  assert.equal(await second.stop(), 0)
}
