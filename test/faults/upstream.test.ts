/**
 * A provider that is down, slow, huge, broken or lying: the person gets a clear page with a way on, the relying party an
 * honest error, nothing is lost, and once the provider is well again the same sign-in goes through.
 */
import assert from 'node:assert/strict'
import { createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import { audits, browser, codeOf } from '#test/attacks/house.ts'
import { APP, alice, authorizationUrl, client, freePort, type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import type { Browser, Page } from '#test/world/browser.ts'
import { type Tamper, Upstream } from '#test/world/upstream.ts'

const broken: readonly Tamper[] = ['500', '503', 'not JSON', 'redirects', 'breaks off', 'huge'].flatMap((ailment) =>
  (['discovery', 'jwks', 'token', 'userinfo'] as const).map((endpoint) => `${endpoint} ${ailment}` as Tamper),
)
const lies: readonly Tamper[] = [
  'discovery issuer',
  'issuer',
  'audience',
  'nonce',
  'signature',
  'foreign key',
  'alg none',
  'expired',
  'no subject',
  'endless subject',
  'no id token',
  'response iss of another',
  'no code',
  'userinfo sub',
  'token says invalid_grant',
  'token says invalid_client',
  'says server_error',
  'says temporarily_unavailable',
  'says made-up-by-the-provider',
]
const slow: readonly Tamper[] = [
  'discovery hangs',
  'token hangs',
  'userinfo hangs',
  'jwks hangs',
  'token dribbles',
  'discovery dribbles',
]
/** The outbound client's limit of 10 s for a call, and what a busy machine adds; more than one call may wait. */
const BOUND_MS = 25_000

interface Patient {
  readonly tamper: Tamper
  readonly id: string
  readonly upstream: Upstream
}

describe('faults of providers', () => {
  let op: Gatehouse
  let deadPort = 0
  const patients: Patient[] = []
  let well: Upstream
  const sockets = new Set<Socket>()
  const mute = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  const provider = (id: string, issuer: string, secret: string) => ({
    id,
    protocol: 'oidc',
    oidc: { issuer, client_id: 'gatehouse', client_secret: secret },
  })
  before(async () => {
    deadPort = await freePort()
    await new Promise<void>((resolve) => mute.listen(0, '127.0.0.1', resolve))
    const address = mute.address()
    const mutePort = typeof address === 'object' && address ? address.port : 0
    for (const [index, tamper] of [...broken, ...lies, ...slow].entries())
      patients.push({
        tamper,
        id: `p${index}`,
        upstream: await Upstream.start({ userinfo: { name: 'Alice' }, alg: 'ES256' }),
      })
    well = await Upstream.start({ alg: 'ES256' })
    op = await startGatehouse({
      clients: [client({ trusted: true })],
      identityProviders: [
        ...patients.map(({ id, upstream }) => provider(id, upstream.issuer, upstream.clientSecret)),
        provider('well', well.issuer, well.clientSecret),
        provider('down', `http://127.0.0.1:${deadPort}`, 'x'),
        provider('mute', `http://127.0.0.1:${mutePort}`, 'x'),
      ],
    })
  })
  after(async () => {
    for (const socket of sockets) socket.destroy()
    mute.close()
    await Promise.all([well, ...patients.map(({ upstream }) => upstream)].map((upstream) => upstream.close()))
  })

  const start = (id: string, more: Record<string, string> = {}) =>
    authorizationUrl(op.issuer, { acr_values: id, ...more })
  /** A clear page of ours, or an OAuth error at the application. */
  const honest = (page: Page, what: string) => {
    if (page.url.origin === APP) {
      assert.match(
        page.url.searchParams.get('error') ?? '',
        /^(access_denied|server_error|temporarily_unavailable|login_required|interaction_required)$/,
        what,
      )
      assert.equal(page.url.searchParams.get('state'), 's1', what)
      return
    }
    assert.equal(page.url.origin, op.issuer, what)
    assert.ok(page.status < 500, `${what}: ${page.status}\n${page.body}`)
    assert.match(page.body, /id="page-choose"/, what)
    assert.match(page.body, /role="alert"/, what)
    assert.doesNotMatch(page.body, /ECONN|fetch failed|127\.0\.0\.1:\d+\/(token|jwks|userinfo)/, what)
  }
  /** The way on from our page: the same provider again, now that it is well. */
  const goOn = (someone: Browser, page: Page, id: string): Promise<Page> =>
    page.url.origin === APP ? someone.open(start(id)) : someone.submit(page, `[data-provider=${id}]`)

  const suffers = async ({ tamper, id, upstream }: Patient) => {
    const someone = browser()
    const failed = audits(op, 'login.failed').length + audits(op, 'login.refused').length
    upstream.tamper = tamper
    const page = await someone.open(start(id))
    honest(page, tamper)
    assert.ok(audits(op, 'login.failed').length + audits(op, 'login.refused').length > failed, `${tamper}: audited`)
    upstream.tamper = undefined
    codeOf(await goOn(someone, page, id))
    return page
  }

  test('control: a well one signs in', async () => {
    codeOf(await browser().open(start('well')))
  })

  test('broken answers', async (t) => {
    for (const patient of patients.filter(({ tamper }) => broken.includes(tamper)))
      await t.test(patient.tamper, async () => void (await suffers(patient)))
  })

  test('lies', async (t) => {
    for (const patient of patients.filter(({ tamper }) => lies.includes(tamper)))
      await t.test(patient.tamper, async () => void (await suffers(patient)))
  })

  test('slowness is bounded, and holds up nobody else', async () => {
    const began = performance.now()
    const waiting = patients.filter(({ tamper }) => slow.includes(tamper)).map(suffers)
    const mutes = browser()
      .open(start('mute'))
      .then((page) => honest(page, 'mute'))
    const other = browser()
    const login = await other.open(authorizationUrl(op.issuer, { acr_values: 'basic' }))
    codeOf(await other.submit(login, '#continue', { username: alice.username, password: alice.password }))
    assert.ok(performance.now() - began < 5_000, 'a password sign-in meanwhile')
    await Promise.all([...waiting, mutes])
    assert.ok(performance.now() - began < BOUND_MS, `${performance.now() - began} ms`)
  })

  test('down: said so at once; another way in works in the same sign-in; prompt=none hears an honest error', async () => {
    const someone = browser()
    const page = await someone.open(start('down'))
    honest(page, 'down')
    const silent = await browser().open(start('down', { prompt: 'none' }))
    assert.equal(silent.url.origin, APP)
    assert.match(
      silent.url.searchParams.get('error') ?? '',
      /^(temporarily_unavailable|login_required|interaction_required)$/,
    )
    const cancelled = await someone.submit(page, '#cancel')
    assert.equal(cancelled.url.origin, APP)
    assert.equal(cancelled.url.searchParams.get('error'), 'temporarily_unavailable')
  })

  test('a provider that fails for everybody is left alone for a while, and comes back by itself', async () => {
    const [id, upstream] = ['well', well] as const
    upstream.tamper = 'token 503'
    for (let count = 0; count < 8; count++) honest(await browser().open(start(id)), 'again and again')
    upstream.tamper = undefined
    const until = performance.now() + 15_000
    for (;;) {
      const page = await browser().open(start(id))
      if (page.url.searchParams.has('code')) break
      honest(page, 'while it is left alone')
      assert.ok(performance.now() < until, 'it never came back')
      await new Promise((resolve) => setTimeout(resolve, 250))
    }
  })
})
