/** `./gatehouse` finds itself and its Node from anywhere, and says in one line what is missing. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { root } from '../../scripts/tree.ts'

const made: string[] = []
after(() => made.map((folder) => rmSync(folder, { recursive: true, force: true })))

/** A tree with nothing but the executable and a main.ts that shows what it was given. */
const tree = ({ installed, ownNode }: { installed: boolean; ownNode: boolean }): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'gatehouse tree ')))
  made.push(folder)
  mkdirSync(join(folder, 'src'))
  copyFileSync(join(root, 'gatehouse'), join(folder, 'gatehouse'))
  writeFileSync(join(folder, 'src/main.ts'), 'console.log(JSON.stringify([process.cwd(), ...process.argv.slice(2)]))')
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  if (installed) mkdirSync(join(folder, 'node_modules/oidc-provider'), { recursive: true })
  if (ownNode) {
    mkdirSync(join(folder, 'node_modules/.bin'), { recursive: true })
    symlinkSync(process.execPath, join(folder, 'node_modules/.bin/node'))
  }
  return folder
}

const run = (program: string, { cwd, path = '/usr/bin:/bin' }: { cwd: string; path?: string }, ...words: string[]) =>
  spawnSync(program, words, { cwd, env: { PATH: path }, encoding: 'utf8' })

/** A folder with a `node` that claims to be old. */
const oldNode = (folder: string): string => {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'node'), '#!/bin/sh\n[ "$1" = --version ] && echo v20.1.0\n[ "$1" != -e ]\n')
  chmodSync(join(bin, 'node'), 0o755)
  return `${bin}:/usr/bin:/bin`
}

test('from another directory, through links, with odd arguments', () => {
  const folder = tree({ installed: true, ownNode: true })
  mkdirSync(join(folder, 'links'))
  symlinkSync('../gatehouse', join(folder, 'links/one'))
  symlinkSync(join(folder, 'links/one'), join(folder, 'links/two'))
  const { stdout, stderr, status } = run(join(folder, 'links/two'), { cwd: '/' }, 'serve', 'a b', '')
  assert.equal(status, 0, stderr)
  assert.deepEqual(JSON.parse(stdout), ['/', 'serve', 'a b', ''])
})

test('nothing installed: one line that says what to do', () => {
  const folder = tree({ installed: false, ownNode: false })
  const { stderr, status } = run(join(folder, 'gatehouse'), { cwd: folder }, 'serve')
  assert.equal(status, 1)
  assert.equal(stderr, `gatehouse: not installed yet: run 'make install' in ${folder}\n`)
})

test('only an old Node: one line that names what was found', () => {
  const folder = tree({ installed: true, ownNode: false })
  const { stderr, status } = run(join(folder, 'gatehouse'), { cwd: folder, path: oldNode(folder) }, 'serve')
  assert.equal(status, 1)
  assert.match(stderr, /^gatehouse: Node 24\.7 or newer is needed, v20\.1\.0 was found: .+\n$/)
})

test("the machine's own Node when it is new enough", () => {
  const folder = tree({ installed: true, ownNode: false })
  mkdirSync(join(folder, 'bin'))
  symlinkSync(process.execPath, join(folder, 'bin/node'))
  const { stdout, stderr } = run(
    join(folder, 'gatehouse'),
    { cwd: folder, path: `${join(folder, 'bin')}:/usr/bin:/bin` },
    'x',
  )
  assert.deepEqual(JSON.parse(stdout || `"${stderr}"`), [folder, 'x'])
})
