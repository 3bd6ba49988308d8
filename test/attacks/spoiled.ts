/** What can be wrong with a request to a target: one thing a case. */
import assert from 'node:assert/strict'
import { type Answer, type Asked, FORM, type Header, JSON_TYPE, MARKUP, SPLIT } from './raw.ts'
import { askedOf, encodedFields, goodText, type Target, written } from './routes.ts'

export interface Case {
  readonly what: string
  readonly asked: Asked
  /** What holds besides the rules for every answer. */
  readonly check?: (answer: Answer) => void
}

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
  template: encode('<%= process.exit(1) %>{{7*7}}'),
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
  ['accept', 'text/html'],
  ['accept', 'image/png'],
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
const badTypes: readonly Header[] = [
  ['content-type', ''],
  ['content-type', 'text/plain'],
  ['content-type', 'application/xml'],
  ['content-type', 'multipart/form-data; boundary=x'],
  ['content-type', 'application/x-www-form-urlencoded; charset=utf-7'],
  ['content-type', 'application/x-www-form-urlencoded; charset="'],
  ['content-type', 'application/json; charset=utf-16'],
  ['content-type', MARKUP],
]
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'SEARCH', 'MKCOL']

export function* wrongFields(target: Target): Generator<Case> {
  const good = encodedFields(target)
  const fields = (what: string, pairs: readonly (readonly [string, string])[]): Case => ({
    what,
    asked: askedOf(target, written(pairs)),
  })
  for (const [index, [name, value]] of good.entries()) {
    const others = good.filter((_, at) => at !== index)
    for (const [what, bad] of Object.entries(badValues)) yield fields(`${name}: ${what}`, [...others, [name, bad]])
    yield fields(`no ${name}`, others)
    yield fields(`${name} twice`, [...good, [name, 'other']])
    yield fields(`${name} twice the same`, [...good, [name, value]])
  }
  const [[first, value] = ['x', 'y'], ...others] = good
  for (const change of badNames) yield fields('a changed name', [[change(first), value], ...others])
  yield { what: '3000 fields', asked: askedOf(target, `${'a=&'.repeat(3000)}z=1`) }
  yield { what: 'only separators', asked: askedOf(target, '&&==&=&') }
}

export function* wrongMembers(target: Target): Generator<Case> {
  for (const name of Object.keys(target.fields))
    for (const value of badMembers) {
      const text = goodText({ ...target, fields: { ...target.fields, [name]: value } })
      yield { what: `${name}: ${value}`, asked: askedOf(target, text) }
    }
  for (const document of wholeDocuments) yield { what: document, asked: askedOf(target, document) }
}

const isProbe = ({ path }: Target) => path === '/healthz' || path === '/readyz'

/** @param host the issuer's */
export function* wrongHeaders(target: Target, host: string): Generator<Case> {
  const asked = askedOf(target, goodText(target))
  for (const header of badHeaders) {
    const others = asked.headers.filter(([name]) => name !== header[0])
    yield {
      what: `${header}`,
      asked: { ...asked, headers: [...others, header] },
      check: ({ headers }) => assert.doesNotMatch(headers.location ?? '', /evil\.example/),
    }
  }
  const named: Header = ['host', host]
  yield {
    what: 'two hosts',
    asked: { ...asked, headers: [named, ...asked.headers, named] },
    check: ({ status }) => assert.equal(status, isProbe(target) ? 200 : 400),
  }
}

export function* wrongMethods(target: Target): Generator<Case> {
  const asked = askedOf(target, goodText(target))
  for (const method of methods)
    yield {
      what: method,
      asked: { ...asked, method },
      check: ({ status }) => assert.ok(status >= 400 || !['TRACE', 'PATCH', 'PROPFIND'].includes(method), `${status}`),
    }
}

export function* wrongBodies(target: Target): Generator<Case> {
  const good = askedOf(target, goodText(target))
  const asked = { ...good, method: good.body === undefined ? 'POST' : good.method, body: good.body ?? 'a=1' }
  const plain = asked.headers.filter(([name]) => name !== 'content-type')
  for (const type of [...badTypes, target.json ? FORM : JSON_TYPE])
    yield { what: `${type}`, asked: { ...asked, headers: [...plain, type] } }
  yield { what: 'no type', asked: { ...asked, headers: plain } }
  yield { what: 'gzip', asked: { ...asked, headers: [...asked.headers, ['content-encoding', 'gzip']] } }
  yield { what: 'bytes', asked: { ...asked, body: Buffer.from([0xff, 0xfe, 0, 0x3d, 0x80, 0x26]) } }
  yield {
    what: '2 MB',
    asked: { ...asked, body: Buffer.alloc(2_000_000, 'a') },
    check: ({ status }) => assert.equal(status, 413),
  }
  const chunk = `${(65_536).toString(16)}\r\n${'a'.repeat(65_536)}\r\n`
  yield {
    what: '2 MB in chunks',
    asked: {
      ...asked,
      headers: [...asked.headers, ['transfer-encoding', 'chunked']],
      body: `${chunk.repeat(32)}0\r\n\r\n`,
    },
  }
  yield {
    what: '20 kB of address',
    asked: { ...good, target: `${target.path}?${'a'.repeat(20_000)}` },
    check: ({ status }) => assert.equal(status, 414),
  }
}
