/** What the driver and the server say, as the one Fault that callers of a store know. Nothing of a URL's credentials passes. */
import {
  MongoCompatibilityError,
  type MongoError,
  MongoNetworkError,
  MongoNetworkTimeoutError,
  MongoServerError,
  MongoServerSelectionError,
  MongoWriteConcernError,
} from 'mongodb'
import { Fault, isFault } from '#kernel/faults.ts'

const NOT_PRIMARY =
  'the database server is not the primary of its replica set: the address needs all members, or replicaSet=NAME'

/** Codes of the server (MongoDB manual, "Error Codes"), for the log. */
const serverReasons: Record<number, string> = {
  13: 'the user lacks a permission: it needs the role readWrite on the database',
  18: 'user name or password are refused by the database (is authSource right?)',
  50: 'the database needed too long',
  64: 'the write was not confirmed by a majority of the replica set',
  91: 'the database server is shutting down',
  100: 'the write was not confirmed by a majority of the replica set',
  189: 'the primary of the replica set has stepped down',
  10058: NOT_PRIMARY,
  10107: NOT_PRIMARY,
  11600: 'the database server is shutting down',
  13435: NOT_PRIMARY,
  14031: 'the disk of the database server is full',
}

/** Codes of Node's sockets and of OpenSSL (`X509_V_ERR_…`). */
const networkReasons: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (ECONNREFUSED)',
  ENOTFOUND: 'the host name is unknown (ENOTFOUND)',
  EAI_AGAIN: 'the host name cannot be looked up at the moment (EAI_AGAIN)',
  EHOSTUNREACH: 'there is no way to the host (EHOSTUNREACH)',
  ENETUNREACH: 'there is no way to the host (ENETUNREACH)',
  ETIMEDOUT: 'the host does not answer (ETIMEDOUT)',
  ECONNRESET: 'the server closed the connection; do both sides use TLS, or neither (tls=true)?',
  EPROTO: 'the server does not speak TLS at this port (EPROTO)',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS at this port',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'the server does not speak TLS at this port',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its TLS certificate is self-signed; name it with tlsCAFile',
  SELF_SIGNED_CERT_IN_CHAIN: 'its TLS certificate comes from an unknown authority; name that with tlsCAFile',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its TLS certificate comes from an unknown authority; name that with tlsCAFile',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its TLS certificate comes from an unknown authority; name that with tlsCAFile',
  CERT_HAS_EXPIRED: 'its TLS certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its TLS certificate belongs to another host name',
}

/** The error and all that it names as its cause. */
const chainOf = (error: unknown): Error[] => {
  const chain: Error[] = []
  for (let one = error; one instanceof Error && chain.length < 8; one = one.cause) chain.push(one)
  return chain
}

const codeOf = (error: Error): unknown => ('code' in error ? error.code : undefined)

/** What each unreachable server said, from the driver's picture of the deployment. */
const serverErrors = (error: MongoServerSelectionError): Error[] => {
  const servers: Iterable<{ error: MongoError | null }> = error.reason?.servers?.values() ?? []
  return Array.from(servers).flatMap((server) => chainOf(server.error))
}

const networkReason = (errors: readonly Error[]): string | undefined => {
  for (const error of errors) {
    const reason = networkReasons[String(codeOf(error))]
    if (reason) return reason
  }
  if (errors.some((error) => error instanceof MongoNetworkTimeoutError || /timed out/.test(error.message)))
    return 'it did not answer in time'
  if (errors.some((error) => /connection .* closed/.test(error.message)))
    return 'the server closed the connection; do both sides use TLS, or neither (tls=true)?'
  return undefined
}

/** Neither user nor password of a connection string may reach a log. */
const withoutUrls = (message: string): string =>
  message.replace(/\bmongodb(?:\+srv)?:\/\/\S*/gi, 'mongodb://…').slice(0, 300)

const reasonOf = (error: unknown): string => {
  const chain = chainOf(error)
  if (error instanceof MongoServerSelectionError) chain.push(...serverErrors(error))
  const old = chain.find((one) => one instanceof MongoCompatibilityError)
  if (old) return `MongoDB 4.4 or newer is needed: ${withoutUrls(old.message)}`
  for (const one of chain) {
    const reason = one instanceof MongoServerError ? serverReasons[Number(one.code)] : undefined
    if (reason) return reason
  }
  if (error instanceof MongoWriteConcernError) return 'the write was not confirmed by a majority of the replica set'
  if (error instanceof MongoServerSelectionError || error instanceof MongoNetworkError) {
    const why = networkReason(chain) ?? withoutUrls(chain.at(-1)?.message ?? '')
    return `the database cannot be reached: ${why}`
  }
  return withoutUrls(error instanceof Error ? error.message : String(error))
}

/** Fault `store.unavailable` with a sentence for the administrator in `detail.reason`. */
export const unavailable = (path: string, reason: string, cause?: unknown): Fault =>
  new Fault('store.unavailable', { path, reason }, cause)

/** Anything thrown by the driver as a Fault; Faults pass through. What happened to a write that failed so is unknown. */
export const toFault = (path: string, error: unknown): Fault =>
  isFault(error) ? error : unavailable(path, reasonOf(error), error)

/** Another document has this `_id` already. */
export const isDuplicate = (error: unknown): boolean => error instanceof MongoServerError && error.code === 11000

/** The server understood and said no: trying again later does not help. */
export const isRefusal = (error: unknown): boolean =>
  error instanceof MongoServerError && error.code !== 13 && !error.hasErrorLabel('RetryableWriteError')

/** At the opening: worth another try, because the server may only be slow or just starting. */
export const isPassing = (error: unknown): boolean => {
  if (!(error instanceof MongoServerSelectionError)) return false
  const errors = [...chainOf(error), ...serverErrors(error)]
  return (
    !errors.some((one) => one instanceof MongoCompatibilityError) &&
    !errors.some((one) => networkReasons[String(codeOf(one))])
  )
}
