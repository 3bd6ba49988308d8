/** Parallel requests of one browser: nothing that one of them adds is lost to another (ENGINE 13). */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { sessionTags } from '#artifacts/tags.ts'
import { claimsOf, isActive, redeem, userinfo, Visitor } from './browser.ts'
import { client, overriding, signIn, suiteHouse } from './house.ts'

const names = ['one', 'two', 'three', 'four', 'five']

describe('sessions', () => {
  let writes = 0
  let duringRevocation: (() => Promise<void>) | undefined
  const open = suiteHouse(() => ({
    wrap: (store) =>
      overriding(store, {
        put: (model, row, options) => {
          if (model === 'Session') writes++
          return store.put(model, row, options)
        },
        async dropGrant(grant, until) {
          await duringRevocation?.()
          return store.dropGrant(grant, until)
        },
      }),
    resources: { clients: [client('web'), ...names.map((name) => client(name))] },
  }))

  test('parallel sign-ons to five clients are all recorded, so that the tokens of each work', async () => {
    const house = open()
    for (let round = 0; round < 15; round++) {
      const visitor = new Visitor(house)
      await visitor.code('web')
      const codes = await Promise.all(names.map((name) => visitor.code(name)))
      for (const [index, name] of names.entries()) {
        const tokens = await redeem(house, name, codes[index] ?? '')
        assert.equal(tokens.status, 200, `${name} in round ${round}: ${tokens.error_description}`)
        assert.equal((await userinfo(house, tokens.access_token ?? '')).status, 200, `${name} in round ${round}`)
      }
    }
  })

  test('parallel first requests of one client agree on grant and sid: all their tokens work', async () => {
    const house = open()
    for (let round = 0; round < 12; round++) {
      const visitor = new Visitor(house)
      await visitor.code('web')
      const scopes = ['openid', 'openid profile', 'openid email']
      const codes = await Promise.all(scopes.map((scope) => visitor.code('one', { scope })))
      const answers = await Promise.all(codes.map((code) => redeem(house, 'one', code)))
      for (const [index, tokens] of answers.entries()) {
        assert.equal(tokens.status, 200, `round ${round}: ${tokens.error_description}`)
        assert.equal(tokens.scope, scopes[index], 'what either was allowed stays allowed')
        assert.equal(await isActive(house, 'one', tokens.access_token ?? ''), true)
      }
    }
  })

  test('sid is the same for one client in one session, and another for another client', async () => {
    const house = open()
    const visitor = new Visitor(house)
    const claims = JSON.stringify({ id_token: { sid: null } })
    const sid = async (name: string) =>
      claimsOf((await redeem(house, name, await visitor.code(name, { claims }))).id_token).sid
    const first = await sid('one')
    assert.equal(typeof first, 'string')
    assert.equal(await sid('one'), first)
    assert.notEqual(await sid('two'), first)
    const elsewhere = new Visitor(house)
    const { id_token } = await redeem(house, 'one', await elsewhere.code('one', { claims }))
    assert.notEqual(claimsOf(id_token).sid, first)
  })

  test('a sign-on that changes nothing writes no session', async () => {
    const house = open()
    const visitor = new Visitor(house)
    await visitor.code('one')
    await visitor.code('one')
    writes = 0
    await visitor.code('one')
    assert.equal(writes, 0)
    await visitor.code('two')
    assert.equal(writes, 1, 'a new client does')
  })

  test('a request that overlaps a logout does not bring the session back', async () => {
    const house = open()
    for (let round = 0; round < 10; round++) {
      const visitor = new Visitor(house)
      house.person = { login: () => signIn('bob') }
      await visitor.code('web')
      const page = await visitor.go('/session/end')
      const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
      assert.notEqual(xsrf, '', page.body)
      const confirm = () =>
        visitor.ask('/session/end/confirm', { method: 'POST', body: new URLSearchParams({ xsrf, logout: 'yes' }) })
      await Promise.all([confirm(), ...names.map((name) => visitor.authorize(name, { prompt: 'none' }))])
      const left = await house.store.findTagged('Session', sessionTags.account('bob'))
      assert.equal(left.length, 0, `round ${round}`)
    }
    house.person = {}
  })

  test('leaving one application does not bring back a session that somebody ended meanwhile', async () => {
    const house = open()
    const visitor = new Visitor(house)
    house.person = { login: () => signIn('bob') }
    await visitor.code('web')
    const leave = async () => {
      const page = await visitor.go('/session/end?client_id=web')
      const xsrf = /name="xsrf" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
      assert.notEqual(xsrf, '', page.body)
      await visitor.ask('/session/end/confirm', { method: 'POST', body: new URLSearchParams({ xsrf }) })
      return house.store.findTagged('Session', sessionTags.account('bob'))
    }
    assert.equal((await leave()).length, 1, 'control: the session goes on')
    await visitor.code('web')
    duringRevocation = async () => {
      for (const { key } of await house.store.findTagged('Session', sessionTags.account('bob')))
        await house.store.drop('Session', key)
    }
    const left = await leave()
    duringRevocation = undefined
    house.person = {}
    assert.equal(left.length, 0)
  })

  test('the sign-in gives the session a new id: one that was planted before is worthless', async () => {
    const house = open()
    const visitor = new Visitor(house)
    await visitor.go('/session/end')
    const name = visitor.jar
      .names('localhost')
      .find((cookie) => cookie.startsWith('session_') && !cookie.endsWith('.sig'))
    assert.ok(name, 'an anonymous session exists')
    const before = visitor.jar.header(new URL(house.issuer), { crossSite: false, method: 'GET' })
    await visitor.code('web')
    const thief = new Visitor(house)
    const answer = await fetch(
      new URL(
        '/authorize?client_id=web&response_type=code&scope=openid&prompt=none&redirect_uri=https%3A%2F%2Frp.example%2Fcb',
        house.issuer,
      ),
      {
        headers: { cookie: before ?? '' },
        redirect: 'manual',
      },
    )
    assert.match(answer.headers.get('location') ?? '', /error=login_required/)
    assert.match((await thief.authorize('web', { prompt: 'none' })).url.href, /error=login_required/)
  })
})
