/** Structured logs: one JSON object a line, redacted before any sink sees it. The only place that imports pino. */
import { pino } from 'pino'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export interface Log {
  debug(event: string, fields?: Record<string, unknown>): void
  info(event: string, fields?: Record<string, unknown>): void
  warn(event: string, fields?: Record<string, unknown>): void
  error(event: string, fields?: Record<string, unknown>): void
  flush(): void
}

/** Names whose values never reach a log, a trace or an API answer, at any depth. Settings and records add theirs by `meta({ secret: true })`. */
const secretNames = new Set([
  'password',
  'passwordhash',
  'client_secret',
  'clientsecret',
  'consumersecret',
  'secret',
  'masterkey',
  'authorization',
  'cookie',
  'set-cookie',
  'code',
  'code_verifier',
  'access_token',
  'refresh_token',
  'id_token',
  'id_token_hint',
  'token',
  'client_assertion',
  'registration_access_token',
  'initial_access_token',
  'state',
  'nonce',
  'logout_token',
  'private_key',
  'd',
  'p',
  'q',
  'dp',
  'dq',
  'qi',
  'k',
  'jti',
  'assertion',
  'request',
  'samlresponse',
  'idtoken',
  'pairwisekey',
  'pairwisesalt',
])

/** Adds names to the redaction; wire calls it with what the schemas mark as secret. */
export const redactAlso = (names: Iterable<string>): void => {
  for (const name of names) secretNames.add(name.toLowerCase())
}

const isSecret = (name: string, value: unknown): boolean =>
  secretNames.has(name.toLowerCase()) && value !== undefined && (typeof value !== 'object' || Array.isArray(value))

/** A copy that is safe to write down: secrets replaced, errors made plain, long strings cut, depth bounded. */
export const redact = (value: unknown, depth = 0): unknown => {
  if (typeof value === 'string') return value.length > 2000 ? `${value.slice(0, 2000)}…` : value
  if (typeof value !== 'object' || value === null) return typeof value === 'bigint' ? String(value) : value
  if (depth > 8) return '[deep]'
  if (value instanceof Error) {
    const { code, detail, cause } = value as Error & { code?: unknown; detail?: unknown }
    return redact(
      { name: value.name, message: value.message, fault: code, detail, cause, stack: value.stack },
      depth + 1,
    )
  }
  if (value instanceof URL) return `${value.origin}${value.pathname}`
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redact(item, depth + 1))
  if (value instanceof Uint8Array) return '[bytes]'
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [name, isSecret(name, item) ? '[redacted]' : redact(item, depth + 1)]),
  )
}

let second = 0
let upToSecond = ''

/** As pino's `isoTime`; what changes once a second is made once a second. */
const isoTime = (): string => {
  const now = Date.now()
  const ms = now % 1000
  if (now - ms !== second) {
    second = now - ms
    upToSecond = new Date(second).toISOString().slice(0, -4)
  }
  return `,"time":"${upToSecond}${String(ms).padStart(3, '0')}Z"`
}

/** Lines go out together, after so many characters or ms: a system call for each would cost more than what it says. */
const GATHERED = 8192
const GATHER_MS = 100

/**
 * @param write receives whole lines; the default is standard output
 * @param onError called for each line of the level `error`
 */
export const createLog = (level: LogLevel, write?: (line: string) => void, onError?: () => void): Log => {
  const sink = write
    ? { write, flush: () => undefined }
    : pino.destination({ fd: 1, sync: false, minLength: GATHERED, periodicFlush: GATHER_MS })
  const target = pino(
    {
      level,
      base: null,
      timestamp: isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    sink,
  )
  const at =
    (method: LogLevel) =>
    (event: string, fields: Record<string, unknown> = {}) => {
      if (target.isLevelEnabled(method)) target[method]({ event, ...(redact(fields) as Record<string, unknown>) })
    }
  const error = at('error')
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error(event, fields) {
      onError?.()
      error(event, fields)
      sink.flush()
    },
    flush: () => 'flushSync' in sink && sink.flushSync(),
  }
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, flush() {} }
