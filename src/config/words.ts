/** The kinds of values that only settings use. Messages of refinements go on after "found …, ": they begin with "must". */
import { BlockList, isIP } from 'node:net'
import { z } from 'zod'
import { duration } from '#kernel/kinds.ts'

declare module 'zod' {
  interface GlobalMeta {
    /** What is allowed, where the schema's own words would not help: goes on after "must be ". */
    allowed?: string
  }
}

/** An ISO 8601 duration of at least one second, as seconds. */
export const seconds = (standard: string, help: string) =>
  duration
    .refine((value) => value >= 1, 'must be at least PT1S')
    .prefault(standard)
    .meta({ help })

export const flag = (standard: boolean, help: string) => z.boolean().default(standard).meta({ help })

/** Text without repetitions. */
export const distinct = <T extends z.ZodType>(item: T) =>
  z.array(item).refine((list) => new Set(list).size === list.length, 'must not name the same value twice')

const isRange = (text: string): boolean => {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  if (bits === undefined) return true
  if (!/^\d{1,3}$/.test(bits)) return false
  try {
    new BlockList().addSubnet(address, Number(bits), family === 4 ? 'ipv4' : 'ipv6')
    return true
  } catch {
    return false
  }
}

const RANGE = 'an address or a range such as 10.0.0.0/8'
export const addressRange = z.string().refine(isRange, `must be ${RANGE}`).meta({ allowed: RANGE })

const HOST = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*$/
export const hostOrRange = z
  .string()
  .refine((text) => isRange(text) || HOST.test(text), `must be a host name, ${RANGE}`)
  .meta({ allowed: `a host name, ${RANGE}` })

export const hostName = z
  .string()
  .refine((text) => HOST.test(text) || isIP(text.replace(/^\[(.*)\]$/, '$1')) > 0, 'must be a host name')
  .meta({ allowed: 'a host name' })

const SCOPE = 'a scope (RFC 6749 3.3)'
export const scope = z
  .string()
  .regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, `must be ${SCOPE}`)
  .meta({ allowed: SCOPE })

/** RFC 6749 A: names of request parameters. */
export const parameterName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be the name of a request parameter')
  .meta({ allowed: 'the name of a request parameter' })

/** BCP 47, the simple forms. */
export const language = z
  .string()
  .regex(/^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$/, 'must be a language tag such as en or de-CH')
  .meta({ allowed: 'a language tag such as en or de-CH' })
