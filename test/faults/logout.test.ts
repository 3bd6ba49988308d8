/** A server that is killed between "signed out" and the last delivery: every application is told in the end. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, describe, test } from 'node:test'
import { APP, alice, asAlice, authorizationUrl, claimsOf, client, freePort, redeem } from '#test/flows/world.ts'
import { Browser } from '#test/world/browser.ts'
import { openReceiver } from '#test/world/receiver.ts'

const executable = join(import.meta.dirname, '../../gatehouse')
const endings: (() => unknown)[] = []
after(async () => {
  for (const end of endings.reverse()) await end()
})

interface Server {
  /** kill -9; waits until it is gone. */
  kill(): Promise<void>
}

const serve = async (folder: string, file: string): Promise<Server> => {
  const child = spawn(executable, ['serve', '--config', file], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const ready = Promise.withResolvers<number>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { event, pid } = JSON.parse(line) as { event: string; pid?: number }
    if (event === 'ready') ready.resolve(pid ?? 0)
  })
  gone.then(() => ready.reject(new Error('the server ended')))
  await ready.promise
  const kill = async () => {
    child.kill('SIGKILL')
    await gone
  }
  endings.push(kill)
  return { kill }
}

describe('kill -9 between the logout and its deliveries', () => {
  test('every receiver is told after the restart, none twice with the same token', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-fault-'))
    endings.push(() => rmSync(folder, { recursive: true, force: true }))
    const port = await freePort()
    const issuer = `http://localhost:${port}`
    const receiver = await openReceiver(() => issuer)
    endings.push(receiver.close)
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    const file = join(folder, 'gatehouse.yaml')
    const told = (client_id: string) =>
      client({
        client_id,
        trusted: true,
        backchannel_logout_uri: receiver.backchannel(client_id),
        backchannel_logout_session_required: true,
      })
    writeFileSync(
      file,
      JSON.stringify({
        issuer,
        listen: { port },
        stores: { artifacts: `sqlite:${folder}/artifacts.db`, directory: `sqlite:${folder}/directory.db` },
        egress: { allowPrivate: ['127.0.0.0/8'] },
        accounts: [alice],
        clients: ids.map(told),
      }),
    )
    const first = await serve(folder, file)
    const browser = new Browser({ stopAt: ({ origin }) => origin === APP })
    const sids = new Map<string, unknown>()
    for (const client_id of ids) {
      let page = await browser.open(authorizationUrl(issuer, { client_id }))
      if (page.status !== 0) page = await browser.submit(page, '#continue', asAlice)
      const { body } = await redeem(issuer, page.url.searchParams.get('code') ?? '', {}, client_id)
      sids.set(client_id, claimsOf(body.id_token ?? '').sid)
    }
    // Half of them answer at once, the others not before the server is dead.
    for (const id of ids.slice(3)) receiver.answer(id, 'hang')
    const end = await browser.submit(await browser.open(`${issuer}/session/end`), '#logout-yes')
    assert.match(end.body, /id="page-logged-out"/)
    await first.kill()
    const before = receiver.heard.length
    assert.ok(before < ids.length, 'not everybody was told before')

    for (const id of ids) receiver.answer(id, 200)
    await serve(folder, file)
    const heard = await receiver.wait(ids)
    for (const { client: id, claims } of heard) assert.equal(claims.sid, sids.get(id), id)
    const tokens = receiver.asked.map(({ token }) => claimsOf(token).jti)
    assert.equal(new Set(tokens).size, tokens.length, 'each attempt had its own token')
    const again = await browser.open(authorizationUrl(issuer, { client_id: 'a', prompt: 'none' }))
    assert.equal(again.url.searchParams.get('error'), 'login_required')
  })
})
