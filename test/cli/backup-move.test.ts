/** Moving a whole installation to other files; to other kinds of stores: test/nodes/moves.test.ts. */
import { test } from 'node:test'
import { moves } from './backup-moving.ts'

test('a running server is backed up and goes on elsewhere', (t) => moves(t, 'sqlite', 'sqlite'))
