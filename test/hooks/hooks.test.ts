/** Hook files run apart: what they change, what they may not, and that nothing they do reaches further than one call. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isFault } from '#kernel/faults.ts'
import { settled } from '#test/world/settled.ts'
import { app, open, person } from './world.ts'

const given = { use: 'userinfo', scopes: ['openid'], client: app, account: person } as const
const failed = (reason: RegExp) => (error: unknown) =>
  isFault(error, 'hook.failed') && reason.test(String(error.detail.reason))

describe('hooks', () => {
  test('a value passes through all files in the order of their names; nothing answered is nothing changed', async () => {
    const hooks = await open({
      '1-first.ts': `export default { claims: (claims: object) => ({ ...claims, a: 1 }) }`,
      '2-silent.ts': `export default { claims() {} }`,
      '3-last.ts': `export default { claims: async (claims: { a: number }) => ({ ...claims, b: claims.a + 1 }) }`,
    })
    assert.deepEqual(await hooks.run('claims', { name: 'Alice' }, given), { name: 'Alice', a: 1, b: 2 })
    assert.deepEqual([hooks.has('claims'), hooks.has('login')], [true, false])
    assert.deepEqual(
      hooks.files.map(({ points }) => points),
      [['claims'], ['claims'], ['claims']],
    )
  })

  test('where no file has a handler the value comes back as it is', async () => {
    const hooks = await open({ 'a.ts': `export default { claims() {} }` })
    const value = { roles: ['x'] }
    assert.equal(await hooks.run('accessToken', value, { kind: 'AccessToken', scopes: [], client: app }), value)
  })

  test('a hook cannot change what it is given in place', async () => {
    const hooks = await open({
      'a.ts': `export default { claims(claims: any, { account }: any) { claims.evil = 1; account.roles.push('admin') } }`,
    })
    const account = { ...person, roles: [] as string[] }
    await hooks.run('claims', { name: 'Alice' }, { ...given, account })
    assert.deepEqual(account.roles, [])
  })

  test('a refusal tells its reason; the trace and the log have it', async () => {
    const hooks = await open({
      'a.ts': `export default { login: (_: any, __: any, { refuse }: any) => refuse('not "today"\\n') }`,
    })
    await assert.rejects(
      hooks.run('login', {}, { acr: 'basic', amr: ['pwd'], address: '::1', client: app, account: person }, 'REF'),
      (error) => isFault(error, 'hook.refused') && error.detail.reason === 'not ?today??',
    )
    assert.deepEqual(hooks.steps, [{ reference: 'REF', detail: { point: 'login', refused: 'not ?today??' } }])
    assert.equal(hooks.lines.at(-1)?.event, 'hook.refused')
  })

  test('what it writes lands in the trace of the login that it was called for', async () => {
    const hooks = await open({
      'a.ts': `export default { async claims(claims: any, { scopes }: any, { log }: any) {
        await new Promise((resolve) => setTimeout(resolve, scopes.length)); log('by tool', { n: 1 }); console.log('by %s', 'console') } }`,
    })
    await Promise.all([hooks.run('claims', {}, given, 'ONE'), hooks.run('claims', {}, { ...given, scopes: [] }, 'TWO')])
    for (const name of ['ONE', 'TWO'])
      assert.deepEqual(
        hooks.steps.filter(({ reference }) => reference === name).map(({ detail }) => [detail.line, detail.facts]),
        [
          ['by tool', { n: 1 }],
          ['by console', undefined],
        ],
      )
  })

  test('throwing, and answering nonsense, fail; the reason is in the log, health counts it', async () => {
    const hooks = await open({
      'a.ts': `export default {
        claims() { throw new TypeError('a slip') },
        spontaneousScopes: () => 'not a list',
        accessToken: () => ({ f: () => 1 }),
        consent: () => ({ decision: 'perhaps' }) }`,
    })
    await assert.rejects(hooks.run('claims', {}, given), failed(/^a slip$/))
    await assert.rejects(hooks.run('spontaneousScopes', ['x'], { client: app }), failed(/may not/))
    await assert.rejects(
      hooks.run('accessToken', {}, { kind: 'AccessToken', scopes: [], client: app }),
      failed(/clone/),
    )
    await assert.rejects(
      hooks.run('consent', { decision: 'ask' }, { scopes: [], claims: [], client: app, account: person }),
      failed(/may not/),
    )
    assert.equal(hooks.lines.filter(({ event }) => event === 'hook.failed').length, 4)
    const [claims] = hooks.health()
    assert.deepEqual([claims?.calls, claims?.failures, claims?.lastFailure?.reason], [1, 1, 'a slip'])
  })

  test('an answer, an error and a line of the log have a length', async () => {
    const hooks = await open({
      'a.ts': `const long = 'x'.repeat(2_000_000)
        export default {
          claims: () => ({ long }),
          accessToken() { throw new Error(long) },
          login(_: any, __: any, { log }: any) { log('line', { long }) } }`,
    })
    await assert.rejects(hooks.run('claims', {}, given), failed(/^more than \d+ bytes$/))
    const token = { kind: 'AccessToken', scopes: [], client: app } as const
    await assert.rejects(hooks.run('accessToken', {}, token), failed(/^x{1,20000}$/))
    await hooks.run('login', {}, { acr: 'basic', amr: [], address: '', client: app, account: person })
    const line = hooks.lines.find(({ event }) => event === 'hook.log')?.fields.line
    assert.match(String(line), /^line/)
    assert.ok(String(line).length <= 20_000)
  })

  test('one that never answers is given up, and told to stop; others go on meanwhile', async () => {
    const hooks = await open(
      {
        'a.ts': `export default {
          claims: (_: any, __: any, { signal }: any) => new Promise(() => signal.addEventListener('abort', () => console.log('told'))),
          login() {} }`,
      },
      { limitMs: 200 },
    )
    const slow = assert.rejects(hooks.run('claims', {}, given), failed(/too long/))
    await hooks.run('login', {}, { acr: 'basic', amr: [], address: '', client: app, account: person })
    await slow
    await settled('the line is told', () => hooks.lines.some(({ fields }) => fields.line === 'told'))
  })

  test('one that never answers again and again is left alone for a while', async () => {
    const hooks = await open(
      { 'a.ts': `export default { claims: () => new Promise(() => undefined) }` },
      { limitMs: 30 },
    )
    for (let count = 0; count < 5; count++) await assert.rejects(hooks.run('claims', {}, given), failed(/too long/))
    await assert.rejects(hooks.run('claims', {}, given), failed(/left alone/))
  })

  for (const [what, body] of [
    ['a loop without end', 'for (;;);'],
    ['process.exit', 'process.exit(7)'],
    ['a rejection that nobody handles', `Promise.reject(new Error('lost')); return new Promise(() => undefined)`],
  ] as const)
    test(`${what} ends the process of the hooks, not the server; another one takes over`, async () => {
      const hooks = await open(
        { 'a.ts': `export default { claims(claims: any) { if (claims.kill) { ${body} } return { fine: true } } }` },
        { limitMs: 1500 },
      )
      await assert.rejects(hooks.run('claims', { kill: true }, given), failed(/./))
      await settled('it is over', async () => {
        const answer = await hooks.run('claims', {}, given).catch(() => undefined)
        return answer?.fine === true
      })
    })

  test('files that cannot work are told at the start', async () => {
    for (const [text, reason] of [
      ['export default 1', /no default export/],
      ['export const a = 1', /no default export/],
      ['export default { claim() {} }', /no hook "claim"/],
      ['export default { claims: 1 }', /claims is not a function/],
      [`throw new Error('at the top')`, /at the top/],
      [`import 'no-such-package-here'`, /no-such-package-here/],
      ['const a: = 1', /./],
      ['process.exit(1)', /./],
    ] as const)
      await assert.rejects(
        open({ 'a.ts': text }),
        (error) => isFault(error, 'hook.broken') && reason.test(String(error.detail.reason)),
        text,
      )
  })

  test('no file, no process; a pattern that fits none is told of', async () => {
    const hooks = await open({}, { patterns: [] })
    assert.deepEqual([hooks.files, hooks.has('claims'), hooks.lines], [[], false, []])
    const none = await open({})
    assert.deepEqual([none.files, none.lines.map(({ event }) => event)], [[], ['hook.none']])
  })
})
