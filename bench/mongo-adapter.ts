/**
 * The plain adapter for MongoDB that Gatehouse is compared with, as oidc-provider's own example has it: a collection for
 * each model, the payload as a document, one update per write, acknowledged as Gatehouse's are. Nothing is hashed or
 * sealed, and a consumption is not a compare-and-set.
 */
import { MongoClient } from 'mongodb'
import type { Adapter, AdapterPayload } from 'oidc-provider'

interface Row {
  readonly _id: string
  readonly payload: AdapterPayload
  /** Epoch ms. */
  readonly expiresAt?: number
}

const INDEXES = ['payload.grantId', 'payload.uid', 'payload.userCode']
const MODELS = [
  'Session',
  'Grant',
  'AccessToken',
  'ClientCredentials',
  'AuthorizationCode',
  'RefreshToken',
  'Interaction',
]

/** @param url with the database's name @returns oidc-provider's `adapter` setting, once the indexes are there */
export const plainMongoAdapter = async (url: string): Promise<(model: string) => Adapter> => {
  const client = await new MongoClient(url, { writeConcern: { w: 'majority', journal: true } }).connect()
  const collection = (model: string) => client.db().collection<Row>(model)
  for (const model of MODELS)
    await collection(model).createIndexes(INDEXES.map((field) => ({ key: { [field]: 1 }, sparse: true })))

  return (model) => {
    const rows = collection(model)
    const find = async (filter: Record<string, unknown>): Promise<AdapterPayload | undefined> => {
      const row = await rows.findOne(filter)
      return row && (!row.expiresAt || row.expiresAt > Date.now()) ? row.payload : undefined
    }
    return {
      async upsert(id, payload, ttl) {
        const expiry = ttl ? { expiresAt: Date.now() + ttl * 1000 } : {}
        await rows.updateOne({ _id: id }, { $set: { payload, ...expiry } }, { upsert: true })
      },
      find: (id) => find({ _id: id }),
      findByUid: (uid) => find({ 'payload.uid': uid }),
      findByUserCode: (code) => find({ 'payload.userCode': code }),
      consume: async (id) =>
        void (await rows.updateOne({ _id: id }, { $set: { 'payload.consumed': Math.floor(Date.now() / 1000) } })),
      destroy: async (id) => void (await rows.deleteOne({ _id: id })),
      revokeByGrantId: async (grantId) => void (await rows.deleteMany({ 'payload.grantId': grantId })),
    }
  }
}
