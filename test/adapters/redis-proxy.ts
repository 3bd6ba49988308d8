/** A way to a Redis server that counts what goes there, and can lose answers. */
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'

export interface Proxy {
  /** redis:// address of the proxy. */
  readonly url: string
  /** How often something was sent to the server: a round trip each, as long as one waits for its answers. */
  readonly sent: () => number
  /** The next thing that is sent reaches the server; its answer does not come back, the connection ends instead. */
  loseNextAnswer(): void
  /** What is sent from now on takes so many ms to get there. */
  slowDown(ms: number): void
  close(): Promise<void>
}

/** @param to redis:// address of the server */
export const startProxy = async (to: string): Promise<Proxy> => {
  const target = new URL(to)
  const sockets = new Set<Socket>()
  let sent = 0
  let losing = false
  let delayMs = 0
  const server = createServer((near) => {
    const far = createConnection(Number(target.port), target.hostname)
    let silent = false
    near.on('data', (bytes) => {
      sent++
      if (losing) silent = true
      losing = false
      if (delayMs === 0) far.write(bytes)
      else setTimeout(() => far.writable && far.write(bytes), delayMs)
    })
    far.on('data', (bytes) => {
      if (silent) near.destroy()
      else near.write(bytes)
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      // Either side may end at any moment; the other one follows.
      one
        .on('error', () => undefined)
        .once('close', () => {
          sockets.delete(one)
          other.destroy()
        })
    }
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `redis://127.0.0.1:${address.port}`,
    sent: () => sent,
    loseNextAnswer: () => {
      losing = true
    },
    slowDown: (ms) => {
      delayMs = ms
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}
