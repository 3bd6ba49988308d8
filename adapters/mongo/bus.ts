/** The bus of nodes that share a MongoDB directory; change streams, where the server has them, make it quicker. */
import { createEpochBus, type EpochBusOptions } from '#kernel/epoch-bus.ts'
import type { Bus } from '#kernel/ports.ts'

const POLL_MS = 500

/** `pollMs`: how often another node's changes are looked for; 500 unless told. */
export const createMongoBus = ({
  directory,
  pollMs = POLL_MS,
}: Pick<EpochBusOptions, 'directory'> & Partial<Pick<EpochBusOptions, 'pollMs'>>): Bus =>
  createEpochBus({ directory, pollMs, answersAtOnce: false })
