/**
 * Stands between the store and its server, counts commands, and takes the connection away at one of them: for the server
 * a process that died half-way, at exactly that command. Or answers a command itself, as a server in trouble would.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import type { TestContext } from 'node:test'
import { BSON } from 'mongodb'

const OP_MSG = 2013
/** Flags and the kind of the first section come before its document. */
const BODY = 21
/** What drivers send on their own account. */
const chatter = new Set(['hello', 'isMaster', 'ismaster', 'ping', 'endSessions', 'killCursors'])

export type Command = Readonly<Record<string, unknown>>
/** What becomes of a command: on its way, the last thing that reaches the server, or answered with this document. */
export type Verdict = 'pass' | 'cut' | Readonly<Record<string, unknown>>

/** A command waits for a verdict that is a promise. */
export type Judge = (name: string, command: Command) => Verdict | Promise<Verdict>

const reply = (requestId: number, document: Readonly<Record<string, unknown>>): Buffer => {
  const body = BSON.serialize(document)
  const message = Buffer.alloc(BODY + body.length)
  message.writeInt32LE(message.length, 0)
  message.writeInt32LE(requestId, 8)
  message.writeInt32LE(OP_MSG, 12)
  message.set(body, BODY)
  return message
}

export class Middleman {
  readonly #server: Server
  readonly #port: number
  readonly #sockets = new Set<Socket>()
  readonly #judge: Judge
  #cut = false

  private constructor(server: Server, port: number, judge: Judge) {
    this.#server = server
    this.#port = port
    this.#judge = judge
    server.on('connection', (client) => this.#connect(client))
  }

  /** `judge` sees every command but the driver's own chatter. Closed after the test. */
  static async open(t: TestContext, port: number, judge: Judge): Promise<Middleman> {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const proxy = new Middleman(server, port, judge)
    t.after(() => {
      proxy.cut()
      server.close()
    })
    return proxy
  }

  /** With a driver that tries nothing again by itself and comes back soon. */
  url(database: string): string {
    const address = this.#server.address()
    const port = typeof address === 'object' ? address?.port : 0
    const path = new URL(database).pathname
    return `mongodb://127.0.0.1:${port}${path}?retryReads=false&retryWrites=false&minHeartbeatFrequencyMS=20&heartbeatFrequencyMS=500&serverSelectionTimeoutMS=500&waitQueueTimeoutMS=500`
  }

  cut(): void {
    this.#cut = true
    for (const socket of this.#sockets) socket.destroy()
  }

  heal(): void {
    this.#cut = false
  }

  #connect(client: Socket): void {
    if (this.#cut) return void client.destroy()
    const server = connect(this.#port, '127.0.0.1')
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket
        .on('error', () => {})
        .once('close', () => {
          this.#sockets.delete(socket)
          client.destroy()
          server.destroy()
        })
    }
    server.on('data', (data) => client.write(data))
    let waiting = Buffer.alloc(0)
    client.on('data', (data) => {
      waiting = Buffer.concat([waiting, data])
      while (waiting.length >= 4 && waiting.length >= waiting.readInt32LE(0)) {
        const message = waiting.subarray(0, waiting.readInt32LE(0))
        waiting = waiting.subarray(message.length)
        this.#forward(message, client, server)
      }
    })
  }

  #forward(message: Buffer, client: Socket, server: Socket): void {
    const command = message.readInt32LE(12) === OP_MSG ? commandOf(message) : {}
    const name = Object.keys(command)[0] ?? 'hello'
    if (chatter.has(name)) return void server.write(message)
    const carryOut = (verdict: Verdict) => this.#carryOut(verdict, message, client, server)
    const verdict = this.#judge(name, command)
    if (verdict instanceof Promise) void verdict.then(carryOut)
    else carryOut(verdict)
  }

  #carryOut(verdict: Verdict, message: Buffer, client: Socket, server: Socket): void {
    if (typeof verdict === 'object') return void client.write(reply(message.readInt32LE(4), verdict))
    if (verdict === 'pass') return void server.write(message)
    // The server has done it when it answers; the answer goes nowhere.
    server.removeAllListeners('data').write(message)
    server.once('data', () => this.cut())
  }
}

const commandOf = (message: Buffer): Command =>
  BSON.deserialize(message.subarray(BODY, BODY + message.readInt32LE(BODY)), { promoteBuffers: true })
