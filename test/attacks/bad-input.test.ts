/** Every address × everything that can be wrong with one field, with the body, or with the request around it. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { client, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { type Answer, type Asked, asker, FORM, type Header, JSON_TYPE, judge, MARKUP, SPLIT } from './raw.ts'
import { askedOf, comeAlive, encodedFields, goodText, type Target, targetsOf, written } from './routes.ts'

const encode = encodeURIComponent

/** Values as they go over the wire. */
const badValues: Readonly<Record<string, string>> = {
  empty: '',
  markup: encode(MARKUP),
  'line breaks': encode(SPLIT),
  'broken percent': '%zz',
  'cut percent': 'x%',
  'not UTF-8': '%ff%fe',
  'overlong UTF-8': '%c0%af%e0%80%af',
  'lone surrogate': '%ed%a0%80',
  NUL: 'a%00b',
  oversized: 'A'.repeat(9000),
  spaces: '+++',
  JSON: encode('{"__proto__":{"polluted":true},"a":[]}'),
  number: '-1e309',
  'not ASCII': encode('ｗｅｂ\u202e\u{1f600}İ'),
  'dotted path': encode('../../etc/passwd'),
  address: encode('https://evil.example/\\@app.example'),
  template: encode('<%= process.exit(1) %>${7*7}'),
}
/** The name of a field, changed. */
const badNames: readonly ((name: string) => string)[] = [
  (name) => `${name}[]`,
  (name) => `${name}[$ne]`,
  (name) => `${name}%00`,
  (name) => name.toUpperCase(),
  () => '__proto__',
  () => 'constructor.prototype.polluted',
  () => '',
]
/** Members of a JSON document. */
const badMembers: readonly string[] = [
  'null',
  '0',
  '-1',
  '1e400',
  'true',
  '""',
  '[]',
  '{}',
  '[[]]',
  '[null]',
  '[{}]',
  '[1]',
  '{"a":{}}',
  `"${'A'.repeat(9000)}"`,
  '"\\u0000"',
  '"\\ud800"',
  JSON.stringify(MARKUP),
  JSON.stringify(SPLIT),
  '"javascript:alert(1)"',
  '["javascript:alert(1)"]',
  '"http://[::1"',
  '["x","x"]',
  '{"keys":[{"kty":"RSA"}]}',
  '{"keys":[null]}',
  '{"keys":"x"}',
  '{"__proto__":{"a":1}}',
]
const wholeDocuments: readonly string[] = [
  '',
  'null',
  '[]',
  '"x"',
  '1',
  '{',
  '{"a":1}}',
  "{'a':1}",
  '\ufeff{}',
  '{"redirect_uris":["https://a.example/"],}',
  '{"__proto__":{"polluted":true},"redirect_uris":["https://a.example/cb"]}',
  '{"constructor":{"prototype":{"polluted":true}},"redirect_uris":["https://a.example/cb"]}',
  `${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  `{"redirect_uris":["https://a.example/cb"],"x":${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}`,
  `{${Array.from({ length: 3000 }, (_, i) => `"k${i}":${i}`).join(',')}}`,
  `{"redirect_uris":[${Array.from({ length: 2000 }, (_, i) => `"https://a.example/${i}"`).join(',')}]}`,
]

const badHeaders: readonly Header[] = [
  ['cookie', '=; ;;; a==b; %00=1; session_1=\u00ff'],
  ['cookie', 'x'.repeat(7000)],
  ['cookie', '__proto__=1; constructor=1; session=%ff; session.sig=%ff'],
  ['authorization', ''],
  ['authorization', 'Basic'],
  ['authorization', 'Basic %%%'],
  ['authorization', `Basic ${Buffer.from('web').toString('base64')}`],
  ['authorization', `Basic ${Buffer.from('%zz:%ff').toString('base64')}`],
  ['authorization', `Basic ${Buffer.from('a\0b:c\0d').toString('base64')}`],
  ['authorization', `Basic ${Buffer.from(`${MARKUP}:x`).toString('base64')}`],
  ['authorization', `Basic ${'A'.repeat(7000)}`],
  ['authorization', 'Bearer'],
  ['authorization', 'Bearer \tx'],
  ['authorization', 'Bearer a b c'],
  ['authorization', `Bearer ${MARKUP}`],
  ['authorization', 'Bearer __proto__'],
  ['authorization', 'DPoP x.y.z'],
  ['authorization', 'Negotiate \u00e4'],
  ['dpop', 'x.y.z'],
  ['accept', `${'text/html;q=0.1,'.repeat(400)}*/*`],
  ['accept', MARKUP],
  ['accept-language', `${'de-'.repeat(2000)}x`],
  ['accept-language', `${'en;q=0.1,'.repeat(700)}${MARKUP}`],
  ['accept-encoding', 'br;q=9,\u00ff'],
  ['if-none-match', MARKUP],
  ['if-modified-since', 'yesterday'],
  ['range', 'bytes=9-1,-,x'],
  ['origin', 'https://evil.example'],
  ['origin', MARKUP],
  ['sec-fetch-site', 'cross-site'],
  ['sec-fetch-site', MARKUP],
  ['x-forwarded-for', 'a'],
  ['x-forwarded-for', `${'1.2.3.4,'.repeat(800)}`],
  ['x-forwarded-host', 'evil.example'],
  ['x-forwarded-proto', 'https'],
  ['forwarded', 'for=evil;host=evil.example;proto=https'],
  ['x-http-method-override', 'DELETE'],
  ['x-original-url', '/admin'],
  ['upgrade', 'websocket'],
  ['upgrade', 'h2c'],
  ['expect', 'something-else'],
  ['te', 'trailers, deflate'],
  ['host', 'evil.example'],
  ['host', ''],
  ['host', 'evil:x@localhost'],
  ['host', 'LOCALHOST.'],
  ['host', '[::1'],
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'MKCOL']

describe('bad input', () => {
  let op: Gatehouse
  let targets: Target[]
  let ask: (asked: Asked) => Promise<Answer>
  before(async () => {
    op = await startGatehouse({
      clients: [client()],
      identityProviders: [
        {
          id: 'acme',
          protocol: 'oidc',
          emailDomains: ['acme.example'],
          oidc: { issuer: 'https://acme.invalid', client_id: 'gatehouse', client_secret: 'of-the-provider' },
        },
      ],
    })
    ask = asker(op.issuer)
    targets = targetsOf(await comeAlive(op))
  })

  const failures = (): Record<string, unknown>[] => op.log.filter(({ level }) => level === 'error')
  const trouble = async (target: Target, what: string, asked: Asked): Promise<Answer> => {
    const before = failures().length
    const answer = await ask(asked)
    judge(answer, `${target.name}: ${what}`, { machine: target.machine })
    assert.deepEqual(failures().slice(before), [], `${target.name}: ${what}: an error in the log`)
    return answer
  }
  const forAll = (name: string, run: (target: Target) => Promise<void>, of = (_: Target) => true) =>
    test(name, async (t) => {
      for (const target of targets.filter(of)) await t.test(target.name, () => run(target))
    })

  test('control: what the targets send unspoiled is understood', async () => {
    const statuses = new Map<string, number>()
    for (const target of targets) {
      const answer = await trouble(target, 'unspoiled', askedOf(target, goodText(target)))
      statuses.set(target.name, answer.status)
    }
    const expected: Record<string, number> = {
      'GET /authorize': 303,
      'POST /authorize': 303,
      'POST /par': 201,
      'POST /register': 201,
      'GET /userinfo': 400,
      'POST /introspect': 200,
      'POST /revoke': 200,
      'POST /token authorization_code': 400,
      'GET /': 200,
      'GET /healthz': 200,
      'GET /readyz': 200,
      'GET /interaction/:uid': 200,
      'GET /interaction/:uid/basic': 200,
      'POST /interaction/:uid/basic': 401,
      'GET /session/end': 400,
      'GET /no/such/page': 404,
      'GET /federation/nobody/callback': 400,
    }
    for (const [name, status] of Object.entries(expected)) assert.equal(statuses.get(name), status, name)
  })

  forAll('one field wrong', async (target) => {
    if (target.json) return
    const good = encodedFields(target)
    for (const [index, [name]] of good.entries()) {
      const others = good.filter((_, at) => at !== index)
      for (const [what, value] of Object.entries(badValues))
        await trouble(target, `${name}: ${what}`, askedOf(target, written([...others, [name, value]])))
      await trouble(target, `no ${name}`, askedOf(target, written(others)))
      await trouble(target, `${name} twice`, askedOf(target, written([...good, [name, 'other']])))
      await trouble(target, `${name} twice the same`, askedOf(target, written([...good, good[index] ?? ['', '']])))
    }
    for (const change of badNames) {
      const [first = ['x', 'y'] as const, ...others] = good
      await trouble(target, 'a changed name', askedOf(target, written([[change(first[0]), first[1]], ...others])))
    }
    await trouble(target, '3000 fields', askedOf(target, `${'a=&'.repeat(3000)}z=1`))
    await trouble(target, 'only separators', askedOf(target, '&&==&=&'))
  })

  forAll(
    'one member wrong',
    async (target) => {
      for (const name of Object.keys(target.fields)) {
        for (const value of badMembers)
          await trouble(
            target,
            `${name}: ${value}`,
            askedOf(target, goodText({ ...target, fields: { ...target.fields, [name]: value } })),
          )
      }
      for (const document of wholeDocuments) await trouble(target, document, askedOf(target, document))
      assert.equal(({} as { polluted?: boolean }).polluted, undefined)
    },
    ({ json }) => json === true,
  )

  forAll('hostile headers', async (target) => {
    const text = goodText(target)
    for (const header of badHeaders) {
      const asked = askedOf(target, text)
      const others = asked.headers.filter(([name]) => name !== header[0])
      const answer = await trouble(target, `${header}`, { ...asked, headers: [...others, header] })
      const location = answer.headers.location ?? ''
      assert.doesNotMatch(location, /evil\.example/, `${target.name}: ${header}`)
    }
    const asked = askedOf(target, text)
    const host: Header = ['host', new URL(op.issuer).host]
    const doubled = await trouble(target, 'two hosts', { ...asked, headers: [host, ...asked.headers, host] })
    assert.equal(doubled.status, target.path === '/healthz' || target.path === '/readyz' ? 200 : 400)
  })

  forAll('another method', async (target) => {
    for (const method of methods) {
      const answer = await trouble(target, method, { ...askedOf(target, goodText(target)), method })
      if (method === 'TRACE') assert.ok(answer.status >= 400, 'TRACE is off')
    }
  })

  forAll('another body', async (target) => {
    const asked = askedOf(target, goodText(target))
    const plain = asked.headers.filter(([name]) => name !== 'content-type')
    const types: Header[] = [
      ['content-type', ''],
      ['content-type', 'text/plain'],
      ['content-type', 'application/xml'],
      ['content-type', 'multipart/form-data; boundary=x'],
      ['content-type', 'application/x-www-form-urlencoded; charset=utf-7'],
      ['content-type', 'application/x-www-form-urlencoded; charset="'],
      ['content-type', 'application/json; charset=utf-16'],
      ['content-type', MARKUP],
      target.json ? FORM : JSON_TYPE,
    ]
    const body = asked.body ?? 'a=1'
    const method = asked.body === undefined ? 'POST' : asked.method
    for (const type of types) await trouble(target, `${type}`, { ...asked, method, body, headers: [...plain, type] })
    await trouble(target, 'no type', { ...asked, method, body, headers: plain })
    await trouble(target, 'gzip', { ...asked, method, body, headers: [...asked.headers, ['content-encoding', 'gzip']] })
    await trouble(target, 'bytes', { ...asked, method, body: Buffer.from([0xff, 0xfe, 0, 0x3d, 0x80, 0x26]) })
    const large = await trouble(target, '2 MB', { ...asked, method, body: Buffer.alloc(2_000_000, 'a') })
    assert.equal(large.status, 413, target.name)
    const chunk = `${(65_536).toString(16)}\r\n${'a'.repeat(65_536)}\r\n`
    await trouble(target, '2 MB in chunks', {
      ...asked,
      method,
      headers: [...asked.headers, ['transfer-encoding', 'chunked']],
      body: `${chunk.repeat(32)}0\r\n\r\n`,
    })
    const long = await trouble(target, '20 kB of address', { ...asked, target: `${target.path}?${'a'.repeat(20_000)}` })
    assert.equal(long.status, 414, target.name)
  })
})
