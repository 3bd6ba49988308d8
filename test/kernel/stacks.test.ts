/** Errors have stacks where somebody will look at them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createLog } from '#kernel/log.ts'
import { sparseStacks } from '#kernel/stacks.ts'

const frames = (): number => (new Error('here').stack ?? '').split('\n').length - 1

describe('stacks of errors', () => {
  test('there are none until an error is logged, then for ten minutes', (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const before = Error.stackTraceLimit
    t.after(() => {
      Error.stackTraceLimit = before
    })
    Error.stackTraceLimit = 10
    const log = createLog('info', () => undefined, sparseStacks())
    assert.equal(frames(), 0)
    log.warn('expected')
    assert.equal(frames(), 0)
    log.error('unexpected')
    assert.ok(frames() > 0)
    t.mock.timers.tick(599_999)
    log.error('again')
    t.mock.timers.tick(599_999)
    assert.ok(frames() > 0)
    t.mock.timers.tick(1)
    assert.equal(frames(), 0)
    log.error('much later')
    assert.ok(frames() > 0)
  })

  test('a depth that somebody chose is kept', (t) => {
    const before = Error.stackTraceLimit
    t.after(() => {
      Error.stackTraceLimit = before
    })
    Error.stackTraceLimit = 5
    sparseStacks()
    assert.equal(Error.stackTraceLimit, 5)
  })
})
