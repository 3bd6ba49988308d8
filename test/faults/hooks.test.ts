/** The executable with hooks that do their worst: they are refused, the server stays, and no process is left over. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, type TestContext, test } from 'node:test'
import { codeOf, signIn, until } from '#test/attacks/house.ts'
import { openShell, type Server, serve } from '#test/cli/shell.ts'
import { alice, client, freePort, redeem } from '#test/flows/world.ts'
import { hookFolder } from '#test/hooks/world.ts'

/** The processes that this one started, by /proc. */
const childrenOf = (pid: number): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        const [, parent] = readFileSync(`/proc/${name}/stat`, 'latin1')
          .replace(/^.*\) /s, '')
          .split(' ')
        return Number(parent) === pid
      } catch {
        return false
      }
    })
    .map(Number)

/** Gone, or dead and only waiting for whoever inherited it. */
const isGone = (pid: number): boolean => {
  try {
    return / Z /.test(readFileSync(`/proc/${pid}/stat`, 'latin1').replace(/^.*\)/s, ''))
  } catch {
    return true
  }
}

const begin = async (t: TestContext, hook: string | undefined, env?: Readonly<Record<string, string>>) => {
  const port = await freePort()
  const shell = await openShell(t, {
    issuer: `http://localhost:${port}`,
    clients: [client({ trusted: true })],
    accounts: [alice],
    ...(hook !== undefined && { hooks: [hookFolder({ 'a.ts': hook })] }),
  })
  const server = await serve(t, shell, port, env)
  const lines = () =>
    server
      .log()
      .split('\n')
      .flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Record<string, unknown>] : []))
  return { ...server, lines }
}

const register = async ({ issuer }: Server, client_name: string) => {
  const response = await fetch(`${issuer}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ client_name, redirect_uris: ['https://rp.example/cb'] }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const onlyChildOf = ({ pid }: Server): number => {
  const [child, ...others] = childrenOf(pid)
  assert.deepEqual(others, [])
  return child ?? assert.fail('the server has no process for its hooks')
}

/** A hook file that does such a thing when a client of that name registers. */
const doing = (bodies: Readonly<Record<string, string>>) =>
  `const kept: unknown[] = []
  const worst: Record<string, () => void> = { ${Object.entries(bodies).map(([name, body]) => `${name}() { ${body} }`)} }
  export default { registration(metadata: any) { worst[metadata.client_name]?.() } }`

const LOOP = { loop: `console.log('around'); for (;;);` }

type Begun = Awaited<ReturnType<typeof begin>>
const looping = (server: Begun) =>
  until(() => server.lines().some(({ event, line }) => event === 'hook.log' && line === 'around'), 'the loop')

describe('hooks at their worst', { skip: process.platform !== 'linux' && 'looks into /proc' }, () => {
  test('memory without end: refused, while others sign in; the hooks come back', async (t) => {
    const bad = {
      objects: 'for (;;) kept.push(new Array(10_000).fill(kept.length))',
      buffers: 'for (;;) kept.push(Buffer.alloc(1_000_000, 1))',
    }
    const server = await begin(t, doing(bad))
    for (const name of Object.keys(bad)) {
      const child = onlyChildOf(server)
      const eating = register(server, name)
      const tokens = await redeem(server.issuer, codeOf(await signIn(server)))
      assert.equal(tokens.status, 200)
      const { status, body: answer } = await eating
      assert.deepEqual([status, answer.error], [400, 'temporarily_unavailable'])
      await until(async () => (await register(server, 'good')).status === 201, 'a registration')
      assert.notEqual(onlyChildOf(server), child)
    }
    const reasons = server.lines().flatMap(({ event, reason }) => (event === 'hook.ended' ? [reason] : []))
    assert.equal(reasons.length, 2)
    for (const reason of reasons) assert.match(String(reason), /^it took more than \d+ MB of memory$|^it was stuck$/)
    assert.equal(await server.stop(), 0)
  })

  test('no process is left when the server is killed, while its hooks are idle', async (t) => {
    const server = await begin(t, doing(LOOP))
    const child = onlyChildOf(server)
    await server.kill()
    await until(() => isGone(child), 'the end of the hooks’ process')
  })

  test('no process is left when the server is killed, while its hooks are in a loop without end', async (t) => {
    const server = await begin(t, doing(LOOP))
    const child = onlyChildOf(server)
    const asked = register(server, 'loop').catch(() => undefined)
    await looping(server)
    await server.kill()
    await until(() => isGone(child), 'the end of the hooks’ process')
    await asked
  })

  test('nor when it is stopped meanwhile; what is in flight is refused', async (t) => {
    const server = await begin(t, doing(LOOP))
    const child = onlyChildOf(server)
    const asked = register(server, 'loop')
    await looping(server)
    assert.equal(await server.stop(), 0)
    assert.ok(isGone(child))
    assert.equal((await asked).status, 400)
  })

  test('a signal that reaches the whole group leaves the hooks at work until the server has finished', async (t) => {
    const server = await begin(t, doing(LOOP))
    const child = onlyChildOf(server)
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(child, signal)
    assert.equal((await register(server, 'good')).status, 201)
    assert.equal(onlyChildOf(server), child)
  })

  test('of the server’s environment a hook sees what is meant for it', async (t) => {
    const secret = Buffer.alloc(32, 7).toString('base64url')
    const server = await begin(t, `console.log(Object.keys(process.env).join(' '))\n${doing(LOOP)}`, {
      GATEHOUSE__MASTERKEY: secret,
      SMTP_PASSWORD: 'hunter2',
      HTTPS_PROXY: 'http://user:secret@127.0.0.1:1',
      NODE_OPTIONS: '--no-deprecation',
      TZ: 'Europe/Berlin',
      HOOK_DIRECTORY_TOKEN: 'for-the-hook',
    })
    const line = server.lines().find(({ event }) => event === 'hook.log')?.line
    const names = String(line).split(' ').sort()
    assert.deepEqual(
      names.filter((name) => !['NODE_COMPILE_CACHE', 'PATH'].includes(name)),
      ['HOOK_DIRECTORY_TOKEN', 'TZ'],
    )
    const child = onlyChildOf(server)
    assert.equal(await server.stop(), 0)
    assert.ok(isGone(child))
  })

  test('without hooks there is no process', async (t) => {
    const server = await begin(t, undefined)
    assert.deepEqual(childrenOf(server.pid), [])
    assert.equal((await register(server, 'good')).status, 201)
    assert.deepEqual(childrenOf(server.pid), [])
  })
})
