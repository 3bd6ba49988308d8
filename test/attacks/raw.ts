/**
 * Requests byte by byte, so that nothing on the way repairs what a test breaks, and the rules that every answer to bad
 * input keeps: in time, never 5xx, no foreign markup or header, an error page or OAuth error that says what happened.
 */
import assert from 'node:assert/strict'
import { connect } from 'node:net'

export interface Answer {
  /** 0: the connection was closed without an answer. */
  readonly status: number
  /** Lower-case names; repeated ones joined by a line feed. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Header = readonly [name: string, value: string]

export interface Asked {
  readonly method?: string
  /** Sent as it is. */
  readonly target: string
  /** Besides Host (unless given here) and `connection: close`. */
  readonly headers?: readonly Header[]
  readonly body?: string | Buffer
}

export const FORM: Header = ['content-type', 'application/x-www-form-urlencoded']
export const JSON_TYPE: Header = ['content-type', 'application/json']
/** What browsers send with a navigation. */
export const HTML: Header = ['accept', 'text/html,application/xhtml+xml;q=0.9,*/*;q=0.8']

/** Longest that any answer may take; the slowest honest one hashes a password behind a queue. */
const PATIENCE_MS = 8_000

const unchunk = (body: Buffer): Buffer => {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const end = body.indexOf('\r\n', at)
    const size = end < 0 ? Number.NaN : Number.parseInt(body.subarray(at, end).toString('latin1'), 16)
    if (!(size > 0)) return Buffer.concat(parts)
    parts.push(body.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}

const parse = (bytes: Buffer): Answer => {
  const end = bytes.indexOf('\r\n\r\n')
  if (end < 0) return { status: 0, headers: {}, body: '' }
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const status = Number(first.split(' ')[1])
  const rest = bytes.subarray(end + 4)
  if (status >= 100 && status < 200) return parse(rest)
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}\n${value}`
  }
  const body = headers['transfer-encoding'] === 'chunked' ? unchunk(rest) : rest
  return { status, headers, body: body.toString() }
}

/** Sends bytes over a connection of their own and reads until the other side closes. Rejects when that takes too long. */
export const exchange = (port: number, bytes: string | Buffer, patienceMs = PATIENCE_MS): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect(port, '127.0.0.1')
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end of an answer within ${patienceMs} ms:\n${String(bytes).slice(0, 500)}`))
    }, patienceMs)
    const done = () => {
      clearTimeout(timer)
      socket.destroy()
      resolve(parse(Buffer.concat(chunks)))
    }
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    socket.on('end', done)
    // A refused body is cut off while it is still being sent; what was answered before counts.
    socket.on('error', done)
    socket.write(bytes)
  })

/** A request as bytes. `host` is what the issuer is called. */
export const bytesOf = (host: string, { method = 'GET', target, headers = [], body }: Asked): Buffer => {
  const named = new Set(headers.map(([name]) => name.toLowerCase()))
  const all: Header[] = [
    ...(named.has('host') ? [] : [['host', host] as const]),
    ...(named.has('connection') ? [] : [['connection', 'close'] as const]),
    ...headers,
    ...(body === undefined || named.has('content-length') || named.has('transfer-encoding')
      ? []
      : [['content-length', String(Buffer.byteLength(body))] as const]),
  ]
  const head = `${method} ${target} HTTP/1.1\r\n${all.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body ?? '')])
}

/** @param issuer of a server on this machine's loopback */
export const asker = (issuer: string): ((asked: Asked) => Promise<Answer>) => {
  const { host, port } = new URL(issuer)
  return (asked) => exchange(Number(port), bytesOf(host, asked))
}

/** What attackers try to get into a page; a page that shows one of the two did not escape it. */
export const MARKUP = `"'><script>alert(7)</script><img src=x onerror=alert(7)>`
const reflected = /<script>alert|<img src=x/i
/** The header that a CR LF in a parameter tries to add. */
export const SPLIT = 'x\r\nx-injected: yes\r\n\r\n<script>alert(7)</script>'

const isPage = ({ headers }: Answer) => headers['content-type']?.startsWith('text/html') ?? false

/** Asserts what must hold for the answer to any input. @param what names the input in the message */
export const judge = (answer: Answer, what: string, { machine = false } = {}): void => {
  const { status, headers, body } = answer
  const told = `${what.slice(0, 600)}\n→ ${status} ${JSON.stringify(headers)}\n${body.slice(0, 800)}`
  assert.ok(status >= 200 && status < 500, told)
  assert.equal(headers['x-injected'], undefined, told)
  assert.doesNotMatch(body, /\bat [\w.<>]+ \(?(?:file|node):/, `a stack trace: ${told}`)
  if (isPage(answer)) {
    assert.doesNotMatch(body, reflected, `markup reflected: ${told}`)
    if (status >= 400 && /id="page-error"/.test(body)) {
      assert.match(body, /<code id="error">[a-z_]+<\/code>/, told)
      assert.match(body, /<code id="reference">[A-Z0-9]{6,}<\/code>/, told)
    }
  } else if (body !== '') assert.match(headers['content-type'] ?? '', /^(?!text\/html)/, told)
  if (body !== '') assert.equal(headers['x-content-type-options'], 'nosniff', told)
  if (status >= 400 && machine && body !== '') {
    assert.match(headers['content-type'] ?? '', /^application\/(problem\+)?json/, told)
    assert.match(String((JSON.parse(body) as { error?: unknown }).error), /^[a-z_]+$/, told)
  }
}
