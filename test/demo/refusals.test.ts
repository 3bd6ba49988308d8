/** What the test relying party must refuse, and show as a failed check: tampered, foreign and repeated responses. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertSound, openHouse } from './house.ts'
import { Browser, failedOf, outcomeOf, type Page, successOf, textOf } from './visitor.ts'

const house = openHouse()

describe('refusing', () => {
  const redeemed = (page: Page) => /Code for tokens/.test(page.body)

  test('a state of another browser: nothing is redeemed', async () => {
    const victim = new Browser()
    await victim.open(`${house.url}/`)
    const attacker = new Browser()
    const start = await attacker.open(`${house.url}/`)
    const form = await attacker.submit(start, '#start-login', { response_mode: 'form_post' })
    const page = await victim.submit(form, 'form')
    assert.equal(outcomeOf(page, 'response-state'), 'failed')
    assert.equal(successOf(page, 'summary'), false)
    assert.equal(redeemed(page), false)
  })

  test('the same response twice', async () => {
    const browser = new Browser()
    const start = await browser.open(`${house.url}/`)
    const form = await browser.submit(start, '#start-login', { response_mode: 'form_post' })
    assertSound(await browser.submit(form, 'form'))
    const again = await browser.submit(form, 'form')
    assert.equal(outcomeOf(again, 'response-state'), 'failed')
  })

  const front = async (change: (fields: URLSearchParams) => void, type = 'code id_token token') => {
    const browser = new Browser()
    const start = await browser.open(`${house.url}/`)
    const landed = await browser.submit(start, '#start-login', { response_type: type })
    const fields = new URLSearchParams(landed.url.hash.slice(1))
    assert.ok(fields.has('id_token'))
    change(fields)
    return browser.submit(landed, '#submit-fragment', { fragment: fields.toString() })
  }
  const forge = (token: string, part: 0 | 1, change: (content: Record<string, unknown>) => void): string => {
    const parts = token.split('.')
    const content = JSON.parse(Buffer.from(parts[part] ?? '', 'base64url').toString())
    change(content)
    parts[part] = Buffer.from(JSON.stringify(content)).toString('base64url')
    return parts.join('.')
  }
  const cases: [name: string, failing: string[], change: (fields: URLSearchParams) => void][] = [
    [
      'a changed signature',
      ['front-signature'],
      (fields) => {
        const token = fields.get('id_token') ?? ''
        const at = token.length - 10
        fields.set('id_token', token.slice(0, at) + (token[at] === 'A' ? 'B' : 'A') + token.slice(at + 1))
      },
    ],
    [
      'another person',
      ['front-signature'],
      (fields) =>
        fields.set(
          'id_token',
          forge(fields.get('id_token') ?? '', 1, (claims) => (claims.sub = 'mallory')),
        ),
    ],
    [
      'no signature (alg none)',
      ['front-signature'],
      (fields) =>
        fields.set(
          'id_token',
          forge(fields.get('id_token') ?? '', 0, (header) => (header.alg = 'none')).replace(/[^.]*$/, ''),
        ),
    ],
    [
      'another issuer',
      ['front-signature', 'front-iss'],
      (fields) =>
        fields.set(
          'id_token',
          forge(fields.get('id_token') ?? '', 1, (claims) => (claims.iss = 'https://evil.example')),
        ),
    ],
    [
      'another audience',
      ['front-signature', 'front-aud'],
      (fields) =>
        fields.set(
          'id_token',
          forge(fields.get('id_token') ?? '', 1, (claims) => (claims.aud = 'other')),
        ),
    ],
    [
      'another nonce',
      ['front-signature', 'front-nonce'],
      (fields) =>
        fields.set(
          'id_token',
          forge(fields.get('id_token') ?? '', 1, (claims) => (claims.nonce = 'other')),
        ),
    ],
    [
      'an expired token',
      ['front-signature', 'front-exp'],
      (fields) =>
        fields.set(
          'id_token',
          forge(fields.get('id_token') ?? '', 1, (claims) => (claims.exp = 1)),
        ),
    ],
    ['no token at all', ['front-form'], (fields) => fields.set('id_token', 'nonsense')],
    ['another code', ['front-c_hash'], (fields) => fields.set('code', 'another')],
    ['another access token', ['front-at_hash'], (fields) => fields.set('access_token', 'another')],
    ['a missing code', ['response-parts'], (fields) => fields.delete('code')],
  ]
  for (const [name, failing, change] of cases)
    test(`${name}: failed check, no redemption`, async () => {
      const page = await front(change)
      assert.equal(successOf(page, 'summary'), false)
      assert.deepEqual(failedOf(page), [...failing].sort())
      assert.equal(redeemed(page), false)
      assert.equal(textOf(page, 'who'), undefined)
    })

  test('the wrong issuer beside a code (RFC 9207)', async () => {
    const browser = new Browser()
    const start = await browser.open(`${house.url}/`)
    const form = await browser.submit(start, '#start-login', { response_mode: 'form_post' })
    const page = await browser.submit(form, 'form', { iss: 'https://evil.example' })
    assert.equal(outcomeOf(page, 'response-iss'), 'failed')
    assert.equal(redeemed(page), false)
  })

  test('a tampered ID token of the token endpoint', async () => {
    house.tamper('/token', (body) => ({
      ...body,
      id_token: forge(String(body.id_token), 1, (claims) => (claims.sub = 'mallory')),
    }))
    try {
      const page = await house.login(new Browser())
      assert.equal(outcomeOf(page, 'back-signature'), 'failed')
      assert.equal(outcomeOf(page, 'back-nonce'), 'passed')
      assert.equal(successOf(page, 'summary'), false)
      assert.equal(textOf(page, 'who'), undefined)
    } finally {
      house.tamper('/token', undefined)
    }
  })

  test('a userinfo answer about somebody else', async () => {
    const browser = new Browser()
    const page = await house.login(browser)
    house.tamper('/me', (body) => ({ ...body, sub: 'mallory' }))
    try {
      const answered = await browser.submit(page, '#userinfo')
      assert.equal(outcomeOf(answered, 'userinfo-sub'), 'failed')
      assert.equal(successOf(answered, 'outcome'), false)
    } finally {
      house.tamper('/me', undefined)
    }
  })

  test('a form that another site sends', async () => {
    const response = await fetch(`${house.url}/logout`, {
      method: 'POST',
      body: new URLSearchParams(),
      redirect: 'manual',
    })
    assert.equal(response.status, 403)
  })

  test('a callback with nonsense, doubled fields or an unknown handle never breaks', async () => {
    const browser = new Browser()
    assert.equal((await browser.open(`${house.url}/callback?code=a&code=b`)).status, 400)
    assert.equal((await browser.open(`${house.url}/callback?code=%E0%A4%A`)).status, 400)
    const unknown = await browser.open(`${house.url}/callback?code=a&state=b`)
    assert.equal(outcomeOf(unknown, 'response-state'), 'failed')
    assert.equal((await browser.open(`${house.url}/callback/finish?handle=x`)).status, 200)
    assert.equal((await browser.open(`${house.url}/nowhere`)).status, 404)
  })
})
