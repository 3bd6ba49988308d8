/** Assets: kept for ever by their hashed name, asked for again by their plain one, and nothing else to be had. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { open } from './world.ts'

const css = readFileSync(join(import.meta.dirname, '../../public/gatehouse.css'), 'utf8')

test('a hashed name is immutable, a plain one is revalidated', async (t) => {
  let hashed = ''
  const world = await open(t, ({ assets }) => {
    hashed = assets.path('gatehouse.css')
    return {}
  })
  assert.match(hashed, /^\/assets\/gatehouse\.[\w-]{10}\.css$/)
  const lasting = await world.ask(hashed)
  assert.equal(lasting.body, css)
  assert.equal(lasting.headers['content-type'], 'text/css; charset=utf-8')
  assert.equal(lasting.headers['cache-control'], 'public, max-age=31536000, immutable')
  const plain = await world.ask('/assets/gatehouse.css')
  assert.equal(plain.headers['cache-control'], 'public, no-cache')
  const etag = String(plain.headers.etag)
  const again = await world.ask('/assets/gatehouse.css', { headers: { 'if-none-match': etag } })
  assert.deepEqual([again.status, again.body, again.headers.etag], [304, '', etag])
  assert.equal((await world.ask('/assets/gatehouse.css', { headers: { 'if-none-match': '"other"' } })).status, 200)
  assert.equal((await world.ask(hashed, { method: 'HEAD' })).headers['content-length'], String(Buffer.byteLength(css)))
})

test('compressed for who can read it', async (t) => {
  const world = await open(t, () => ({}))
  const small = await world.ask('/assets/gatehouse.css', { headers: { 'accept-encoding': 'gzip, br' } })
  assert.equal(small.headers['content-encoding'], 'br')
  assert.equal(small.headers.vary, 'accept-encoding')
  assert.ok(Number(small.headers['content-length']) < css.length / 3)
  assert.equal((await world.ask('/assets/gatehouse.css')).headers['content-encoding'], undefined)
})

test('an icon for pages that name none', async (t) => {
  const world = await open(t, () => ({}))
  const { status, headers } = await world.ask('/favicon.ico')
  assert.deepEqual(
    [status, headers['content-type'], headers['cache-control']],
    [200, 'image/svg+xml', 'public, no-cache'],
  )
})

test('no path leads out of the folder', async (t) => {
  const world = await open(t, () => ({}))
  for (const name of [
    '../package.json',
    '..%2fpackage.json',
    '%2e%2e/package.json',
    '..\\package.json',
    '',
    '.',
    'gatehouse.css/',
    'gatehouse.css%00',
    '/etc/passwd',
    'constructor',
    '__proto__',
    'gatehouse.0000000000.css',
  ])
    assert.equal((await world.ask(`/assets/${name}`)).status, 404, name)
})
