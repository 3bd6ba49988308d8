import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { generated } from '../../scripts/docs.ts'

for (const [path, text] of Object.entries(generated()))
  test(`${path} is up to date (make docs)`, () => {
    assert.equal(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'), text)
  })

test('no reference page is empty of what it refers to', () => {
  const page = generated()['docs/config.md'] ?? ''
  for (const name of ['GATEHOUSE__STORES__ARTIFACTS', 'clients[].client_secret', 'identityProviders[].oidc.issuer'])
    assert.ok(page.includes(name), name)
  assert.ok((generated()['docs/errors.md'] ?? '').includes('`login.wrong`'))
})

/** Follows a path of the editor's schema, through alternatives. */
const place = (schema: Record<string, unknown>, path: readonly string[]): Record<string, unknown> | undefined => {
  if (path.length === 0) return schema
  const [name = '', ...rest] = path
  const properties = schema.properties as Record<string, Record<string, unknown>> | undefined
  const below = name === '[]' ? (schema.items as Record<string, unknown> | undefined) : properties?.[name]
  if (below) return place(below, rest)
  const others = [schema.anyOf, schema.oneOf].flatMap((list) => (list ?? []) as Record<string, unknown>[])
  return others.map((one) => place(one, path)).find((found) => found !== undefined)
}

test('the editor knows durations, secrets and placeholders, and asks for no setting', () => {
  const schema = JSON.parse(generated()['docs/gatehouse.schema.json'] ?? '{}') as Record<string, unknown>
  assert.equal(schema.required, undefined)
  assert.equal(schema.additionalProperties, false)
  assert.equal(place(schema, ['lifetimes', 'session'])?.type, 'string')
  const secret = JSON.stringify(place(schema, ['clients', '[]', 'client_secret']))
  assert.match(secret, /"file"/)
  assert.match(JSON.stringify(place(schema, ['listen', 'port'])), /"integer".*"pattern"/)
  assert.ok(place(schema, ['identityProviders', '[]', 'oidc', 'client_id']))
})
