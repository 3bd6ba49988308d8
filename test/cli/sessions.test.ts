/** Sessions from the command line beside a running server: listed, ended, and the receipts of who was told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { APP, alice, asAlice, authorizationUrl, client } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { openReceiver } from '#test/world/receiver.ts'
import { settled } from '#test/world/settled.ts'
import { freePorts } from '../world/free-port.ts'
import { openShell, serve } from './shell.ts'

test('account sessions, account logout and deliveries tell one story', async (t) => {
  const port = (await freePorts(1))[0] ?? 0
  const issuer = `http://localhost:${port}`
  const receiver = await openReceiver(() => issuer)
  t.after(receiver.close)
  const shell = await openShell(t, {
    issuer,
    keys: { algorithms: ['RS256'] },
    egress: { allowPrivate: ['127.0.0.0/8'] },
    accounts: [alice],
    clients: [
      client({ trusted: true, backchannel_logout_uri: receiver.backchannel('web') }),
      client({ client_id: 'other', trusted: true }),
    ],
  })
  const server = await serve(t, shell, port)
  const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
  await browser.submit(await browser.open(authorizationUrl(issuer)), '#continue', asAlice)
  await browser.open(authorizationUrl(issuer, { client_id: 'other' }))

  const listed = await shell.run(['account', 'sessions', 'alice', '--json'])
  const { sessions } = JSON.parse(listed.out) as { sessions: { clients: string[]; endsAt: string }[] }
  assert.deepEqual([sessions.length, sessions[0]?.clients], [1, ['web', 'other']])
  assert.match((await shell.run(['account', 'sessions', 'alice'])).out, /APPLICATIONS\n.*web other\n$/)

  const ended = await shell.run(['account', 'logout', 'alice'])
  assert.deepEqual([ended.code, ended.out], [0, 'Signed alice out of 1 browser; its applications are being told.\n'])
  await receiver.wait(['web'])
  const silent = await browser.open(authorizationUrl(issuer, { prompt: 'none' }))
  assert.equal(silent.url.searchParams.get('error'), 'login_required')
  assert.deepEqual(JSON.parse((await shell.run(['account', 'sessions', 'alice', '--json'])).out), { sessions: [] })

  const receipts = async () => {
    const { out } = await shell.run(['deliveries', '--client', 'web', '--json'])
    return (JSON.parse(out) as { deliveries: { state: string; cause: string; attempts: unknown[] }[] }).deliveries
  }
  await settled('it is told', async () => (await receipts())[0]?.state !== 'waiting')
  const [receipt] = await receipts()
  assert.deepEqual([receipt?.state, receipt?.cause, receipt?.attempts.length], ['delivered', 'admin', 1])
  assert.match((await shell.run(['deliveries', '--account', 'alice'])).out, /OUTCOME\n\S+ +admin +web .* told \S+\n$/)
  assert.equal(await server.stop(), 0)
})
