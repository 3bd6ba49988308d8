/** Signing keys are rotated beside the running server, and nobody has to sign in again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Browser } from '#test/world/browser.ts'
import { APP, asAlice, authorizationUrl, client, redeem, startGatehouse } from './world.ts'

const header = (jwt: string) =>
  JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()) as { kid: string; alg: string }

test('a rotation loses no session: the new key signs, the old one still verifies hints', async () => {
  const op = await startGatehouse({ clients: [client({ trusted: true })] })
  const kids = async () => {
    const { keys } = (await (await fetch(`${op.issuer}/jwks`)).json()) as { keys: { kid: string; alg: string }[] }
    return keys.filter(({ alg }) => alg === 'RS256').map(({ kid }) => kid)
  }
  const someone = new Browser({ stopAt: ({ origin }) => origin === APP })
  const login = await someone.open(authorizationUrl(op.issuer))
  const back = await someone.submit(login, '#continue', asAlice)
  const first = (await redeem(op.issuer, back.url.searchParams.get('code') ?? '')).body.id_token ?? ''
  const before = await kids()
  assert.ok(before.includes(header(first).kid))

  const house = await op.house()
  await house.records.keys.rotate()
  await house.close()
  // Another process's change is in force within two seconds (the bus asks every 250 ms).
  const end = Date.now() + 5000
  let after = await kids()
  while (after.every((kid) => before.includes(kid)) && Date.now() < end) after = await kids()
  assert.ok(
    before.every((kid) => after.includes(kid)),
    'the old keys stay published',
  )

  const silent = await someone.open(authorizationUrl(op.issuer, { prompt: 'none', id_token_hint: first }))
  const { body } = await redeem(op.issuer, silent.url.searchParams.get('code') ?? assert.fail(silent.url.href))
  assert.ok(!before.includes(header(body.id_token ?? '').kid), 'a new key signs')
  assert.ok(after.includes(header(body.id_token ?? '').kid))
})
