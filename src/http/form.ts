/**
 * Reads what a plain HTML form sends (application/x-www-form-urlencoded, UTF-8) with limits, and query strings by the
 * same rules. A field given twice is refused unless the route names it as repeatable: two readers of such a request
 * would otherwise see different values (HAZARDS 15.3.7, parameter pollution).
 */
import type { IncomingMessage } from 'node:http'
import { Fault } from '#kernel/faults.ts'

/** Bytes of a form on our own routes. */
export const MOST_FORM = 65_536
const MOST_FIELDS = 200
const MOST_NAME = 256

export interface Fields {
  /** The field's value; undefined when it was not sent. Throws Fault `request.invalid` for one that was sent twice. */
  get(name: string): string | undefined
  /** All values of a field that may repeat. */
  all(name: string): readonly string[]
  /** Every field once, without a prototype. Throws like `get`. */
  plain(): Readonly<Record<string, string>>
  /** As sent, for protocols that read them their own way. */
  readonly params: URLSearchParams
}

/** Refuses what decodes leniently: broken percent signs, bytes that are not UTF-8, NUL. */
const decode = (text: string): string => {
  let value: string
  try {
    value = decodeURIComponent(text.replaceAll('+', ' '))
  } catch (cause) {
    throw new Fault('request.invalid', { what: 'encoding' }, cause)
  }
  if (value.includes('\0')) throw new Fault('request.invalid', { what: 'encoding' })
  return value
}

/** @param text without a leading `?` */
export const parseFields = (text: string): Fields => {
  const params = new URLSearchParams()
  const parts = text === '' ? [] : text.split('&', MOST_FIELDS + 1)
  if (parts.length > MOST_FIELDS) throw new Fault('request.invalid', { what: 'too many fields' })
  for (const part of parts) {
    if (part === '') continue
    const cut = part.indexOf('=')
    const name = decode(cut < 0 ? part : part.slice(0, cut))
    if (name.length > MOST_NAME) throw new Fault('request.invalid', { what: 'field name' })
    params.append(name, cut < 0 ? '' : decode(part.slice(cut + 1)))
  }
  const get = (name: string) => {
    const values = params.getAll(name)
    if (values.length > 1) throw new Fault('request.invalid', { what: 'doubled field', field: name.slice(0, 64) })
    return values[0]
  }
  return {
    params,
    get,
    all: (name) => params.getAll(name),
    plain: () => {
      const fields: Record<string, string> = Object.create(null)
      for (const name of new Set(params.keys())) fields[name] = get(name) ?? ''
      return fields
    },
  }
}

const checkHead = (req: IncomingMessage) => {
  const [type = '', ...parameters] = (req.headers['content-type'] ?? '')
    .split(';')
    .map((part) => part.trim().toLowerCase())
  if (type !== 'application/x-www-form-urlencoded')
    throw new Fault('request.invalid', { what: 'content type', type: type.slice(0, 64) })
  const charset = parameters
    .find((parameter) => parameter.startsWith('charset='))
    ?.slice(8)
    .replaceAll('"', '')
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')
    throw new Fault('request.invalid', { what: 'charset', charset: charset.slice(0, 64) })
  const encoding = req.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity')
    throw new Fault('request.invalid', { what: 'content encoding' })
}

/** The whole body as bytes. Throws Fault `request.too-large` past `limit`, `request.invalid` when the client went away. */
const readBody = async (req: IncomingMessage, limit: number): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let size = 0
  try {
    // Without destroying the stream on the way out: the refusal still has to be sent.
    for await (const chunk of req.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size > limit) break
      chunks.push(chunk)
    }
  } catch (cause) {
    throw new Fault('request.invalid', { what: 'aborted' }, cause)
  }
  if (size > limit) throw new Fault('request.too-large', { what: 'form', limit })
  return Buffer.concat(chunks)
}

const text = (body: Buffer): string => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
  } catch (cause) {
    throw new Fault('request.invalid', { what: 'encoding' }, cause)
  }
}

/**
 * Reads the request's form.
 * @param repeatable fields that may be sent more than once (checkboxes)
 * @param limit bytes
 */
export const readForm = async (
  req: IncomingMessage,
  repeatable: readonly string[] = [],
  limit = MOST_FORM,
): Promise<Fields> => {
  checkHead(req)
  if (Number(req.headers['content-length'] ?? 0) > limit) throw new Fault('request.too-large', { what: 'form', limit })
  const body = await readBody(req, limit)
  const fields = parseFields(text(body))
  for (const name of new Set(fields.params.keys())) if (!repeatable.includes(name)) fields.get(name)
  return fields
}
