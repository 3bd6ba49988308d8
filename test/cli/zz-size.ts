import { join } from 'node:path'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { openHouse } from '#src/wire.ts'
import { load } from '#cli/configuration.ts'
import { silentLog } from '#kernel/log.ts'
const f = mkdtempSync('/tmp/gh-size-')
for (const n of ['a', 'b']) writeFileSync(join(f, `${n}.yaml`), JSON.stringify({ masterKey: Buffer.alloc(32, 1).toString('base64url'), stores: { artifacts: `sqlite:${f}/${n}-artifacts.db`, directory: `sqlite:${f}/${n}-directory.db` }, keys: { algorithms: ['ES256'], default: 'ES256' } }))
const house = await openHouse(load(join(f, 'a.yaml'), {}), { log: silentLog })
for (let i = 0; i < Number(process.argv[2]); i += 500) await Promise.all(Array.from({ length: 500 }, (_, k) => house.box.put('Session', `s ${i + k}`, { x: 'y'.repeat(500) }, { ttl: 9999, uid: `u${i + k}`, tags: ['t' + (i % 999)] })))
await house.close()
console.log(f)
