/**
 * argon2id with Gatehouse's parameters (OWASP Password Storage: m=19456 t=2 p=1) on node:crypto alone: the bare server
 * must do the work that no login can avoid, without taking our code for it.
 */
import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(argon2)
const COST = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 }

const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64').replaceAll('=', '')
const compute = (password: string, nonce: Uint8Array): Promise<Buffer> =>
  derive('argon2id', { message: password, nonce, ...COST })

/** @returns a PHC string such as an account record carries it */
export const hash = async (password: string): Promise<string> => {
  const salt = randomBytes(16)
  return `$argon2id$v=19$m=${COST.memory},t=${COST.passes},p=${COST.parallelism}$${base64(salt)}$${base64(await compute(password, salt))}`
}

/** Whether the password belongs to a PHC string made by `hash`. */
export const verify = async (password: string, phc: string): Promise<boolean> => {
  const [salt = '', tag = ''] = phc.split('$').slice(-2)
  return timingSafeEqual(await compute(password, Buffer.from(salt, 'base64')), Buffer.from(tag, 'base64'))
}
