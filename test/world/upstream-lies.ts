/** Everything that the test provider can do wrong, one at a time. */
import { randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { JWTPayload } from 'jose'

/** What the provider does wrong in its ID token, its authorization response or its userinfo. */
export type Lie =
  | 'signature'
  | 'foreign key'
  | 'alg none'
  | 'alg HS256 with the public key'
  | 'unknown kid'
  | 'embedded key'
  | 'issuer'
  | 'audience'
  | 'further audience without azp'
  | 'azp'
  | 'nonce'
  | 'no nonce'
  | 'expired'
  | 'no exp'
  | 'not yet valid'
  | 'issued in the future'
  | 'issued long ago'
  | 'no subject'
  | 'empty subject'
  | 'subject not a string'
  | 'endless subject'
  | 'no id token'
  | 'id token no JWT'
  | 'old authentication'
  | 'no auth_time'
  | 'response iss of another'
  | 'no response iss'
  | 'another state'
  | 'no state'
  | 'code twice'
  | 'no code'
  | 'userinfo sub'
  | 'userinfo without sub'
  | 'discovery issuer'

export type Endpoint = 'discovery' | 'jwks' | 'authorize' | 'token' | 'userinfo' | 'par'
export const ailments = ['hangs', 'dribbles', 'huge', '500', '503', 'not JSON', 'redirects', 'breaks off'] as const
export type Ailment = (typeof ailments)[number]
export type Tamper = Lie | `${Endpoint} ${Ailment}` | `says ${string}` | `token says ${string}`

export const seconds = (): number => Math.floor(Date.now() / 1000)

/** The claims of an ID token, with the one that the lie is about spoiled. */
export const claimsOf = (good: JWTPayload, tamper: Tamper | undefined): JWTPayload => {
  const now = seconds()
  const without = (claim: string) => Object.fromEntries(Object.entries(good).filter(([name]) => name !== claim))
  const us = String(good.aud)
  const lies: Partial<Record<Tamper, JWTPayload>> = {
    issuer: { ...good, iss: 'https://evil.example' },
    audience: { ...good, aud: 'somebody-else' },
    'further audience without azp': { ...good, aud: [us, 'somebody-else'] },
    azp: { ...good, aud: [us, 'somebody-else'], azp: 'somebody-else' },
    nonce: { ...good, nonce: randomUUID() },
    'no nonce': without('nonce'),
    expired: { ...good, iat: now - 7200, exp: now - 3600 },
    'no exp': without('exp'),
    'not yet valid': { ...good, nbf: now + 3600 },
    'issued in the future': { ...good, iat: now + 3600, exp: now + 7200 },
    'issued long ago': { ...good, iat: now - 86_400 },
    'no subject': without('sub'),
    'empty subject': { ...good, sub: '' },
    'subject not a string': { ...good, sub: 42 as unknown as string },
    'endless subject': { ...good, sub: 'x'.repeat(256) },
    'old authentication': { ...good, auth_time: now - 3600 },
    'no auth_time': without('auth_time'),
  }
  return (tamper && lies[tamper]) ?? good
}

/** Answers the way the ailment wants, or not at all. */
export const ail = (ailment: Ailment, res: ServerResponse): void => {
  switch (ailment) {
    case 'hangs':
      return
    case 'dribbles': {
      res.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => res.write(' '), 20)
      res.on('close', () => clearInterval(timer))
      return
    }
    case 'huge': {
      res.writeHead(200, { 'content-type': 'application/json' })
      const block = Buffer.alloc(64 * 1024, ' ')
      const more = () => {
        while (!res.destroyed && res.write(block));
      }
      res.on('drain', more)
      more()
      return
    }
    case 'breaks off':
      res.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' }).write('{')
      return void setTimeout(() => res.destroy(), 20)
    case 'not JSON':
      return void res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome</h1>')
    case 'redirects':
      return void res.writeHead(302, { location: '/elsewhere' }).end()
    default:
      return void res.writeHead(Number(ailment), { 'content-type': 'text/html' }).end('<h1>Oops</h1>')
  }
}

/** The same token with one bit of its signature changed. */
export const spoil = (token: string): string => {
  const [header, payload, signature = ''] = token.split('.')
  const bytes = Buffer.from(signature, 'base64url')
  bytes[10] = (bytes[10] ?? 0) ^ 1
  return `${header}.${payload}.${bytes.toString('base64url')}`
}
