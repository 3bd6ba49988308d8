/** The import rule catches what it must, on invented trees, and the repository keeps it. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { addressMistakes } from '../../scripts/addresses.ts'
import { importMistakes, specifiersOf } from '../../scripts/imports.ts'
import { licenceMistakes } from '../../scripts/licences.ts'
import { blankStrings } from '../../scripts/source.ts'
import { readText, trackedPaths } from '../../scripts/tree.ts'

const mistakes = (path: string, text: string) => importMistakes([{ path, text }])

const allowed: [string, string][] = [
  ['src/config/load.ts', "import { Fault } from '#kernel/faults.ts'"],
  [
    'src/federation/trip.ts',
    "import type { Connector } from '#connectors/connector.ts'\nimport { x } from './mapping.ts'",
  ],
  ['src/kernel/records/client.ts', "import { recordId } from '../kinds.ts'"],
  ['src/op/engine.ts', "import Provider, { errors } from 'oidc-provider'"],
  ['src/artifacts/adapter.ts', "import type { Adapter } from 'oidc-provider'"],
  ['src/http/messages.ts', "import en from '../../messages/en.json' with { type: 'json' }"],
  ['src/http/app.ts', "import Koa from 'koa'\nimport { z } from 'zod'"],
  ['src/connectors/oidc.ts', "const { discovery } = await import('openid-client')"],
  ['src/wire.ts', "import { createOp } from '#op/index.ts'\nimport { openHouse } from './house.ts'"],
  ['src/stores.ts', "import { open } from '#adapters/sqlite/index.ts'"],
  ['src/demo/index.ts', "import { createApp } from '#http/app.ts'"],
  ['src/main.ts', "import { start } from './wire.ts'\nimport { run } from '#cli/index.ts'\nprocess.exit(await run())"],
  ['src/demo.ts', "import { start } from './wire.ts'\nimport { startRelyingParty } from '#demo/index.ts'"],
  ['src/cli/serve.ts', "import { start } from '#src/wire.ts'"],
  [
    'adapters/sqlite/index.ts',
    "import { DatabaseSync } from 'node:sqlite'\nimport type { Directory } from '#kernel/ports.ts'",
  ],
  ['src/hooks/child.ts', 'process.exit()'],
  ['src/kernel/clock.ts', 'export const now = () => Date.now()'],
  ['src/op/build.ts', 'export const build = ({ fetch }: World) => fetch(url)'],
  ['src/op/build.ts', 'type F = typeof globalThis.fetch\nconst child = world.process.id; // process.env is main’s'],
  ['src/op/build.ts', "const text = 'process.env and Date.now() and fetch()'\n/* import x from 'koa' */"],
  ['test/flows/login.test.ts', "import Koa from 'koa'\nprocess.env.X = String(Date.now())"],
]

const refused: [string, string, string, RegExp][] = [
  [
    'a lower room imports a higher one',
    'src/kernel/ports.ts',
    "import { x } from '#config/load.ts'",
    /may not import config/,
  ],
  [
    'rooms of one rank',
    'src/config/load.ts',
    "import type { R } from '#directory/records.ts'",
    /may not import directory/,
  ],
  [
    'rooms of one rank, re-exported',
    'src/op/index.ts',
    "export { x } from '#interaction/routes.ts'",
    /may not import interaction/,
  ],
  ['a page room imports the engine', 'src/http/app.ts', "import { e } from '#op/index.ts'", /may not import op/],
  [
    'a dynamic import',
    'src/methods/basic.ts',
    "const x = await import('#federation/trip.ts')",
    /may not import federation/,
  ],
  [
    'an import over several lines',
    'src/methods/basic.ts',
    "import {\n  a,\n  b,\n} from '#federation/trip.ts'",
    /may not import federation/,
  ],
  ['an import for its effect', 'src/methods/basic.ts', "import '#federation/trip.ts'", /may not import federation/],
  ['wire imported by a room', 'src/demo/index.ts', "import { start } from '#src/wire.ts'", /may not import wire/],
  ['wire imports the demo beside it', 'src/wire.ts', "import { d } from './demo.ts'", /another room/],
  ['cli imported by wire', 'src/wire.ts', "import { run } from '#cli/index.ts'", /may not import cli/],
  ['demo imported by a room', 'src/admin/index.ts', "import { d } from '#demo/index.ts'", /may not import demo/],
  [
    'an adapter imported by a room',
    'src/artifacts/box.ts',
    "import { o } from '#adapters/sqlite/index.ts'",
    /may not import adapters/,
  ],
  ['a store opened by wire', 'src/wire.ts', "import { o } from '#adapters/sqlite/index.ts'", /may not import adapters/],
  [
    'an adapter imports more than the kernel',
    'adapters/sqlite/index.ts',
    "import { f } from '#directory/records.ts'",
    /may not import directory/,
  ],
  [
    'an adapter imports another',
    'adapters/redis/index.ts',
    "import { o } from '#adapters/sqlite/index.ts'",
    /may not import adapters/,
  ],
  [
    'another room by a relative path',
    'src/op/index.ts',
    "import { Fault } from '../kernel/faults.ts'",
    /#room\/file\.ts/,
  ],
  ['its own room by its name', 'src/op/index.ts', "import { e } from '#op/engine.ts'", /as \.\/file\.ts/],
  ['no file name', 'src/op/index.ts', "import { e } from '#kernel/faults'", /name the file/],
  ['a test imported', 'src/op/index.ts', "import { e } from '#test/world/oidc.ts'", /may not import/],
  ['a package through another door', 'src/interaction/routes.ts', "import Koa from 'koa'", /its door is http/],
  [
    'a part of a package through another door',
    'src/op/x.ts',
    "import a from 'openid-client/passport'",
    /its door is connectors/,
  ],
  ['a type through another door', 'src/federation/trip.ts', "import type { Context } from 'koa'", /its door is http/],
  ['a package without a door', 'src/op/index.ts', "import _ from '@scope/left/pad'", /@scope\/left: no room/],
  [
    'a database outside its adapter',
    'src/directory/index.ts',
    "import { DatabaseSync } from 'node:sqlite'",
    /adapters\/sqlite/,
  ],
  ['a built-in without node:', 'src/op/index.ts', "import fs from 'fs'", /write node:fs/],
  ['a room that the rule does not know', 'src/utils/x.ts', 'export const x = 1', /no room/],
  ['process outside main', 'src/config/load.ts', `const x = \`\${process.env.HOME}\``, /reads process/],
  ['process imported', 'src/config/load.ts', "import { env } from 'node:process'", /only src\/main\.ts/],
  ['the system time', 'src/op/index.ts', 'const at = Date.now()', /reads the time/],
  ['the system time as a date', 'src/op/index.ts', 'const at = new Date()', /reads the time/],
  ['chance', 'src/op/index.ts', 'const id = Math.random()', /Math\.random/],
  ['the global fetch', 'src/connectors/oidc.ts', 'const answer = await fetch(url)', /global fetch/],
  ['the global fetch by its full name', 'src/connectors/oidc.ts', 'open({ get: globalThis.fetch })', /global fetch/],
  ['a use behind a regular expression', 'src/op/x.ts', 'const r = /[\'"`]/\nconst at = Date.now()', /reads the time/],
]

describe('import rule', () => {
  for (const [path, text] of allowed)
    test(`${path} may: ${text.split('\n')[0]}`, () => assert.deepEqual(mistakes(path, text), []))
  for (const [name, path, text, say] of refused)
    test(`refused: ${name}`, () => {
      const found = mistakes(path, text)
      assert.equal(found.length, 1, found.join('\n'))
      assert.match(found[0] ?? '', say)
      assert.ok(found[0]?.startsWith(`${path}: `))
    })

  test('comments hide imports, template expressions do not hide code', () => {
    assert.deepEqual(specifiersOf("// import 'a'\n/*\nimport 'b'\n*/\nimport 'c'\n"), ['c'])
    const nested = '`a $[ `b $[process.x] process.y` ] process.z`'.replaceAll('[', '{').replaceAll(']', '}')
    assert.match(blankStrings(nested), /process\.x/)
    assert.doesNotMatch(blankStrings(nested), /process\.[yz]/)
  })

  test('the repository keeps it', () => {
    const sources = trackedPaths().filter((path) => /^(src|adapters)\/.*\.ts$/.test(path))
    assert.ok(sources.length > 20, 'the sources are found')
    assert.deepEqual(importMistakes(sources.map((path) => ({ path, text: readText(path) }))), [])
  })
})

describe('licences', () => {
  const one = (licence: object) =>
    licenceMistakes({ packages: { '': {}, 'node_modules/x': { version: '1.0.0', ...licence } } })
  test('an allow-list over SPDX expressions', () => {
    assert.deepEqual(one({ license: 'MIT' }), [])
    assert.deepEqual(one({ license: '(GPL-3.0 OR MIT)' }), [])
    assert.deepEqual(one({ license: 'MPL-2.0', dev: true }), [])
    assert.equal(one({ license: 'MPL-2.0' }).length, 1)
    assert.equal(one({ license: 'MIT AND AGPL-3.0' }).length, 1)
    assert.equal(one({}).length, 1)
  })
})

describe('addresses', () => {
  test('folders of a machine and registry hosts are found', () => {
    const find = (text: string) => addressMistakes([{ path: 'x', text }]).length
    assert.equal(find(`see "/${'home'}/alice/project"`), 1)
    assert.equal(find(`resolved https://registry.${'npmjs.org'}/koa`), 1)
    assert.equal(find('https://id.example.org/home/page and src/work/it.ts'), 0)
  })
})
