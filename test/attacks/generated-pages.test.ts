/** Inputs that nobody thought of (generated.ts), for our own pages and what providers send: no 5xx, no markup. */
import { test } from 'node:test'
import { attackAll, openVictim } from './generated.ts'

test('generated input for our pages', async (t) => attackAll(t, await openVictim(), 'pages'))
