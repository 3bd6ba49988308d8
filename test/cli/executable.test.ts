import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openShell } from './shell.ts'

test('the executable finds its configuration: named, by the environment, in the folder, or none', async (t) => {
  const shell = await openShell(t)
  const here = await shell.spawn(['check-config'])
  assert.deepEqual(here, { code: 0, out: './gatehouse.yaml is valid.\n', err: '' })
  const bad = await shell.file('bad.yaml', 'security: hardend')
  const line = 'security: found "hardend", must be one of standard, hardened; did you mean "hardened"?\n'
  assert.deepEqual(await shell.spawn(['check-config', '--config', 'bad.yaml']), { code: 1, out: line, err: '' })
  assert.deepEqual(await shell.spawn(['check-config'], { env: { GATEHOUSE_CONFIG: bad } }), {
    code: 1,
    out: line,
    err: '',
  })
  const missing = await shell.spawn(['check-config', '--config', 'missing.yaml'])
  assert.deepEqual(
    [missing.code, missing.out],
    [1, 'missing.yaml: found no file that can be read (ENOENT), must be YAML or JSON\n'],
  )
  const serve = await shell.spawn(['serve', '--config', bad])
  assert.deepEqual(serve, { code: 1, out: '', err: line })
})

test('help and version answer with code 0', async (t) => {
  const shell = await openShell(t)
  const help = await shell.spawn(['--help'])
  assert.deepEqual([help.code, help.err], [0, ''])
  for (const word of ['serve', 'check-config', 'apply', 'export', 'keys', 'account', 'trace'])
    assert.match(help.out, new RegExp(`^ {2}${word}\\b`, 'm'))
  assert.match((await shell.spawn(['--version'])).out, /^\d+\.\d+\.\d+\n$/)
})

test('a password comes from standard input', async (t) => {
  const shell = await openShell(t)
  const made = await shell.spawn(['account', 'create', 'alice', '--password-stdin', '--json'], { input: 'secret\n' })
  assert.equal(made.code, 0, made.err)
  assert.equal((JSON.parse(made.out) as { password: boolean }).password, true)
})
