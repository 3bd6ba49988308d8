/** Every byte that stores hold, as somebody would see them who got hold of the files or of a password of the database. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { MongoClient } from 'mongodb'
import type { Pair } from './stores.ts'

/** Names of keys and whatever they hold; and the append-only file, where it lies on this machine: what was there once, too. */
const redisBytes = async (url: string): Promise<Buffer[]> => {
  const redis = new Redis(url.replace(/\?.*$/, ''))
  const prefix = new URL(url).searchParams.get('prefix') ?? ''
  const found: Buffer[] = []
  const readers: Readonly<Record<string, (key: string) => Promise<unknown>>> = {
    string: (key) => redis.getBuffer(key),
    hash: (key) => redis.hgetallBuffer(key),
    set: (key) => redis.smembersBuffer(key),
    zset: (key) => redis.zrangeBuffer(key, '0', '-1'),
  }
  const flat = (value: unknown): Buffer[] => {
    if (Buffer.isBuffer(value)) return [value]
    if (typeof value !== 'object' || value === null) return []
    return Object.entries(value).flatMap(([name, item]) => [Buffer.from(name), ...flat(item)])
  }
  try {
    for (const key of await redis.keys(`${prefix}*`)) {
      const type = await redis.type(key)
      const read = readers[type]
      if (!read && type !== 'none') throw new Error(`${key} is a ${type}, which nobody reads here`)
      found.push(Buffer.from(key), ...flat(await read?.(key)))
    }
    const [, folder = ''] = (await redis.config('GET', 'dir')) as string[]
    const log = join(folder, 'appendonlydir')
    for (const name of readdirSync(log)) found.push(readFileSync(join(log, name)))
  } finally {
    redis.disconnect()
  }
  return found
}

/** The documents as they go over the wire. */
const mongoBytes = async (url: string): Promise<Buffer[]> => {
  const client = await new MongoClient(url).connect()
  try {
    const found: Buffer[] = []
    for (const { name } of await client.db().listCollections().toArray())
      for await (const document of client.db().collection(name).find({}, { raw: true }))
        found.push(Buffer.from(document as unknown as Uint8Array))
    return found
  } finally {
    await client.close()
  }
}

const fileBytes = (folder: string): Buffer[] =>
  readdirSync(folder)
    .filter((name) => name.includes('.db'))
    .map((name) => readFileSync(join(folder, name)))

/** Everything in one. */
export const bytesOf = async ({ settings: { stores }, folder }: Pair): Promise<Buffer> => {
  const found = [...new Set(Object.values(stores))].map(async (address) => {
    if (address.startsWith('redis:')) return redisBytes(address)
    return address.startsWith('mongodb:') ? mongoBytes(address) : []
  })
  // What stands side by side must not make a word.
  return Buffer.concat(
    [...fileBytes(folder), ...(await Promise.all(found)).flat()].flatMap((one) => [one, Buffer.alloc(1)]),
  )
}
