/** The end of a server, and what it does to connections that take too long. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { request as secureRequest } from 'node:https'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { connect as secureConnect } from 'node:tls'
import type { Route } from '#http/route.ts'
import { listen } from '#http/server.ts'
import { silentLog } from '#kernel/log.ts'
import { settled } from '#test/world/settled.ts'
import { ask, open, says } from './world.ts'

/** Made for this test, worth nothing: localhost, valid for a hundred years. */
const cert = `-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUDLedI9+CDmgQAY+0FthwIC/k8AUwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMzAyMTYwM1oYDzIxMjYxMDMw
MDIxNjAzWjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQNu2iETcnnn/J0KNnm0Rzihots+iGp+PYVDw0xmtUQtw+tiJ6IW/7N
NSgoxAFtCBDqlnRH2LNx6RVWrCIGfyK3o2kwZzAdBgNVHQ4EFgQU5cNppwj/58nS
J+OzPjZ0BEsU6lkwHwYDVR0jBBgwFoAU5cNppwj/58nSJ+OzPjZ0BEsU6lkwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwID
SQAwRgIhALroODyiSjQxlRjo5IW8QOIclXCUpTwlK81FvY1hu3oPAiEAg+lpJ4Sj
xhxNPBJCKQruNg+SnDs6rraa/Ix7VuAPK+k=
-----END CERTIFICATE-----`
const key = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFJHyCA+KP3h+Cx9p
YDXKucvvPTk3Sv1ya5de8KX7T9OhRANCAAQNu2iETcnnn/J0KNnm0Rzihots+iGp
+PYVDw0xmtUQtw+tiJ6IW/7NNSgoxAFtCBDqlnRH2LNx6RVWrCIGfyK3
-----END PRIVATE KEY-----`

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
    { method: 'get', path: '/', run: says(() => 'home') },
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
  // Whoever waits at the door at this moment is still let in; a moment later it is shut.
  const isShut = () =>
    world.ask('/').then(
      () => false,
      ({ code }: NodeJS.ErrnoException) => code === 'ECONNREFUSED' || assert.fail(`refused with ${code}`),
    )
  await settled('the door is shut', isShut, 5000)
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

test('a proxy that can ask another node is sent there while the server stops; a POST and everyone else is served', async () => {
  const { close, port } = await listen((_, res) => res.end('done'), { host: '127.0.0.1', port: 0, log: silentLog })
  const headers = { 'x-retry-on': '503' }
  assert.equal((await ask(port, '/', { headers })).status, 200)
  const closed = close()
  // None of these comes later than the server waits for, as long as each is answered.
  const [sent, posted, other] = await Promise.all([
    ask(port, '/', { headers }),
    ask(port, '/', { headers, method: 'POST', body: 'a=b' }),
    ask(port, '/'),
  ])
  assert.deepEqual([sent.status, sent.body], [503, ''])
  assert.deepEqual([sent.headers['retry-after'], sent.headers.connection], ['1', 'close'])
  for (const { status, body, headers } of [posted, other])
    assert.deepEqual([status, body, headers.connection], [200, 'done', 'close'])
  await closed
  await assert.rejects(ask(port, '/'), { code: 'ECONNREFUSED' })
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

test('over TLS, 1.2 and newer only; a preconnect does not hold up the end', async () => {
  const listener = await listen((_, res) => res.end('safe'), {
    host: 'localhost',
    port: 0,
    tls: { cert, key },
    log: silentLog,
    drainMs: 600_000,
  })
  assert.match(listener.url, /^https:\/\/localhost:\d+$/)
  const options = { host: 'localhost', port: listener.port, ca: cert }
  const asked = secureRequest({ ...options, agent: false }).end()
  const [answer] = await once(asked, 'response')
  assert.equal(await text(answer), 'safe')
  const old = secureConnect({ ...options, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })
  await once(old, 'error')
  const silent = secureConnect(options)
  await once(silent, 'secureConnect')
  silent.on('error', () => undefined)
  silent.resume()
  await listener.close()
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
    { code: 'EADDRINUSE', message: /^127\.0\.0\.1:\d+: another program listens there already; stop it, or set / },
  )
})
