/** The end of a server, and what it does to connections that take too long. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { Route } from '#http/route.ts'
import { listen } from '#http/server.ts'
import { silentLog } from '#kernel/log.ts'
import { open, says } from './world.ts'

/** A route that answers when it is told to, and tells when it was reached. */
const gate = () => {
  const reached = Promise.withResolvers<void>()
  const release = Promise.withResolvers<void>()
  const routes: Route[] = [
    {
      method: 'get',
      path: '/slow',
      run: async (ctx) => {
        reached.resolve()
        await release.promise
        ctx.body = 'done'
      },
    },
    { method: 'get', path: '/', run: says((ctx) => 'home') },
  ]
  return { routes, reached: reached.promise, release: release.resolve }
}

test('close lets what is in flight finish, takes nothing new, and frees kept and silent connections', async (t) => {
  const { routes, reached, release } = gate()
  const world = await open(t, () => ({ routes }))
  const agent = new Agent({ keepAlive: true })
  const kept = request({
    port: world.port,
    host: '127.0.0.1',
    agent,
    headers: { host: `localhost:${world.port}` },
  }).end()
  const [first] = await once(kept, 'response')
  await text(first)
  const silent = connect(world.port, '127.0.0.1')
  await once(silent, 'connect')
  const silentGone = once(silent, 'close')

  const slow = world.ask('/slow')
  await reached
  const closed = world.listener.close()
  assert.equal(world.listener.draining(), true)
  await assert.rejects(world.ask('/'), { code: 'ECONNREFUSED' })
  await silentGone
  let over = false
  closed.then(() => {
    over = true
  })
  await new Promise(setImmediate)
  assert.equal(over, false, 'one is still in flight')
  release()
  const answer = await slow
  assert.deepEqual([answer.status, answer.body], [200, 'done'])
  await closed
  assert.equal(world.listener.close(), world.listener.close(), 'closing twice is one closing')
  agent.destroy()
})

test('what does not finish in time is cut', async (t) => {
  const { routes, reached } = gate()
  const world = await open(t, () => ({ routes }), { drainMs: 30 })
  const slow = world.ask('/slow')
  await reached
  const cut = assert.rejects(slow, { code: 'ECONNRESET' })
  await world.listener.close()
  await cut
})

test('a request that trickles in is ended with 408', async (t) => {
  const world = await open(t, () => ({}), { requestMs: 200 })
  const socket = connect(world.port, '127.0.0.1', () => socket.write('POST /x HTTP/1.1\r\nhost: x\r\n'))
  assert.match(await text(socket), /^HTTP\/1\.1 408 /)
})

test('bytes that are not HTTP get a 400 and nothing more', async (t) => {
  const world = await open(t, () => ({}))
  const socket = connect(world.port, '127.0.0.1', () => socket.write('\x16\x03\x01 hello\r\n\r\n'))
  assert.match(await text(socket), /^HTTP\/1\.1 400 Bad Request\r\nconnection: close/)
})

test('a port that is taken is told', async (t) => {
  const world = await open(t, () => ({}))
  await assert.rejects(
    listen(() => undefined, { host: '127.0.0.1', port: world.port, log: silentLog }),
    { code: 'EADDRINUSE' },
  )
})
