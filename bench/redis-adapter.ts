/**
 * The plain adapter for Redis that Gatehouse is compared with, as oidc-provider's own example has it: a JSON string or,
 * for what is consumed, a hash; one MULTI per write; sets for grants, keys for uids and user codes. Nothing is hashed or
 * sealed, and a consumption is not a compare-and-set.
 */
import { Redis } from 'ioredis'
import type { Adapter, AdapterPayload } from 'oidc-provider'

const consumable = new Set([
  'AuthorizationCode',
  'RefreshToken',
  'DeviceCode',
  'BackchannelAuthenticationRequest',
  'PushedAuthorizationRequest',
])
const grantable = new Set([...consumable, 'AccessToken'])

const now = () => Math.floor(Date.now() / 1000)

/** @param prefix before every key of this run @returns oidc-provider's `adapter` setting */
export const plainRedisAdapter = (url: string, prefix: string): ((model: string) => Adapter) => {
  const client = new Redis(url)
  const key = (model: string, id: string) => `${prefix}${model}:${id}`
  const grantKey = (id: string) => `${prefix}grant:${id}`
  const userCodeKey = (code: string) => `${prefix}userCode:${code}`
  const uidKey = (uid: string) => `${prefix}uid:${uid}`

  return (model) => {
    const find = async (id: string): Promise<AdapterPayload | undefined> => {
      if (!consumable.has(model)) {
        const text = await client.get(key(model, id))
        return text === null ? undefined : (JSON.parse(text) as AdapterPayload)
      }
      const { payload, ...rest } = await client.hgetall(key(model, id))
      return payload === undefined ? undefined : { ...rest, ...(JSON.parse(payload) as AdapterPayload) }
    }
    const byKey = async (index: string) => {
      const id = await client.get(index)
      return id === null ? undefined : find(id)
    }
    return {
      async upsert(id, payload, ttl) {
        const name = key(model, id)
        const writes = client.multi()
        if (consumable.has(model)) writes.hset(name, { payload: JSON.stringify(payload) })
        else writes.set(name, JSON.stringify(payload))
        if (ttl) writes.expire(name, ttl)
        if (grantable.has(model) && payload.grantId) {
          const grant = grantKey(payload.grantId)
          writes.rpush(grant, name)
          const left = await client.ttl(grant)
          if (ttl && ttl > left) writes.expire(grant, ttl)
        }
        if (payload.userCode) writes.set(userCodeKey(payload.userCode), id, 'EX', ttl ?? 3600)
        if (payload.uid) writes.set(uidKey(payload.uid), id, 'EX', ttl ?? 3600)
        await writes.exec()
      },
      find,
      findByUid: (uid) => byKey(uidKey(uid)),
      findByUserCode: (code) => byKey(userCodeKey(code)),
      consume: async (id) => void (await client.hset(key(model, id), 'consumed', now())),
      destroy: async (id) => void (await client.del(key(model, id))),
      async revokeByGrantId(grantId) {
        const names = await client.lrange(grantKey(grantId), 0, -1)
        await client.del(grantKey(grantId), ...names)
      },
    }
  }
}
