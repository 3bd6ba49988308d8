/** The command line beside a running server on the same files: the server notices. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { freePorts } from '../world/free-port.ts'
import { openShell, serve } from './shell.ts'

/** Asks until the answer is right; the last answer is told when time is over. */
const until = async <T>(ask: () => Promise<T>, right: (answer: T) => boolean): Promise<T> => {
  const end = performance.now() + 10_000
  for (;;) {
    const answer = await ask()
    if (right(answer) || performance.now() > end) return answer
    await delay(50)
  }
}

test('keys that are rotated sign and verify in the running server, and clients that are applied are known', async (t) => {
  const shell = await openShell(t, { keys: { algorithms: ['RS256'], encryption: [] } })
  const server = await serve(t, shell, (await freePorts(1))[0] ?? 0)
  const jwks = async () => {
    const answer = await fetch(`${server.issuer}/jwks`)
    return ((await answer.json()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid)
  }
  const [first, ...others] = await jwks()
  assert.deepEqual(others, [])

  const rotated = await shell.run(['keys', 'rotate', '--json'])
  const [next] = (JSON.parse(rotated.out) as { keys: { kid: string }[] }).keys
  assert.deepEqual(await until(jwks, (kids) => kids.length === 2), [next?.kid, first])

  const token = () =>
    fetch(`${server.issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from('robot:secret').toString('base64')}` },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    })
  assert.equal((await token()).status, 401)
  const robot = { client_id: 'robot', client_secret: 'secret', grant_types: ['client_credentials'] }
  const applied = await shell.run(['apply', '-'], { input: JSON.stringify({ clients: [robot] }) })
  assert.equal(applied.code, 0, applied.err)
  const answer = await until(token, ({ status }) => status === 200)
  assert.equal(answer.status, 200, await answer.text())

  assert.equal(await server.stop(), 0)
})
