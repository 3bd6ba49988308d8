/** On SQLite; on the other stores: test/nodes/secrets.test.ts. */
import { secretsSuite } from './secrets-suite.ts'

secretsSuite('sqlite')
