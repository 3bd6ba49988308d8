/**
 * A change stream where the server has one (a replica set or a sharded cluster): it only wakes whoever polls anyway, so
 * that it may be absent, break or miss something.
 */
import type { ChangeStream, Collection, Document } from 'mongodb'
import type { Log } from '#kernel/log.ts'
import { isRefusal } from './faults.ts'

const RETRY_MS = 5000

/** Calls `listener` after each change of the collection; answers the function that ends it. */
export const watch = <D extends Document>(collection: Collection<D>, listener: () => void, log: Log): (() => void) => {
  let stream: ChangeStream | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  const close = () => {
    stream?.removeAllListeners().on('error', () => {})
    stream?.close().catch(() => {})
    stream = undefined
  }
  const open = () => {
    stream = collection.watch([], { maxAwaitTimeMS: 1000 })
    stream.on('change', listener)
    stream.once('error', (error) => {
      close()
      if (stopped) return
      // Not a replica set, or no permission: that will not change while this runs.
      if (isRefusal(error)) log.info('store.no-change-stream', { reason: error.message })
      else timer = setTimeout(open, RETRY_MS).unref()
    })
  }
  open()
  return () => {
    stopped = true
    clearTimeout(timer)
    close()
  }
}
