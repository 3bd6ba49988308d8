/** The bus of one host, over a directory in a file. */
import { createEpochBus, type EpochBusOptions } from '#kernel/epoch-bus.ts'
import type { Bus } from '#kernel/ports.ts'

/** `pollMs`: how often another process's changes are looked for. */
export const createLocalBus = ({ directory, pollMs }: Pick<EpochBusOptions, 'directory' | 'pollMs'>): Bus =>
  createEpochBus({ directory, pollMs, answersAtOnce: true })
