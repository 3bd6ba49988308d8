/**
 * Inputs that nobody thought of: 1,000 generated requests an address. A failure prints the seed and the smallest requests that
 * fail, and how to run just these again.
 */
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import fc from 'fast-check'
import { endpoints } from '#http/endpoints.ts'
import { type Gatehouse, startGatehouse } from '#test/flows/world.ts'
import { judgeError } from './oauth-errors.ts'
import { type Asked, asker, type Header, HTML, judge } from './raw.ts'
import { askedOf, comeAlive, everything, fits, patternsOf, type Target, targetsOf } from './routes.ts'

const RUNS = 1000
/** For one address, finding the smallest failing requests included. */
const PATIENCE_MS = 60_000
/** Requests under way at once. */
const AT_ONCE = 8

const awkward = fc.constantFrom(
  '',
  ' ',
  '0',
  '-1',
  'null',
  'undefined',
  'true',
  '__proto__',
  'constructor',
  'toString',
  'web',
  'openid',
  'code',
  'none',
  'acme',
  'basic',
  '%',
  '%%',
  '%00',
  '\0',
  '\r\n',
  '"><script>alert(7)</script>',
  "'><img src=x onerror=alert(7)>",
  '<%= 1 %>',
  '{{7*7}}',
  '../../x',
  'http://evil.example',
  'javascript:alert(1)',
  '[]',
  '{}',
  '{"id_token":{"acr":{"essential":true,"values":[null]}}}',
  'eyJhbGciOiJub25lIn0.e30.',
  '9'.repeat(400),
  'İ',
  '\u202e',
  '\ud83d\ude00',
)
const value = fc.oneof(
  awkward,
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ maxLength: 60 }),
  fc.json({ maxDepth: 3 }),
)
/** A value as it is sent: encoded as it should be, not at all, or twice. */
const sent = fc.tuple(value, fc.constantFrom('encoded', 'encoded', 'encoded', 'raw', 'twice')).map(([text, how]) => {
  const safe = encodeURIComponent(text.toWellFormed())
  if (how === 'encoded') return safe
  // Raw text keeps to what may stand in a request line at all.
  return how === 'raw' ? text.replace(/[^\x21-\x7e]/g, '').replaceAll('#', '') : encodeURIComponent(safe)
})
const header: fc.Arbitrary<Header> = fc.tuple(
  fc.constantFrom(
    'authorization',
    'cookie',
    'accept',
    'accept-language',
    'content-type',
    'origin',
    'sec-fetch-site',
    'dpop',
    'if-none-match',
    'x-forwarded-for',
    'x-forwarded-host',
    'range',
  ),
  fc.oneof(
    fc.string({ maxLength: 80 }).map((text) => text.replace(/[^\x20-\x7e]/g, '')),
    fc.constantFrom(
      'Basic Og==',
      'Basic d2ViOg==',
      'Bearer x',
      'Bearer  x',
      'application/json',
      'text/html',
      'a=b; a=b',
      'application/x-www-form-urlencoded;charset=x',
    ),
  ),
)

/** A trace that a busy disk kept waiting says nothing of the input. */
const isError = ({ level, event }: Record<string, unknown>) => level === 'error' && event !== 'trace.lost'

const pairsFor = (names: readonly string[]) =>
  fc.array(
    fc.tuple(
      fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...names, 'csrf', 'x') }, { weight: 1, arbitrary: sent }),
      sent,
    ),
    { maxLength: 12 },
  )

/** Now and then another segment where the pattern leaves one open. */
const pathOf = (pattern: string, { path }: Target): fc.Arbitrary<string> => {
  const open = pattern.split('/').findIndex((part) => part.startsWith(':'))
  if (open < 0) return fc.constant(path)
  const segment = value.map((text) => encodeURIComponent(text.toWellFormed())).filter((text) => !/^\.{0,2}$/.test(text))
  const changed = segment.map((text) => path.split('/').with(open, text).join('/'))
  return fc.oneof({ weight: 4, arbitrary: fc.constant(path) }, { weight: 1, arbitrary: changed })
}

/** Some of what the target knows as it should be, the rest generated. */
const requestTo = (pattern: string, target: Target): fc.Arbitrary<Asked> => {
  const names = Object.keys(target.fields)
  const text = target.json
    ? fc.oneof(
        fc.json({ maxDepth: 4 }),
        fc
          .dictionary(fc.constantFrom(...names, '__proto__', 'x'), fc.oneof(fc.jsonValue({ maxDepth: 2 }), value))
          .map((document) => JSON.stringify({ redirect_uris: ['https://a.example/cb'], ...document })),
      )
    : fc
        .tuple(fc.subarray(names), pairsFor(names))
        .map(([kept, pairs]) =>
          [...kept.map((name) => [name, encodeURIComponent(target.fields[name] ?? '')] as const), ...pairs]
            .map(([name, given]) => `${name}=${given}`)
            .join('&'),
        )
  const headersBesides = fc.array(header, { maxLength: 2 })
  return fc.tuple(pathOf(pattern, target), text, headersBesides).map(([path, body, headers]) => {
    const asked = askedOf({ ...target, path }, body)
    const given = new Set(headers.map(([name]) => name))
    return { ...asked, headers: [...asked.headers.filter(([name]) => !given.has(name)), ...headers] }
  })
}

export interface Victim {
  readonly op: Gatehouse
  readonly targets: readonly Target[]
}

/** A server with everything alive. */
export const openVictim = async (): Promise<Victim> => {
  const op = await startGatehouse(everything)
  return { op, targets: targetsOf(await comeAlive(op)) }
}

/** Generated requests to one target: answers keep the rules, nothing is logged as an error. @returns how many there were */
const attack = async ({ op }: Victim, pattern: string, target: Target, runs: number): Promise<number> => {
  const ask = asker(op.issuer)
  let judged = 0
  const from = op.log.length
  const several = fc.array(requestTo(pattern, target), { minLength: AT_ONCE, maxLength: AT_ONCE })
  await fc.assert(
    fc.asyncProperty(several, async (requests) => {
      await Promise.all(
        requests.map(async (asked) => {
          const answer = await ask(asked)
          judge(answer, JSON.stringify(asked), target)
          judgeError(pattern, answer, JSON.stringify(asked))
          judged += 1
        }),
      )
    }),
    { numRuns: Math.ceil(runs / AT_ONCE), endOnFailure: false, interruptAfterTimeLimit: PATIENCE_MS },
  )
  assert.deepEqual(op.log.slice(from).filter(isError), [], target.name)
  return judged
}

/** What these files share out among them. */
export type Share = 'software' | 'browsers' | 'pages' | 'sign-in' | 'second factor'

const engines = new Map(endpoints.map(({ path, machine }) => [path, machine]))
const shareOf = (pattern: string): Share => {
  if (pattern.startsWith('/interaction/')) return pattern.includes('/otp') ? 'second factor' : 'sign-in'
  const machine = engines.get(pattern) ?? engines.get(pattern.replace(/\/:id$/, ''))
  return machine === undefined ? 'pages' : machine ? 'software' : 'browsers'
}

/** Every address of this share, as the server itself tells them, in all that it is asked for: 1,000 requests each. */
export const attackAll = async (t: TestContext, victim: Victim, share: Share): Promise<void> => {
  const all = patternsOf(victim.op)
  const patterns = [...all].filter(([pattern]) => shareOf(pattern) === share)
  assert.ok(patterns.length > 3, `only ${patterns.length} addresses`)
  for (const [pattern, methods] of patterns) {
    // A path that is spelt out is no other pattern's.
    const chosen = victim.targets.filter(
      ({ path, method }) => fits(pattern, path) && methods.has(method) && (pattern === path || !all.has(path)),
    )
    await t.test(pattern, async () => {
      assert.deepEqual(new Set(chosen.map(({ method }) => method)), methods, 'test/attacks/routes.ts leaves one out')
      let judged = 0
      for (const target of chosen) judged += await attack(victim, pattern, target, Math.ceil(RUNS / chosen.length))
      // A search that ran out of time passes in silence.
      assert.ok(judged >= RUNS, `only ${judged} of ${RUNS} in ${PATIENCE_MS} ms each`)
    })
  }
}

/** Paths of any kind. */
export const attackPaths = async ({ op }: Victim): Promise<void> => {
  const ask = asker(op.issuer)
  const segment = fc.oneof(
    fc.constantFrom(
      'interaction',
      'federation',
      'register',
      'authorize',
      'session',
      'end',
      'assets',
      '.well-known',
      '..',
      '.',
      '%2e%2e',
      '%2f',
      'callback',
      'restart',
      'sector',
      '%',
    ),
    sent,
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(segment, { maxLength: 5 }), { minLength: AT_ONCE, maxLength: AT_ONCE }),
      async (paths) => {
        await Promise.all(
          paths.map(async (parts) => {
            const target = `/${parts.join('/')}`
            judge(await ask({ target, headers: [HTML] }), target)
          }),
        )
      },
    ),
    { numRuns: RUNS / AT_ONCE },
  )
  assert.deepEqual(op.log.filter(isError), [])
}
