/** What a full run leaves in Redis and MongoDB; in SQLite: test/attacks/secrets.test.ts. */
import { secretsSuite } from '#test/attacks/secrets-suite.ts'
import { pairMissing, pairNames } from '#test/world/stores.ts'

for (const name of pairNames) if (name !== 'sqlite' && !(await pairMissing(name))) secretsSuite(name)
