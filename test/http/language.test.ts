/** The language of a page: whose wish wins, and that nonsense is passed over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { negotiate } from '#http/language.ts'

const two = { available: ['en', 'de'], fallback: 'en' }

const cases: [uiLocales: string | undefined, accept: string | undefined, expected: string][] = [
  [undefined, undefined, 'en'],
  ['de', 'en', 'de'],
  ['fr de', 'en', 'de'],
  ['de-CH-1996', undefined, 'de'],
  ['DE-ch', undefined, 'de'],
  ['fr', 'de', 'de'],
  ['fr it', 'es', 'en'],
  ['d', 'de', 'de'],
  ['../../etc/passwd', 'de', 'de'],
  ['__proto__ constructor', undefined, 'en'],
  [undefined, 'de-AT,de;q=0.9,en;q=0.8', 'de'],
  [undefined, 'fr;q=0.9, en;q=0.2, de;q=0.8', 'de'],
  [undefined, 'de;q=0, en;q=0.1', 'en'],
  [undefined, 'de;q=zero', 'en'],
  [undefined, '*', 'en'],
  [undefined, `${'x-'.repeat(5000)},de`, 'en'],
]

for (const [uiLocales, acceptLanguage, expected] of cases)
  test(`ui_locales ${uiLocales?.slice(0, 40)}, Accept-Language ${acceptLanguage?.slice(0, 40)} → ${expected}`, () =>
    assert.equal(negotiate({ uiLocales, acceptLanguage }, two), expected))

test('the configured default speaks when nothing matches', () =>
  assert.equal(negotiate({ acceptLanguage: 'fr' }, { available: ['en', 'de'], fallback: 'de' }), 'de'))
