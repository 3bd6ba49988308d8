/** The form reader: what it takes, what it refuses, over a real socket. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { MOST_FORM, parseFields } from '#http/form.ts'
import type { Route } from '#http/route.ts'
import { isFault } from '#kernel/faults.ts'
import { open, type World } from './world.ts'

const echo: Route[] = [
  {
    method: 'post',
    path: '/echo',
    crossSite: true,
    repeatable: ['scope'],
    run: (ctx, fields) => {
      ctx.body = { a: fields.get('a') ?? null, scope: fields.all('scope') }
    },
  },
]
const urlencoded = 'application/x-www-form-urlencoded'
const post = (world: World, body: string | Buffer, type = urlencoded, headers: Record<string, string> = {}) =>
  world.ask('/echo', {
    method: 'POST',
    body,
    headers: { 'content-type': type, accept: 'application/json', ...headers },
  })
const codeOf = (body: string) => (JSON.parse(body) as { code?: string }).code

test('reads fields, repeated boxes and UTF-8', async (t) => {
  const world = await open(t, () => ({ routes: echo }))
  const cases: [string, unknown][] = [
    ['a=1', { a: '1', scope: [] }],
    ['a=%C3%A9+x%2B', { a: 'é x+', scope: [] }],
    ['a=é', { a: 'é', scope: [] }],
    ['a', { a: '', scope: [] }],
    ['', { a: null, scope: [] }],
    ['&&a=1&', { a: '1', scope: [] }],
    ['a=b=c', { a: 'b=c', scope: [] }],
    ['scope=x&a=1&scope=y', { a: '1', scope: ['x', 'y'] }],
    ['__proto__=1&a=2', { a: '2', scope: [] }],
  ]
  for (const [body, expected] of cases) {
    const answer = await post(world, body)
    assert.equal(answer.status, 200, body)
    assert.deepEqual(JSON.parse(answer.body), expected, body)
  }
  assert.equal((await post(world, 'a=1', `${urlencoded}; charset=UTF-8`)).status, 200)
})

test('refuses doubled, broken and oversized fields, other types and encodings', async (t) => {
  const world = await open(t, () => ({ routes: echo }))
  const cases: [
    why: string,
    status: number,
    ...rest: Parameters<typeof post> extends [World, ...infer R] ? R : never,
  ][] = [
    ['doubled field', 400, 'a=1&a=2'],
    ['doubled by another spelling', 400, 'a=1&%61=2'],
    ['doubled field that nobody reads', 400, 'a=1&zz=2&zz=3'],
    ['broken percent sign', 400, 'a=%zz'],
    ['cut percent sign', 400, 'a=%4'],
    ['percent-encoded bytes that are not UTF-8', 400, 'a=%ff%fe'],
    ['raw bytes that are not UTF-8', 400, Buffer.from([0x61, 0x3d, 0xff])],
    ['overlong UTF-8', 400, 'a=%c0%af'],
    ['NUL', 400, 'a=%00'],
    ['JSON', 400, '{"a":1}', 'application/json'],
    ['multipart', 400, 'a=1', 'multipart/form-data; boundary=x'],
    ['no type', 400, 'a=1', ''],
    ['a type that begins alike', 400, 'a=1', `${urlencoded}x`],
    ['another charset', 400, 'a=1', `${urlencoded}; charset=iso-8859-1`],
    ['compressed', 400, 'a=1', urlencoded, { 'content-encoding': 'gzip' }],
    ['too many fields', 400, Array.from({ length: 300 }, (_, i) => `f${i}=1`).join('&')],
    ['a very long name', 400, `${'n'.repeat(300)}=1`],
    ['too large', 413, `a=${'x'.repeat(MOST_FORM)}`],
  ]
  for (const [why, status, ...rest] of cases) {
    const answer = await post(world, ...rest)
    assert.equal(answer.status, status, why)
    assert.equal(codeOf(answer.body), status === 413 ? 'request.too-large' : 'request.invalid', why)
  }
})

test('a chunked body past the limit is cut off, answered 413 and its connection closed', async (t) => {
  const world = await open(t, () => ({ routes: echo }))
  const reply = await new Promise<string>((resolve, reject) => {
    const socket = connect(world.port, '127.0.0.1', () => {
      socket.write(
        `POST /echo HTTP/1.1\r\nhost: localhost:${world.port}\r\ncontent-type: ${urlencoded}\r\ntransfer-encoding: chunked\r\n\r\n`,
      )
      socket.write(`${(MOST_FORM + 1).toString(16)}\r\n${'a'.repeat(MOST_FORM + 1)}\r\n`)
    })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text))
    socket.on('error', reject)
  })
  assert.match(reply, /^HTTP\/1\.1 413 /)
  assert.match(reply, /connection: close/i)
})

test('an announced length past the limit of the house is refused unread on every route', async (t) => {
  const world = await open(t, () => ({ routes: echo }))
  const reply = await new Promise<string>((resolve, reject) => {
    const socket = connect(world.port, '127.0.0.1', () =>
      socket.write(`POST /token HTTP/1.1\r\nhost: localhost:${world.port}\r\ncontent-length: 99999999\r\n\r\n`),
    )
    socket.once('data', (chunk) => {
      resolve(String(chunk))
      socket.destroy()
    })
    socket.on('error', reject)
  })
  assert.match(reply, /^HTTP\/1\.1 413 /)
})

test('a query’s doubled parameter is refused where it is read, an unread one is let pass', () => {
  const fields = parseFields('a=1&b=2&b=3')
  assert.equal(fields.get('a'), '1')
  assert.throws(
    () => fields.get('b'),
    (error) => isFault(error, 'request.invalid'),
  )
  assert.throws(() => fields.plain())
  assert.deepEqual(fields.all('b'), ['2', '3'])
  assert.equal(Object.getPrototypeOf(parseFields('a=1').plain()), null)
})
