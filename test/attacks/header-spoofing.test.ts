/** Headers that only a proxy of ours may set, sent by somebody else: another host, scheme or address than the real one. */
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { alice, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { type Answer, asker, FORM, type Header, HTML, JSON_TYPE, judge } from './raw.ts'
import { comeAlive } from './routes.ts'

const spoofed: readonly Header[] = [
  ['x-forwarded-host', 'evil.example'],
  ['x-forwarded-proto', 'https'],
  ['x-forwarded-port', '444'],
  ['x-forwarded-prefix', '/evil'],
  ['x-forwarded-server', 'evil.example'],
  ['x-original-host', 'evil.example'],
  ['forwarded', 'host=evil.example;proto=https'],
  ['x-original-url', '/register'],
  ['x-rewrite-url', '/register'],
  ['x-host', 'evil.example'],
]

describe('header spoofing', () => {
  let op: Gatehouse
  let ask: ReturnType<typeof asker>
  before(async () => {
    op = await startGatehouse()
    ask = asker(op.issuer)
  })
  const clean = ({ body, headers }: Answer) => {
    assert.doesNotMatch(`${body}${JSON.stringify(headers)}`, /evil|:444/)
    assert.doesNotMatch(headers['set-cookie'] ?? '', /secure|__Host-/i, 'the scheme is not believed')
  }

  test('control: discovery names the issuer', async () => {
    const { body } = await ask({ target: '/.well-known/openid-configuration' })
    assert.equal((JSON.parse(body) as { issuer: string }).issuer, op.issuer)
  })

  test('discovery, pages, redirects and registration follow the issuer, not the headers', async () => {
    const discovery = await ask({ target: '/.well-known/openid-configuration', headers: spoofed })
    assert.equal((JSON.parse(discovery.body) as { issuer: string }).issuer, op.issuer)
    clean(discovery)
    clean(await ask({ target: '/', headers: [...spoofed, HTML] }))
    const begun = await ask({
      target: `/authorize?client_id=web&response_type=code&scope=openid&redirect_uri=${encodeURIComponent('http://127.0.0.1:1/cb')}`,
      headers: [...spoofed, HTML],
    })
    assert.equal(begun.status, 303)
    clean(begun)
    const made = await ask({
      method: 'POST',
      target: '/register',
      headers: [...spoofed, JSON_TYPE],
      body: '{"redirect_uris":["https://dyn.example/cb"]}',
    })
    assert.equal(made.status, 201)
    assert.ok(
      String((JSON.parse(made.body) as Record<string, unknown>).registration_client_uri).startsWith(
        `${op.issuer}/register/`,
      ),
    )
    clean(made)
  })

  test('another Host is refused at every address, and leads nowhere', async () => {
    for (const host of [
      'evil.example',
      `evil.example:${new URL(op.issuer).port}`,
      `localhost:1`,
      `localhost:${new URL(op.issuer).port}.evil.example`,
      `localhost:${new URL(op.issuer).port}@evil.example`,
      '127.0.0.1',
    ])
      for (const target of [
        '/.well-known/openid-configuration',
        '/authorize?client_id=web',
        '/token',
        '/',
        '/interaction/x',
        '/session/end',
        '/assets/gatehouse.css',
      ]) {
        const answer = await ask({ target, headers: [['host', host], HTML] })
        judge(answer, `${host} ${target}`)
        assert.equal(answer.status, host.includes('@') ? answer.status : 421, `${host} ${target}`)
        assert.ok(answer.status >= 400)
        assert.equal(answer.headers.location, undefined)
        assert.doesNotMatch(answer.body, /evil/)
      }
    assert.ok(op.log.some(({ fault }) => fault === 'request.host'))
  })

  test('a forwarded address neither escapes the attempt limits nor reaches the log', async () => {
    const { login } = await comeAlive(op)
    let limited: Answer | undefined
    for (let guess = 0; guess < 12 && !limited; guess++) {
      const answer = await ask({
        method: 'POST',
        target: `${login.base}/basic`,
        headers: [
          ...login.headers,
          FORM,
          ['x-forwarded-for', `203.0.113.${guess}`],
          ['x-real-ip', `203.0.113.${guess}`],
          ['forwarded', `for=203.0.113.${guess}`],
        ],
        body: `csrf=${login.csrf}&username=${alice.username}&password=guess-${guess}`,
      })
      if (answer.status === 429) limited = answer
    }
    assert.equal(limited?.status, 429)
    assert.ok(Number(limited?.headers['retry-after']) > 0)
    assert.doesNotMatch(JSON.stringify(op.log), /203\.0\.113/)
  })
})

describe('header spoofing past a trusted proxy', () => {
  test('of a chain of addresses only those that trusted proxies wrote count', async () => {
    const op = await startGatehouse({ trustProxy: ['127.0.0.1'] })
    const ask = asker(op.issuer)
    const { login } = await comeAlive(op)
    const guess = (address: string, name: string) =>
      ask({
        method: 'POST',
        target: `${login.base}/basic`,
        headers: [...login.headers, FORM, ['x-forwarded-for', address]],
        body: `csrf=${login.csrf}&username=${name}&password=x`,
      })
    // What the client wrote before the proxy's own entry, garbage among it, changes nothing.
    const answers: number[] = []
    for (let count = 0; count < 11; count++)
      answers.push((await guess(`${count % 2 ? 'a' : `198.51.100.${count}`}, 203.0.113.9`, 'alice')).status)
    assert.deepEqual([answers[0], answers.at(-1)], [401, 429])
  })
})
