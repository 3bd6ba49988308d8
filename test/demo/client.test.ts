/** Discovery and dynamic registration, and a provider that is away. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { startRelyingParty } from '#demo/relying-party/index.ts'
import { silentLog } from '#kernel/log.ts'
import { assertSound, openHouse } from './house.ts'
import { Browser, outcomeOf, textOf } from './visitor.ts'

const house = openHouse()

describe('discovery and registration', () => {
  test('#page-provider shows every endpoint, the keys and the document', async () => {
    const page = await new Browser().open(`${house.url}/provider`)
    const document = (await (await fetch(`${house.issuer}/.well-known/openid-configuration`)).json()) as Record<
      string,
      unknown
    >
    const endpoints = Object.entries(document).filter(([name]) => name.endsWith('_endpoint'))
    assert.ok(endpoints.length > 5)
    for (const [name, url] of endpoints) assert.match(textOf(page, 'endpoints') ?? '', new RegExp(`${name} ${url}`))
    assert.deepEqual(JSON.parse(textOf(page, 'document') ?? ''), document)
    assert.match(textOf(page, 'keys') ?? '', /test-1/)
  })

  test('register, sign in with it, read, update, delete', async () => {
    const browser = new Browser()
    let page = await browser.submit(await browser.open(`${house.url}/client`), '#register')
    const id = textOf(page, 'client-id')
    assert.ok(id && id !== 'demo-rp', textOf(page, 'notice'))
    page = await house.login(browser, { response_type: 'code id_token' })
    assertSound(page)
    assert.match(textOf(page, 'request') ?? '', new RegExp(`client_id ${id}`))

    page = await browser.submit(await browser.open(`${house.url}/client`), '#registration-read')
    assert.match(textOf(page, 'notice') ?? '', /on record/)
    const metadata = JSON.parse(
      /<textarea id="metadata"[^>]*>([\s\S]*?)<\/textarea>/.exec(page.body)?.[1]?.replaceAll('&#34;', '"') ?? '',
    )
    page = await browser.submit(page, '#registration-update', {
      metadata: JSON.stringify({ ...metadata, client_name: 'Renamed', userinfo_signed_response_alg: 'RS256' }),
    })
    assert.match(textOf(page, 'notice') ?? '', /changed/)
    assert.match(textOf(page, 'registered') ?? '', /Renamed/)

    page = await browser.submit(await house.login(browser), '#userinfo')
    assert.equal(outcomeOf(page, 'userinfo-signature'), 'passed')
    assert.equal(outcomeOf(page, 'userinfo-sub'), 'passed')

    page = await browser.submit(await browser.open(`${house.url}/client`), '#registration-delete')
    assert.match(textOf(page, 'notice') ?? '', /deleted/)
    assert.equal(textOf(page, 'client-id'), 'demo-rp')
  })

  test('refused metadata is shown with the reason and kept in the field', async () => {
    const browser = new Browser()
    const form = await browser.open(`${house.url}/client`)
    const refused = await browser.submit(form, '#register', { metadata: '{"redirect_uris":["ftp://x"]}' })
    assert.match(textOf(refused, 'notice') ?? '', /invalid_redirect_uri|invalid_client_metadata/)
    assert.match(refused.body, /ftp:\/\/x/)
    const broken = await browser.submit(refused, '#register', { metadata: '{' })
    assert.match(textOf(broken, 'notice') ?? '', /not JSON/)
  })
})

test('a provider that is away is named on every page, none breaks', async () => {
  const alone = await startRelyingParty({
    host: '127.0.0.1',
    port: 0,
    issuer: 'http://localhost:9',
    client: { client_id: 'x' },
    fetch,
    log: silentLog,
  })
  try {
    const browser = new Browser()
    for (const path of ['/', '/result', '/provider', '/client', '/logged-out', '/callback'])
      assert.equal((await browser.open(`${alone.url}${path}`)).status, 200, path)
    const start = await browser.open(`${alone.url}/`)
    assert.match(textOf(start, 'notice') ?? '', /did not answer/)
    assert.match(textOf(await browser.submit(start, '#start-login'), 'notice') ?? '', /did not answer/)
    for (const button of ['client-credentials', 'logout', 'silent'])
      assert.equal((await browser.submit(await browser.open(`${alone.url}/result`), `#${button}`)).status, 200, button)
  } finally {
    await alone.close()
  }
})
