/** The executable as an operator stops it, probes, and connections that take their time. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { after, describe, test } from 'node:test'
import { type Listener, listen } from '#http/server.ts'
import { silentLog } from '#kernel/log.ts'
import { basicAuth, client, freePort } from '#test/flows/world.ts'
import { settled } from '#test/world/settled.ts'

const executable = join(import.meta.dirname, '../../gatehouse')
const folders: string[] = []
after(() => folders.map((folder) => rmSync(folder, { recursive: true, force: true })))

interface Started {
  readonly port: number
  readonly lines: Record<string, unknown>[]
  readonly exit: Promise<{ code: number | null; signal: string | null }>
  kill(signal: NodeJS.Signals): void
}

const startExecutable = async (): Promise<Started> => {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-fault-'))
  folders.push(folder)
  const port = await freePort()
  const file = join(folder, 'gatehouse.yaml')
  writeFileSync(
    file,
    JSON.stringify({
      issuer: `http://localhost:${port}`,
      listen: { port },
      stores: { artifacts: `sqlite:${folder}/artifacts.db`, directory: `sqlite:${folder}/directory.db` },
      clients: [client()],
    }),
  )
  const child = spawn(executable, ['serve', '--config', file], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] })
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.once('exit', (code, signal) => resolve({ code, signal })),
  )
  const lines: Record<string, unknown>[] = []
  const ready = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(JSON.parse(line) as Record<string, unknown>)
    if (lines.at(-1)?.event === 'ready') ready.resolve()
  })
  exit.then(({ code }) => ready.reject(new Error(`ended with ${code}: ${JSON.stringify(lines)}`)))
  await ready.promise
  return { port, lines, exit, kill: (signal) => void child.kill(signal) }
}

const answerTo = (socket: Socket): Promise<string> => text(socket).catch(() => '')

describe('the end of the executable', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    test(`${signal}: what is in flight finishes, nothing new is taken, exit code 0`, async () => {
      const server = await startExecutable()
      const host = `localhost:${server.port}`
      const body = 'grant_type=client_credentials'
      const half = connect(server.port, '127.0.0.1')
      await once(half, 'connect')
      half.write(
        `POST /token HTTP/1.1\r\nhost: ${host}\r\nauthorization: ${basicAuth()}\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 10)}`,
      )
      // Another request over another connection is answered after the half one was accepted.
      const probe = request({ port: server.port, host: '127.0.0.1', path: '/readyz', headers: { host } }).end()
      const [answer] = await once(probe, 'response')
      assert.equal(answer.statusCode, 200)
      await text(answer)

      server.kill(signal)
      await settled('it takes nothing new', () => refuses(server.port), 5000)
      const answered = answerTo(half)
      half.write(body.slice(10))
      const said = await answered
      assert.match(said, /^HTTP\/1\.1 200 OK/)
      assert.match(said, /"access_token"/)
      assert.deepEqual(await server.exit, { code: 0, signal: null })
      assert.equal(server.lines.at(-1)?.event, 'stopped')
      assert.deepEqual(
        server.lines.filter(({ level }) => level === 'error'),
        [],
      )
    })

  test('an idle server ends at once, kept connections do not hold it', async () => {
    const server = await startExecutable()
    const silent = connect(server.port, '127.0.0.1')
    await once(silent, 'connect')
    silent.on('error', () => undefined)
    const began = performance.now()
    server.kill('SIGTERM')
    assert.deepEqual(await server.exit, { code: 0, signal: null })
    assert.ok(performance.now() - began < 3_000)
  })

  test('a second signal ends it whatever is in flight', async () => {
    const server = await startExecutable()
    const half = connect(server.port, '127.0.0.1')
    await once(half, 'connect')
    half.on('error', () => undefined)
    half.write(`POST /token HTTP/1.1\r\nhost: localhost:${server.port}\r\ncontent-length: 10\r\n\r\n`)
    const probe = request({
      port: server.port,
      host: '127.0.0.1',
      path: '/healthz',
      headers: { host: `localhost:${server.port}` },
    }).end()
    await once(probe, 'response')
    server.kill('SIGTERM')
    await settled('it takes nothing new', () => refuses(server.port), 5000)
    server.kill('SIGTERM')
    assert.deepEqual(await server.exit, { code: 1, signal: null })
  })
})

const refuses = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })

describe('connections that take their time', () => {
  const listeners: Listener[] = []
  after(() => Promise.all(listeners.map((listener) => listener.close())))
  const open = async (requestMs: number): Promise<Listener> => {
    const listener = await listen(
      (req, res) => {
        req.resume()
        req.once('end', () => res.end('done'))
      },
      { host: '127.0.0.1', port: 0, log: silentLog, requestMs, drainMs: 50 },
    )
    listeners.push(listener)
    return listener
  }
  /** Writes a piece every 20 ms, for as long as the other side listens. */
  const trickle = (socket: Socket, piece: string): void => {
    const timer = setInterval(() => socket.writable && socket.write(piece), 20)
    socket.on('error', () => undefined)
    socket.on('close', () => clearInterval(timer))
  }

  test('control: a request that arrives in time is answered', async () => {
    const { port } = await open(1_000)
    const socket = connect(port, '127.0.0.1', () =>
      socket.write('POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbo'),
    )
    setTimeout(() => socket.write('dy'), 50)
    assert.match(await text(socket), /^HTTP\/1\.1 200 OK/)
  })

  for (const [what, head, piece] of [
    ['headers that trickle', 'GET / HTTP/1.1\r\n', 'x: y\r\n'],
    ['a request line that never ends', 'GET /', 'a'],
    ['a body that trickles', 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n', 'a'],
    ['chunks that trickle', 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n', '1\r\na\r\n'],
  ] as const)
    test(`slow-loris: ${what} end with 408 or a closed connection, in time`, async () => {
      const { port } = await open(300)
      const began = performance.now()
      const socket = connect(port, '127.0.0.1', () => socket.write(head))
      trickle(socket, piece)
      assert.match(await answerTo(socket), /^(HTTP\/1\.1 408 |$)/)
      assert.ok(performance.now() - began < 3_000)
    })

  test('many of them do not keep others out', async () => {
    const { port } = await open(1_000)
    const slow = Array.from({ length: 200 }, () => {
      const socket = connect(port, '127.0.0.1', () => socket.write('GET / HTTP/1.1\r\nx: '))
      socket.on('error', () => undefined)
      return socket
    })
    const quick = request({ port, host: '127.0.0.1', path: '/' }).end()
    const [answer] = await once(quick, 'response')
    assert.equal(answer.statusCode, 200)
    for (const socket of slow) socket.destroy()
  })

  test('a header that grows without end is refused by size', async () => {
    const { port } = await open(5_000)
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(`GET / HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(60_000)}`),
    )
    socket.on('error', () => undefined)
    assert.match(await answerTo(socket), /^HTTP\/1\.1 431 /)
  })
})
