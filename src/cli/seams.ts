/** What the command line is given by the process edge: where to write, how to start and how to open. Read this first. */
import type { Box } from '#artifacts/box.ts'
import type { Graph } from '#artifacts/graph.ts'
import type { Loaded } from '#config/load.ts'
import type { Applying } from '#directory/apply.ts'
import type { Records } from '#directory/records.ts'
import type { ArtifactStore, Directory } from '#kernel/ports.ts'
import type { Deliveries } from '#sessions/deliveries.ts'
import type { Sessions } from '#sessions/ending.ts'
import type { Audit } from '#trace/audit.ts'
import type { Trace } from '#trace/trace.ts'

export type Env = Readonly<Record<string, string | undefined>>

export interface Io {
  /** Standard output: what was asked for. */
  out(text: string): void
  /** Standard error: what went wrong. */
  err(text: string): void
  /** All of standard input. */
  read(): Promise<string>
}

/** The stores, open; the same that a running server has. */
export interface Opened {
  readonly records: Records & Applying
  readonly trace: Pick<Trace, 'read'>
  readonly store: ArtifactStore
  readonly box: Box
  readonly sessions: Sessions
  readonly deliveries: Pick<Deliveries, 'receipts'>
  readonly graph: Pick<Graph, 'ofAccount' | 'grants'>
  readonly audit: Audit
  close(): Promise<void>
}

/** The stores without what lives in them: whole ones are copied in and out. */
export interface Stores {
  readonly store: ArtifactStore
  readonly directory: Directory
  /** 32 bytes each, newest first. */
  readonly masterKeys: readonly Uint8Array[]
  close(): Promise<void>
}

export interface Actions {
  /** Runs until it is told to stop. `under` loads the same configuration over other defaults (the demo's). */
  serve(loaded: Loaded, options: { demo: boolean; under: (defaults: unknown) => Loaded }): Promise<void>
  open(loaded: Loaded): Promise<Opened>
  /** The stores alone, even where they are empty or half restored. */
  stores(loaded: Loaded): Promise<Stores>
}

/** What every command works with. */
export interface Shell {
  readonly io: Io
  readonly env: Env
  readonly actions: Actions
}

/** A mistake of the person at the keyboard: one line, exit code 1. */
export class CliError extends Error {}
