/** Debian's nginx on a loopback port in front of nodes, with deploy/nginx.conf: nothing but addresses and places differs. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'

const program =
  process.env.GATEHOUSE_TEST_NGINX ?? ['/usr/sbin/nginx', '/usr/local/sbin/nginx'].find((path) => existsSync(path))

/** For `skip`: in CI nothing may be missing. */
export const nginxMissing: string | false = program || process.env.CI ? false : 'nginx (Debian: nginx)'

export interface Edge {
  /** Of every request so far: the port of the node that answered it (of several asked, the last), and the request line. */
  log(): { readonly port: number; readonly request: string; readonly status: number }[]
}

/** @param port where it listens @param nodes the ports behind it */
export const startNginx = async (t: TestContext, port: number, nodes: readonly number[]): Promise<Edge> => {
  assert.ok(program, 'nginx is missing')
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-nginx-'))
  // Its workers are another user where this runs as root.
  chmodSync(folder, 0o755)
  const log = join(folder, 'access.log')
  const written = readFileSync(new URL('../../deploy/nginx.conf', import.meta.url), 'utf8')
  const named = new Set<string>()
  const text = written
    .replaceAll(/server gatehouse-(\d+):3000/g, (_, number: string) => {
      named.add(number)
      return `server 127.0.0.1:${nodes[Number(number) - 1] ?? assert.fail('a node too many')}`
    })
    .replace('listen 8080;', `listen 127.0.0.1:${port};`)
    .replaceAll('/tmp/nginx', join(folder, 'nginx'))
    .replace('access_log off;', `log_format seen '$upstream_addr|$status|$request'; access_log ${log} seen;`)
  assert.equal(named.size, nodes.length)
  const file = join(folder, 'nginx.conf')
  writeFileSync(file, text)
  const child = spawn(program, ['-p', folder, '-c', file, '-e', 'stderr', '-g', 'daemon off;'], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  t.after(async () => {
    const gone = once(child, 'exit')
    if (child.kill('SIGTERM')) await gone
    rmSync(folder, { recursive: true, force: true })
  })
  const answers = () =>
    fetch(`http://127.0.0.1:${port}/`).then(
      () => true,
      () => false,
    )
  while (!(await answers())) {
    assert.equal(child.exitCode, null, 'nginx ended')
    await delay(20)
  }
  return {
    log: () =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => {
          const [nodes = '', status = '', ...request] = line.split('|')
          return { port: Number(nodes.split(':').at(-1)), status: Number(status), request: request.join('|') }
        }),
  }
}
